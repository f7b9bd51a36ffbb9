//! `sessions`.

use serde::{Deserialize, Serialize};

use super::{At, Digest, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::credentials::TokenHash;
use crate::domain::session::Session;

/// [`Session`], with the hash of its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct SessionDocument {
    #[serde(rename = "_id")]
    id: Id,
    account: Id,
    user: Id,
    token_hash: Digest,
    created_at: At,
    last_seen_at: At,
    expires_at: At,
    origin: OriginDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    impersonator: Option<ImpersonatorDocument>,
}

impl SessionDocument {
    pub(in super::super) fn new(session: &Session, token_hash: &TokenHash) -> Self {
        Self {
            id: session.id.into(),
            account: session.account.into(),
            user: session.user.into(),
            token_hash: Digest(token_hash.0),
            created_at: session.created_at.into(),
            last_seen_at: session.last_seen_at.into(),
            expires_at: session.expires_at.into(),
            origin: (&session.origin).into(),
            impersonator: session.impersonator.as_ref().map(Into::into),
        }
    }
}

impl From<SessionDocument> for Session {
    fn from(session: SessionDocument) -> Self {
        Self {
            id: session.id.into(),
            account: session.account.into(),
            user: session.user.into(),
            created_at: session.created_at.into(),
            last_seen_at: session.last_seen_at.into(),
            expires_at: session.expires_at.into(),
            origin: session.origin.into(),
            impersonator: session.impersonator.map(Into::into),
        }
    }
}
