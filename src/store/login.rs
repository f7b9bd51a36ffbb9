//! What a sign-in reads and writes, and the sessions that it opens.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::domain::account::{Account, AccountName};
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, PasswordHash, TokenHash};
use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::Mail;
use crate::domain::role::Role;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::store::Result;

/// Whom a typed login may mean.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The account.
    pub account: Account,
    /// The user, when the account has one by that login.
    pub user: Option<UserCandidate>,
}

/// A user who may be signing in.
#[derive(Debug, Clone)]
pub struct UserCandidate {
    /// The user.
    pub user: User,
    /// Its password hashes.
    pub credentials: Credentials,
}

/// Names a counter of attempts: a digest, so that no typed text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey(pub [u8; 32]);

/// Names a counter of wrong passwords.
///
/// `login` is a digest of account and login, `network` one of the client's network: `None` counts them from everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FailureKey {
    /// The account that the login belongs to; `system` for accounts that do not exist.
    pub account: AccountId,
    /// Digest of what counts as one login.
    pub login: [u8; 32],
    /// Digest of what counts as one network.
    pub network: Option<[u8; 32]>,
}

/// One wrong password for one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureCount {
    /// The counter.
    pub key: FailureKey,
    /// How many lock.
    pub threshold: u32,
    /// For how long it locks from the last failure on; also how long a failure is remembered.
    pub window: Duration,
    /// Whether a lock of this counter shows as the user's `locked_until`.
    pub locks_user: bool,
}

/// Whether an attempt may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// It may: it has a place in each of its counters.
    Held,
    /// Not before then: a counter locks.
    Locked(Timestamp),
    /// Not at this moment: as many are being tried as may still fail before a counter locks. What they come to decides.
    Full,
}

/// What a sign-in does to the counters of wrong passwords. The place that it has in one goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failures {
    /// Nothing: it was no wrong password.
    Unchanged,
    /// One more in each of these.
    Count(Vec<FailureCount>),
    /// None any more in these; the user's lock goes, unless the same login is still locked in another network.
    Reset(Vec<FailureKey>),
}

/// What a counter of wrong passwords holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    /// Wrong passwords.
    pub count: u32,
    /// When the last of them came.
    pub last_at: Timestamp,
    /// Attempts that have a place.
    pub pending: u32,
    /// When the last of them took it.
    pub reserved_at: Option<Timestamp>,
    /// Until when it locks, or locked.
    pub locked_until: Option<Timestamp>,
}

impl FailureCount {
    /// May one more be tried at `at`, by what the counter holds?
    fn admits(&self, tally: &Tally, at: Timestamp) -> Reservation {
        let window = SignedDuration::try_from(self.window).unwrap_or(SignedDuration::MAX);
        let is_recent = |since: Timestamp| at.duration_since(since) < window;
        let count = if is_recent(tally.last_at) { tally.count } else { 0 };
        let pending = if tally.reserved_at.is_some_and(is_recent) {
            tally.pending
        } else {
            0
        };
        if let Some(until) = tally.locked_until.filter(|until| *until > at) {
            Reservation::Locked(until)
        } else if self.threshold == 0 {
            Reservation::Held
        } else if count >= self.threshold {
            // It did not lock when it was counted: the threshold was higher then.
            Reservation::Locked(tally.last_at.checked_add(window).unwrap_or(Timestamp::MAX))
        } else if count.saturating_add(pending) >= self.threshold {
            Reservation::Full
        } else {
            Reservation::Held
        }
    }
}

/// Is there a place in each counter for an attempt at `at`? A counter that is not there yet has one.
pub(crate) fn admission(
    counters: impl IntoIterator<Item = (FailureCount, Option<Tally>)>,
    at: Timestamp,
) -> Reservation {
    let mut admission = Reservation::Held;
    for (counter, tally) in counters {
        let Some(tally) = tally else { continue };
        admission = match (admission, counter.admits(&tally, at)) {
            (Reservation::Locked(one), Reservation::Locked(other)) => Reservation::Locked(one.max(other)),
            (locked @ Reservation::Locked(_), _) | (_, locked @ Reservation::Locked(_)) => locked,
            (Reservation::Full, _) | (_, Reservation::Full) => Reservation::Full,
            (Reservation::Held, Reservation::Held) => Reservation::Held,
        };
    }
    admission
}

/// A session that a successful sign-in opens.
#[derive(Debug, Clone)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// SHA-256 of its secret.
    pub token_hash: TokenHash,
    /// The user's revision when its password was checked.
    pub user_revision: i64,
    /// A new hash of the same password, with today's parameters.
    pub rehashed: Option<PasswordHash>,
}

/// One attempt to sign in, with everything that it changes.
#[derive(Debug, Clone)]
pub struct LoginRecord {
    /// The history's entry.
    pub event: LoginEvent,
    /// On success: the session.
    pub opened: Option<OpenedSession>,
    /// The counters.
    pub failures: Failures,
    /// Counters in which the attempt had a place that it turned out not to need.
    pub released: Vec<FailureKey>,
    /// Mails about it.
    pub mails: Vec<Mail>,
    /// A mail that goes only if this very attempt locks the user: it was not locked at the event's time, and is from here on.
    pub on_lock: Option<Mail>,
}

/// What recording an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedLogin {
    /// Until when the login is locked from here on: by this attempt, or after a success in another network still.
    pub locked_until: Option<Timestamp>,
}

/// Attempts over a limit: all those of one window are one event.
#[derive(Debug, Clone)]
pub struct Flood {
    /// The event as the window's first attempt over the limit leaves it; its `id` is the same for the whole window.
    pub event: LoginEvent,
}

/// What a sign-in needs.
#[async_trait]
pub trait LoginStore {
    /// The account and the user with its hashes, in one look; `None` when there is no such account.
    async fn candidate(&self, account: &AccountName, login: Option<&Login>) -> Result<Option<Candidate>>;

    /// Adds one attempt to each counter of the window that began at `window_start` and lasts `window`, and says how many
    /// each has by now. Counters outlive their window by no more than a few minutes.
    async fn count_attempts(&self, keys: &[LimitKey], window_start: Timestamp, window: Duration) -> Result<Vec<u32>>;

    /// Until when each counter locks; `None` when it does not at `now`.
    async fn locks(&self, keys: &[FailureKey], now: Timestamp) -> Result<Vec<Option<Timestamp>>>;

    /// Takes a place for an attempt in each counter, or in none: of all processes together, no more attempts are ever under
    /// way than may fail before a counter locks, so none of them can be one too many. [`Self::record_login`] ends a place:
    /// it counts it, resets it or releases it. A process that is killed in between leaves its place taken until the counter's
    /// window has passed since the last one was taken, or an [unlock](crate::store::UserStore::unlock_user): one attempt
    /// too few is the safe side to err on.
    async fn reserve(&self, counters: &[FailureCount], at: Timestamp) -> Result<Reservation>;

    /// Records one attempt, all at once: the event, the user's last sign-ins, the counters, its mails, and on success the
    /// session and the new hash. Grows neither `revision` nor `updated_at`. A counter whose window passed since its last failure
    /// starts again at one; the failure that reaches the threshold locks for the window.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict) when a session is to be opened and the user's revision is no longer
    /// `user_revision`, [`NotFound`](crate::store::StoreError::NotFound) when that user is gone; nothing is recorded then.
    async fn record_login(&self, record: &LoginRecord) -> Result<RecordedLogin>;

    /// Records one more attempt over a limit: the first writes the event, each later one of the window adds one to its
    /// `attempts`.
    async fn record_flood(&self, flood: &Flood) -> Result<()>;
}

/// Who a session's secret belongs to, and what they may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// The user's account.
    pub account: Account,
    /// The user's roles.
    pub roles: Vec<Role>,
}

/// Which of a user's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichSessions {
    /// This one, if it is the user's.
    One(SessionId),
    /// All, but for the one to keep.
    AllBut(Option<SessionId>),
}

/// The sessions.
#[async_trait]
pub trait SessionStore {
    /// The session of a secret with its user, account and roles; `None` when there is none. Whether it has expired is the
    /// caller's to judge.
    async fn identity(&self, token_hash: &TokenHash) -> Result<Option<Identity>>;

    /// The same for many secrets at once, in their order.
    async fn identities(&self, token_hashes: &[TokenHash]) -> Result<Vec<Option<Identity>>>;

    /// Those that exist and have not expired at `now`, in any order.
    async fn sessions_by_ids(&self, ids: &[SessionId], now: Timestamp) -> Result<Vec<Session>>;

    /// Those of these users that have not expired at `now`, newest first, at most 200 a user.
    async fn sessions_of_users(&self, users: &[UserId], now: Timestamp) -> Result<Vec<Session>>;

    /// Remembers that a session was used; never moves backwards.
    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()>;

    /// Ends a session; says whether there was one.
    async fn end_session(&self, id: SessionId) -> Result<bool>;

    /// As [`Self::identity`], by the session's id.
    async fn session_identity(&self, id: SessionId) -> Result<Option<Identity>>;

    /// Ends sessions of one user; says how many there were. The audit entry is written when there were any.
    async fn revoke_sessions(&self, user: UserId, which: WhichSessions, audit: &AuditEntry) -> Result<u64>;

    /// Opens a session in which somebody else acts, with its event in the history and its audit entry. It is not the user's
    /// own sign-in: neither `last_login` nor the counters move.
    ///
    /// # Errors
    /// As [`LoginStore::record_login`].
    async fn open_impersonation(
        &self,
        opened: &OpenedSession,
        event: &LoginEvent,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()>;
}
