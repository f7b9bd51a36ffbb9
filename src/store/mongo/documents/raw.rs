//! Reading the documents that are most of what is read, users and their sign-ins, in one pass over their bytes.
//!
//! What serde would do for them is most of the time that a page of users takes: it asks each field's name of a table of all
//! of them, and goes through a map of its own for identifiers and moments. Here a field goes where its name says, and what
//! has no place costs no more than its length.

use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;
use mongodb::bson::error::Error;
use mongodb::bson::raw::RawElement;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawArray, RawBsonRef, RawDocument};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;

use super::{At, Id, moment};
use crate::domain::account::Language;
use crate::domain::grant::GrantSource;
use crate::domain::location::Location;
use crate::domain::login::Login;
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::domain::user::{DisabledBy, Email, Notifications, UserStatus};

/// What is wrong with a document: where, and what would be right.
#[derive(Debug)]
pub(in super::super) struct Wrong(String);

impl Wrong {
    pub(in super::super) fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }

    fn missing(key: &str) -> Self {
        Self(format!("{key} is missing"))
    }

    pub(in super::super) fn at(self, key: &str) -> Self {
        Self(format!("{key}: {}", self.0))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

/// What can be read out of one value.
pub(in super::super) trait FromBson: Sized {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong>;
}

/// The value of an element.
pub(in super::super) fn read<T: FromBson>(element: &RawElement<'_>) -> Result<T, Wrong> {
    let value = element.value()?;
    T::from_bson(value).map_err(|wrong| wrong.at(element.key().as_str()))
}

/// The value that a document must have under a key.
pub(in super::super) fn present<T>(value: Option<T>, key: &str) -> Result<T, Wrong> {
    value.ok_or_else(|| Wrong::missing(key))
}

/// `from_document!(Struct { field: "key" … } or default { … } unread { … })` reads the struct out of a document: the first
/// fields must be there, the next ones may be missing, and the last ones are not looked for.
macro_rules! from_document {
    (
        $type:ty { $($field:ident: $key:literal),* $(,)? }
        $(or default { $($optional:ident: $name:literal),* $(,)? })?
        $(unread { $($unread:ident),* $(,)? })?
    ) => {
        impl $crate::store::mongo::documents::raw::FromBson for $type {
            fn from_bson(
                value: mongodb::bson::RawBsonRef<'_>,
            ) -> std::result::Result<Self, $crate::store::mongo::documents::raw::Wrong> {
                use $crate::store::mongo::documents::raw;
                $(let mut $field = None;)*
                $($(let mut $optional = None;)*)?
                for element in raw::document(value)?.iter_elements() {
                    let element = element?;
                    match element.key().as_str() {
                        $($key => $field = Some(raw::read(&element)?),)*
                        $($($name => $optional = Some(raw::read(&element)?),)*)?
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: raw::present($field, $key)?,)*
                    $($($optional: $optional.unwrap_or_default(),)*)?
                    $($($unread: Default::default(),)*)?
                })
            }
        }
    };
}
pub(in super::super) use from_document;

/// Lets the driver read such structs.
macro_rules! deserialize {
    ($($type:ty),+ $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                use $crate::store::mongo::documents::raw::FromBson as _;
                let document = <&mongodb::bson::RawDocument>::deserialize(deserializer)?;
                Self::from_bson(document.into()).map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(in super::super) use deserialize;

pub(in super::super) fn document(value: RawBsonRef<'_>) -> Result<&RawDocument, Wrong> {
    match value {
        RawBsonRef::Document(document) => Ok(document),
        other => Err(wanted("a document", other)),
    }
}

pub(in super::super) fn array(value: RawBsonRef<'_>) -> Result<&RawArray, Wrong> {
    match value {
        RawBsonRef::Array(array) => Ok(array),
        other => Err(wanted("an array", other)),
    }
}

pub(in super::super) fn bytes(value: RawBsonRef<'_>) -> Result<&[u8], Wrong> {
    match value {
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Generic => Ok(binary.bytes),
        other => Err(wanted("a binary of subtype 0", other)),
    }
}

/// The value itself is not shown: it may be what nobody is to see.
fn wanted(what: &str, found: RawBsonRef<'_>) -> Wrong {
    Wrong(format!("{what} was expected, not {:?}", found.element_type()))
}

fn text(value: RawBsonRef<'_>) -> Result<&str, Wrong> {
    match value {
        RawBsonRef::String(text) => Ok(text),
        other => Err(wanted("a text", other)),
    }
}

impl<T: FromBson> FromBson for Option<T> {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        match value {
            RawBsonRef::Null => Ok(None),
            value => T::from_bson(value).map(Some),
        }
    }
}

impl<T: FromBson> FromBson for Vec<T> {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        array(value)?.iter_elements().map(|element| read(&element?)).collect()
    }
}

impl FromBson for String {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        text(value).map(str::to_owned)
    }
}

impl FromBson for CompactString {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        text(value).map(Self::from)
    }
}

impl FromBson for bool {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        match value {
            RawBsonRef::Boolean(is) => Ok(is),
            other => Err(wanted("a truth value", other)),
        }
    }
}

impl FromBson for i64 {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        match value {
            RawBsonRef::Int32(number) => Ok(number.into()),
            RawBsonRef::Int64(number) => Ok(number),
            other => Err(wanted("a whole number", other)),
        }
    }
}

impl FromBson for u32 {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        i64::from_bson(value)?.try_into().map_err(Wrong::new)
    }
}

impl FromBson for f64 {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        match value {
            RawBsonRef::Double(number) => Ok(number),
            RawBsonRef::Int32(number) => Ok(number.into()),
            other => Err(wanted("a number", other)),
        }
    }
}

impl FromBson for Id {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        let bytes = match value {
            RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => binary.bytes.try_into().ok(),
            _ => None,
        };
        let bytes = bytes.ok_or_else(|| wanted("a UUID", value))?;
        Ok(Self(mongodb::bson::Uuid::from_bytes(bytes)))
    }
}

impl FromBson for At {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        match value {
            RawBsonRef::DateTime(at) => moment(at.timestamp_millis()).map(Self).map_err(Wrong::new),
            other => Err(wanted("a date", other)),
        }
    }
}

impl FromBson for IpAddr {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        text(value)?.parse().map_err(Wrong::new)
    }
}

impl FromBson for Login {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        Self::parse(text(value)?).map_err(Wrong::new)
    }
}

impl FromBson for Email {
    fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
        Self::parse(text(value)?).map_err(Wrong::new)
    }
}

macro_rules! words {
    ($($type:ty),+) => {$(
        impl FromBson for $type {
            fn from_bson(value: RawBsonRef<'_>) -> Result<Self, Wrong> {
                let word: StrDeserializer<'_, serde::de::value::Error> = text(value)?.into_deserializer();
                Self::deserialize(word).map_err(Wrong::new)
            }
        }
    )+};
}
words!(DisabledBy, GrantSource, Language, LoginMethod, LoginOutcome, UserStatus);

from_document!(Location {} or default {
    country: "country",
    country_code: "country_code",
    city: "city",
    latitude: "latitude",
    longitude: "longitude",
});

from_document!(Notifications {
    limits_exhausted: "limits_exhausted",
    subscriber_complaints: "subscriber_complaints",
    hard_bounces: "hard_bounces",
    soft_bounces: "soft_bounces",
    daily_reports: "daily_reports",
    weekly_reports: "weekly_reports",
    security_notices: "security_notices",
} or default {
    email: "email",
});
