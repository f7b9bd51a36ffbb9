//! The service connections to one server, shared by all look-ups.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::error::{DirectoryError, Step};

/// The most connections. LDAP answers many questions at once over one, so that a few are enough.
const CONNECTIONS: usize = 4;
/// With so many questions under way on each open connection another one is opened.
const CROWD: usize = 8;
/// A connection that was idle for longer is asked whether it still lives before it is used: firewalls forget idle
/// connections without telling either end.
const PROBE_AFTER_IDLE: Duration = Duration::from_secs(5);
/// The share of a server's time that such a question may take, so that there is time left for a new connection.
const PROBE_SHARE: u32 = 3;

/// The connections, opened as they are needed.
#[derive(Debug, Default)]
pub(super) struct Pool {
    places: [Place; CONNECTIONS],
}

#[derive(Debug, Default)]
struct Place {
    /// Held while a connection is opened or asked whether it lives: whoever comes then waits for that one.
    opening: tokio::sync::Mutex<()>,
    open: Mutex<Option<Open>>,
    under_way: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    opened_at: Moment,
    used_at: Moment,
}

/// A connection in use by one look-up. It stays in the pool.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Connection,
    under_way: Arc<AtomicUsize>,
}

impl Lease {
    fn new(connection: Connection, under_way: &Arc<AtomicUsize>) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self {
            connection,
            under_way: Arc::clone(under_way),
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// A connection that lives, as far as can be told, or a new one by `open`; and whether it is new. With `newer` only one
    /// that was opened since then will do.
    pub async fn lease<F>(
        &self,
        server: &Arc<str>,
        (deadline, timeout): (Instant, Duration),
        newer: Option<Moment>,
        open: impl FnOnce() -> F,
    ) -> Result<(Lease, bool), DirectoryError>
    where
        F: Future<Output = Result<Connection, DirectoryError>>,
    {
        let place = self.place();
        if let Some(connection) = place.fresh(newer) {
            return Ok((Lease::new(connection, &place.under_way), false));
        }
        let overdue = |_| DirectoryError::TimedOut {
            server: Arc::clone(server),
            step: Step::ServiceBind,
        };
        let _opening = timeout_at(deadline, place.opening.lock()).await.map_err(overdue)?;
        // Whoever was first has opened it or has seen that it lives.
        if let Some(connection) = place.fresh(newer) {
            return Ok((Lease::new(connection, &place.under_way), false));
        }
        let idle = place.with_open(|open| open.as_ref().map(|open| open.connection.clone()));
        if let Some(connection) = idle.filter(|connection| newer.is_none() && !connection.is_closed()) {
            let limit = deadline.min(Instant::now() + timeout / PROBE_SHARE);
            if connection.probe(limit).await.is_ok() {
                place.use_again(&connection);
                return Ok((Lease::new(connection, &place.under_way), false));
            }
        }
        place.with_open(|open| *open = None);
        let connection = open().await?;
        place.keep(&connection);
        Ok((Lease::new(connection, &place.under_way), true))
    }

    /// The first place that is not crowded, or else the emptiest: a quiet server has one connection.
    fn place(&self) -> &Place {
        let crowd = |place: &Place| place.under_way.load(Ordering::Relaxed);
        let free = self.places.iter().find(|place| crowd(place) < CROWD);
        let emptiest = || self.places.iter().min_by_key(|place| crowd(place));
        // There are places, so there is an emptiest one.
        free.or_else(emptiest).unwrap_or(&self.places[0])
    }

    /// Forgets a connection, wherever it is kept.
    pub fn discard(&self, lease: &Lease) {
        for place in &self.places {
            place.with_open(|open| {
                if open
                    .as_ref()
                    .is_some_and(|open| open.connection.is_same(&lease.connection))
                {
                    *open = None;
                }
            });
        }
    }
}

impl Place {
    /// The connection, when it was used a moment ago.
    fn fresh(&self, newer: Option<Moment>) -> Option<Connection> {
        self.with_open(|open| {
            let open = open.as_mut()?;
            let will_do = newer.is_none_or(|newer| open.opened_at >= newer);
            let lives = will_do && !open.connection.is_closed() && open.used_at.elapsed() < PROBE_AFTER_IDLE;
            lives.then(|| {
                open.used_at = Moment::now();
                open.connection.clone()
            })
        })
    }

    fn use_again(&self, connection: &Connection) {
        self.with_open(|open| {
            if let Some(open) = open.as_mut().filter(|open| open.connection.is_same(connection)) {
                open.used_at = Moment::now();
            }
        });
    }

    fn keep(&self, connection: &Connection) {
        self.with_open(|open| {
            *open = Some(Open {
                connection: connection.clone(),
                opened_at: Moment::now(),
                used_at: Moment::now(),
            });
        });
    }

    fn with_open<T>(&self, act: impl FnOnce(&mut Option<Open>) -> T) -> T {
        // Nothing can panic midway while the lock is held, so a poisoned value is whole.
        act(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
