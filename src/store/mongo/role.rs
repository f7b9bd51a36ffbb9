//! Roles.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{doc, serialize_to_document};
use mongodb::{ClientSession, Collection};
use serde::Serialize;

use super::documents::{At, Id, RoleDocument};
use super::keyset::BY_NAME;
use super::lists::{Filter, search};
use super::transaction::Halt;
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::ids::RoleId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::NamedFilter;
use crate::domain::role::Role;
use crate::store::{Result, RoleStore, StoreError};

/// A filter of roles, or of groups.
pub(super) fn named(filter: &NamedFilter) -> Filter {
    let text = filter.search.as_deref();
    Filter::account(filter.account).and(text.and_then(|t| search(t, &["name_fold"])))
}

impl MongoStore {
    /// Replaces a role or a group at its revision, as a part of a transaction.
    pub(super) async fn replace_named<D: Serialize + Send + Sync>(
        &self,
        session: &mut ClientSession,
        collection: &Collection<D>,
        replacement: D,
        id: impl Into<Id>,
        expected_revision: i64,
    ) -> std::result::Result<(), Halt> {
        let id = id.into();
        let mut fields = serialize_to_document(&replacement)
            .map_err(|e| StoreError::Corrupt(format!("the object cannot be written: {e}")))?;
        for kept in ["_id", "account", "created_at"] {
            fields.remove(kept);
        }
        round_trip("update");
        let updated = collection
            .update_one(
                doc! { "_id": id, "revision": expected_revision },
                doc! { "$set": fields },
            )
            .session(&mut *session)
            .await?;
        if updated.matched_count == 0 {
            return Err(self.missed(session, collection, id).await);
        }
        Ok(())
    }
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

    async fn update_role(&self, role: &Role, expected_revision: i64, audit: &AuditEntry) -> Result<()> {
        self.transaction(
            (self, role, expected_revision, audit),
            |session, (store, role, expected, audit)| {
                Box::pin(async move {
                    let replacing = RoleDocument::from(*role);
                    store
                        .replace_named(session, &store.roles, replacing, role.id, *expected)
                        .await?;
                    store.write_audit(session, audit).await
                })
            },
        )
        .await
    }

    async fn delete_role(&self, role: &Role, at: Timestamp, audit: &AuditEntry) -> Result<()> {
        self.transaction((self, role, at, audit), |session, (store, role, at, audit)| {
            Box::pin(async move {
                let (id, account) = (Id::from(role.id), Id::from(role.account));
                round_trip("delete");
                let deleting = store.roles.delete_one(doc! { "_id": id, "account": account });
                if deleting.session(&mut *session).await?.deleted_count == 0 {
                    return Err(StoreError::NotFound.into());
                }
                store.write_audit(session, audit).await?;
                let taken = doc! {
                    "$pull": { "grants": { "role": id } },
                    "$inc": { "revision": 1_i64 },
                    "$set": { "updated_at": At(*at) },
                };
                round_trip("update");
                store
                    .users
                    .update_many(doc! { "account": account, "grants.role": id }, taken)
                    .session(&mut *session)
                    .await?;
                Ok(())
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
