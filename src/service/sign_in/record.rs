//! What an attempt leaves in the history, and what its client is told.

use jiff::Timestamp;

use super::{Aim, SignedIn, Trial};
use crate::domain::ids::{AccountId, LoginEventId, UserId};
use crate::domain::login_event::{LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::text::cut;
use crate::service::lockout::Settled;
use crate::service::settings::seconds_until;
use crate::service::{ErrorCode, Problem, Result};
use crate::store::{Failures, LoginRecord};

impl Trial<'_> {
    pub(super) async fn refuse(
        &self,
        aim: &Aim,
        method: LoginMethod,
        outcome: LoginOutcome,
        detail: Option<String>,
        settled: Settled,
    ) -> Result<SignedIn> {
        self.record(aim, method, outcome, detail, settled).await?;
        Err(refusal(outcome).into())
    }

    pub(super) async fn record(
        &self,
        aim: &Aim,
        method: LoginMethod,
        outcome: LoginOutcome,
        detail: Option<String>,
        settled: Settled,
    ) -> Result<()> {
        let user = aim.user.as_ref().map(|c| c.user.id);
        let event = self.event(aim.home, user, method, outcome, detail)?;
        let services = self.services;
        let on_lock = match (&aim.account, &aim.user, &settled.failures) {
            (Some(account), Some(candidate), Failures::Count(_)) => {
                services.notice_of_lock(account, &candidate.user, self.now, &self.origin)?
            }
            _ => None,
        };
        let recorded = services
            .store
            .record_login(&LoginRecord {
                event,
                opened: None,
                failures: settled.failures,
                released: settled.released,
                mails: Vec::new(),
                on_lock,
            })
            .await?;
        if recorded.locked_until.is_some() {
            services.post.wake(); // there may be a notice of it
        }
        services.meters.count_sign_in(outcome, method);
        Ok(())
    }

    pub(super) fn event(
        &self,
        account: AccountId,
        user: Option<UserId>,
        method: LoginMethod,
        outcome: LoginOutcome,
        detail: Option<String>,
    ) -> Result<LoginEvent> {
        let typed = self.typed.to_string();
        Ok(LoginEvent {
            id: LoginEventId::generate(self.services.clock.as_ref(), self.services.entropy.as_ref())?,
            account,
            user,
            at: self.now,
            attempted_login: if user.is_some() {
                typed
            } else {
                cut(&typed, LoginEvent::MAX_UNKNOWN_LOGIN)
            },
            outcome,
            method,
            origin: self.origin.clone(),
            detail: detail.map(|d| cut(&d, 500)),
            attempts: 1,
            impersonator: None,
        })
    }

    pub(super) fn locked(&self, until: Timestamp) -> Problem {
        let mut problem = Problem::new(
            ErrorCode::Locked,
            "Too many wrong passwords; wait, or ask an administrator.",
        );
        problem.retry_after = Some(seconds_until(self.now, until));
        problem
    }
}

pub(super) fn rate_limited(seconds: u64) -> Problem {
    let message = "Too many attempts to sign in; wait a little.";
    Problem {
        retry_after: Some(seconds),
        ..Problem::new(ErrorCode::RateLimited, message)
    }
}

fn wrong_credentials() -> Problem {
    Problem::new(ErrorCode::WrongCredentials, "Login or password is wrong.")
}

/// What the client is told: of an outcome that would say whether login or password was wrong, nothing.
fn refusal(outcome: LoginOutcome) -> Problem {
    match outcome {
        LoginOutcome::Disabled => Problem::new(ErrorCode::Disabled, "This user is disabled."),
        LoginOutcome::AccountFrozen => Problem::new(ErrorCode::AccountFrozen, "This account is frozen."),
        LoginOutcome::PasswordExpired => Problem::new(
            ErrorCode::PasswordExpired,
            "The directory's password has expired; change it there.",
        ),
        LoginOutcome::PasswordMustChange => Problem::new(
            ErrorCode::PasswordMustChange,
            "The directory's password must be changed there first.",
        ),
        LoginOutcome::DirectoryUnavailable => Problem::new(
            ErrorCode::DirectoryUnavailable,
            "The directory does not answer; try again later.",
        ),
        LoginOutcome::Success
        | LoginOutcome::WrongPassword
        | LoginOutcome::UnknownUser
        | LoginOutcome::Locked
        | LoginOutcome::NotAllowed
        | LoginOutcome::RateLimited => wrong_credentials(),
    }
}
