//! The pluggable part of a sign-in: who checks the password.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::auth::HashError;
use crate::domain::account::Account;
use crate::domain::credentials::PasswordHash;
use crate::domain::login::Login;
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::store::UserCandidate;

/// One submitted password.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The account that the login names.
    pub account: Option<&'a Account>,
    /// The login in it, when it could be one that exists.
    pub login: Option<&'a Login>,
    /// The user, when there is one.
    pub user: Option<&'a UserCandidate>,
    /// The password: not empty, and not longer than [`crate::domain::password::MAX_PASSWORD_BYTES`].
    pub password: &'a SecretString,
}

/// What a right password brought with it.
#[derive(Debug, Default)]
pub struct Right {
    /// The same password, hashed with today's parameters.
    pub rehashed: Option<PasswordHash>,
    /// The directory's entry, for what a sign-in refreshes from it.
    pub person: Option<Box<crate::directory::Person>>,
    /// What the history is told.
    pub detail: Option<String>,
}

/// What an authenticator says.
#[derive(Debug)]
pub enum Verdict {
    /// It is the password.
    Right(Right),
    /// It is not, or the directory does not let them in.
    Refused {
        /// The outcome for the history; never `Success`.
        outcome: LoginOutcome,
        /// What an administrator may want to know.
        detail: Option<String>,
    },
}

impl Verdict {
    /// A refusal without more to say.
    #[must_use]
    pub fn refused(outcome: LoginOutcome) -> Self {
        Self::Refused { outcome, detail: None }
    }
}

/// Checks passwords. An implementation tries each submitted password at most once, and takes as long for somebody who
/// does not exist as for somebody who does.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync {
    /// What the history calls it.
    fn method(&self) -> LoginMethod;

    /// Checks one password.
    ///
    /// # Errors
    /// When a hash cannot be computed or read; a directory that is away is a verdict, not an error.
    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Verdict, HashError>;
}

/// The authenticators, and which of them is for whom.
#[derive(Debug, Clone)]
pub struct Authenticators {
    /// For users with a password of their own, and for nobody.
    pub local: Arc<dyn Authenticator>,
    /// For LDAP users, and for unknown logins of accounts with a directory.
    pub ldap: Arc<dyn Authenticator>,
}

impl Authenticators {
    /// The one for this account and user: a local user never touches the directory, an LDAP user has no local password.
    #[must_use]
    pub fn for_attempt(&self, attempt: &Attempt<'_>) -> &dyn Authenticator {
        let has_directory = attempt.account.is_some_and(|a| a.directory.is_some());
        let ldap = match attempt.user {
            Some(candidate) => candidate.user.is_ldap,
            None => has_directory && attempt.login.is_some(),
        };
        if ldap { self.ldap.as_ref() } else { self.local.as_ref() }
    }
}
