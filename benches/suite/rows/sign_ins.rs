//! Local sign-ins: how many, and what they do to others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

use crate::bench::{Bench, CONNECTIONS, side};
use crate::load::Client;
use crate::machine::hash_threads;
use crate::site::{PASSWORD, Site};
use crate::table::{Row, Target};

/// Enough that somebody always waits for the hash pool, and few enough that a stop is soon.
const WAITING: usize = 8;
/// Connections of an open loop: more than are ever busy.
const OPEN: usize = 64;
/// Of what the gateway can do.
const SHARE: f64 = 0.3;

/// Sign-ins over each store, against argon2 with the same parameters on as many threads.
pub fn alone(bench: &Bench) -> Vec<Row> {
    let row = |store: &str, site: &Site| {
        let ask = site.sign_ins();
        let ours = || bench.closed_loop(&ask, WAITING).rate();
        let bare = || hashes(hash_threads(), bench.turn());
        let rates = bench.rotate(vec![side("sign-ins", ours), side("argon2 alone", bare)]);
        let name = format!("sign-ins, {store}");
        let target = Target::RatioAtLeast(0.95);
        Row::against(&name, "/s", rates[0], ("argon2 alone", rates[1]), target)
    };
    vec![row("MongoDB", bench.mongo()), row("embedded", bench.sqlite())]
}

/// Hashes a second with the default parameters.
fn hashes(threads: usize, time: Duration) -> f64 {
    let params = Params::new(19_456, 2, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let count = AtomicUsize::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut hash = [0; 32];
                while begun.elapsed() < time {
                    let hashed = argon2.hash_password_into(PASSWORD.as_bytes(), b"sixteen of bytes", &mut hash);
                    hashed.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner() as f64 / begun.elapsed().as_secs_f64()
}

/// The page's p99 at a part of what the gateway can do, while sign-ins take all of the hash pool, against the same alone.
pub fn beside_the_page(bench: &Bench) -> Vec<Row> {
    let site = bench.mongo();
    let capacity = bench.closed_loop(&site.page(), CONNECTIONS).rate();
    let rate = SHARE * capacity;
    eprintln!("    {capacity:.0} req/s at most, so {rate:.0} req/s");
    // Long enough for the slowest hundredth to be a few.
    let time = 2 * bench.turn();
    let page = || {
        let sample = Client::new(site.page(), OPEN).open_loop(rate, time).whole();
        sample.quantile(0.99)
    };
    let busy = || {
        let (done, sign_ins) = (AtomicBool::new(false), site.sign_ins());
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = Client::new(sign_ins, WAITING);
                while !done.load(Ordering::Relaxed) {
                    let _ = client.closed_loop(Duration::from_millis(500)).whole();
                }
            });
            // The pool is full by then.
            thread::sleep(Duration::from_millis(500));
            let found = page();
            done.store(true, Ordering::Relaxed);
            found
        })
    };
    let found = bench.rotate(vec![side("with sign-ins", busy), side("without", page)]);
    let target = Target::RatioAtMost(2.0);
    let name = format!("p99 at {rate:.0} req/s");
    vec![Row::against(&name, "ms", found[0], ("no sign-ins", found[1]), target)]
}
