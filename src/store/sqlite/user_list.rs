//! Lists of users: their filters and orders as conditions and columns.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{UserFilter, UserOrder, UserOrderField};
use crate::domain::user::User;
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

/// What each filter asks for.
pub(super) fn conditions(filters: &[UserFilter]) -> Vec<keyset::Conditions> {
    filters.iter().map(of).collect()
}

fn of(filter: &UserFilter) -> keyset::Conditions {
    let mut all = keyset::Conditions::default();
    all.and_some("account = ?", filter.account.map(|a| a.blob().to_vec()));
    all.and_some("id = ?", filter.id.map(|u| u.blob().to_vec()));
    if let Some(search) = &filter.search {
        all.and_prefix(&SEARCHED, search);
    }
    all.and_some("login = ?", filter.login.clone());
    all.and_some("email_fold = ?", filter.email.clone());
    all.and_some("status = ?", filter.status.map(|s| s.name().to_owned()));
    all.and_some("is_master = ?", filter.is_master);
    all.and_some("is_ldap = ?", filter.is_ldap);
    if let Some((locked, now)) = filter.is_locked {
        let condition = if locked {
            "locked_until > ?"
        } else {
            "(locked_until IS NULL OR locked_until <= ?)"
        };
        all.and(condition, [Value::Integer(millis(now))]);
    }
    all.and_some("language = ?", filter.language.map(|l| l.name().to_owned()));
    all.and_some(
        "id IN (SELECT user FROM user_roles WHERE role = ?)",
        filter.role.map(|r| r.blob().to_vec()),
    );
    all.and_some(
        "id IN (SELECT user FROM user_groups WHERE group_id = ?)",
        filter.group.map(|g| g.blob().to_vec()),
    );
    all.and_some("created_at > ?", opt_millis(filter.created_after));
    all.and_some("last_login_at < ?", opt_millis(filter.last_login_before));
    match filter.never_signed_in {
        Some(true) => all.and("last_login_at IS NULL", []),
        Some(false) => all.and("last_login_at IS NOT NULL", []),
        None => {}
    }
    all
}

/// A page for each filter's conditions.
pub(super) fn pages(
    connection: &Connection,
    filters: &[keyset::Conditions],
    by: UserOrder,
    request: &PageRequest,
) -> Result<Vec<Page<User>>> {
    let read = |conditions| {
        keyset::page(
            connection,
            rows::USER,
            "users",
            conditions,
            order(by),
            request,
            rows::user,
        )
    };
    filters.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AccountId;
    use crate::domain::page::{Position, SortKey, Take};
    use crate::domain::query::Direction;
    use crate::store::sqlite::connection::in_memory;

    /// However deep the page, its index leads to its first row and gives the rest in order.
    #[test]
    fn every_order_is_answered_by_an_index() {
        let connection = in_memory();
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
                            ..UserFilter::default()
                        };
                        let by = order(UserOrder { field, direction });
                        let plans = keyset::tests::plans(&connection, rows::USER, "users", &of(&filter), by, &request);
                        for plan in plans {
                            let indexed = plan.starts_with("SEARCH users USING INDEX") && !plan.contains("TEMP B-TREE");
                            assert!(indexed, "{by:?} {take:?} {account:?}: {plan}");
                            assert!(account.is_none() || plan.contains("(account=?"), "{plan}");
                        }
                    }
                }
            }
        }
    }
}
