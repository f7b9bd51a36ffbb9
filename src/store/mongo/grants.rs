//! What users are granted: of roles and groups that are there when the grant is written.

use mongodb::bson::{Bson, Document, doc};
use mongodb::{ClientSession, Collection};

use super::documents::{Id, array};
use super::transaction::Halt;
use super::{MongoStore, round_trip};
use crate::domain::grant::{GrantSource, GrantTarget};
use crate::domain::group::Group;
use crate::domain::ids::AccountId;
use crate::domain::user::User;

impl MongoStore {
    /// The user without what is gone by now, as a part of a transaction. `before` is the user as it is stored, whose grants
    /// a deletion takes away itself: both write the user's document. Of what is new the role or the group is written to, so
    /// that a deletion at the same moment fails here or there, and is tried again with the other's outcome in sight.
    pub(super) async fn grants_that_hold(
        &self,
        session: &mut ClientSession,
        account: AccountId,
        before: Option<&User>,
        user: &User,
    ) -> Result<User, Halt> {
        let is_new = |target: GrantTarget| before.is_none_or(|b| b.grants.iter().all(|g| g.target != target));
        let (mut roles, mut groups) = (Vec::new(), Vec::new());
        for grant in &user.grants {
            match grant.target {
                GrantTarget::Role(id) if is_new(grant.target) => roles.push(id),
                // What everybody falls back to is never deleted, and written to by nobody.
                GrantTarget::Group(_) if grant.source == GrantSource::Default => {}
                GrantTarget::Group(id) if is_new(grant.target) => groups.push(id),
                GrantTarget::Role(_) | GrantTarget::Group(_) | GrantTarget::Master => {}
            }
        }
        let roles_gone = self.gone(session, &self.roles, account, &roles).await?;
        let groups_gone = self.gone(session, &self.groups, account, &groups).await?;
        let mut user = user.clone();
        if roles_gone.is_empty() && groups_gone.is_empty() {
            return Ok(user);
        }
        round_trip("find");
        let finding = self
            .groups
            .find_one(doc! { "account": Id::from(account), "is_main": true });
        let main: Option<Group> = finding.session(&mut *session).await?.map(Into::into);
        let at = user.updated_at;
        let stays = |target: GrantTarget| match target {
            GrantTarget::Role(id) => !roles_gone.contains(&id),
            GrantTarget::Group(id) => !groups_gone.contains(&id),
            GrantTarget::Master => true,
        };
        user.keep_grants(|grant| stays(grant.target), main.map(|main| main.id), at);
        Ok(user)
    }

    /// Those of the ids that are no longer in the collection.
    pub(super) async fn gone<D: Send + Sync, T: Copy + Into<Id>>(
        &self,
        session: &mut ClientSession,
        collection: &Collection<D>,
        account: AccountId,
        ids: &[T],
    ) -> Result<Vec<T>, Halt> {
        let mut wanted: Vec<T> = Vec::new();
        for id in ids {
            if !wanted.iter().any(|known| (*known).into() == (*id).into()) {
                wanted.push(*id);
            }
        }
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let these = doc! { "_id": { "$in": array(&wanted) }, "account": Id::from(account) };
        round_trip("update");
        let written = collection
            .update_many(these.clone(), doc! { "$inc": { "serial": 1_i64 } })
            .session(&mut *session)
            .await?;
        if written.matched_count == wanted.len() as u64 {
            return Ok(Vec::new());
        }
        round_trip("distinct");
        let there: Vec<Bson> = collection
            .clone_with_type::<Document>()
            .distinct("_id", these)
            .session(&mut *session)
            .await?;
        wanted.retain(|id| !there.contains(&(*id).into().into()));
        Ok(wanted)
    }
}
