//! Global identifiers (Relay's Global Object Identification): opaque to clients, the kind of object and its UUID in 17
//! bytes of base64url.

use async_graphql::ID;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::audit::TargetType;
use crate::domain::ids::{
    AccountId, ApiTokenId, AuditEntryId, GroupId, LoginEventId, MailId, RoleId, SessionId, UserId,
};

/// An identifier that has a place in the API.
pub trait NodeId: Copy {
    /// The kind's byte.
    const KIND: u8;
    /// The kind's object of that UUID.
    fn of(uuid: Uuid) -> Self;
    /// Its UUID.
    fn uuid(self) -> Uuid;
}

macro_rules! node_ids {
    ($($id:ident = $kind:literal),+ $(,)?) => {$(
        impl NodeId for $id {
            const KIND: u8 = $kind;
            fn of(uuid: Uuid) -> Self {
                Self::from_uuid(uuid)
            }
            fn uuid(self) -> Uuid {
                self.as_uuid()
            }
        }
    )+};
}

node_ids! {
    AccountId = b'A',
    UserId = b'U',
    RoleId = b'R',
    GroupId = b'G',
    LoginEventId = b'E',
    SessionId = b'S',
    AuditEntryId = b'L',
    ApiTokenId = b'T',
    MailId = b'M',
}

/// The identifier as clients see it.
#[must_use]
pub fn encode<T: NodeId>(id: T) -> ID {
    encode_raw(T::KIND, id.uuid())
}

/// The identifier of whatever an audit entry is about.
#[must_use]
pub fn encode_target(target: TargetType, uuid: Uuid) -> ID {
    let kind = match target {
        TargetType::Account => AccountId::KIND,
        TargetType::User => UserId::KIND,
        TargetType::Role => RoleId::KIND,
        TargetType::Group => GroupId::KIND,
        TargetType::ApiToken => ApiTokenId::KIND,
        TargetType::Mail => MailId::KIND,
    };
    encode_raw(kind, uuid)
}

fn encode_raw(kind: u8, uuid: Uuid) -> ID {
    ID(URL_SAFE_NO_PAD.encode(raw(kind, uuid)))
}

fn raw(kind: u8, uuid: Uuid) -> [u8; 17] {
    let mut bytes = [kind; 17];
    bytes[1..].copy_from_slice(uuid.as_bytes()); // 16 of 17
    bytes
}

/// The identifier as JSON.
pub(super) fn write<T: NodeId>(id: T, json: &mut Vec<u8>) {
    let mut text = [0; 23];
    // 17 bytes are 23 letters.
    let written = URL_SAFE_NO_PAD.encode_slice(raw(T::KIND, id.uuid()), &mut text);
    debug_assert_eq!(written, Ok(text.len()));
    json.push(b'"');
    json.extend_from_slice(&text);
    json.push(b'"');
}

/// What a client's identifier names; `None` when it is malformed.
#[must_use]
pub fn decode_any(id: &str) -> Option<(u8, Uuid)> {
    let mut bytes = [0_u8; 17];
    let read = URL_SAFE_NO_PAD.decode_slice(id, &mut bytes).ok()?;
    let (kind, uuid) = bytes.split_first()?;
    (read == 17).then_some((*kind, Uuid::from_slice(uuid).ok()?))
}

/// The object of that kind; `None` when the identifier is malformed or of another kind.
#[must_use]
pub fn decode<T: NodeId>(id: &str) -> Option<T> {
    decode_any(id)
        .filter(|(kind, _)| *kind == T::KIND)
        .map(|(_, uuid)| T::of(uuid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{SystemClock, SystemEntropy};

    #[test]
    fn an_identifier_names_its_kind_too() {
        let id = UserId::generate(&SystemClock, &SystemEntropy).unwrap();
        let global = encode(id);
        assert_eq!(decode::<UserId>(&global), Some(id));
        assert_eq!(decode::<RoleId>(&global), None);
        assert_eq!(encode_target(TargetType::User, id.as_uuid()), global);
        let mut json = Vec::new();
        write(id, &mut json);
        assert_eq!(json, serde_json::to_vec(&global).unwrap());
        for bad in [
            "",
            "x",
            "VQ",
            &format!("{}A", global.as_str()),
            &global.as_str()[1..],
            "=====",
            "пользователь",
        ] {
            assert_eq!(decode_any(bad), None, "{bad}");
        }
    }
}
