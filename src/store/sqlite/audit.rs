//! The audit log.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use crate::domain::audit::AuditEntry;
use crate::domain::ids::AuditEntryId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::AuditFilter;
use crate::store::sqlite::history::NEWEST_FIRST;
use crate::store::sqlite::names::{Name, Named};
use crate::store::sqlite::rows::{self, Id, by_ids, json, millis, opt_json, opt_millis};
use crate::store::sqlite::{SqliteStore, keyset};
use crate::store::{AuditStore, Result};

pub(super) fn insert(connection: &Connection, entry: &AuditEntry) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit_entries (id, account, at, actor, actor_user, impersonator, ip, action, target_type, \
             target_id, target_name, changes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            entry.id.blob(),
            entry.account.blob(),
            millis(entry.at),
            entry.actor,
            entry.actor_user.map(Id::blob),
            opt_json(entry.impersonator.as_ref())?,
            entry.ip.map(|ip| ip.to_string()),
            entry.action,
            Name(entry.target_type),
            entry.target_id.into_bytes(),
            entry.target_name,
            json(&entry.changes)?,
        ])?;
    Ok(())
}

fn conditions(filters: &[AuditFilter]) -> Vec<keyset::Conditions> {
    let of = |filter: &AuditFilter| {
        let mut conditions = keyset::Conditions::default();
        // One object's or one actor's entries are fewer than an account's: a `+` keeps the planner off the latter's index.
        let narrower = filter.target_id.is_some() || filter.actor.is_some();
        let of_account = if narrower { "+account = ?" } else { "account = ?" };
        conditions.and_some(of_account, filter.account.map(|a| a.blob().to_vec()));
        let by_actor = if filter.target_id.is_some() {
            "+actor_user = ?"
        } else {
            "actor_user = ?"
        };
        conditions.and_some(by_actor, filter.actor.map(|a| a.blob().to_vec()));
        conditions.and_some("action = ?", filter.action.clone());
        conditions.and_some("target_type = ?", filter.target_type.map(|t| t.name().to_owned()));
        conditions.and_some("target_id = ?", filter.target_id.map(|t| t.as_bytes().to_vec()));
        conditions.and_some("at >= ?", opt_millis(filter.since));
        conditions.and_some("at < ?", opt_millis(filter.until));
        conditions
    };
    filters.iter().map(of).collect()
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn audit_entries_by_ids(&self, ids: &[AuditEntryId]) -> Result<Vec<AuditEntry>> {
        let ids = ids.to_vec();
        self.read("audit_entries_by_ids", move |tx| {
            by_ids(tx, rows::AUDIT_ENTRY, "audit_entries", &ids, rows::audit_entry)
        })
        .await
    }

    async fn audit_entries(&self, filters: &[AuditFilter], page: &PageRequest) -> Result<Vec<Page<AuditEntry>>> {
        let (filters, page) = (conditions(filters), page.clone());
        self.read("audit_entries", move |tx| {
            let read = |c| {
                keyset::page(
                    tx,
                    rows::AUDIT_ENTRY,
                    "audit_entries",
                    c,
                    NEWEST_FIRST,
                    &page,
                    rows::audit_entry,
                )
            };
            filters.iter().map(read).collect()
        })
        .await
    }

    async fn count_audit_entries(&self, filters: &[AuditFilter]) -> Result<Vec<u64>> {
        let filters = conditions(filters);
        self.read("count_audit_entries", move |tx| {
            filters.iter().map(|c| c.count(tx, "audit_entries")).collect()
        })
        .await
    }
}
