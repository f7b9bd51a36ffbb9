//! Filters and orders. A filter that can find nothing (an identifier of another kind, an address that is none) reads as
//! `None`: its list is empty, as for any other object that does not exist.

use async_graphql::{ID, InputObject};
use jiff::Timestamp;

use crate::domain;
use crate::domain::audit::TargetType;
use crate::domain::query;
use crate::domain::text::fold;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::node_id::{self, NodeId};
use crate::graphql::paging::OrderTag;
use crate::graphql::scalars::DateTime;
use crate::graphql::types::{
    AccountOrderField, AccountStatus, Language, LoginMethod, LoginOutcome, MailState, OrderDirection, UserOrderField,
    UserStatus,
};

/// The longest text that a filter takes, in characters: no field holds more.
const MAX_TEXT: usize = 254;

/// Folds a filter's text; empty text filters nothing.
///
/// # Errors
/// BAD_REQUEST when it is longer than any field.
fn text(name: &str, given: Option<&String>) -> ApiResult<Option<String>> {
    let Some(given) = given else { return Ok(None) };
    if given.chars().count() > MAX_TEXT {
        return Err(ApiError::bad_request(format!(
            "filter.{name} is over {MAX_TEXT} characters"
        )));
    }
    Ok(Some(fold(given)).filter(|t| !t.is_empty()))
}

/// Each of them once, however long the list is.
fn distinct<T: Copy + Into<U>, U: PartialEq>(given: &[T]) -> Vec<U> {
    let mut kept = Vec::new();
    for item in given.iter().map(|&item| item.into()) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// `Ok(None)`: not given; `Err(())`: no such identifier.
fn id<T: NodeId>(given: Option<&ID>) -> Result<Option<T>, ()> {
    given.map(|id| node_id::decode(id).ok_or(())).transpose()
}

/// Unwraps what was not given or is right; returns "finds nothing" for what cannot exist.
macro_rules! known {
    ($id:expr) => {
        match $id {
            Ok(id) => id,
            Err(()) => return Ok(None),
        }
    };
}

/// Which accounts; every field given must hold.
#[derive(Debug, Default, InputObject)]
pub struct AccountFilter {
    /// The beginning of the name or the title.
    search: Option<String>,
    /// Only these.
    status: Option<AccountStatus>,
}

impl AccountFilter {
    /// The domain's filter.
    ///
    /// # Errors
    /// BAD_REQUEST for over-long text.
    pub fn read(&self) -> ApiResult<query::AccountFilter> {
        Ok(query::AccountFilter {
            search: text("search", self.search.as_ref())?,
            status: self.status.map(Into::into),
            directory: None,
        })
    }
}

/// Which users; every field given must hold, text is matched case-insensitively.
#[derive(Debug, Default, InputObject)]
pub struct UserFilter {
    /// Of this account.
    account: Option<ID>,
    /// The beginning of the login, a name or the address.
    search: Option<String>,
    /// Exactly this login, without the account.
    login: Option<String>,
    /// Exactly this address.
    email: Option<String>,
    /// Only these.
    status: Option<UserStatus>,
    /// Masters or not.
    is_master: Option<bool>,
    /// LDAP users or not.
    is_ldap: Option<bool>,
    /// Locked now or not.
    is_locked: Option<bool>,
    /// Of this language.
    language: Option<Language>,
    /// With this role.
    role: Option<ID>,
    /// In this group.
    group: Option<ID>,
    /// Made later than this.
    created_after: Option<DateTime>,
    /// Last signed in before this.
    last_login_before: Option<DateTime>,
    /// Never signed in, or did.
    never_signed_in: Option<bool>,
}

impl UserFilter {
    /// The domain's filter at the moment `now`.
    ///
    /// # Errors
    /// BAD_REQUEST for over-long text.
    pub fn read(&self, now: Timestamp) -> ApiResult<Option<query::UserFilter>> {
        Ok(Some(query::UserFilter {
            account: known!(id(self.account.as_ref())),
            id: None,
            search: text("search", self.search.as_ref())?,
            login: text("login", self.login.as_ref())?,
            email: text("email", self.email.as_ref())?,
            status: self.status.map(Into::into),
            is_master: self.is_master,
            is_ldap: self.is_ldap,
            is_locked: self.is_locked.map(|locked| (locked, now)),
            language: self.language.map(Into::into),
            role: known!(id(self.role.as_ref())),
            group: known!(id(self.group.as_ref())),
            created_after: self.created_after.map(|at| at.0),
            last_login_before: self.last_login_before.map(|at| at.0),
            never_signed_in: self.never_signed_in,
        }))
    }
}

/// Which roles or groups; they come by name.
#[derive(Debug, Default, InputObject)]
pub struct NamedFilter {
    /// Of this account.
    account: Option<ID>,
    /// The beginning of the name.
    search: Option<String>,
}

impl NamedFilter {
    /// The domain's filter.
    ///
    /// # Errors
    /// BAD_REQUEST for over-long text.
    pub fn read(&self) -> ApiResult<Option<query::NamedFilter>> {
        let account = known!(id(self.account.as_ref()));
        Ok(Some(query::NamedFilter {
            account,
            search: text("search", self.search.as_ref())?,
        }))
    }
}

/// Which sign-ins; they come newest first.
#[derive(Debug, Default, InputObject)]
pub struct LoginEventFilter {
    /// Of this account.
    account: Option<ID>,
    /// Of this user.
    user: Option<ID>,
    /// One of these outcomes.
    outcomes: Option<Vec<LoginOutcome>>,
    /// One of these methods.
    methods: Option<Vec<LoginMethod>>,
    /// From exactly this address.
    ip: Option<String>,
    /// At this moment or later.
    since: Option<DateTime>,
    /// Before this moment.
    until: Option<DateTime>,
}

impl LoginEventFilter {
    /// The domain's filter.
    ///
    /// # Errors
    /// None today; as the others.
    pub fn read(&self) -> ApiResult<Option<query::LoginEventFilter>> {
        let ip = match self.ip.as_deref().map(|ip| ip.trim().parse::<std::net::IpAddr>()) {
            None => None,
            Some(Ok(ip)) => Some(ip.to_canonical()),
            Some(Err(_)) => return Ok(None),
        };
        Ok(Some(query::LoginEventFilter {
            account: known!(id(self.account.as_ref())),
            user: known!(id(self.user.as_ref())),
            outcomes: self.outcomes.as_deref().map(distinct),
            methods: self.methods.as_deref().map(distinct),
            ip,
            since: self.since.map(|at| at.0),
            until: self.until.map(|at| at.0),
        }))
    }
}

/// Which audit entries; they come newest first.
#[derive(Debug, Default, InputObject)]
pub struct AuditFilter {
    /// Of this account.
    account: Option<ID>,
    /// By this user.
    actor: Option<ID>,
    /// Exactly this action.
    action: Option<String>,
    /// Only on this kind of object.
    target_type: Option<String>,
    /// Only on this object.
    target_id: Option<ID>,
    /// At this moment or later.
    since: Option<DateTime>,
    /// Before this moment.
    until: Option<DateTime>,
}

impl AuditFilter {
    /// The domain's filter.
    ///
    /// # Errors
    /// None today; as the others.
    pub fn read(&self) -> ApiResult<Option<query::AuditFilter>> {
        let target_type = match self.target_type.as_deref() {
            None => None,
            Some("Account") => Some(TargetType::Account),
            Some("User") => Some(TargetType::User),
            Some("Role") => Some(TargetType::Role),
            Some("Group") => Some(TargetType::Group),
            Some("ApiToken") => Some(TargetType::ApiToken),
            Some("Mail") => Some(TargetType::Mail),
            Some(_) => return Ok(None),
        };
        Ok(Some(query::AuditFilter {
            account: known!(id(self.account.as_ref())),
            actor: known!(id(self.actor.as_ref())),
            action: self.action.as_ref().map(|a| a.chars().take(MAX_TEXT).collect()),
            target_type,
            target_id: known!(
                self.target_id
                    .as_ref()
                    .map(|id| node_id::decode_any(id).ok_or(()))
                    .transpose()
            )
            .map(|(_, uuid)| uuid),
            since: self.since.map(|at| at.0),
            until: self.until.map(|at| at.0),
        }))
    }
}

/// Which mails; they come newest first.
#[derive(Debug, Clone, Default, InputObject)]
pub struct MailFilter {
    /// In this state.
    state: Option<MailState>,
    /// To exactly this address.
    to: Option<String>,
}

impl MailFilter {
    /// The domain's filter.
    ///
    /// # Errors
    /// BAD_REQUEST when the address is longer than any.
    pub fn read(&self) -> ApiResult<domain::mail::MailFilter> {
        Ok(domain::mail::MailFilter {
            state: self.state.map(Into::into),
            to: text("to", self.to.as_ref())?,
        })
    }
}

/// An order of users.
#[derive(Debug, Clone, Copy, InputObject)]
pub struct UserOrder {
    /// By what.
    #[graphql(default_with = "UserOrderField::Login")]
    field: UserOrderField,
    /// Up or down.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

impl From<UserOrder> for query::UserOrder {
    fn from(order: UserOrder) -> Self {
        Self {
            field: order.field.into(),
            direction: order.direction.into(),
        }
    }
}

/// An order of accounts.
#[derive(Debug, Clone, Copy, InputObject)]
pub struct AccountOrder {
    /// By what.
    #[graphql(default_with = "AccountOrderField::Name")]
    field: AccountOrderField,
    /// Up or down.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

impl From<AccountOrder> for query::AccountOrder {
    fn from(order: AccountOrder) -> Self {
        Self {
            field: order.field.into(),
            direction: order.direction.into(),
        }
    }
}

/// The tags of the lists' orders, for cursors: one a list, and one an order where there are several.
pub(crate) mod tags {
    use super::{OrderTag, query};

    /// Roles.
    pub const ROLES: OrderTag = 0x10;
    /// Groups.
    pub const GROUPS: OrderTag = 0x20;
    /// Sign-ins.
    pub const LOGIN_EVENTS: OrderTag = 0x30;
    /// Audit entries.
    pub const AUDIT: OrderTag = 0x40;
    /// Mails.
    pub const MAILS: OrderTag = 0x70;

    const fn down(direction: query::Direction) -> OrderTag {
        match direction {
            query::Direction::Asc => 0,
            query::Direction::Desc => 1,
        }
    }

    /// Users in that order.
    pub const fn users(order: query::UserOrder) -> OrderTag {
        let field = match order.field {
            query::UserOrderField::Login => 0x50,
            query::UserOrderField::LastName => 0x52,
            query::UserOrderField::Email => 0x54,
            query::UserOrderField::CreatedAt => 0x56,
            query::UserOrderField::LastLogin => 0x58,
        };
        field | down(order.direction)
    }

    /// The order of users that a tag stands for.
    pub fn user_order(tag: OrderTag) -> query::UserOrder {
        let field = match tag & !1 {
            0x52 => query::UserOrderField::LastName,
            0x54 => query::UserOrderField::Email,
            0x56 => query::UserOrderField::CreatedAt,
            0x58 => query::UserOrderField::LastLogin,
            _ => query::UserOrderField::Login,
        };
        query::UserOrder {
            field,
            direction: direction(tag),
        }
    }

    /// Accounts in that order.
    pub const fn accounts(order: query::AccountOrder) -> OrderTag {
        let field = match order.field {
            query::AccountOrderField::Name => 0x60,
            query::AccountOrderField::CreatedAt => 0x62,
        };
        field | down(order.direction)
    }

    /// The order of accounts that a tag stands for.
    pub fn account_order(tag: OrderTag) -> query::AccountOrder {
        let field = match tag & !1 {
            0x62 => query::AccountOrderField::CreatedAt,
            _ => query::AccountOrderField::Name,
        };
        query::AccountOrder {
            field,
            direction: direction(tag),
        }
    }

    fn direction(tag: OrderTag) -> query::Direction {
        if tag & 1 == 0 {
            query::Direction::Asc
        } else {
            query::Direction::Desc
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::domain::query::{AccountOrder, AccountOrderField, Direction, UserOrder, UserOrderField};

        #[test]
        fn each_order_has_a_tag_of_its_own_and_is_found_by_it() {
            let mut seen = vec![ROLES, GROUPS, LOGIN_EVENTS, AUDIT, MAILS];
            for direction in [Direction::Asc, Direction::Desc] {
                for field in [
                    UserOrderField::Login,
                    UserOrderField::LastName,
                    UserOrderField::Email,
                    UserOrderField::CreatedAt,
                    UserOrderField::LastLogin,
                ] {
                    let order = UserOrder { field, direction };
                    assert_eq!(user_order(users(order)), order);
                    seen.push(users(order));
                }
                for field in [AccountOrderField::Name, AccountOrderField::CreatedAt] {
                    let order = AccountOrder { field, direction };
                    assert_eq!(account_order(accounts(order)), order);
                    seen.push(accounts(order));
                }
            }
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count);
        }
    }
}
