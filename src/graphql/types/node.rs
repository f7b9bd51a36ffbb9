//! `Node`: anything by its global identifier.
#![allow(
    missing_docs,
    reason = "the derive of the interface makes a public method without a comment"
)]

use std::sync::Arc;

use async_graphql::{ID, Interface};
use futures_util::future::try_join_all;

use crate::domain::ids::{
    AccountId, ApiTokenId, AuditEntryId, GroupId, LoginEventId, MailId, RoleId, SessionId, UserId,
};
use crate::graphql::context::RequestState;
use crate::graphql::error::ApiResult;
use crate::graphql::node_id::{self, NodeId as _};
use crate::graphql::types::{Account, ApiToken, AuditEntry, Group, LoginEvent, Mail, Role, Session, User};

/// Anything that has a global identifier.
#[derive(Debug, Clone, Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Its identifier."))]
pub enum Node {
    /// An account.
    Account(Account),
    /// A user.
    User(User),
    /// A role.
    Role(Role),
    /// A group.
    Group(Group),
    /// A sign-in.
    LoginEvent(LoginEvent),
    /// A session.
    Session(Session),
    /// An API token.
    ApiToken(ApiToken),
    /// An audit entry.
    AuditEntry(AuditEntry),
    /// A mail of the outbox.
    Mail(Mail),
}

/// Whatever these identifiers name that exists for the caller, in that order.
///
/// # Errors
/// Those of the store.
pub async fn load_nodes(state: &RequestState, ids: &[ID]) -> ApiResult<Vec<Option<Node>>> {
    try_join_all(ids.iter().map(|id| load_node(state, id))).await
}

async fn load_node(state: &RequestState, id: &str) -> ApiResult<Option<Node>> {
    let Some((kind, uuid)) = node_id::decode_any(id) else {
        return Ok(None);
    };
    let loaders = &state.loaders;
    Ok(match kind {
        AccountId::KIND => {
            // An account is more than its name: who may not see it as a whole does not find it by id either.
            let id = AccountId::of(uuid);
            let seen = state.caller().principal().reach_of_account().covers(id, None);
            if seen {
                loaders.account(id).await?.map(|a| Node::Account(Account(a)))
            } else {
                None
            }
        }
        UserId::KIND => loaders.user(UserId::of(uuid)).await?.map(|u| Node::User(User::from(u))),
        RoleId::KIND => loaders.role(RoleId::of(uuid)).await?.map(|r| Node::Role(Role(r))),
        GroupId::KIND => loaders.group(GroupId::of(uuid)).await?.map(|g| Node::Group(Group(g))),
        LoginEventId::KIND => loaders
            .login_event(LoginEventId::of(uuid))
            .await?
            .map(|e| Node::LoginEvent(LoginEvent(e))),
        SessionId::KIND => loaders
            .session(SessionId::of(uuid))
            .await?
            .map(|s| Node::Session(Session(s))),
        ApiTokenId::KIND => loaders
            .token(ApiTokenId::of(uuid))
            .await?
            .map(|t| Node::ApiToken(ApiToken(t))),
        AuditEntryId::KIND => loaders
            .audit_entry(AuditEntryId::of(uuid))
            .await?
            .map(|e| Node::AuditEntry(AuditEntry(e))),
        MailId::KIND => {
            let found = state.caller().mails_by_ids(&[MailId::of(uuid)]).await?;
            found.into_iter().next().map(|m| Node::Mail(Mail(Arc::new(m))))
        }
        _ => None,
    })
}
