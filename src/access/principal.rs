//! Who is asking.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::account::Account;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::role::Permission;
use crate::domain::session::Session;
use crate::domain::token::ApiToken;
use crate::domain::user::User;

/// Whoever a request comes from.
#[derive(Debug, Clone)]
pub enum Principal {
    /// Somebody who has not signed in.
    Nobody,
    /// A user, through a session.
    Person(Arc<Person>),
    /// An application, through an API token.
    Token(Box<TokenHolder>),
    /// Whoever can start Doorward's binary with the store's address: nothing is kept from them.
    CommandLine,
}

/// A user with what their session lets them do.
#[derive(Debug, Clone)]
pub struct Person {
    /// The session.
    pub session: Session,
    /// The user.
    pub user: Arc<User>,
    /// The user's account.
    pub account: Arc<Account>,
    /// The union of the permissions of the user's roles; a master holds all without any being here.
    pub permissions: BTreeSet<Permission>,
    /// The session may do nothing but change the password.
    pub must_change_password: bool,
}

/// An API token with what it lets an application do: never more than its roles, and never as a master.
#[derive(Debug, Clone)]
pub struct TokenHolder {
    /// The token.
    pub token: ApiToken,
    /// The token's account.
    pub account: Arc<Account>,
    /// The union of the permissions of the token's roles.
    pub permissions: BTreeSet<Permission>,
}

impl TokenHolder {
    /// `NAME@account`.
    #[must_use]
    pub fn qualified_name(&self) -> String {
        format!("{}@{}", self.token.name, self.account.name)
    }
}

impl Person {
    /// A master of their account, in a session that may do more than change the password.
    #[must_use]
    pub fn is_master(&self) -> bool {
        !self.must_change_password && self.user.is_master()
    }

    /// A master of the `system` account.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.is_master() && self.account.name.is_system()
    }

    /// May they act for that user? Masters for those of their account who are no masters, operators for everybody but
    /// operators; nobody for themselves, and nobody while acting for somebody else.
    #[must_use]
    pub fn may_act_for(&self, user: &User) -> bool {
        let below = if self.is_operator() {
            !(user.is_master() && user.account == self.account.id)
        } else {
            !user.is_master() && user.account == self.account.id
        };
        self.is_master() && below && self.session.impersonation.is_none() && user.id != self.user.id
    }

    /// `login@account`.
    #[must_use]
    pub fn qualified_login(&self) -> String {
        format!("{}@{}", self.user.login, self.account.name)
    }
}

impl Principal {
    /// The person, when it is one.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Person(person) => Some(person),
            Self::Nobody | Self::Token(_) | Self::CommandLine => None,
        }
    }

    /// The account of the person or the token.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Person(p) => Some(p.account.id),
            Self::Token(t) => Some(t.account.id),
            Self::Nobody | Self::CommandLine => None,
        }
    }

    /// That account itself.
    #[must_use]
    pub fn own_account(&self) -> Option<&Arc<Account>> {
        match self {
            Self::Person(p) => Some(&p.account),
            Self::Token(t) => Some(&t.account),
            Self::Nobody | Self::CommandLine => None,
        }
    }

    /// The person's user, when it is one.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.person().map(|p| p.user.id)
    }
}
