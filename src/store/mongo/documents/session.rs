//! `sessions`.

use serde::{Deserialize, Serialize};

use super::{At, Digest, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::credentials::TokenHash;
use crate::domain::session::{Impersonation, Session};

/// [`Session`], with the hash of its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct SessionDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    account: Id,
    user: Id,
    token_hash: Digest,
    created_at: At,
    last_seen_at: At,
    expires_at: At,
    origin: OriginDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    impersonation: Option<ImpersonationDocument>,
}

/// [`Impersonation`].
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ImpersonationDocument {
    by: ImpersonatorDocument,
    reason: String,
    read_only: bool,
    own_session: Id,
    sealed_secret: Digest,
}

impl From<&Impersonation> for ImpersonationDocument {
    fn from(impersonation: &Impersonation) -> Self {
        Self {
            by: (&impersonation.by).into(),
            reason: impersonation.reason.clone(),
            read_only: impersonation.read_only,
            own_session: impersonation.own_session.into(),
            sealed_secret: Digest(impersonation.sealed_secret),
        }
    }
}

impl From<ImpersonationDocument> for Impersonation {
    fn from(impersonation: ImpersonationDocument) -> Self {
        Self {
            by: impersonation.by.into(),
            reason: impersonation.reason,
            read_only: impersonation.read_only,
            own_session: impersonation.own_session.into(),
            sealed_secret: impersonation.sealed_secret.0,
        }
    }
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
            impersonation: session.impersonation.as_ref().map(Into::into),
        }
    }
}

impl SessionDocument {
    /// The hash of its secret.
    pub(in super::super) fn token_hash(&self) -> TokenHash {
        TokenHash(self.token_hash.0)
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
            impersonation: session.impersonation.map(Into::into),
        }
    }
}
