//! Asking a store again that does not answer for a moment.

use std::time::Duration;

use tokio::time::sleep;

use crate::store::StoreError;

/// How often it is asked,
const TRIES: u32 = 4;
/// with this wait after the first time, and twice as long a one after each further.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Tries again for a moment while the store does not answer; an attempt is told whether it is another one.
pub(super) async fn patiently<T, F>(mut attempt: impl FnMut(bool) -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut wait = FIRST_WAIT;
    for tried in 0..TRIES - 1 {
        match attempt(tried > 0).await {
            Err(StoreError::Unavailable(reason)) => {
                tracing::warn!(%reason, "the store does not answer; it is asked again");
            }
            result => return result,
        }
        sleep(wait).await;
        wait *= 2;
    }
    attempt(true).await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What comes of it when the first so many attempts find the store away; and how many there were.
    async fn after_failures(failing: u32, then: Result<u32, StoreError>) -> (String, u32) {
        let (tried, then) = (Cell::new(0), Cell::new(Some(then)));
        let result = patiently(|again| {
            assert_eq!(again, tried.get() > 0);
            tried.set(tried.get() + 1);
            let answer = if tried.get() > failing { then.take() } else { None };
            async move { answer.unwrap_or_else(|| Err(StoreError::Unavailable("away".to_owned()))) }
        });
        (format!("{:?}", result.await), tried.get())
    }

    #[tokio::test]
    async fn a_store_that_is_away_for_a_moment_is_asked_again() {
        assert_eq!(after_failures(0, Ok(7)).await, ("Ok(7)".to_owned(), 1));
        assert_eq!(after_failures(2, Ok(7)).await, ("Ok(7)".to_owned(), 3));
        let gone = ("Err(Unavailable(\"away\"))".to_owned(), TRIES);
        assert_eq!(after_failures(TRIES, Ok(7)).await, gone);
        // What waiting does not mend is told at once.
        let refused = after_failures(1, Err(StoreError::NotFound)).await;
        assert_eq!(refused, ("Err(NotFound)".to_owned(), 2));
    }
}
