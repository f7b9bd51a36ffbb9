//! How often something may be done.

use std::time::Duration;

use super::settings::{after, seconds_until, window_start};
use super::{ErrorCode, Problem, Result, Services};
use crate::store::LimitKey;

impl Services {
    /// Counts one more, and refuses it if that makes more than `most` in the window of counting.
    ///
    /// # Errors
    /// `RateLimited` with when to come back; those of the store.
    pub(super) async fn limit(&self, key: LimitKey, most: u32, window: Duration, message: &str) -> Result<()> {
        let now = self.clock.now();
        let start = window_start(now, window);
        let counts = self.store.count_attempts(&[key], start, window).await?;
        if counts.first().is_none_or(|count| *count <= most) {
            return Ok(());
        }
        Err(Problem {
            retry_after: Some(seconds_until(now, after(start, window))),
            ..Problem::new(ErrorCode::RateLimited, message)
        }
        .into())
    }
}
