//! What a local password must be like.

use serde::{Deserialize, Serialize};

/// The longest password that is looked at, in bytes; anything longer is wrong without being hashed.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// An account's rules for local passwords and for wrong ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    /// Fewest characters (Unicode scalar values), 1 to 128.
    pub min_length: u32,
    /// Least zxcvbn score, 0 (anything) to 4.
    pub min_strength: u8,
    /// Days after which a password must be changed; `None`: never.
    pub max_age_days: Option<u32>,
    /// How many earlier passwords may not come back, 0 to 24.
    pub history: u32,
    /// Wrong passwords from one network that lock a login there; five times as many, from anywhere, lock it everywhere. 0: never.
    pub lockout_threshold: u32,
    /// How long a lock holds, in minutes, 1 to 1440.
    pub lockout_minutes: u32,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_length: 12,
            min_strength: 3,
            max_age_days: None,
            history: 5,
            lockout_threshold: 10,
            lockout_minutes: 15,
        }
    }
}

impl PasswordPolicy {
    /// Checks each number against its range.
    ///
    /// # Errors
    /// The field's name (as in the GraphQL schema) and what would be right.
    pub fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let checks = [
            (
                "minLength",
                (1..=128).contains(&self.min_length),
                "must be between 1 and 128 characters",
            ),
            ("minStrength", self.min_strength <= 4, "must be between 0 and 4"),
            (
                "maxAgeDays",
                self.max_age_days.is_none_or(|d| (1..=3650).contains(&d)),
                "must be between 1 and 3650 days, or null",
            ),
            ("history", self.history <= 24, "must be between 0 and 24 passwords"),
            (
                "lockoutThreshold",
                self.lockout_threshold <= 1000,
                "must be between 0 (never) and 1000",
            ),
            (
                "lockoutMinutes",
                (1..=1440).contains(&self.lockout_minutes),
                "must be between 1 and 1440 minutes",
            ),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, right)) => Err((field, right)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_each_range_is_checked() {
        let policy = PasswordPolicy::default();
        assert_eq!(policy.validate(), Ok(()));
        for (broken, field) in [
            (
                PasswordPolicy {
                    min_length: 0,
                    ..policy
                },
                "minLength",
            ),
            (
                PasswordPolicy {
                    min_strength: 5,
                    ..policy
                },
                "minStrength",
            ),
            (
                PasswordPolicy {
                    max_age_days: Some(0),
                    ..policy
                },
                "maxAgeDays",
            ),
            (PasswordPolicy { history: 25, ..policy }, "history"),
            (
                PasswordPolicy {
                    lockout_threshold: 1001,
                    ..policy
                },
                "lockoutThreshold",
            ),
            (
                PasswordPolicy {
                    lockout_minutes: 0,
                    ..policy
                },
                "lockoutMinutes",
            ),
        ] {
            assert_eq!(broken.validate().unwrap_err().0, field);
        }
    }
}
