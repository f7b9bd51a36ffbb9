//! Sessions: whose request is this, and signing out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::{Person, Principal};
use crate::auth::{BearerSecret, SessionSecret};
use crate::domain::account::{Account, AccountStatus};
use crate::domain::audit::FieldChange;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::user::{User, UserStatus};
use crate::service::settings::after;
use crate::service::users::action_on;
use crate::service::{Caller, ErrorCode, Problem, Result, Services};
use crate::store::{Identity, WhichSessions};

/// `last_seen_at` is written no more often than this.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

impl Services {
    /// Whose session this secret opens; `None` when none, or when it has expired, or its user may no longer be here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn identify(self: &Arc<Self>, secret: &SessionSecret) -> Result<Option<Arc<Person>>> {
        let hash = secret.hash();
        let Some(person) = self.known_person(&hash).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        if !self.may_go_on(&person, now).await? {
            return Ok(None);
        }
        if self.touch(&person.session, now) {
            self.session_was_used(&hash, now);
        }
        Ok(Some(person))
    }

    /// Whose request it is that shows this secret; `None` when nobody's, or not any more.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn identify_bearer(self: &Arc<Self>, secret: &BearerSecret) -> Result<Option<Principal>> {
        match secret {
            BearerSecret::Session(secret) => {
                let person = self.identify(secret).await?;
                Ok(person.map(Principal::Person))
            }
            BearerSecret::Token(secret) => {
                let hash = secret.hash();
                let found = self.known_token(&hash).await?;
                let now = self.clock.now();
                let holder = found.and_then(|identity| self.holder_of(identity, now));
                Ok(holder.map(|holder| {
                    if self.touch_token(&holder.token, now) {
                        self.token_was_used(&hash, now);
                    }
                    Principal::Token(Box::new(holder))
                }))
            }
        }
    }

    /// Who these are by now, in their order; `None` for those who may no longer be here. The store is asked once for all
    /// sessions and once for all tokens (and once more for each session in which somebody else acts).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn identify_all(&self, connected: &[Connected]) -> Result<Vec<Option<Principal>>> {
        let of = |kind: Shown| -> Vec<TokenHash> {
            let alike = connected.iter().filter(|c| c.shown == kind);
            alike.map(|c| c.token_hash).collect()
        };
        let mut sessions = self.store.identities(&of(Shown::Session)).await?.into_iter();
        let mut tokens = self.store.token_identities(&of(Shown::Token)).await?.into_iter();
        let now = self.clock.now();
        let mut each = Vec::with_capacity(connected.len());
        for connected in connected {
            if connected.shown == Shown::Token {
                let holder = tokens
                    .next()
                    .flatten()
                    .and_then(|identity| self.holder_of(identity, now));
                if let Some(holder) = holder.as_ref().filter(|_| connected.is_using) {
                    self.touch_token(&holder.token, now);
                }
                each.push(holder.map(|holder| Principal::Token(Box::new(holder))));
                continue;
            }
            let person = sessions.next().flatten().map(|identity| person_of(identity, now));
            each.push(match person {
                Some(person) if self.may_go_on(&person, now).await? => {
                    if connected.is_using {
                        self.touch(&person.session, now);
                    }
                    Some(Principal::Person(Arc::new(person)))
                }
                _ => None,
            });
        }
        Ok(each)
    }

    /// Does the session live, and whatever it rests on?
    async fn may_go_on(&self, person: &Person, now: Timestamp) -> Result<bool> {
        if !self.is_live(person, now) {
            return Ok(false);
        }
        match &person.session.impersonation {
            Some(impersonation) => self.impersonator_lives(impersonation, &person.user, now).await,
            None => Ok(true),
        }
    }

    /// Writes that a session is used, once in a while; says whether it does.
    fn touch(&self, session: &Session, now: Timestamp) -> bool {
        // A tenth of the idle time keeps short ones alive too.
        let touch_after = after(session.last_seen_at, TOUCH_EVERY.min(self.settings.session_idle / 10));
        if now < touch_after {
            return false;
        }
        let store = Arc::clone(&self.store);
        // Whoever acts for somebody else uses their own session too.
        let own = session.impersonation.as_ref().map(|i| i.own_session);
        let used: Vec<SessionId> = std::iter::once(session.id).chain(own).collect();
        tokio::spawn(async move {
            for id in used {
                if let Err(error) = store.touch_session(id, now).await {
                    tracing::warn!(%error, "a session's last use was not written");
                }
            }
        });
        true
    }
}

/// What somebody showed who stays connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A session's secret.
    Session,
    /// An API token's.
    Token,
}

/// Somebody who stays connected.
#[derive(Debug, Clone, Copy)]
pub struct Connected {
    /// The hash of the secret that they showed.
    pub token_hash: TokenHash,
    /// Which kind it is of.
    pub shown: Shown,
    /// Being connected counts as a use of the session.
    pub is_using: bool,
}

impl Services {
    /// Has the session neither expired nor been idle for too long, and may its user be here at all?
    pub(super) fn is_live(&self, person: &Person, now: Timestamp) -> bool {
        let Person {
            session, user, account, ..
        } = person;
        let idle_until = after(session.last_seen_at, self.settings.session_idle);
        now < session.expires_at.min(idle_until)
            && user.status == UserStatus::Active
            && account.status == AccountStatus::Active
            // It may have been opened in the very moment in which the account came to refuse local passwords.
            && (user.is_ldap || session.impersonation.is_some() || !account.refuses_local_passwords())
    }
}

/// Who an identity is at this moment.
pub(super) fn person_of(identity: Identity, now: Timestamp) -> Person {
    let Identity {
        session,
        user,
        account,
        roles,
    } = identity;
    let too_old = match (account.password_policy.max_age_days, user.password_changed_at) {
        (Some(days), Some(changed)) if user.has_password && !user.is_ldap => {
            now >= after(changed, Duration::from_secs(u64::from(days) * 24 * 60 * 60))
        }
        _ => false,
    };
    Person {
        // Whoever acts for somebody else cannot change the password, and need not.
        must_change_password: (user.must_change_password || too_old) && session.impersonation.is_none(),
        permissions: roles.into_iter().flat_map(|r| r.permissions).collect(),
        session,
        user: user.into(),
        account: account.into(),
    }
}

impl Caller {
    /// Ends the caller's own session; says whether there was one.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied); those of the store.
    pub async fn sign_out(&self) -> Result<bool> {
        let person = self.principal().as_person()?;
        Ok(self.store().end_session(person.session.id).await?)
    }

    /// Ends one session: the caller's, or one of somebody whom they may change. Gives it as it was.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` (a master's) with `id`; [`Denied`](crate::access::Denied); those of the store.
    pub async fn revoke_session(&self, id: Option<SessionId>) -> Result<Session> {
        self.principal().may_change()?;
        let unknown = || Problem::at(&["id"], ErrorCode::NotFound, "There is no such session.");
        let session = match id {
            Some(id) => self.sessions_by_ids(&[id]).await?.pop(),
            None => None,
        };
        let session = session.ok_or_else(unknown)?;
        let (user, account) = if self.principal().user() == Some(session.user) {
            self.oneself()?
        } else {
            self.write_users()?.writable(session.user).await?
        };
        let change = FieldChange {
            field: "session".to_owned(),
            before: Some(described(&session)),
            after: None,
        };
        let audit = self.audit(action_on("revokeSession", &user, &account, vec![change]))?;
        let ended = self
            .store()
            .revoke_sessions(user.id, WhichSessions::One(session.id), &audit);
        // Ended by somebody else in this moment: it does not exist any more.
        if ended.await? == 0 {
            return Err(unknown().into());
        }
        Ok(session)
    }

    /// Ends all sessions of the caller (`None`), but for the one that asks if `except_current`; or all of somebody whom
    /// they may change. Says how many there were.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` (a master's) with `user`; [`Denied`](crate::access::Denied); those of the store.
    pub async fn revoke_all_sessions(&self, of: Option<Option<UserId>>, except_current: bool) -> Result<u64> {
        self.principal().may_change()?;
        let own = of.is_none_or(|of| of.is_some() && of == self.principal().user());
        let (user, account) = match of {
            _ if own => self.oneself()?,
            Some(Some(id)) => self
                .write_users()?
                .writable(id)
                .await
                .map_err(|e| e.renamed("id", "user"))?,
            _ => {
                self.write_users()?;
                return Err(Problem::at(&["user"], ErrorCode::NotFound, "There is no such user.").into());
            }
        };
        let current = self.principal().person().map(|p| p.session.id);
        let keep = current.filter(|_| own && except_current);
        let change = FieldChange {
            field: "sessions".to_owned(),
            before: None,
            after: Some(
                if keep.is_some() {
                    "ended but the current one"
                } else {
                    "ended"
                }
                .to_owned(),
            ),
        };
        let audit = self.audit(action_on("revokeAllSessions", &user, &account, vec![change]))?;
        let which = WhichSessions::AllBut(keep);
        Ok(self.store().revoke_sessions(user.id, which, &audit).await?)
    }

    fn oneself(&self) -> Result<(User, Account)> {
        let person = self.principal().as_person()?;
        Ok((User::clone(&person.user), Account::clone(&person.account)))
    }

    /// The live sessions of those of these users whose sessions the caller sees.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions_of_users(&self, users: &[(AccountId, UserId)]) -> Result<Vec<Session>> {
        let reach = self.principal().reach_of_sessions();
        let seen: Vec<UserId> = users
            .iter()
            .filter(|(a, u)| reach.covers(*a, Some(*u)))
            .map(|(_, u)| *u)
            .collect();
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let sessions = self.store().sessions_of_users(&seen, self.now()).await?;
        Ok(sessions.into_iter().filter(|s| self.is_live(s)).collect())
    }

    /// Those of these sessions that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions_by_ids(&self, ids: &[SessionId]) -> Result<Vec<Session>> {
        let reach = self.principal().reach_of_sessions();
        let mut sessions = self.store().sessions_by_ids(ids, self.now()).await?;
        sessions.retain(|s| reach.covers(s.account, Some(s.user)) && self.is_live(s));
        Ok(sessions)
    }

    fn is_live(&self, session: &Session) -> bool {
        self.now() < after(session.last_seen_at, self.services.settings.session_idle)
    }
}

/// A session in words, for the audit log.
fn described(session: &Session) -> String {
    let browser = session.origin.browser.as_deref().unwrap_or("an unknown browser");
    format!("{browser} at {}, since {}", session.origin.ip, session.created_at)
}
