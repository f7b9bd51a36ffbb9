//! Accounts.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::domain::account::{Account, AccountName, AccountStatus};
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::AccountId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{AccountFilter, AccountOrder, AccountOrderField};
use crate::domain::text::fold;
use crate::store::sqlite::names::{Name, Named};
use crate::store::sqlite::rows::{self, Id, by_ids, first, json, millis, select};
use crate::store::sqlite::{SqliteStore, audit, group, keyset};
use crate::store::{AccountStore, Result, StoreError};

/// How many entries of a deleted account go in one step, so that it holds up writers for milliseconds only.
const CLEAR_STEP: usize = 1000;
/// How long a deleted account is looked after.
const CLEARED_FOR_MILLIS: i64 = 60 * 60 * 1000;

/// The account where the condition on one value holds.
pub(super) fn find(connection: &Connection, condition: &'static str, value: &dyn ToSql) -> Result<Option<Account>> {
    let sql = select(rows::ACCOUNT, "accounts", condition);
    first(connection, &sql, params![value], rows::account)
}

/// The revision of a row by its identifier, which must be the expected one.
pub(super) fn expect_revision(connection: &Connection, sql: &'static str, id: impl Id, expected: i64) -> Result<()> {
    let found: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([id.blob()], |row| row.get(0))
        .optional()?;
    match found {
        None => Err(StoreError::NotFound),
        Some(current) if current != expected => Err(StoreError::Conflict { current }),
        Some(_) => Ok(()),
    }
}

/// Refuses to take away the way in of every master who has one.
fn spare_directory_master(connection: &Connection, account: AccountId) -> Result<()> {
    let none_left: bool = connection
        .prepare_cached(
            "SELECT max(password_hash IS NOT NULL AND NOT is_ldap) AND NOT max(is_ldap) FROM users \
             WHERE account = ? AND is_master AND status = 'ACTIVE'",
        )?
        .query_row([account.blob()], |row| row.get::<_, Option<bool>>(0))?
        .unwrap_or(false);
    if none_left { Err(StoreError::LastMaster) } else { Ok(()) }
}

/// Adds an account alone.
pub(super) fn insert(connection: &Connection, account: &Account) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO accounts (id, name, title, title_fold, status, time_zone, default_language, directory, \
         directory_only, password_policy, created_at, updated_at, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            account.id.blob(),
            account.name.as_str(),
            account.title,
            fold(&account.title),
            Name(account.status),
            account.time_zone,
            Name(account.default_language),
            account.directory,
            account.directory_only,
            json(&account.password_policy)?,
            millis(account.created_at),
            millis(account.updated_at),
            account.revision,
        ])?;
    Ok(())
}

fn conditions(filter: &AccountFilter) -> keyset::Conditions {
    let mut conditions = keyset::Conditions::default();
    conditions.and_some("status = ?", filter.status.map(|s| s.name().to_owned()));
    conditions.and_some("directory = ?", filter.directory.clone());
    if let Some(search) = &filter.search {
        conditions.and_prefix(&["name", "title_fold"], search);
    }
    conditions
}

#[async_trait]
impl AccountStore for SqliteStore {
    async fn create_account(&self, account: &Account, main_group: &Group, entry: &AuditEntry) -> Result<()> {
        let (account, main_group, entry) = (account.clone(), main_group.clone(), entry.clone());
        self.write("create_account", move |tx| {
            insert(tx, &account)?;
            group::insert(tx, &main_group)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn update_account(&self, account: &Account, expected_revision: i64, entry: &AuditEntry) -> Result<()> {
        let (account, entry) = (account.clone(), entry.clone());
        self.write("update_account", move |tx| {
            expect_revision(
                tx,
                "SELECT revision FROM accounts WHERE id = ?",
                account.id,
                expected_revision,
            )?;
            let before = find(tx, "id = ?", &account.id.blob())?.ok_or(StoreError::NotFound)?;
            let refuses_local = account.directory_only && !before.name.is_system();
            if refuses_local && !before.directory_only {
                spare_directory_master(tx, account.id)?;
            }
            let is_frozen = [account.status, before.status].contains(&AccountStatus::Frozen);
            tx.prepare_cached(
                "DELETE FROM sessions WHERE account = ?1 AND \
                 (?2 OR (?3 AND user IN (SELECT id FROM users WHERE account = ?1 AND NOT is_ldap)))",
            )?
            .execute(params![account.id.blob(), is_frozen, refuses_local])?;
            tx.prepare_cached(
                "UPDATE accounts SET title = ?, title_fold = ?, status = ?, time_zone = ?, default_language = ?, \
                 directory = ?, directory_only = ?, password_policy = ?, updated_at = ?, revision = ? WHERE id = ?",
            )?
            .execute(params![
                account.title,
                fold(&account.title),
                Name(account.status),
                account.time_zone,
                Name(account.default_language),
                account.directory,
                account.directory_only,
                json(&account.password_policy)?,
                millis(account.updated_at),
                account.revision,
                account.id.blob(),
            ])?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn delete_account(&self, account: AccountId, at: Timestamp, entry: &AuditEntry) -> Result<()> {
        let entry = entry.clone();
        self.write("delete_account", move |tx| {
            // In this order, as the later ones are referenced by the earlier.
            for table in [
                "sessions",
                "api_tokens",
                "users",
                "roles",
                "groups",
                "failures",
                "mails",
                "report_marks",
            ] {
                tx.execute(&format!("DELETE FROM {table} WHERE account = ?"), [account.blob()])?;
            }
            let deleted = tx.execute("DELETE FROM accounts WHERE id = ?", [account.blob()])?;
            if deleted == 0 {
                return Err(StoreError::NotFound);
            }
            tx.execute(
                "INSERT INTO deletions (account, deleted_at) VALUES (?, ?)",
                params![account.blob(), millis(at)],
            )?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn clear_deleted(&self, now: Timestamp) -> Result<u64> {
        let mut gone = 0;
        for table in ["login_events", "audit_entries", "mails", "report_marks"] {
            let sql = format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} \
                 WHERE account IN (SELECT account FROM deletions) LIMIT {CLEAR_STEP})"
            );
            gone += self
                .in_steps("clear_deleted", CLEAR_STEP, move |tx| Ok(tx.execute(&sql, [])?))
                .await?;
        }
        let over = millis(now).saturating_sub(CLEARED_FOR_MILLIS);
        self.write("clear_deleted", move |tx| {
            tx.execute("DELETE FROM deletions WHERE deleted_at <= ?", [over])?;
            Ok(())
        })
        .await?;
        Ok(gone)
    }

    async fn accounts_by_ids(&self, ids: &[AccountId]) -> Result<Vec<Account>> {
        let ids = ids.to_vec();
        self.read("accounts_by_ids", move |tx| {
            by_ids(tx, rows::ACCOUNT, "accounts", &ids, rows::account)
        })
        .await
    }

    async fn account_by_name(&self, name: &AccountName) -> Result<Option<Account>> {
        let name = name.clone();
        self.read("account_by_name", move |tx| find(tx, "name = ?", &name.as_str()))
            .await
    }

    async fn accounts(&self, filter: &AccountFilter, order: AccountOrder, page: &PageRequest) -> Result<Page<Account>> {
        let (conditions, page) = (conditions(filter), page.clone());
        let order = keyset::Order {
            key: match order.field {
                AccountOrderField::Name => "name",
                AccountOrderField::CreatedAt => "created_at",
            },
            nullable: false,
            direction: order.direction,
        };
        self.read("accounts", move |tx| {
            keyset::page(tx, rows::ACCOUNT, "accounts", &conditions, order, &page, rows::account)
        })
        .await
    }

    async fn count_accounts(&self, filter: &AccountFilter) -> Result<u64> {
        let conditions = conditions(filter);
        self.read("count_accounts", move |tx| conditions.count(tx, "accounts"))
            .await
    }
}
