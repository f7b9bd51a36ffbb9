//! Lists of users: their filters and orders as conditions and columns.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{UserFilter, UserOrder, UserOrderField};
use crate::domain::user::{User, UserStatus};
use crate::store::Result;
use crate::store::sqlite::keyset;
use crate::store::sqlite::names::Named;
use crate::store::sqlite::rows::{self, Id, millis, opt_millis};

/// The columns that a search looks into.
const SEARCHED: [&str; 4] = ["login", "first_name_fold", "last_name_fold", "email_fold"];

/// The column behind an order.
pub(super) fn order(order: UserOrder) -> keyset::Order {
    let (key, nullable) = match order.field {
        UserOrderField::Login => ("login", false),
        UserOrderField::LastName => ("last_name_fold", false),
        UserOrderField::Email => ("email_fold", true),
        UserOrderField::CreatedAt => ("created_at", false),
        UserOrderField::LastLogin => ("last_login_at", true),
    };
    keyset::Order {
        key,
        nullable,
        direction: order.direction,
    }
}

/// What each filter asks for, of pages in an order, or to count.
pub(super) fn conditions(filters: &[UserFilter], by: Option<UserOrder>) -> Vec<keyset::Conditions> {
    filters.iter().map(|filter| of(filter, by)).collect()
}

fn of(filter: &UserFilter, by: Option<UserOrder>) -> keyset::Conditions {
    // The planner would rather sort all that such a column's index finds than follow the order: the `+` keeps the index for
    // the finder. In the order's own index the column leads to where the page begins.
    let key = by.map(|by| order(by).key);
    let looked_at = |column: &str| match key {
        Some(key) if key != column => format!("+{column}"),
        _ => column.to_owned(),
    };
    let mut all = keyset::Conditions::default();
    all.and_some("account = ?", filter.account.map(|a| a.blob().to_vec()));
    all.and_some("id = ?", filter.id.map(|u| u.blob().to_vec()));
    if let Some(search) = &filter.search {
        let columns = SEARCHED.map(looked_at);
        all.and_prefix(&columns.each_ref().map(String::as_str), search);
    }
    all.and_some("login = ?", filter.login.clone());
    all.and_some("email_fold = ?", filter.email.clone());
    if let Some(status) = filter.status {
        all.and(
            &format!("{} = ?", looked_at("status")),
            [Value::Text(status.name().to_owned())],
        );
    }
    if let Some(is_master) = filter.is_master {
        all.and(&format!("{} = ?", looked_at("is_master")), [is_master.into()]);
    }
    all.and_some("is_ldap = ?", filter.is_ldap);
    if let Some((locked, now)) = filter.is_locked {
        let until = looked_at("locked_until");
        let condition = if locked {
            format!("{until} > ?")
        } else {
            format!("({until} IS NULL OR {until} <= ?)")
        };
        all.and(&condition, [Value::Integer(millis(now))]);
    }
    all.and_some("language = ?", filter.language.map(|l| l.name().to_owned()));
    for (holders, held) in [
        ("SELECT user FROM user_roles WHERE role = ?", filter.role.map(Id::blob)),
        (
            "SELECT user FROM user_groups WHERE group_id = ?",
            filter.group.map(Id::blob),
        ),
    ] {
        if let Some(held) = held {
            all.and(
                &format!("{} IN ({holders})", looked_at("id")),
                [Value::Blob(held.to_vec())],
            );
        }
    }
    if let Some(after) = opt_millis(filter.created_after) {
        all.and(&format!("{} > ?", looked_at("created_at")), [Value::Integer(after)]);
    }
    if let Some(before) = opt_millis(filter.last_login_before) {
        all.and(&format!("{} < ?", looked_at("last_login_at")), [Value::Integer(before)]);
    }
    if let Some(never) = filter.never_signed_in {
        let is = if never { "IS NULL" } else { "IS NOT NULL" };
        all.and(&format!("{} {is}", looked_at("last_login_at")), []);
    }
    find(filter, &mut all);
    all
}

/// By which indexes those may be found whom a filter lets pass. Language and LDAP have none, as they part people into large
/// halves, nor has what hardly anybody fails: whoever is active, no master, not locked. An identifier, a login and an
/// address find their row as they are.
fn find(filter: &UserFilter, all: &mut keyset::Conditions) {
    let account = filter.account.map(|a| Value::Blob(a.blob().to_vec()));
    let users = |condition: &str, values: Vec<Value>| {
        let own = if account.is_some() { "account = ? AND " } else { "" };
        let sql = format!("SELECT rowid AS found FROM users WHERE {own}{condition}");
        (sql, account.iter().cloned().chain(values).collect::<Vec<_>>())
    };
    if let Some(search) = &filter.search {
        let (mut any, mut of_all) = (Vec::new(), Vec::new());
        for column in SEARCHED {
            let (sql, values) = users(&keyset::begins(column, search), keyset::beginning(search).collect());
            any.push(sql);
            of_all.extend(values);
        }
        all.found_by(any, of_all);
    }
    let mut found_by = |(sql, values)| all.found_by(vec![sql], values);
    if let Some(role) = filter.role {
        let sql = "SELECT users.rowid AS found FROM user_roles CROSS JOIN users ON users.id = user WHERE role = ?";
        found_by((sql.to_owned(), vec![Value::Blob(role.blob().to_vec())]));
    }
    if let Some(group) = filter.group {
        let sql = "SELECT users.rowid AS found FROM user_groups CROSS JOIN users ON users.id = user WHERE group_id = ?";
        found_by((sql.to_owned(), vec![Value::Blob(group.blob().to_vec())]));
    }
    if filter.is_master == Some(true) {
        found_by(users("is_master", Vec::new()));
    }
    if let Some((true, now)) = filter.is_locked {
        found_by(users("locked_until > ?", vec![Value::Integer(millis(now))]));
    }
    if filter.status == Some(UserStatus::Disabled) {
        found_by(users("status = 'DISABLED'", Vec::new()));
    }
    if let Some(after) = opt_millis(filter.created_after) {
        found_by(users("created_at > ?", vec![Value::Integer(after)]));
    }
    if let Some(before) = opt_millis(filter.last_login_before) {
        found_by(users("last_login_at < ?", vec![Value::Integer(before)]));
    }
    if filter.never_signed_in == Some(true) {
        found_by(users("last_login_at IS NULL", Vec::new()));
    }
}

/// A page for each filter's conditions.
pub(super) fn pages(
    connection: &Connection,
    columns: &'static str,
    filters: &[keyset::Conditions],
    by: UserOrder,
    request: &PageRequest,
) -> Result<Vec<Page<User>>> {
    let read = |conditions| keyset::page(connection, columns, "users", conditions, order(by), request, rows::user);
    filters.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AccountId, GroupId, RoleId};
    use crate::domain::page::{Position, SortKey, Take};
    use crate::domain::query::Direction;
    use crate::store::sqlite::connection::model;

    /// Each filter that an index answers, alone.
    fn filters_that_few_pass() -> Vec<UserFilter> {
        let moment = jiff::Timestamp::UNIX_EPOCH;
        let any = UserFilter::default;
        vec![
            UserFilter {
                search: Some("ann".to_owned()),
                ..any()
            },
            UserFilter {
                role: Some(RoleId::from_uuid(uuid::Uuid::max())),
                ..any()
            },
            UserFilter {
                group: Some(GroupId::from_uuid(uuid::Uuid::max())),
                ..any()
            },
            UserFilter {
                is_master: Some(true),
                ..any()
            },
            UserFilter {
                is_locked: Some((true, moment)),
                ..any()
            },
            UserFilter {
                status: Some(UserStatus::Disabled),
                ..any()
            },
            UserFilter {
                created_after: Some(moment),
                ..any()
            },
            UserFilter {
                last_login_before: Some(moment),
                ..any()
            },
            UserFilter {
                never_signed_in: Some(true),
                ..any()
            },
        ]
    }

    /// However deep the page, its index leads to its first row and gives the rest in order.
    #[test]
    fn every_order_is_answered_by_an_index() {
        for filter in filters_that_few_pass().into_iter().chain([UserFilter::default()]) {
            every_order_of(&filter);
        }
    }

    fn every_order_of(filter: &UserFilter) {
        let connection = model().unwrap();
        let account = AccountId::from_uuid(uuid::Uuid::max());
        for account in [None, Some(account)] {
            for field in [
                UserOrderField::Login,
                UserOrderField::LastName,
                UserOrderField::Email,
                UserOrderField::CreatedAt,
                UserOrderField::LastLogin,
            ] {
                for direction in [Direction::Asc, Direction::Desc] {
                    for take in [Take::First, Take::Last] {
                        let key = match field {
                            UserOrderField::CreatedAt | UserOrderField::LastLogin => {
                                SortKey::Time(Some(jiff::Timestamp::UNIX_EPOCH))
                            }
                            _ => SortKey::Text(Some("m".to_owned())),
                        };
                        let place = Some(Position {
                            key,
                            id: uuid::Uuid::nil(),
                        });
                        let request = match take {
                            Take::First => PageRequest {
                                after: place,
                                ..PageRequest::first(20)
                            },
                            Take::Last => PageRequest {
                                before: place,
                                take,
                                ..PageRequest::first(20)
                            },
                        };
                        let filter = UserFilter {
                            account,
                            ..filter.clone()
                        };
                        let by = UserOrder { field, direction };
                        let plans = keyset::tests::plans(
                            &connection,
                            rows::USER,
                            "users",
                            &of(&filter, Some(by)),
                            order(by),
                            &request,
                        );
                        for plan in plans {
                            let indexed = plan.starts_with("SEARCH users USING INDEX") && !plan.contains("TEMP B-TREE");
                            assert!(indexed, "{by:?} {take:?} {filter:?}: {plan}");
                            assert!(account.is_none() || plan.contains("(account=?"), "{plan}");
                        }
                    }
                }
            }
        }
    }

    /// Whoever can pass one of these filters is found by an index, in one account and in all.
    #[test]
    fn every_filter_that_few_pass_has_an_index() {
        let connection = model().unwrap();
        let account = AccountId::from_uuid(uuid::Uuid::max());
        for filter in filters_that_few_pass() {
            for account in [None, Some(account)] {
                let filter = UserFilter {
                    account,
                    ..filter.clone()
                };
                let plans = keyset::tests::finders(&connection, &of(&filter, None));
                assert_eq!(plans.len(), 1, "{filter:?}");
                for step in &plans[0] {
                    // All of a partial index, where no account is asked for.
                    let is_whole =
                        step.starts_with("SCAN users USING") && step.contains("INDEX users_") && account.is_none();
                    let is_found =
                        step.starts_with("SEARCH ") && (step.contains("INDEX") || step.contains("PRIMARY KEY"));
                    let reads = step.starts_with("SCAN") || step.starts_with("SEARCH");
                    assert!(is_found || is_whole || !reads, "{filter:?}: {step}");
                }
            }
        }
    }
}
