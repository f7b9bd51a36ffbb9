//! A session: what a sign-in opens.

use jiff::Timestamp;

use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::login_event::{EventOrigin, Impersonator};

/// A signed-in session. Its secret is not here; the store keeps the secret's SHA-256.
#[derive(Debug, Clone, PartialEq)]
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
    /// Who really acts.
    pub impersonator: Option<Impersonator>,
}
