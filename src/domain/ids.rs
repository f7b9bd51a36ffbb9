//! Identifiers: one type a kind of object, all of them UUIDs of version 7 (RFC 9562 §5.7), so that they grow with time
//! and an index on them stays dense.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::clock::{Clock, Entropy, EntropyError};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to name such an object.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for storage and encoding.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }

            /// A new identifier: the clock's milliseconds and random bits.
            ///
            /// # Errors
            /// When the random source does not answer.
            pub fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                new_uuid(clock.now(), entropy).map(Self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// Names an account (tenant).
    AccountId,
    /// Names a user.
    UserId,
    /// Names a role.
    RoleId,
    /// Names a group.
    GroupId,
    /// Names one attempt to sign in.
    LoginEventId,
    /// Names a signed-in session; not the secret that opens it.
    SessionId,
    /// Names an entry of the audit log.
    AuditEntryId,
    /// Names a picture where it is served; whoever knows it may see the picture.
    AvatarId,
    /// Names an API token; not the secret that it is.
    ApiTokenId,
    /// Names a mail of the outbox.
    MailId,
}

/// A UUID of version 7 for the moment `at`.
///
/// # Errors
/// When the random source does not answer.
pub fn new_uuid(at: Timestamp, entropy: &dyn Entropy) -> Result<Uuid, EntropyError> {
    let mut random = [0_u8; 10];
    entropy.fill(&mut random)?;
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{ManualClock, SystemEntropy};

    #[test]
    fn ids_grow_with_time() {
        let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().unwrap());
        let first = UserId::generate(&clock, &SystemEntropy).unwrap();
        clock.advance(std::time::Duration::from_millis(1));
        let second = UserId::generate(&clock, &SystemEntropy).unwrap();
        assert!(first < second, "{first} {second}");
        assert_eq!(first.as_uuid().get_version_num(), 7);
    }
}
