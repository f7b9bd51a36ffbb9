//! `login_events`, and the copies of them that users carry.

use std::net::IpAddr;

use mongodb::bson::{RawArrayBuf, RawBsonRef, serialize_to_raw_document_buf};
use serde::Serialize;

use super::raw::{self, FromBson, Wrong, deserialize, from_document};
use super::{At, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::location::Location;
use crate::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use crate::store::{Newest, Result, StoreError};

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

/// The same without its details: see [`Newest::details`].
#[derive(Debug)]
struct BriefEventDocument {
    id: Id,
    account: Id,
    user: Option<Id>,
    at: At,
    outcome: LoginOutcome,
    method: LoginMethod,
    origin: BriefOriginDocument,
    attempts: u32,
    impersonator: Option<ImpersonatorDocument>,
}

#[derive(Debug)]
struct BriefOriginDocument {
    ip: IpAddr,
    location: Option<Location>,
    browser: Option<String>,
}

from_document!(BriefEventDocument {
    id: "_id",
    account: "account",
    at: "at",
    outcome: "outcome",
    method: "method",
    origin: "origin",
    attempts: "attempts",
} or default {
    user: "user",
    impersonator: "impersonator",
});

from_document!(BriefOriginDocument { ip: "ip" } or default {
    location: "location",
    browser: "browser",
});

impl From<BriefEventDocument> for LoginEvent {
    fn from(event: BriefEventDocument) -> Self {
        Self {
            id: event.id.into(),
            account: event.account.into(),
            user: event.user.map(Into::into),
            at: event.at.into(),
            attempted_login: String::new(),
            outcome: event.outcome,
            method: event.method,
            origin: EventOrigin {
                ip: event.origin.ip,
                location: event.origin.location,
                browser: event.origin.browser,
                operating_system: None,
                device: None,
                user_agent: None,
            },
            detail: None,
            attempts: event.attempts,
            impersonator: event.impersonator.map(Into::into),
        }
    }
}

/// The last [`RECENT`](crate::store::history::RECENT) sign-ins that a user carries, newest first, as they are stored: how many
/// are looked at, and at what of them, is up to who reads them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub(in super::super) struct Recent(RawArrayBuf);

impl Recent {
    /// Those sign-ins, in that order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for one that BSON cannot hold.
    pub(in super::super) fn of<'a>(events: impl IntoIterator<Item = &'a LoginEvent>) -> Result<Self> {
        let mut array = RawArrayBuf::new();
        for event in events {
            let document = serialize_to_raw_document_buf(&EventDocument::from(event));
            array.push(document.map_err(|e| StoreError::Corrupt(format!("the sign-in cannot be written: {e}")))?);
        }
        Ok(Self(array))
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are wanted.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for one that cannot be read.
    pub(in super::super) fn read(&self, newest: Newest) -> Result<Vec<LoginEvent>> {
        let events = self.0.iter_elements().take(newest.limit).map(|element| {
            let element = element?;
            if newest.details {
                raw::read::<EventDocument>(&element).map(LoginEvent::from)
            } else {
                raw::read::<BriefEventDocument>(&element).map(LoginEvent::from)
            }
        });
        let mut events: Vec<LoginEvent> = events
            .collect::<std::result::Result<_, Wrong>>()
            .map_err(|wrong| StoreError::Corrupt(format!("a user's last sign-ins: {wrong}")))?;
        events.retain(|event| event.at >= newest.not_before);
        Ok(events)
    }
}

impl FromBson for Recent {
    fn from_bson(value: RawBsonRef<'_>) -> std::result::Result<Self, Wrong> {
        raw::array(value).map(|array| Self(array.to_owned()))
    }
}
