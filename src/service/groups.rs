//! Groups.

use crate::access::{Denied, Reach};
use crate::domain::account::Account;
use crate::domain::audit::TargetType;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::NamedFilter;
use crate::domain::role::{MAX_DESCRIPTION, MAX_NAME, Permission};
use crate::domain::text::{line, required_line};
use crate::service::audit::{Action, diff, group_fields};
use crate::service::history::Scoped;
use crate::service::{Caller, ErrorCode, Problem, Problems, Result};
use crate::store::StoreError;

/// A new group.
#[derive(Debug, Default)]
pub struct GroupInput {
    /// Its account; the caller's when not given, `Some(None)` when what was given is no account's id.
    pub account: Option<Option<AccountId>>,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

impl Caller {
    /// Those of these groups that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn groups_by_ids(&self, ids: &[GroupId]) -> Result<Vec<Group>> {
        let reach = self.principal().reach_of_account();
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let mut groups = self.store().groups_by_ids(ids).await?;
        groups.retain(|g| reach.covers(g.account, None));
        Ok(groups)
    }

    /// A page of groups for each filter.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn groups(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Group>>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_named(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), Page::empty));
        }
        Ok(scoped.spread(self.store().groups(&scoped.filters, page).await?, Page::empty))
    }

    /// How many groups each filter finds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_groups(&self, filters: &[NamedFilter]) -> Result<Vec<u64>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_named(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), || 0));
        }
        Ok(scoped.spread(self.store().count_groups(&scoped.filters).await?, || 0))
    }

    /// What changes groups of that account.
    ///
    /// # Errors
    /// [`Denied`] without `groups:write`; a problem with `account`.
    pub async fn write_groups(&self, account: Option<Option<AccountId>>) -> Result<GroupWrites<'_>> {
        self.principal().may_change()?;
        if !self.principal().holds(Permission::GROUPS_WRITE) {
            return Err(Denied::Missing(Permission::GROUPS_WRITE).into());
        }
        Ok(GroupWrites {
            caller: self,
            account: self.target_account(account).await?,
        })
    }
}

/// What holders of `groups:write` do in one account.
#[derive(Debug)]
pub struct GroupWrites<'a> {
    caller: &'a Caller,
    account: Account,
}

impl GroupWrites<'_> {
    /// Makes a group.
    ///
    /// # Errors
    /// Problems with the input, all at once; those of the store.
    pub async fn create(&self, input: &GroupInput) -> Result<Group> {
        let caller = self.caller;
        let mut problems = Problems::default();
        let name = problems.text(&["name"], required_line(&input.name, MAX_NAME));
        let description = problems.text(&["description"], line(&input.description, MAX_DESCRIPTION));
        problems.check()?;
        let now = caller.now();
        let group = Group {
            id: GroupId::generate(caller.services.clock.as_ref(), caller.services.entropy.as_ref())?,
            account: self.account.id,
            name: name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            is_main: false,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        let audit = caller.audit(Action {
            name: "createGroup",
            account: group.account,
            target_type: TargetType::Group,
            target_id: group.id.as_uuid(),
            target_name: format!("{}@{}", group.name, self.account.name),
            changes: diff(&Vec::new(), &group_fields(&group)),
        })?;
        match caller.store().create_group(&group, &audit).await {
            Ok(()) => Ok(group),
            Err(StoreError::Taken(_)) => {
                let message = format!(
                    "The account {} already has a group {:?}.",
                    self.account.name, group.name
                );
                Err(Problem::at(&["name"], ErrorCode::Taken, message).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
