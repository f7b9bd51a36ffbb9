//! Everything that is kept, record by record.

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, PasswordHash, TokenHash};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::ReportKind;
use crate::store::sqlite::rows::{self, Columns, Id, all, first, json, millis, opt_json, opt_millis, select};
use crate::store::sqlite::{
    SqliteStore, account, audit, avatar, grants, group, history, link, login, mail, report, role, session, token, user,
};
use crate::store::transfer::{
    FiledReports, Kind, Record, StoredSession, StoredToken, StoredUser, TransferStore, link_hashes,
};
use crate::store::{OpenedSession, Result};

fn stored(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Accounts => "accounts",
        Kind::Roles => "roles",
        Kind::Groups => "groups",
        Kind::Users => "users",
        Kind::Avatars => "avatars",
        Kind::Sessions => "sessions",
        Kind::ApiTokens => "api_tokens",
        Kind::LoginEvents => "login_events",
        Kind::AuditEntries => "audit_entries",
        Kind::Mails => "mails",
        Kind::Links => "links",
        Kind::Reports => "report_marks",
    }
}

/// The columns of a user with its hashes, behind those of [`rows::USER`].
const HASHES: &str = "users.password_hash, users.password_history";

fn stored_user(row: &mut Columns<'_>) -> Result<StoredUser> {
    Ok(StoredUser {
        user: rows::user(row)?,
        credentials: Credentials {
            hash: row.get::<Option<String>>()?.map(PasswordHash::new),
            history: row.json::<Vec<String>>()?.into_iter().map(PasswordHash::new).collect(),
        },
    })
}

fn stored_session(row: &mut Columns<'_>) -> Result<StoredSession> {
    Ok(StoredSession {
        session: rows::session(row)?,
        token_hash: TokenHash(row.get()?),
    })
}

fn stored_token(row: &mut Columns<'_>) -> Result<StoredToken> {
    Ok(StoredToken {
        token: token::token(row)?,
        token_hash: TokenHash(row.get()?),
    })
}

fn scan(tx: &Connection, kind: Kind, after: Option<Uuid>, most: usize) -> Result<Vec<Record>> {
    fn of<T>(
        tx: &Connection,
        kind: Kind,
        columns: &str,
        after: &[u8],
        limit: i64,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
        record: impl Fn(T) -> Record,
    ) -> Result<Vec<Record>> {
        let table = table(kind);
        let joined = if kind == Kind::Avatars {
            " JOIN users ON users.id = avatars.user"
        } else {
            ""
        };
        let sql = format!("SELECT {columns} FROM {table}{joined} WHERE {table}.id > ? ORDER BY {table}.id LIMIT ?");
        Ok(all(tx, &sql, params![after, limit], read)?
            .into_iter()
            .map(record)
            .collect())
    }
    let (behind, limit) = (after.map_or_else(Vec::new, |id| id.into_bytes().to_vec()), stored(most));
    let after_id = behind.as_slice();
    let user = format!("{}, {HASHES}", rows::USER);
    let session = format!("{}, sessions.token_hash", rows::SESSION);
    let token = format!("{}, api_tokens.token_hash", token::TOKEN);
    match kind {
        Kind::Accounts => of(tx, kind, rows::ACCOUNT, after_id, limit, rows::account, Record::Account),
        Kind::Roles => of(tx, kind, rows::ROLE, after_id, limit, rows::role, Record::Role),
        Kind::Groups => of(tx, kind, rows::GROUP, after_id, limit, rows::group, Record::Group),
        Kind::Users => of(tx, kind, &user, after_id, limit, stored_user, |u| {
            Record::User(Box::new(u))
        }),
        Kind::Avatars => of(tx, kind, avatar::AVATAR, after_id, limit, avatar::read, Record::Avatar),
        Kind::Sessions => of(tx, kind, &session, after_id, limit, stored_session, |s| {
            Record::Session(Box::new(s))
        }),
        Kind::ApiTokens => of(tx, kind, &token, after_id, limit, stored_token, Record::ApiToken),
        Kind::LoginEvents => of(tx, kind, rows::LOGIN_EVENT, after_id, limit, rows::login_event, |e| {
            Record::LoginEvent(Box::new(e))
        }),
        Kind::AuditEntries => of(tx, kind, rows::AUDIT_ENTRY, after_id, limit, rows::audit_entry, |e| {
            Record::AuditEntry(Box::new(e))
        }),
        Kind::Mails => of(tx, kind, mail::MAIL, after_id, limit, mail::stored_mail, |m| {
            Record::Mail(Box::new(m))
        }),
        Kind::Links => {
            let after = after.map_or_else(Vec::new, |id| link_hashes(id)[1].to_vec());
            let sql = select(link::LINK, "links", "hash > ? ORDER BY hash LIMIT ?");
            Ok(all(tx, &sql, params![after, limit], link::link)?
                .into_iter()
                .map(Record::Link)
                .collect())
        }
        Kind::Reports => {
            let marks = report::behind(
                tx,
                after.map(AccountId::from_uuid),
                stored(most * ReportKind::ALL.len()),
            )?;
            Ok(FiledReports::of_marks(marks, most)
                .into_iter()
                .map(Record::Reports)
                .collect())
        }
    }
}

fn delete(tx: &Connection, kind: Kind, id: Uuid) -> Result<()> {
    match kind {
        Kind::Links => tx
            .prepare_cached("DELETE FROM links WHERE hash BETWEEN ? AND ?")?
            .execute(link_hashes(id))?,
        Kind::Reports => tx
            .prepare_cached("DELETE FROM report_marks WHERE account = ?")?
            .execute([id.into_bytes()])?,
        _ => tx
            .prepare_cached(&format!("DELETE FROM {} WHERE id = ?", table(kind)))?
            .execute([id.into_bytes()])?,
    };
    Ok(())
}

fn exists(tx: &Connection, kind: Kind, id: Uuid) -> Result<bool> {
    Ok(tx
        .prepare_cached(&format!("SELECT 1 FROM {} WHERE id = ?", table(kind)))?
        .exists([id.into_bytes()])?)
}

/// Adds what is not there.
fn insert(tx: &Connection, record: &Record) -> Result<()> {
    match record {
        Record::Account(account) => account::insert(tx, account),
        Record::Role(role) => role::insert(tx, role),
        Record::Group(group) => group::insert(tx, group),
        Record::User(stored) => insert_user(tx, stored),
        Record::Avatar(avatar) => avatar::insert(tx, avatar),
        Record::Session(stored) => {
            let opened = OpenedSession {
                session: stored.session.clone(),
                token_hash: stored.token_hash,
                user_revision: 0,
                rehashed: None,
            };
            session::insert(tx, &opened)
        }
        Record::ApiToken(stored) => token::insert(tx, &stored.token, &stored.token_hash),
        Record::LoginEvent(event) => history::insert(tx, event),
        Record::AuditEntry(entry) => audit::insert(tx, entry),
        Record::Mail(stored) => mail::insert(tx, &stored.mail, stored.due_at).map(drop),
        Record::Link(link) => link::insert(tx, link),
        Record::Reports(filed) => filed.marks().try_for_each(|mark| report::file(tx, &mark).map(drop)),
    }
}

fn insert_user(tx: &Connection, stored: &StoredUser) -> Result<()> {
    user::insert(tx, &stored.user, stored.credentials.hash.as_ref())?;
    if stored.user.avatar.is_some() || !stored.credentials.history.is_empty() {
        keep_the_rest(tx, stored)?;
    }
    Ok(())
}

/// What neither adding nor updating a user writes, as it belongs to other intents.
fn keep_the_rest(tx: &Connection, stored: &StoredUser) -> Result<()> {
    let (user, credentials) = (&stored.user, &stored.credentials);
    let earlier: Vec<&str> = credentials.history.iter().map(PasswordHash::expose).collect();
    tx.prepare_cached(
        "UPDATE users SET account = ?2, locked_until = ?3, avatar = ?4, password_hash = ?5, password_history = ?6, \
         password_changed_at = ?7, directory_link = ?8, last_login = ?9, last_login_at = ?10, created_at = ?11 \
         WHERE id = ?1",
    )?
    .execute(params![
        user.id.blob(),
        user.account.blob(),
        opt_millis(user.locked_until),
        user.avatar.map(Id::blob),
        credentials.hash.as_ref().map(PasswordHash::expose),
        json(&earlier)?,
        opt_millis(user.password_changed_at),
        opt_json(user.directory_link.as_ref())?,
        opt_json(user.last_login.as_ref())?,
        opt_millis(user.last_login.as_ref().map(|event| event.at)),
        millis(user.created_at),
    ])?;
    Ok(())
}

fn put(tx: &Transaction<'_>, record: &Record) -> Result<()> {
    match record {
        // What belongs to a user goes with its row, so that stays.
        Record::User(stored) if exists(tx, Kind::Users, record.id())? => {
            user::replace(tx, &stored.user)?;
            keep_the_rest(tx, stored)
        }
        _ => {
            delete(tx, record.kind(), record.id())?;
            insert(tx, record)
        }
    }
}

/// Adds a new record whose grants hold.
fn create(tx: &Transaction<'_>, record: &Record) -> Result<()> {
    match record {
        Record::User(stored) => {
            let user = grants::that_hold(tx, stored.user.account, stored.user.clone())?;
            insert_user(
                tx,
                &StoredUser {
                    user,
                    credentials: stored.credentials.clone(),
                },
            )
        }
        Record::LoginEvent(_) if exists(tx, Kind::LoginEvents, record.id())? => Ok(()),
        _ => insert(tx, record),
    }
}

fn newest_success(tx: &Connection, user: UserId) -> Result<Option<LoginEvent>> {
    let sql = format!(
        "SELECT {} FROM login_events WHERE user = ? AND outcome = 'SUCCESS' ORDER BY at DESC, id DESC LIMIT 1",
        rows::LOGIN_EVENT
    );
    first(tx, &sql, [user.blob()], rows::login_event)
}

#[async_trait]
impl TransferStore for SqliteStore {
    async fn scan(&self, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Record>> {
        self.read("scan", move |tx| scan(tx, kind, after, limit)).await
    }

    async fn put(&self, records: &[Record]) -> Result<()> {
        let records = records.to_vec();
        self.write("put", move |tx| {
            // An account is replaced while others refer to it.
            tx.pragma_update(None, "defer_foreign_keys", true)?;
            records.iter().try_for_each(|record| put(tx, record))
        })
        .await
    }

    async fn remove(&self, kind: Kind, ids: &[Uuid]) -> Result<()> {
        let ids = ids.to_vec();
        self.write("remove", move |tx| ids.iter().try_for_each(|id| delete(tx, kind, *id)))
            .await
    }

    async fn create(&self, records: &[Record], entries: &[AuditEntry]) -> Result<()> {
        let (records, entries) = (records.to_vec(), entries.to_vec());
        self.write("create", move |tx| {
            records.iter().try_for_each(|record| create(tx, record))?;
            entries.iter().try_for_each(|entry| audit::insert(tx, entry))
        })
        .await
    }

    async fn stored_users(&self, ids: &[UserId], logins: &[(AccountId, Login)]) -> Result<Vec<StoredUser>> {
        let (ids, logins) = (ids.to_vec(), logins.to_vec());
        self.read("stored_users", move |tx| {
            let select = |condition| format!("SELECT {}, {HASHES} FROM users WHERE {condition}", rows::USER);
            let (by_id, by_login) = (select("id = ?"), select("account = ? AND login = ?"));
            let mut found: Vec<StoredUser> = Vec::new();
            for id in &ids {
                found.extend(first(tx, &by_id, [id.blob()], stored_user)?);
            }
            for (account, login) in &logins {
                found.extend(first(
                    tx,
                    &by_login,
                    params![account.blob(), login.as_str()],
                    stored_user,
                )?);
            }
            found.sort_unstable_by_key(|stored| stored.user.id);
            found.dedup_by_key(|stored| stored.user.id);
            Ok(found)
        })
        .await
    }

    async fn settle_logins(&self, users: &[UserId]) -> Result<()> {
        let users = users.to_vec();
        self.write("settle_logins", move |tx| {
            for user in users {
                if let Some(event) = newest_success(tx, user)? {
                    login::remember_last(tx, &event)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn estimate(&self, kind: Kind) -> Result<u64> {
        self.read("estimate", move |tx| {
            let what = if kind == Kind::Reports { "DISTINCT account" } else { "*" };
            let sql = format!("SELECT count({what}) FROM {}", table(kind));
            let count: i64 = tx.query_row(&sql, [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}
