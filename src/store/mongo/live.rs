//! The sign-ins as they are recorded: one change stream a process, for as long as somebody watches.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{RawDocumentBuf, Timestamp, deserialize_from_slice, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, ResumeToken};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Collection, Database};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::documents::EventDocument;
use super::error::text;
use super::transaction::{READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::store::live::{Place, Publisher, WeakPublisher};
use crate::store::{LiveStore, LoginWatch, Result, StoreError};

/// For how long the server waits for a change before it answers that there is none.
const WAIT: Duration = Duration::from_millis(500);
/// No answer for so long is a connection that is dead.
const STALLED: Duration = Duration::from_secs(10);
/// The pauses between tries to take up the thread.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The server's codes for a place that is no longer in its log, a token that it does not take, and a stream that cannot
/// go on.
const LOST: [i32; 3] = [286, 260, 280];

/// A sign-in stays as the server sent it, so that one that cannot be read does not stop the stream.
type Changes = ChangeStream<ChangeStreamEvent<RawDocumentBuf>>;

/// What runs while somebody watches.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed(Arc<Mutex<Option<Running>>>);

#[derive(Debug)]
struct Running {
    publisher: WeakPublisher,
    task: JoinHandle<()>,
}

impl Feed {
    /// Ends every watch.
    pub(super) async fn close(&self) {
        if let Some(Running { task, .. }) = self.0.lock().await.take() {
            task.abort();
            let _ = task.await; // it was ended here
        }
    }
}

#[async_trait]
impl LiveStore for MongoStore {
    fn changes(&self) -> u64 {
        self.changes.count()
    }

    async fn watch_logins(&self) -> Result<LoginWatch> {
        let mut slot = self.feed.0.lock().await;
        if let Some(publisher) = slot.as_ref().and_then(|running| running.publisher.upgrade()) {
            let watch = publisher.watch(0);
            // The stream may be a moment behind: what was recorded until now is left out.
            return Ok(watch.from(now(&self.database).await?));
        }
        let changes = open(&self.login_events, None).await?;
        let publisher = Publisher::new();
        let watch = publisher.watch(0);
        let follower = Follower {
            publisher,
            token: changes.resume_token(),
            events: self.login_events.clone(),
            feed: self.feed.clone(),
        };
        *slot = Some(Running {
            publisher: follower.publisher.downgrade(),
            task: tokio::spawn(follower.run(changes)),
        });
        Ok(watch)
    }
}

/// Where a moment of the cluster stands among all of them.
fn place(at: Timestamp) -> Place {
    (u64::from(at.time) << 32) | u64::from(at.increment)
}

/// The cluster's present moment.
async fn now(database: &Database) -> Result<Place> {
    round_trip("ping");
    let answer = bounded(READ_LIMIT, async {
        Ok(database.run_command(doc! { "ping": 1 }).await?)
    })
    .await?;
    answer
        .get_timestamp("operationTime")
        .map(place)
        .map_err(|e| StoreError::Corrupt(format!("the server's answer has no time: {e}")))
}

/// A stream of new sign-ins: those after the token, or from now on.
async fn open(events: &Collection<EventDocument>, token: Option<ResumeToken>) -> Attempt<Changes> {
    round_trip("aggregate");
    let raw = events.clone_with_type::<RawDocumentBuf>();
    let opening = raw
        .watch()
        .pipeline([doc! { "$match": { "operationType": "insert" } }])
        .max_await_time(WAIT)
        .resume_after(token);
    match tokio::time::timeout(READ_LIMIT, async { opening.await }).await {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(Failure::stalled(READ_LIMIT)),
    }
}

/// What a step of the stream comes to.
type Attempt<T> = std::result::Result<T, Failure>;

/// Why the stream broke off.
struct Failure {
    error: StoreError,
    /// What was recorded meanwhile cannot be had from the stream any more.
    is_final: bool,
}

impl Failure {
    fn stalled(limit: Duration) -> Self {
        Self {
            error: StoreError::Unavailable(format!("no answer within {limit:?}")),
            is_final: false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind.as_ref() {
            ErrorKind::Command(e) => Some(e.code),
            _ => None,
        };
        let said = text(&error);
        Self {
            is_final: code.is_some_and(|code| LOST.contains(&code)),
            error: StoreError::Unavailable(said),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Reads the stream and tells the watchers.
struct Follower {
    publisher: Publisher,
    /// Where to go on after an interruption.
    token: Option<ResumeToken>,
    events: Collection<EventDocument>,
    feed: Feed,
}

impl Follower {
    /// Until nobody watches any more, or the thread is lost: then dropping the publisher ends every watch.
    async fn run(mut self, mut changes: Changes) {
        while !self.is_over().await {
            let Err(failure) = self.read(&mut changes).await else {
                continue;
            };
            drop(changes);
            changes = match self.take_up(failure).await {
                Some(again) => again,
                None => return,
            };
        }
    }

    /// Nobody watches, and nobody can begin to without starting a new stream.
    async fn is_over(&self) -> bool {
        if self.publisher.has_watchers() {
            return false;
        }
        let mut slot = self.feed.0.lock().await;
        if self.publisher.has_watchers() {
            return false;
        }
        *slot = None;
        true
    }

    /// Tells of the next sign-in; when none comes for a moment, of none.
    async fn read(&mut self, changes: &mut Changes) -> Attempt<()> {
        let next = tokio::time::timeout(STALLED, changes.next_if_any())
            .await
            .map_err(|_| Failure::stalled(STALLED))??;
        self.token = changes.resume_token().or(self.token.take());
        let Some(change) = next else {
            if changes.is_alive() {
                return Ok(());
            }
            return Err(Failure {
                error: StoreError::Unavailable("the server ended the stream".to_owned()),
                is_final: self.token.is_none(),
            });
        };
        let (Some(at), Some(document)) = (change.cluster_time, change.full_document) else {
            return Ok(());
        };
        match deserialize_from_slice::<EventDocument>(document.as_bytes()) {
            Ok(document) => {
                self.publisher.publish(place(at), document.into());
                tokio::task::yield_now().await; // so that the watchers keep up with a burst
            }
            Err(error) => tracing::error!(%error, "a sign-in cannot be read, and nobody is told of it"),
        }
        Ok(())
    }

    /// Opens the stream again where it broke off, as soon as the server lets it.
    async fn take_up(&self, mut failure: Failure) -> Option<Changes> {
        tracing::warn!(error = %failure.error, "the stream of sign-ins broke off; it is taken up again");
        let mut pause = FIRST_PAUSE;
        loop {
            if failure.is_final || self.token.is_none() {
                tracing::error!(error = %failure.error, "the stream of sign-ins is lost; whoever follows it is told");
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.is_over().await {
                return None;
            }
            failure = match open(&self.events, self.token.clone()).await {
                Ok(changes) => {
                    tracing::info!("the stream of sign-ins goes on");
                    return Some(changes);
                }
                Err(failure) => failure,
            };
        }
    }
}
