//! The configured directories, as far as somebody sees them.

use crate::directory::ServerHealth;
use crate::domain::ids::{AccountId, GroupId};
use crate::service::Caller;

impl Caller {
    /// The servers of a directory, to masters of an account that uses it and to operators; what a server said when it
    /// failed, to operators only.
    #[must_use]
    pub fn directory_servers(&self, directory: &str, account: AccountId) -> Vec<ServerHealth> {
        let operator = self.principal().operator().is_ok();
        if !operator && !self.principal().may_touch_masters(account) {
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

    /// Does the caller see the objects of that group? Members do, and masters of its account.
    pub async fn sees_group(&self, group: GroupId) -> bool {
        let Some(person) = self.principal().person() else {
            return false;
        };
        if person.user.groups().contains(&group) {
            return true;
        }
        let exists = async || Ok::<_, crate::service::ServiceError>(!self.groups_by_ids(&[group]).await?.is_empty());
        person.is_master() && exists().await.unwrap_or(false)
    }
}
