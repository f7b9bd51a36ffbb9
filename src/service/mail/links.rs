//! Links in mails that let somebody set a password, and what becomes of them when they are opened.

use std::sync::Arc;

use secrecy::SecretString;

use super::Address;
use crate::auth::{LinkSecret, SessionSecret, failure_key};
use crate::domain::account::{Account, AccountStatus, Language};
use crate::domain::credentials::PasswordChange;
use crate::domain::ids::{LoginEventId, SessionId, UserId};
use crate::domain::link::LinkState;
use crate::domain::login::TypedLogin;
use crate::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::mail::{Mail, Matter};
use crate::domain::password::PasswordPolicy;
use crate::domain::session::Session;
use crate::domain::user::{User, UserStatus};
use crate::service::audit::{Actor, diff, secret_changed, user_fields};
use crate::service::passwords::mail_off;
use crate::service::sessions::person_of;
use crate::service::settings::after;
use crate::service::users::{action_on, qualified};
use crate::service::{Caller, ErrorCode, Problem, Result, ServiceError, Services, SignedIn, UserWrites};
use crate::store::{Failures, FoundLink, Identity, LoginRecord, OpenedSession, Redemption, StoreError};

/// A user changed at the very moment is read again this often.
const TRIES: usize = 3;

/// What the page behind a link shows before anything is done.
#[derive(Debug, Clone)]
pub struct LinkSeen {
    /// Whose password it sets, as `login@account`.
    pub login: String,
    /// Their language.
    pub language: Language,
    /// What their password must keep to.
    pub policy: PasswordPolicy,
    /// Whether the link itself still works.
    pub state: LinkState,
    /// Why it sets none; `None` when it works.
    pub refusal: Option<Problem>,
}

/// What somebody sends from that page.
#[derive(Debug)]
pub struct NewPasswordByLink {
    /// The link's secret, as it came.
    pub token: String,
    /// The new password, as typed.
    pub password: SecretString,
    /// Where from.
    pub origin: EventOrigin,
}

impl Services {
    /// Looks at a link, and changes nothing; `None` when it is none of Doorward's, or too old to be known.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn look_at_link(&self, token: &str) -> Result<Option<LinkSeen>> {
        let Some(found) = self.found_link(token).await? else {
            return Ok(None);
        };
        Ok(Some(LinkSeen {
            login: qualified(&found.user, &found.account.name),
            language: found.user.language,
            policy: found.account.password_policy,
            state: self.state(&found),
            refusal: self
                .no_use(&found)
                .or_else(|| refusal(&found).map(|(_, problem)| problem)),
        }))
    }

    /// Sets a password by a link, ends the user's sessions, and opens one. The link works once.
    ///
    /// # Errors
    /// Problems with `token` (`ExpiredLink`, whatever ended it) or `newPassword`; `Disabled` and `AccountFrozen`, which leave
    /// link and password as they are; `IsLdap`, `DirectoryOnly`; those of the store.
    pub async fn redeem_link(self: &Arc<Self>, new: NewPasswordByLink) -> Result<SignedIn> {
        let services = Arc::clone(self);
        // Once begun it is carried to its end, also when the client hangs up.
        let redeeming = tokio::spawn(async move { services.redeem(new).await });
        redeeming.await.map_err(|e| ServiceError::Stopped(e.to_string()))?
    }

    async fn redeem(&self, new: NewPasswordByLink) -> Result<SignedIn> {
        for _ in 0..TRIES {
            let found = self.found_link(&new.token).await?.ok_or_else(no_such_link)?;
            if let Some(problem) = self.no_use(&found) {
                return Err(problem.into());
            }
            if let Some((outcome, problem)) = refusal(&found) {
                self.record_refusal(&found, outcome, new.origin).await?;
                return Err(problem.into());
            }
            let (account, user) = (&found.account, &found.user);
            self.check_takes_password(account, user)?;
            self.check_policy(account, user, &new.password, "newPassword").await?;
            self.check_history(account, &found.credentials, &new.password, "newPassword")
                .await?;
            let hash = self.hashes.hash(&new.password).await?;

            let secret = SessionSecret::generate(self.entropy.as_ref())?;
            let change = PasswordChange {
                hash,
                changed_at: self.clock.now(),
                must_change: false,
                keep_history: account.password_policy.history,
            };
            let redemption = self.redemption(&found, change, &secret, &new.origin)?;
            match self.store.redeem_link(&redemption).await {
                // Used, superseded or changed by somebody else in this moment: the next look says by what.
                Err(StoreError::Conflict { .. } | StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.post.announce(&redemption.mails);
                    self.meters.count_sign_in(LoginOutcome::Success, LoginMethod::Link);
                    return self.signed_in(found, redemption, secret).await;
                }
            }
        }
        Err(StoreError::Unavailable("the user keeps changing".to_owned()).into())
    }

    async fn found_link(&self, token: &str) -> Result<Option<FoundLink>> {
        match LinkSecret::parse(token) {
            Some(secret) => Ok(self.store.find_link(&secret.hash()).await?),
            None => Ok(None),
        }
    }

    fn state(&self, found: &FoundLink) -> LinkState {
        found.link.state(self.clock.now(), &found.user)
    }

    /// May this user be sent a link at all?
    pub(in crate::service) fn check_takes_link(&self, account: &Account, user: &User) -> Result<()> {
        if !self.settings.mail.is_on {
            return Err(mail_off().into());
        }
        self.check_takes_password(account, user)?;
        let refused = if user.email.is_none() {
            (ErrorCode::NoAddress, "The user has no address to send the link to.")
        } else if user.status == UserStatus::Disabled {
            (ErrorCode::Disabled, "The user is disabled: the link would not work.")
        } else if account.status == AccountStatus::Frozen {
            (
                ErrorCode::AccountFrozen,
                "The account is frozen: the link would not work.",
            )
        } else {
            return Ok(());
        };
        Err(Problem::new(refused.0, refused.1).into())
    }

    /// Why the link itself does not work.
    fn no_use(&self, found: &FoundLink) -> Option<Problem> {
        let message = match self.state(found) {
            LinkState::Valid => return None,
            LinkState::Used => "The link was used already; sign in, or ask for a new one.",
            LinkState::Superseded => {
                "The link no longer works: a newer one was sent, or password or address were changed since."
            }
            LinkState::Expired => "The link has expired; ask for a new one.",
        };
        Some(Problem::at(&["token"], ErrorCode::ExpiredLink, message))
    }

    async fn record_refusal(&self, found: &FoundLink, outcome: LoginOutcome, origin: EventOrigin) -> Result<()> {
        let event = self.link_event(found, outcome, origin)?;
        self.meters.count_sign_in(outcome, LoginMethod::Link);
        let record = LoginRecord {
            event,
            opened: None,
            failures: Failures::Unchanged,
            released: Vec::new(),
            mails: Vec::new(),
            on_lock: None,
        };
        self.store.record_login(&record).await?;
        Ok(())
    }

    fn link_event(&self, found: &FoundLink, outcome: LoginOutcome, origin: EventOrigin) -> Result<LoginEvent> {
        Ok(LoginEvent {
            id: LoginEventId::generate(self.clock.as_ref(), self.entropy.as_ref())?,
            account: found.account.id,
            user: Some(found.user.id),
            at: self.clock.now(),
            attempted_login: qualified(&found.user, &found.account.name),
            outcome,
            method: LoginMethod::Link,
            origin,
            detail: None,
            attempts: 1,
            impersonator: None,
        })
    }

    fn redemption(
        &self,
        found: &FoundLink,
        change: PasswordChange,
        secret: &SessionSecret,
        origin: &EventOrigin,
    ) -> Result<Redemption> {
        let (account, user) = (&found.account, &found.user);
        let (clock, entropy) = (self.clock.as_ref(), self.entropy.as_ref());
        let at = change.changed_at;
        let event = self.link_event(found, LoginOutcome::Success, origin.clone())?;
        let session = Session {
            id: SessionId::generate(clock, entropy)?,
            account: account.id,
            user: user.id,
            created_at: at,
            last_seen_at: at,
            expires_at: after(at, self.settings.session_lifetime),
            origin: origin.clone(),
            impersonation: None,
        };
        let mut changes = diff(&user_fields(user), &user_fields(&changed(user, &change)));
        changes.push(secret_changed("password"));
        let actor = Actor::user(user, account, origin.ip);
        let audit = self.audit(actor, action_on("resetPassword", user, account, changes))?;
        // Nobody need be told of the first password they ever set.
        let notice = if user.has_password {
            self.notice_of_password(account, user, at, None, Some(origin.clone()))?
        } else {
            None
        };
        let typed = TypedLogin {
            login: user.login.to_string(),
            account: Some(account.name.to_string()),
        };
        Ok(Redemption {
            hash: found.link.hash,
            at,
            change,
            opened: OpenedSession {
                session,
                token_hash: secret.hash(),
                user_revision: user.revision,
                rehashed: None,
            },
            event,
            cleared: vec![failure_key(account.id, &typed, None)],
            audit,
            mails: notice.into_iter().collect(),
        })
    }

    /// What was just written, without reading it back.
    async fn signed_in(&self, found: FoundLink, done: Redemption, secret: SessionSecret) -> Result<SignedIn> {
        let user = User {
            last_login: Some(done.event),
            locked_until: None,
            ..changed(&found.user, &done.change)
        };
        let roles = self.store.roles_by_ids(&user.roles()).await?;
        let identity = Identity {
            session: done.opened.session,
            user,
            account: found.account,
            roles,
        };
        Ok(SignedIn {
            secret,
            person: person_of(identity, done.at),
        })
    }
}

impl UserWrites<'_> {
    /// Sends a user a link to set a password.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed`, `MailOff`, `NoAddress`, `IsLdap`, `DirectoryOnly`, `Disabled`, `AccountFrozen`;
    /// [`Denied`](crate::access::Denied) to whoever acts for another; those of the store.
    pub async fn send_access_email(&self, id: UserId) -> Result<User> {
        self.caller.principal().not_impersonating()?;
        let (user, account) = self.writable(id).await?;
        self.caller.services.check_takes_link(&account, &user)?;
        let mail = self.caller.access_mail(&account, &user)?;
        let change = secret_changed("accessEmail");
        let audit = self
            .caller
            .audit(action_on("sendAccessEmail", &user, &account, vec![change]))?;
        self.caller.store().queue_mails(&mail, Some(&audit)).await?;
        self.caller.services.post.announce(&mail);
        Ok(user)
    }
}

impl Caller {
    /// The mail with a link for that user, as it is after the change that the mail goes with.
    pub(in crate::service) fn access_mail(&self, account: &Account, user: &User) -> Result<Vec<Mail>> {
        let matter = Matter::Access {
            by: self.in_words(),
            password_changed_at: user.password_changed_at,
        };
        let mail = self.services.letter(account, user, matter, Address::Contact)?;
        Ok(mail.into_iter().collect())
    }
}

/// Why nobody gets in, although the link is right.
fn refusal(found: &FoundLink) -> Option<(LoginOutcome, Problem)> {
    if found.user.status == UserStatus::Disabled {
        let problem = Problem::new(ErrorCode::Disabled, "This user is disabled.");
        Some((LoginOutcome::Disabled, problem))
    } else if found.account.status == AccountStatus::Frozen {
        let problem = Problem::new(ErrorCode::AccountFrozen, "This account is frozen.");
        Some((LoginOutcome::AccountFrozen, problem))
    } else {
        None
    }
}

fn no_such_link() -> Problem {
    let message = "The link is none that works; it may be cut short, or long expired. Ask for a new one.";
    Problem::at(&["token"], ErrorCode::ExpiredLink, message)
}

/// The user with the new password.
fn changed(user: &User, change: &PasswordChange) -> User {
    User {
        has_password: true,
        password_changed_at: Some(change.changed_at),
        must_change_password: change.must_change,
        updated_at: change.changed_at,
        revision: user.revision + 1,
        ..user.clone()
    }
}
