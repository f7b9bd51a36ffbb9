//! `login_events`, and the last success of each user.

use serde::Serialize;

use super::raw::{deserialize, from_document};
use super::{At, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::login_event::{LoginEvent, LoginMethod, LoginOutcome};

/// [`LoginEvent`].
#[derive(Debug, Clone, Serialize)]
pub(in super::super) struct EventDocument {
    #[serde(rename = "_id")]
    pub(in super::super) id: Id,
    account: Id,
    pub(in super::super) user: Option<Id>,
    pub(in super::super) at: At,
    attempted_login: String,
    outcome: LoginOutcome,
    method: LoginMethod,
    origin: OriginDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonator: Option<ImpersonatorDocument>,
}

from_document!(EventDocument {
    id: "_id",
    account: "account",
    at: "at",
    attempted_login: "attempted_login",
    outcome: "outcome",
    method: "method",
    origin: "origin",
    attempts: "attempts",
} or default {
    user: "user",
    detail: "detail",
    impersonator: "impersonator",
});
deserialize!(EventDocument);

impl From<&LoginEvent> for EventDocument {
    fn from(event: &LoginEvent) -> Self {
        Self {
            id: event.id.into(),
            account: event.account.into(),
            user: event.user.map(Into::into),
            at: event.at.into(),
            attempted_login: event.attempted_login.clone(),
            outcome: event.outcome,
            method: event.method,
            origin: (&event.origin).into(),
            detail: event.detail.clone(),
            attempts: event.attempts,
            impersonator: event.impersonator.as_ref().map(Into::into),
        }
    }
}

impl From<EventDocument> for LoginEvent {
    fn from(event: EventDocument) -> Self {
        Self {
            id: event.id.into(),
            account: event.account.into(),
            user: event.user.map(Into::into),
            at: event.at.into(),
            attempted_login: event.attempted_login,
            outcome: event.outcome,
            method: event.method,
            origin: event.origin.into(),
            detail: event.detail,
            attempts: event.attempts,
            impersonator: event.impersonator.map(Into::into),
        }
    }
}
