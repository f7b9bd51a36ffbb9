//! The audit log: who changed what, written together with the change or not at all.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::{AccountId, AuditEntryId, UserId};
use crate::domain::login_event::Impersonator;

/// What kind of object was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TargetType {
    /// An account.
    Account,
    /// A user.
    User,
    /// A role.
    Role,
    /// A group.
    Group,
    /// An API token.
    ApiToken,
    /// A mail of the outbox.
    Mail,
}

/// One field, before and after; a secret reads "changed".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's name in the GraphQL schema.
    pub field: String,
    /// Its value before; `None` when it had none.
    pub before: Option<String>,
    /// Its value after; `None` when it has none.
    pub after: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its identifier; grows with time.
    pub id: AuditEntryId,
    /// The account whose log it belongs to: the target's.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// Who, in words: `login@account`, "token NAME@account" or "command line".
    pub actor: String,
    /// Who, when it was a user.
    pub actor_user: Option<UserId>,
    /// Who really acted.
    pub impersonator: Option<Impersonator>,
    /// From where; `None` for the command line.
    pub ip: Option<IpAddr>,
    /// What: the mutation's name (`createUser`).
    pub action: String,
    /// The kind of the changed object.
    pub target_type: TargetType,
    /// The changed object.
    pub target_id: Uuid,
    /// The changed object's name at that time.
    pub target_name: String,
    /// Which fields.
    pub changes: Vec<FieldChange>,
}
