//! Sessions: whose request is this, and signing out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::Person;
use crate::auth::SessionSecret;
use crate::domain::account::AccountStatus;
use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::user::UserStatus;
use crate::service::settings::after;
use crate::service::{Caller, Result, Services};
use crate::store::Identity;

/// `last_seen_at` is written no more often than this.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

impl Services {
    /// Whose session this secret opens; `None` when none, or when it has expired, or its user may no longer be here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn identify(self: &Arc<Self>, secret: &SessionSecret) -> Result<Option<Person>> {
        let Some(identity) = self.store.identity(&secret.hash()).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let session = &identity.session;
        let idle_until = after(session.last_seen_at, self.settings.session_idle);
        let lives = now < session.expires_at.min(idle_until)
            && identity.user.status == UserStatus::Active
            && identity.account.status == AccountStatus::Active;
        if !lives {
            return Ok(None);
        }
        // A tenth of the idle time keeps short ones alive too.
        let touch_after = after(session.last_seen_at, TOUCH_EVERY.min(self.settings.session_idle / 10));
        if now >= touch_after {
            let (store, id) = (Arc::clone(&self.store), session.id);
            tokio::spawn(async move {
                if let Err(error) = store.touch_session(id, now).await {
                    tracing::warn!(%error, "a session's last use was not written");
                }
            });
        }
        Ok(Some(person_of(identity, now)))
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
        must_change_password: user.must_change_password || too_old,
        permissions: roles.into_iter().flat_map(|r| r.permissions).collect(),
        session,
        user,
        account,
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
