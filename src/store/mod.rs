//! The stores: where accounts, people, roles, groups, sessions and sign-ins are kept.
//!
//! Each method is one whole, atomic **intent**: it is carried out with everything that belongs to it (its audit entry,
//! the sessions it ends) or not at all, and whoever is told `Ok` finds it again after a crash of the process.
//! Reads of lists take **several filters at once** and answer each with its own page, so that a list within a list costs
//! one call however long the outer one is.
//!
//! # To add a backend
//! Implement the traits below for one type in a module beside `sqlite` and `mongo`, one file an aggregate, and run
//! the suite in `contract/` against it: what a backend must do that the signatures do not say stands there as tests. Uniqueness
//! comes from the database's constraint, never from a look before the write. Order and filters mean the same everywhere:
//! folded text by code point, nulls last in both directions, ties by id in the list's direction.
//! Each round trip to the database leaves one `trace` event of the target `doorward::store`.

mod avatar;
mod changes;
mod directory;
mod error;
mod history;
mod live;
mod login;
mod mail;
mod people;
mod tenancy;
mod token;
pub mod transfer;

#[cfg(test)]
pub mod contract;

pub mod mongo;
pub mod sqlite;

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

pub use avatar::AvatarStore;
pub use directory::DirectoryStore;
pub use error::{StoreError, Unique};
pub use history::{AuditStore, HistoryStore, LoginCounts, RECENT};
pub use live::{LiveStore, LoginWatch, Missed};
pub use login::{
    Candidate, FailureCount, FailureKey, Failures, Flood, Identity, LimitKey, LoginRecord, LoginStore, OpenedSession,
    RecordedLogin, Reservation, SessionStore, UserCandidate, WhichSessions,
};
pub(crate) use login::{Tally, admission};
pub use mail::{FoundLink, MailClaim, MailOutcome, MailStore, Minted, Redemption, ReportMark};
pub(crate) use mail::{USER_DELETED, unreadable};
pub use people::{NewPerson, Newest, UserStore, UserWithLogins};
pub use tenancy::{AccountStore, GroupStore, RoleStore};
pub use token::{TokenIdentity, TokenStore};
pub use transfer::TransferStore;

/// What every store answers with.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What is older than this may go.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Now: sessions, counters and leases that have expired go.
    pub now: Timestamp,
    /// Sign-ins from before this go.
    pub history_before: Timestamp,
    /// Audit entries from before this go.
    pub audit_before: Timestamp,
    /// Mails that were sent, given up or dropped, and were made before this, go.
    pub mail_before: Timestamp,
    /// Links that expired before this go.
    pub links_before: Timestamp,
}

/// One step of `doorward check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCheck {
    /// What was tried.
    pub name: String,
    /// What was found, or what is wrong and what would be right.
    pub outcome: std::result::Result<String, String>,
}

/// What a bulk load brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// People and what they belong to.
    People,
    /// Their sign-ins too.
    History,
}

impl Load {
    /// With fewer users than these a store puts indexes off until the load's end; with more, an index is kept up sooner than
    /// made anew.
    pub const FEW_USERS: u32 = 1_000;
}

/// What keeps a store itself in order.
#[async_trait]
pub trait Upkeep {
    /// Does the store answer? Asked by `/readyz`; must come back within two seconds.
    async fn ping(&self) -> Result<()>;

    /// Tries connection, version and indexes, step by step; a failed step does not hide the later ones that can be tried.
    async fn check(&self) -> Vec<StoreCheck>;

    /// Removes what has outlived its use, in bounded steps that hold up nobody; says how many entries went.
    async fn purge(&self, retention: &Retention) -> Result<u64>;

    /// Adds people in bulk, without audit entries, for `seed`; all or nothing for one call. Logins must be unique.
    async fn insert_people(&self, people: &[NewPerson]) -> Result<()>;

    /// A bulk load begins. A store may work with more memory until [`Self::end_load`], and put off what slows it down, until
    /// then, or the next start of any process if that never comes: indexes that only lists need, while there are few users,
    /// and with [`Load::History`] those of a history that is still empty.
    async fn begin_load(&self, load: Load) -> Result<()>;

    /// That bulk load is over: whatever was put off is made up for.
    async fn end_load(&self, load: Load) -> Result<()>;

    /// Lets go of the database: what was acknowledged is kept.
    async fn close(&self);
}

/// A whole store.
pub trait Store:
    AccountStore
    + UserStore
    + RoleStore
    + GroupStore
    + HistoryStore
    + AuditStore
    + SessionStore
    + TokenStore
    + AvatarStore
    + DirectoryStore
    + LoginStore
    + LiveStore
    + TransferStore
    + MailStore
    + Upkeep
    + Debug
    + Send
    + Sync
{
}

impl<T> Store for T where
    T: AccountStore
        + UserStore
        + RoleStore
        + GroupStore
        + HistoryStore
        + AuditStore
        + SessionStore
        + TokenStore
        + AvatarStore
        + DirectoryStore
        + LoginStore
        + LiveStore
        + TransferStore
        + MailStore
        + Upkeep
        + Debug
        + Send
        + Sync
{
}
