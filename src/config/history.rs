//! `[history]` and `[audit]`: how long what happened is kept.

use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;
use super::{DAY, MAX_DURATION, days};

/// The `[history]` section: sign-ins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// Sign-ins are forgotten after this long; at least a day.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

/// The `[audit]` section: changes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Audit records are forgotten after this long; at least a day.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

const RETENTION: Duration = Duration::from_secs(400 * DAY.as_secs());

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { retention: RETENTION }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention: RETENTION }
    }
}

impl HistoryConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        retention("history.retention", self.retention, problems);
    }
}

impl AuditConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        retention("audit.retention", self.retention, problems);
    }
}

fn retention(key: &str, value: Duration, problems: &mut Problems) {
    if value < DAY {
        problems.add(key, "is shorter than a day; it should be \"1day\" or more");
    } else if value > MAX_DURATION {
        problems.add(
            key,
            format!("is too long; it should be at most {} days", days(MAX_DURATION)),
        );
    }
}
