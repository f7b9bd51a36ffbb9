//! An API token: with it an application asks in its own name.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ids::{AccountId, ApiTokenId, GroupId, RoleId, UserId};

/// A token with roles and groups of its own. Its secret is not here; the store keeps the secret's SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    /// Its identifier.
    pub id: ApiTokenId,
    /// The account that it belongs to, whoever made it.
    pub account: AccountId,
    /// Its name for people; at most [`ApiToken::MAX_NAME`] characters.
    pub name: String,
    /// What it may do.
    pub roles: Vec<RoleId>,
    /// Whose objects it sees.
    pub groups: Vec<GroupId>,
    /// Who made it; `None` for the command line and other tokens.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiToken {
    /// The longest name, in characters.
    pub const MAX_NAME: usize = 100;

    /// Neither expired nor revoked?
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
