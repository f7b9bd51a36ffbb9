//! Signing in and out, and changing one's own password.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult, UserError, payload};
use crate::graphql::types::{Session, User};
use crate::service::{Result, ServiceError, SigningIn};

/// What hashing a password counts for in the cost of a request: few fit into one, however they are aliased.
pub(super) const HASHING: usize = 2000;

/// Signing in and out.
#[derive(Debug, Default, Clone, Copy)]
pub struct Signing;

/// What somebody signs in with.
#[derive(InputObject)]
pub struct SignInInput {
    /// login@account.
    login: String,
    /// The password.
    password: String,
    /// Set a cookie; the token is then not in the answer, so that no script holds it.
    #[graphql(default_with = "Some(false)")]
    cookie: Option<bool>,
}

/// What a sign-in comes to.
#[derive(Debug, SimpleObject)]
pub struct SignInPayload {
    /// The session's secret, for `Authorization: Bearer …`; null with a cookie.
    token: Option<String>,
    /// The session.
    session: Option<Session>,
    /// Whose it is.
    user: Option<User>,
    /// The session may do nothing but change the password.
    must_change_password: bool,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What signing out comes to.
#[derive(Debug, SimpleObject)]
pub struct SignOutPayload {
    /// There was a session, and it has ended.
    done: bool,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A change of one's own password.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The password until now.
    current_password: String,
    /// The password from now on.
    new_password: String,
}

/// What a change of one's own password comes to.
#[derive(Debug, SimpleObject)]
pub struct ChangePasswordPayload {
    /// Oneself.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A client that reads no GraphQL is told by the header how long to wait.
pub(super) fn tell_when_to_retry<T>(state: &RequestState, result: &Result<T>) {
    if let Err(ServiceError::Problems(problems)) = result
        && let Some(seconds) = problems.iter().find_map(|p| p.retry_after)
    {
        state.retry_after(seconds);
    }
}

/// Signing in and out.
#[Object]
impl Signing {
    /// Signs in with login@account and a password.
    #[graphql(complexity = "HASHING + child_complexity")]
    async fn sign_in(&self, ctx: &Context<'_>, input: SignInInput) -> ApiResult<SignInPayload> {
        let state = RequestState::of(ctx)?;
        let cookie = input.cookie == Some(true);
        if cookie && !state.may_set_cookie {
            return Err(ApiError::forbidden("a cookie is given to pages of this origin only"));
        }
        let signing_in = SigningIn {
            login: input.login,
            password: input.password.into(),
            origin: state.origin.clone(),
        };
        let result = state.services().sign_in(signing_in).await;
        tell_when_to_retry(state, &result);
        let (signed_in, user_errors) = payload(result)?;
        let Some(signed_in) = signed_in else {
            return Ok(SignInPayload {
                token: None,
                session: None,
                user: None,
                must_change_password: false,
                user_errors,
            });
        };
        let person = signed_in.person;
        let (user, must_change_password) = (User::from(&person), person.must_change_password);
        let session = Session(Arc::new(person.session.clone()));
        state.become_person(person);
        let token = if cookie {
            state.set_cookie(signed_in.secret);
            None
        } else {
            Some(signed_in.secret.expose().to_owned())
        };
        Ok(SignInPayload {
            token,
            session: Some(session),
            user: Some(user),
            must_change_password,
            user_errors,
        })
    }

    /// Ends the session that asks.
    async fn sign_out(&self, ctx: &Context<'_>) -> ApiResult<SignOutPayload> {
        let state = RequestState::of(ctx)?;
        let done = state.caller().sign_out().await?;
        state.become_nobody();
        state.clear_cookie();
        Ok(SignOutPayload {
            done,
            user_errors: Vec::new(),
        })
    }

    /// Changes one's own password and ends one's other sessions.
    #[graphql(complexity = "HASHING + child_complexity")]
    async fn change_password(&self, ctx: &Context<'_>, input: ChangePasswordInput) -> ApiResult<ChangePasswordPayload> {
        let state = RequestState::of(ctx)?;
        let caller = state.caller();
        let result = caller
            .change_password(&input.current_password.into(), &input.new_password.into())
            .await;
        tell_when_to_retry(state, &result);
        let (user, user_errors) = payload(result)?;
        let user = user.map(Arc::new);
        if let (Some(user), Some(person)) = (&user, caller.principal().person()) {
            let mut person = person.clone();
            person.user = Arc::clone(user);
            person.must_change_password = false;
            state.become_person(person);
        }
        Ok(ChangePasswordPayload {
            user: user.map(User::from),
            user_errors,
        })
    }
}
