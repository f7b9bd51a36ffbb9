//! Roles and groups.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::domain;
use crate::domain::ids::{GroupId, RoleId};
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::inputs::{clearable, required};
use crate::graphql::types::{Group, Role};
use crate::service::{Caller, GroupChanges, GroupInput, Problems, Result, RoleChanges, RoleInput};

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

/// Changes to a role: absent means unchanged.
#[derive(InputObject)]
pub struct UpdateRoleInput {
    /// The role.
    id: ID,
    /// Refuse the change when the role is no longer at this revision.
    revision: Option<i64>,
    /// Unique in the account.
    name: MaybeUndefined<String>,
    /// What it is for.
    description: MaybeUndefined<String>,
    /// All its permissions; those that come into it one must hold.
    permissions: MaybeUndefined<Vec<String>>,
}

/// Changes to a group: absent means unchanged.
#[derive(InputObject)]
pub struct UpdateGroupInput {
    /// The group.
    id: ID,
    /// Refuse the change when the group is no longer at this revision.
    revision: Option<i64>,
    /// Unique in the account.
    name: MaybeUndefined<String>,
    /// What it is for.
    description: MaybeUndefined<String>,
}

/// A role to delete.
#[derive(InputObject)]
pub struct DeleteRoleInput {
    /// The role.
    id: ID,
}

/// A group to delete.
#[derive(InputObject)]
pub struct DeleteGroupInput {
    /// The group; the Main group stays.
    id: ID,
}

/// A changed role, or what is wrong with the change.
#[derive(Debug, SimpleObject)]
pub struct UpdateRolePayload {
    /// The role.
    role: Option<Role>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A changed group, or what is wrong with the change.
#[derive(Debug, SimpleObject)]
pub struct UpdateGroupPayload {
    /// The group.
    group: Option<Group>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What deleting a role comes to.
#[derive(Debug, SimpleObject)]
pub struct DeleteRolePayload {
    /// The role that was.
    deleted_id: Option<ID>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What deleting a group comes to.
#[derive(Debug, SimpleObject)]
pub struct DeleteGroupPayload {
    /// The group that was.
    deleted_id: Option<ID>,
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

    /// Changes what is given of a role; takes roles:write.
    async fn update_role(&self, ctx: &Context<'_>, input: UpdateRoleInput) -> ApiResult<UpdateRolePayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (role, user_errors) = payload(update_role(&caller, input).await)?;
        Ok(UpdateRolePayload {
            role: role.map(|r| Role(Arc::new(r))),
            user_errors,
        })
    }

    /// Deletes a role, whoever holds it; takes roles:write.
    async fn delete_role(&self, ctx: &Context<'_>, input: DeleteRoleInput) -> ApiResult<DeleteRolePayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (deleted, user_errors) = payload(delete_role(&caller, &input.id).await)?;
        Ok(DeleteRolePayload {
            deleted_id: deleted.map(node_id::encode),
            user_errors,
        })
    }

    /// Changes what is given of a group; takes groups:write.
    async fn update_group(&self, ctx: &Context<'_>, input: UpdateGroupInput) -> ApiResult<UpdateGroupPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (group, user_errors) = payload(update_group(&caller, input).await)?;
        Ok(UpdateGroupPayload {
            group: group.map(|g| Group(Arc::new(g))),
            user_errors,
        })
    }

    /// Deletes a group; members who are in no other fall back to the Main group. Takes groups:write.
    async fn delete_group(&self, ctx: &Context<'_>, input: DeleteGroupInput) -> ApiResult<DeleteGroupPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (deleted, user_errors) = payload(delete_group(&caller, &input.id).await)?;
        Ok(DeleteGroupPayload {
            deleted_id: deleted.map(node_id::encode),
            user_errors,
        })
    }
}

async fn update_role(caller: &Caller, input: UpdateRoleInput) -> Result<domain::role::Role> {
    let roles = caller.change_roles()?;
    let mut problems = Problems::default();
    let changes = RoleChanges {
        revision: input.revision,
        name: required(input.name, "name", &mut problems),
        description: clearable(input.description).map(Option::unwrap_or_default),
        permissions: clearable(input.permissions).map(Option::unwrap_or_default),
    };
    problems.check()?;
    roles.update(node_id::decode(&input.id), changes).await
}

async fn delete_role(caller: &Caller, id: &ID) -> Result<RoleId> {
    caller.change_roles()?.delete(node_id::decode(id)).await
}

async fn update_group(caller: &Caller, input: UpdateGroupInput) -> Result<domain::group::Group> {
    let groups = caller.change_groups()?;
    let mut problems = Problems::default();
    let changes = GroupChanges {
        revision: input.revision,
        name: required(input.name, "name", &mut problems),
        description: clearable(input.description).map(Option::unwrap_or_default),
    };
    problems.check()?;
    groups.update(node_id::decode(&input.id), changes).await
}

async fn delete_group(caller: &Caller, id: &ID) -> Result<GroupId> {
    caller.change_groups()?.delete(node_id::decode(id)).await
}

async fn create_role(caller: &Caller, input: RoleInput) -> Result<domain::role::Role> {
    caller.write_roles(input.account).await?.create(&input).await
}

async fn create_group(caller: &Caller, input: GroupInput) -> Result<domain::group::Group> {
    caller.write_groups(input.account).await?.create(&input).await
}
