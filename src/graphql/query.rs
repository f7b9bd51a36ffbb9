//! The queries.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain::ids::{AccountId, UserId};
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::lists;
use crate::graphql::node_id;
use crate::graphql::paging::{Connection, PageArguments, page_cost};
use crate::graphql::types::{
    Account, AccountFilter, AccountOrder, ApiToken, AuditEntry, AuditFilter, Directory, Group, LoginEvent,
    LoginEventFilter, LoginExplanation, Mail, MailFilter, NamedFilter, Node, Role, User, UserFilter, UserOrder, Viewer,
    load_nodes,
};
use crate::graphql::written::Straight;

/// The most identifiers that `nodes` takes.
const MAX_NODES: usize = 200;

/// What asking a directory counts for in the cost of a request.
const EXPLAINING: usize = 1000;

/// Reading.
#[derive(Debug, Default, Clone, Copy)]
pub struct Query;

/// Reading.
#[Object]
impl Query {
    /// The signed-in person or token; null for nobody.
    async fn viewer(&self, ctx: &Context<'_>) -> ApiResult<Option<Viewer>> {
        Ok(Viewer::of(RequestState::of(ctx)?.caller()))
    }

    /// Anything by its identifier; null when there is no such thing, or none that you see.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Option<ApiResult<Node>> {
        let found = match signed_in(ctx) {
            Ok(state) => load_nodes(state, std::slice::from_ref(&id)).await,
            Err(error) => Err(error),
        };
        found.map(|mut nodes| nodes.pop().flatten()).transpose()
    }

    /// Several things at once, in that order; at most 200.
    #[graphql(complexity = "ids.len() * child_complexity + 1")]
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> ApiResult<Vec<Option<Node>>> {
        if ids.len() > MAX_NODES {
            return Err(ApiError::bad_request(format!(
                "ids holds {}; {MAX_NODES} is the most",
                ids.len()
            )));
        }
        load_nodes(signed_in(ctx)?, &ids).await
    }

    /// The caller's own account when neither is given.
    async fn account(&self, ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> Option<ApiResult<Account>> {
        account(ctx, id, name).await.transpose()
    }

    /// Operators only (master users of the `system` account).
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments)] // the schema's arguments
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        filter: Option<AccountFilter>,
        order_by: Option<AccountOrder>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Connection<Account>>> {
        Some(
            lists::accounts(
                ctx,
                filter,
                order_by,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
            )
            .await,
        )
    }

    /// By id, or by `login@account`.
    async fn user(&self, ctx: &Context<'_>, id: Option<ID>, login: Option<String>) -> Option<ApiResult<User>> {
        user(ctx, id, login).await.transpose()
    }

    /// Users of the caller's account (operators: of every account, or of filter.account); without users:read only the
    /// caller.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments)] // the schema's arguments
    async fn users(
        &self,
        ctx: &Context<'_>,
        filter: Option<UserFilter>,
        order_by: Option<UserOrder>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<User>>>> {
        Some(
            lists::users(
                ctx,
                filter,
                order_by,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
                |_| true,
            )
            .await,
        )
    }

    /// Roles, by name.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn roles(
        &self,
        ctx: &Context<'_>,
        filter: Option<NamedFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<Role>>>> {
        Some(
            lists::roles(
                ctx,
                filter,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
                |_| true,
            )
            .await,
        )
    }

    /// Groups, by name.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn groups(
        &self,
        ctx: &Context<'_>,
        filter: Option<NamedFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<Group>>>> {
        Some(
            lists::groups(
                ctx,
                filter,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
                |_| true,
            )
            .await,
        )
    }

    /// Newest first. Users see their own; `history:read` sees the account's.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn login_history(
        &self,
        ctx: &Context<'_>,
        filter: Option<LoginEventFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<LoginEvent>>>> {
        Some(
            lists::login_events(
                ctx,
                filter,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
                |_| true,
            )
            .await,
        )
    }

    /// The API tokens of the caller's account, or for operators of that one, newest first; takes tokens:write.
    async fn api_tokens(&self, ctx: &Context<'_>, account: Option<ID>) -> Option<ApiResult<Vec<ApiToken>>> {
        api_tokens(ctx, account).await.transpose()
    }

    /// The configured directories: all for operators, for masters their account's.
    async fn directories(&self, ctx: &Context<'_>) -> Option<ApiResult<Vec<Directory>>> {
        let found = async { Ok(RequestState::of(ctx)?.caller().directories()?) };
        let found = found
            .await
            .map(|names| names.into_iter().map(|(name, account)| Directory::new(name, account)));
        Some(found.map(Iterator::collect))
    }

    /// What would happen if this person signed in now: every step, without a password and without a bind as that person. For
    /// masters of the account and operators.
    #[graphql(complexity = "EXPLAINING + child_complexity")]
    async fn explain_login(&self, ctx: &Context<'_>, login: String) -> Option<ApiResult<LoginExplanation>> {
        let explained = async { Ok(signed_in(ctx)?.caller().explain_login(&login).await?) };
        let explained = explained.await.transpose()?;
        Some(explained.map(LoginExplanation::from))
    }

    /// Operators: the outbox, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn mail_queue(
        &self,
        ctx: &Context<'_>,
        filter: Option<MailFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Connection<Mail>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        Some(lists::mails(ctx, filter, page).await)
    }

    /// What was changed, newest first; takes audit:read.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Connection<AuditEntry>>> {
        Some(
            lists::audit(
                ctx,
                filter,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
                |_| true,
            )
            .await,
        )
    }
}

fn signed_in<'a>(ctx: &Context<'a>) -> ApiResult<&'a RequestState> {
    let state = RequestState::of(ctx)?;
    state.caller().principal().signed_in()?;
    Ok(state)
}

async fn api_tokens(ctx: &Context<'_>, account: Option<ID>) -> ApiResult<Option<Vec<ApiToken>>> {
    let state = signed_in(ctx)?;
    let account = match account {
        Some(id) => node_id::decode(&id),
        None => state.caller().principal().account(),
    };
    match account {
        Some(account) => Ok(Some(ApiToken::of_account(state, account).await?)),
        None => Ok(None),
    }
}

async fn account(ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> ApiResult<Option<Account>> {
    let state = signed_in(ctx)?;
    let found = match (id, name) {
        (Some(_), Some(_)) => return Err(ApiError::bad_request("give id or name, not both")),
        (Some(id), None) => match node_id::decode::<AccountId>(&id) {
            Some(id) => state.loaders.account(id).await?,
            None => None,
        },
        (None, Some(name)) => state.caller().account_by_name(&name).await?.map(Arc::new),
        (None, None) => state.caller().principal().own_account().cloned(),
    };
    Ok(found.map(Account))
}

async fn user(ctx: &Context<'_>, id: Option<ID>, login: Option<String>) -> ApiResult<Option<User>> {
    let state = signed_in(ctx)?;
    let found = match (id, login) {
        (Some(id), None) => match node_id::decode::<UserId>(&id) {
            Some(id) => state.loaders.user(id).await?,
            None => None,
        },
        (None, Some(login)) => state.caller().user_by_login(&login).await?.map(Arc::new),
        (Some(_), Some(_)) | (None, None) => return Err(ApiError::bad_request("give either id or login")),
    };
    Ok(found.map(User::from))
}
