//! Those who stay connected. Who they are is found out again every second, for all of the process at once, so that nobody
//! stays for longer than their session and rights last, wherever these were taken from them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::access::Principal;
use crate::auth::BearerSecret;
use crate::domain::credentials::TokenHash;
use crate::service::{Connected, Result, Services, Shown};

/// How often is looked; also how old an answer may be that is relied on.
const EVERY: Duration = Duration::from_secs(1);
/// For how long somebody may stay while the store does not answer. They are told nothing meanwhile.
const UNCONFIRMED: Duration = Duration::from_secs(60);

/// Everybody who is connected to this process.
#[derive(Debug, Clone)]
pub struct Presence(Arc<Room>);

#[derive(Debug)]
struct Room {
    services: Arc<Services>,
    seats: Mutex<Seats>,
    /// Somebody cannot wait for the next look.
    hurry: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Arc<Seat>>,
    /// There is a task that looks.
    is_watched: bool,
}

#[derive(Debug)]
struct Seat {
    token_hash: TokenHash,
    shown: Shown,
    uses: AtomicUsize,
    standing: watch::Sender<Standing>,
}

#[derive(Debug, Clone)]
enum Standing {
    /// May be here, as was found out at that moment.
    Here(Arc<Principal>, Instant),
    /// Must go.
    Gone(Gone),
}

/// Why somebody may not stay connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The session is over, or whoever has it may no longer be here.
    Ended,
    /// Whether it is cannot be found out.
    Unconfirmed,
}

impl Presence {
    /// Nobody yet.
    #[must_use]
    pub fn new(services: Arc<Services>) -> Self {
        Self(Arc::new(Room {
            services,
            seats: Mutex::default(),
            hurry: Notify::new(),
        }))
    }

    /// A place for whoever has this secret; `None` when it opens nothing.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn enter(&self, secret: &BearerSecret) -> Result<Option<Place>> {
        let asked = Instant::now();
        let shown = match secret {
            BearerSecret::Session(_) => Shown::Session,
            BearerSecret::Token(_) => Shown::Token,
        };
        let principal = self.0.services.identify_bearer(secret).await?;
        Ok(principal.map(|principal| self.seat((secret.hash(), shown), Arc::new(principal), asked)))
    }

    fn seat(&self, (token_hash, shown): (TokenHash, Shown), principal: Arc<Principal>, asked: Instant) -> Place {
        let seat = Arc::new(Seat {
            token_hash,
            shown,
            uses: AtomicUsize::new(0),
            standing: watch::Sender::new(Standing::Here(principal, asked)),
        });
        let mut seats = self.0.seats();
        let number = seats.next;
        seats.next += 1;
        seats.taken.insert(number, Arc::clone(&seat));
        if !seats.is_watched {
            seats.is_watched = true;
            tokio::spawn(keep_looking(Arc::clone(&self.0)));
        }
        Place(Arc::new(Taken {
            room: Arc::clone(&self.0),
            number,
            seat,
        }))
    }
}

impl Room {
    /// Nothing that is written under this lock can be left half done, so a panic elsewhere does not spoil it.
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds out about everybody; false when the store does not answer.
    async fn look(&self, taken: &[Arc<Seat>]) -> bool {
        let asked = Instant::now();
        let connected: Vec<Connected> = taken.iter().map(|seat| seat.connected()).collect();
        match self.services.identify_all(&connected).await {
            Ok(found) => {
                for (seat, principal) in taken.iter().zip(found) {
                    let found = principal.map_or(Standing::Gone(Gone::Ended), |principal| {
                        Standing::Here(Arc::new(principal), asked)
                    });
                    seat.standing.send_if_modified(|standing| {
                        let was_here = matches!(standing, Standing::Here(..));
                        if was_here {
                            *standing = found; // whoever must go does not come back
                        }
                        was_here
                    });
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "who is connected could not be found out");
                for seat in taken {
                    seat.standing.send_if_modified(|standing| {
                        let is_over = matches!(standing, Standing::Here(_, at) if at.elapsed() > UNCONFIRMED);
                        if is_over {
                            *standing = Standing::Gone(Gone::Unconfirmed);
                        }
                        is_over
                    });
                }
                false
            }
        }
    }
}

/// Looks as long as anybody is there.
async fn keep_looking(room: Arc<Room>) {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_answered = true;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = room.hurry.notified() => {}
        }
        let taken: Vec<Arc<Seat>> = {
            let mut seats = room.seats();
            if seats.taken.is_empty() {
                seats.is_watched = false;
                return;
            }
            seats.taken.values().cloned().collect()
        };
        // In a task of its own: were it to panic, those who are there would stay unwatched.
        let looking = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.look(&taken).await }
        });
        let answered = looking.await.unwrap_or(false);
        if is_answered && !answered {
            tracing::warn!("who is connected cannot be confirmed; nobody is told anything until it can");
        }
        is_answered = answered;
    }
}

impl Seat {
    fn connected(&self) -> Connected {
        Connected {
            token_hash: self.token_hash,
            shown: self.shown,
            is_using: self.uses.load(Ordering::Relaxed) > 0,
        }
    }
}

/// Somebody's place among those who are connected; it is left when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    room: Arc<Room>,
    number: u64,
    seat: Arc<Seat>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.seats().taken.remove(&self.number);
    }
}

impl Place {
    /// Who it is, as far as is known; nobody once they must go.
    #[must_use]
    pub fn principal(&self) -> Arc<Principal> {
        match &*self.0.seat.standing.borrow() {
            Standing::Here(principal, _) => Arc::clone(principal),
            Standing::Gone(_) => Arc::new(Principal::Nobody),
        }
    }

    /// Who it is, found out within the last second: waits for that when it must.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn confirmed(&self) -> std::result::Result<Arc<Principal>, Gone> {
        let mut standing = self.0.seat.standing.subscribe();
        loop {
            match &*standing.borrow_and_update() {
                Standing::Here(principal, at) if at.elapsed() <= EVERY => return Ok(Arc::clone(principal)),
                Standing::Here(..) => self.0.room.hurry.notify_one(),
                Standing::Gone(why) => return Err(*why),
            }
            if standing.changed().await.is_err() {
                return Err(Gone::Unconfirmed); // not while the place is held
            }
        }
    }

    /// Waits until they must go.
    pub async fn gone(&self) -> Gone {
        let mut standing = self.0.seat.standing.subscribe();
        match standing
            .wait_for(|standing| matches!(standing, Standing::Gone(_)))
            .await
            .as_deref()
        {
            Ok(Standing::Gone(why)) => *why,
            Ok(Standing::Here(..)) | Err(_) => Gone::Unconfirmed, // not while the place is held
        }
    }

    /// As long as what is returned lives, being connected counts as a use of the session.
    #[must_use]
    pub fn in_use(&self) -> InUse {
        self.0.seat.uses.fetch_add(1, Ordering::Relaxed);
        InUse(self.clone())
    }
}

/// See [`Place::in_use`].
#[derive(Debug)]
pub struct InUse(Place);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.0.seat.uses.fetch_sub(1, Ordering::Relaxed);
    }
}
