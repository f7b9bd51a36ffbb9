//! Acting for somebody else.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::Session;
use crate::service::{ImpersonationInput, Result, SignedIn};

/// Acting for somebody else.
#[derive(Debug, Default, Clone, Copy)]
pub struct Impersonations;

/// For whom somebody wants to act, and why.
#[derive(InputObject)]
pub struct ImpersonateUserInput {
    /// The user: no master of one's own account, for operators no operator.
    id: ID,
    /// Why; the user, the history and the audit log show it.
    reason: String,
    /// Only look.
    #[graphql(default_with = "Some(true)")]
    read_only: Option<bool>,
    /// For how long: 1 to 60.
    #[graphql(default_with = "Some(30)")]
    minutes: Option<i32>,
    /// Set a cookie; the token is then not in the answer.
    #[graphql(default_with = "Some(false)")]
    cookie: Option<bool>,
}

/// A session in which the caller acts for somebody else.
#[derive(Debug, SimpleObject)]
pub struct ImpersonateUserPayload {
    /// The session's secret; null with a cookie.
    token: Option<String>,
    /// The session.
    session: Option<Session>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// The caller's own session again.
#[derive(Debug, SimpleObject)]
pub struct StopImpersonatingPayload {
    /// The own session's secret; null with a cookie.
    token: Option<String>,
    /// The own session.
    session: Option<Session>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Acting for somebody else.
#[Object]
impl Impersonations {
    /// Opens a session in which a master acts for somebody else of the account, an operator for anybody but operators.
    /// Nobody changes passwords, mail addresses or tokens in it, or acts for a third.
    async fn impersonate_user(
        &self,
        ctx: &Context<'_>,
        input: ImpersonateUserInput,
    ) -> ApiResult<ImpersonateUserPayload> {
        let state = RequestState::of(ctx)?;
        let cookie = input.cookie == Some(true);
        if cookie && !state.may_set_cookie {
            return Err(ApiError::forbidden("a cookie is given to pages of this origin only"));
        }
        let wanted = ImpersonationInput {
            user: node_id::decode(&input.id),
            reason: input.reason,
            read_only: input.read_only.unwrap_or(true),
            minutes: input.minutes.unwrap_or(30),
            origin: state.origin.clone(),
        };
        let result = match state.shown_session() {
            Some(shown) => state.caller().impersonate(wanted, &shown.secret).await,
            // Nobody, or no person: it says so itself.
            None => state
                .caller()
                .principal()
                .as_person()
                .map_err(Into::into)
                .and_then(no_session),
        };
        let (signed_in, user_errors) = payload(result)?;
        let (token, session) = take_over(state, signed_in, cookie);
        Ok(ImpersonateUserPayload {
            token,
            session,
            user_errors,
        })
    }

    /// Ends the impersonation that asks, and gives the own session back.
    async fn stop_impersonating(&self, ctx: &Context<'_>) -> ApiResult<StopImpersonatingPayload> {
        let state = RequestState::of(ctx)?;
        let (result, cookie) = match state.shown_session() {
            Some(shown) => (state.caller().stop_impersonating(&shown.secret).await, shown.by_cookie),
            None => {
                let refused = state
                    .caller()
                    .principal()
                    .as_person()
                    .map_err(Into::into)
                    .and_then(no_session);
                (refused, false)
            }
        };
        let (signed_in, user_errors) = payload(result)?;
        let (token, session) = take_over(state, signed_in, cookie);
        Ok(StopImpersonatingPayload {
            token,
            session,
            user_errors,
        })
    }
}

/// A person without a session's secret asks in the middle of a request that signed them in: that session's secret is the
/// answer's, not the request's.
fn no_session(_: &crate::access::Person) -> Result<SignedIn> {
    let message = "Send this in a request of its own, with the session's token or cookie.";
    Err(crate::service::Problem::new(crate::service::ErrorCode::NotAllowed, message).into())
}

/// The session becomes the caller's; with a cookie, its secret goes there and nowhere else.
fn take_over(state: &RequestState, signed_in: Option<SignedIn>, cookie: bool) -> (Option<String>, Option<Session>) {
    let Some(SignedIn { secret, person }) = signed_in else {
        return (None, None);
    };
    let session = Session(Arc::new(person.session.clone()));
    state.become_person(person);
    if cookie {
        state.set_cookie(secret);
        (None, Some(session))
    } else {
        (Some(secret.expose().to_owned()), Some(session))
    }
}
