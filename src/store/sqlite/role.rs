//! Roles.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::domain::audit::AuditEntry;
use crate::domain::grant::GrantTarget;
use crate::domain::ids::RoleId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{Direction, NamedFilter};
use crate::domain::role::Role;
use crate::domain::text::fold;
use crate::store::sqlite::rows::{self, Id, by_ids, json, millis};
use crate::store::sqlite::{SqliteStore, account, audit, grants, keyset};
use crate::store::{Result, RoleStore, StoreError};

/// Roles and groups come by folded name.
pub(super) const BY_NAME: keyset::Order = keyset::Order {
    key: "name_fold",
    nullable: false,
    direction: Direction::Asc,
};

/// What a filter of roles or groups asks for.
pub(super) fn named(filters: &[NamedFilter]) -> Vec<keyset::Conditions> {
    let of = |filter: &NamedFilter| {
        let mut conditions = keyset::Conditions::default();
        conditions.and_some("account = ?", filter.account.map(|a| a.blob().to_vec()));
        if let Some(search) = &filter.search {
            conditions.and_prefix(&["name_fold"], search);
        }
        conditions
    };
    filters.iter().map(of).collect()
}

pub(super) fn insert(connection: &Connection, role: &Role) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO roles (id, account, name, name_fold, description, permissions, created_at, updated_at, revision) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            role.id.blob(),
            role.account.blob(),
            role.name,
            fold(&role.name),
            role.description,
            json(&role.permissions)?,
            millis(role.created_at),
            millis(role.updated_at),
            role.revision,
        ])?;
    Ok(())
}

#[async_trait]
impl RoleStore for SqliteStore {
    async fn create_role(&self, role: &Role, entry: &AuditEntry) -> Result<()> {
        let (role, entry) = (role.clone(), entry.clone());
        self.write("create_role", move |tx| {
            insert(tx, &role)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn update_role(&self, role: &Role, expected_revision: i64, entry: &AuditEntry) -> Result<()> {
        let (role, entry) = (role.clone(), entry.clone());
        self.write("update_role", move |tx| {
            let revision = "SELECT revision FROM roles WHERE id = ?";
            account::expect_revision(tx, revision, role.id, expected_revision)?;
            tx.prepare_cached(
                "UPDATE roles SET name = ?, name_fold = ?, description = ?, permissions = ?, updated_at = ?, \
                 revision = ? WHERE id = ?",
            )?
            .execute(params![
                role.name,
                fold(&role.name),
                role.description,
                json(&role.permissions)?,
                millis(role.updated_at),
                role.revision,
                role.id.blob(),
            ])?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn delete_role(&self, role: &Role, at: Timestamp, entry: &AuditEntry) -> Result<()> {
        let (role, entry) = (role.id, entry.clone());
        self.write("delete_role", move |tx| {
            let holders = "SELECT user FROM user_roles WHERE role = ?";
            grants::take(tx, holders, role.blob(), GrantTarget::Role(role), None, at)?;
            let deleted = tx
                .prepare_cached("DELETE FROM roles WHERE id = ?")?
                .execute([role.blob()])?;
            if deleted == 0 {
                return Err(StoreError::NotFound);
            }
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn roles_by_ids(&self, ids: &[RoleId]) -> Result<Vec<Role>> {
        let ids = ids.to_vec();
        self.read("roles_by_ids", move |tx| {
            by_ids(tx, rows::ROLE, "roles", &ids, rows::role)
        })
        .await
    }

    async fn roles(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Role>>> {
        let (filters, page) = (named(filters), page.clone());
        self.read("roles", move |tx| {
            let read = |c| keyset::page(tx, rows::ROLE, "roles", c, BY_NAME, &page, rows::role);
            filters.iter().map(read).collect()
        })
        .await
    }

    async fn count_roles(&self, filters: &[NamedFilter]) -> Result<Vec<u64>> {
        let filters = named(filters);
        self.read("count_roles", move |tx| {
            filters.iter().map(|c| c.count(tx, "roles")).collect()
        })
        .await
    }

    async fn insert_roles(&self, roles: &[Role]) -> Result<()> {
        let roles = roles.to_vec();
        self.write("insert_roles", move |tx| {
            roles.iter().try_for_each(|role| insert(tx, role))
        })
        .await
    }
}
