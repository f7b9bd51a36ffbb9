//! `Viewer`: whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::{ID, Object};

use crate::access::Person;
use crate::domain::ids::GroupId;
use crate::domain::role::Permission;
use crate::graphql::node_id;
use crate::graphql::types::{Account, ApiToken, Session, User};
use crate::service::Caller;

/// Whoever asks.
#[derive(Debug, Clone)]
pub struct Viewer {
    caller: Caller,
    person: Box<Person>,
}

impl Viewer {
    /// The caller, when it is a person.
    #[must_use]
    pub fn of(caller: Caller) -> Option<Self> {
        let person = Box::new(caller.principal().person()?.clone());
        Some(Self { caller, person })
    }
}

/// The signed-in person or token.
#[Object]
impl Viewer {
    /// Null for an API token.
    async fn user(&self) -> Option<User> {
        let mut user = self.person.user.clone();
        // A password that grew too old must be changed just as well.
        user.must_change_password = self.person.must_change_password;
        Some(User(Arc::new(user)))
    }

    /// Null for a person.
    async fn api_token(&self) -> Option<ApiToken> {
        None
    }

    /// Their account.
    async fn account(&self) -> Account {
        Account(Arc::new(self.person.account.clone()))
    }

    /// The session that asks.
    async fn session(&self) -> Option<Session> {
        Some(Session(Arc::new(self.person.session.clone())))
    }

    /// They may do everything in their account.
    async fn is_master(&self) -> bool {
        self.person.is_master()
    }

    /// They may do everything in every account.
    async fn is_operator(&self) -> bool {
        self.person.is_operator()
    }

    /// What they may do; a master may do everything else too.
    async fn permissions(&self) -> Vec<String> {
        let mut held: BTreeSet<&str> = self.person.permissions.iter().map(|p| p.as_str()).collect();
        if self.person.is_master() {
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
