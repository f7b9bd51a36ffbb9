//! How often may be tried, and what counts wrong passwords.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::record::rate_limited;
use super::{Aim, Trial};
use crate::auth::{directory_failure_key, failure_key, limit_key};
use crate::domain::ids::{AccountId, LoginEventId};
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::service::settings::{after, seconds_until, window_start};
use crate::service::{DirectoryRules, Result};
use crate::store::{FailureCount, Flood, LimitKey};

/// Attempts are counted by the minute.
const LIMIT_WINDOW: Duration = Duration::from_secs(60);
/// A botnet's wrong passwords for one login lock it everywhere after this many times the threshold for one network.
const EVERYWHERE_FACTOR: u32 = 5;

impl Trial<'_> {
    pub(super) async fn check_limits(&self, aim: &Aim, method: LoginMethod) -> Result<()> {
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
        let window_start = window_start(self.now, LIMIT_WINDOW);
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
    pub(super) fn counters(&self, aim: &Aim, rules: Option<&DirectoryRules>) -> Vec<FailureCount> {
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
