//! Links to directories, and leases.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::domain::audit::AuditEntry;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::mail::Mail;
use crate::domain::user::{DirectoryLink, User};
use crate::store::sqlite::rows::{self, Id, all, first, json, millis, select};
use crate::store::sqlite::{SqliteStore, audit, grants, user};
use crate::store::{DirectoryStore, Result};

/// Who is linked to one entry: account, directory, the entry's identifier. Each term as the index has it.
const LINKED_TO: &str = "directory_link IS NOT NULL AND account = ? AND json_extract(directory_link, '$.directory') = ? \
     AND json_extract(directory_link, '$.external_id') = ?";

/// Whom a directory has the password of: account, directory, the identifier to go on after, the limit.
const LINKED: &str = "directory_link IS NOT NULL AND is_ldap AND account = ? \
     AND json_extract(directory_link, '$.directory') = ? AND id > ? ORDER BY id LIMIT ?";

/// The users of sessions: the identifier to go on after, now, the limit.
const SIGNED_IN: &str = "SELECT user FROM sessions WHERE user > ? AND expires_at > ? ORDER BY user LIMIT ?";

/// What identifiers to go on from are compared with; nothing comes before all of them.
fn place(after: Option<UserId>) -> Vec<u8> {
    after.map_or_else(Vec::new, |id| id.blob().to_vec())
}

fn stored(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Notes a look at a user's entry, unless it is not linked to one or a later look was noted first.
fn touch_link(connection: &Connection, id: UserId, at: Timestamp) -> Result<()> {
    let Some(link) = user::link(connection, id)?.filter(|link| link.last_checked_at < at) else {
        return Ok(());
    };
    let link = DirectoryLink {
        last_checked_at: at,
        ..link
    };
    connection
        .prepare_cached("UPDATE users SET directory_link = ? WHERE id = ?")?
        .execute(params![json(&link)?, id.blob()])?;
    Ok(())
}

#[async_trait]
impl DirectoryStore for SqliteStore {
    async fn users_by_external_ids(
        &self,
        account: AccountId,
        directory: &str,
        external_ids: &[String],
    ) -> Result<Vec<User>> {
        let directory = directory.to_owned();
        let external_ids: BTreeSet<String> = external_ids.iter().cloned().collect();
        self.read("users_by_external_ids", move |tx| {
            let sql = select(rows::USER, "users", LINKED_TO);
            let mut found = Vec::new();
            for id in &external_ids {
                found.extend(first(tx, &sql, params![account.blob(), directory, id], rows::user)?);
            }
            Ok(found)
        })
        .await
    }

    async fn users_by_logins(&self, account: AccountId, logins: &[Login]) -> Result<Vec<User>> {
        let logins: BTreeSet<Login> = logins.iter().cloned().collect();
        self.read("users_by_logins", move |tx| {
            let found = logins.iter().map(|login| user::find(tx, account, login));
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    async fn create_users(&self, users: &[(User, AuditEntry)]) -> Result<()> {
        let users = users.to_vec();
        self.write("create_users", move |tx| {
            users.iter().try_for_each(|(user, entry)| {
                let user = grants::that_hold(tx, user.account, user.clone())?;
                user::insert(tx, &user, None)?;
                audit::insert(tx, entry)
            })
        })
        .await
    }

    async fn linked_users(
        &self,
        account: AccountId,
        directory: &str,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        let directory = directory.to_owned();
        self.read("linked_users", move |tx| {
            let sql = select(rows::USER, "users", LINKED);
            let values = params![account.blob(), directory, place(after), stored(limit)];
            all(tx, &sql, values, rows::user)
        })
        .await
    }

    async fn signed_in_ldap_users(
        &self,
        now: Timestamp,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<UserId>)> {
        self.read("signed_in_ldap_users", move |tx| {
            // So many sessions and not so many users, so that a page is small whoever has how many.
            let values = params![place(after), millis(now), stored(limit)];
            let mut ids: Vec<UserId> = all(tx, SIGNED_IN, values, |row| row.id())?;
            let next = if ids.len() < limit { None } else { ids.last().copied() };
            ids.dedup();
            let mut users = rows::by_ids(tx, rows::USER, "users", &ids, rows::user)?;
            users.retain(|user| user.is_ldap);
            Ok((users, next))
        })
        .await
    }

    async fn update_from_directory(
        &self,
        user: &User,
        expected_revision: i64,
        entry: &AuditEntry,
        mails: &[Mail],
    ) -> Result<bool> {
        let (user, entry, mails) = (user.clone(), entry.clone(), mails.to_vec());
        self.write("update_from_directory", move |tx| {
            let leaves_no_master = user::leaves_no_master(tx, &user, expected_revision)?;
            user::update(tx, &user, &entry, &mails)?;
            Ok(leaves_no_master)
        })
        .await
    }

    async fn touch_links(&self, users: &[UserId], at: Timestamp) -> Result<()> {
        let users = users.to_vec();
        self.write_quietly("touch_links", move |tx| {
            users.iter().try_for_each(|id| touch_link(tx, *id, at))
        })
        .await
    }

    async fn take_lease(&self, name: &str, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool> {
        let name = name.to_owned();
        self.write_quietly("take_lease", move |tx| {
            let taken = tx
                .prepare_cached(
                    "INSERT INTO leases (name, holder, expires_at) VALUES (?1, ?2, ?4) ON CONFLICT DO UPDATE \
                     SET holder = ?2, expires_at = ?4 WHERE holder = ?2 OR expires_at <= ?3 RETURNING 1",
                )?
                .query_row(params![name, holder.into_bytes(), millis(now), millis(until)], |_| {
                    Ok(())
                })
                .optional()?;
            Ok(taken.is_some())
        })
        .await
    }

    async fn drop_lease(&self, name: &str, holder: Uuid) -> Result<()> {
        let name = name.to_owned();
        self.write_quietly("drop_lease", move |tx| {
            tx.prepare_cached("DELETE FROM leases WHERE name = ? AND holder = ?")?
                .execute(params![name, holder.into_bytes()])?;
            Ok(())
        })
        .await
    }

    async fn lease_holder(&self, name: &str) -> Result<Option<Uuid>> {
        let name = name.to_owned();
        self.read("lease_holder", move |tx| {
            let holder: Option<[u8; 16]> = tx
                .prepare_cached("SELECT holder FROM leases WHERE name = ?")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            Ok(holder.map(Uuid::from_bytes))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::connection::model;

    #[test]
    fn every_read_is_answered_by_an_index() {
        let connection = model().unwrap();
        for (sql, expected) in [
            (
                select(rows::USER, "users", LINKED_TO),
                "SEARCH users USING INDEX users_directory_link (account=? AND <expr>=? AND <expr>=?)",
            ),
            (
                select(rows::USER, "users", LINKED),
                "SEARCH users USING INDEX users_directory (account=? AND <expr>=? AND id>?)",
            ),
            (
                SIGNED_IN.to_owned(),
                "SEARCH sessions USING COVERING INDEX sessions_user_expires_at (user>?)",
            ),
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = vec![rusqlite::types::Value::Null; statement.parameter_count()];
            let steps = statement
                .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3))
                .unwrap();
            let plan = steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ");
            assert_eq!(plan, expected, "{sql}");
        }
    }
}
