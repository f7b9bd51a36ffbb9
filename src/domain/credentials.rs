//! What proves that a local user is who they say.

use std::fmt;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// A password's hash as a PHC string (`$argon2id$v=19$…`). It never prints.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// Wraps a PHC string.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(phc.into())
    }

    /// The PHC string, for verification and storage only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// A user's password: its hash, and those before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    /// Today's hash; `None` when there is no local password.
    pub hash: Option<PasswordHash>,
    /// Earlier hashes, newest first, as many as the account's policy asked for.
    pub history: Vec<PasswordHash>,
}

/// SHA-256 of a session's secret, which is all that a store keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

/// A new password, hashed, and what becomes of the user with it.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The new hash.
    pub hash: PasswordHash,
    /// When it was set.
    pub changed_at: Timestamp,
    /// The user must change it at the next sign-in.
    pub must_change: bool,
    /// How many earlier hashes to keep.
    pub keep_history: u32,
}
