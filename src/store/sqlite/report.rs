//! Who asked for which mails, which reports were filed, and what they tell.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::ids::{AccountId, UserId};
use crate::domain::mail::{AlertKind, ReportKind, Subscription};
use crate::domain::user::User;
use crate::store::sqlite::names::Name;
use crate::store::sqlite::rows::{self, Columns, Id, all, millis, select};
use crate::store::{ReportMark, Result};

/// Who asked for something and can be written to, of one account, by id: the account, the identifier to go on after, the
/// limit. Each term as the indexes have it, which is why each subscription has a condition of its own.
fn wanting(subscription: Subscription) -> &'static str {
    macro_rules! wanting {
        ($name:literal) => {
            concat!(
                "status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL ",
                "AND json_extract(notifications, '$.",
                $name,
                "') AND account = ? AND id > ? ORDER BY id LIMIT ?",
            )
        };
    }
    match subscription {
        Subscription::Alerts(AlertKind::LimitsExhausted) => wanting!("limits_exhausted"),
        Subscription::Alerts(AlertKind::SubscriberComplaints) => wanting!("subscriber_complaints"),
        Subscription::Alerts(AlertKind::HardBounces) => wanting!("hard_bounces"),
        Subscription::Alerts(AlertKind::SoftBounces) => wanting!("soft_bounces"),
        Subscription::Reports(ReportKind::Daily) => wanting!("daily_reports"),
        Subscription::Reports(ReportKind::Weekly) => wanting!("weekly_reports"),
        Subscription::Security => wanting!("security_notices"),
    }
}

/// Whose directory's password expires: the account, from when, until when, the identifier to go on after, the limit.
const EXPIRING: &str = "status = 'ACTIVE' AND coalesce(json_extract(notifications, '$.email'), email) IS NOT NULL \
     AND json_extract(notifications, '$.security_notices') AND is_ldap AND password_expires_at IS NOT NULL \
     AND account = ? AND password_expires_at >= ? AND password_expires_at < ? AND id > ? ORDER BY id LIMIT ?";

/// From where people signed in: the account, since when, until when. It leaps from one country to the next, however many
/// sign-ins each has.
const COUNTRIES: &str = "WITH RECURSIVE countries (code) AS (SELECT '' UNION ALL SELECT \
     (SELECT json_extract(location, '$.country_code') FROM login_events WHERE outcome = 'SUCCESS' \
     AND method <> 'IMPERSONATION' AND location IS NOT NULL AND account = ?1 \
     AND json_extract(location, '$.country_code') > code ORDER BY json_extract(location, '$.country_code') LIMIT 1) \
     FROM countries WHERE code IS NOT NULL) \
     SELECT code FROM countries WHERE code > '' AND EXISTS (SELECT 1 FROM login_events WHERE outcome = 'SUCCESS' \
     AND method <> 'IMPERSONATION' AND location IS NOT NULL AND account = ?1 \
     AND json_extract(location, '$.country_code') = code AND at >= ?2 AND at < ?3)";

const MARK: &str = "account, kind, first_day";

/// What identifiers to go on from are compared with; nothing comes before all of them.
fn place(after: Option<UserId>) -> Vec<u8> {
    after.map_or_else(Vec::new, |id| id.blob().to_vec())
}

fn stored(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn subscribers(
    connection: &Connection,
    account: AccountId,
    subscription: Subscription,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<User>> {
    let sql = select(rows::USER, "users", wanting(subscription));
    all(
        connection,
        &sql,
        params![account.blob(), place(after), stored(limit)],
        rows::user,
    )
}

pub(super) fn expiring(
    connection: &Connection,
    account: AccountId,
    (from, until): (Timestamp, Timestamp),
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<User>> {
    let values = params![account.blob(), millis(from), millis(until), place(after), stored(limit)];
    all(connection, &expiring_sql(), values, rows::user)
}

/// Those are few and sorted in no time; by the index that delivers them in order, all who asked for notices are looked at.
fn expiring_sql() -> String {
    select(rows::USER, "users INDEXED BY users_expiring", EXPIRING)
}

fn mark(row: &mut Columns<'_>) -> Result<ReportMark> {
    Ok(ReportMark {
        account: row.id()?,
        kind: row.name()?,
        first_day: row.date()?,
    })
}

pub(super) fn last(connection: &Connection, accounts: &[AccountId]) -> Result<Vec<ReportMark>> {
    let mut marks = Vec::new();
    for account in accounts {
        let sql = select(MARK, "report_marks", "account = ?");
        marks.extend(all(connection, &sql, [account.blob()], mark)?);
    }
    Ok(marks)
}

/// The next marks in the order of their accounts, of those behind `after`.
pub(super) fn behind(connection: &Connection, after: Option<AccountId>, limit: i64) -> Result<Vec<ReportMark>> {
    let after = after.map_or_else(Vec::new, |id| id.blob().to_vec());
    let sql = select(MARK, "report_marks", "account > ? ORDER BY account LIMIT ?");
    all(connection, &sql, params![after, limit], mark)
}

/// Marks a report as filed, unless it or a later one was.
pub(super) fn file(connection: &Connection, mark: &ReportMark) -> Result<bool> {
    let filed = connection
        .prepare_cached(
            "INSERT INTO report_marks (account, kind, first_day) VALUES (?, ?, ?) ON CONFLICT DO UPDATE \
             SET first_day = excluded.first_day WHERE first_day < excluded.first_day RETURNING 1",
        )?
        .query_row(
            params![mark.account.blob(), Name(mark.kind), mark.first_day.to_string()],
            |_| Ok(()),
        )
        .optional()?;
    Ok(filed.is_some())
}

pub(super) fn countries(
    connection: &Connection,
    account: AccountId,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<String>> {
    let values = params![account.blob(), millis(since), millis(until)];
    all(connection, COUNTRIES, values, |row| row.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::user::Email;
    use crate::store::contract::sample::{Maker, password};
    use crate::store::sqlite::connection::{MIGRATIONS, model};
    use crate::store::sqlite::user;

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = vec![rusqlite::types::Value::Null; statement.parameter_count()];
        let steps = statement
            .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3))
            .unwrap();
        steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
    }

    #[test]
    fn every_read_is_answered_by_an_index() {
        let connection = model().unwrap();
        for subscription in Subscription::ALL {
            let sql = select(rows::USER, "users", wanting(subscription));
            let index = format!("users_want_{}", subscription.name());
            assert_eq!(
                plan(&connection, &sql),
                format!("SEARCH users USING INDEX {index} (account=? AND id>?)")
            );
        }
        let expiring = plan(&connection, &expiring_sql());
        let expected =
            "SEARCH users USING INDEX users_expiring (account=? AND password_expires_at>? AND password_expires_at<?)";
        assert!(expiring.starts_with(expected), "{expiring}");
        let countries = plan(&connection, COUNTRIES);
        for leap in ["(account=? AND <expr>>?)", "(account=? AND <expr>=? AND at>? AND at<?)"] {
            let by_index = format!("USING INDEX login_events_country {leap}");
            assert!(countries.contains(&by_index), "{countries}");
        }
        assert!(
            !countries.contains("B-TREE") && !countries.contains("SCAN login_events"),
            "{countries}"
        );
    }

    #[test]
    fn users_of_earlier_versions_are_found_by_what_they_asked_for() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&MIGRATIONS[..6].concat()).unwrap();
        let mut make = Maker::default();
        let acme = make.account("acme");
        connection
            .execute(
                "INSERT INTO accounts VALUES (?, 'acme', '', '', 'ACTIVE', 'UTC', 'EN', NULL, FALSE, '{}', 0, 0, 1)",
                [acme.id.blob()],
            )
            .unwrap();
        let ann = User {
            email: Some(Email::parse("ann@example.org").unwrap()),
            ..make.user(acme.id, "ann")
        };
        user::insert(&connection, &ann, Some(&password("first"))).unwrap();
        connection.execute_batch(&MIGRATIONS[6..].concat()).unwrap();
        let found = subscribers(&connection, acme.id, Subscription::Security, None, 10).unwrap();
        assert_eq!(found, [ann]);
    }
}
