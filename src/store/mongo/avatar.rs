//! Pictures of users.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, doc};
use serde::{Deserialize, Serialize};

use super::documents::{At, Id};
use super::transaction::{READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::avatar::{Avatar, AvatarKind};
use crate::domain::ids::{AvatarId, UserId};
use crate::store::{AvatarStore, Result};

/// [`Avatar`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AvatarDocument {
    #[serde(rename = "_id")]
    pub(super) id: Id,
    account: Id,
    user: Id,
    kind: AvatarKind,
    bytes: Binary,
}

impl From<&Avatar> for AvatarDocument {
    fn from(avatar: &Avatar) -> Self {
        Self {
            id: avatar.id.into(),
            account: avatar.account.into(),
            user: avatar.user.into(),
            kind: avatar.kind,
            bytes: Binary {
                subtype: BinarySubtype::Generic,
                bytes: avatar.bytes.clone(),
            },
        }
    }
}

impl From<AvatarDocument> for Avatar {
    fn from(avatar: AvatarDocument) -> Self {
        Self {
            id: avatar.id.into(),
            account: avatar.account.into(),
            user: avatar.user.into(),
            kind: avatar.kind,
            bytes: avatar.bytes.bytes,
        }
    }
}

#[async_trait]
impl AvatarStore for MongoStore {
    async fn set_avatar(
        &self,
        user: UserId,
        expected_revision: i64,
        avatar: Option<&Avatar>,
        at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<()> {
        let context = (
            self,
            user,
            expected_revision,
            avatar.map(AvatarDocument::from),
            at,
            audit,
        );
        self.transaction(context, |session, (store, user, expected, avatar, at, audit)| {
            Box::pin(async move {
                let (id, account) = (Id::from(*user), Id::from(audit.account));
                round_trip("update");
                let change = doc! {
                    "$set": { "avatar": avatar.as_ref().map_or(Bson::Null, |a| a.id.into()), "updated_at": At(*at) },
                    "$inc": { "revision": 1_i64 },
                };
                let updated = store
                    .users
                    .update_one(doc! { "_id": id, "account": account, "revision": *expected }, change)
                    .session(&mut *session)
                    .await?;
                if updated.matched_count == 0 {
                    return Err(store.missed(session, &store.users, id).await);
                }
                round_trip("delete");
                store
                    .avatars
                    .delete_many(doc! { "user": id, "account": account })
                    .session(&mut *session)
                    .await?;
                if let Some(avatar) = avatar {
                    round_trip("insert");
                    store.avatars.insert_one(avatar).session(&mut *session).await?;
                }
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn avatar(&self, id: AvatarId) -> Result<Option<Avatar>> {
        round_trip("find");
        let finding = self.avatars.find_one(doc! { "_id": Id::from(id) }).max_time(READ_LIMIT);
        bounded(READ_LIMIT, async { Ok(finding.await?.map(Into::into)) }).await
    }
}
