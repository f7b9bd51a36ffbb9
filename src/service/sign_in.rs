//! Signing in: every rule of the sign-in's main list, in its order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::auth::{Attempt, HashError, Right, SessionSecret, Verdict, directory_failure_key, failure_key, limit_key};
use crate::directory::Person;
use crate::domain::account::{Account, AccountName, AccountStatus};
use crate::domain::credentials::PasswordHash;
use crate::domain::ids::{AccountId, LoginEventId, SessionId, UserId};
use crate::domain::login::{Login, TypedLogin};
use crate::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::password::{MAX_PASSWORD_BYTES, PasswordPolicy};
use crate::domain::session::Session;
use crate::domain::text::cut;
use crate::domain::user::{DisabledBy, User, UserStatus};
use crate::origin::address_prefix;
use crate::service::directories::{Mistaken, Stranger, Written};
use crate::service::lockout::{Entry, Places, Settled};
use crate::service::sessions::person_of;
use crate::service::settings::{after, seconds_until};
use crate::service::{DirectoryRules, ErrorCode, Problem, Result, ServiceError, Services};
use crate::store::{
    Candidate, FailureCount, Flood, Identity, LimitKey, LoginRecord, OpenedSession, StoreError, UserCandidate,
};

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

/// Attempts are counted by the minute.
const LIMIT_WINDOW: Duration = Duration::from_secs(60);
/// A user changed at the very moment of the sign-in is read again this often.
const TRIES: usize = 3;
/// A botnet's wrong passwords for one login lock it everywhere after this many times the threshold for one network.
const EVERYWHERE_FACTOR: u32 = 5;
/// How long whoever is refused because too many others wait is asked to wait.
const BUSY_SECONDS: u64 = 5;

impl Services {
    /// Signs somebody in, or says why not. Once begun, an attempt is carried to its end and into the history even when
    /// the client hangs up, so that hanging up is no way around the counters.
    ///
    /// # Errors
    /// [`ServiceError::Problems`] with the one coded refusal; those of the store.
    pub async fn sign_in(self: &Arc<Self>, signing_in: SigningIn) -> Result<SignedIn> {
        let services = Arc::clone(self);
        let attempt = tokio::spawn(async move {
            let started = tokio::time::Instant::now();
            let (result, rules) = Trial::new(&services, signing_in).run().await;
            if let (Err(_), Some(rules)) = (&result, rules) {
                tokio::time::sleep_until(started + rules.min_refusal).await;
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

    /// Step 6: what only the holder of the password is told; and what they proved must still hold when the session opens: a
    /// user who was changed in between is looked at again, without trying the password once more.
    async fn settle(&self, mut aim: Aim, right: &Right, places: &Places) -> Result<SignedIn> {
        let (proof, method) = (aim.proof(), LoginMethod::Local);
        for _ in 0..TRIES {
            let (Some(account), Some(candidate)) = (&aim.account, &aim.user) else {
                break;
            };
            if aim.proof() != proof {
                break;
            }
            let refused = if candidate.user.status == UserStatus::Disabled {
                Some(LoginOutcome::Disabled)
            } else if account.status == AccountStatus::Frozen {
                Some(LoginOutcome::AccountFrozen)
            } else {
                None
            };
            if let Some(outcome) = refused {
                return self.refuse(&aim, method, outcome, None, places.unused()).await;
            }
            let settled = places.right(method);
            match self.open(account, &candidate.user, right, settled, method, None).await {
                Err(ServiceError::Store(StoreError::Conflict { .. } | StoreError::NotFound)) => {}
                result => return result,
            }
            aim = self.aim().await?;
        }
        // Gone, or no longer the same password.
        let outcome = if aim.user.is_some() {
            LoginOutcome::WrongPassword
        } else {
            LoginOutcome::UnknownUser
        };
        let detail = Some("the user was changed while signing in".to_owned());
        self.refuse(&aim, method, outcome, detail, places.unused()).await
    }

    fn attempt_at<'b>(&'b self, aim: &'b Aim) -> Attempt<'b> {
        Attempt {
            account: aim.account.as_ref(),
            login: aim.login.as_ref(),
            user: aim.candidate(),
            password: &self.password,
        }
    }

    /// Finds out whom a login means that nobody has here; why nobody, when nobody may sign in by it.
    async fn acquaint(&self, aim: &mut Aim) -> Result<Option<(LoginOutcome, Option<String>)>> {
        let (None, Some(account), Some(directory), Some(login)) =
            (&aim.user, &aim.account, aim.directory(), &aim.login)
        else {
            return Ok(None);
        };
        match self.services.stranger(account, directory, login).await? {
            Stranger::Renamed(user) => aim.user = Some(*user),
            Stranger::New(newcomer) => aim.newcomer = Some(*newcomer),
            Stranger::Nobody { outcome, detail } => return Ok(Some((outcome, detail))),
        }
        Ok(None)
    }

    /// Step 6 for somebody of a directory: who they are by its own lasting id, whatever they typed, and what it says of them
    /// now goes into their user before the session opens.
    async fn settle_person(
        &self,
        mut aim: Aim,
        right: &Right,
        person: &Person,
        places: &Places,
        rules: Option<&DirectoryRules>,
    ) -> Result<SignedIn> {
        let method = LoginMethod::Ldap;
        let limit = rules.and_then(|rules| rules.session_limit);
        for _ in 0..TRIES {
            let (Some(account), Some(directory), Some(candidate)) = (&aim.account, aim.directory(), aim.candidate())
            else {
                break;
            };
            let user = &candidate.user;
            if !user.is_ldap {
                break;
            }
            let disabled_here = user.status == UserStatus::Disabled && user.disabled_by != Some(DisabledBy::Directory);
            let mut refused = None;
            if disabled_here {
                refused = Some((LoginOutcome::Disabled, None));
            } else if account.status == AccountStatus::Frozen {
                refused = Some((LoginOutcome::AccountFrozen, None));
            } else {
                let is_new = aim.user.is_none();
                match self.services.welcome(account, user, is_new, directory, person).await? {
                    Written::Done(user) if user.status == UserStatus::Disabled => {
                        let detail = "the directory lets nobody in as this person".to_owned();
                        refused = Some((LoginOutcome::Disabled, Some(detail)));
                    }
                    Written::Done(user) => {
                        match self
                            .open(account, &user, right, places.right(method), method, limit)
                            .await
                        {
                            Err(ServiceError::Store(StoreError::Conflict { .. } | StoreError::NotFound)) => {}
                            result => {
                                if result.is_ok() {
                                    self.services.take_over_picture(account, &user, directory, person);
                                }
                                return result;
                            }
                        }
                    }
                    Written::Mistaken(mistaken) => {
                        refused = Some((LoginOutcome::NotAllowed, Some(mistaken.detail().to_owned())));
                    }
                    Written::Conflict => {}
                }
            }
            if let Some((outcome, detail)) = refused {
                return self.refuse(&aim, method, outcome, detail, places.unused()).await;
            }
            let newcomer = aim.newcomer.take();
            aim = self.aim().await?;
            if let (None, Some(account), Some(directory)) = (&aim.user, &aim.account, aim.directory()) {
                // By now somebody else may have made them a user, or renamed the one they are.
                match self.services.user_of_entry(account, directory, person).await? {
                    Some(user) => aim.user = Some(Stranger::without_password(user)),
                    None => aim.newcomer = newcomer,
                }
            }
        }
        let detail = if aim.newcomer.is_some() {
            Mistaken::LoginTaken.detail()
        } else {
            "the user was changed while signing in"
        };
        let (outcome, detail) = (LoginOutcome::NotAllowed, Some(detail.to_owned()));
        self.refuse(&aim, method, outcome, detail, places.unused()).await
    }

    /// Step 7: the session, the event, the counters and the user's last sign-ins, as one intent.
    async fn open(
        &self,
        account: &Account,
        user: &User,
        right: &Right,
        settled: Settled,
        method: LoginMethod,
        limit: Option<Duration>,
    ) -> Result<SignedIn> {
        let services = self.services;
        let roles = services.store.roles_by_ids(&user.roles()).await?;
        let lifetime = services.settings.session_lifetime;
        let secret = SessionSecret::generate(services.entropy.as_ref())?;
        let session = Session {
            id: SessionId::generate(services.clock.as_ref(), services.entropy.as_ref())?,
            account: account.id,
            user: user.id,
            created_at: self.now,
            last_seen_at: self.now,
            expires_at: after(self.now, limit.map_or(lifetime, |limit| limit.min(lifetime))),
            origin: self.origin.clone(),
            impersonation: None,
        };
        let record = LoginRecord {
            event: self.event(
                account.id,
                Some(user.id),
                method,
                LoginOutcome::Success,
                right.detail.clone(),
            )?,
            opened: Some(OpenedSession {
                session: session.clone(),
                token_hash: secret.hash(),
                user_revision: user.revision,
                rehashed: right.rehashed.clone(),
            }),
            failures: settled.failures,
            released: settled.released,
        };
        let recorded = services.store.record_login(&record).await?;
        services.meters.count_sign_in(LoginOutcome::Success, method);
        // What was just written, without reading it back.
        let user = User {
            last_login: Some(record.event),
            locked_until: recorded.locked_until,
            ..user.clone()
        };
        let person = person_of(
            Identity {
                session,
                user,
                account: account.clone(),
                roles,
            },
            self.now,
        );
        Ok(SignedIn { secret, person })
    }

    async fn refuse(
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

    async fn check_limits(&self, aim: &Aim, method: LoginMethod) -> Result<()> {
        let settings = &self.services.settings;
        let login = self.typed.to_string();
        let limits: Vec<(LimitKey, u32, bool)> = [
            (
                limit_key("address", &self.network_or_address()),
                settings.sign_in_per_address,
                false,
            ),
            (limit_key("login", &login), settings.sign_in_per_login, true),
        ]
        .into_iter()
        .filter(|(_, limit, _)| *limit > 0)
        .collect();
        if limits.is_empty() {
            return Ok(());
        }
        let window_millis = 60_000;
        let begun = self.now.as_millisecond().div_euclid(window_millis) * window_millis;
        let window_start = Timestamp::from_millisecond(begun).unwrap_or(self.now);
        let keys: Vec<LimitKey> = limits.iter().map(|(key, ..)| *key).collect();
        let counts = self
            .services
            .store
            .count_attempts(&keys, window_start, LIMIT_WINDOW)
            .await?;
        let over = limits.iter().zip(counts).find(|((_, limit, _), count)| count > limit);
        let Some(((key, _, of_login), _)) = over else {
            return Ok(());
        };

        let user = aim.user.as_ref().filter(|_| *of_login).map(|c| c.user.id);
        let mut event = self.event(aim.home, user, method, LoginOutcome::RateLimited, None)?;
        event.id = flood_id(key, window_start, aim.home);
        self.services.store.record_flood(&Flood { event }).await?;
        self.services.meters.count_sign_in(LoginOutcome::RateLimited, method);
        Err(rate_limited(seconds_until(self.now, after(window_start, LIMIT_WINDOW))).into())
    }

    /// One subscriber holds a whole IPv6 /64: its addresses count as one.
    fn network_or_address(&self) -> String {
        if self.origin.ip.is_ipv6() {
            self.network.clone()
        } else {
            self.origin.ip.to_string()
        }
    }

    /// The counters that a wrong password for this login adds to, and that may lock it.
    fn counters(&self, aim: &Aim, rules: Option<&DirectoryRules>) -> Vec<FailureCount> {
        let threshold = aim.policy.lockout_threshold;
        let window = Duration::from_secs(u64::from(aim.policy.lockout_minutes) * 60);
        let mut counters = Vec::new();
        if threshold > 0 {
            let here = failure_key(aim.home, &self.typed, Some(&self.network));
            let everywhere = failure_key(aim.home, &self.typed, None);
            let count = |key, threshold| FailureCount {
                key,
                threshold,
                window,
                locks_user: true,
            };
            counters.push(count(here, threshold));
            counters.push(count(everywhere, threshold.saturating_mul(EVERYWHERE_FACTOR)));
        }
        // For every login of such an account: that some lock sooner would tell who they are.
        let directory = aim.account.as_ref().and_then(|a| a.directory.as_deref());
        if let (Some(directory), Some(rules)) = (directory, rules.filter(|r| r.max_failures > 0)) {
            counters.push(FailureCount {
                key: directory_failure_key(directory, &self.typed),
                threshold: rules.max_failures,
                window: rules.failure_window,
                locks_user: false,
            });
        }
        counters
    }

    async fn record(
        &self,
        aim: &Aim,
        method: LoginMethod,
        outcome: LoginOutcome,
        detail: Option<String>,
        settled: Settled,
    ) -> Result<()> {
        let user = aim.user.as_ref().map(|c| c.user.id);
        let event = self.event(aim.home, user, method, outcome, detail)?;
        self.services
            .store
            .record_login(&LoginRecord {
                event,
                opened: None,
                failures: settled.failures,
                released: settled.released,
            })
            .await?;
        self.services.meters.count_sign_in(outcome, method);
        Ok(())
    }

    fn event(
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

    fn locked(&self, until: Timestamp) -> Problem {
        let mut problem = Problem::new(
            ErrorCode::Locked,
            "Too many wrong passwords; wait, or ask an administrator.",
        );
        problem.retry_after = Some(seconds_until(self.now, until));
        problem
    }
}

/// The same for every attempt over the same limit in one window, so that all of them make one event.
fn flood_id(key: &LimitKey, window_start: Timestamp, account: AccountId) -> LoginEventId {
    let mut hasher = Sha256::new();
    hasher.update(key.0);
    hasher.update(window_start.as_millisecond().to_be_bytes());
    hasher.update(account.as_uuid().as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut random = [0_u8; 10];
    random.copy_from_slice(&digest[..10]); // 10 of 32
    let millis = u64::try_from(window_start.as_millisecond()).unwrap_or(0);
    LoginEventId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

fn rate_limited(seconds: u64) -> Problem {
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
