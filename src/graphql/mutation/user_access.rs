//! How users get in: an administrator gives a password, or has a link sent to set one.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::signing::HASHING;
use super::user_status::named;
use crate::domain;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::types::User;
use crate::service::{AccessInput, Caller, Result};

/// How users get in.
#[derive(Debug, Default, Clone, Copy)]
pub struct UserAccess;

/// A password for a user.
#[derive(InputObject)]
pub struct SetUserPasswordInput {
    /// The user; for oneself there is changePassword.
    id: ID,
    /// The password; none: only a link is sent.
    password: Option<String>,
    /// The password must be changed at the next sign-in.
    #[graphql(default_with = "Some(true)")]
    must_change_password: Option<bool>,
    /// Send a link to set a password.
    #[graphql(default_with = "Some(false)")]
    send_access_email: Option<bool>,
}

/// What setting a user's password comes to.
#[derive(Debug, SimpleObject)]
pub struct SetUserPasswordPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A user to send a link to.
#[derive(InputObject)]
pub struct SendAccessEmailInput {
    /// The user.
    id: ID,
}

/// What sending a link comes to.
#[derive(Debug, SimpleObject)]
pub struct SendAccessEmailPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// How users get in.
#[Object]
impl UserAccess {
    /// Sets somebody's password and ends their sessions; takes users:write, and every permission of Doorward's own that
    /// the user holds.
    #[graphql(complexity = "HASHING + child_complexity")]
    async fn set_user_password(
        &self,
        ctx: &Context<'_>,
        input: SetUserPasswordInput,
    ) -> ApiResult<SetUserPasswordPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let access = AccessInput {
            password: input.password.map(Into::into),
            must_change_password: input.must_change_password.unwrap_or(true),
            send_access_email: input.send_access_email.unwrap_or(false),
        };
        let (user, user_errors) = payload(set_password(&caller, &input.id, &access).await)?;
        Ok(SetUserPasswordPayload {
            user: user.map(User::from),
            user_errors,
        })
    }

    /// Sends somebody a link with which they set a password themselves, once; takes users:write.
    async fn send_access_email(
        &self,
        ctx: &Context<'_>,
        input: SendAccessEmailInput,
    ) -> ApiResult<SendAccessEmailPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (user, user_errors) = payload(send_link(&caller, &input.id).await)?;
        Ok(SendAccessEmailPayload {
            user: user.map(User::from),
            user_errors,
        })
    }
}

async fn send_link(caller: &Caller, id: &ID) -> Result<domain::user::User> {
    let writes = caller.write_users()?;
    caller.principal().not_impersonating()?;
    writes.send_access_email(named(id)?).await
}

async fn set_password(caller: &Caller, id: &ID, access: &AccessInput) -> Result<domain::user::User> {
    let writes = caller.write_users()?;
    caller.principal().not_impersonating()?;
    writes.set_password(named(id)?, access).await
}
