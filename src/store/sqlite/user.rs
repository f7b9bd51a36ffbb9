//! Users and their passwords.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::domain::account::AccountName;
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, PasswordChange, PasswordHash};
use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::login::Login;
use crate::domain::mail::Mail;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{UserFilter, UserOrder};
use crate::domain::text::fold;
use crate::domain::user::{DirectoryLink, User, UserStatus};
use crate::store::sqlite::names::Name;
use crate::store::sqlite::rows::{self, Columns, Id, by_ids, first, json, millis, opt_json, opt_millis, select};
use crate::store::sqlite::{SqliteStore, account, audit, grants, history, link, mail, session, user_list};
use crate::store::{FailureKey, Newest, Result, StoreError, UserStore, UserWithLogins};

pub(super) const REVISION: &str = "SELECT revision FROM users WHERE id = ?";

pub(super) fn find(connection: &Connection, account: AccountId, login: &Login) -> Result<Option<User>> {
    let sql = select(rows::USER, "users", "account = ? AND login = ?");
    first(connection, &sql, params![account.blob(), login.as_str()], rows::user)
}

pub(super) fn credentials(connection: &Connection, user: UserId) -> Result<Option<Credentials>> {
    let read = |row: &mut Columns<'_>| {
        Ok(Credentials {
            hash: row.get::<Option<String>>()?.map(PasswordHash::new),
            history: row.json::<Vec<String>>()?.into_iter().map(PasswordHash::new).collect(),
        })
    };
    let sql = "SELECT password_hash, password_history FROM users WHERE id = ?";
    first(connection, sql, [user.blob()], read)
}

pub(super) fn insert(connection: &Connection, user: &User, password: Option<&PasswordHash>) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO users (id, account, login, first_name, first_name_fold, last_name, last_name_fold, email, \
             email_fold, language, phone, status, disabled_by, locked_until, notifications, must_change_password, \
             password_hash, password_changed_at, password_expires_at, is_ldap, directory_link, grants, is_master, \
             last_login, last_login_at, created_at, updated_at, revision) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            user.id.blob(),
            user.account.blob(),
            user.login.as_str(),
            user.first_name,
            fold(&user.first_name),
            user.last_name,
            fold(&user.last_name),
            user.email.as_ref().map(|e| e.as_str()),
            user.email.as_ref().map(|e| e.folded()),
            Name(user.language),
            user.phone,
            Name(user.status),
            user.disabled_by.map(Name),
            opt_millis(user.locked_until),
            json(&user.notifications)?,
            user.must_change_password,
            password.map(PasswordHash::expose),
            opt_millis(user.password_changed_at),
            opt_millis(user.password_expires_at),
            user.is_ldap,
            opt_json(user.directory_link.as_ref())?,
            json(&user.grants)?,
            user.is_master(),
            opt_json(user.last_login.as_ref())?,
            opt_millis(user.last_login.as_ref().map(|e| e.at)),
            millis(user.created_at),
            millis(user.updated_at),
            user.revision,
        ])?;
    grants::index(connection, user)
}

/// Is it the last active master of its account? One who has no way to sign in does not stand in for one who has. Writers
/// come one at a time, so the answer holds until the commit.
fn is_last_master(connection: &Connection, user: UserId) -> Result<bool> {
    connection
        .prepare_cached(
            "WITH masters AS (SELECT users.id, users.is_ldap OR (users.password_hash IS NOT NULL \
             AND NOT (accounts.directory_only AND accounts.name <> ?2)) AS way_in \
             FROM users JOIN accounts ON accounts.id = users.account \
             WHERE users.account = (SELECT account FROM users WHERE id = ?1) \
             AND users.is_master AND users.status = 'ACTIVE') \
             SELECT EXISTS (SELECT 1 FROM masters WHERE id = ?1) AND NOT EXISTS (SELECT 1 FROM masters other \
             WHERE other.id <> ?1 AND (other.way_in OR NOT (SELECT way_in FROM masters WHERE id = ?1))) \
             FROM users WHERE id = ?1",
        )?
        .query_row(params![user.blob(), AccountName::SYSTEM], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::NotFound)
}

/// The account, and whether the password is the directory's.
fn stored(connection: &Connection, user: UserId) -> Result<(AccountId, bool)> {
    let read = |row: &mut Columns<'_>| Ok((row.id()?, row.get()?));
    let found = first(
        connection,
        "SELECT account, is_ldap FROM users WHERE id = ?",
        [user.blob()],
        read,
    )?;
    found.ok_or(StoreError::NotFound)
}

/// Does this update of a user, which must be at its revision, leave its account without an active master?
pub(super) fn leaves_no_master(tx: &Transaction<'_>, user: &User, expected_revision: i64) -> Result<bool> {
    account::expect_revision(tx, REVISION, user.id, expected_revision)?;
    let (_, was_ldap) = stored(tx, user.id)?;
    // Whoever leaves the directory has no password yet, and a local one may be refused.
    let stays = user.is_active_master() && (user.is_ldap || !was_ldap);
    Ok(!stays && is_last_master(tx, user.id)?)
}

/// Updates a user, with everything that belongs to it.
pub(super) fn update(tx: &Transaction<'_>, user: &User, entry: &AuditEntry, mails: &[Mail]) -> Result<()> {
    let (account, was_ldap) = stored(tx, user.id)?;
    let user = grants::that_hold(tx, account, user.clone())?;
    replace(tx, &user)?;
    if user.status == UserStatus::Disabled || user.is_ldap != was_ldap {
        session::end_all(tx, user.id, None)?;
    }
    if user.is_ldap {
        tx.prepare_cached(
            "UPDATE users SET password_hash = NULL, password_history = '[]', password_changed_at = NULL WHERE id = ?",
        )?
        .execute([user.id.blob()])?;
    }
    if user.is_ldap && !was_ldap {
        link::end_all(tx, user.id, entry.at)?;
    }
    mail::queue(tx, mails)?;
    audit::insert(tx, entry)
}

/// The directory's entry that a user is linked to.
pub(super) fn link(connection: &Connection, user: UserId) -> Result<Option<DirectoryLink>> {
    let sql = "SELECT directory_link FROM users WHERE id = ?";
    Ok(first(connection, sql, [user.blob()], |row| row.opt_json())?.flatten())
}

/// Replaces what an update may replace.
pub(super) fn replace(tx: &Transaction<'_>, user: &User) -> Result<()> {
    let link = match &user.directory_link {
        Some(given) => Some(given.clone().replacing(link(tx, user.id)?.as_ref())),
        None => None,
    };
    tx.prepare_cached(
        "UPDATE users SET login = ?2, first_name = ?3, first_name_fold = ?4, last_name = ?5, last_name_fold = ?6, \
         email = ?7, email_fold = ?8, language = ?9, phone = ?10, status = ?11, disabled_by = ?12, \
         notifications = ?13, must_change_password = ?14, password_expires_at = ?15, is_ldap = ?16, \
         directory_link = ?17, grants = ?18, is_master = ?19, updated_at = ?20, revision = ?21 WHERE id = ?1",
    )?
    .execute(params![
        user.id.blob(),
        user.login.as_str(),
        user.first_name,
        fold(&user.first_name),
        user.last_name,
        fold(&user.last_name),
        user.email.as_ref().map(|e| e.as_str()),
        user.email.as_ref().map(|e| e.folded()),
        Name(user.language),
        user.phone,
        Name(user.status),
        user.disabled_by.map(Name),
        json(&user.notifications)?,
        user.must_change_password,
        opt_millis(user.password_expires_at),
        user.is_ldap,
        opt_json(link.as_ref())?,
        json(&user.grants)?,
        user.is_master(),
        millis(user.updated_at),
        user.revision,
    ])?;
    for sql in [
        "DELETE FROM user_roles WHERE user = ?",
        "DELETE FROM user_groups WHERE user = ?",
    ] {
        tx.prepare_cached(sql)?.execute([user.id.blob()])?;
    }
    grants::index(tx, user)
}

/// Puts a new hash in front of the earlier ones, and grows the revision.
pub(super) fn replace_password(tx: &Transaction<'_>, user: UserId, change: &PasswordChange) -> Result<()> {
    let old = credentials(tx, user)?.ok_or(StoreError::NotFound)?;
    let keep = usize::try_from(change.keep_history).unwrap_or(usize::MAX);
    let earlier = old.hash.iter().chain(&old.history).take(keep);
    let history: Vec<&str> = earlier.map(PasswordHash::expose).collect();
    tx.prepare_cached(
        "UPDATE users SET password_hash = ?2, password_history = ?3, password_changed_at = ?4, \
         must_change_password = ?5, updated_at = ?4, revision = revision + 1 WHERE id = ?1",
    )?
    .execute(params![
        user.blob(),
        change.hash.expose(),
        json(&history)?,
        millis(change.changed_at),
        change.must_change,
    ])?;
    Ok(())
}

#[async_trait]
impl UserStore for SqliteStore {
    async fn create_user(
        &self,
        user: &User,
        password: Option<&PasswordHash>,
        entry: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()> {
        let (user, password, entry) = (user.clone(), password.cloned(), entry.clone());
        let mails = mails.to_vec();
        self.write("create_user", move |tx| {
            let user = grants::that_hold(tx, user.account, user)?;
            insert(tx, &user, password.as_ref())?;
            mail::queue(tx, &mails)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn create_first_user(&self, user: &User, password: &PasswordHash, entry: &AuditEntry) -> Result<bool> {
        let (user, password, entry) = (user.clone(), password.clone(), entry.clone());
        self.write("create_first_user", move |tx| {
            let mut any = tx.prepare_cached("SELECT 1 FROM users WHERE account = ?")?;
            if any.exists([user.account.blob()])? {
                return Ok(false);
            }
            insert(tx, &user, Some(&password))?;
            audit::insert(tx, &entry)?;
            Ok(true)
        })
        .await
    }

    async fn update_user(&self, user: &User, expected_revision: i64, entry: &AuditEntry, mails: &[Mail]) -> Result<()> {
        let (user, entry, mails) = (user.clone(), entry.clone(), mails.to_vec());
        self.write("update_user", move |tx| {
            if leaves_no_master(tx, &user, expected_revision)? {
                return Err(StoreError::LastMaster);
            }
            update(tx, &user, &entry, &mails)
        })
        .await
    }

    async fn set_password(
        &self,
        user: UserId,
        expected_revision: i64,
        change: &PasswordChange,
        keep_session: Option<SessionId>,
        entry: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()> {
        let (change, entry, mails) = (change.clone(), entry.clone(), mails.to_vec());
        self.write("set_password", move |tx| {
            account::expect_revision(tx, REVISION, user, expected_revision)?;
            replace_password(tx, user, &change)?;
            session::end_all(tx, user, keep_session)?;
            mail::queue(tx, &mails)?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn delete_user(&self, user: UserId, expected_revision: i64, entry: &AuditEntry) -> Result<()> {
        let entry = entry.clone();
        self.write("delete_user", move |tx| {
            account::expect_revision(tx, REVISION, user, expected_revision)?;
            if is_last_master(tx, user)? {
                return Err(StoreError::LastMaster);
            }
            mail::drop_waiting(tx, user)?;
            // Sessions, links, roles and groups go by their references to the user.
            tx.prepare_cached("DELETE FROM users WHERE id = ?")?
                .execute([user.blob()])?;
            audit::insert(tx, &entry)
        })
        .await
    }

    async fn unlock_user(&self, user: UserId, login_keys: &[FailureKey], entry: &AuditEntry) -> Result<bool> {
        let (keys, entry) = (login_keys.to_vec(), entry.clone());
        self.write("unlock_user", move |tx| {
            let now = millis(entry.at);
            let mut locked: bool = tx
                .prepare_cached("SELECT coalesce(locked_until > ?2, FALSE) FROM users WHERE id = ?1")?
                .query_row(params![user.blob(), now], |row| row.get(0))
                .optional()?
                .ok_or(StoreError::NotFound)?;
            tx.prepare_cached("UPDATE users SET locked_until = NULL WHERE id = ?")?
                .execute([user.blob()])?;
            let mut locks = tx.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM failures WHERE account = ? AND login = ? AND locked_until > ?)",
            )?;
            let mut clear = tx.prepare_cached("DELETE FROM failures WHERE account = ? AND login = ?")?;
            for key in &keys {
                locked |= locks.query_row(params![key.account.blob(), key.login, now], |row| row.get::<_, bool>(0))?;
                clear.execute(params![key.account.blob(), key.login])?;
            }
            if locked {
                audit::insert(tx, &entry)?;
            }
            Ok(locked)
        })
        .await
    }

    async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let ids = ids.to_vec();
        self.read("users_by_ids", move |tx| {
            by_ids(tx, rows::USER, "users", &ids, rows::user)
        })
        .await
    }

    async fn user_by_login(&self, account: AccountId, login: &Login) -> Result<Option<User>> {
        let login = login.clone();
        self.read("user_by_login", move |tx| find(tx, account, &login)).await
    }

    async fn users(&self, filters: &[UserFilter], order: UserOrder, page: &PageRequest) -> Result<Vec<Page<User>>> {
        let (filters, page) = (user_list::conditions(filters, Some(order)), page.clone());
        self.read("users", move |tx| {
            user_list::pages(tx, rows::USER, &filters, order, &page)
        })
        .await
    }

    async fn users_with_logins(
        &self,
        filters: &[UserFilter],
        order: UserOrder,
        page: &PageRequest,
        newest: Newest,
    ) -> Result<Vec<Page<UserWithLogins>>> {
        let (filters, page) = (user_list::conditions(filters, Some(order)), page.clone());
        self.read("users_with_logins", move |tx| {
            let with_logins = |user: User| {
                let events = history::newest_of(tx, user.id, newest)?;
                Ok((user, events))
            };
            let columns = if newest.last_login {
                rows::USER
            } else {
                rows::USER_BUT_LAST_LOGIN
            };
            let pages = user_list::pages(tx, columns, &filters, order, &page)?;
            pages.into_iter().map(|page| page.try_map(with_logins)).collect()
        })
        .await
    }

    async fn count_users(&self, filters: &[UserFilter]) -> Result<Vec<u64>> {
        let filters = user_list::conditions(filters, None);
        self.read("count_users", move |tx| {
            filters.iter().map(|c| c.count(tx, "users")).collect()
        })
        .await
    }

    async fn credentials(&self, user: UserId) -> Result<Option<Credentials>> {
        self.read("credentials", move |tx| credentials(tx, user)).await
    }
}
