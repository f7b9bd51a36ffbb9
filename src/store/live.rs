//! The sign-ins as they are recorded, for whoever follows them.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::domain::login_event::LoginEvent;
use crate::store::Result;

/// How many sign-ins are kept for a watcher who does not fetch them; one that falls further behind is told so.
const KEPT: usize = 1024;

/// What is told of at once.
#[async_trait]
pub trait LiveStore {
    /// Watches the sign-ins that are recorded from here on, by this process and every other one on the same database: each
    /// once, when it is committed, and in the order in which they were. More attempts of a flood are no new sign-in.
    async fn watch_logins(&self) -> Result<LoginWatch>;

    /// Grows with each change that this process makes to who somebody is and what they may do: whoever remembers something
    /// of accounts, users, roles, groups, sessions or tokens reads it again then. It has grown when the change is answered.
    /// Attempts to sign in and the last uses of sessions and tokens do not count, nor does what other processes change.
    fn changes(&self) -> u64;
}

/// Where a sign-in stands in the order in which they were recorded.
pub(super) type Place = u64;

/// One who watches.
#[derive(Debug)]
pub struct LoginWatch {
    events: broadcast::Receiver<(Place, Arc<LoginEvent>)>,
    /// What came up to here was recorded before the watch began.
    after: Place,
}

/// Sign-ins may have been missed, and the watch is over: the watcher was too slow, or the store lost the thread. The history
/// has them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sign-ins may have been missed")]
pub struct Missed;

impl LoginWatch {
    /// The next sign-in, once there is one.
    ///
    /// # Errors
    /// [`Missed`].
    pub async fn next(&mut self) -> std::result::Result<Arc<LoginEvent>, Missed> {
        loop {
            match self.events.recv().await {
                Ok((place, event)) if place > self.after => return Ok(event),
                Ok(_) => {}
                Err(RecvError::Lagged(_) | RecvError::Closed) => return Err(Missed),
            }
        }
    }
}

/// Tells every watcher.
#[derive(Debug)]
pub(super) struct Publisher(broadcast::Sender<(Place, Arc<LoginEvent>)>);

/// Finds the publisher as long as there is one.
#[derive(Debug)]
pub(super) struct WeakPublisher(broadcast::WeakSender<(Place, Arc<LoginEvent>)>);

impl Publisher {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(KEPT).0)
    }

    pub(super) fn publish(&self, place: Place, event: LoginEvent) {
        let _ = self.0.send((place, Arc::new(event))); // Err: nobody watches at the moment
    }

    /// One more watcher of what comes after that place.
    pub(super) fn watch(&self, after: Place) -> LoginWatch {
        LoginWatch {
            events: self.0.subscribe(),
            after,
        }
    }

    pub(super) fn has_watchers(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(super) fn downgrade(&self) -> WeakPublisher {
        WeakPublisher(self.0.downgrade())
    }
}

impl WeakPublisher {
    pub(super) fn upgrade(&self) -> Option<Publisher> {
        self.0.upgrade().map(Publisher)
    }
}

impl LoginWatch {
    /// Leaves out what was recorded up to there.
    pub(super) fn from(self, after: Place) -> Self {
        Self { after, ..self }
    }
}
