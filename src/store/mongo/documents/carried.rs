//! The copies of their last sign-ins that users carry.

use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, RawArrayBuf, RawBsonRef, serialize_to_raw_document_buf};
use serde::{Deserialize, Serialize};

use super::raw::{self, FromBson, Wrong, from_document};
use super::{At, Id, ImpersonatorDocument, OriginDocument};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::location::Location;
use crate::domain::login_event::{EventOrigin, Impersonator, LoginEvent, LoginMethod, LoginOutcome};
use crate::store::{Newest, Result, StoreError};

/// A sign-in as its user carries it: without its details (see [`Newest::details`]), which are most of it and for which the
/// history is asked, and without whose it is. What the server sorts, finds and counts by is BSON; the rest is [`Packed`].
#[derive(Debug, Serialize)]
pub(in super::super) struct CarriedDocument {
    #[serde(rename = "_id")]
    id: Id,
    at: At,
    attempts: u32,
    packed: Binary,
}

impl CarriedDocument {
    /// # Errors
    /// [`StoreError::Corrupt`] for one that cannot be written.
    pub(in super::super) fn of(event: &LoginEvent) -> Result<Self> {
        let packed = Packed::V1(Shown {
            outcome: event.outcome,
            method: event.method,
            ip: event.origin.ip,
            browser: event.origin.browser.clone(),
            location: event.origin.location.clone(),
            impersonator: event.impersonator.clone(),
        });
        let bytes = postcard::to_allocvec(&packed).map_err(unwritten)?;
        Ok(Self {
            id: event.id.into(),
            at: event.at.into(),
            attempts: event.attempts,
            packed: Binary {
                subtype: BinarySubtype::Generic,
                bytes,
            },
        })
    }
}

fn unwritten(error: impl fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the sign-in cannot be written: {error}"))
}

/// What lists show of a sign-in, in postcard's form, which has neither names nor types: half the bytes of a document. A test
/// holds the bytes of each version: what changes is a new one.
#[derive(Debug, Serialize, Deserialize)]
enum Packed {
    V1(Shown),
}

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    outcome: LoginOutcome,
    method: LoginMethod,
    ip: IpAddr,
    browser: Option<CompactString>,
    location: Option<Location>,
    impersonator: Option<Impersonator>,
}

impl FromBson for Packed {
    fn from_bson(value: RawBsonRef<'_>) -> std::result::Result<Self, Wrong> {
        let bytes = raw::bytes(value)?;
        match postcard::take_from_bytes(bytes) {
            Ok((packed, [])) => Ok(packed),
            Ok((_, rest)) => Err(Wrong::new(format_args!(
                "it cannot be unpacked: {} bytes too many",
                rest.len()
            ))),
            Err(e) => Err(Wrong::new(format_args!("it cannot be unpacked: {e}"))),
        }
    }
}

/// A carried sign-in of either form: users of before carry theirs as documents, some with their details.
struct StoredCarried {
    id: Id,
    at: At,
    attempts: u32,
    packed: Option<Packed>,
    outcome: Option<LoginOutcome>,
    method: Option<LoginMethod>,
    origin: Option<OriginDocument>,
    impersonator: Option<ImpersonatorDocument>,
}

from_document!(StoredCarried {
    id: "_id",
    at: "at",
    attempts: "attempts",
} or default {
    packed: "packed",
    outcome: "outcome",
    method: "method",
    origin: "origin",
    impersonator: "impersonator",
});

impl StoredCarried {
    /// The sign-in of that user, without its details.
    fn into_event(self, account: AccountId, user: UserId) -> std::result::Result<LoginEvent, Wrong> {
        let shown = match self.packed {
            Some(Packed::V1(shown)) => shown,
            None => {
                let origin: EventOrigin = raw::present(self.origin, "packed")?.into();
                Shown {
                    outcome: raw::present(self.outcome, "outcome")?,
                    method: raw::present(self.method, "method")?,
                    ip: origin.ip,
                    browser: origin.browser,
                    location: origin.location,
                    impersonator: self.impersonator.map(Into::into),
                }
            }
        };
        Ok(LoginEvent {
            id: self.id.into(),
            account,
            user: Some(user),
            at: self.at.into(),
            attempted_login: String::new(),
            outcome: shown.outcome,
            method: shown.method,
            origin: EventOrigin {
                ip: shown.ip,
                location: shown.location,
                browser: shown.browser,
                operating_system: None,
                device: None,
                user_agent: None,
            },
            detail: None,
            attempts: self.attempts,
            impersonator: shown.impersonator,
        })
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
    /// [`StoreError::Corrupt`] for one that cannot be written.
    pub(in super::super) fn of<'a>(events: impl IntoIterator<Item = &'a LoginEvent>) -> Result<Self> {
        let mut array = RawArrayBuf::new();
        for event in events {
            let document = serialize_to_raw_document_buf(&CarriedDocument::of(event)?);
            array.push(document.map_err(unwritten)?);
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
            let element = element?;
            let carried: StoredCarried = raw::read(&element)?;
            carried
                .into_event(account, user)
                .map_err(|wrong| wrong.at(element.key().as_str()))
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
    use mongodb::bson::{Bson, Document, doc, serialize_to_document};

    use super::*;
    use crate::store::contract::sample::{Maker, at, full_origin};
    use crate::store::mongo::documents::EventDocument;

    fn newest() -> Newest {
        Newest {
            limit: 5,
            not_before: at(0),
            details: false,
            last_login: false,
        }
    }

    fn full_event(make: &mut Maker) -> (UserId, LoginEvent) {
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
        (user.id, event)
    }

    fn recent(document: Document) -> Recent {
        let mut array = RawArrayBuf::new();
        array.push(serialize_to_raw_document_buf(&document).unwrap());
        Recent(array)
    }

    #[test]
    fn a_carried_sign_in_is_read_without_its_details_whichever_form_it_has() {
        let (user, event) = full_event(&mut Maker::default());
        let expected = LoginEvent {
            attempted_login: String::new(),
            origin: EventOrigin {
                operating_system: None,
                device: None,
                user_agent: None,
                ..event.origin.clone()
            },
            detail: None,
            ..event.clone()
        };
        let whole = serialize_to_document(&EventDocument::from(&event)).unwrap();
        let mut brief = whole.clone();
        for left_out in ["account", "user", "attempted_login", "detail"] {
            brief.remove(left_out);
        }
        let forms = [Recent::of([&event]).unwrap(), recent(whole), recent(brief)];
        for form in forms {
            let read = form.read(event.account, user, newest()).unwrap();
            assert_eq!(read, std::slice::from_ref(&expected));
        }
    }

    /// The first as 0, the next one as 1, and so on.
    fn are_written_in_this_order<T: Serialize + fmt::Debug>(all: &[T]) {
        for (place, one) in all.iter().enumerate() {
            assert_eq!(postcard::to_allocvec(one).unwrap(), [place as u8], "{one:?}");
        }
    }

    #[test]
    fn the_packed_form_stays_what_it_is() {
        are_written_in_this_order(&[
            LoginOutcome::Success,
            LoginOutcome::WrongPassword,
            LoginOutcome::UnknownUser,
            LoginOutcome::Locked,
            LoginOutcome::Disabled,
            LoginOutcome::AccountFrozen,
            LoginOutcome::PasswordExpired,
            LoginOutcome::PasswordMustChange,
            LoginOutcome::NotAllowed,
            LoginOutcome::DirectoryUnavailable,
            LoginOutcome::RateLimited,
        ]);
        are_written_in_this_order(&[
            LoginMethod::Local,
            LoginMethod::Ldap,
            LoginMethod::Link,
            LoginMethod::Impersonation,
        ]);
        let packed = |event: &LoginEvent| CarriedDocument::of(event).unwrap().packed.bytes;
        let (user, mut event) = full_event(&mut Maker::default());
        let address = [&[1, 0x20, 0x01, 0x0D, 0xB8][..], &[0; 11], &[7]].concat();
        let parts: [&[u8]; 12] = [
            &[0],    // version 1
            &[0, 0], // success, with a local password
            &address,
            b"\x01\x0BFirefox 140",
            b"\x01", // there is a place
            "\x01\x0ECôte d'Ivoire".as_bytes(),
            b"\x01\x02CI",
            &[0], // no city
            &[&[1][..], &5.3411_f64.to_le_bytes()].concat(),
            &[&[1][..], &(-4.0281_f64).to_le_bytes()].concat(),
            &[&[1, 16][..], user.as_uuid().as_bytes()].concat(),
            b"\x0Broot@system",
        ];
        assert_eq!(packed(&event), parts.concat());

        event.origin = EventOrigin {
            ip: [192, 0, 2, 1].into(),
            location: None,
            browser: None,
            ..event.origin
        };
        event.impersonator = None;
        assert_eq!(packed(&event), [0, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_unpacked_says_where() {
        let id = Id::from(Maker::default().uuid());
        let (account, user) = (AccountId::from_uuid(id.into()), UserId::from_uuid(id.into()));
        let error = |packed: Option<Bson>| {
            let mut document = doc! { "_id": id, "at": At(at(3)), "attempts": 1 };
            if let Some(packed) = packed {
                document.insert("packed", packed);
            }
            recent(document).read(account, user, newest()).unwrap_err().to_string()
        };
        let binary = |bytes: &[u8]| {
            let (subtype, bytes) = (BinarySubtype::Generic, bytes.to_vec());
            error(Some(Binary { subtype, bytes }.into()))
        };
        let whole = [0, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0];
        for bytes in [
            &whole[..10],
            &[],
            // Another version, an outcome that there is none of, a browser of 4 GiB, one byte more.
            &[1, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0],
            &[0, 99, 0, 0, 192, 0, 2, 1, 0, 0, 0],
            &[0, 0, 0, 0, 192, 0, 2, 1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, b'x'],
            &[0, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0],
        ] {
            let error = binary(bytes);
            assert!(
                error.contains("0: packed: it cannot be unpacked: "),
                "{bytes:?}: {error}"
            );
        }
        for other in [Bson::from(id), Bson::Int32(3)] {
            let error = error(Some(other));
            assert!(error.contains("0: packed: a binary of subtype 0"), "{error}");
        }
        let error = error(None);
        assert!(error.contains("0: packed is missing"), "{error}");
    }
}
