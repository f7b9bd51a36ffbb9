//! What looking after directory users takes: who is linked to which entry, and who is at it.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::audit::AuditEntry;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::mail::Mail;
use crate::domain::user::User;
use crate::store::Result;

/// The users' links to directories, and the leases of those who work through them.
#[async_trait]
pub trait DirectoryStore {
    /// The users of an account who are linked to these entries of a directory, in any order.
    async fn users_by_external_ids(
        &self,
        account: AccountId,
        directory: &str,
        external_ids: &[String],
    ) -> Result<Vec<User>>;

    /// The users of an account who go by one of these logins, in any order.
    async fn users_by_logins(&self, account: AccountId, logins: &[Login]) -> Result<Vec<User>>;

    /// Adds users without a password, each with its audit entry; all of one call or none.
    ///
    /// # Errors
    /// [`Taken`](crate::store::StoreError::Taken) by a login or an entry of one of them.
    async fn create_users(&self, users: &[(User, AuditEntry)]) -> Result<()>;

    /// LDAP users of an account who are linked to a directory, by id, from after `after` on; at most `limit`.
    async fn linked_users(
        &self,
        account: AccountId,
        directory: &str,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>>;

    /// LDAP users (linked or not) who have a session that has not expired at `now`, by id, from after `after` on; at most
    /// `limit`. The second value is where to go on (`None`: that was the last page); a page may be short, even empty, before
    /// the end.
    async fn signed_in_ldap_users(
        &self,
        now: Timestamp,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<UserId>)>;

    /// As [`UserStore::update_user`](crate::store::UserStore::update_user), for what a directory says: the rule that an
    /// account keeps an active master binds people, not the directory. Says `true` when the account is left without an active
    /// master by this (so that the log can say so): where `update_user` says
    /// [`LastMaster`](crate::store::StoreError::LastMaster).
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound),
    /// [`Taken`](crate::store::StoreError::Taken).
    async fn update_from_directory(
        &self,
        user: &User,
        expected_revision: i64,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<bool>;

    /// Notes that these users' entries were looked up and found at that moment (`directory_link.last_checked_at`). Grows no
    /// revision, never moves backwards, leaves users without a link alone.
    async fn touch_links(&self, users: &[UserId], at: Timestamp) -> Result<()>;

    /// Takes or renews a lease until `until`; `false` while another holder's has not run out at `now`. Of several that try
    /// at once one gets it.
    async fn take_lease(&self, name: &str, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool>;

    /// Lets go of a lease if it is this holder's.
    async fn drop_lease(&self, name: &str, holder: Uuid) -> Result<()>;

    /// Who holds a lease, run out or not.
    async fn lease_holder(&self, name: &str) -> Result<Option<Uuid>>;
}
