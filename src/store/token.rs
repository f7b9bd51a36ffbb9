//! API tokens.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, ApiTokenId};
use crate::domain::role::Role;
use crate::domain::token::ApiToken;
use crate::store::Result;

/// Whose an API token's secret is, and what it may do.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenIdentity {
    /// The token.
    pub token: ApiToken,
    /// Its account.
    pub account: Account,
    /// Those of its roles that there are.
    pub roles: Vec<Role>,
}

/// The most tokens of one account that are listed.
pub const LISTED_TOKENS: usize = 500;

/// The API tokens. Roles and groups of a token that are gone count for nothing.
#[async_trait]
pub trait TokenStore {
    /// Adds a token.
    ///
    /// # Errors
    /// [`Taken`](crate::store::StoreError::Taken) by the folded name of another of the account that is not revoked.
    async fn create_token(&self, token: &ApiToken, hash: &TokenHash, audit: &AuditEntry) -> Result<()>;

    /// Revokes a token: its secret opens nothing from here on.
    ///
    /// # Errors
    /// [`NotFound`](crate::store::StoreError::NotFound), also when it was revoked before.
    async fn revoke_token(&self, id: ApiTokenId, at: Timestamp, audit: &AuditEntry) -> Result<()>;

    /// The token of each secret with its account and roles, in their order; `None` when there is none. Whether it is active
    /// is the caller's to judge.
    async fn token_identities(&self, hashes: &[TokenHash]) -> Result<Vec<Option<TokenIdentity>>>;

    /// Those that exist, in any order.
    async fn tokens_by_ids(&self, ids: &[ApiTokenId]) -> Result<Vec<ApiToken>>;

    /// Those of these accounts, newest first, at most [`LISTED_TOKENS`] an account.
    async fn tokens_of_accounts(&self, accounts: &[AccountId]) -> Result<Vec<ApiToken>>;

    /// Remembers that a token was used; never moves backwards.
    async fn touch_token(&self, id: ApiTokenId, at: Timestamp) -> Result<()>;
}
