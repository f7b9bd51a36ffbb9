//! A session: what a sign-in opens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::login_event::{EventOrigin, Impersonator};

/// A signed-in session. Its secret is not here; the store keeps the secret's SHA-256.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// The user's account.
    pub account: AccountId,
    /// Whose it is.
    pub user: UserId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// Where it was opened from.
    pub origin: EventOrigin,
    /// Somebody else acts in it.
    pub impersonation: Option<Impersonation>,
}

impl Session {
    /// Who really acts, when that is somebody else.
    #[must_use]
    pub fn impersonator(&self) -> Option<&Impersonator> {
        self.impersonation.as_ref().map(|i| &i.by)
    }
}

/// What an impersonation is: somebody acts in a session of somebody else, for a while and for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impersonation {
    /// Who really acts.
    pub by: Impersonator,
    /// Why, in the impersonator's words.
    pub reason: String,
    /// Nothing may be changed.
    pub read_only: bool,
    /// The impersonator's own session: when it ends, so does this.
    pub own_session: SessionId,
    /// The secret of that session, readable only with the secret of this one: stopping gives it back.
    pub sealed_secret: [u8; 32],
}

impl Impersonation {
    /// The longest reason, in characters.
    pub const MAX_REASON: usize = 500;
    /// The longest impersonation, in minutes.
    pub const MAX_MINUTES: i32 = 60;
}
