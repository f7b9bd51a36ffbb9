//! What a sign-in reads and writes.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::account::AccountName;
use crate::domain::login::Login;
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::store::sqlite::rows::{Id, json, millis, timestamp};
use crate::store::sqlite::{SqliteStore, account, history, session, user};
use crate::store::{
    Candidate, FailureCount, FailureKey, Failures, Flood, LimitKey, LoginRecord, LoginStore, OpenedSession,
    RecordedLogin, Result, UserCandidate,
};

/// How long a counter of attempts outlives its window, for processes whose clocks are behind.
const GRACE: Duration = Duration::from_secs(120);

fn duration_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The column of a counter's network.
fn network(key: &FailureKey) -> &[u8] {
    key.network.as_ref().map_or(&[], |network| network.as_slice())
}

/// Checks that the user is still the one whose password was right, and opens its session.
pub(super) fn open_session(connection: &Connection, opened: &OpenedSession) -> Result<()> {
    let user = opened.session.user;
    account::expect_revision(
        connection,
        "SELECT revision FROM users WHERE id = ?",
        user,
        opened.user_revision,
    )?;
    session::insert(connection, opened)?;
    if let Some(hash) = &opened.rehashed {
        connection
            .prepare_cached("UPDATE users SET password_hash = ? WHERE id = ?")?
            .execute(params![hash.expose(), user.blob()])?;
    }
    Ok(())
}

/// Makes a success the user's last sign-in, unless a later one was recorded first.
fn remember_last(connection: &Connection, event: &LoginEvent) -> Result<()> {
    if let (Some(user), LoginOutcome::Success) = (event.user, event.outcome) {
        connection
            .prepare_cached(
                "UPDATE users SET last_login = ?2, last_login_at = ?3 WHERE id = ?1 AND (last_login_at IS NULL \
                 OR (last_login_at, json_extract(last_login, '$.id')) < (?3, json_extract(?2, '$.id')))",
            )?
            .execute(params![user.blob(), json(event)?, millis(event.at)])?;
    }
    Ok(())
}

/// Counts one failure; says until when that locks.
fn count_failure(connection: &Connection, failure: &FailureCount, at: i64) -> Result<Option<i64>> {
    let (key, window) = (&failure.key, duration_millis(failure.window));
    let until = at.saturating_add(window);
    let count: u32 = connection
        .prepare_cached(
            "INSERT INTO failures (account, login, network, count, last_at, expires_at) VALUES (?1, ?2, ?3, 1, ?4, ?5) \
             ON CONFLICT DO UPDATE SET count = CASE WHEN last_at + ?6 <= ?4 THEN 1 ELSE count + 1 END, \
             last_at = max(last_at, ?4), expires_at = max(expires_at, ?5) RETURNING count",
        )?
        .query_row(
            params![key.account.blob(), key.login, network(key), at, until, window],
            |row| row.get(0),
        )?;
    if failure.threshold == 0 || count < failure.threshold {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "UPDATE failures SET locked_until = max(coalesce(locked_until, ?4), ?4) \
             WHERE account = ?1 AND login = ?2 AND network = ?3",
        )?
        .execute(params![key.account.blob(), key.login, network(key), until])?;
    Ok(Some(until))
}

/// Moves the counters; says until when this attempt locks.
fn move_counters(connection: &Connection, event: &LoginEvent, failures: &Failures) -> Result<Option<i64>> {
    let mut locked_until = None;
    match failures {
        Failures::Unchanged => {}
        Failures::Count(counts) => {
            let mut user_until = None;
            for failure in counts {
                let until = count_failure(connection, failure, millis(event.at))?;
                locked_until = locked_until.max(until);
                if failure.locks_user {
                    user_until = user_until.max(until);
                }
            }
            if let (Some(user), Some(until)) = (event.user, user_until) {
                connection
                    .prepare_cached(
                        "UPDATE users SET locked_until = max(coalesce(locked_until, ?2), ?2) WHERE id = ?1",
                    )?
                    .execute(params![user.blob(), until])?;
            }
        }
        Failures::Reset(keys) => {
            for key in keys {
                connection
                    .prepare_cached("DELETE FROM failures WHERE account = ? AND login = ? AND network = ?")?
                    .execute(params![key.account.blob(), key.login, network(key)])?;
            }
            if let Some(user) = event.user {
                connection
                    .prepare_cached("UPDATE users SET locked_until = NULL WHERE id = ? AND locked_until IS NOT NULL")?
                    .execute([user.blob()])?;
            }
        }
    }
    Ok(locked_until)
}

#[async_trait]
impl LoginStore for SqliteStore {
    async fn candidate(&self, account: &AccountName, login: Option<&Login>) -> Result<Option<Candidate>> {
        let (name, login) = (account.clone(), login.cloned());
        self.read("candidate", move |tx| {
            let Some(account) = account::find(tx, "name = ?", &name.as_str())? else {
                return Ok(None);
            };
            let user = match login {
                Some(login) => user::find(tx, account.id, &login)?,
                None => None,
            };
            let user = match user {
                Some(user) => user::credentials(tx, user.id)?.map(|credentials| UserCandidate { user, credentials }),
                None => None,
            };
            Ok(Some(Candidate { account, user }))
        })
        .await
    }

    async fn count_attempts(&self, keys: &[LimitKey], window_start: Timestamp, window: Duration) -> Result<Vec<u32>> {
        let keys = keys.to_vec();
        let start = millis(window_start);
        let expires_at = start
            .saturating_add(duration_millis(window))
            .saturating_add(duration_millis(GRACE));
        self.write("count_attempts", move |tx| {
            // What is over goes a little faster than new counters come, so that nothing else has to see to it.
            tx.prepare_cached(
                "DELETE FROM attempts WHERE (key, window_start) IN \
                 (SELECT key, window_start FROM attempts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
            )?
            .execute(params![start, i64::try_from(keys.len()).unwrap_or(0) + 1])?;
            let mut count = tx.prepare_cached(
                "INSERT INTO attempts (key, window_start, count, expires_at) VALUES (?, ?, 1, ?) \
                 ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
            )?;
            let mut count = |key: &LimitKey| Ok(count.query_row(params![key.0, start, expires_at], |row| row.get(0))?);
            keys.iter().map(&mut count).collect()
        })
        .await
    }

    async fn locks(&self, keys: &[FailureKey], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        let keys = keys.to_vec();
        self.read("locks", move |tx| {
            let mut find = tx.prepare_cached(
                "SELECT locked_until FROM failures WHERE account = ? AND login = ? AND network = ? AND locked_until > ?",
            )?;
            let mut find = |key: &FailureKey| {
                let values = params![key.account.blob(), key.login, network(key), millis(now)];
                let until: Option<i64> = find.query_row(values, |row| row.get(0)).optional()?;
                until.map(timestamp).transpose()
            };
            keys.iter().map(&mut find).collect()
        })
        .await
    }

    async fn record_login(&self, record: &LoginRecord) -> Result<RecordedLogin> {
        let record = record.clone();
        self.write("record_login", move |tx| {
            if let Some(opened) = &record.opened {
                open_session(tx, opened)?;
            }
            history::insert(tx, &record.event)?;
            remember_last(tx, &record.event)?;
            let locked_until = move_counters(tx, &record.event, &record.failures)?;
            Ok(RecordedLogin {
                locked_until: locked_until.map(timestamp).transpose()?,
            })
        })
        .await
    }

    async fn record_flood(&self, flood: &Flood) -> Result<()> {
        let event = flood.event.clone();
        self.write("record_flood", move |tx| history::insert(tx, &event)).await
    }
}
