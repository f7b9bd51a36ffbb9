//! `[limits]`: what one caller may cost.

use std::time::Duration;

use serde::Deserialize;

use super::problems::Problems;

/// The longest that refusals may be made to take; a request is given up not long after.
pub(super) const MAX_MIN_REFUSAL: Duration = Duration::from_secs(10);

/// The smallest request body that still holds a useful query, in bytes.
const MIN_BODY_BYTES: usize = 1024;

/// The `[limits]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// How deep a query may nest.
    pub query_depth: usize,
    /// How much a query may cost.
    pub query_complexity: usize,
    /// Sign-in attempts a minute from one client address; 0: no limit.
    pub sign_in_per_address: u32,
    /// Sign-in attempts a minute for one login; 0: no limit.
    pub sign_in_per_login: u32,
    /// Alerts a minute that the applications of one account publish; 0: no limit.
    pub alerts_per_account: u32,
    /// No sign-in is refused earlier than this, so that the time tells nothing; at most 10 s, 0: off. For the accounts of a
    /// directory it is that directory's, where that is longer.
    #[serde(with = "humantime_serde")]
    pub min_refusal: Duration,
    /// The largest request body, in bytes; at least 1024.
    pub body_bytes: usize,
    /// Whether the schema may be asked for.
    pub introspection: bool,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            query_depth: 16,
            query_complexity: 20_000,
            sign_in_per_address: 120,
            sign_in_per_login: 30,
            alerts_per_account: 60,
            min_refusal: Duration::from_millis(100),
            body_bytes: 3 * 1024 * 1024,
            introspection: true,
        }
    }
}

impl LimitsConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.above_zero("limits.query_depth", self.query_depth);
        problems.above_zero("limits.query_complexity", self.query_complexity);
        if self.min_refusal > MAX_MIN_REFUSAL {
            problems.add(
                "limits.min_refusal",
                format!("is too long; it should be at most \"{}s\"", MAX_MIN_REFUSAL.as_secs()),
            );
        }
        if self.body_bytes < MIN_BODY_BYTES {
            let found = self.body_bytes;
            problems.add(
                "limits.body_bytes",
                format!("is {found}; it should be at least {MIN_BODY_BYTES}"),
            );
        }
    }
}
