//! API tokens.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, ApiTokenId};
use crate::domain::text::fold;
use crate::domain::token::ApiToken;
use crate::store::sqlite::rows::{self, Columns, Id, all, by_ids, first, json, millis, opt_millis};
use crate::store::sqlite::{SqliteStore, audit};
use crate::store::token::LISTED_TOKENS;
use crate::store::{Result, StoreError, TokenIdentity, TokenStore};

pub(super) const TOKEN: &str = "api_tokens.id, api_tokens.account, api_tokens.name, api_tokens.roles, api_tokens.groups, \
     api_tokens.created_by, api_tokens.created_at, api_tokens.last_used_at, api_tokens.expires_at, api_tokens.revoked_at";

pub(super) fn token(row: &mut Columns<'_>) -> Result<ApiToken> {
    Ok(ApiToken {
        id: row.id()?,
        account: row.id()?,
        name: row.get()?,
        roles: row.json()?,
        groups: row.json()?,
        created_by: row.opt_id()?,
        created_at: row.time()?,
        last_used_at: row.opt_time()?,
        expires_at: row.opt_time()?,
        revoked_at: row.opt_time()?,
    })
}

/// Adds a token alone.
pub(super) fn insert(connection: &Connection, token: &ApiToken, hash: &TokenHash) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO api_tokens (id, token_hash, account, name, name_fold, roles, groups, created_by, created_at, \
         last_used_at, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            token.id.blob(),
            hash.0,
            token.account.blob(),
            token.name,
            fold(&token.name),
            json(&token.roles)?,
            json(&token.groups)?,
            token.created_by.map(Id::blob),
            millis(token.created_at),
            opt_millis(token.last_used_at),
            opt_millis(token.expires_at),
            opt_millis(token.revoked_at),
        ])?;
    Ok(())
}

fn identity(tx: &Connection, hash: &TokenHash) -> Result<Option<TokenIdentity>> {
    let sql = format!(
        "SELECT {TOKEN}, {} FROM api_tokens JOIN accounts ON accounts.id = api_tokens.account \
         WHERE api_tokens.token_hash = ?",
        rows::ACCOUNT
    );
    let joined = |row: &mut Columns<'_>| Ok((token(row)?, rows::account(row)?));
    let Some((token, account)) = first(tx, &sql, [hash.0], joined)? else {
        return Ok(None);
    };
    let roles = by_ids(tx, rows::ROLE, "roles", &token.roles, rows::role)?;
    Ok(Some(TokenIdentity { token, account, roles }))
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn create_token(&self, token: &ApiToken, hash: &TokenHash, entry: &AuditEntry) -> Result<()> {
        let (token, hash, entry) = (token.clone(), *hash, entry.clone());
        self.write("create_token", move |tx| {
            insert(tx, &token, &hash)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn revoke_token(&self, id: ApiTokenId, at: Timestamp, entry: &AuditEntry) -> Result<()> {
        let entry = entry.clone();
        self.write("revoke_token", move |tx| {
            let revoked = tx
                .prepare_cached("UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")?
                .execute(params![millis(at), id.blob()])?;
            if revoked == 0 {
                return Err(StoreError::NotFound);
            }
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn token_identities(&self, hashes: &[TokenHash]) -> Result<Vec<Option<TokenIdentity>>> {
        let hashes = hashes.to_vec();
        self.read("token_identities", move |tx| {
            hashes.iter().map(|hash| identity(tx, hash)).collect()
        })
        .await
    }

    async fn tokens_by_ids(&self, ids: &[ApiTokenId]) -> Result<Vec<ApiToken>> {
        let ids = ids.to_vec();
        self.read("tokens_by_ids", move |tx| by_ids(tx, TOKEN, "api_tokens", &ids, token))
            .await
    }

    async fn tokens_of_accounts(&self, accounts: &[AccountId]) -> Result<Vec<ApiToken>> {
        let accounts = accounts.to_vec();
        self.read("tokens_of_accounts", move |tx| {
            let sql = format!(
                "SELECT {TOKEN} FROM api_tokens WHERE account = ? ORDER BY created_at DESC, id DESC LIMIT {LISTED_TOKENS}"
            );
            let mut tokens = Vec::new();
            for account in accounts {
                tokens.extend(all(tx, &sql, [account.blob()], token)?);
            }
            Ok(tokens)
        })
        .await
    }

    async fn touch_token(&self, id: ApiTokenId, at: Timestamp) -> Result<()> {
        self.write_quietly("touch_token", move |tx| {
            tx.prepare_cached(
                "UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)",
            )?
            .execute(params![id.blob(), millis(at)])?;
            Ok(())
        })
        .await
    }
}
