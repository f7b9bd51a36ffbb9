//! `[password]`: how passwords are hashed (Argon2id, RFC 9106).

use serde::Deserialize;

use super::problems::Problems;

/// OWASP's equivalent minima for Argon2id, as (memory in KiB, iterations), each with one lane
/// (Password Storage Cheat Sheet).
const OWASP: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// The most lanes that Argon2 knows (RFC 9106 §3.1).
const MAX_PARALLELISM: u32 = (1 << 24) - 1;

/// The `[password]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordConfig {
    /// Memory for one hash, in KiB; at least 8 for each lane.
    pub memory_kib: u32,
    /// Passes over the memory, at least 1.
    pub iterations: u32,
    /// Lanes of one hash, at least 1.
    pub parallelism: u32,
    /// Threads that hash; 0 leaves it to [`PasswordConfig::pool_threads`].
    pub threads: usize,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            threads: 0,
        }
    }
}

impl PasswordConfig {
    /// The size of the hash pool on a machine with `cores`: one less than that unless `threads` says otherwise, at least 1.
    #[must_use]
    pub fn pool_threads(&self, cores: usize) -> usize {
        if self.threads == 0 {
            cores.saturating_sub(1).max(1)
        } else {
            self.threads
        }
    }

    pub(super) fn validate(&self, problems: &mut Problems) {
        if self.iterations == 0 {
            problems.add("password.iterations", "is 0; it should be at least 1");
        }
        if !(1..=MAX_PARALLELISM).contains(&self.parallelism) {
            let found = self.parallelism;
            problems.add(
                "password.parallelism",
                format!("is {found}; it should be from 1 to {MAX_PARALLELISM}"),
            );
        }
        let least = self.parallelism.max(1).saturating_mul(8);
        if problems.none_in("password") && self.memory_kib < least {
            let found = self.memory_kib;
            problems.add(
                "password.memory_kib",
                format!("is {found}; it should be at least {least}, 8 for each lane"),
            );
        }
        if self.threads > 1024 {
            problems.add(
                "password.threads",
                format!("is {}; it should be at most 1024", self.threads),
            );
        }
    }

    pub(super) fn warnings(&self) -> Option<String> {
        let enough = OWASP
            .iter()
            .any(|&(memory, passes)| self.memory_kib >= memory && self.iterations >= passes);
        (!enough).then(|| {
            format!(
                "password.memory_kib = {} with password.iterations = {} is weaker than OWASP's minimum for Argon2id; \
                 use at least memory_kib = 19456 with iterations = 2",
                self.memory_kib, self.iterations
            )
        })
    }
}
