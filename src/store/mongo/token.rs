//! API tokens.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Bson, doc};
use serde::Deserialize;

use super::documents::{AccountDocument, At, Digest, Id, RoleDocument, TokenDocument};
use super::indexes::collections;
use super::keyset::Order;
use super::lists::Filter;
use super::transaction::{INTENT_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, ApiTokenId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::Direction;
use crate::domain::token::ApiToken;
use crate::store::token::LISTED_TOKENS;
use crate::store::{Result, StoreError, TokenIdentity, TokenStore};

const NEWEST_CREATED: Order = Order {
    field: "created_at",
    direction: Direction::Desc,
    nullable: None,
    unique_in_account: false,
};

/// A token joined with its account and its roles.
#[derive(Deserialize)]
struct IdentityRow {
    token: TokenDocument,
    account: Option<AccountDocument>,
    roles: Vec<RoleDocument>,
}

#[async_trait]
impl TokenStore for MongoStore {
    async fn create_token(&self, token: &ApiToken, hash: &TokenHash, audit: &AuditEntry) -> Result<()> {
        self.transaction((self, token, hash, audit), |session, (store, token, hash, audit)| {
            Box::pin(async move {
                round_trip("insert");
                store
                    .api_tokens
                    .insert_one(TokenDocument::new(token, hash))
                    .session(&mut *session)
                    .await?;
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn revoke_token(&self, id: ApiTokenId, at: Timestamp, audit: &AuditEntry) -> Result<()> {
        self.transaction((self, id, at, audit), |session, (store, id, at, audit)| {
            Box::pin(async move {
                let standing = doc! { "_id": Id::from(*id), "account": Id::from(audit.account), "is_revoked": false };
                round_trip("update");
                let revoked = store
                    .api_tokens
                    .update_one(standing, doc! { "$set": { "is_revoked": true, "revoked_at": At(*at) } })
                    .session(&mut *session)
                    .await?;
                if revoked.matched_count == 0 {
                    return Err(StoreError::NotFound.into());
                }
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn token_identities(&self, hashes: &[TokenHash]) -> Result<Vec<Option<TokenIdentity>>> {
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<Bson> = hashes.iter().map(|hash| Digest(hash.0).into()).collect();
        let pipeline = vec![
            doc! { "$match": { "token_hash": { "$in": wanted } } },
            doc! { "$replaceWith": { "token": "$$ROOT" } },
            doc! { "$lookup": {
                "from": collections::ACCOUNTS, "localField": "token.account", "foreignField": "_id", "as": "account",
            } },
            doc! { "$set": { "account": { "$first": "$account" } } },
            doc! { "$lookup": {
                "from": collections::ROLES, "localField": "token.roles", "foreignField": "_id", "as": "roles",
            } },
        ];
        let rows: Vec<IdentityRow> = self.aggregate(&self.api_tokens, pipeline, hashes.len()).await?;
        let mut found: Vec<(Digest, TokenIdentity)> = rows
            .into_iter()
            .filter_map(|row| {
                let hash = row.token.token_hash;
                let identity = TokenIdentity {
                    account: row.account?.into(),
                    roles: row.roles.into_iter().map(Into::into).collect(),
                    token: row.token.into(),
                };
                Some((hash, identity))
            })
            .collect();
        let mut of = |hash: &TokenHash| {
            let place = found.iter().position(|(known, _)| known.0 == hash.0)?;
            // Somebody may be connected twice with one token.
            let repeated = hashes.iter().filter(|other| other.0 == hash.0).count() > 1;
            Some(if repeated {
                found[place].1.clone()
            } else {
                found.swap_remove(place).1
            })
        };
        Ok(hashes.iter().map(&mut of).collect())
    }

    async fn tokens_by_ids(&self, ids: &[ApiTokenId]) -> Result<Vec<ApiToken>> {
        self.by_ids(&self.api_tokens, &[], ids).await
    }

    async fn tokens_of_accounts(&self, accounts: &[AccountId]) -> Result<Vec<ApiToken>> {
        let filters: Vec<Filter> = accounts.iter().map(|account| Filter::account(Some(*account))).collect();
        let page = PageRequest::first(LISTED_TOKENS);
        let pages: Vec<Page<ApiToken>> = self
            .pages(&self.api_tokens, &[], NEWEST_CREATED, &filters, &page)
            .await?;
        Ok(pages.into_iter().flat_map(|page| page.items).collect())
    }

    async fn touch_token(&self, id: ApiTokenId, at: Timestamp) -> Result<()> {
        round_trip("update");
        let touching = self.api_tokens.update_one(
            doc! { "_id": Id::from(id) },
            doc! { "$max": { "last_used_at": At(at) } },
        );
        bounded(INTENT_LIMIT, async {
            touching.await?;
            Ok(())
        })
        .await
    }
}
