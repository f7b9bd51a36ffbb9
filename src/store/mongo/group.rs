//! Groups.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::doc;

use super::documents::{GroupDocument, Id};
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
use crate::store::{GroupStore, Result};

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
