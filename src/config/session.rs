//! `[session]`: how long a sign-in holds.

use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;
use super::{MAX_DURATION, days};

/// The `[session]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// A session ends this long after the sign-in, whatever happens.
    #[serde(with = "humantime_serde")]
    pub lifetime: Duration,
    /// A session ends when nothing was asked of it for this long.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(12 * 3600),
            idle: Duration::from_secs(2 * 3600),
        }
    }
}

impl SessionConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        for (key, value) in [("session.lifetime", self.lifetime), ("session.idle", self.idle)] {
            // Every clock here counts whole milliseconds; less than a second would end a session while it is made.
            if value < Duration::from_secs(1) {
                problems.add(key, "is less than a second; it should be a duration such as \"2h\"");
            } else if value > MAX_DURATION {
                problems.add(
                    key,
                    format!("is too long; it should be at most {} days", days(MAX_DURATION)),
                );
            }
        }
        if problems.none_in("session") && self.idle > self.lifetime {
            problems.add(
                "session.idle",
                "is longer than session.lifetime; it should be at most that",
            );
        }
    }
}
