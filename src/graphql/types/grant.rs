//! `Grant`.

use async_graphql::{Context, Object};

use crate::domain;
use crate::domain::grant::GrantTarget;
use crate::graphql::context::RequestState;
use crate::graphql::error::ApiResult;
use crate::graphql::scalars::DateTime;
use crate::graphql::types::login_event::load_user;
use crate::graphql::types::{GrantSource, Group, Role, User};

/// What a user was granted.
#[derive(Debug, Clone)]
pub struct Grant(pub domain::grant::Grant);

/// A role, a group or mastership of a user, with where it came from.
#[Object]
impl Grant {
    /// The role, when it is one.
    async fn role(&self, ctx: &Context<'_>) -> Option<ApiResult<Role>> {
        let GrantTarget::Role(id) = self.0.target else {
            return None;
        };
        match RequestState::of(ctx) {
            Ok(state) => state.loaders.role(id).await.map(|role| role.map(Role)).transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The group, when it is one.
    async fn group(&self, ctx: &Context<'_>) -> Option<ApiResult<Group>> {
        let GrantTarget::Group(id) = self.0.target else {
            return None;
        };
        match RequestState::of(ctx) {
            Ok(state) => state.loaders.group(id).await.map(|group| group.map(Group)).transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// It makes a master.
    async fn master(&self) -> bool {
        self.0.target == GrantTarget::Master
    }

    /// Where it came from.
    async fn source(&self) -> GrantSource {
        self.0.source.into()
    }

    /// The directory group behind it.
    async fn directory_group_dn(&self) -> Option<&str> {
        self.0.directory_group_dn.as_deref()
    }

    /// Who gave it; null for Doorward, the directory and the command line.
    async fn granted_by(&self, ctx: &Context<'_>) -> Option<ApiResult<User>> {
        load_user(ctx, self.0.granted_by?).await
    }

    /// When.
    async fn granted_at(&self) -> DateTime {
        DateTime(self.0.granted_at)
    }
}
