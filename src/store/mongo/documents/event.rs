//! `login_events`, and the copies of them that users carry.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{At, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::location::Location;
use crate::domain::login_event::{EventOrigin, Impersonator, LoginEvent, LoginMethod, LoginOutcome};

/// [`LoginEvent`].
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    impersonator: Option<ImpersonatorDocument>,
}

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

/// A sign-in as its user's document carries it. What the database sorts and counts by are fields; all else is one text, as a
/// page of users reads hundreds of sign-ins, and each field costs time, in the server and here. Account and user are those
/// of the document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "CarriedFields")]
pub(in super::super) struct CarriedDocument {
    #[serde(rename = "_id")]
    id: Id,
    pub(in super::super) at: At,
    attempts: u32,
    #[serde(with = "json_text")]
    said: Said,
}

/// What is kept as text: a JSON array. Something new goes to its end, with `serde(default)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Said(
    /// What was typed as login.
    String,
    LoginOutcome,
    LoginMethod,
    IpAddr,
    Option<Place>,
    /// Browser, operating system, device, User-Agent.
    [Option<String>; 4],
    /// The detail.
    Option<String>,
    Option<Impersonator>,
);

/// Country, its code, city, latitude, longitude.
type Place = (Option<String>, Option<String>, Option<String>, Option<f64>, Option<f64>);

/// The fields of a [`CarriedDocument`], or, as they were carried before, of an [`EventDocument`].
#[derive(Deserialize)]
struct CarriedFields {
    #[serde(rename = "_id")]
    id: Id,
    at: At,
    attempts: u32,
    #[serde(default)]
    said: Option<String>,
    attempted_login: Option<String>,
    outcome: Option<LoginOutcome>,
    method: Option<LoginMethod>,
    origin: Option<OriginDocument>,
    detail: Option<String>,
    impersonator: Option<ImpersonatorDocument>,
}

impl TryFrom<CarriedFields> for CarriedDocument {
    type Error = String;

    fn try_from(fields: CarriedFields) -> Result<Self, String> {
        let said = match (
            fields.said,
            fields.attempted_login,
            fields.outcome,
            fields.method,
            fields.origin,
        ) {
            (Some(text), ..) => serde_json::from_str(&text).map_err(|e| format!("a sign-in's text: {e}"))?,
            (None, Some(attempted_login), Some(outcome), Some(method), Some(origin)) => Said::new(
                attempted_login,
                (outcome, method),
                origin.into(),
                fields.detail,
                fields.impersonator.map(Into::into),
            ),
            _ => return Err("a sign-in says nothing".to_owned()),
        };
        Ok(Self {
            id: fields.id,
            at: fields.at,
            attempts: fields.attempts,
            said,
        })
    }
}

impl Said {
    fn new(
        attempted_login: String,
        (outcome, method): (LoginOutcome, LoginMethod),
        origin: EventOrigin,
        detail: Option<String>,
        impersonator: Option<Impersonator>,
    ) -> Self {
        let place = |l: Location| (l.country, l.country_code, l.city, l.latitude, l.longitude);
        let client = [
            origin.browser,
            origin.operating_system,
            origin.device,
            origin.user_agent,
        ];
        Self(
            attempted_login,
            outcome,
            method,
            origin.ip,
            origin.location.map(place),
            client,
            detail,
            impersonator,
        )
    }
}

impl From<&LoginEvent> for CarriedDocument {
    fn from(event: &LoginEvent) -> Self {
        Self {
            id: event.id.into(),
            at: event.at.into(),
            attempts: event.attempts,
            said: Said::new(
                event.attempted_login.clone(),
                (event.outcome, event.method),
                event.origin.clone(),
                event.detail.clone(),
                event.impersonator.clone(),
            ),
        }
    }
}

impl CarriedDocument {
    /// The sign-in, of the user whose document carries it.
    pub(in super::super) fn of(self, account: AccountId, user: UserId) -> LoginEvent {
        let Said(attempted_login, outcome, method, ip, place, client, detail, impersonator) = self.said;
        let [browser, operating_system, device, user_agent] = client;
        let location = place.map(|(country, country_code, city, latitude, longitude)| Location {
            country,
            country_code,
            city,
            latitude,
            longitude,
        });
        LoginEvent {
            id: self.id.into(),
            account,
            user: Some(user),
            at: self.at.into(),
            attempted_login,
            outcome,
            method,
            origin: EventOrigin {
                ip,
                location,
                browser,
                operating_system,
                device,
                user_agent,
            },
            detail,
            attempts: self.attempts,
            impersonator,
        }
    }
}

/// A value as the text of its JSON.
mod json_text {
    use serde::ser::Error as _;
    use serde::{Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(value).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{deserialize_from_slice, serialize_to_vec};

    use super::*;
    use crate::domain::login_event::LoginOutcome;
    use crate::store::contract::sample::{Maker, full_origin};

    #[test]
    fn a_carried_sign_in_is_read_in_its_old_form_too() {
        let mut make = Maker::default();
        let account = make.account("acme");
        let user = make.user(account.id, "ann");
        let plain = make.event(&user, 1, LoginOutcome::WrongPassword);
        let mut full = make.event(&user, 2, LoginOutcome::Success);
        full.origin = full_origin();
        full.detail = Some("\"with\" marks".to_owned());
        full.impersonator = Some(Impersonator {
            user: user.id,
            name: "root@system".to_owned(),
        });
        for event in [plain, full] {
            let old = serialize_to_vec(&EventDocument::from(&event)).unwrap();
            let new = serialize_to_vec(&CarriedDocument::from(&event)).unwrap();
            assert!(new.len() < old.len(), "{} and {} bytes", new.len(), old.len());
            for form in [old, new] {
                let read: CarriedDocument = deserialize_from_slice(&form).unwrap();
                assert_eq!(read.of(account.id, user.id), event);
            }
        }
    }
}
