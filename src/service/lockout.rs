//! Lock-out: an attempt takes its place among the wrong passwords before it is tried, so that however many are sent at once,
//! and to however many processes, none is tried that could be one too many.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::service::{Result, Services};
use crate::store::{FailureCount, FailureKey, Failures, Reservation};

/// The pauses of whoever waits for a place: a local password is checked within some tens of milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long somebody waits for a place; about as long as a directory may take for those who have one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What comes of asking for a place.
#[derive(Debug)]
pub(super) enum Entry {
    /// Try it.
    Admitted(Places),
    /// The login is locked until then.
    Locked(Timestamp),
    /// So many are at it that one more might be too many.
    Full,
}

/// The counters in which an attempt has a place. What it comes to must be told to each of them.
#[derive(Debug)]
pub(super) struct Places(Vec<FailureCount>);

/// What an attempt comes to for the counters.
#[derive(Debug)]
pub(super) struct Settled {
    /// See [`crate::store::LoginRecord`].
    pub(super) failures: Failures,
    /// See [`crate::store::LoginRecord`].
    pub(super) released: Vec<FailureKey>,
}

impl Settled {
    /// Of an attempt that never had a place.
    pub(super) fn nothing() -> Self {
        Self {
            failures: Failures::Unchanged,
            released: Vec::new(),
        }
    }
}

impl Services {
    /// Takes a place in each of these counters. While others who are at it might still lock one of them, their outcome is
    /// waited for: it is what decides, and most of them are right.
    ///
    /// Should this process be killed, or lose the store, before it can say what the attempt came to, its place stays taken
    /// for as long as a failure is remembered: one attempt too few, never one too many.
    pub(super) async fn take_places(&self, counters: Vec<FailureCount>, now: Timestamp) -> Result<Entry> {
        if counters.is_empty() {
            return Ok(Entry::Admitted(Places(counters)));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.reserve(&counters, now).await? {
                Reservation::Held => return Ok(Entry::Admitted(Places(counters))),
                Reservation::Locked(until) => return Ok(Entry::Locked(until)),
                Reservation::Full if Instant::now() >= deadline => return Ok(Entry::Full),
                Reservation::Full => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Places {
    /// It was the password. Only one that the directory took clears the directory's own counter: a local user of the same
    /// login says nothing about it.
    pub(super) fn right(&self, method: LoginMethod) -> Settled {
        let (reset, released) = self.split(|counter| counter.locks_user || method == LoginMethod::Ldap);
        Settled {
            failures: Failures::Reset(reset.iter().map(|c| c.key).collect()),
            released: released.iter().map(|c| c.key).collect(),
        }
    }

    /// It was refused with that outcome: what is no wrong password is not counted.
    pub(super) fn refused(&self, outcome: LoginOutcome) -> Settled {
        match outcome {
            LoginOutcome::WrongPassword | LoginOutcome::UnknownUser => self.count(|_| true),
            _ => self.unused(),
        }
    }

    /// It was wrong without being tried: no directory was asked, so its own counter stays.
    pub(super) fn wrong_untried(&self) -> Settled {
        self.count(|counter| counter.locks_user)
    }

    /// It came to nothing that is counted.
    pub(super) fn unused(&self) -> Settled {
        Settled {
            failures: Failures::Unchanged,
            released: self.0.iter().map(|c| c.key).collect(),
        }
    }

    fn count(&self, counts: impl Fn(&FailureCount) -> bool) -> Settled {
        let (counted, released) = self.split(counts);
        let failures = if counted.is_empty() {
            Failures::Unchanged
        } else {
            Failures::Count(counted)
        };
        Settled {
            failures,
            released: released.iter().map(|c| c.key).collect(),
        }
    }

    fn split(&self, of: impl Fn(&FailureCount) -> bool) -> (Vec<FailureCount>, Vec<FailureCount>) {
        self.0.iter().copied().partition(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{directory_failure_key, failure_key};
    use crate::domain::login::TypedLogin;
    use crate::domain::testing;

    /// Places in an own counter and in a directory's, and the two keys.
    fn places() -> (Places, FailureKey, FailureKey) {
        let typed = TypedLogin::parse("ann@acme");
        let own = failure_key(testing::account("acme").id, &typed, None);
        let corp = directory_failure_key("corp", &typed);
        let count = |key, locks_user| FailureCount {
            key,
            threshold: 3,
            window: Duration::from_secs(60),
            locks_user,
        };
        (Places(vec![count(own, true), count(corp, false)]), own, corp)
    }

    #[test]
    fn a_local_password_says_nothing_about_the_directorys() {
        let (places, own, corp) = places();
        let local = places.right(LoginMethod::Local);
        assert_eq!(
            (local.failures, local.released),
            (Failures::Reset(vec![own]), vec![corp])
        );
        let ldap = places.right(LoginMethod::Ldap);
        assert_eq!(
            (ldap.failures, ldap.released),
            (Failures::Reset(vec![own, corp]), vec![])
        );
    }

    #[test]
    fn only_wrong_passwords_and_unknown_users_are_counted() {
        let (places, own, corp) = places();
        for outcome in [LoginOutcome::WrongPassword, LoginOutcome::UnknownUser] {
            let settled = places.refused(outcome);
            assert_eq!(settled.failures, Failures::Count(places.0.clone()), "{outcome:?}");
            assert_eq!(settled.released, [], "{outcome:?}");
        }
        for outcome in [
            LoginOutcome::Locked,
            LoginOutcome::Disabled,
            LoginOutcome::AccountFrozen,
            LoginOutcome::PasswordExpired,
            LoginOutcome::PasswordMustChange,
            LoginOutcome::NotAllowed,
            LoginOutcome::DirectoryUnavailable,
            LoginOutcome::RateLimited,
        ] {
            let settled = places.refused(outcome);
            assert_eq!(settled.failures, Failures::Unchanged, "{outcome:?}");
            assert_eq!(settled.released, [own, corp], "{outcome:?}");
        }
        let untried = places.wrong_untried();
        assert_eq!(untried.failures, Failures::Count(places.0[..1].to_vec()));
        assert_eq!(untried.released, [corp]);
    }
}
