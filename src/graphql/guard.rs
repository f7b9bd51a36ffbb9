//! A session that must change its password sees only who it is, by any path, and does nothing else.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo};
use async_graphql::{PathSegment, QueryPathNode, QueryPathSegment, ServerResult, Value};

use crate::access::{Denied, Principal};
use crate::graphql::context::RequestState;
use crate::graphql::error::ApiError;

/// Asks of each field whether such a session may have it. It costs something on each field, so only requests that could
/// meet such a session run with it.
#[derive(Debug, Default)]
pub(super) struct MustChangeGuard;

impl ExtensionFactory for MustChangeGuard {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for MustChangeGuard {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let state = ctx
            .data::<Arc<RequestState>>()
            .map_err(|e| e.into_server_error(info.field.name.pos))?;
        let must_change =
            matches!(state.caller().principal(), Principal::Person(person) if person.must_change_password);
        if must_change && !info.is_for_introspection && !is_open(info.parent_type, info.name) {
            let error: async_graphql::Error = ApiError::from(Denied::MustChangePassword).into();
            let mut error = error.into_server_error(info.field.name.pos);
            error.path = path_of(info.path_node);
            // A field that can be null is refused alone; one that cannot takes its parent with it.
            if info.return_type.ends_with('!') {
                return Err(error);
            }
            state.note(error);
            return Ok(Some(Value::Null));
        }
        next.run(ctx, info).await
    }
}

/// Where in the answer a field stands.
fn path_of(node: &QueryPathNode<'_>) -> Vec<PathSegment> {
    let mut path: Vec<PathSegment> = std::iter::successors(Some(node), |node| node.parent)
        .map(|node| match node.segment {
            QueryPathSegment::Name(name) => PathSegment::Field(name.to_owned()),
            QueryPathSegment::Index(index) => PathSegment::Index(index),
        })
        .collect();
    path.reverse();
    path
}

/// What is open to a session that must change its password.
fn is_open(parent: &str, field: &str) -> bool {
    match parent {
        // An entry of a list that is open itself.
        list if list.starts_with('[') => true,
        "Query" => matches!(field, "viewer" | "__schema" | "__type"),
        "Mutation" => matches!(field, "signIn" | "signOut" | "changePassword"),
        "Viewer" => field == "user",
        "User" => matches!(field, "id" | "login" | "mustChangePassword"),
        // Reached only through what is open above.
        "Session" => matches!(field, "id" | "user" | "createdAt" | "expiresAt" | "isCurrent"),
        "SignInPayload" | "SignOutPayload" | "ChangePasswordPayload" | "UserError" => true,
        _ => field == "__typename",
    }
}
