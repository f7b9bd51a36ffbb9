//! Signing in: every rule of the sign-in's main list, in its order.

mod limits;
mod record;
mod settle;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};

use self::record::rate_limited;
use crate::auth::{Attempt, HashError, SessionSecret, Verdict};
use crate::domain::account::{Account, AccountName};
use crate::domain::credentials::PasswordHash;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::{Login, TypedLogin};
use crate::domain::login_event::{EventOrigin, LoginMethod, LoginOutcome};
use crate::domain::password::{MAX_PASSWORD_BYTES, PasswordPolicy};
use crate::origin::address_prefix;
use crate::service::floor;
use crate::service::lockout::{Entry, Settled};
use crate::service::{DirectoryRules, Result, ServiceError, Services};
use crate::store::{Candidate, StoreError, UserCandidate};

/// What somebody sent to sign in.
#[derive(Debug)]
pub struct SigningIn {
    /// `login@account`, as typed.
    pub login: String,
    /// The password, as typed.
    pub password: SecretString,
    /// Where from.
    pub origin: EventOrigin,
}

/// A session that was opened.
#[derive(Debug)]
pub struct SignedIn {
    /// Its secret, for the client only.
    pub secret: SessionSecret,
    /// Whose it is.
    pub person: crate::access::Person,
}

/// How long whoever is refused because too many others wait is asked to wait.
const BUSY_SECONDS: u64 = 5;

impl Services {
    /// Signs somebody in, or says why not. Once begun, an attempt is carried to its end and into the history even when
    /// the client hangs up, so that hanging up is no way around the counters. Every refusal, whatever the reason, is told
    /// after [`Settings::min_refusal`] at the earliest, or after that of the account's directory where it is longer.
    ///
    /// [`Settings::min_refusal`]: crate::service::Settings::min_refusal
    ///
    /// # Errors
    /// [`ServiceError::Problems`] with the one coded refusal; those of the store.
    pub async fn sign_in(self: &Arc<Self>, signing_in: SigningIn) -> Result<SignedIn> {
        let services = Arc::clone(self);
        let attempt = tokio::spawn(async move {
            let started = Instant::now();
            let (result, rules) = Trial::new(&services, signing_in).run().await;
            if result.is_err() {
                let floor = services.settings.min_refusal;
                let floor = rules.map_or(floor, |rules| floor.max(rules.min_refusal));
                sleep(floor::rest(started.elapsed(), floor)).await;
            }
            result
        });
        attempt.await.map_err(|e| ServiceError::Stopped(e.to_string()))?
    }
}

/// One attempt on its way through the rules.
struct Trial<'a> {
    services: &'a Arc<Services>,
    typed: TypedLogin,
    password: SecretString,
    origin: EventOrigin,
    now: Timestamp,
    network: String,
}

/// Whom the login means, as far as anybody.
struct Aim {
    /// The account that the history and the counters go to.
    home: AccountId,
    policy: PasswordPolicy,
    account: Option<Account>,
    login: Option<Login>,
    user: Option<UserCandidate>,
    /// Somebody of the directory who becomes a user with their first sign-in.
    newcomer: Option<UserCandidate>,
}

impl Aim {
    /// What a right password proves something about: while it is the same, so is what was proven.
    fn proof(&self) -> Option<(UserId, bool, Option<PasswordHash>)> {
        let candidate = self.user.as_ref()?;
        Some((
            candidate.user.id,
            candidate.user.is_ldap,
            candidate.credentials.hash.clone(),
        ))
    }

    /// Whose password it may be.
    fn candidate(&self) -> Option<&UserCandidate> {
        self.user.as_ref().or(self.newcomer.as_ref())
    }

    fn directory(&self) -> Option<&str> {
        self.account.as_ref()?.directory.as_deref()
    }
}

impl<'a> Trial<'a> {
    fn new(services: &'a Arc<Services>, signing_in: SigningIn) -> Self {
        Self {
            services,
            typed: TypedLogin::parse(&signing_in.login),
            password: signing_in.password,
            now: services.clock.now(),
            network: address_prefix(signing_in.origin.ip),
            origin: signing_in.origin,
        }
    }

    /// The result, and the rules of the account's directory when it has one.
    async fn run(&self) -> (Result<SignedIn>, Option<&'a DirectoryRules>) {
        match self.aim().await {
            Ok(aim) => {
                let rules = self.rules_of(&aim);
                (self.attempt(aim, rules).await, rules)
            }
            Err(error) => (Err(error), None),
        }
    }

    async fn aim(&self) -> Result<Aim> {
        let valid = self.typed.valid();
        let candidate = match &valid {
            Some((login, account)) => self.services.store.candidate(account, Some(login)).await?,
            // An account that exists counts its impossible logins itself.
            None => match self.typed.account.as_deref().map(AccountName::parse) {
                Some(Ok(account)) => self.services.store.candidate(&account, None).await?,
                _ => None,
            },
        };
        Ok(match candidate {
            Some(Candidate { account, user }) => Aim {
                home: account.id,
                policy: account.password_policy,
                account: Some(account),
                login: valid.map(|(login, _)| login),
                user,
                newcomer: None,
            },
            None => Aim {
                home: self.system_account().await?,
                policy: PasswordPolicy::default(),
                account: None,
                login: None,
                user: None,
                newcomer: None,
            },
        })
    }

    async fn system_account(&self) -> Result<AccountId> {
        let system = self.services.store.account_by_name(&AccountName::system()).await?;
        Ok(system
            .ok_or_else(|| StoreError::Corrupt("there is no system account".to_owned()))?
            .id)
    }

    fn rules_of(&self, aim: &Aim) -> Option<&'a DirectoryRules> {
        let name = aim.account.as_ref()?.directory.as_ref()?;
        self.services.settings.directories.get(name)
    }

    async fn attempt(&self, mut aim: Aim, rules: Option<&DirectoryRules>) -> Result<SignedIn> {
        let authenticator = self.services.authenticators.for_attempt(&self.attempt_at(&aim));
        let method = authenticator.method();

        // 1. Limits.
        self.check_limits(&aim, method).await?;

        // 2. Lock-out, of logins that do not exist too.
        let counters = self.counters(&aim, rules);
        let places = match self.services.take_places(counters, self.now).await? {
            Entry::Admitted(places) => places,
            Entry::Locked(until) => {
                self.record(&aim, method, LoginOutcome::Locked, None, Settled::nothing())
                    .await?;
                return Err(self.locked(until).into());
            }
            Entry::Full => {
                let detail = Some("too many attempts for this login were under way".to_owned());
                self.record(&aim, method, LoginOutcome::RateLimited, detail, Settled::nothing())
                    .await?;
                return Err(rate_limited(BUSY_SECONDS).into());
            }
        };

        // 3. Passwords that nobody can have; no directory is asked, so its own counter stays.
        let length = self.password.expose_secret().len();
        if length == 0 || length > MAX_PASSWORD_BYTES {
            return self
                .refuse(&aim, method, LoginOutcome::WrongPassword, None, places.wrong_untried())
                .await;
        }

        // 4. Whom nobody here goes by the directory may know.
        if method == LoginMethod::Ldap
            && let Some((outcome, detail)) = self.acquaint(&mut aim).await?
        {
            let settled = places.refused(outcome);
            return self.refuse(&aim, method, outcome, detail, settled).await;
        }

        // 5. The authenticator; it takes as long for nobody as for somebody.
        match authenticator.authenticate(&self.attempt_at(&aim)).await {
            Ok(Verdict::Right(right)) => match &right.person {
                Some(person) => self.settle_person(aim, &right, person, &places, rules).await,
                None => self.settle(aim, &right, &places).await,
            },
            Ok(Verdict::Refused { outcome, detail }) => {
                let settled = places.refused(outcome);
                self.refuse(&aim, method, outcome, detail, settled).await
            }
            Err(error @ HashError::Unreadable(_)) => {
                tracing::error!(login = %self.typed, %error, "nobody can sign in with this user's stored password");
                let detail = Some(error.to_string());
                self.refuse(&aim, method, LoginOutcome::WrongPassword, detail, places.unused())
                    .await
            }
            Err(error @ HashError::Busy) => {
                let detail = Some(error.to_string());
                self.record(&aim, method, LoginOutcome::RateLimited, detail, places.unused())
                    .await?;
                Err(rate_limited(BUSY_SECONDS).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn attempt_at<'b>(&'b self, aim: &'b Aim) -> Attempt<'b> {
        Attempt {
            account: aim.account.as_ref(),
            login: aim.login.as_ref(),
            user: aim.candidate(),
            password: &self.password,
        }
    }
}
