//! Intents of several documents: a transaction each, tried again as long as the server says that this may help.
//!
//! A transaction begins with the newest state of each shard (read concern `majority`), not with a `snapshot`: that leaves out
//! what was written behind another write that is under way still, so that somebody could be told of a state, act on it, and
//! be refused because of an earlier one. What is read is in a majority's journal at the latest when the transaction is.
//!
//! A transaction is acknowledged when a majority has it in its journal. When the primary goes away in mid-commit, the
//! commit is asked for again, of the new primary, until it answers: it knows whether the transaction is there. Only when
//! nobody answers within [`INTENT_LIMIT`] does the caller get `Unavailable` without knowing.

use std::time::Duration;

use futures_util::future::BoxFuture;
use mongodb::ClientSession;
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::ReadConcern;

use super::error::is_upsert_race;
use super::{MongoStore, round_trip};
use crate::store::{Result, StoreError};

/// The longest that an intent takes, with everything that is tried again.
pub(super) const INTENT_LIMIT: Duration = Duration::from_secs(30);
/// The longest that a reading takes.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(10);

/// The pauses between tries: short, because whoever was in the way is done in a few milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Why a step of a transaction ends it.
#[derive(Debug)]
pub(super) enum Halt {
    /// The database said so; some of these are worth another try.
    Driver(Error),
    /// The intent itself cannot be carried out.
    Store(StoreError),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Halt> for StoreError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Driver(error) => error.into(),
            Halt::Store(error) => error,
        }
    }
}

impl Halt {
    /// May the same steps succeed when they are taken again from the start?
    fn is_transient(&self) -> bool {
        match self {
            Self::Driver(error) => error.contains_label(TRANSIENT_TRANSACTION_ERROR) || is_upsert_race(error),
            Self::Store(_) => false,
        }
    }
}

/// The steps of one transaction, on a session. They may run several times.
pub(super) type Steps<'s, T> = BoxFuture<'s, std::result::Result<T, Halt>>;

impl MongoStore {
    /// Carries out `steps` in one transaction, as one of the [changes](crate::store::LiveStore::changes). `context` is what
    /// they work on: it is handed to every try, because a closure cannot lend what it holds to the future that it makes.
    pub(super) async fn transaction<C, T, F>(&self, context: C, steps: F) -> Result<T>
    where
        F: for<'s> Fn(&'s mut ClientSession, &'s C) -> Steps<'s, T>,
    {
        let _change = self.changes.begin();
        self.quiet_transaction(context, steps).await
    }

    /// The same for what changes nobody's rights.
    pub(super) async fn quiet_transaction<C, T, F>(&self, context: C, steps: F) -> Result<T>
    where
        F: for<'s> Fn(&'s mut ClientSession, &'s C) -> Steps<'s, T>,
    {
        let work = async {
            let mut session = self.client.start_session().await?;
            let mut pause = FIRST_PAUSE;
            loop {
                session
                    .start_transaction()
                    .read_concern(ReadConcern::majority())
                    .await?;
                let halt = match steps(&mut session, &context).await {
                    Ok(value) => match commit(&mut session).await {
                        Ok(()) => return Ok(value),
                        Err(error) => Halt::Driver(error),
                    },
                    Err(halt) => {
                        round_trip("abortTransaction");
                        // The server forgets an unfinished transaction by itself; `halt` is what matters.
                        let _ = session.abort_transaction().await;
                        halt
                    }
                };
                if !halt.is_transient() {
                    return Err(halt.into());
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        bounded(INTENT_LIMIT, work).await
    }
}

/// Commits, and asks again while the outcome is not known.
async fn commit(session: &mut ClientSession) -> std::result::Result<(), Error> {
    loop {
        round_trip("commitTransaction");
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {
                tokio::time::sleep(LONGEST_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Nothing that a caller waits for lasts longer than `limit`.
pub(super) async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(format!(
            "MongoDB did not answer within {} s",
            limit.as_secs()
        )))
    })
}
