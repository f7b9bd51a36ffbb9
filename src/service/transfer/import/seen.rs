//! Which line of a file first named an object: a million of them in some 30 MB.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// As many parts as six bits tell apart: a map that grows holds its old table beside the new one, and parts grow one by one.
const PARTS: usize = 64;

/// The first lines by a digest of what they name; both as bytes, which are not padded.
pub(super) struct Seen(Vec<HashMap<[u8; 8], [u8; 4]>>);

impl Seen {
    pub(super) fn new() -> Self {
        Self(vec![HashMap::new(); PARTS])
    }

    /// The line that first named an object; identifiers are in no account.
    pub(super) fn first(&self, what: &str, account: &str, name: &str) -> Option<u32> {
        let key = key(what, account, name);
        let part = self.0.get(part(key))?;
        part.get(&key).map(|line| u32::from_be_bytes(*line))
    }

    /// Notes that a line names an object; the line that did so first, if there was one before.
    pub(super) fn note(&mut self, line: u64, what: &str, account: &str, name: &str) -> Option<u32> {
        let key = key(what, account, name);
        let number = u32::try_from(line).unwrap_or(u32::MAX);
        let part = self.0.get_mut(part(key))?;
        match part.get(&key) {
            Some(first) => Some(u32::from_be_bytes(*first)),
            None => {
                part.insert(key, number.to_be_bytes());
                None
            }
        }
    }
}

fn key(what: &str, account: &str, name: &str) -> [u8; 8] {
    let digest = Sha256::digest(format!("{what}\0{account}\0{name}"));
    digest.first_chunk().copied().unwrap_or_default()
}

fn part(key: [u8; 8]) -> usize {
    usize::from(key[0]) % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_remembered() {
        let mut seen = Seen::new();
        for line in 1..=1_000 {
            assert_eq!(seen.note(line, "user", "acme", &format!("user{line}")), None);
        }
        assert_eq!(seen.note(2_000, "user", "acme", "user7"), Some(7));
        assert_eq!(seen.note(2_001, "user", "other", "user7"), None);
        assert_eq!(seen.note(2_002, "role", "acme", "user7"), None);
        assert_eq!(seen.first("user", "acme", "user7"), Some(7));
        assert_eq!(seen.first("user", "acme", "user1001"), None);
        assert!(seen.0.iter().all(|part| !part.is_empty()), "all parts are used alike");
    }
}
