//! Users whose password their company's directory keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::auth::{Attempt, Authenticator, HashError, Right, Verdict};
use crate::directory::{Authentication, Directory, DirectoryError, Refusal};
use crate::domain::login_event::{LoginMethod, LoginOutcome};

/// Binds as the person at the directory of the account. Nothing of the password is kept.
#[derive(Debug)]
pub struct LdapAuthenticator {
    directories: BTreeMap<String, Arc<Directory>>,
}

impl LdapAuthenticator {
    /// Uses these directories, by their configured names.
    #[must_use]
    pub fn new(directories: BTreeMap<String, Arc<Directory>>) -> Self {
        Self { directories }
    }
}

#[async_trait]
impl Authenticator for LdapAuthenticator {
    fn method(&self) -> LoginMethod {
        LoginMethod::Ldap
    }

    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Verdict, HashError> {
        let Some(name) = attempt.account.and_then(|a| a.directory.as_deref()) else {
            return Ok(Verdict::Refused {
                outcome: LoginOutcome::NotAllowed,
                detail: Some("an LDAP user, but the account has no directory".to_owned()),
            });
        };
        let Some(directory) = self.directories.get(name) else {
            return Ok(Verdict::Refused {
                outcome: LoginOutcome::DirectoryUnavailable,
                detail: Some(format!("the directory {name:?} is not in the configuration")),
            });
        };
        let Some(login) = attempt.login else {
            return Ok(Verdict::refused(LoginOutcome::UnknownUser));
        };
        if attempt.user.is_none() {
            // Nobody's password is tried on somebody who may not sign in anyway.
            return Ok(Verdict::refused(LoginOutcome::UnknownUser));
        }
        Ok(match directory.authenticate(login.as_str(), attempt.password).await {
            Authentication::Success { person, detail } => Verdict::Right(Right {
                rehashed: None,
                person: Some(person),
                detail,
            }),
            Authentication::Refused { reason, detail } => Verdict::Refused {
                outcome: outcome_of(reason),
                detail,
            },
            Authentication::Unavailable(error) => unavailable(name, &error),
        })
    }
}

/// The history of an account is no place for what a server said: that is for the operators' log.
fn unavailable(directory: &str, error: &DirectoryError) -> Verdict {
    tracing::warn!(directory, %error, "a directory could not be asked");
    Verdict::Refused {
        outcome: LoginOutcome::DirectoryUnavailable,
        detail: Some("no server of the directory could be asked".to_owned()),
    }
}

fn outcome_of(refusal: Refusal) -> LoginOutcome {
    match refusal {
        Refusal::WrongPassword => LoginOutcome::WrongPassword,
        Refusal::UnknownUser => LoginOutcome::UnknownUser,
        Refusal::Locked => LoginOutcome::Locked,
        Refusal::Disabled => LoginOutcome::Disabled,
        Refusal::NotAllowed => LoginOutcome::NotAllowed,
        Refusal::PasswordExpired => LoginOutcome::PasswordExpired,
        Refusal::PasswordMustChange => LoginOutcome::PasswordMustChange,
    }
}
