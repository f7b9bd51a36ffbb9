//! What several integration tests share: the real servers they talk to.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};

pub mod active_directory;
pub mod gateway;
pub mod mmdb;
pub mod mongod;
pub mod process;
pub mod slapd;
pub mod smtp;
pub mod socket;
pub mod tls;
pub mod turn;
pub mod wire;

/// The ports that are handed out: below the range from which Linux takes the local ports of outgoing connections
/// (32768–60999), so that a server which stops for a moment finds its port free again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A TCP port on 127.0.0.1 on which nothing listens. One process never gets the same port twice in a row; another
/// process may take it before it is used, so whoever starts a server on it tries again with another.
pub fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Every process starts at a place of its own, as tests may run in a process each.
    static START: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| RandomState::new().hash_one(0));

    let count = u64::from(PORTS.end - PORTS.start);
    (0..count)
        .map(|_| {
            let step = START.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
            PORTS.start + u16::try_from(step).expect("less than the range's length")
        })
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("a free port between 20000 and 32000")
}

/// What `tests/run` tells the tests.
///
/// # Panics
/// When the variable is not set.
pub fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{name} is not set: run tests/run, or tests/run --with COMMAND for a command of your own"),
    }
}
