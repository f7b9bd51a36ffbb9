//! `api_tokens`.

use serde::{Deserialize, Serialize};

use super::{At, Digest, Id};
use crate::domain::credentials::TokenHash;
use crate::domain::text::fold;
use crate::domain::token::ApiToken;

/// [`ApiToken`], with the hash of its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct TokenDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    account: Id,
    pub(in super::super) token_hash: Digest,
    name: String,
    name_fold: String,
    roles: Vec<Id>,
    groups: Vec<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<Id>,
    created_at: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<At>,
    /// As `revoked_at` is there or not: a partial index cannot ask for what is missing.
    is_revoked: bool,
}

impl TokenDocument {
    pub(in super::super) fn new(token: &ApiToken, hash: &TokenHash) -> Self {
        Self {
            id: token.id.into(),
            account: token.account.into(),
            token_hash: Digest(hash.0),
            name: token.name.clone(),
            name_fold: fold(&token.name),
            roles: token.roles.iter().map(|id| Id::from(*id)).collect(),
            groups: token.groups.iter().map(|id| Id::from(*id)).collect(),
            created_by: token.created_by.map(Into::into),
            created_at: token.created_at.into(),
            last_used_at: token.last_used_at.map(Into::into),
            expires_at: token.expires_at.map(Into::into),
            revoked_at: token.revoked_at.map(Into::into),
            is_revoked: token.revoked_at.is_some(),
        }
    }
}

impl From<TokenDocument> for ApiToken {
    fn from(token: TokenDocument) -> Self {
        Self {
            id: token.id.into(),
            account: token.account.into(),
            name: token.name,
            roles: token.roles.into_iter().map(Into::into).collect(),
            groups: token.groups.into_iter().map(Into::into).collect(),
            created_by: token.created_by.map(Into::into),
            created_at: token.created_at.into(),
            last_used_at: token.last_used_at.map(Into::into),
            expires_at: token.expires_at.map(Into::into),
            revoked_at: token.revoked_at.map(Into::into),
        }
    }
}
