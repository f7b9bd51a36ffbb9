//! What a sync came to.

use std::collections::HashMap;

use crate::domain::grant::GrantTarget;
use crate::domain::ids::{GroupId, RoleId};
use crate::domain::login::Login;
use crate::domain::user::User;
use crate::service::{Result, Services};

/// The most changes that a report lists one by one; the counts hold all of them.
pub(super) const LISTED: usize = 10_000;

/// What a sync came to, or would come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Users made.
    pub added: u64,
    /// Users changed or enabled again.
    pub updated: u64,
    /// Users disabled.
    pub disabled: u64,
    /// Users who are as the directory has them.
    pub unchanged: u64,
    /// Why nothing was changed, when it stopped.
    pub stopped: Option<String>,
    /// Who changed, at most ten thousand.
    pub changes: Vec<SyncChange>,
}

/// What became of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncChange {
    /// Their login.
    pub login: String,
    /// What kind of change.
    pub kind: SyncChangeKind,
    /// Roles and groups that they gained, by name; `master` is one.
    pub gained: Vec<String>,
    /// And lost.
    pub lost: Vec<String>,
}

/// The kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl SyncReport {
    pub(super) fn list(&mut self, login: &Login, kind: SyncChangeKind, gained: Vec<String>, lost: Vec<String>) {
        if self.changes.len() < LISTED {
            self.changes.push(SyncChange {
                login: login.to_string(),
                kind,
                gained,
                lost,
            });
        }
    }
}

/// What the first was granted, by whomever, and the second was not.
pub(super) fn difference(of: &User, from: &User) -> Vec<GrantTarget> {
    let mut targets: Vec<GrantTarget> = Vec::new();
    for grant in &of.grants {
        let is_new = !from.grants.iter().any(|other| other.target == grant.target);
        if is_new && !targets.contains(&grant.target) {
            targets.push(grant.target);
        }
    }
    targets
}

/// Names of roles and groups, each read once.
#[derive(Default)]
pub(super) struct Names {
    roles: HashMap<RoleId, String>,
    groups: HashMap<GroupId, String>,
}

impl Names {
    pub async fn of(&mut self, services: &Services, targets: &[GrantTarget]) -> Result<Vec<String>> {
        let mut names = Vec::with_capacity(targets.len());
        for target in targets {
            let name = match target {
                GrantTarget::Master => Some("master".to_owned()),
                GrantTarget::Role(id) => {
                    if !self.roles.contains_key(id) {
                        let found = services.store.roles_by_ids(&[*id]).await?;
                        self.roles.extend(found.into_iter().map(|role| (role.id, role.name)));
                    }
                    self.roles.get(id).cloned()
                }
                GrantTarget::Group(id) => {
                    if !self.groups.contains_key(id) {
                        let found = services.store.groups_by_ids(&[*id]).await?;
                        self.groups
                            .extend(found.into_iter().map(|group| (group.id, group.name)));
                    }
                    self.groups.get(id).cloned()
                }
            };
            names.extend(name);
        }
        Ok(names)
    }
}
