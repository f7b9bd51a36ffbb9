//! Acting for somebody else: with a reason, for a while, and with both names on everything.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::{Denied, Person};
use crate::auth::SessionSecret;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::audit::{AuditEntry, FieldChange};
use crate::domain::ids::{LoginEventId, SessionId, UserId};
use crate::domain::login_event::{EventOrigin, Impersonator, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::session::{Impersonation, Session};
use crate::domain::text::required_line;
use crate::domain::user::{User, UserStatus};
use crate::service::sessions::person_of;
use crate::service::settings::after;
use crate::service::users::{action_on, no_such_user, qualified};
use crate::service::{Caller, ErrorCode, Problem, Problems, Result, Services, SignedIn};
use crate::store::{Identity, OpenedSession, StoreError, WhichSessions};

/// A user changed at the very moment is read again this often.
const TRIES: usize = 3;

/// What somebody wants who acts for somebody else.
#[derive(Debug)]
pub struct ImpersonationInput {
    /// For whom; `None`: what was given is no user's id.
    pub user: Option<UserId>,
    /// Why; at most [`Impersonation::MAX_REASON`] characters.
    pub reason: String,
    /// Only to look.
    pub read_only: bool,
    /// For how long, in minutes: 1 to [`Impersonation::MAX_MINUTES`].
    pub minutes: i32,
    /// Where from.
    pub origin: EventOrigin,
}

impl Caller {
    /// Opens a session in which the caller acts for somebody else. `own_secret` is that of the caller's own session.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` (upwards, or oneself), `Disabled`, `AccountFrozen` with `id`; problems with `reason` and
    /// `minutes`; [`Denied`] for whoever is no master, or acts for somebody already; those of the store.
    pub async fn impersonate(&self, input: ImpersonationInput, own_secret: &SessionSecret) -> Result<SignedIn> {
        self.principal().signed_in()?;
        self.principal().not_impersonating()?;
        self.principal().may_change()?;
        let own = self.principal().as_person()?;
        if !own.is_master() {
            return Err(Denied::Missing("a master user").into());
        }
        let mut problems = Problems::default();
        let reason = problems.text(&["reason"], required_line(&input.reason, Impersonation::MAX_REASON));
        if !(1..=Impersonation::MAX_MINUTES).contains(&input.minutes) {
            let message = format!(
                "minutes is {}; it is 1 to {}",
                input.minutes,
                Impersonation::MAX_MINUTES
            );
            problems.push(Problem::at(&["minutes"], ErrorCode::Invalid, message));
        }
        problems.check()?;

        let secret = SessionSecret::generate(self.services.entropy.as_ref())?;
        let impersonation = Impersonation {
            by: Impersonator {
                user: own.user.id,
                name: own.qualified_login(),
            },
            reason: reason.unwrap_or_default(),
            read_only: input.read_only,
            own_session: own.session.id,
            sealed_secret: secret.seal(own_secret),
        };
        let minutes = u64::try_from(input.minutes).unwrap_or(0);
        let ends = after(self.now(), Duration::from_secs(minutes * 60)).min(own.session.expires_at);
        for _ in 0..TRIES {
            let (user, account) = self.impersonable(own, input.user).await?;
            let opened = OpenedSession {
                session: Session {
                    id: SessionId::generate(self.services.clock.as_ref(), self.services.entropy.as_ref())?,
                    account: account.id,
                    user: user.id,
                    created_at: self.now(),
                    last_seen_at: self.now(),
                    expires_at: ends,
                    origin: input.origin.clone(),
                    impersonation: Some(impersonation.clone()),
                },
                token_hash: secret.hash(),
                user_revision: user.revision,
                rehashed: None,
            };
            let event = self.impersonation_event(&opened.session, &user, &account, &impersonation)?;
            let audit = self.impersonation_entry("impersonateUser", &user, &account, &impersonation, Some(minutes))?;
            let notice = self.notice_of_impersonation(&account, &user, &impersonation, minutes)?;
            let mails = Vec::from_iter(notice);
            match self.store().open_impersonation(&opened, &event, &audit, &mails).await {
                Ok(()) => {
                    self.services.post.announce(&mails);
                    let roles = self.store().roles_by_ids(&user.roles()).await?;
                    let identity = Identity {
                        session: opened.session,
                        user,
                        account,
                        roles,
                    };
                    let person = person_of(identity, self.now());
                    return Ok(SignedIn { secret, person });
                }
                Err(StoreError::Conflict { .. } | StoreError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("the user keeps changing".to_owned()).into())
    }

    /// Ends the impersonation that asks, and gives the impersonator's own session back. `secret` is that of the
    /// impersonation.
    ///
    /// # Errors
    /// `NotAllowed` for whoever acts for nobody; [`Denied::Unauthenticated`] when the own session has just ended too; those
    /// of the store.
    pub async fn stop_impersonating(&self, secret: &SessionSecret) -> Result<SignedIn> {
        let person = self.principal().as_person()?;
        let Some(impersonation) = &person.session.impersonation else {
            let message = "You act for nobody but yourself.";
            return Err(Problem::new(ErrorCode::NotAllowed, message).into());
        };
        let (user, account) = (&person.user, &person.account);
        let audit = self.impersonation_entry("stopImpersonating", user, account, impersonation, None)?;
        let this = WhichSessions::One(person.session.id);
        self.store().revoke_sessions(user.id, this, &audit).await?;

        let own_secret = secret.unseal(&impersonation.sealed_secret);
        let own = self.services.identify(&own_secret).await?;
        match own.filter(|own| own.session.id == impersonation.own_session) {
            Some(person) => Ok(SignedIn {
                secret: own_secret,
                person: Arc::unwrap_or_clone(person),
            }),
            None => Err(Denied::Unauthenticated.into()),
        }
    }

    /// The user, if the caller may act for them now.
    async fn impersonable(&self, own: &Person, id: Option<UserId>) -> Result<(User, Account)> {
        let id = id.ok_or_else(no_such_user)?;
        let user = self.users_by_ids(&[id]).await?.pop().ok_or_else(no_such_user)?;
        let account = self.store().accounts_by_ids(&[user.account]).await?.pop();
        let account = account.ok_or_else(no_such_user)?;
        if !own.may_act_for(&user) {
            let message = if own.user.id == user.id {
                "You are this user already."
            } else if own.is_operator() {
                "Nobody acts for an operator."
            } else {
                "Nobody but an operator acts for a master user."
            };
            return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
        }
        if user.status == UserStatus::Disabled {
            return Err(Problem::at(&["id"], ErrorCode::Disabled, "This user is disabled.").into());
        }
        if account.status == AccountStatus::Frozen {
            return Err(Problem::at(&["id"], ErrorCode::AccountFrozen, "This account is frozen.").into());
        }
        Ok((user, account))
    }

    fn impersonation_event(
        &self,
        session: &Session,
        user: &User,
        account: &Account,
        impersonation: &Impersonation,
    ) -> Result<LoginEvent> {
        let (clock, entropy) = (self.services.clock.as_ref(), self.services.entropy.as_ref());
        Ok(LoginEvent {
            id: LoginEventId::generate(clock, entropy)?,
            account: account.id,
            user: Some(user.id),
            at: session.created_at,
            attempted_login: qualified(user, &account.name),
            outcome: LoginOutcome::Success,
            method: LoginMethod::Impersonation,
            origin: session.origin.clone(),
            detail: Some(impersonation.reason.clone()),
            attempts: 1,
            impersonator: Some(impersonation.by.clone()),
        })
    }

    fn impersonation_entry(
        &self,
        name: &str,
        user: &User,
        account: &Account,
        impersonation: &Impersonation,
        minutes: Option<u64>,
    ) -> Result<AuditEntry> {
        let set = |field: &str, after: String| FieldChange {
            field: field.to_owned(),
            before: None,
            after: Some(after),
        };
        let changes = match minutes {
            Some(minutes) => vec![
                set("reason", impersonation.reason.clone()),
                set("readOnly", impersonation.read_only.to_string()),
                set("minutes", minutes.to_string()),
            ],
            None => Vec::new(),
        };
        self.audit(action_on(name, user, account, changes))
    }
}

impl Services {
    /// Whether whoever acts in this session may still do so: their own session lives, and they are still above the user.
    pub(super) async fn impersonator_lives(
        &self,
        impersonation: &Impersonation,
        user: &User,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(identity) = self.store.session_identity(impersonation.own_session).await? else {
            return Ok(false);
        };
        let own = person_of(identity, now);
        Ok(self.is_live(&own, now) && own.user.id == impersonation.by.user && own.may_act_for(user))
    }
}
