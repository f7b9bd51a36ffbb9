//! Pictures of users.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::audit::AuditEntry;
use crate::domain::avatar::Avatar;
use crate::domain::ids::{AvatarId, UserId};
use crate::store::Result;

/// The pictures. A user has one at most; it goes with the user.
#[async_trait]
pub trait AvatarStore {
    /// Sets a user's picture in place of the one that there is, or takes it away (`None`), at `expected_revision`; the
    /// user's revision grows by one, at that moment.
    ///
    /// # Errors
    /// [`Conflict`](crate::store::StoreError::Conflict), [`NotFound`](crate::store::StoreError::NotFound).
    async fn set_avatar(
        &self,
        user: UserId,
        expected_revision: i64,
        avatar: Option<&Avatar>,
        at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<()>;

    /// A picture.
    async fn avatar(&self, id: AvatarId) -> Result<Option<Avatar>>;
}
