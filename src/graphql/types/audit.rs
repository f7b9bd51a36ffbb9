//! `AuditEntry`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};

use crate::domain;
use crate::domain::audit::TargetType;
use crate::domain::page::Position;
use crate::domain::query::audit_position;
use crate::graphql::error::ApiResult;
use crate::graphql::node_id;
use crate::graphql::paging::{Listed, OrderTag};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::User;
use crate::graphql::types::login_event::load_user;

/// One change.
#[derive(Debug, Clone)]
pub struct AuditEntry(pub Arc<domain::audit::AuditEntry>);

impl Listed for AuditEntry {
    const NAME: &'static str = "AuditEntry";
    fn position(&self, _: OrderTag) -> Position {
        audit_position(&self.0)
    }
}

/// One change: who, on whose behalf, from where, what.
#[Object]
impl AuditEntry {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Who, in words.
    async fn actor(&self) -> &str {
        &self.0.actor
    }

    /// Who, when it was a user.
    async fn actor_user(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.actor_user?).await
    }

    /// Who really acted.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.impersonator.as_ref()?.user).await
    }

    /// Who really acted, also when that is an operator, whom an account cannot see.
    async fn impersonator_name(&self) -> Option<&str> {
        self.0.impersonator.as_ref().map(|i| i.name.as_str())
    }

    /// From where; null for the command line.
    async fn ip(&self) -> Option<String> {
        self.0.ip.map(|ip| ip.to_string())
    }

    /// The mutation's name.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// The kind of the changed object: the type's name.
    async fn target_type(&self) -> &'static str {
        match self.0.target_type {
            TargetType::Account => "Account",
            TargetType::User => "User",
            TargetType::Role => "Role",
            TargetType::Group => "Group",
            TargetType::ApiToken => "ApiToken",
            TargetType::Mail => "Mail",
        }
    }

    /// The changed object.
    async fn target_id(&self) -> ID {
        node_id::encode_target(self.0.target_type, self.0.target_id)
    }

    /// The changed object's name at that time.
    async fn target_name(&self) -> &str {
        &self.0.target_name
    }

    /// Which fields.
    async fn changes(&self) -> Vec<FieldChange> {
        self.0.changes.iter().cloned().map(FieldChange::from).collect()
    }
}

/// One field, before and after; a secret reads "changed".
#[derive(Debug, Clone, SimpleObject)]
pub struct FieldChange {
    /// The field's name.
    field: String,
    /// Its value before.
    before: Option<String>,
    /// Its value after.
    after: Option<String>,
}

impl From<domain::audit::FieldChange> for FieldChange {
    fn from(change: domain::audit::FieldChange) -> Self {
        let domain::audit::FieldChange { field, before, after } = change;
        Self { field, before, after }
    }
}
