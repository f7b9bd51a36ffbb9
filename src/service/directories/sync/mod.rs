//! Reads a whole directory into an account: who is new, who changed, who is gone.
//!
//! It is read twice. The first time only who is there is noted, and from that who would be disabled: were it too many, or
//! had the reading come to an end in the middle, nothing has been changed yet. The second time each person is written as they
//! are read, so that never more than a part of the directory is in memory. Whoever is gone is disabled at the end, never
//! deleted.

mod census;
mod report;
mod run;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use self::report::{SyncChange, SyncChangeKind, SyncReport};

use self::run::Sync;
use super::grants::Mappings;
use super::people::Author;
use crate::access::Denied;
use crate::domain::ids::AccountId;
use crate::domain::role::Permission;
use crate::service::upkeep::new_holder;
use crate::service::{Caller, ErrorCode, Problem, Result, ServiceError};

/// How a sync is to be done.
#[derive(Debug, Clone, Copy)]
pub struct SyncPlan {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Stop when more than this share of the linked users would be disabled, in percent.
    pub max_disable_percent: i64,
}

/// How far a sync is; may be read while it runs.
#[derive(Debug, Default)]
pub struct SyncProgress {
    /// People read for the first time.
    pub found: AtomicU64,
    /// People read for the second time and written.
    pub done: AtomicU64,
}

impl Caller {
    /// Reads the directory of an account (`None`: the caller's own) again.
    ///
    /// # Errors
    /// [`Denied`] without `directory:sync` there; `LdapOff`, `Invalid` percentages, `DirectoryUnavailable`, `Conflict` while
    /// another sync of the account runs; those of the store.
    pub async fn sync_directory(
        &self,
        account: Option<Option<AccountId>>,
        plan: SyncPlan,
        progress: Arc<SyncProgress>,
    ) -> Result<SyncReport> {
        self.principal().may_change()?;
        if !self.principal().holds(Permission::DIRECTORY_SYNC) {
            return Err(Denied::Missing(Permission::DIRECTORY_SYNC).into());
        }
        let account = self.target_account(account).await?;
        self.principal().permitted(Permission::DIRECTORY_SYNC, account.id)?;
        if !(0..=100).contains(&plan.max_disable_percent) {
            let message = format!("maxDisablePercent is {}; it is from 0 to 100", plan.max_disable_percent);
            return Err(Problem::at(&["maxDisablePercent"], ErrorCode::Invalid, message).into());
        }
        let off = || {
            let message = format!("The account {} has no directory to read.", account.name);
            Problem::at(&["account"], ErrorCode::LdapOff, message)
        };
        let name = account.directory.clone().ok_or_else(off)?;
        let services = &self.services;
        let directory = services.directories.get(&name).cloned();
        let rules = services.settings.directories.get(&name).cloned();
        let (Some(directory), Some(rules)) = (directory, rules) else {
            let message = format!("The directory {name} of the account is not in the configuration.");
            return Err(Problem::at(&["account"], ErrorCode::LdapOff, message).into());
        };
        if !directory.can_look_up() {
            let message = format!("The directory {name} has no bind_dn, so nobody can be read there.");
            return Err(Problem::at(&["account"], ErrorCode::LdapOff, message).into());
        }
        let sync = Sync {
            mappings: Mappings::resolve(services.store.as_ref(), &account, &rules.mappings).await?,
            services: Arc::clone(services),
            directory,
            rules,
            account,
            plan,
            author: Author {
                action: "syncDirectory",
                actor: self.actor(),
            },
            holder: new_holder(services.entropy.as_ref())?,
            progress,
        };
        // To its end also when whoever asked hangs up: half of it would be neither the old state nor the new one.
        let run = tokio::spawn(sync.run());
        run.await.map_err(|e| ServiceError::Stopped(e.to_string()))?
    }
}
