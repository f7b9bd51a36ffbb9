//! A role: permissions under one name.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, RoleId};
use crate::domain::text::TextError;

/// What may be done: `resource:action`, Doorward's own (`users:read` …) or an application's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(String);

impl Permission {
    /// The longest permission, in characters.
    pub const MAX: usize = 128;
    /// See every user of the account.
    pub const USERS_READ: &'static str = "users:read";
    /// Create and change users.
    pub const USERS_WRITE: &'static str = "users:write";
    /// Create and change roles.
    pub const ROLES_WRITE: &'static str = "roles:write";
    /// Create and change groups.
    pub const GROUPS_WRITE: &'static str = "groups:write";
    /// See everybody's sign-ins.
    pub const HISTORY_READ: &'static str = "history:read";
    /// See the audit log.
    pub const AUDIT_READ: &'static str = "audit:read";
    /// Create and revoke API tokens.
    pub const TOKENS_WRITE: &'static str = "tokens:write";
    /// Synchronise with the directory.
    pub const DIRECTORY_SYNC: &'static str = "directory:sync";
    /// Publish alerts.
    pub const ALERTS_PUBLISH: &'static str = "alerts:publish";
    /// Doorward's own permissions.
    pub const OWN: [&'static str; 9] = [
        Self::USERS_READ,
        Self::USERS_WRITE,
        Self::ROLES_WRITE,
        Self::GROUPS_WRITE,
        Self::HISTORY_READ,
        Self::AUDIT_READ,
        Self::TOKENS_WRITE,
        Self::DIRECTORY_SYNC,
        Self::ALERTS_PUBLISH,
    ];

    /// Checks `resource:action`, each part of `[a-z0-9._-]+`.
    ///
    /// # Errors
    /// [`TextError`] that says what a permission looks like.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = text.trim();
        let found = text.chars().count();
        if found > Self::MAX {
            return Err(TextError::TooLong { max: Self::MAX, found });
        }
        let part = |p: &str| !p.is_empty() && p.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'));
        match text.split_once(':') {
            Some((resource, action)) if part(resource) && part(action) => Ok(Self(text.to_owned())),
            _ => Err(TextError::Invalid(
                "is not a permission; write resource:action in a-z, 0-9, '.', '_' and '-', such as users:read"
                    .to_owned(),
            )),
        }
    }

    /// The permission as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Permission {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0
    }
}

/// Permissions under a name that is unique in its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Role {
    /// Its identifier.
    pub id: RoleId,
    /// Its account.
    pub account: AccountId,
    /// Its name, at most 100 characters; compared folded.
    pub name: String,
    /// What it is for; at most 1,000 characters, may be empty.
    pub description: String,
    /// Sorted, each once, at most 500.
    pub permissions: Vec<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows by one with each change, from 1.
    pub revision: i64,
}

impl Role {
    /// The most permissions of one role.
    pub const MAX_PERMISSIONS: usize = 500;
}

/// The longest name of a role or group, in characters.
pub const MAX_NAME: usize = 100;
/// The longest description of a role or group, in characters.
pub const MAX_DESCRIPTION: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_resource_and_action() {
        for own in Permission::OWN {
            assert_eq!(Permission::parse(own).unwrap().as_str(), own);
        }
        for bad in [
            "",
            "users",
            "users:",
            ":read",
            "users:read:all",
            "Users:read",
            "users read",
            "users:*",
        ] {
            assert!(Permission::parse(bad).is_err(), "{bad}");
        }
    }
}
