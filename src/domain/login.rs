//! Logins, as they are kept and as people type them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::account::AccountName;
use crate::domain::text::{TextError, fold, is_hopeless};

/// A user's login without its account: folded, 1 to 128 characters, unique in its account.
///
/// It may hold an `@` (`owner@corp.example`), but no white space and no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Login(String);

impl Login {
    /// The longest login, in characters.
    pub const MAX: usize = 128;

    /// Folds (NFKC, case, trimmed) and checks a login.
    ///
    /// # Errors
    /// [`TextError::Empty`], [`TextError::TooLong`], [`TextError::Control`] or [`TextError::Invalid`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if is_hopeless(text, Self::MAX) {
            return Err(TextError::TooLong {
                max: Self::MAX,
                found: text.chars().count(),
            });
        }
        let login = fold(text);
        if login.is_empty() {
            return Err(TextError::Empty);
        }
        if login.chars().any(char::is_control) {
            return Err(TextError::Control);
        }
        if login.chars().any(char::is_whitespace) {
            return Err(TextError::Invalid("must not hold white space".to_owned()));
        }
        let found = login.chars().count();
        if found > Self::MAX {
            return Err(TextError::TooLong { max: Self::MAX, found });
        }
        Ok(Self(login))
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Login {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::parse(&text)
    }
}

impl From<Login> for String {
    fn from(login: Login) -> Self {
        login.0
    }
}

/// What somebody typed to sign in, folded and split at the **last** `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedLogin {
    /// The part before the last `@`; all of it when there is none.
    pub login: String,
    /// The part after the last `@`; `None` when there is none.
    pub account: Option<String>,
}

impl TypedLogin {
    /// The most characters that are looked at; no login and account are longer.
    const MAX: usize = 256;

    /// Folds and splits; whatever was typed gives some result.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let typed: String = text.chars().take(Self::MAX).collect();
        let folded = fold(&typed);
        match folded.rsplit_once('@') {
            Some((login, account)) => Self {
                login: login.trim().to_owned(),
                account: Some(account.trim().to_owned()),
            },
            None => Self {
                login: folded,
                account: None,
            },
        }
    }

    /// Both parts, when each could be one that exists.
    #[must_use]
    pub fn valid(&self) -> Option<(Login, AccountName)> {
        let account = AccountName::parse(self.account.as_deref()?).ok()?;
        Some((Login::parse(&self.login).ok()?, account))
    }
}

impl fmt::Display for TypedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{}@{account}", self.login),
            None => f.write_str(&self.login),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_at_splits() {
        let typed = TypedLogin::parse(" Owner@Corp.Example@ACME ");
        assert_eq!(
            (typed.login.as_str(), typed.account.as_deref()),
            ("owner@corp.example", Some("acme"))
        );
        assert_eq!(typed.to_string(), "owner@corp.example@acme");
        assert!(typed.valid().is_some());
        assert_eq!(TypedLogin::parse("root").account, None);
        assert_eq!(TypedLogin::parse("root").valid(), None);
        assert_eq!(TypedLogin::parse("@acme").valid(), None);
        assert_eq!(TypedLogin::parse("root@").valid(), None);
        assert_eq!(TypedLogin::parse("a\0b@acme").valid(), None);
    }

    #[test]
    fn logins_are_folded_and_bounded() {
        assert_eq!(Login::parse("ＯＷＮＥＲ").unwrap().as_str(), "owner");
        assert_eq!(Login::parse(" "), Err(TextError::Empty));
        assert!(matches!(Login::parse("a b"), Err(TextError::Invalid(_))));
        assert!(matches!(Login::parse(&"x".repeat(129)), Err(TextError::TooLong { .. })));
        assert_eq!(Login::parse("a\u{1}b"), Err(TextError::Control));
    }
}
