//! Links in mails that let somebody set a password. The secret of one is in its mail and nowhere else; the store keeps the
//! secret's SHA-256.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::mail::LinkKind;
use crate::domain::user::{Email, User};

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessLink {
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// Its user's account.
    pub account: AccountId,
    /// Whose password it sets.
    pub user: UserId,
    /// The mail that carries it. Each attempt to send a mail makes a link of its own; any of those works, once.
    pub mail: MailId,
    /// The address that it is sent to, folded: whoever reads another one may be somebody else.
    pub to: String,
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
    /// When a link of a later mail took its place ([`LinkKind::ends`]), or its user turned to the directory's password.
    pub superseded_at: Option<Timestamp>,
}

/// Whether a link still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Valid,
    /// It was used already.
    Used,
    /// A later mail's link took its place, or password or address were changed since.
    Superseded,
    /// Its time has passed.
    Expired,
}

impl AccessLink {
    /// Does it still work at `now`, for its user as they are then?
    #[must_use]
    pub fn state(&self, now: Timestamp, user: &User) -> LinkState {
        if self.used_at.is_some() {
            LinkState::Used
        } else if self.superseded_at.is_some()
            || self.password_changed_at != user.password_changed_at
            || user.email.as_ref().map(Email::folded).as_deref() != Some(&self.to)
        {
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
    use crate::domain::testing;
    use uuid::Uuid;

    #[test]
    fn what_ends_a_link_is_told_apart() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let email = |address| Some(Email::parse(address).unwrap());
        let ann = User {
            email: email("Ann@Example.org"),
            ..testing::user(&testing::account("acme"), "ann", false)
        };
        let link = AccessLink {
            hash: TokenHash([7; 32]),
            account: ann.account,
            user: ann.id,
            mail: MailId::from_uuid(Uuid::nil()),
            to: "ann@example.org".to_owned(),
            kind: LinkKind::Access,
            created_at: at(0),
            expires_at: at(10),
            password_changed_at: None,
            used_at: None,
            superseded_at: None,
        };
        assert_eq!(link.state(at(9), &ann), LinkState::Valid);
        assert_eq!(link.state(at(10), &ann), LinkState::Expired);
        let with_password = User {
            password_changed_at: Some(at(1)),
            ..ann.clone()
        };
        assert_eq!(link.state(at(9), &with_password), LinkState::Superseded);
        for elsewhere in [None, email("bob@example.org")] {
            let moved = User {
                email: elsewhere,
                ..ann.clone()
            };
            assert_eq!(link.state(at(9), &moved), LinkState::Superseded);
        }
        let superseded = AccessLink {
            superseded_at: Some(at(3)),
            ..link.clone()
        };
        assert_eq!(superseded.state(at(9), &ann), LinkState::Superseded);
        let used = AccessLink {
            used_at: Some(at(3)),
            ..link
        };
        assert_eq!(used.state(at(11), &with_password), LinkState::Used);
    }
}
