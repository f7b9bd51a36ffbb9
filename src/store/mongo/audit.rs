//! The audit log.

use async_trait::async_trait;
use mongodb::bson::doc;

use super::MongoStore;
use super::documents::{Id, word};
use super::keyset::NEWEST_FIRST;
use super::lists::Filter;
use crate::domain::audit::AuditEntry;
use crate::domain::ids::AuditEntryId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::AuditFilter;
use crate::store::{AuditStore, Result};

fn filter(filter: &AuditFilter) -> Result<Filter> {
    let target_type = filter.target_type.as_ref().map(word).transpose()?;
    Ok(Filter::account(filter.account)
        // Whoever acts in somebody's name does so in that user's session: the user is the actor then, too.
        .and(filter.actor.map(|actor| doc! { "actor_user": Id::from(actor) }))
        .and(filter.action.as_ref().map(|action| doc! { "action": action }))
        .and(target_type.map(|kind| doc! { "target_type": kind }))
        .and(filter.target_id.map(|id| doc! { "target_id": Id::from(id) }))
        .between(filter.since, filter.until))
}

#[async_trait]
impl AuditStore for MongoStore {
    async fn audit_entries_by_ids(&self, ids: &[AuditEntryId]) -> Result<Vec<AuditEntry>> {
        self.by_ids(&self.audit, &[], ids).await
    }

    async fn audit_entries(&self, filters: &[AuditFilter], page: &PageRequest) -> Result<Vec<Page<AuditEntry>>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.pages(&self.audit, &[], NEWEST_FIRST, &filters, page).await
    }

    async fn count_audit_entries(&self, filters: &[AuditFilter]) -> Result<Vec<u64>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.counts(&self.audit, &filters).await
    }
}
