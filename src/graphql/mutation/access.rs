//! Creating roles and groups.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::domain;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::{Group, Role};
use crate::service::{Caller, GroupInput, Result, RoleInput};

/// Roles and groups.
#[derive(Debug, Default, Clone, Copy)]
pub struct Access;

/// A new role.
#[derive(InputObject)]
pub struct CreateRoleInput {
    /// Operators only; else the caller's account.
    account: Option<ID>,
    /// Unique in the account.
    name: String,
    /// What it is for.
    #[graphql(default_with = "Some(String::new())")]
    description: Option<String>,
    /// resource:action, Doorward's own (users:read …) or an application's.
    permissions: Vec<String>,
}

/// A new group.
#[derive(InputObject)]
pub struct CreateGroupInput {
    /// Operators only; else the caller's account.
    account: Option<ID>,
    /// Unique in the account.
    name: String,
    /// What it is for.
    #[graphql(default_with = "Some(String::new())")]
    description: Option<String>,
}

/// A new role, or what is wrong with it.
#[derive(Debug, SimpleObject)]
pub struct CreateRolePayload {
    /// The role.
    role: Option<Role>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A new group, or what is wrong with it.
#[derive(Debug, SimpleObject)]
pub struct CreateGroupPayload {
    /// The group.
    group: Option<Group>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Roles and groups.
#[Object]
impl Access {
    /// Makes a role; takes roles:write, and every permission that goes into it.
    async fn create_role(&self, ctx: &Context<'_>, input: CreateRoleInput) -> ApiResult<CreateRolePayload> {
        let caller = RequestState::of(ctx)?.caller();
        let input = RoleInput {
            account: input.account.map(|id| node_id::decode(&id)),
            name: input.name,
            description: input.description.unwrap_or_default(),
            permissions: input.permissions,
        };
        let (role, user_errors) = payload(create_role(&caller, input).await)?;
        Ok(CreateRolePayload {
            role: role.map(|r| Role(Arc::new(r))),
            user_errors,
        })
    }

    /// Makes a group; takes groups:write.
    async fn create_group(&self, ctx: &Context<'_>, input: CreateGroupInput) -> ApiResult<CreateGroupPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let input = GroupInput {
            account: input.account.map(|id| node_id::decode(&id)),
            name: input.name,
            description: input.description.unwrap_or_default(),
        };
        let (group, user_errors) = payload(create_group(&caller, input).await)?;
        Ok(CreateGroupPayload {
            group: group.map(|g| Group(Arc::new(g))),
            user_errors,
        })
    }
}

async fn create_role(caller: &Caller, input: RoleInput) -> Result<domain::role::Role> {
    caller.write_roles(input.account).await?.create(&input).await
}

async fn create_group(caller: &Caller, input: GroupInput) -> Result<domain::group::Group> {
    caller.write_groups(input.account).await?.create(&input).await
}
