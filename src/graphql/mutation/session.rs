//! Ending sessions.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::Session;

/// Sessions.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sessions;

/// A session to end.
#[derive(InputObject)]
pub struct RevokeSessionInput {
    /// The session: one's own, or with users:write somebody else's.
    id: ID,
}

/// What ending a session comes to.
#[derive(Debug, SimpleObject)]
pub struct RevokeSessionPayload {
    /// The session, as it was.
    session: Option<Session>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Whose sessions to end.
#[derive(InputObject)]
pub struct RevokeAllSessionsInput {
    /// With users:write somebody else; oneself when absent.
    user: Option<ID>,
    /// Of one's own, keep the one that asks.
    #[graphql(default_with = "Some(true)")]
    except_current: Option<bool>,
}

/// What ending sessions comes to.
#[derive(Debug, SimpleObject)]
pub struct RevokeAllSessionsPayload {
    /// How many ended.
    revoked: Option<u64>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Sessions.
#[Object]
impl Sessions {
    /// Ends a session; it is refused from then on.
    async fn revoke_session(&self, ctx: &Context<'_>, input: RevokeSessionInput) -> ApiResult<RevokeSessionPayload> {
        let state = RequestState::of(ctx)?;
        let caller = state.caller();
        let (session, user_errors) = payload(caller.revoke_session(node_id::decode(&input.id)).await)?;
        let current = caller.principal().person().map(|p| p.session.id);
        if session.as_ref().is_some_and(|s| Some(s.id) == current) {
            state.clear_cookie();
        }
        Ok(RevokeSessionPayload {
            session: session.map(|s| Session(Arc::new(s))),
            user_errors,
        })
    }

    /// Ends all of somebody's sessions; they are refused from then on.
    async fn revoke_all_sessions(
        &self,
        ctx: &Context<'_>,
        input: RevokeAllSessionsInput,
    ) -> ApiResult<RevokeAllSessionsPayload> {
        let state = RequestState::of(ctx)?;
        let user = input.user.map(|id| node_id::decode(&id));
        let except_current = input.except_current.unwrap_or(true);
        let caller = state.caller();
        let own = user.is_none_or(|user| user.is_some() && user == caller.principal().user());
        let (revoked, user_errors) = payload(caller.revoke_all_sessions(user, except_current).await)?;
        if own && !except_current && revoked.is_some() {
            state.clear_cookie();
        }
        Ok(RevokeAllSessionsPayload { revoked, user_errors })
    }
}
