//! Inputs that several mutations share.

use async_graphql::{ID, InputObject, MaybeUndefined};

use crate::graphql::node_id::{self, NodeId};
use crate::service::{ErrorCode, NotificationChanges, PolicyChanges, Problem, Problems};

/// Changes to notification settings; absent means unchanged.
#[derive(Debug, Default, InputObject)]
pub struct NotificationSettingsInput {
    /// Where alerts go; null: to the contact address.
    email: MaybeUndefined<String>,
    /// Limits are exhausted.
    limits_exhausted: Option<bool>,
    /// Subscribers complained.
    subscriber_complaints: Option<bool>,
    /// Addresses that do not exist.
    hard_bounces: Option<bool>,
    /// Addresses that do not answer for now.
    soft_bounces: Option<bool>,
    /// A report each day.
    daily_reports: Option<bool>,
    /// A report each week.
    weekly_reports: Option<bool>,
    /// New browser or country, role change, the directory's password about to expire.
    security_notices: Option<bool>,
}

impl From<NotificationSettingsInput> for NotificationChanges {
    fn from(input: NotificationSettingsInput) -> Self {
        Self {
            email: clearable(input.email),
            limits_exhausted: input.limits_exhausted,
            subscriber_complaints: input.subscriber_complaints,
            hard_bounces: input.hard_bounces,
            soft_bounces: input.soft_bounces,
            daily_reports: input.daily_reports,
            weekly_reports: input.weekly_reports,
            security_notices: input.security_notices,
        }
    }
}

/// Rules for local passwords; absent means the default, or unchanged.
#[derive(Debug, Default, InputObject)]
pub struct PasswordPolicyInput {
    /// Fewest characters, 1 to 128.
    min_length: Option<i32>,
    /// Least zxcvbn score, 0 to 4.
    min_strength: Option<i32>,
    /// Days after which a password must be changed, 1 to 3650; null: never.
    max_age_days: MaybeUndefined<i32>,
    /// How many earlier passwords may not come back, 0 to 24.
    history: Option<i32>,
    /// Wrong passwords from one network that lock a login there, 0 (never) to 1000.
    lockout_threshold: Option<i32>,
    /// How long a lock holds, 1 to 1440.
    lockout_minutes: Option<i32>,
}

impl From<PasswordPolicyInput> for PolicyChanges {
    /// A number below zero is out of every range and stays out of it.
    fn from(input: PasswordPolicyInput) -> Self {
        let number = |given: i32| u32::try_from(given).unwrap_or(u32::MAX);
        Self {
            min_length: input.min_length.map(number),
            min_strength: input.min_strength.map(|n| u8::try_from(n).unwrap_or(u8::MAX)),
            max_age_days: clearable(input.max_age_days).map(|days| days.map(number)),
            history: input.history.map(number),
            lockout_threshold: input.lockout_threshold.map(number),
            lockout_minutes: input.lockout_minutes.map(number),
        }
    }
}

/// `None`: not given; `Some(None)`: null.
pub(crate) fn clearable<T>(given: MaybeUndefined<T>) -> Option<Option<T>> {
    match given {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// `None`: not given. Null is a problem, for a field that cannot be without a value.
pub(crate) fn required<T>(given: MaybeUndefined<T>, field: &str, problems: &mut Problems) -> Option<T> {
    match given {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Value(value) => Some(value),
        MaybeUndefined::Null => {
            let message = format!("{field} cannot be null; leave it out to keep it");
            problems.push(Problem::at(&[field], ErrorCode::Required, message));
            None
        }
    }
}

/// Identifiers of one kind; `None` for those that are none.
pub(crate) fn ids<T: NodeId>(given: &[ID]) -> Vec<Option<T>> {
    given.iter().map(|id| node_id::decode(id)).collect()
}
