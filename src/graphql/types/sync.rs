//! `SyncReport`: what reading a directory again comes to.

use async_graphql::{Enum, SimpleObject};

use crate::service;

/// What reading a directory again came to, or would come to.
#[derive(Debug, Clone, SimpleObject)]
pub struct SyncReport {
    /// Users made.
    added: u64,
    /// Users changed or enabled again.
    updated: u64,
    /// Users disabled.
    disabled: u64,
    /// Users who are as the directory has them.
    unchanged: u64,
    /// Why nothing was changed, when it stopped; the changes are then those that it stopped before.
    stopped: Option<String>,
    /// Who changed, at most ten thousand; the counts hold all.
    changes: Vec<SyncChange>,
}

/// What became of one user.
#[derive(Debug, Clone, SimpleObject)]
pub struct SyncChange {
    /// Their login.
    login: String,
    /// What kind of change.
    kind: SyncChangeKind,
    /// Names of roles and groups that they gained; `master` is one.
    gained: Vec<String>,
    /// And lost.
    lost: Vec<String>,
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "service::SyncChangeKind")]
pub enum SyncChangeKind {
    /// Made.
    Added,
    /// Changed.
    Updated,
    /// Disabled: no longer in the directory.
    Disabled,
    /// Enabled again: back in the directory.
    Enabled,
}

impl From<service::SyncReport> for SyncReport {
    fn from(report: service::SyncReport) -> Self {
        Self {
            added: report.added,
            updated: report.updated,
            disabled: report.disabled,
            unchanged: report.unchanged,
            stopped: report.stopped,
            changes: report.changes.into_iter().map(SyncChange::from).collect(),
        }
    }
}

impl From<service::SyncChange> for SyncChange {
    fn from(change: service::SyncChange) -> Self {
        Self {
            login: change.login,
            kind: change.kind.into(),
            gained: change.gained,
            lost: change.lost,
        }
    }
}
