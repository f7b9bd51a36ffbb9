//! After the password: whose it is, and the session that it opens.

use std::time::Duration;

use super::{Aim, SignedIn, Trial};
use crate::auth::{Right, SessionSecret};
use crate::directory::Person;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::ids::SessionId;
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::domain::session::Session;
use crate::domain::user::{DisabledBy, User, UserStatus};
use crate::service::directories::{Mistaken, Stranger, Written};
use crate::service::lockout::{Places, Settled};
use crate::service::sessions::person_of;
use crate::service::settings::after;
use crate::service::{DirectoryRules, Result, ServiceError};
use crate::store::{Identity, LoginRecord, OpenedSession, StoreError};

/// A user changed at the very moment of the sign-in is read again this often.
const TRIES: usize = 3;

impl Trial<'_> {
    /// Step 6: what only the holder of the password is told; and what they proved must still hold when the session opens: a
    /// user who was changed in between is looked at again, without trying the password once more.
    pub(super) async fn settle(&self, mut aim: Aim, right: &Right, places: &Places) -> Result<SignedIn> {
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

    /// Finds out whom a login means that nobody has here; why nobody, when nobody may sign in by it.
    pub(super) async fn acquaint(&self, aim: &mut Aim) -> Result<Option<(LoginOutcome, Option<String>)>> {
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
    pub(super) async fn settle_person(
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
            mails: Vec::from_iter(
                services
                    .notice_of_sign_in(account, user, self.now, &self.origin)
                    .await?,
            ),
            on_lock: None,
        };
        let recorded = services.store.record_login(&record).await?;
        services.meters.count_sign_in(LoginOutcome::Success, method);
        services.post.announce(&record.mails);
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
}
