//! Accounts, and the roles and groups that they are made of.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::account::{Account, AccountName};
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId, RoleId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{AccountFilter, AccountOrder, NamedFilter};
use crate::domain::role::Role;
use crate::store::Result;

/// The accounts.
#[async_trait]
pub trait AccountStore {
    /// Adds an account with its Main group.
    ///
    /// # Errors
    /// [`Taken`](crate::store::StoreError::Taken) by the name.
    async fn create_account(&self, account: &Account, main_group: &Group, audit: &AuditEntry) -> Result<()>;

    /// Replaces an account whose revision is still `expected_revision`; `account.revision` is the new one. Name and time
    /// of creation stay. An account that is or was frozen loses its sessions in the same step: also one that was opened in the
    /// very moment of the freeze. One that refuses local passwords loses those of its local users.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound);
    /// [`LastMaster`](crate::store::StoreError::LastMaster) when an account comes to refuse local passwords and none of its
    /// masters who can sign in would still be able to.
    async fn update_account(&self, account: &Account, expected_revision: i64, audit: &AuditEntry) -> Result<()>;

    /// Deletes an account: from here on nobody of it signs in, and nothing of it is found through it. What it leaves
    /// behind goes in bounded steps, by [`Self::clear_deleted`].
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound).
    async fn delete_account(&self, account: AccountId, at: Timestamp, audit: &AuditEntry) -> Result<()>;

    /// Removes what deleted accounts left behind, its history and its audit log among it; says how many entries went.
    /// `now` decides when an account is looked after for the last time: an hour after its end, so that what was being
    /// written in that moment goes too.
    async fn clear_deleted(&self, now: Timestamp) -> Result<u64>;

    /// Those that exist, in any order.
    async fn accounts_by_ids(&self, ids: &[AccountId]) -> Result<Vec<Account>>;

    /// By name.
    async fn account_by_name(&self, name: &AccountName) -> Result<Option<Account>>;

    /// A page of the accounts.
    async fn accounts(&self, filter: &AccountFilter, order: AccountOrder, page: &PageRequest) -> Result<Page<Account>>;

    /// How many there are.
    async fn count_accounts(&self, filter: &AccountFilter) -> Result<u64>;
}

/// The roles.
#[async_trait]
pub trait RoleStore {
    /// Adds a role.
    ///
    /// # Errors
    /// [`Taken`](crate::store::StoreError::Taken) by the folded name.
    async fn create_role(&self, role: &Role, audit: &AuditEntry) -> Result<()>;

    /// Replaces name, description and permissions of a role whose revision is still `expected_revision`; `role.revision` is
    /// the new one.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound),
    /// [`Taken`](crate::store::StoreError::Taken).
    async fn update_role(&self, role: &Role, expected_revision: i64, audit: &AuditEntry) -> Result<()>;

    /// Deletes a role and takes it from every user who holds it; the users' revisions grow, at that moment.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound).
    async fn delete_role(&self, role: &Role, at: Timestamp, audit: &AuditEntry) -> Result<()>;

    /// Those that exist, in any order.
    async fn roles_by_ids(&self, ids: &[RoleId]) -> Result<Vec<Role>>;

    /// A page for each filter, by folded name.
    async fn roles(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Role>>>;

    /// A count for each filter.
    async fn count_roles(&self, filters: &[NamedFilter]) -> Result<Vec<u64>>;

    /// Adds roles in bulk, without audit entries, for `seed`; all or nothing for one call.
    async fn insert_roles(&self, roles: &[Role]) -> Result<()>;
}

/// The groups.
#[async_trait]
pub trait GroupStore {
    /// Adds a group.
    ///
    /// # Errors
    /// [`Taken`](crate::store::StoreError::Taken) by the folded name.
    async fn create_group(&self, group: &Group, audit: &AuditEntry) -> Result<()>;

    /// Replaces name and description of a group whose revision is still `expected_revision`; `group.revision` is the new
    /// one.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound),
    /// [`Taken`](crate::store::StoreError::Taken).
    async fn update_group(&self, group: &Group, expected_revision: i64, audit: &AuditEntry) -> Result<()>;

    /// Deletes a group and takes it from every user who is in it; who is in no other then falls back to the account's Main
    /// group. The users' revisions grow, at that moment. The Main group itself stays where it is.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound), also for the Main group.
    async fn delete_group(&self, group: &Group, at: Timestamp, audit: &AuditEntry) -> Result<()>;

    /// Those that exist, in any order.
    async fn groups_by_ids(&self, ids: &[GroupId]) -> Result<Vec<Group>>;

    /// The account's Main group.
    async fn main_group(&self, account: AccountId) -> Result<Option<Group>>;

    /// A page for each filter, by folded name.
    async fn groups(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Group>>>;

    /// A count for each filter.
    async fn count_groups(&self, filters: &[NamedFilter]) -> Result<Vec<u64>>;

    /// Adds groups in bulk, without audit entries, for `seed`; all or nothing for one call.
    async fn insert_groups(&self, groups: &[Group]) -> Result<()>;
}
