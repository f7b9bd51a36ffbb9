//! Pictures of users.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, AvatarId, UserId};

/// How a kept picture is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AvatarKind {
    /// Without transparency.
    Jpeg,
    /// With it.
    Png,
}

impl AvatarKind {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// A picture as it is kept: square, at most [`Avatar::SIDE`] pixels wide, encoded here and so without anything else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avatar {
    /// Names it where it is served; new with each upload, and as hard to guess as a session.
    pub id: AvatarId,
    /// The user's account.
    pub account: AccountId,
    /// Whose it is.
    pub user: UserId,
    /// How it is encoded.
    pub kind: AvatarKind,
    /// The encoded picture.
    pub bytes: Vec<u8>,
}

impl Avatar {
    /// The most bytes of an upload.
    pub const MAX_UPLOAD: usize = 2 * 1024 * 1024;
    /// The most pixels of an upload's side.
    pub const MAX_SIDE: u32 = 4096;
    /// The most pixels of a kept picture's side.
    pub const SIDE: u32 = 512;
    /// The sides that it is served at; what is asked for is rounded up to one of these.
    pub const SIZES: [u32; 5] = [32, 64, 128, 256, 512];
    /// The smallest side that may be asked for.
    pub const MIN_SIZE: u32 = 16;

    /// The side that it is served at for this wish; `None` when it is out of range.
    #[must_use]
    pub fn served_size(wanted: u32) -> Option<u32> {
        let fits = |size: &&u32| **size >= wanted;
        Self::SIZES
            .iter()
            .find(fits)
            .copied()
            .filter(|_| wanted >= Self::MIN_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_within_their_range() {
        for (wanted, served) in [
            (15, None),
            (16, Some(32)),
            (32, Some(32)),
            (33, Some(64)),
            (512, Some(512)),
            (513, None),
        ] {
            assert_eq!(Avatar::served_size(wanted), served, "{wanted}");
        }
    }
}
