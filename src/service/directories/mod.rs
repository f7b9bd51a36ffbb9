//! The configured directories: as far as somebody sees them, and what they say of people.

mod arrival;
mod explain;
mod grants;
mod people;
mod picture;
mod recheck;
mod relink;
mod sync;

pub(super) use arrival::Stranger;
pub use explain::{Explanation, ExplanationStep, StepOutcome};
pub(super) use people::{Mistaken, Written};
pub use recheck::spawn_rechecks;
pub use sync::{SyncChange, SyncChangeKind, SyncPlan, SyncProgress, SyncReport};

use crate::access::{Denied, Principal};
use crate::directory::ServerHealth;
use crate::domain::ids::{AccountId, GroupId};
use crate::service::{Caller, Result};

impl Caller {
    /// The servers of a directory, to masters of an account that uses it and to operators; what a server said when it
    /// failed, to operators only.
    #[must_use]
    pub fn directory_servers(&self, directory: &str, account: Option<AccountId>) -> Vec<ServerHealth> {
        let operator = self.principal().operator().is_ok();
        let master = account.is_some_and(|account| self.principal().may_touch_masters(account));
        if !operator && !master {
            return Vec::new();
        }
        let mut servers = self
            .services
            .directories
            .get(directory)
            .map(|d| d.servers())
            .unwrap_or_default();
        if !operator {
            servers.iter_mut().for_each(|s| s.last_error = None);
        }
        servers
    }

    /// The directories: all for operators, their account's for masters. Each with the account through which it is seen.
    ///
    /// # Errors
    /// [`Denied`] for everybody else.
    pub fn directories(&self) -> Result<Vec<(String, Option<AccountId>)>> {
        self.principal().signed_in()?;
        if self.principal().operator().is_ok() {
            let names = self.services.settings.directories.keys();
            return Ok(names.map(|name| (name.clone(), None)).collect());
        }
        match self.principal().person().filter(|p| p.is_master()) {
            Some(p) => Ok(p
                .account
                .directory
                .iter()
                .map(|name| (name.clone(), Some(p.account.id)))
                .collect()),
            None => Err(Denied::Missing("a master user").into()),
        }
    }

    /// Does the caller see the objects of that group? Members do, and masters of its account.
    pub async fn sees_group(&self, group: GroupId) -> bool {
        let person = match self.principal() {
            Principal::Person(person) => person,
            Principal::Token(holder) => return holder.token.groups.contains(&group),
            Principal::Nobody | Principal::CommandLine => return false,
        };
        if person.user.groups().contains(&group) {
            return true;
        }
        let exists = async || Ok::<_, crate::service::ServiceError>(!self.groups_by_ids(&[group]).await?.is_empty());
        person.is_master() && exists().await.unwrap_or(false)
    }
}
