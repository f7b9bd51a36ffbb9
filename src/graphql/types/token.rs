//! `ApiToken`.

use async_graphql::{ID, SimpleObject};

use crate::graphql::scalars::DateTime;
use crate::graphql::types::{Group, Role, User};

/// A token with which an application asks in its own name.
#[derive(Debug, Clone, SimpleObject)]
pub struct ApiToken {
    /// Its identifier.
    #[graphql(owned)]
    pub id: ID,
    /// Its name.
    name: String,
    /// What it may do.
    roles: Vec<Role>,
    /// Whose objects it sees.
    groups: Vec<Group>,
    /// Who made it.
    created_by: Option<User>,
    /// When it was made.
    created_at: DateTime,
    /// When it was last used, to about a minute.
    last_used_at: Option<DateTime>,
    /// When it ends.
    expires_at: Option<DateTime>,
    /// Neither expired nor revoked.
    is_active: bool,
}
