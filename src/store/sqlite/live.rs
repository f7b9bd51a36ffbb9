//! The sign-ins as they are recorded. SQLite tells nobody what another process wrote, so while somebody watches the file is
//! asked a few times a second whether it has changed, and if so which rows are new.
//!
//! Writers take turns, so the rows' numbers grow in the order of the commits. Only two things upset them: when the rows
//! with the highest numbers are deleted those numbers come again, and `VACUUM` may give new ones. So some rows that were
//! seen last are remembered, and the new ones are counted from the last of them that is still where it was.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Mutex;

use crate::domain::login_event::LoginEvent;
use crate::store::live::Publisher;
use crate::store::sqlite::rows::{self, Blob, Id, all};
use crate::store::sqlite::{SqliteStore, connection};
use crate::store::{LiveStore, LoginWatch, Result, StoreError};

/// How often the file is asked.
const EVERY: Duration = Duration::from_millis(200);
/// The most rows of one reading.
const STEP: usize = 500;
/// How many rows are remembered.
const REMEMBERED: usize = 256;

/// What runs while somebody watches.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed(Arc<Mutex<Option<Running>>>);

#[derive(Debug)]
struct Running {
    tail: Tail,
    publisher: Publisher,
    /// How many sign-ins were told of.
    told: u64,
    /// The last reading failed.
    is_failing: bool,
    /// The task that reads lives as long as this.
    alive: Arc<()>,
}

impl Feed {
    /// Ends every watch.
    pub(super) async fn close(&self) {
        *self.0.lock().await = None;
    }

    async fn tick(&self, alive: &Weak<()>) -> Option<()> {
        tokio::time::sleep(EVERY).await;
        let mut slot = self.0.lock().await;
        alive.upgrade()?;
        let running = slot.take().filter(|running| running.publisher.has_watchers())?;
        *slot = running.catch_up().await;
        slot.is_some().then_some(())
    }
}

impl Running {
    async fn start(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let tail = blocking(move || Tail::open(&path)).await?;
        Ok(Self {
            tail,
            publisher: Publisher::new(),
            told: 0,
            is_failing: false,
            alive: Arc::new(()),
        })
    }

    /// Tells of what is new; `None` when the thread is lost, which ends every watch.
    async fn catch_up(self) -> Option<Self> {
        let Self {
            mut tail,
            publisher,
            mut told,
            mut is_failing,
            alive,
        } = self;
        loop {
            let (back, read) = tokio::task::spawn_blocking(move || {
                let read = tail.read();
                (tail, read)
            })
            .await
            .ok()?;
            tail = back;
            match read {
                Ok(Some(events)) => {
                    for event in events {
                        told += 1;
                        publisher.publish(told, event);
                        tokio::task::yield_now().await; // so that the watchers keep up with a burst
                    }
                    is_failing = false;
                }
                Ok(None) => {
                    is_failing = false;
                    break;
                }
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(%error, "the sign-ins cannot be followed");
                    return None;
                }
                Err(error) => {
                    if !is_failing {
                        tracing::warn!(%error, "the sign-ins cannot be followed at the moment; it is tried again");
                    }
                    is_failing = true;
                    break;
                }
            }
        }
        Some(Self {
            tail,
            publisher,
            told,
            is_failing,
            alive,
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StoreError::Unavailable(format!("the call ended early: {e}")))?
}

#[async_trait]
impl LiveStore for SqliteStore {
    fn changes(&self) -> u64 {
        self.changes.count()
    }

    async fn watch_logins(&self) -> Result<LoginWatch> {
        let mut slot = self.feed.0.lock().await;
        // Whoever watches already is told first, so that the new one begins at this moment.
        let running = match slot.take() {
            Some(running) => running.catch_up().await,
            None => None,
        };
        let running = match running {
            Some(running) => running,
            None => {
                let running = Running::start(&self.path).await?;
                let (feed, alive) = (self.feed.clone(), Arc::downgrade(&running.alive));
                tokio::spawn(async move { while feed.tick(&alive).await.is_some() {} });
                running
            }
        };
        let watch = running.publisher.watch(running.told);
        *slot = Some(running);
        Ok(watch)
    }
}

/// The end of the history, on a connection of its own.
#[derive(Debug)]
struct Tail {
    connection: Connection,
    /// What `data_version` was when everything had been read.
    version: i64,
    /// Number and identifier of the rows that were seen last, oldest first.
    seen: VecDeque<(i64, Blob)>,
    /// There was no row before the first of these.
    is_whole: bool,
}

/// Changes whenever another connection, of this process or another, has committed.
fn data_version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

impl Tail {
    fn open(path: &Path) -> Result<Self> {
        let connection = connection::open_reader(path)?;
        let version = data_version(&connection)?;
        let mut seen = VecDeque::from(all(
            &connection,
            "SELECT rowid, id FROM login_events ORDER BY rowid DESC LIMIT ?",
            [i64::try_from(REMEMBERED).unwrap_or(i64::MAX)],
            |row| Ok((row.get()?, row.get()?)),
        )?);
        seen.make_contiguous().reverse();
        Ok(Self {
            is_whole: seen.len() < REMEMBERED,
            connection,
            version,
            seen,
        })
    }

    /// The next new rows, in order; `None` when there are none.
    fn read(&mut self) -> Result<Option<Vec<LoginEvent>>> {
        // Asked first: what is committed from here on changes it again.
        let version = data_version(&self.connection)?;
        if version == self.version {
            return Ok(None);
        }
        let transaction = self.connection.transaction()?;
        let (mut seen, mut moved) = (self.seen.clone(), HashSet::new());
        let last = loop {
            let Some((number, id)) = seen.back().copied() else {
                break 0;
            };
            let found: Option<Blob> = transaction
                .prepare_cached("SELECT id FROM login_events WHERE rowid = ?")?
                .query_row([number], |row| row.get(0))
                .optional()?;
            if found == Some(id) {
                break number;
            }
            seen.pop_back();
            moved.insert(id);
        };
        if seen.is_empty() && !self.is_whole {
            return Err(StoreError::Corrupt(
                "none of the last sign-ins is where it was; the new ones cannot be told from the old".to_owned(),
            ));
        }
        let sql = format!(
            "SELECT rowid, {} FROM login_events WHERE rowid > ? ORDER BY rowid LIMIT ?",
            rows::LOGIN_EVENT
        );
        let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
        let found = all(&transaction, &sql, params![last, limit], |row| {
            Ok((row.get::<i64>()?, rows::login_event(row)?))
        })?;
        drop(transaction);

        let count = found.len();
        let mut events = Vec::with_capacity(count);
        for (number, event) in found {
            let id = event.id.blob();
            seen.push_back((number, id));
            if !moved.contains(&id) {
                events.push(event);
            }
        }
        while seen.len() > REMEMBERED {
            seen.pop_front();
            self.is_whole = false;
        }
        self.seen = seen;
        if count < STEP {
            self.version = version;
        }
        Ok((count > 0).then_some(events))
    }
}
