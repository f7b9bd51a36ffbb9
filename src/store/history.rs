//! The login history and the audit log, newest first.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::audit::AuditEntry;
use crate::domain::ids::{AccountId, AuditEntryId, LoginEventId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{AuditFilter, LoginEventFilter};
use crate::store::Result;

/// Sign-ins of a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoginCounts {
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that were refused, each attempt of a flood counted.
    pub failed: u64,
    /// How many users signed in.
    pub unique_users: u64,
}

/// The sign-ins.
#[async_trait]
pub trait HistoryStore {
    /// Those that exist, in any order.
    async fn login_events_by_ids(&self, ids: &[LoginEventId]) -> Result<Vec<LoginEvent>>;

    /// A page for each filter, newest first.
    async fn login_events(&self, filters: &[LoginEventFilter], page: &PageRequest) -> Result<Vec<Page<LoginEvent>>>;

    /// A count for each filter.
    async fn count_login_events(&self, filters: &[LoginEventFilter]) -> Result<Vec<u64>>;

    /// How many sign-ins of an account there were between each two of these ascending edges, the first of two included;
    /// impersonations are none. Counted by the database or along its index, never by keeping the events.
    async fn login_stats(&self, account: AccountId, edges: &[Timestamp]) -> Result<Vec<LoginCounts>>;

    /// The newest `limit` sign-ins of each user, at `not_before` or later, newest first; users without any are left out.
    /// Cheapest for up to [`RECENT`] of them.
    async fn recent_login_events(
        &self,
        users: &[UserId],
        limit: usize,
        not_before: Timestamp,
    ) -> Result<HashMap<UserId, Vec<LoginEvent>>>;
}

/// How many of a user's last sign-ins a store keeps at hand.
pub const RECENT: usize = 10;

/// The audit log.
#[async_trait]
pub trait AuditStore {
    /// Those that exist, in any order.
    async fn audit_entries_by_ids(&self, ids: &[AuditEntryId]) -> Result<Vec<AuditEntry>>;

    /// A page for each filter, newest first.
    async fn audit_entries(&self, filters: &[AuditFilter], page: &PageRequest) -> Result<Vec<Page<AuditEntry>>>;

    /// A count for each filter.
    async fn count_audit_entries(&self, filters: &[AuditFilter]) -> Result<Vec<u64>>;
}
