//! What the collections hold, and how it maps to the domain.
//!
//! Ids are BSON UUIDs (binary, subtype 4), moments BSON dates, addresses their canonical text, enums short words. What
//! cannot be read back fails while it is being decoded, so that turning a document into the domain's type cannot; but for the
//! sign-ins that a user carries, which are packed, and unpacked as far as they are wanted.

mod audit;
mod carried;
mod event;
mod mail;
pub(super) mod raw;
mod session;
mod tenancy;
mod token;
mod user;

pub(super) use audit::AuditDocument;
pub(super) use carried::{CarriedDocument, Recent};
pub(super) use event::EventDocument;
pub(super) use mail::{AccessLinkDocument, MailDocument, MarkDocument};
pub(super) use session::SessionDocument;
pub(super) use tenancy::{AccountDocument, GroupDocument, RoleDocument};
pub(super) use token::TokenDocument;
pub(super) use user::{PasswordDocument, USER_HIDDEN, USER_LAST_LOGIN, USER_LISTED, UserDocument};

use std::net::IpAddr;

use compact_str::CompactString;
use jiff::Timestamp;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, RawBsonRef, serialize_to_bson};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::ids::{
    AccountId, ApiTokenId, AuditEntryId, AvatarId, GroupId, LoginEventId, MailId, RoleId, SessionId, UserId,
};
use crate::domain::location::Location;
use crate::domain::login_event::{EventOrigin, Impersonator};
use crate::store::{Result, StoreError};

/// An identifier of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(super) struct Id(mongodb::bson::Uuid);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // The raw form: `Uuid`'s own goes through a map with base64 in it.
        let bytes = match RawBsonRef::deserialize(deserializer)? {
            RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => binary.bytes.try_into().ok(),
            _ => None,
        };
        let bytes = bytes.ok_or_else(|| de::Error::custom("a UUID was expected"))?;
        Ok(Self(mongodb::bson::Uuid::from_bytes(bytes)))
    }
}

impl From<uuid::Uuid> for Id {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(mongodb::bson::Uuid::from_bytes(uuid.into_bytes()))
    }
}

impl From<Id> for uuid::Uuid {
    fn from(id: Id) -> Self {
        Self::from_bytes(id.0.bytes())
    }
}

impl From<Id> for Bson {
    fn from(id: Id) -> Self {
        id.0.into()
    }
}

macro_rules! ids {
    ($($name:ident),+) => {$(
        impl From<$name> for Id {
            fn from(id: $name) -> Self {
                id.as_uuid().into()
            }
        }
        impl From<Id> for $name {
            fn from(id: Id) -> Self {
                Self::from_uuid(id.into())
            }
        }
    )+};
}
ids!(
    AccountId,
    ApiTokenId,
    AvatarId,
    UserId,
    RoleId,
    GroupId,
    LoginEventId,
    SessionId,
    AuditEntryId,
    MailId
);

/// Ids of any kind as an array for `$in`.
pub(super) fn array<T: Copy + Into<Id>>(ids: &[T]) -> Bson {
    Bson::Array(ids.iter().map(|id| (*id).into().into()).collect())
}

/// A moment, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Timestamp);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<At> for Timestamp {
    fn from(at: At) -> Self {
        at.0
    }
}

impl From<At> for Bson {
    fn from(at: At) -> Self {
        Self::DateTime(DateTime::from_millis(at.0.as_millisecond()))
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        DateTime::from_millis(self.0.as_millisecond()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // The raw form: `DateTime`'s own goes through a map with a decimal string in it.
        match RawBsonRef::deserialize(deserializer)? {
            RawBsonRef::DateTime(at) => moment(at.timestamp_millis()).map(Self).map_err(de::Error::custom),
            other => Err(de::Error::custom(format_args!("a date was expected, not {other:?}"))),
        }
    }
}

/// `Timestamp::from_millisecond` refuses the last second that there is; this takes every moment that can be written.
fn moment(millis: i64) -> std::result::Result<Timestamp, jiff::Error> {
    let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    Timestamp::new(millis.div_euclid(1000), nanos)
}

/// Bytes that name or prove something: a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest(pub(super) [u8; 32]);

impl From<Digest> for Bson {
    fn from(digest: Digest) -> Self {
        Self::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: digest.0.to_vec(),
        })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match RawBsonRef::deserialize(deserializer)? {
            RawBsonRef::Binary(binary) => binary
                .bytes
                .try_into()
                .map(Self)
                .map_err(|_| de::Error::custom("a digest of 32 bytes was expected")),
            other => Err(de::Error::custom(format_args!("a digest was expected, not {other:?}"))),
        }
    }
}

/// An enum's word, as the documents hold it, for a filter.
pub(super) fn word<T: Serialize>(value: &T) -> Result<Bson> {
    serialize_to_bson(value).map_err(|e| StoreError::Corrupt(format!("a value cannot be written: {e}")))
}

/// An address, as the documents hold it, for a filter.
pub(super) fn address(ip: IpAddr) -> Bson {
    Bson::String(ip.to_string())
}

/// `#[serde(with)]` for addresses: the canonical text, which a filter can compare.
mod ip_text {
    use super::{Deserialize, Deserializer, IpAddr, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(ip: &IpAddr, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(ip)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

raw::from_document!(OriginDocument { ip: "ip" } or default {
    location: "location",
    browser: "browser",
    operating_system: "operating_system",
    device: "device",
    user_agent: "user_agent",
});

raw::from_document!(ImpersonatorDocument {
    user: "user",
    name: "name"
});

/// [`EventOrigin`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OriginDocument {
    #[serde(with = "ip_text")]
    ip: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    browser: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operating_system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl From<&EventOrigin> for OriginDocument {
    fn from(origin: &EventOrigin) -> Self {
        let origin = origin.clone();
        Self {
            ip: origin.ip,
            location: origin.location,
            browser: origin.browser,
            operating_system: origin.operating_system,
            device: origin.device,
            user_agent: origin.user_agent,
        }
    }
}

impl From<OriginDocument> for EventOrigin {
    fn from(origin: OriginDocument) -> Self {
        Self {
            ip: origin.ip,
            location: origin.location,
            browser: origin.browser,
            operating_system: origin.operating_system,
            device: origin.device,
            user_agent: origin.user_agent,
        }
    }
}

/// [`Impersonator`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ImpersonatorDocument {
    user: Id,
    name: String,
}

impl From<&Impersonator> for ImpersonatorDocument {
    fn from(impersonator: &Impersonator) -> Self {
        Self {
            user: impersonator.user.into(),
            name: impersonator.name.clone(),
        }
    }
}

impl From<ImpersonatorDocument> for Impersonator {
    fn from(impersonator: ImpersonatorDocument) -> Self {
        Self {
            user: impersonator.user.into(),
            name: impersonator.name,
        }
    }
}
