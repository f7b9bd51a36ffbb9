//! Somebody of a directory who signs in: whom an unknown login means, and what becomes of their user.

use super::grants::Mappings;
use super::people::{Author, Mistaken, Said, Written};
use crate::config::Provision;
use crate::directory::{DirectoryError, LookUp, Person};
use crate::domain::account::Account;
use crate::domain::credentials::Credentials;
use crate::domain::ids::UserId;
use crate::domain::login::Login;
use crate::domain::login_event::LoginOutcome;
use crate::domain::user::User;
use crate::service::{Result, Services};
use crate::store::UserCandidate;

/// Whom a login means that nobody has here.
#[derive(Debug)]
pub(in crate::service) enum Stranger {
    /// A user whom the directory has given another login.
    Renamed(Box<UserCandidate>),
    /// Somebody who becomes a user by signing in.
    New(Box<UserCandidate>),
    /// Nobody who may sign in.
    Nobody {
        /// What the history calls it.
        outcome: LoginOutcome,
        /// What an administrator may want to know.
        detail: Option<String>,
    },
}

impl Stranger {
    /// A user whose password the directory knows.
    pub fn without_password(user: User) -> UserCandidate {
        UserCandidate {
            user,
            credentials: Credentials {
                hash: None,
                history: Vec::new(),
            },
        }
    }

    fn nobody(outcome: LoginOutcome, detail: &str) -> Self {
        Self::Nobody {
            outcome,
            detail: Some(detail.to_owned()),
        }
    }
}

impl Services {
    /// Asks the account's directory about a login that nobody has here; without a password.
    pub(in crate::service) async fn stranger(&self, account: &Account, name: &str, login: &Login) -> Result<Stranger> {
        let (Some(directory), Some(rules)) = (self.directories.get(name), self.settings.directories.get(name)) else {
            let detail = format!("the directory {name:?} is not in the configuration");
            return Ok(Stranger::nobody(LoginOutcome::DirectoryUnavailable, &detail));
        };
        let person = match directory.look_up(login.as_str()).await {
            LookUp::Found(person) => person,
            LookUp::Absent => {
                return Ok(Stranger::Nobody {
                    outcome: LoginOutcome::UnknownUser,
                    detail: None,
                });
            }
            LookUp::Ambiguous => {
                let detail = "the directory has more than one entry for this login";
                return Ok(Stranger::nobody(LoginOutcome::NotAllowed, detail));
            }
            // Nobody can be looked up there at all: who is new is found out by their password.
            LookUp::Unknown(DirectoryError::NoLookUp { .. }) if rules.provision == Provision::JustInTime => {
                return self.blank(account, login).map(Stranger::New);
            }
            LookUp::Unknown(DirectoryError::NoLookUp { .. }) => {
                return Ok(Stranger::Nobody {
                    outcome: LoginOutcome::UnknownUser,
                    detail: None,
                });
            }
            LookUp::Unknown(error) => {
                tracing::warn!(directory = name, %error, "a directory could not be asked");
                let detail = "no server of the directory could be asked";
                return Ok(Stranger::nobody(LoginOutcome::DirectoryUnavailable, detail));
            }
        };
        if let Some(user) = self.user_of_entry(account, name, &person).await? {
            return Ok(Stranger::Renamed(Box::new(Stranger::without_password(user))));
        }
        if rules.provision == Provision::JustInTime {
            return self.blank(account, login).map(Stranger::New);
        }
        let detail = "the directory has this person; no user here does";
        Ok(Stranger::nobody(LoginOutcome::UnknownUser, detail))
    }

    /// The LDAP user who is linked to that entry.
    pub(in crate::service) async fn user_of_entry(
        &self,
        account: &Account,
        directory: &str,
        person: &Person,
    ) -> Result<Option<User>> {
        let ids = &person.external_ids;
        let linked = self.store.users_by_external_ids(account.id, directory, ids).await?;
        Ok(linked.into_iter().find(|user| user.is_ldap))
    }

    /// A user who is not stored yet.
    fn blank(&self, account: &Account, login: &Login) -> Result<Box<UserCandidate>> {
        let id = UserId::generate(self.clock.as_ref(), self.entropy.as_ref())?;
        let now = self.clock.now();
        Ok(Box::new(Stranger::without_password(User {
            is_ldap: true,
            ..User::new(id, account.id, login.clone(), account.default_language, now)
        })))
    }

    /// Brings a user up to what the directory said at their sign-in, and makes the user of somebody new.
    pub(in crate::service) async fn welcome(
        &self,
        account: &Account,
        user: &User,
        is_new: bool,
        directory: &str,
        person: &Person,
    ) -> Result<Written> {
        let configured = self.settings.directories.get(directory).map(|rules| &rules.mappings);
        let configured = configured.map_or(&[][..], |mappings| mappings);
        let mappings = Mappings::resolve(self.store.as_ref(), account, configured).await?;
        let said = Said {
            directory,
            person,
            mappings: &mappings,
        };
        if let Err(mistaken) = said.is_about(user) {
            if mistaken == Mistaken::NoId {
                tracing::error!(
                    directory,
                    dn = person.dn,
                    "nobody can sign in whose entry shows none of attributes.id; name one that can be read"
                );
            }
            return Ok(Written::Mistaken(mistaken));
        }
        let now = self.clock.now();
        let after = said.applied_to(user, &mappings.of(person), now);
        if is_new {
            let author = Author::directory(directory, "createUser");
            return self.create_from_directory(account, after, &author).await;
        }
        let author = Author::directory(directory, "refreshUser");
        let written = self.write_from_directory(account, user, after, &author).await?;
        if let Written::Done(after) = &written
            && after.revision == user.revision
        {
            self.store.touch_links(&[user.id], now).await?;
        }
        Ok(written)
    }
}
