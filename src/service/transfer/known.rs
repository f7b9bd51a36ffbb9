//! The accounts that a file names, with their roles and groups by name.

use std::collections::HashMap;

use uuid::Uuid;

use super::fields::{nearest, quoted};
use crate::domain::account::{Account, AccountName};
use crate::domain::group::Group;
use crate::domain::ids::{GroupId, RoleId};
use crate::domain::page::{PageRequest, Position};
use crate::domain::query::{NamedFilter, group_position, role_position};
use crate::domain::role::Role;
use crate::domain::text::fold;
use crate::service::Result;
use crate::store::Store;

/// Names that are kept at once, in all accounts: some tens of megabytes.
const MOST_NAMES: usize = 200_000;

/// Something with a name.
#[derive(Debug, Clone)]
struct Named<Id> {
    id: Id,
    name: String,
}

/// Names as they are compared, and what has them.
#[derive(Debug)]
struct Names<Id>(HashMap<String, Named<Id>>);

impl<Id: Copy + PartialEq> Names<Id> {
    fn add(&mut self, name: &str, id: Id) {
        self.0.retain(|_, known| known.id != id);
        self.insert(name, id);
    }

    fn insert(&mut self, name: &str, id: Id) {
        let name = name.to_owned();
        self.0.insert(fold(&name), Named { id, name });
    }

    fn find(&self, name: &str) -> Option<Id> {
        self.0.get(&fold(name)).map(|named| named.id)
    }

    fn missing(&self, what: &str, name: &str) -> String {
        let hint = nearest(name, self.0.values().map(|named| named.name.as_str()));
        format!("there is no {what} {} in the account{hint}", quoted(name))
    }
}

/// An account with what its users are granted.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) account: Account,
    /// Its Main group.
    pub(super) main: Option<GroupId>,
    roles: Names<RoleId>,
    groups: Names<GroupId>,
    /// It is in no store: a dry run made it up.
    pub(super) is_imagined: bool,
}

impl Known {
    pub(super) fn new(account: Account, main: &Group, is_imagined: bool) -> Self {
        let mut known = Self {
            account,
            main: Some(main.id),
            roles: Names(HashMap::new()),
            groups: Names(HashMap::new()),
            is_imagined,
        };
        known.groups.insert(&main.name, main.id);
        known
    }

    /// The role of that name, or what to say.
    pub(super) fn role(&self, name: &str) -> std::result::Result<RoleId, String> {
        self.roles.find(name).ok_or_else(|| self.roles.missing("role", name))
    }

    /// The group of that name, or what to say.
    pub(super) fn group(&self, name: &str) -> std::result::Result<GroupId, String> {
        self.groups.find(name).ok_or_else(|| self.groups.missing("group", name))
    }

    pub(super) fn add_role(&mut self, role: &Role) {
        self.roles.add(&role.name, role.id);
    }

    pub(super) fn add_group(&mut self, group: &Group) {
        self.groups.add(&group.name, group.id);
    }

    fn names(&self) -> usize {
        self.roles.0.len() + self.groups.0.len()
    }
}

/// The accounts that were asked for so far.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    known: HashMap<AccountName, Known>,
    names: usize,
    /// Nothing that was made up may be forgotten.
    keeps_all: bool,
}

impl Accounts {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            keeps_all: dry_run,
            ..Self::default()
        }
    }

    /// The account of that name, as it is known so far.
    pub(super) fn get(&self, name: &AccountName) -> Option<&Known> {
        self.known.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &AccountName) -> Option<&mut Known> {
        self.known.get_mut(name)
    }

    /// An account that was made or changed just now.
    pub(super) fn set(&mut self, known: Known) {
        self.known.insert(known.account.name.clone(), known);
    }

    /// Reads an account again when it is named the next time.
    pub(super) fn forget(&mut self, name: &AccountName) {
        self.known.remove(name);
    }

    /// Makes room for more, between batches.
    pub(super) fn trim(&mut self) {
        if self.names > MOST_NAMES && !self.keeps_all {
            self.known.clear();
            self.names = 0;
        }
    }

    /// Reads the account of that name with its roles and groups, unless it is known; says whether there is one.
    pub(super) async fn load(&mut self, store: &dyn Store, name: &AccountName) -> Result<bool> {
        if self.known.contains_key(name) {
            return Ok(true);
        }
        let Some(account) = store.account_by_name(name).await? else {
            return Ok(false);
        };
        let id = account.id;
        let main = store.main_group(id).await?.map(|group| group.id);
        let mut known = Known {
            account,
            main,
            roles: Names(HashMap::new()),
            groups: Names(HashMap::new()),
            is_imagined: false,
        };
        let filter = [NamedFilter {
            account: Some(id),
            search: None,
        }];
        let mut request = PageRequest::first(PageRequest::MAX);
        loop {
            let Some(page) = store.roles(&filter, &request).await?.pop() else {
                break;
            };
            page.items
                .iter()
                .for_each(|role| known.roles.insert(&role.name, role.id));
            if !onwards(&mut request, page.has_more, page.items.last().map(role_position)) {
                break;
            }
        }
        let mut request = PageRequest::first(PageRequest::MAX);
        loop {
            let Some(page) = store.groups(&filter, &request).await?.pop() else {
                break;
            };
            page.items
                .iter()
                .for_each(|group| known.groups.insert(&group.name, group.id));
            if !onwards(&mut request, page.has_more, page.items.last().map(group_position)) {
                break;
            }
        }
        self.names += known.names() + 1;
        self.known.insert(name.clone(), known);
        Ok(true)
    }

    /// What to say of an account that is not there.
    pub(super) fn missing(&self, name: &AccountName) -> String {
        let hint = nearest(name.as_str(), self.known.keys().map(AccountName::as_str));
        format!("there is no account {:?}{hint}", name.as_str())
    }
}

fn onwards(request: &mut PageRequest, has_more: bool, last: Option<Position>) -> bool {
    request.after = last;
    has_more && request.after.is_some()
}

/// An identifier that is derived from what it names, so that a line without one names the same thing each time.
pub(super) fn derived(millis: i64, digest: &[u8; 32]) -> Uuid {
    let mut random = [0_u8; 10];
    random.copy_from_slice(&digest[..10]);
    uuid::Builder::from_unix_timestamp_millis(millis.unsigned_abs(), &random).into_uuid()
}
