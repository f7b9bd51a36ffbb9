//! Getting in again after a password was forgotten, by a link in a mail.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::signing::{HASHING, tell_when_to_retry};
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::types::{Session, User};
use crate::service::NewPasswordByLink;

/// Forgotten passwords.
#[derive(Debug, Default, Clone, Copy)]
pub struct Resets;

/// Who forgot their password.
#[derive(InputObject)]
pub struct RequestPasswordResetInput {
    /// login@account.
    login: String,
}

/// What asking for a new password comes to: the same, whoever asks.
#[derive(Debug, SimpleObject)]
pub struct RequestPasswordResetPayload {
    /// A link is on its way, if somebody has that login who can use one.
    accepted: bool,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A new password, by a link.
#[derive(InputObject)]
pub struct ResetPasswordInput {
    /// The link's token.
    token: String,
    /// The password from now on.
    new_password: String,
}

/// What a new password comes to.
#[derive(Debug, SimpleObject)]
pub struct ResetPasswordPayload {
    /// The session's secret, for `Authorization: Bearer …`.
    token: Option<String>,
    /// The session.
    session: Option<Session>,
    /// Whose it is.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Forgotten passwords.
#[Object]
impl Resets {
    /// Sends a link to set a new password to the user of that login, if there is one who can use it.
    #[graphql(complexity = "HASHING + child_complexity")]
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        input: RequestPasswordResetInput,
    ) -> ApiResult<RequestPasswordResetPayload> {
        let state = RequestState::of(ctx)?;
        let origin = state.origin.clone();
        let result = state.services().request_password_reset(&input.login, origin).await;
        tell_when_to_retry(state, &result);
        let (accepted, user_errors) = payload(result)?;
        Ok(RequestPasswordResetPayload {
            accepted: accepted.is_some(),
            user_errors,
        })
    }

    /// Sets a password by a link from a mail, ends the user's sessions, and opens one.
    #[graphql(complexity = "HASHING + child_complexity")]
    async fn reset_password(&self, ctx: &Context<'_>, input: ResetPasswordInput) -> ApiResult<ResetPasswordPayload> {
        let state = RequestState::of(ctx)?;
        let new = NewPasswordByLink {
            token: input.token,
            password: input.new_password.into(),
            origin: state.origin.clone(),
        };
        let (signed_in, user_errors) = payload(state.services().redeem_link(new).await)?;
        let Some(signed_in) = signed_in else {
            return Ok(ResetPasswordPayload {
                token: None,
                session: None,
                user: None,
                user_errors,
            });
        };
        let person = signed_in.person;
        let (user, session) = (User::from(&person), person.session.clone());
        state.become_person(person);
        Ok(ResetPasswordPayload {
            token: Some(signed_in.secret.expose().to_owned()),
            session: Some(Session(Arc::new(session))),
            user: Some(user),
            user_errors,
        })
    }
}
