//! `Session`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node_id;
use crate::graphql::scalars::DateTime;
use crate::graphql::types::login_event::load_user;
use crate::graphql::types::{Location, User};

/// A signed-in session.
#[derive(Debug, Clone)]
pub struct Session(pub Arc<domain::session::Session>);

/// A signed-in session. Its secret is not here.
#[Object]
impl Session {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// Whose it is.
    async fn user(&self, ctx: &Context<'_>) -> ApiResult<User> {
        let gone = || Err(ApiError::internal(&"a session's user is gone"));
        load_user(ctx, self.0.user).await.unwrap_or_else(gone)
    }

    /// When it was opened.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last used, to about a minute.
    async fn last_seen_at(&self) -> DateTime {
        DateTime(self.0.last_seen_at)
    }

    /// When it ends whatever happens.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    /// Where it was opened from.
    async fn ip(&self) -> String {
        self.0.origin.ip.to_string()
    }

    /// The browser that it was opened with.
    async fn browser(&self) -> Option<&str> {
        self.0.origin.browser.as_deref()
    }

    /// Where that address is.
    async fn location(&self) -> Option<Location> {
        self.0.origin.location.clone().map(Location::from)
    }

    /// Who really acts.
    async fn impersonator(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.impersonator()?.user).await
    }

    /// Who really acts, also when that is an operator, whom an account cannot see.
    async fn impersonator_name(&self) -> Option<&str> {
        self.0.impersonator().map(|i| i.name.as_str())
    }

    /// Is it the one that asks?
    async fn is_current(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        let caller = RequestState::of(ctx)?.caller();
        Ok(caller.principal().person().is_some_and(|p| p.session.id == self.0.id))
    }
}
