//! What a sign-in reads and writes.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::account::AccountName;
use crate::domain::login::Login;
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::store::sqlite::rows::{Id, json, millis, timestamp};
use crate::store::sqlite::{SqliteStore, account, failures, history, mail, session, user};
use crate::store::{
    Candidate, FailureCount, FailureKey, Flood, LimitKey, LoginRecord, LoginStore, OpenedSession, RecordedLogin,
    Reservation, Result, UserCandidate,
};

/// How long a counter of attempts outlives its window, for processes whose clocks are behind.
const GRACE: Duration = Duration::from_secs(120);

pub(super) fn duration_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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
pub(super) fn remember_last(connection: &Connection, event: &LoginEvent) -> Result<()> {
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
        self.write_quietly("count_attempts", move |tx| {
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
                let values = params![key.account.blob(), key.login, failures::network(key), millis(now)];
                let until: Option<i64> = find.query_row(values, |row| row.get(0)).optional()?;
                until.map(timestamp).transpose()
            };
            keys.iter().map(&mut find).collect()
        })
        .await
    }

    async fn reserve(&self, counters: &[FailureCount], at: Timestamp) -> Result<Reservation> {
        let counters = counters.to_vec();
        self.write_quietly("reserve", move |tx| failures::reserve(tx, &counters, at))
            .await
    }

    async fn record_login(&self, record: &LoginRecord) -> Result<RecordedLogin> {
        let record = record.clone();
        self.write_quietly("record_login", move |tx| {
            if let Some(opened) = &record.opened {
                open_session(tx, opened)?;
            }
            history::insert(tx, &record.event)?;
            remember_last(tx, &record.event)?;
            let (locked_until, locks_user) = failures::settle(tx, &record)?;
            mail::queue(tx, &record.mails)?;
            if let Some(mail) = record.on_lock.filter(|_| locks_user) {
                mail::queue(tx, &[mail])?;
            }
            Ok(RecordedLogin {
                locked_until: locked_until.map(timestamp).transpose()?,
            })
        })
        .await
    }

    async fn record_flood(&self, flood: &Flood) -> Result<()> {
        let event = flood.event.clone();
        self.write_quietly("record_flood", move |tx| history::insert(tx, &event))
            .await
    }
}
