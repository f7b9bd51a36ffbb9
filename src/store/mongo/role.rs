//! Roles.

use async_trait::async_trait;

use super::documents::RoleDocument;
use super::keyset::BY_NAME;
use super::lists::{Filter, search};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::ids::RoleId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::NamedFilter;
use crate::domain::role::Role;
use crate::store::{Result, RoleStore};

/// A filter of roles, or of groups.
pub(super) fn named(filter: &NamedFilter) -> Filter {
    let text = filter.search.as_deref();
    Filter::account(filter.account).and(text.and_then(|t| search(t, &["name_fold"])))
}

#[async_trait]
impl RoleStore for MongoStore {
    async fn create_role(&self, role: &Role, audit: &AuditEntry) -> Result<()> {
        self.transaction((self, role, audit), |session, (store, role, audit)| {
            Box::pin(async move {
                round_trip("insert");
                store
                    .roles
                    .insert_one(RoleDocument::from(*role))
                    .session(&mut *session)
                    .await?;
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn roles_by_ids(&self, ids: &[RoleId]) -> Result<Vec<Role>> {
        self.by_ids(&self.roles, &[], ids).await
    }

    async fn roles(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Role>>> {
        let filters: Vec<Filter> = filters.iter().map(named).collect();
        self.pages(&self.roles, &[], BY_NAME, &filters, page).await
    }

    async fn count_roles(&self, filters: &[NamedFilter]) -> Result<Vec<u64>> {
        let filters: Vec<Filter> = filters.iter().map(named).collect();
        self.counts(&self.roles, &filters).await
    }

    async fn insert_roles(&self, roles: &[Role]) -> Result<()> {
        let documents: Vec<RoleDocument> = roles.iter().map(Into::into).collect();
        self.load(&self.roles, &documents, |role| role.id).await
    }
}
