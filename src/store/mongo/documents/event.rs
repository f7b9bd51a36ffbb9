//! `login_events`, and the copies of them that users carry.

use mongodb::bson::{RawArrayBuf, RawBsonRef, serialize_to_raw_document_buf};
use serde::Serialize;

use super::raw::{self, FromBson, Wrong, deserialize, from_document};
use super::{At, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login_event::{LoginEvent, LoginMethod, LoginOutcome};
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

/// A sign-in as its user carries it: without its details (see [`Newest::details`]), which are most of it and for which the
/// history is asked, and without whose it is. Those that were carried whole by users of before read the same.
#[derive(Debug, Serialize)]
pub(in super::super) struct CarriedDocument {
    #[serde(rename = "_id")]
    id: Id,
    at: At,
    outcome: LoginOutcome,
    method: LoginMethod,
    origin: OriginDocument,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonator: Option<ImpersonatorDocument>,
}

from_document!(CarriedDocument {
    id: "_id",
    at: "at",
    outcome: "outcome",
    method: "method",
    origin: "origin",
    attempts: "attempts",
} or default {
    impersonator: "impersonator",
});

impl From<&LoginEvent> for CarriedDocument {
    fn from(event: &LoginEvent) -> Self {
        Self {
            id: event.id.into(),
            at: event.at.into(),
            outcome: event.outcome,
            method: event.method,
            origin: OriginDocument::from(&event.origin).without_details(),
            attempts: event.attempts,
            impersonator: event.impersonator.as_ref().map(Into::into),
        }
    }
}

impl CarriedDocument {
    /// The sign-in of that user, without its details.
    fn of(self, account: AccountId, user: UserId) -> LoginEvent {
        let event = self;
        LoginEvent {
            id: event.id.into(),
            account,
            user: Some(user),
            at: event.at.into(),
            attempted_login: String::new(),
            outcome: event.outcome,
            method: event.method,
            origin: event.origin.without_details().into(),
            detail: None,
            attempts: event.attempts,
            impersonator: event.impersonator.map(Into::into),
        }
    }
}

/// The last [`RECENT`](crate::store::history::RECENT) sign-ins that a user carries, newest first, as they are stored: how many
/// are looked at is up to who reads them.
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
            let document = serialize_to_raw_document_buf(&CarriedDocument::from(event));
            array.push(document.map_err(|e| StoreError::Corrupt(format!("the sign-in cannot be written: {e}")))?);
        }
        Ok(Self(array))
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of that user that are wanted, without their details in any case.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for one that cannot be read.
    pub(in super::super) fn read(&self, account: AccountId, user: UserId, newest: Newest) -> Result<Vec<LoginEvent>> {
        let events = self.0.iter_elements().take(newest.limit).map(|element| {
            let carried: CarriedDocument = raw::read(&element?)?;
            Ok(carried.of(account, user))
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

#[cfg(test)]
mod tests {
    use mongodb::bson::RawDocument;

    use super::*;
    use crate::domain::login_event::Impersonator;
    use crate::store::contract::sample::{Maker, at, full_origin};

    #[test]
    fn sign_ins_that_were_carried_whole_read_as_those_that_are_not() {
        let mut make = Maker::default();
        let account = AccountId::from_uuid(make.uuid());
        let user = make.user(account, "ann");
        let event = LoginEvent {
            origin: full_origin(),
            detail: Some("data 52e, v4563".to_owned()),
            attempts: 3,
            impersonator: Some(Impersonator {
                user: user.id,
                name: "root@system".to_owned(),
            }),
            ..make.event(&user, 7, LoginOutcome::Success)
        };
        let mut whole = RawArrayBuf::new();
        whole.push(serialize_to_raw_document_buf(&EventDocument::from(&event)).unwrap());
        let carried = Recent::of([&event]).unwrap();

        let keys = |document: &RawDocument| -> Vec<String> {
            let elements = document.iter_elements();
            elements
                .map(|element| element.unwrap().key().as_str().to_owned())
                .collect()
        };
        let stored = carried.0.get_document(0).unwrap();
        assert_eq!(
            keys(stored),
            ["_id", "at", "outcome", "method", "origin", "attempts", "impersonator"]
        );
        assert_eq!(
            keys(stored.get_document("origin").unwrap()),
            ["ip", "location", "browser"]
        );

        let newest = Newest {
            limit: 5,
            not_before: at(0),
            details: false,
            last_login: false,
        };
        let read = carried.read(account, user.id, newest).unwrap();
        assert_eq!(Recent(whole).read(account, user.id, newest).unwrap(), read);
        assert_eq!((read[0].id, &read[0].impersonator), (event.id, &event.impersonator));
        assert_eq!(read[0].origin.location, event.origin.location);
    }
}
