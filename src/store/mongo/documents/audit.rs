//! `audit`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{At, Id, ImpersonatorDocument, ip_text};
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};

/// [`AuditEntry`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct AuditDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    account: Id,
    at: At,
    actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor_user: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    impersonator: Option<ImpersonatorDocument>,
    ip: Option<IpText>,
    action: String,
    target_type: TargetType,
    target_id: Id,
    target_name: String,
    changes: Vec<FieldChange>,
}

/// An address that may not be there, as text.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct IpText(#[serde(with = "ip_text")] IpAddr);

impl From<&AuditEntry> for AuditDocument {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id.into(),
            account: entry.account.into(),
            at: entry.at.into(),
            actor: entry.actor.clone(),
            actor_user: entry.actor_user.map(Into::into),
            impersonator: entry.impersonator.as_ref().map(Into::into),
            ip: entry.ip.map(IpText),
            action: entry.action.clone(),
            target_type: entry.target_type,
            target_id: entry.target_id.into(),
            target_name: entry.target_name.clone(),
            changes: entry.changes.clone(),
        }
    }
}

impl From<AuditDocument> for AuditEntry {
    fn from(entry: AuditDocument) -> Self {
        Self {
            id: entry.id.into(),
            account: entry.account.into(),
            at: entry.at.into(),
            actor: entry.actor,
            actor_user: entry.actor_user.map(Into::into),
            impersonator: entry.impersonator.map(Into::into),
            ip: entry.ip.map(|ip| ip.0),
            action: entry.action,
            target_type: entry.target_type,
            target_id: entry.target_id.into(),
            target_name: entry.target_name,
            changes: entry.changes,
        }
    }
}
