//! `accounts`, `roles` and `groups`.

use serde::{Deserialize, Serialize};

use super::{At, Id};
use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::group::Group;
use crate::domain::password::PasswordPolicy;
use crate::domain::role::{Permission, Role};
use crate::domain::text::fold;

/// [`Account`].
///
/// The stored document also holds `serial`, which grows whenever a step must see every other step of the same account
/// (see `MongoStore::serialise`); nobody reads it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct AccountDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    name: AccountName,
    title: String,
    title_fold: String,
    status: AccountStatus,
    time_zone: String,
    default_language: Language,
    directory: Option<String>,
    directory_only: bool,
    password_policy: PasswordPolicy,
    created_at: At,
    updated_at: At,
    revision: i64,
}

impl From<&Account> for AccountDocument {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.into(),
            name: account.name.clone(),
            title: account.title.clone(),
            title_fold: fold(&account.title),
            status: account.status,
            time_zone: account.time_zone.clone(),
            default_language: account.default_language,
            directory: account.directory.clone(),
            directory_only: account.directory_only,
            password_policy: account.password_policy,
            created_at: account.created_at.into(),
            updated_at: account.updated_at.into(),
            revision: account.revision,
        }
    }
}

impl From<AccountDocument> for Account {
    fn from(account: AccountDocument) -> Self {
        Self {
            id: account.id.into(),
            name: account.name,
            title: account.title,
            status: account.status,
            time_zone: account.time_zone,
            default_language: account.default_language,
            directory: account.directory,
            directory_only: account.directory_only,
            password_policy: account.password_policy,
            created_at: account.created_at.into(),
            updated_at: account.updated_at.into(),
            revision: account.revision,
        }
    }
}

/// [`Role`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct RoleDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    account: Id,
    name: String,
    name_fold: String,
    description: String,
    permissions: Vec<Permission>,
    created_at: At,
    updated_at: At,
    revision: i64,
}

impl From<&Role> for RoleDocument {
    fn from(role: &Role) -> Self {
        Self {
            id: role.id.into(),
            account: role.account.into(),
            name: role.name.clone(),
            name_fold: fold(&role.name),
            description: role.description.clone(),
            permissions: role.permissions.clone(),
            created_at: role.created_at.into(),
            updated_at: role.updated_at.into(),
            revision: role.revision,
        }
    }
}

impl From<RoleDocument> for Role {
    fn from(role: RoleDocument) -> Self {
        Self {
            id: role.id.into(),
            account: role.account.into(),
            name: role.name,
            description: role.description,
            permissions: role.permissions,
            created_at: role.created_at.into(),
            updated_at: role.updated_at.into(),
            revision: role.revision,
        }
    }
}

/// [`Group`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct GroupDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    account: Id,
    name: String,
    name_fold: String,
    description: String,
    is_main: bool,
    created_at: At,
    updated_at: At,
    revision: i64,
}

impl From<&Group> for GroupDocument {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.into(),
            account: group.account.into(),
            name: group.name.clone(),
            name_fold: fold(&group.name),
            description: group.description.clone(),
            is_main: group.is_main,
            created_at: group.created_at.into(),
            updated_at: group.updated_at.into(),
            revision: group.revision,
        }
    }
}

impl From<GroupDocument> for Group {
    fn from(group: GroupDocument) -> Self {
        Self {
            id: group.id.into(),
            account: group.account.into(),
            name: group.name,
            description: group.description,
            is_main: group.is_main,
            created_at: group.created_at.into(),
            updated_at: group.updated_at.into(),
            revision: group.revision,
        }
    }
}
