//! Groups.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};

use super::documents::{At, GroupDocument, Id};
use super::keyset::BY_NAME;
use super::lists::Filter;
use super::role::named;
use super::transaction::{Halt, READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::NamedFilter;
use crate::store::{GroupStore, Result, StoreError};

impl MongoStore {
    /// Adds a group, as a part of a transaction.
    pub(super) async fn insert_group(
        &self,
        session: &mut ClientSession,
        group: &Group,
    ) -> std::result::Result<(), Halt> {
        round_trip("insert");
        self.groups
            .insert_one(GroupDocument::from(group))
            .session(session)
            .await?;
        Ok(())
    }
}

/// A user without that group, and in the Main group if that was the only one.
fn without_group(group: Id, main: Option<Id>, at: Timestamp) -> Vec<Document> {
    let others = doc! { "$filter": { "input": "$grants", "cond": { "$ne": ["$$this.group", group] } } };
    let mut steps = vec![doc! { "$set": {
        "grants": others, "revision": { "$add": ["$revision", 1_i64] }, "updated_at": At(at),
    } }];
    if let Some(main) = main {
        let groups =
            doc! { "$filter": { "input": "$grants", "cond": { "$ne": [{ "$type": "$$this.group" }, "missing"] } } };
        let fallen_back = doc! { "group": main, "source": "DEFAULT", "granted_at": At(at) };
        steps.push(doc! { "$set": { "grants": { "$cond": [
            { "$eq": [{ "$size": groups }, 0] },
            { "$concatArrays": ["$grants", [fallen_back]] },
            "$grants",
        ] } } });
    }
    steps
}

#[async_trait]
impl GroupStore for MongoStore {
    async fn create_group(&self, group: &Group, audit: &AuditEntry) -> Result<()> {
        self.transaction((self, group, audit), |session, (store, group, audit)| {
            Box::pin(async move {
                store.insert_group(session, group).await?;
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn update_group(&self, group: &Group, expected_revision: i64, audit: &AuditEntry) -> Result<()> {
        self.transaction(
            (self, group, expected_revision, audit),
            |session, (store, group, expected, audit)| {
                Box::pin(async move {
                    let replacing = GroupDocument::from(*group);
                    store
                        .replace_named(session, &store.groups, replacing, group.id, *expected)
                        .await?;
                    store.write_audit(session, audit).await
                })
            },
        )
        .await
    }

    async fn delete_group(&self, group: &Group, at: Timestamp, audit: &AuditEntry) -> Result<()> {
        self.transaction((self, group, at, audit), |session, (store, group, at, audit)| {
            Box::pin(async move {
                let (id, account) = (Id::from(group.id), Id::from(group.account));
                round_trip("delete");
                let deleting = store
                    .groups
                    .delete_one(doc! { "_id": id, "account": account, "is_main": false });
                if deleting.session(&mut *session).await?.deleted_count == 0 {
                    return Err(StoreError::NotFound.into());
                }
                store.write_audit(session, audit).await?;
                round_trip("find");
                let finding = store.groups.find_one(doc! { "account": account, "is_main": true });
                let main: Option<Group> = finding.session(&mut *session).await?.map(Into::into);
                round_trip("update");
                store
                    .users
                    .update_many(
                        doc! { "account": account, "grants.group": id },
                        without_group(id, main.map(|main| main.id.into()), *at),
                    )
                    .session(&mut *session)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn groups_by_ids(&self, ids: &[GroupId]) -> Result<Vec<Group>> {
        self.by_ids(&self.groups, &[], ids).await
    }

    async fn main_group(&self, account: AccountId) -> Result<Option<Group>> {
        round_trip("find");
        let finding = self
            .groups
            .find_one(doc! { "account": Id::from(account), "is_main": true })
            .max_time(READ_LIMIT);
        bounded(READ_LIMIT, async { Ok(finding.await?.map(Into::into)) }).await
    }

    async fn groups(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Group>>> {
        let filters: Vec<Filter> = filters.iter().map(named).collect();
        self.pages(&self.groups, &[], BY_NAME, &filters, page).await
    }

    async fn count_groups(&self, filters: &[NamedFilter]) -> Result<Vec<u64>> {
        let filters: Vec<Filter> = filters.iter().map(named).collect();
        self.counts(&self.groups, &filters).await
    }

    async fn insert_groups(&self, groups: &[Group]) -> Result<()> {
        let documents: Vec<GroupDocument> = groups.iter().map(Into::into).collect();
        self.load(&self.groups, &documents, |group| group.id).await
    }
}
