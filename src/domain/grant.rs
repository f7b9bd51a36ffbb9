//! What a user was granted, and by whom.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{GroupId, RoleId, UserId};

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantTarget {
    /// The permissions of a role.
    Role(RoleId),
    /// Sight of a group's objects.
    Group(GroupId),
    /// Everything in the account.
    Master,
}

/// Where a grant came from; each source takes back only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantSource {
    /// A person.
    Manual,
    /// A mapping of the account's directory.
    Directory,
    /// Doorward itself (everybody's Main group).
    Default,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What.
    pub target: GrantTarget,
    /// Where it came from.
    pub source: GrantSource,
    /// The directory group behind it.
    pub directory_group_dn: Option<String>,
    /// Who gave it; `None` for Doorward, the directory and the command line.
    pub granted_by: Option<UserId>,
    /// When.
    pub granted_at: Timestamp,
}
