//! The project's targets, each measured side by side with what it is compared to, in one run on one machine.
//!
//! What is compared takes turns (A B C, A B C, …); a figure is the median of its turns. One table says at the end what
//! was met, and the exit code whether all was. Run it by `benches/run`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what it measures is printed, and what goes wrong ends it"
)]

use std::process::ExitCode;

use bench::Bench;
use options::{Command, Options};

mod bench;
mod data;
mod limit;
mod load;
mod machine;
mod options;
mod peers;
mod plot;
mod rows;
mod site;
#[path = "../../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "tests use the rest of it")]
mod support;
mod table;

/// The gateway's own, for what it is compared to: the bare argon2 and LDAP, and the program of one query.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match options::read(std::env::args().skip(1)) {
        Ok(Command::Limit { url, address }) => {
            limit::serve(&url, address);
            ExitCode::SUCCESS
        }
        Ok(Command::Measure(options)) => measure(options),
        Err(complaint) => {
            eprintln!("benches/run: {complaint}");
            ExitCode::from(2)
        }
    }
}

/// Measures every row that is asked for, and only then says what was not met.
fn measure(options: Options) -> ExitCode {
    let svg = options.svg.clone();
    let bench = Bench::new(options);
    let machine = machine::description();
    println!("{machine}\n");
    let mut measured = Vec::new();
    for (name, row) in rows::ROWS.iter().chain(&rows::ON_REQUEST) {
        if bench.options.wants(name) {
            eprintln!("==> {name}");
            measured.extend(row(&bench));
        }
    }
    println!("{}", table::text(&measured));
    println!("{machine}");
    if bench.options.quick {
        println!("--quick: a tenth of the data and short turns, to see that it works; no figures to quote");
    }
    if let Some(file) = svg {
        std::fs::write(&file, plot::svg(&measured, &machine)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
    if measured.iter().any(|row| row.met() == Some(false)) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
