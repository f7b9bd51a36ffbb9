//! Whether it stays as it is: many who look at the page again and again for a long time, while people sign in.

use std::thread;
use std::time::Duration;

use crate::bench::Bench;
use crate::load::{Client, Sample};
use crate::machine::resident;
use crate::table::{Row, Target};

/// Who look at the page, each on a connection of their own.
const WATCHING: usize = 50;
/// How long each of them waits before looking again, in seconds.
const EVERY: f64 = 0.75;
/// Sign-ins a second.
const SIGN_INS: f64 = 20.0;
/// Connections that people sign in on.
const SIGNING_IN: usize = 16;

/// One minute.
struct Minute {
    /// The slowest hundredth begins here: of the page, of sign-ins.
    p99: [f64; 2],
    memory: f64,
    errors: usize,
}

/// Prints each minute; the last one must be like the second one, in which everything has warmed up.
pub fn soak(bench: &Bench) -> Vec<Row> {
    let site = bench.mongo();
    let mut pages = Client::new(site.page(), WATCHING);
    let mut sign_ins = Client::new(site.sign_ins(), SIGNING_IN);
    let minute = Duration::from_secs(if bench.options.quick { 5 } else { 60 });
    println!("minute      pages errors   p50 ms   p99 ms   sign-ins errors   p50 ms   p99 ms   memory MB");
    let minutes: Vec<Minute> = (1..=bench.options.minutes)
        .map(|n| {
            let (page, sign_in) = thread::scope(|scope| {
                let page = scope.spawn(|| pages.open_loop(WATCHING as f64 / EVERY, minute));
                let sign_in = sign_ins.open_loop(SIGN_INS, minute);
                (page.join().unwrap(), sign_in)
            });
            let memory = resident(site.process());
            println!("{n:6}   {}   {}   {memory:9.1}", line(&page), line(&sign_in));
            for complaint in page.complaints.iter().chain(&sign_in.complaints) {
                println!("         {complaint}");
            }
            Minute {
                p99: [p99(&page), p99(&sign_in)],
                memory,
                errors: page.errors + sign_in.errors,
            }
        })
        .collect();
    println!();
    let errors: usize = minutes.iter().map(|minute| minute.errors).sum();
    let (second, last) = (&minutes[1], &minutes[minutes.len() - 1]);
    let row = |name: &str, unit, last: f64, second: f64, most: f64| {
        Row::against(name, unit, last, ("second minute", second), Target::RatioAtMost(most))
    };
    vec![
        Row::alone("soak, errors", "", errors as f64, Target::AtMost(0.0)),
        row("soak, p99 of the page", "ms", last.p99[0], second.p99[0], 1.5),
        row("soak, p99 of sign-ins", "ms", last.p99[1], second.p99[1], 1.5),
        row("soak, memory", "MB", last.memory, second.memory, 1.1),
    ]
}

/// A minute without an answer has none, and meets no target.
fn p99(sample: &Sample) -> f64 {
    if sample.count() == 0 {
        f64::NAN
    } else {
        sample.quantile(0.99)
    }
}

fn line(sample: &Sample) -> String {
    let p50 = if sample.count() == 0 {
        f64::NAN
    } else {
        sample.quantile(0.5)
    };
    format!("{:8} {:6} {p50:8.1} {:8.1}", sample.count(), sample.errors, p99(sample))
}
