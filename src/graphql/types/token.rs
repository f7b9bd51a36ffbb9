//! `ApiToken`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain;
use crate::domain::ids::AccountId;
use crate::graphql::context::RequestState;
use crate::graphql::error::ApiResult;
use crate::graphql::node_id;
use crate::graphql::scalars::DateTime;
use crate::graphql::types::login_event::load_user;
use crate::graphql::types::{Group, Role, User};

/// A token with which an application asks in its own name.
#[derive(Debug, Clone)]
pub struct ApiToken(pub Arc<domain::token::ApiToken>);

impl ApiToken {
    /// Those of an account, newest first.
    ///
    /// # Errors
    /// FORBIDDEN without tokens:write; those of the store.
    pub async fn of_account(state: &RequestState, account: AccountId) -> ApiResult<Vec<Self>> {
        let tokens = state.loaders.tokens_of_account(account).await?;
        state.spend(tokens.len())?;
        Ok(tokens.into_iter().map(Self).collect())
    }
}

/// A token with which an application asks in its own name. Its secret is not here.
#[Object]
impl ApiToken {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it may do.
    async fn roles(&self, ctx: &Context<'_>) -> ApiResult<Vec<Role>> {
        let state = RequestState::of(ctx)?;
        let roles = state.loaders.roles(self.0.roles.clone()).await?;
        state.spend(roles.len())?;
        Ok(roles.into_iter().map(Role).collect())
    }

    /// Whose objects it sees.
    async fn groups(&self, ctx: &Context<'_>) -> ApiResult<Vec<Group>> {
        let state = RequestState::of(ctx)?;
        let groups = state.loaders.groups(self.0.groups.clone()).await?;
        state.spend(groups.len())?;
        Ok(groups.into_iter().map(Group).collect())
    }

    /// Who made it; null for the command line and other tokens, and once that user is gone.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.created_by?).await
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last used, to about a minute.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.0.last_used_at.map(DateTime)
    }

    /// When it ends by itself.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// Neither expired nor revoked.
    async fn is_active(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        let now = RequestState::of(ctx)?.services().clock.now();
        Ok(self.0.is_active(now))
    }
}
