//! The login history.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::domain::ids::{AccountId, LoginEventId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{Direction, LoginEventFilter};
use crate::store::sqlite::names::{Name, Named};
use crate::store::sqlite::rows::{self, Id, all, by_ids, json, millis, opt_json, opt_millis};
use crate::store::sqlite::{SqliteStore, keyset, stats};
use crate::store::{HistoryStore, LoginCounts, Newest, Result};

/// How the login history and the audit log come.
pub(super) const NEWEST_FIRST: keyset::Order = keyset::Order {
    key: "at",
    nullable: false,
    direction: Direction::Desc,
};

/// Adds a sign-in; one whose identifier is there already adds its attempts to that.
pub(super) fn insert(connection: &Connection, event: &LoginEvent) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO login_events (id, account, user, at, attempted_login, outcome, method, ip, location, browser, \
             operating_system, device, user_agent, detail, attempts, impersonator) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET attempts = attempts + excluded.attempts",
        )?
        .execute(params![
            event.id.blob(),
            event.account.blob(),
            event.user.map(Id::blob),
            millis(event.at),
            event.attempted_login,
            Name(event.outcome),
            Name(event.method),
            event.origin.ip.to_string(),
            opt_json(event.origin.location.as_ref())?,
            event.origin.browser.as_deref(),
            event.origin.operating_system,
            event.origin.device,
            event.origin.user_agent,
            event.detail,
            event.attempts,
            opt_json(event.impersonator.as_ref())?,
        ])?;
    Ok(())
}

/// A user's newest sign-ins, newest first.
pub(super) fn newest_of(connection: &Connection, user: UserId, newest: Newest) -> Result<Vec<LoginEvent>> {
    let sql = format!(
        "SELECT {} FROM login_events WHERE user = ? AND at >= ? ORDER BY at DESC, id DESC LIMIT ?",
        if newest.details {
            rows::LOGIN_EVENT
        } else {
            rows::BRIEF_LOGIN_EVENT
        }
    );
    let limit = i64::try_from(newest.limit).unwrap_or(i64::MAX);
    let values = params![user.blob(), millis(newest.not_before), limit];
    all(connection, &sql, values, rows::login_event)
}

/// A condition on a list of names, bound as one JSON value so that the statement is the same for every list.
fn one_of<T: Named>(conditions: &mut keyset::Conditions, condition: &'static str, some: Option<&Vec<T>>) -> Result<()> {
    if let Some(some) = some {
        let names: Vec<_> = some.iter().map(|value| value.name()).collect();
        conditions.and(condition, [Value::Text(json(&names)?)]);
    }
    Ok(())
}

fn conditions(filters: &[LoginEventFilter]) -> Result<Vec<keyset::Conditions>> {
    let of = |filter: &LoginEventFilter| {
        let mut conditions = keyset::Conditions::default();
        // One user's sign-ins are fewer than an account's: the `+` keeps the planner off the latter's index.
        let of_account = if filter.user.is_some() {
            "+account = ?"
        } else {
            "account = ?"
        };
        conditions.and_some(of_account, filter.account.map(|a| a.blob().to_vec()));
        conditions.and_some("user = ?", filter.user.map(|u| u.blob().to_vec()));
        one_of(
            &mut conditions,
            "outcome IN (SELECT value FROM json_each(?))",
            filter.outcomes.as_ref(),
        )?;
        one_of(
            &mut conditions,
            "method IN (SELECT value FROM json_each(?))",
            filter.methods.as_ref(),
        )?;
        conditions.and_some("ip = ?", filter.ip.map(|ip| ip.to_string()));
        conditions.and_some("at >= ?", opt_millis(filter.since));
        conditions.and_some("at < ?", opt_millis(filter.until));
        Ok(conditions)
    };
    filters.iter().map(of).collect()
}

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn login_events_by_ids(&self, ids: &[LoginEventId]) -> Result<Vec<LoginEvent>> {
        let ids = ids.to_vec();
        self.read("login_events_by_ids", move |tx| {
            by_ids(tx, rows::LOGIN_EVENT, "login_events", &ids, rows::login_event)
        })
        .await
    }

    async fn login_events(&self, filters: &[LoginEventFilter], page: &PageRequest) -> Result<Vec<Page<LoginEvent>>> {
        let (filters, page) = (conditions(filters)?, page.clone());
        self.read("login_events", move |tx| {
            let read = |c| {
                keyset::page(
                    tx,
                    rows::LOGIN_EVENT,
                    "login_events",
                    c,
                    NEWEST_FIRST,
                    &page,
                    rows::login_event,
                )
            };
            filters.iter().map(read).collect()
        })
        .await
    }

    async fn count_login_events(&self, filters: &[LoginEventFilter]) -> Result<Vec<u64>> {
        let filters = conditions(filters)?;
        self.read("count_login_events", move |tx| {
            filters.iter().map(|c| c.count(tx, "login_events")).collect()
        })
        .await
    }

    async fn login_stats(&self, account: AccountId, edges: &[Timestamp]) -> Result<Vec<LoginCounts>> {
        let edges = edges.to_vec();
        self.read("login_stats", move |tx| stats::count(tx, account, &edges))
            .await
    }

    async fn recent_login_events(
        &self,
        users: &[UserId],
        limit: usize,
        not_before: Timestamp,
    ) -> Result<HashMap<UserId, Vec<LoginEvent>>> {
        let users = users.to_vec();
        let newest = Newest {
            limit,
            not_before,
            details: true,
            last_login: false,
        };
        self.read("recent_login_events", move |tx| {
            let mut recent = HashMap::with_capacity(users.len());
            for user in users {
                let events = newest_of(tx, user, newest)?;
                if !events.is_empty() {
                    recent.insert(user, events);
                }
            }
            Ok(recent)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AccountId;
    use crate::domain::login_event::LoginOutcome;
    use crate::domain::page::{Position, SortKey, Take};
    use crate::store::sqlite::connection::model;

    /// However long the history is, a page of it costs what the page holds.
    #[test]
    fn pages_of_an_account_of_a_user_and_of_all_follow_an_index() {
        let connection = model().unwrap();
        let (account, user) = (
            AccountId::from_uuid(uuid::Uuid::max()),
            UserId::from_uuid(uuid::Uuid::max()),
        );
        let none = LoginEventFilter::default;
        let of_account = LoginEventFilter {
            account: Some(account),
            ..none()
        };
        let of_user = LoginEventFilter {
            user: Some(user),
            ..none()
        };
        let filters = [
            (none(), "login_events_at ((at,id)"),
            (of_account.clone(), "login_events_account (account=? AND (at,id)"),
            (of_user.clone(), "login_events_user (user=? AND (at,id)"),
            // The narrower of two.
            (
                LoginEventFilter {
                    account: Some(account),
                    ..of_user
                },
                "login_events_user (user=? AND (at,id)",
            ),
            (
                LoginEventFilter {
                    outcomes: Some(LoginOutcome::ALL.to_vec()),
                    ..of_account
                },
                "login_events_account (account=? AND (at,id)",
            ),
        ];
        let place = Some(Position {
            key: SortKey::Time(Some(Timestamp::UNIX_EPOCH)),
            id: uuid::Uuid::nil(),
        });
        let onwards = PageRequest {
            after: place.clone(),
            ..PageRequest::first(20)
        };
        let backwards = PageRequest {
            before: place,
            take: Take::Last,
            ..PageRequest::first(20)
        };
        for (filter, index) in filters {
            for request in [&onwards, &backwards] {
                let conditions = conditions(std::slice::from_ref(&filter)).unwrap().remove(0);
                let columns = rows::LOGIN_EVENT;
                let plans =
                    keyset::tests::plans(&connection, columns, "login_events", &conditions, NEWEST_FIRST, request);
                let plan = &plans[0];
                let indexed = plan.starts_with(&format!("SEARCH login_events USING INDEX {index}"));
                assert!(
                    indexed && !plan.contains("TEMP B-TREE"),
                    "{filter:?} {request:?}: {plan}"
                );
            }
        }
    }
}
