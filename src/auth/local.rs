//! Users whose password Doorward keeps.

use async_trait::async_trait;

use crate::auth::{Attempt, Authenticator, HashError, HashPool, Right, Verdict};
use crate::domain::account::Account;
use crate::domain::login_event::{LoginMethod, LoginOutcome};

/// Checks against the stored argon2id hash. For a user without a password, and for nobody, a dummy is checked instead.
#[derive(Debug)]
pub struct LocalAuthenticator {
    hashes: HashPool,
}

impl LocalAuthenticator {
    /// Uses that pool.
    #[must_use]
    pub fn new(hashes: HashPool) -> Self {
        Self { hashes }
    }
}

#[async_trait]
impl Authenticator for LocalAuthenticator {
    fn method(&self) -> LoginMethod {
        LoginMethod::Local
    }

    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Verdict, HashError> {
        let stored = attempt.user.and_then(|c| c.credentials.hash.as_ref());
        let checked = self.hashes.check(attempt.password, stored).await?;
        // Where local passwords are refused a right one opens nothing.
        let refuses_local = attempt.account.is_some_and(Account::refuses_local_passwords);
        Ok(match (attempt.user, checked.right) {
            (None, _) => Verdict::refused(LoginOutcome::UnknownUser),
            (Some(_), false) => Verdict::refused(LoginOutcome::WrongPassword),
            (Some(_), true) if refuses_local => Verdict::Refused {
                outcome: LoginOutcome::NotAllowed,
                detail: Some("the account takes passwords of its directory only".to_owned()),
            },
            (Some(_), true) => Verdict::Right(Right {
                rehashed: checked.rehashed,
                ..Right::default()
            }),
        })
    }
}
