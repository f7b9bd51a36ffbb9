//! What of the configuration the use cases go by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::config::{MappingConfig, Provision};

/// Durations and limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where browsers reach the gateway.
    pub public_url: Url,
    /// How long a session lasts at most.
    pub session_lifetime: Duration,
    /// How long a session lasts unused.
    pub session_idle: Duration,
    /// How long sign-ins are kept.
    pub history_retention: Duration,
    /// How long audit entries are kept.
    pub audit_retention: Duration,
    /// Sign-ins from one address in a minute; 0: any number.
    pub sign_in_per_address: u32,
    /// Sign-ins with one login in a minute; 0: any number.
    pub sign_in_per_login: u32,
    /// Alerts of one account in a minute; 0: any number.
    pub alerts_per_account: u32,
    /// What the outbox goes by.
    pub mail: MailRules,
    /// Refusals of sign-ins come no earlier than this after the request; zero: at once.
    pub min_refusal: Duration,
    /// The configured directories.
    pub directories: BTreeMap<String, DirectoryRules>,
}

/// What `[mail]` says to the outbox.
#[derive(Debug, Clone)]
pub struct MailRules {
    /// There is a mail server.
    pub is_on: bool,
    /// How long the link of an access mail works, from when it is sent.
    pub access_link: Duration,
    /// How long the link of a password reset works, from when it is sent.
    pub reset_link: Duration,
    /// The longest that one attempt takes.
    pub timeout: Duration,
    /// The wait after the first attempt that failed; doubled by each further one.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_longest: Duration,
    /// A mail that nobody took for this long is given up.
    pub give_up: Duration,
    /// How long mails that are done with are kept.
    pub retention: Duration,
}

/// What a directory's section says about those who sign in with it.
#[derive(Debug, Clone)]
pub struct DirectoryRules {
    /// Refusals come no earlier than this after the request, where it is longer than [`Settings::min_refusal`].
    pub min_refusal: Duration,
    /// Failed binds for a login within `failure_window`, after which none is tried until it has passed; 0: any number.
    pub max_failures: u32,
    /// See `max_failures`.
    pub failure_window: Duration,
    /// How long sessions last that cannot be checked again at the directory: those of one without a `bind_dn`.
    pub session_limit: Option<Duration>,
    /// For one answer of one server.
    pub timeout: Duration,
    /// Those who are signed in are looked up again this often.
    pub recheck: Duration,
    /// How long their sessions live on while the directory is away.
    pub outage_grace: Duration,
    /// Who becomes a user.
    pub provision: Provision,
    /// What its groups grant.
    pub mappings: Arc<[MappingConfig]>,
}

impl Settings {
    /// The page that a link in a mail opens.
    pub(super) fn link(&self, secret: &str) -> String {
        let mut url = self.public_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("set-password"); // Err: not for http and https
        }
        url.query_pairs_mut().append_pair("token", secret);
        url.into()
    }
}

/// Where the window that `now` is in begins, when time is counted in windows of that length.
pub(super) fn window_start(now: Timestamp, window: Duration) -> Timestamp {
    let length = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_millisecond(now.as_millisecond().div_euclid(length) * length).unwrap_or(now)
}

/// `at + by`, or the end of time.
pub(super) fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|d| at.checked_add(d).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `at - by`, or the beginning of time.
pub(super) fn before(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|d| at.checked_sub(d).ok())
        .unwrap_or(Timestamp::MIN)
}

/// From `now` until `then`, in whole seconds rounded up, at least one.
pub(super) fn seconds_until(now: Timestamp, then: Timestamp) -> u64 {
    let millis = then.duration_since(now).as_millis().max(1);
    u64::try_from(millis).unwrap_or(u64::MAX).div_ceil(1000)
}
