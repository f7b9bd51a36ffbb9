//! An account: one tenant with its own people, roles, groups and rules.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::AccountId;
use crate::domain::password::PasswordPolicy;
use crate::domain::text::{TextError, fold, is_hopeless};

/// The part after the `@` of a login: `[a-z0-9-]{1,63}`, unique in the whole installation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

impl AccountName {
    /// The account whose masters are the operators of the installation.
    pub const SYSTEM: &'static str = "system";

    /// Folds and checks a name.
    ///
    /// # Errors
    /// [`TextError::Empty`], [`TextError::TooLong`] (63) or [`TextError::Invalid`] that names the character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if is_hopeless(text, 63) {
            return Err(TextError::TooLong {
                max: 63,
                found: text.chars().count(),
            });
        }
        let name = fold(text);
        if name.is_empty() {
            return Err(TextError::Empty);
        }
        let found = name.chars().count();
        if found > 63 {
            return Err(TextError::TooLong { max: 63, found });
        }
        match name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            Some(c) => Err(TextError::Invalid(format!(
                "holds {c:?}; an account's name is made of a-z, 0-9 and -"
            ))),
            None => Ok(Self(name)),
        }
    }

    /// The name of the operators' account.
    #[must_use]
    pub fn system() -> Self {
        Self(Self::SYSTEM.to_owned())
    }

    /// Is this the operators' account?
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0 == Self::SYSTEM
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AccountName {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

/// Whether an account's people may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountStatus {
    /// They may.
    Active,
    /// Nobody of it may; nothing is lost.
    Frozen,
}

/// The language that Doorward writes to somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

impl Language {
    /// That of a language tag (BCP 47), such as `ru-RU`; `None` for any other.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        let is = |code: &str| primary.eq_ignore_ascii_case(code);
        if is("en") {
            Some(Self::En)
        } else {
            is("ru").then_some(Self::Ru)
        }
    }
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Its unique name.
    pub name: AccountName,
    /// Its name for people; at most 200 characters.
    pub title: String,
    /// Active or frozen.
    pub status: AccountStatus,
    /// IANA name of the zone that its days begin in.
    pub time_zone: String,
    /// Language of new users.
    pub default_language: Language,
    /// Name of the configured directory that its LDAP users sign in with; `None`: LDAP is off.
    pub directory: Option<String>,
    /// Local passwords are refused, those of operators excepted.
    pub directory_only: bool,
    /// What its local passwords must be like.
    pub password_policy: PasswordPolicy,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows by one with each change, from 1.
    pub revision: i64,
}

impl Account {
    /// The longest title, in characters.
    pub const MAX_TITLE: usize = 200;

    /// Does nobody of it sign in with a local password? Operators keep their way in, whatever the directory does.
    #[must_use]
    pub fn refuses_local_passwords(&self) -> bool {
        self.directory_only && !self.name.is_system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(AccountName::parse(" ACME-2 ").unwrap().as_str(), "acme-2");
        assert_eq!(AccountName::parse(""), Err(TextError::Empty));
        assert!(matches!(AccountName::parse("a.b"), Err(TextError::Invalid(m)) if m.contains("'.'")));
        assert!(matches!(
            AccountName::parse(&"a".repeat(64)),
            Err(TextError::TooLong { max: 63, found: 64 })
        ));
        assert!(AccountName::parse("system").unwrap().is_system());
    }
}
