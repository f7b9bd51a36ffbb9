//! API tokens.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::auth::TokenSecret;
use crate::domain;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::scalars::DateTime;
use crate::graphql::types::ApiToken;
use crate::graphql::types::inputs::ids;
use crate::service::{Caller, Result, TokenInput};

/// API tokens.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tokens;

/// A new API token.
#[derive(InputObject)]
pub struct CreateApiTokenInput {
    /// Operators only; else the caller's account.
    account: Option<ID>,
    /// Unique among those of the account that are not revoked.
    name: String,
    /// What it may do: no more than oneself.
    roles: Vec<ID>,
    /// Whose objects it sees: no more than oneself.
    groups: Option<Vec<ID>>,
    /// When it ends by itself; never when absent.
    expires_at: Option<DateTime>,
}

/// A new API token, or what is wrong with it.
#[derive(Debug, SimpleObject)]
pub struct CreateApiTokenPayload {
    /// The token.
    api_token: Option<ApiToken>,
    /// Its secret, for `Authorization: Bearer …`: here and nowhere else.
    secret: Option<String>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// An API token to revoke.
#[derive(InputObject)]
pub struct RevokeApiTokenInput {
    /// The token.
    id: ID,
}

/// What revoking an API token comes to.
#[derive(Debug, SimpleObject)]
pub struct RevokeApiTokenPayload {
    /// The token.
    api_token: Option<ApiToken>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// API tokens.
#[Object]
impl Tokens {
    /// Makes an API token; takes tokens:write, and every permission of its roles.
    async fn create_api_token(
        &self,
        ctx: &Context<'_>,
        input: CreateApiTokenInput,
    ) -> ApiResult<CreateApiTokenPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let input = TokenInput {
            account: input.account.map(|id| node_id::decode(&id)),
            name: input.name,
            roles: ids(&input.roles),
            groups: ids(&input.groups.unwrap_or_default()),
            expires_at: input.expires_at.map(|at| at.0),
        };
        let (made, user_errors) = payload(create(&caller, input).await)?;
        let (api_token, secret) = made.unzip();
        Ok(CreateApiTokenPayload {
            api_token: api_token.map(|t| ApiToken(Arc::new(t))),
            secret: secret.map(|s| s.expose().to_owned()),
            user_errors,
        })
    }

    /// Revokes an API token; it is refused from then on. Takes tokens:write.
    async fn revoke_api_token(
        &self,
        ctx: &Context<'_>,
        input: RevokeApiTokenInput,
    ) -> ApiResult<RevokeApiTokenPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (api_token, user_errors) = payload(revoke(&caller, &input.id).await)?;
        Ok(RevokeApiTokenPayload {
            api_token: api_token.map(|t| ApiToken(Arc::new(t))),
            user_errors,
        })
    }
}

async fn create(caller: &Caller, input: TokenInput) -> Result<(domain::token::ApiToken, TokenSecret)> {
    caller.write_tokens()?.create(input).await
}

async fn revoke(caller: &Caller, id: &ID) -> Result<domain::token::ApiToken> {
    caller.write_tokens()?.revoke(node_id::decode(id)).await
}
