//! Users and their passwords.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, PasswordChange, PasswordHash};
use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::Mail;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{UserFilter, UserOrder};
use crate::domain::user::User;
use crate::store::{FailureKey, Result};

/// How many of a user's newest sign-ins come with it, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// The most, up to [`RECENT`](crate::store::RECENT).
    pub limit: usize,
    /// Only those at this moment or later.
    pub not_before: Timestamp,
    /// Each with what was typed, its operating system, device, User-Agent and detail, which are most of its bytes; else these
    /// are empty.
    pub details: bool,
    /// The user with its last sign-in; else `last_login` is empty, whether there was one or not.
    pub last_login: bool,
}

/// A user with its newest sign-ins, newest first.
pub type UserWithLogins = (User, Vec<LoginEvent>);

/// A user with a password and sign-ins of the past, for bulk loading.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// The user; `last_login` must be the newest success among the events.
    pub user: User,
    /// Its local password.
    pub password: Option<PasswordHash>,
    /// Its sign-ins, in any order.
    pub events: Vec<LoginEvent>,
}

/// The users. Mails that come with a change are queued together with it or not at all (see [`MailStore`](crate::store::MailStore)).
#[async_trait]
pub trait UserStore {
    /// Adds a user, with a local password when one is given. `has_password` and `password_changed_at` are the caller's
    /// to fill in accordingly. A role or a group that is gone by then is not granted, just as if it were deleted right
    /// after; whoever is in no group for that reason is in the Main group.
    ///
    /// # Errors
    /// [`Taken`](crate::store::StoreError::Taken) by the login, or by the directory's entry that it is linked to.
    async fn create_user(
        &self,
        user: &User,
        password: Option<&PasswordHash>,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()>;

    /// Adds this user only if its account has none at all; says whether it did. Of several processes that try at once,
    /// one does.
    async fn create_first_user(&self, user: &User, password: &PasswordHash, audit: &AuditEntry) -> Result<bool>;

    /// Replaces a user whose revision is still `expected_revision`; `user.revision` is the new one. What belongs to other
    /// intents stays as it is stored: account, time of creation, password, last sign-in, lock. A user that is disabled by
    /// this, or signs in another way from now on, loses its sessions in the same step; one that turns into an LDAP user
    /// loses its local password. What is granted is looked at as in [`Self::create_user`]. A link to the
    /// same entry of a directory keeps the later of the stored and the given `last_checked_at`.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound),
    /// [`Taken`](crate::store::StoreError::Taken), and [`LastMaster`](crate::store::StoreError::LastMaster) when no other
    /// active master would be left, also when two try at once; one without a password and without the directory's does not
    /// stand in for one who can sign in, nor does one with a local password where these are refused.
    async fn update_user(&self, user: &User, expected_revision: i64, audit: &AuditEntry, mails: &[Mail]) -> Result<()>;

    /// Sets a local password at `expected_revision`, keeps the old hash in the history, grows the revision by one, and
    /// ends the user's sessions except `keep_session`.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound).
    async fn set_password(
        &self,
        user: UserId,
        expected_revision: i64,
        change: &PasswordChange,
        keep_session: Option<SessionId>,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()>;

    /// Removes a user whose revision is still `expected_revision`, with its password, sessions and links; its sign-ins stay in
    /// the history. Mails to it that wait are dropped.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound),
    /// [`LastMaster`](crate::store::StoreError::LastMaster).
    async fn delete_user(&self, user: UserId, expected_revision: i64, audit: &AuditEntry) -> Result<()>;

    /// Takes a lock off: clears `locked_until` and the counters of these logins, from every network. Grows no revision. Says
    /// whether anything was locked at the entry's time; the entry is written when it was.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound).
    async fn unlock_user(&self, user: UserId, login_keys: &[FailureKey], audit: &AuditEntry) -> Result<bool>;

    /// Those that exist, in any order.
    async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<User>>;

    /// By account and login.
    async fn user_by_login(&self, account: AccountId, login: &Login) -> Result<Option<User>>;

    /// A page for each filter.
    async fn users(&self, filters: &[UserFilter], order: UserOrder, page: &PageRequest) -> Result<Vec<Page<User>>>;

    /// The same with the newest sign-ins of each of these users, in no more round trips; their details may take one more.
    async fn users_with_logins(
        &self,
        filters: &[UserFilter],
        order: UserOrder,
        page: &PageRequest,
        newest: Newest,
    ) -> Result<Vec<Page<UserWithLogins>>>;

    /// A count for each filter.
    async fn count_users(&self, filters: &[UserFilter]) -> Result<Vec<u64>>;

    /// A user's password hashes; `None` when there is no such user.
    async fn credentials(&self, user: UserId) -> Result<Option<Credentials>>;
}
