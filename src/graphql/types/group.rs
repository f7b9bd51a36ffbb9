//! `Group`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain;
use crate::domain::page::Position;
use crate::domain::query::group_position;
use crate::graphql::error::ApiResult;
use crate::graphql::lists;
use crate::graphql::node_id;
use crate::graphql::paging::{Connection, Listed, OrderTag, PageArguments, page_cost};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::{Account, User};
use crate::graphql::written::Straight;

/// People who see each other's objects.
#[derive(Debug, Clone)]
pub struct Group(pub Arc<domain::group::Group>);

impl Listed for Group {
    const NAME: &'static str = "Group";
    fn position(&self, _: OrderTag) -> Position {
        group_position(&self.0)
    }
}

/// People whose objects its members see.
#[Object]
impl Group {
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

    /// The group that cannot be deleted and takes in whoever has no other.
    async fn is_main(&self) -> bool {
        self.0.is_main
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }

    /// Grows with each change; pass it to updateGroup to refuse a lost update.
    async fn revision(&self) -> i64 {
        self.0.revision
    }

    /// Its members; without users:read only the caller.
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
        let of_group = |f: &mut domain::query::UserFilter| {
            (f.account, f.group) = (Some(self.0.account), Some(self.0.id));
            true
        };
        Some(lists::users(ctx, None, None, page, of_group).await)
    }
}
