//! Links in mails that let somebody set a password. The secret of one is in its mail and nowhere else; the store keeps the
//! secret's SHA-256.

use jiff::Timestamp;

use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::mail::LinkKind;

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLink {
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// Its user's account.
    pub account: AccountId,
    /// Whose password it sets.
    pub user: UserId,
    /// The mail that carries it. Each attempt to send a mail makes a link of its own; any of those works, once.
    pub mail: MailId,
    /// What it is for.
    pub kind: LinkKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// When its user's password was last set when the mail was queued: any later password ends it.
    pub password_changed_at: Option<Timestamp>,
    /// When it, or another link of its mail, was used.
    pub used_at: Option<Timestamp>,
    /// When a link of a later mail took its place.
    pub superseded_at: Option<Timestamp>,
}

/// Whether a link still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Valid,
    /// It was used already.
    Used,
    /// A later mail's link took its place, or the password was changed since.
    Superseded,
    /// Its time has passed.
    Expired,
}

impl AccessLink {
    /// Does it still work at `now`, for a user whose password was last set at `password_changed_at`?
    #[must_use]
    pub fn state(&self, now: Timestamp, password_changed_at: Option<Timestamp>) -> LinkState {
        if self.used_at.is_some() {
            LinkState::Used
        } else if self.superseded_at.is_some() || self.password_changed_at != password_changed_at {
            LinkState::Superseded
        } else if now >= self.expires_at {
            LinkState::Expired
        } else {
            LinkState::Valid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_ends_a_link_is_told_apart() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let link = AccessLink {
            hash: TokenHash([7; 32]),
            account: AccountId::from_uuid(Uuid::nil()),
            user: UserId::from_uuid(Uuid::nil()),
            mail: MailId::from_uuid(Uuid::nil()),
            kind: LinkKind::Access,
            created_at: at(0),
            expires_at: at(10),
            password_changed_at: None,
            used_at: None,
            superseded_at: None,
        };
        assert_eq!(link.state(at(9), None), LinkState::Valid);
        assert_eq!(link.state(at(10), None), LinkState::Expired);
        assert_eq!(link.state(at(9), Some(at(1))), LinkState::Superseded);
        let superseded = AccessLink {
            superseded_at: Some(at(3)),
            ..link.clone()
        };
        assert_eq!(superseded.state(at(9), None), LinkState::Superseded);
        let used = AccessLink {
            used_at: Some(at(3)),
            ..link
        };
        assert_eq!(used.state(at(11), Some(at(3))), LinkState::Used);
    }
}
