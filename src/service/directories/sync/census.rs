//! Who is in a directory, and who is not.

use std::collections::{HashMap, HashSet};

use crate::directory::{Directory, Person};
use crate::domain::ids::UserId;
use crate::domain::login::Login;
use crate::domain::user::{User, UserStatus};

/// Who is there, as of one reading.
#[derive(Default)]
pub(super) struct Census {
    /// The ids of all, and whether the directory lets them in.
    people: HashMap<String, bool>,
    logins: HashSet<Login>,
    /// Logins that more than one entry has.
    ambiguous: HashSet<Login>,
    /// Entries that nobody can be told by.
    pub without_id: u64,
}

impl Census {
    /// Counts somebody; false when they were counted before, or cannot be.
    pub fn count(&mut self, person: Person) -> bool {
        if person.external_ids.is_empty() {
            self.without_id += 1;
            return false;
        }
        let login = login_of(&person);
        let mut is_new = true;
        for id in person.external_ids {
            is_new &= self.people.insert(id, !person.is_disabled).is_none();
        }
        if let Some(login) = login.filter(|_| is_new)
            && !self.logins.insert(login.clone())
        {
            self.ambiguous.insert(login);
        }
        is_new
    }

    /// Is there nobody at all?
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Is the entry of that id there, and not disabled?
    pub fn lets_in(&self, external_id: &str) -> bool {
        self.people.get(external_id).is_some_and(|is_let_in| *is_let_in)
    }

    /// Has more than one entry that login?
    pub fn is_ambiguous(&self, login: &Login) -> bool {
        self.ambiguous.contains(login)
    }
}

/// Somebody who was not there at the first reading.
pub(super) struct Leaving {
    pub user: UserId,
    pub external_id: String,
}

impl Leaving {
    /// Is the user still active, and still that entry of the directory?
    pub fn is_still(&self, user: &User, directory: &Directory) -> bool {
        let is_linked = user
            .directory_link
            .as_ref()
            .is_some_and(|link| link.directory == directory.name() && link.external_id == self.external_id);
        user.status == UserStatus::Active && user.is_ldap && is_linked
    }
}

/// What somebody goes by.
pub(super) fn login_of(person: &Person) -> Option<Login> {
    person
        .attributes
        .logins
        .iter()
        .find_map(|login| Login::parse(login).ok())
}
