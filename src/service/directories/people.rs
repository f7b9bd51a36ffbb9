//! What a directory says of a person, written into their user.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::grants::{Granted, Mappings};
use crate::directory::{PasswordExpiry, Person};
use crate::domain::account::{Account, Language};
use crate::domain::audit::{AuditEntry, FieldChange};
use crate::domain::login::Login;
use crate::domain::phone::phone;
use crate::domain::text::line;
use crate::domain::user::{DirectoryLink, DisabledBy, Email, User, UserStatus};
use crate::service::audit::{Actor, diff, made, user_fields};
use crate::service::users::action_on;
use crate::service::{Result, Services};
use crate::store::{StoreError, Unique};

/// Directories that tell how long a password lasts round it differently each time; less than this is no change.
const EXPIRY_SLACK: SignedDuration = SignedDuration::from_mins(5);

/// Why somebody is not who they are said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) enum Mistaken {
    /// The entry has no lasting id, so that nobody can be told from their successor.
    NoId,
    /// The user is linked to another entry: the directory gave the login to somebody else.
    AnotherEntry,
    /// The login that the directory gives belongs to another user here.
    LoginTaken,
    /// The entry is linked to another user of the account.
    EntryTaken,
}

impl Mistaken {
    /// For the history and for administrators.
    pub fn detail(&self) -> &'static str {
        match self {
            Self::NoId => "the directory's entry shows none of the attributes that tell people apart (attributes.id)",
            Self::AnotherEntry => {
                "the directory has another person under this login than the one that the user is linked to; \
                 relinkUser says that it is right"
            }
            Self::LoginTaken => "the login that the directory gives this person belongs to another user",
            Self::EntryTaken => "the directory's entry belongs to another user of the account",
        }
    }
}

/// What writing came to.
#[derive(Debug)]
pub(in crate::service) enum Written {
    /// The user as it is stored now.
    Done(Box<User>),
    /// The user was changed by somebody else in between.
    Conflict,
    /// It cannot be.
    Mistaken(Mistaken),
}

/// Everything that the directory says, at once.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct Said<'a> {
    /// The directory's name.
    pub directory: &'a str,
    /// Its entry.
    pub person: &'a Person,
    /// What the mappings make of the person's groups.
    pub mappings: &'a Mappings,
}

impl Said<'_> {
    /// Is that user this person? A user without a link to this directory becomes so.
    pub fn is_about(&self, user: &User) -> std::result::Result<(), Mistaken> {
        if self.person.external_id.is_none() {
            return Err(Mistaken::NoId);
        }
        match &user.directory_link {
            Some(link) if link.directory == self.directory && !self.person.has_id(&link.external_id) => {
                Err(Mistaken::AnotherEntry)
            }
            _ => Ok(()),
        }
    }

    /// The user as the directory has it. What it does not say stays; whom a person disabled stays disabled.
    pub fn applied_to(&self, user: &User, granted: &[Granted], now: Timestamp) -> User {
        let said = &self.person.attributes;
        let mut after = user.clone();
        if !said.logins.is_empty() && !said.logins.iter().any(|login| is_login(login, &user.login)) {
            let renamed = said.logins.iter().find_map(|login| Login::parse(login).ok());
            after.login = renamed.unwrap_or(after.login);
        }
        let name = |text: &Option<String>| {
            text.as_deref()
                .and_then(|text| line(&shortened(text), User::MAX_NAME).ok())
        };
        after.first_name = name(&said.first_name).unwrap_or(after.first_name);
        after.last_name = name(&said.last_name).unwrap_or(after.last_name);
        let email = said.email.as_deref().and_then(|text| Email::parse(text).ok());
        after.email = email.or(after.email);
        after.phone = said.phone.as_deref().and_then(|text| phone(text).ok()).or(after.phone);
        after.language = said.language.as_deref().and_then(language).unwrap_or(after.language);
        after.grants = self.mappings.apply(user, granted, now);
        match self.person.password_expiry {
            PasswordExpiry::Unsaid => {}
            PasswordExpiry::Never => after.password_expires_at = None,
            PasswordExpiry::At(at) => {
                let near = |known: &Timestamp| known.duration_since(at).abs() <= EXPIRY_SLACK;
                if !user.password_expires_at.as_ref().is_some_and(near) {
                    after.password_expires_at = Some(at);
                }
            }
        }
        if self.person.is_disabled {
            if after.status == UserStatus::Active {
                (after.status, after.disabled_by) = (UserStatus::Disabled, Some(DisabledBy::Directory));
            }
        } else if after.disabled_by == Some(DisabledBy::Directory) {
            (after.status, after.disabled_by) = (UserStatus::Active, None);
        }
        if let Some(external_id) = &self.person.external_id {
            let is_known =
                |link: &&DirectoryLink| self.person.has_id(&link.external_id) && link.directory == self.directory;
            let known = user.directory_link.as_ref().filter(is_known);
            after.directory_link = Some(DirectoryLink {
                directory: self.directory.to_owned(),
                dn: self.person.dn.clone(),
                external_id: external_id.clone(),
                last_checked_at: now,
                picture: known.and_then(|link| link.picture.clone()),
            });
        }
        after
    }
}

/// The user as somebody who is no longer in the directory.
pub(super) fn absent(user: &User) -> User {
    User {
        status: UserStatus::Disabled,
        disabled_by: Some(DisabledBy::Directory),
        ..user.clone()
    }
}

fn is_login(text: &str, login: &Login) -> bool {
    Login::parse(text).is_ok_and(|parsed| parsed == *login)
}

/// A directory's names may be longer than the product's.
fn shortened(text: &str) -> String {
    text.chars().take(User::MAX_NAME).collect()
}

/// The first language of `preferredLanguage` (RFC 2798, 2.7: as in HTTP's `Accept-Language`) that there is.
fn language(preferred: &str) -> Option<Language> {
    preferred
        .split(',')
        .find_map(|range| Language::of_tag(range.split(';').next()?))
}

/// Did anything change but the time of the look-up?
pub(super) fn is_changed(before: &User, after: &User) -> bool {
    let timeless = |user: &User| {
        let mut user = user.clone();
        if let Some(link) = &mut user.directory_link {
            link.last_checked_at = Timestamp::UNIX_EPOCH;
        }
        user
    };
    timeless(before) != timeless(after)
}

/// Who writes, and why.
#[derive(Debug, Clone)]
pub(in crate::service) struct Author {
    /// What the audit log calls what is done.
    pub action: &'static str,
    /// Who does it.
    pub actor: Actor,
}

impl Author {
    /// The directory itself, by what it says at a sign-in or when it is asked again.
    pub fn directory(name: &str, action: &'static str) -> Self {
        Self {
            action,
            actor: Actor::directory(name),
        }
    }
}

impl Services {
    /// Writes `after` over `before`, with its audit entry, when anything but the time of the look-up differs.
    pub(in crate::service) async fn write_from_directory(
        &self,
        account: &Account,
        before: &User,
        after: User,
        author: &Author,
    ) -> Result<Written> {
        if !is_changed(before, &after) {
            return Ok(Written::Done(Box::new(after)));
        }
        let after = User {
            updated_at: self.clock.now(),
            revision: before.revision + 1,
            ..after
        };
        let changes = self.named(diff(&user_fields(before), &user_fields(&after))).await?;
        let entry = self.entry_by(author, account, before, changes)?;
        Ok(
            match self
                .store
                .update_from_directory(&after, before.revision, &entry, &[])
                .await
            {
                Ok(leaderless) => {
                    if leaderless {
                        tracing::warn!(account = %account.name, user = %before.login,
                        "the account has no active master left: the directory took the last one");
                    }
                    Written::Done(Box::new(after))
                }
                Err(StoreError::Conflict { .. } | StoreError::NotFound) => Written::Conflict,
                Err(StoreError::Taken(Unique::DirectoryLink)) => Written::Mistaken(Mistaken::EntryTaken),
                Err(StoreError::Taken(_)) => Written::Mistaken(Mistaken::LoginTaken),
                Err(error) => return Err(error.into()),
            },
        )
    }

    /// The same; a login that somebody else has here is no reason to leave the rest as it was.
    pub(super) async fn write_keeping_login(
        &self,
        account: &Account,
        before: &User,
        after: User,
        author: &Author,
    ) -> Result<Written> {
        let written = self
            .write_from_directory(account, before, after.clone(), author)
            .await?;
        if !matches!(written, Written::Mistaken(Mistaken::LoginTaken)) {
            return Ok(written);
        }
        tracing::warn!(user = %before.login, login = %after.login, account = %account.name,
            "the directory renamed somebody to a login that another user has");
        let after = User {
            login: before.login.clone(),
            ..after
        };
        self.write_from_directory(account, before, after, author).await
    }

    /// Makes a user of somebody who is new here.
    pub(in crate::service) async fn create_from_directory(
        &self,
        account: &Account,
        user: User,
        author: &Author,
    ) -> Result<Written> {
        let changes = self.named(made(&user_fields(&user))).await?;
        let entry = self.entry_by(author, account, &user, changes)?;
        Ok(match self.store.create_user(&user, None, &entry, &[]).await {
            Ok(()) => Written::Done(Box::new(user)),
            // Somebody else was faster, perhaps with the same person.
            Err(StoreError::Taken(_)) => Written::Conflict,
            Err(error) => return Err(error.into()),
        })
    }

    /// The same for many at once; false when one of them cannot be made, and none was.
    pub(super) async fn create_many_from_directory(
        &self,
        account: &Account,
        users: &[User],
        author: &Author,
    ) -> Result<bool> {
        let mut people = Vec::with_capacity(users.len());
        // Many are granted the same.
        let mut in_words: HashMap<Option<String>, FieldChange> = HashMap::new();
        for user in users {
            let mut changes = made(&user_fields(user));
            for change in changes
                .iter_mut()
                .filter(|change| matches!(change.field.as_str(), "roles" | "groups"))
            {
                let key = change.after.as_ref().map(|ids| format!("{} {ids}", change.field));
                if !in_words.contains_key(&key) {
                    let named = self.named(vec![change.clone()]).await?;
                    in_words.extend(named.into_iter().map(|named| (key.clone(), named)));
                }
                if let Some(named) = in_words.get(&key) {
                    *change = named.clone();
                }
            }
            people.push((user.clone(), self.entry_by(author, account, user, changes)?));
        }
        match self.store.create_users(&people).await {
            Ok(()) => Ok(true),
            Err(StoreError::Taken(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The audit entry of what was written to that user.
    pub(super) fn entry_by(
        &self,
        author: &Author,
        account: &Account,
        user: &User,
        changes: Vec<FieldChange>,
    ) -> Result<AuditEntry> {
        self.audit(author.actor.clone(), action_on(author.action, user, account, changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::PersonAttributes;
    use crate::domain::testing;

    fn person(login: &str) -> Person {
        Person {
            dn: format!("uid={login},ou=people"),
            external_id: Some("id-1".to_owned()),
            external_ids: vec!["id-1".to_owned()],
            attributes: PersonAttributes {
                login: Some(login.to_owned()),
                logins: vec![login.to_owned()],
                ..PersonAttributes::default()
            },
            groups: Vec::new(),
            is_disabled: false,
            password_expiry: PasswordExpiry::Unsaid,
        }
    }

    fn applied(user: &User, person: &Person) -> User {
        let mappings = Mappings::none();
        let said = Said {
            directory: "corp",
            person,
            mappings: &mappings,
        };
        said.applied_to(user, &[], "2026-03-01T10:00:00Z".parse().unwrap())
    }

    fn ann() -> User {
        testing::user(&testing::account("acme"), "ann", false)
    }

    #[test]
    fn a_person_who_still_goes_by_the_login_is_not_renamed() {
        let mut entry = person("anna");
        assert_eq!(applied(&ann(), &entry).login.as_str(), "anna");
        entry.attributes.logins = vec!["anna".to_owned(), "ANN".to_owned()];
        assert_eq!(applied(&ann(), &entry).login.as_str(), "ann");
        entry.attributes.logins = vec!["not a login".to_owned()];
        assert_eq!(applied(&ann(), &entry).login.as_str(), "ann");
        entry.attributes.logins = Vec::new();
        assert_eq!(applied(&ann(), &entry).login.as_str(), "ann");
    }

    #[test]
    fn what_the_directory_does_not_say_stays() {
        let mut user = ann();
        user.email = Some(Email::parse("ann@example.org").unwrap());
        user.first_name = "Ann".to_owned();
        let mut entry = person("ann");
        let after = applied(&user, &entry);
        assert_eq!(
            (after.email.clone(), after.first_name.as_str()),
            (user.email.clone(), "Ann")
        );
        entry.attributes.email = Some("no address".to_owned());
        entry.attributes.last_name = Some("x".repeat(300));
        entry.attributes.language = Some("de-AT, ru;q=0.8, en;q=0.5".to_owned());
        let after = applied(&user, &entry);
        assert_eq!(after.email, user.email);
        assert_eq!(after.last_name.chars().count(), User::MAX_NAME);
        assert_eq!(after.language, Language::Ru);
    }

    #[test]
    fn the_directory_enables_only_whom_it_disabled() {
        let (mut user, mut entry) = (ann(), person("ann"));
        entry.is_disabled = true;
        let gone = applied(&user, &entry);
        assert_eq!(
            (gone.status, gone.disabled_by),
            (UserStatus::Disabled, Some(DisabledBy::Directory))
        );
        entry.is_disabled = false;
        assert_eq!(applied(&gone, &entry).status, UserStatus::Active);
        assert_eq!(applied(&absent(&user), &entry).status, UserStatus::Active);
        (user.status, user.disabled_by) = (UserStatus::Disabled, Some(DisabledBy::Manual));
        let after = applied(&user, &entry);
        assert_eq!(
            (after.status, after.disabled_by),
            (UserStatus::Disabled, Some(DisabledBy::Manual))
        );
    }

    #[test]
    fn an_entry_of_another_id_is_somebody_else() {
        let mappings = Mappings::none();
        let is_about = |directory, external_id: Option<&str>, user: &User| {
            let mut person = person("ann");
            person.external_id = external_id.map(str::to_owned);
            person.external_ids = person.external_id.iter().cloned().collect();
            let said = Said {
                directory,
                person: &person,
                mappings: &mappings,
            };
            said.is_about(user)
        };
        let linked = applied(&ann(), &person("ann"));
        assert_eq!(is_about("corp", Some("id-1"), &ann()), Ok(()), "not linked yet");
        assert_eq!(is_about("corp", Some("id-1"), &linked), Ok(()));
        assert_eq!(is_about("corp", Some("id-2"), &linked), Err(Mistaken::AnotherEntry));
        assert_eq!(is_about("corp", None, &linked), Err(Mistaken::NoId));
        let elsewhere = is_about("other", Some("id-2"), &linked);
        assert_eq!(elsewhere, Ok(()), "ids of one directory mean nothing in another");
    }

    #[test]
    fn a_look_up_alone_is_no_change() {
        let user = applied(&ann(), &person("ann"));
        let later = Said {
            directory: "corp",
            person: &person("ann"),
            mappings: &Mappings::none(),
        }
        .applied_to(&user, &[], "2026-03-02T10:00:00Z".parse().unwrap());
        assert!(!is_changed(&user, &later));
        let mut entry = person("ann");
        let expiry = |at: &str| PasswordExpiry::At(at.parse().unwrap());
        entry.password_expiry = expiry("2026-04-01T10:00:00Z");
        let user = applied(&user, &entry);
        entry.password_expiry = expiry("2026-04-01T10:00:02Z");
        assert!(!is_changed(&user, &applied(&user, &entry)));
        entry.password_expiry = expiry("2026-04-02T10:00:00Z");
        assert!(is_changed(&user, &applied(&user, &entry)));
    }
}
