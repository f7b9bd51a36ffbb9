//! What lists can be asked for: filters and orders, with the same meaning on every store.
//!
//! Every field that is given must hold. Text is compared folded; `search` is a prefix.

use std::net::IpAddr;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::account::{Account, AccountStatus, Language};
use crate::domain::audit::{AuditEntry, TargetType};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId, RoleId, UserId};
use crate::domain::login_event::{LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::mail::Mail;
use crate::domain::page::{Position, SortKey};
use crate::domain::role::Role;
use crate::domain::text::fold;
use crate::domain::user::{User, UserStatus};

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// Which accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AccountFilter {
    /// A folded prefix of the name or the title.
    pub search: Option<String>,
    /// Only these.
    pub status: Option<AccountStatus>,
    /// Those that sign in with this directory.
    pub directory: Option<String>,
}

/// What accounts are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountOrderField {
    /// Name.
    Name,
    /// Time of creation.
    CreatedAt,
}

/// An order of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountOrder {
    /// By what.
    pub field: AccountOrderField,
    /// Up or down; ties go the same way.
    pub direction: Direction,
}

impl AccountOrder {
    /// Where an account stands in this order.
    #[must_use]
    pub fn position(self, account: &Account) -> Position {
        let key = match self.field {
            AccountOrderField::Name => SortKey::Text(Some(account.name.as_str().to_owned())),
            AccountOrderField::CreatedAt => SortKey::Time(Some(account.created_at)),
        };
        Position {
            key,
            id: account.id.as_uuid(),
        }
    }
}

/// Which users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UserFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// This one only: for callers who see nobody else.
    pub id: Option<UserId>,
    /// A folded prefix of the login, the first name, the last name or the address.
    pub search: Option<String>,
    /// Exactly this login, folded.
    pub login: Option<String>,
    /// Exactly this address, folded.
    pub email: Option<String>,
    /// Only these.
    pub status: Option<UserStatus>,
    /// Masters or not.
    pub is_master: Option<bool>,
    /// LDAP users or not.
    pub is_ldap: Option<bool>,
    /// Locked at the given moment, or not.
    pub is_locked: Option<(bool, Timestamp)>,
    /// Of this language.
    pub language: Option<Language>,
    /// With this role.
    pub role: Option<RoleId>,
    /// In this group.
    pub group: Option<GroupId>,
    /// Made later than this.
    pub created_after: Option<Timestamp>,
    /// Last signed in before this; those who never did are not meant.
    pub last_login_before: Option<Timestamp>,
    /// Never signed in, or did.
    pub never_signed_in: Option<bool>,
}

/// What users are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserOrderField {
    /// Login.
    Login,
    /// Last name, folded.
    LastName,
    /// Address, folded; those without come last.
    Email,
    /// Time of creation.
    CreatedAt,
    /// Last successful sign-in; those without come last.
    LastLogin,
}

/// How much of their sign-ins comes with each user of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignInsWanted {
    /// The most of the newest ones.
    pub newest: usize,
    /// Each of them with what was typed, its operating system, device, User-Agent and detail.
    pub details: bool,
    /// The last success too.
    pub last_login: bool,
}

/// An order of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserOrder {
    /// By what.
    pub field: UserOrderField,
    /// Up or down; ties go the same way.
    pub direction: Direction,
}

impl UserOrder {
    /// By login, upwards: the order when nothing is said.
    pub const DEFAULT: Self = Self {
        field: UserOrderField::Login,
        direction: Direction::Asc,
    };

    /// Where a user stands in this order.
    #[must_use]
    pub fn position(self, user: &User) -> Position {
        let key = match self.field {
            UserOrderField::Login => SortKey::Text(Some(user.login.as_str().to_owned())),
            UserOrderField::LastName => SortKey::Text(Some(fold(&user.last_name))),
            UserOrderField::Email => SortKey::Text(user.email.as_ref().map(|e| e.folded())),
            UserOrderField::CreatedAt => SortKey::Time(Some(user.created_at)),
            UserOrderField::LastLogin => SortKey::Time(user.last_login.as_ref().map(|e| e.at)),
        };
        Position {
            key,
            id: user.id.as_uuid(),
        }
    }
}

/// Which roles or groups; they come by folded name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NamedFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// A folded prefix of the name.
    pub search: Option<String>,
}

/// Where a role stands among roles.
#[must_use]
pub fn role_position(role: &Role) -> Position {
    Position {
        key: SortKey::Text(Some(fold(&role.name))),
        id: role.id.as_uuid(),
    }
}

/// Where a group stands among groups.
#[must_use]
pub fn group_position(group: &Group) -> Position {
    Position {
        key: SortKey::Text(Some(fold(&group.name))),
        id: group.id.as_uuid(),
    }
}

/// Which sign-ins; they come newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LoginEventFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// One of these outcomes.
    pub outcomes: Option<Vec<LoginOutcome>>,
    /// One of these methods.
    pub methods: Option<Vec<LoginMethod>>,
    /// From exactly this address.
    pub ip: Option<IpAddr>,
    /// At this moment or later.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl LoginEventFilter {
    /// Is this one of them? What a store finds by the filter is what this holds for.
    #[must_use]
    pub fn matches(&self, event: &LoginEvent) -> bool {
        self.account.is_none_or(|account| event.account == account)
            && self.user.is_none_or(|user| event.user == Some(user))
            && self.outcomes.as_ref().is_none_or(|some| some.contains(&event.outcome))
            && self.methods.as_ref().is_none_or(|some| some.contains(&event.method))
            && self.ip.is_none_or(|ip| event.origin.ip == ip)
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }
}

/// Where a sign-in stands in the history.
#[must_use]
pub fn login_event_position(event: &LoginEvent) -> Position {
    Position {
        key: SortKey::Time(Some(event.at)),
        id: event.id.as_uuid(),
    }
}

/// Where a mail stands in the outbox, newest first.
#[must_use]
pub fn mail_position(mail: &Mail) -> Position {
    Position {
        key: SortKey::Time(Some(mail.created_at)),
        id: mail.id.as_uuid(),
    }
}

/// Which audit entries; they come newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuditFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// By this user, or by somebody in this user's name.
    pub actor: Option<UserId>,
    /// Exactly this action.
    pub action: Option<String>,
    /// Only on these.
    pub target_type: Option<TargetType>,
    /// Only on this object.
    pub target_id: Option<Uuid>,
    /// At this moment or later.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// Where an audit entry stands in the log.
#[must_use]
pub fn audit_position(entry: &AuditEntry) -> Position {
    Position {
        key: SortKey::Time(Some(entry.at)),
        id: entry.id.as_uuid(),
    }
}
