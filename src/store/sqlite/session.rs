//! Sessions.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::Mail;
use crate::domain::session::Session;
use crate::store::sqlite::rows::{self, Columns, Id, all, json, millis, opt_json};
use crate::store::sqlite::{SqliteStore, audit, history, login, mail};
use crate::store::{Identity, OpenedSession, Result, SessionStore, WhichSessions};

/// The most sessions of one user that are listed.
const LISTED: i64 = 200;

pub(super) fn insert(connection: &Connection, opened: &OpenedSession) -> Result<()> {
    let session = &opened.session;
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, token_hash, account, user, created_at, last_seen_at, expires_at, origin, impersonator) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            session.id.blob(),
            opened.token_hash.0,
            session.account.blob(),
            session.user.blob(),
            millis(session.created_at),
            millis(session.last_seen_at),
            millis(session.expires_at),
            json(&session.origin)?,
            opt_json(session.impersonation.as_ref())?,
        ])?;
    Ok(())
}

/// Ends a user's sessions, but for the one to keep; says how many there were.
pub(super) fn end_all(connection: &Connection, user: UserId, keep: Option<SessionId>) -> Result<usize> {
    Ok(connection
        .prepare_cached("DELETE FROM sessions WHERE user = ? AND id IS NOT ?")?
        .execute(params![user.blob(), keep.map(Id::blob)])?)
}

/// The one session for which the condition holds, with everything that it stands for.
fn identity(tx: &Connection, condition: &str, value: &dyn ToSql) -> Result<Option<Identity>> {
    let sql = format!(
        "SELECT {}, {}, {} FROM sessions JOIN users ON users.id = sessions.user \
         JOIN accounts ON accounts.id = users.account WHERE {condition}",
        rows::SESSION,
        rows::USER,
        rows::ACCOUNT
    );
    let joined = |row: &mut Columns<'_>| Ok((rows::session(row)?, rows::user(row)?, rows::account(row)?));
    let Some((session, user, account)) = rows::first(tx, &sql, [value], joined)? else {
        return Ok(None);
    };
    let roles = rows::by_ids(tx, rows::ROLE, "roles", &user.roles(), rows::role)?;
    Ok(Some(Identity {
        session,
        user,
        account,
        roles,
    }))
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn identity(&self, token_hash: &TokenHash) -> Result<Option<Identity>> {
        let token_hash = *token_hash;
        self.read("identity", move |tx| {
            identity(tx, "sessions.token_hash = ?", &token_hash.0)
        })
        .await
    }

    async fn identities(&self, token_hashes: &[TokenHash]) -> Result<Vec<Option<Identity>>> {
        let token_hashes = token_hashes.to_vec();
        self.read("identities", move |tx| {
            let each = token_hashes.iter();
            each.map(|hash| identity(tx, "sessions.token_hash = ?", &hash.0))
                .collect()
        })
        .await
    }

    async fn sessions_by_ids(&self, ids: &[SessionId], now: Timestamp) -> Result<Vec<Session>> {
        let ids = ids.to_vec();
        self.read("sessions_by_ids", move |tx| {
            let mut sessions = rows::by_ids(tx, rows::SESSION, "sessions", &ids, rows::session)?;
            sessions.retain(|session| session.expires_at > now);
            Ok(sessions)
        })
        .await
    }

    async fn sessions_of_users(&self, users: &[UserId], now: Timestamp) -> Result<Vec<Session>> {
        let users = users.to_vec();
        self.read("sessions_of_users", move |tx| {
            let sql = format!(
                "SELECT {} FROM sessions WHERE user = ? AND expires_at > ? ORDER BY created_at DESC, id DESC LIMIT ?",
                rows::SESSION
            );
            let mut sessions = Vec::new();
            for user in users {
                sessions.extend(all(tx, &sql, params![user.blob(), millis(now), LISTED], rows::session)?);
            }
            Ok(sessions)
        })
        .await
    }

    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        self.write_quietly("touch_session", move |tx| {
            tx.prepare_cached("UPDATE sessions SET last_seen_at = ?2 WHERE id = ?1 AND last_seen_at < ?2")?
                .execute(params![id.blob(), millis(at)])?;
            Ok(())
        })
        .await
    }

    async fn end_session(&self, id: SessionId) -> Result<bool> {
        self.write("end_session", move |tx| {
            let ended = tx
                .prepare_cached("DELETE FROM sessions WHERE id = ? RETURNING 1")?
                .query_row([id.blob()], |_| Ok(()))
                .optional()?;
            Ok(ended.is_some())
        })
        .await
    }

    async fn session_identity(&self, id: SessionId) -> Result<Option<Identity>> {
        self.read("session_identity", move |tx| {
            identity(tx, "sessions.id = ?", &id.blob())
        })
        .await
    }

    async fn revoke_sessions(&self, user: UserId, which: WhichSessions, entry: &AuditEntry) -> Result<u64> {
        let entry = entry.clone();
        self.write("revoke_sessions", move |tx| {
            let ended = match which {
                WhichSessions::One(id) => tx
                    .prepare_cached("DELETE FROM sessions WHERE id = ? AND user = ?")?
                    .execute(params![id.blob(), user.blob()])?,
                WhichSessions::AllBut(keep) => end_all(tx, user, keep)?,
            };
            if ended > 0 {
                audit::insert(tx, &entry)?;
            }
            Ok(u64::try_from(ended).unwrap_or(u64::MAX))
        })
        .await
    }

    async fn open_impersonation(
        &self,
        opened: &OpenedSession,
        event: &LoginEvent,
        entry: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()> {
        let (opened, event, entry) = (opened.clone(), event.clone(), entry.clone());
        let mails = mails.to_vec();
        self.write("open_impersonation", move |tx| {
            login::open_session(tx, &opened)?;
            history::insert(tx, &event)?;
            mail::queue(tx, &mails)?;
            audit::insert(tx, &entry)
        })
        .await
    }
}
