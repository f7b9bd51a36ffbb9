//! The process itself: how soon it answers, what it holds, and how fast it fills a store.

use std::net::SocketAddr;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, median};
use crate::machine::resident;
use crate::site::{self, Size};
use crate::support::free_port;
use crate::support::process::{Doorward, graphql_as};
use crate::table::{Row, Target};

/// Starts, of which the median counts.
const STARTS: usize = 5;
/// Until what a start sets off is done.
const SETTLED: Duration = Duration::from_secs(3);
/// Longer is no start any more.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// Sign-ins a second that `doorward seed` writes into MongoDB, together with their users.
pub fn seed(bench: &Bench) -> Vec<Row> {
    let seeded = &bench.mongo().seeded;
    let rate = seeded.sign_ins / seeded.seconds;
    vec![Row::alone("seed", "sign-ins/s", rate, Target::AtLeast(20_000.0))]
}

/// From the start to the first answer over a store that is there, and the memory a moment later.
pub fn start(_: &Bench) -> Vec<Row> {
    let doorward = site::doorward(None);
    let size = Size {
        accounts: 10,
        users: 10_000,
        sign_ins: 10,
    };
    site::seed(&doorward, size);
    let (times, memory): (Vec<_>, Vec<_>) = (0..STARTS).map(|_| started(&doorward)).unzip();
    eprintln!("    {times:.0?} ms, {memory:.1?} MB");
    vec![
        Row::alone("start, first answer", "ms", median(times), Target::AtMost(300.0)),
        Row::alone("start, idle memory", "MB", median(memory), Target::AtMost(40.0)),
    ]
}

/// Milliseconds until the first answer, and megabytes.
fn started(doorward: &Doorward) -> (f64, f64) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = doorward.command(&["serve"]);
    command
        .env("DOORWARD_HTTP__LISTEN", address.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    // Of nobody's: who asks is found in the store all the same, and there is no token yet.
    let body = json!({ "query": "{ viewer { isMaster } }" });
    let answer = loop {
        if let Some(answer) = graphql_as(address, None, &body) {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not answer");
        thread::sleep(PAUSE);
    };
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    thread::sleep(SETTLED);
    let memory = resident(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    (took, memory)
}
