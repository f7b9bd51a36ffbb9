//! The counters of wrong passwords.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::store::sqlite::login::duration_millis;
use crate::store::sqlite::rows::{Columns, Id, first, millis};
use crate::store::{FailureCount, FailureKey, Failures, LoginRecord, Reservation, Result, Tally, admission};

/// The column of a counter's network.
pub(super) fn network(key: &FailureKey) -> &[u8] {
    key.network.as_ref().map_or(&[], |network| network.as_slice())
}

fn tally(connection: &Connection, key: &FailureKey) -> Result<Option<Tally>> {
    let read = |row: &mut Columns<'_>| {
        Ok(Tally {
            count: row.get()?,
            last_at: row.time()?,
            pending: row.get()?,
            reserved_at: row.opt_time()?,
            locked_until: row.opt_time()?,
        })
    };
    first(
        connection,
        "SELECT count, last_at, pending, reserved_at, locked_until FROM failures \
         WHERE account = ? AND login = ? AND network = ?",
        params![key.account.blob(), key.login, network(key)],
        read,
    )
}

/// Takes a place in each counter, or in none. Writers come one at a time, so what is seen here holds until the commit.
pub(super) fn reserve(connection: &Connection, counters: &[FailureCount], at: Timestamp) -> Result<Reservation> {
    let tallies: Vec<(FailureCount, Option<Tally>)> = counters
        .iter()
        .map(|counter| Ok((*counter, tally(connection, &counter.key)?)))
        .collect::<Result<_>>()?;
    let admitted = admission(tallies, at);
    if admitted != Reservation::Held {
        return Ok(admitted);
    }
    let mut take = connection.prepare_cached(
        "INSERT INTO failures (account, login, network, count, last_at, pending, reserved_at, expires_at) \
         VALUES (?1, ?2, ?3, 0, ?4, 1, ?4, ?5) ON CONFLICT DO UPDATE SET \
         pending = CASE WHEN reserved_at + ?6 > ?4 THEN pending ELSE 0 END + 1, \
         reserved_at = max(coalesce(reserved_at, ?4), ?4), expires_at = max(expires_at, ?5)",
    )?;
    let at = millis(at);
    for FailureCount { key, window, .. } in counters {
        let window = duration_millis(*window);
        let until = at.saturating_add(window);
        take.execute(params![key.account.blob(), key.login, network(key), at, until, window])?;
    }
    Ok(Reservation::Held)
}

/// Counts one failure; says until when that locks.
fn count_failure(connection: &Connection, failure: &FailureCount, at: i64) -> Result<Option<i64>> {
    let (key, window) = (&failure.key, duration_millis(failure.window));
    let until = at.saturating_add(window);
    let count: u32 = connection
        .prepare_cached(
            "INSERT INTO failures (account, login, network, count, last_at, expires_at) VALUES (?1, ?2, ?3, 1, ?4, ?5) \
             ON CONFLICT DO UPDATE SET count = CASE WHEN last_at + ?6 <= ?4 THEN 1 ELSE count + 1 END, \
             last_at = max(last_at, ?4), expires_at = max(expires_at, ?5), pending = max(pending - 1, 0) \
             RETURNING count",
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

/// Gives places back, and forgets the failures too with `resets`. The places of other attempts stay theirs.
fn give_back(connection: &Connection, keys: &[FailureKey], resets: bool) -> Result<()> {
    for key in keys {
        connection
            .prepare_cached(
                "UPDATE failures SET pending = max(pending - 1, 0), count = iif(?4, 0, count), \
                 locked_until = iif(?4, NULL, locked_until) WHERE account = ?1 AND login = ?2 AND network = ?3",
            )?
            .execute(params![key.account.blob(), key.login, network(key), resets])?;
        connection
            .prepare_cached(
                "DELETE FROM failures WHERE account = ? AND login = ? AND network = ? AND count = 0 AND pending = 0",
            )?
            .execute(params![key.account.blob(), key.login, network(key)])?;
    }
    Ok(())
}

/// Until when any network's counter of these logins locks still.
fn locked_elsewhere(connection: &Connection, keys: &[FailureKey], at: i64) -> Result<Option<i64>> {
    let mut find = connection.prepare_cached(
        "SELECT max(locked_until) FROM failures WHERE account = ? AND login = ? AND locked_until > ?",
    )?;
    let mut latest = None;
    for key in keys {
        let until: Option<i64> = find.query_row(params![key.account.blob(), key.login, at], |row| row.get(0))?;
        latest = latest.max(until);
    }
    Ok(latest)
}

/// Moves the counters as an attempt came out; says until when it locks, and whether it is what locks the user.
pub(super) fn settle(connection: &Connection, record: &LoginRecord) -> Result<(Option<i64>, bool)> {
    let event = &record.event;
    let (mut locked_until, mut locks_user) = (None, false);
    match &record.failures {
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
                let was_locked = connection
                    .prepare_cached("SELECT 1 FROM users WHERE id = ? AND locked_until > ?")?
                    .exists(params![user.blob(), millis(event.at)])?;
                let updated = connection
                    .prepare_cached(
                        "UPDATE users SET locked_until = max(coalesce(locked_until, ?2), ?2) WHERE id = ?1",
                    )?
                    .execute(params![user.blob(), until])?;
                locks_user = updated > 0 && !was_locked;
            }
        }
        Failures::Reset(keys) => {
            give_back(connection, keys, true)?;
            // Hardly anybody who gets in was locked anywhere.
            let mut was_locked =
                connection.prepare_cached("SELECT 1 FROM users WHERE id = ? AND locked_until IS NOT NULL")?;
            if let Some(user) = event.user
                && was_locked.exists([user.blob()])?
            {
                locked_until = locked_elsewhere(connection, keys, millis(event.at))?;
                connection
                    .prepare_cached("UPDATE users SET locked_until = ? WHERE id = ?")?
                    .execute(params![locked_until, user.blob()])?;
            }
        }
    }
    give_back(connection, &record.released, false)?;
    Ok((locked_until, locks_user))
}
