//! Groups.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::domain::audit::AuditEntry;
use crate::domain::grant::GrantTarget;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::NamedFilter;
use crate::domain::text::fold;
use crate::store::sqlite::role::{BY_NAME, named};
use crate::store::sqlite::rows::{self, Id, by_ids, millis};
use crate::store::sqlite::{SqliteStore, account, audit, grants, keyset};
use crate::store::{GroupStore, Result, StoreError};

pub(super) fn insert(connection: &Connection, group: &Group) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO groups (id, account, name, name_fold, description, is_main, created_at, updated_at, revision) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            group.id.blob(),
            group.account.blob(),
            group.name,
            fold(&group.name),
            group.description,
            group.is_main,
            millis(group.created_at),
            millis(group.updated_at),
            group.revision,
        ])?;
    Ok(())
}

#[async_trait]
impl GroupStore for SqliteStore {
    async fn create_group(&self, group: &Group, entry: &AuditEntry) -> Result<()> {
        let (group, entry) = (group.clone(), entry.clone());
        self.write("create_group", move |tx| {
            insert(tx, &group)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn update_group(&self, group: &Group, expected_revision: i64, entry: &AuditEntry) -> Result<()> {
        let (group, entry) = (group.clone(), entry.clone());
        self.write("update_group", move |tx| {
            let revision = "SELECT revision FROM groups WHERE id = ?";
            account::expect_revision(tx, revision, group.id, expected_revision)?;
            tx.prepare_cached(
                "UPDATE groups SET name = ?, name_fold = ?, description = ?, updated_at = ?, revision = ? WHERE id = ?",
            )?
            .execute(params![
                group.name,
                fold(&group.name),
                group.description,
                millis(group.updated_at),
                group.revision,
                group.id.blob(),
            ])?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn delete_group(&self, group: &Group, at: Timestamp, entry: &AuditEntry) -> Result<()> {
        let (account, group, entry) = (group.account, group.id, entry.clone());
        self.write("delete_group", move |tx| {
            let deleted = tx
                .prepare_cached("DELETE FROM groups WHERE id = ? AND NOT is_main")?
                .execute([group.blob()])?;
            if deleted == 0 {
                return Err(StoreError::NotFound);
            }
            let main = grants::main_group(tx, account)?;
            let members = "SELECT user FROM user_groups WHERE group_id = ?";
            let target = GrantTarget::Group(group);
            grants::take(tx, members, group.blob(), target, main.map(|main| main.id), at)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn groups_by_ids(&self, ids: &[GroupId]) -> Result<Vec<Group>> {
        let ids = ids.to_vec();
        self.read("groups_by_ids", move |tx| {
            by_ids(tx, rows::GROUP, "groups", &ids, rows::group)
        })
        .await
    }

    async fn main_group(&self, account: AccountId) -> Result<Option<Group>> {
        self.read("main_group", move |tx| grants::main_group(tx, account)).await
    }

    async fn groups(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Group>>> {
        let (filters, page) = (named(filters), page.clone());
        self.read("groups", move |tx| {
            let read = |c| keyset::page(tx, rows::GROUP, "groups", c, BY_NAME, &page, rows::group);
            filters.iter().map(read).collect()
        })
        .await
    }

    async fn count_groups(&self, filters: &[NamedFilter]) -> Result<Vec<u64>> {
        let filters = named(filters);
        self.read("count_groups", move |tx| {
            filters.iter().map(|c| c.count(tx, "groups")).collect()
        })
        .await
    }

    async fn insert_groups(&self, groups: &[Group]) -> Result<()> {
        let groups = groups.to_vec();
        self.write("insert_groups", move |tx| {
            groups.iter().try_for_each(|group| insert(tx, group))
        })
        .await
    }
}
