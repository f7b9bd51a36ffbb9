//! A user: one person of one account.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::account::Language;
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, AvatarId, GroupId, RoleId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::LoginEvent;
use crate::domain::text::{TextError, fold, line};

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserStatus {
    /// May.
    Active,
    /// May not.
    Disabled,
}

/// Who disabled a user: only what the directory disabled may the directory enable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisabledBy {
    /// A person.
    Manual,
    /// The account's directory.
    Directory,
}

/// An e-mail address (RFC 5321 §4.1.2, at most 254 bytes), as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The longest address, in bytes (RFC 5321 §4.5.3.1.3, less the angle brackets).
    pub const MAX: usize = 254;

    /// Trims and checks an address; the domain may be one label only for machines without DNS (`root@localhost`).
    ///
    /// # Errors
    /// [`TextError`], with a message that says what an address looks like.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = line(text, Self::MAX)?;
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > Self::MAX {
            return Err(TextError::TooLong {
                max: Self::MAX,
                found: text.len(),
            });
        }
        let options = email_address::Options::default()
            .without_display_text()
            .without_domain_literal();
        email_address::EmailAddress::parse_with_options(&text, options)
            .map_err(|e| TextError::Invalid(format!("is not an e-mail address such as ann@example.org: {e}")))?;
        Ok(Self(text))
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as it is compared.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl TryFrom<String> for Email {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// Which mails a user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // seven independent switches of the product's settings page
pub struct Notifications {
    /// Where alerts go; the contact address when `None`.
    pub email: Option<Email>,
    /// Limits are exhausted.
    pub limits_exhausted: bool,
    /// Subscribers complained.
    pub subscriber_complaints: bool,
    /// Addresses that do not exist.
    pub hard_bounces: bool,
    /// Addresses that do not answer for now.
    pub soft_bounces: bool,
    /// A report each day.
    pub daily_reports: bool,
    /// A report each week.
    pub weekly_reports: bool,
    /// New browser or country at sign-in, change of role, the directory's password about to expire.
    pub security_notices: bool,
}

impl Default for Notifications {
    /// Nothing but security notices, which nobody should have to ask for.
    fn default() -> Self {
        Self {
            email: None,
            limits_exhausted: false,
            subscriber_complaints: false,
            hard_bounces: false,
            soft_bounces: false,
            daily_reports: false,
            weekly_reports: false,
            security_notices: true,
        }
    }
}

/// Which entry of which directory a user is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryLink {
    /// The configured directory's name.
    pub directory: String,
    /// The entry's distinguished name when it was last seen.
    pub dn: String,
    /// The directory's own, lasting identifier (entryUUID, objectGUID …).
    pub external_id: String,
    /// When the entry was last looked up.
    pub last_checked_at: Timestamp,
    /// SHA-256 of the directory's picture that was last taken over, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

impl DirectoryLink {
    /// Is it the same entry? Its distinguished name may be another by now.
    #[must_use]
    pub fn is_same_entry(&self, other: &Self) -> bool {
        self.directory == other.directory && self.external_id == other.external_id
    }

    /// This link in the place of a stored one. A look that was noted in between is not forgotten: of two to the same entry,
    /// the later look counts.
    #[must_use]
    pub fn replacing(self, stored: Option<&Self>) -> Self {
        match stored {
            Some(stored) if self.is_same_entry(stored) => Self {
                last_checked_at: self.last_checked_at.max(stored.last_checked_at),
                ..self
            },
            _ => self,
        }
    }
}

/// One person. The password's hash is not here: [`crate::domain::credentials::Credentials`] has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// Its account.
    pub account: AccountId,
    /// Its login, unique in the account.
    pub login: Login,
    /// First name; at most 100 characters, may be empty.
    pub first_name: String,
    /// Last name; at most 100 characters, may be empty.
    pub last_name: String,
    /// Contact address.
    pub email: Option<Email>,
    /// Language for mails and pages.
    pub language: Language,
    /// Telephone, E.164 where it could be parsed.
    pub phone: Option<String>,
    /// Active or disabled.
    pub status: UserStatus,
    /// Who disabled it.
    pub disabled_by: Option<DisabledBy>,
    /// Too many wrong passwords: nobody signs in with this login before then.
    pub locked_until: Option<Timestamp>,
    /// Its picture.
    pub avatar: Option<AvatarId>,
    /// Which mails it asked for.
    pub notifications: Notifications,
    /// It may do nothing but change its password.
    pub must_change_password: bool,
    /// It has a local password.
    pub has_password: bool,
    /// When the local password was set.
    pub password_changed_at: Option<Timestamp>,
    /// When the directory says that the password expires.
    pub password_expires_at: Option<Timestamp>,
    /// Its password is the directory's.
    pub is_ldap: bool,
    /// The directory's entry, once it is known.
    pub directory_link: Option<DirectoryLink>,
    /// What it may do and see, and where that came from.
    pub grants: Vec<Grant>,
    /// Its last successful sign-in.
    pub last_login: Option<LoginEvent>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed; a sign-in is no change.
    pub updated_at: Timestamp,
    /// Grows by one with each change, from 1; a sign-in is no change.
    pub revision: i64,
}

impl User {
    /// The longest first or last name, in characters.
    pub const MAX_NAME: usize = 100;
    /// The most roles, and the most groups, that one user holds.
    pub const MAX_GRANTS: usize = 200;

    /// An active local user of that login, with nothing else: no password, no grants, every default.
    #[must_use]
    pub fn new(id: UserId, account: AccountId, login: Login, language: Language, created_at: Timestamp) -> Self {
        Self {
            id,
            account,
            login,
            first_name: String::new(),
            last_name: String::new(),
            email: None,
            language,
            phone: None,
            status: UserStatus::Active,
            disabled_by: None,
            locked_until: None,
            avatar: None,
            notifications: Notifications::default(),
            must_change_password: false,
            has_password: false,
            password_changed_at: None,
            password_expires_at: None,
            is_ldap: false,
            directory_link: None,
            grants: Vec::new(),
            last_login: None,
            created_at,
            updated_at: created_at,
            revision: 1,
        }
    }

    /// May it do everything in its account?
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.grants.iter().any(|g| g.target == GrantTarget::Master)
    }

    /// Its roles, each once, in the order granted.
    #[must_use]
    pub fn roles(&self) -> Vec<RoleId> {
        self.each_role().collect()
    }

    /// The same one by one.
    pub fn each_role(&self) -> impl Iterator<Item = RoleId> {
        self.targets().filter_map(|target| match target {
            GrantTarget::Role(id) => Some(id),
            GrantTarget::Group(_) | GrantTarget::Master => None,
        })
    }

    /// Its groups, each once, in the order granted.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupId> {
        self.each_group().collect()
    }

    /// The same one by one.
    pub fn each_group(&self) -> impl Iterator<Item = GroupId> {
        self.targets().filter_map(|target| match target {
            GrantTarget::Group(id) => Some(id),
            GrantTarget::Role(_) | GrantTarget::Master => None,
        })
    }

    /// What it was granted, each once. Grants are few (tens): looking through those before is cheaper than hashing.
    fn targets(&self) -> impl Iterator<Item = GrantTarget> {
        let grants = self.grants.iter().enumerate();
        let first = grants.filter(|(n, grant)| self.grants.iter().take(*n).all(|g| g.target != grant.target));
        first.map(|(_, grant)| grant.target)
    }

    /// Takes the grants away that do not stay. Whoever is in no group for that reason is in `main` then, as of `at`: nobody
    /// is in no group at all.
    pub fn keep_grants(&mut self, stays: impl Fn(&Grant) -> bool, main: Option<GroupId>, at: Timestamp) {
        let in_a_group = |grants: &[Grant]| grants.iter().any(|g| matches!(g.target, GrantTarget::Group(_)));
        let was_in_a_group = in_a_group(&self.grants);
        self.grants.retain(stays);
        if let Some(main) = main.filter(|_| was_in_a_group && !in_a_group(&self.grants)) {
            self.grants.push(Grant {
                target: GrantTarget::Group(main),
                source: GrantSource::Default,
                directory_group_dn: None,
                granted_by: None,
                granted_at: at,
            });
        }
    }

    /// When its password expires: as the directory says, or by the account's policy.
    #[must_use]
    pub fn password_expiry(&self, max_age_days: Option<u32>) -> Option<Timestamp> {
        if self.is_ldap || self.password_expires_at.is_some() {
            return self.password_expires_at;
        }
        let age = SignedDuration::from_hours(24 * i64::from(max_age_days?));
        self.password_changed_at?.checked_add(age).ok()
    }

    /// Can it sign in with any password at all?
    #[must_use]
    pub fn has_way_in(&self) -> bool {
        self.is_ldap || self.has_password
    }

    /// Does it count as one who can administer its account?
    #[must_use]
    pub fn is_active_master(&self) -> bool {
        self.status == UserStatus::Active && self.is_master()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_bounded() {
        assert_eq!(Email::parse(" Ann@Example.org ").unwrap().folded(), "ann@example.org");
        for bad in [
            "ann",
            "ann@",
            "@example.org",
            "Ann <ann@example.org>",
            "a\nb@example.org",
            "ann@[127.0.0.1]",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert!(matches!(
            Email::parse(&format!("{}@example.org", "x".repeat(300))),
            Err(TextError::TooLong { .. })
        ));
    }

    #[test]
    fn a_link_written_without_a_picture_is_read() {
        let written =
            r#"{"directory":"corp","dn":"uid=ann","external_id":"1","last_checked_at":"2026-03-01T10:00:00.123Z"}"#;
        let link: DirectoryLink = serde_json::from_str(written).unwrap();
        assert_eq!(link.picture, None);
        assert_eq!(serde_json::to_string(&link).unwrap(), written);
    }

    #[test]
    fn the_later_look_at_the_same_entry_counts() {
        let link = |directory: &str, external_id: &str, second: i64| DirectoryLink {
            directory: directory.to_owned(),
            dn: format!("uid=ann,ou={second}"),
            external_id: external_id.to_owned(),
            last_checked_at: Timestamp::from_second(second).unwrap(),
            picture: None,
        };
        let stored = link("corp", "1", 9);
        let replaced = link("corp", "1", 5).replacing(Some(&stored));
        assert_eq!(
            (replaced.dn.as_str(), replaced.last_checked_at),
            ("uid=ann,ou=5", stored.last_checked_at)
        );
        for newer in [link("corp", "1", 10), link("corp", "2", 5), link("other", "1", 5)] {
            assert_eq!(newer.clone().replacing(Some(&stored)), newer);
        }
        assert_eq!(stored.clone().replacing(None), stored);
    }
}
