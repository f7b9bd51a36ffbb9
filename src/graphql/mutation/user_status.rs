//! What an administrator does to users as a whole: disabling, enabling, unlocking, deleting.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain;
use crate::domain::ids::UserId;
use crate::domain::user::UserStatus;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::User;
use crate::service::{Caller, ErrorCode, Problem, Result};

/// Whether users may sign in, and whether there are any.
#[derive(Debug, Default, Clone, Copy)]
pub struct UserStatuses;

/// A user to delete.
#[derive(InputObject)]
pub struct DeleteUserInput {
    /// The user.
    id: ID,
}

/// A user to disable.
#[derive(InputObject)]
pub struct DisableUserInput {
    /// The user.
    id: ID,
}

/// A user to enable.
#[derive(InputObject)]
pub struct EnableUserInput {
    /// The user.
    id: ID,
}

/// A user to unlock.
#[derive(InputObject)]
pub struct UnlockUserInput {
    /// The user.
    id: ID,
}

/// What deleting a user comes to.
#[derive(Debug, SimpleObject)]
pub struct DeleteUserPayload {
    /// The user's identifier.
    deleted_id: Option<ID>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What disabling a user comes to.
#[derive(Debug, SimpleObject)]
pub struct DisableUserPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What enabling a user comes to.
#[derive(Debug, SimpleObject)]
pub struct EnableUserPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What unlocking a user comes to.
#[derive(Debug, SimpleObject)]
pub struct UnlockUserPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Whether users may sign in, and whether there are any.
#[Object]
impl UserStatuses {
    /// Deletes a user; the sign-ins stay in the history. Takes users:write; nobody deletes themselves.
    async fn delete_user(&self, ctx: &Context<'_>, input: DeleteUserInput) -> ApiResult<DeleteUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (deleted, user_errors) = payload(delete(&caller, &input.id).await)?;
        Ok(DeleteUserPayload {
            deleted_id: deleted.map(node_id::encode),
            user_errors,
        })
    }

    /// Lets a user no longer sign in, and ends the sessions. Takes users:write; nobody disables themselves.
    async fn disable_user(&self, ctx: &Context<'_>, input: DisableUserInput) -> ApiResult<DisableUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (user, user_errors) = payload(set_status(&caller, &input.id, UserStatus::Disabled).await)?;
        Ok(DisableUserPayload {
            user: user.map(User::from),
            user_errors,
        })
    }

    /// Lets a disabled user sign in again; takes users:write.
    async fn enable_user(&self, ctx: &Context<'_>, input: EnableUserInput) -> ApiResult<EnableUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (user, user_errors) = payload(set_status(&caller, &input.id, UserStatus::Active).await)?;
        Ok(EnableUserPayload {
            user: user.map(User::from),
            user_errors,
        })
    }

    /// Takes a lock for wrong passwords off; takes users:write.
    async fn unlock_user(&self, ctx: &Context<'_>, input: UnlockUserInput) -> ApiResult<UnlockUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (user, user_errors) = payload(unlock(&caller, &input.id).await)?;
        Ok(UnlockUserPayload {
            user: user.map(User::from),
            user_errors,
        })
    }
}

/// The user that an input names.
pub(super) fn named(id: &ID) -> Result<UserId> {
    let unknown = || Problem::at(&["id"], ErrorCode::NotFound, "There is no such user.").into();
    node_id::decode(id).ok_or_else(unknown)
}

async fn delete(caller: &Caller, id: &ID) -> Result<UserId> {
    caller.write_users()?.delete(named(id)?).await
}

async fn set_status(caller: &Caller, id: &ID, status: UserStatus) -> Result<domain::user::User> {
    caller.write_users()?.set_status(named(id)?, status).await
}

async fn unlock(caller: &Caller, id: &ID) -> Result<domain::user::User> {
    caller.write_users()?.unlock(named(id)?).await
}
