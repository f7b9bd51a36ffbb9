//! `Viewer`: whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::{ID, Object};

use crate::access::{Person, Principal};
use crate::domain;
use crate::domain::ids::GroupId;
use crate::domain::role::Permission;
use crate::graphql::node_id;
use crate::graphql::types::{Account, ApiToken, Session, User};
use crate::service::Caller;

/// Whoever asks.
#[derive(Debug, Clone)]
pub struct Viewer {
    caller: Caller,
    account: Arc<domain::account::Account>,
}

impl Viewer {
    /// The caller, when it is a person or a token.
    #[must_use]
    pub fn of(caller: Caller) -> Option<Self> {
        let account = Arc::clone(caller.principal().own_account()?);
        Some(Self { caller, account })
    }

    fn person(&self) -> Option<&Person> {
        self.caller.principal().person()
    }
}

/// The signed-in person or token.
#[Object]
impl Viewer {
    /// Null for an API token.
    async fn user(&self) -> Option<User> {
        self.person().map(User::from)
    }

    /// Null for a person.
    async fn api_token(&self) -> Option<ApiToken> {
        match self.caller.principal() {
            Principal::Token(holder) => Some(ApiToken(Arc::new(holder.token.clone()))),
            Principal::Nobody | Principal::Person(_) | Principal::CommandLine => None,
        }
    }

    /// Their account.
    async fn account(&self) -> Account {
        Account(Arc::clone(&self.account))
    }

    /// The session that asks; null for an API token.
    async fn session(&self) -> Option<Session> {
        Some(Session(Arc::new(self.person()?.session.clone())))
    }

    /// They may do everything in their account.
    async fn is_master(&self) -> bool {
        self.person().is_some_and(Person::is_master)
    }

    /// They may do everything in every account.
    async fn is_operator(&self) -> bool {
        self.person().is_some_and(Person::is_operator)
    }

    /// What they may do; a master may do everything else too.
    async fn permissions(&self) -> Vec<String> {
        let permissions = match self.caller.principal() {
            Principal::Person(person) => &person.permissions,
            Principal::Token(holder) => &holder.permissions,
            Principal::Nobody | Principal::CommandLine => return Vec::new(),
        };
        let mut held: BTreeSet<&str> = permissions.iter().map(|p| p.as_str()).collect();
        if self.person().is_some_and(Person::is_master) {
            held.extend(Permission::OWN);
        }
        held.into_iter().map(str::to_owned).collect()
    }

    /// May the caller do this, in this group when one is given? Groups decide what is visible, roles what may be done.
    async fn can(&self, permission: String, group: Option<ID>) -> bool {
        let in_group = match group {
            None => true,
            Some(id) => match node_id::decode::<GroupId>(&id) {
                Some(id) => self.caller.sees_group(id).await,
                None => false,
            },
        };
        in_group && self.caller.principal().holds(&permission)
    }
}
