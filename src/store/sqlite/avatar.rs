//! Pictures of users.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::domain::audit::AuditEntry;
use crate::domain::avatar::Avatar;
use crate::domain::ids::{AvatarId, UserId};
use crate::store::sqlite::names::Name;
use crate::store::sqlite::rows::{Columns, Id, first, millis};
use crate::store::sqlite::{SqliteStore, account, audit};
use crate::store::{AvatarStore, Result};

/// The columns, joined with the user's.
pub(super) const AVATAR: &str = "avatars.id, users.account, avatars.user, avatars.kind, avatars.bytes";

pub(super) fn read(row: &mut Columns<'_>) -> Result<Avatar> {
    Ok(Avatar {
        id: row.id()?,
        account: row.id()?,
        user: row.id()?,
        kind: row.name()?,
        bytes: row.get()?,
    })
}

pub(super) fn insert(connection: &Connection, avatar: &Avatar) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO avatars (id, user, kind, bytes) VALUES (?, ?, ?, ?)")?
        .execute(params![
            avatar.id.blob(),
            avatar.user.blob(),
            Name(avatar.kind),
            avatar.bytes
        ])?;
    Ok(())
}

#[async_trait]
impl AvatarStore for SqliteStore {
    async fn set_avatar(
        &self,
        user: UserId,
        expected_revision: i64,
        avatar: Option<&Avatar>,
        at: Timestamp,
        entry: &AuditEntry,
    ) -> Result<()> {
        let (avatar, entry) = (avatar.cloned(), entry.clone());
        self.write("set_avatar", move |tx| {
            let revision = "SELECT revision FROM users WHERE id = ?";
            account::expect_revision(tx, revision, user, expected_revision)?;
            tx.prepare_cached("DELETE FROM avatars WHERE user = ?")?
                .execute([user.blob()])?;
            if let Some(avatar) = &avatar {
                insert(tx, avatar)?;
            }
            tx.prepare_cached("UPDATE users SET avatar = ?, updated_at = ?, revision = revision + 1 WHERE id = ?")?
                .execute(params![avatar.map(|a| a.id.blob()), millis(at), user.blob()])?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn avatar(&self, id: AvatarId) -> Result<Option<Avatar>> {
        self.read("avatar", move |tx| {
            let sql =
                format!("SELECT {AVATAR} FROM avatars JOIN users ON users.id = avatars.user WHERE avatars.id = ?");
            first(tx, &sql, [id.blob()], read)
        })
        .await
    }
}
