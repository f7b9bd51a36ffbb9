//! `Role`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain;
use crate::domain::page::Position;
use crate::domain::query::role_position;
use crate::graphql::error::ApiResult;
use crate::graphql::lists;
use crate::graphql::node_id;
use crate::graphql::paging::{Connection, Listed, OrderTag, PageArguments, page_cost};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::{Account, User};
use crate::graphql::written::Straight;

/// Permissions under one name.
#[derive(Debug, Clone)]
pub struct Role(pub Arc<domain::role::Role>);

impl Listed for Role {
    const NAME: &'static str = "Role";
    fn position(&self, _: OrderTag) -> Position {
        role_position(&self.0)
    }
}

/// Permissions under one name: what its users may do.
#[Object]
impl Role {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// Its account.
    async fn account(&self, ctx: &Context<'_>) -> ApiResult<Account> {
        Account::load(ctx, self.0.account).await
    }

    /// Unique in its account, compared case-insensitively.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// resource:action, sorted.
    async fn permissions(&self) -> Vec<&str> {
        self.0.permissions.iter().map(|p| p.as_str()).collect()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }

    /// Grows with each change; pass it to updateRole to refuse a lost update.
    async fn revision(&self) -> i64 {
        self.0.revision
    }

    /// Who has it; without users:read only the caller.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<User>>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        let of_role = |f: &mut domain::query::UserFilter| {
            (f.account, f.role) = (Some(self.0.account), Some(self.0.id));
            true
        };
        Some(lists::users(ctx, None, None, page, of_role).await)
    }
}
