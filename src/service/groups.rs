//! Groups.

use crate::access::{Denied, Reach};
use crate::domain::account::Account;
use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{NamedFilter, UserFilter};
use crate::domain::role::{MAX_DESCRIPTION, MAX_NAME, Permission};
use crate::domain::text::{line, required_line};
use crate::service::audit::{Action, diff, gone, group_fields, holders_lost, made};
use crate::service::error::expect;
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
        let changes = made(&group_fields(&group));
        let audit = caller.audit(action_on("createGroup", &group, &self.account, changes))?;
        match caller.store().create_group(&group, &audit).await {
            Ok(()) => Ok(group),
            Err(StoreError::Taken(_)) => Err(name_taken(&group, &self.account).into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Changes to a group: `None` keeps what is.
#[derive(Debug, Default, Clone)]
pub struct GroupChanges {
    /// Only if the group is still at this revision.
    pub revision: Option<i64>,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
}

impl Caller {
    /// What changes groups that there are.
    ///
    /// # Errors
    /// [`Denied`] without `groups:write`.
    pub fn change_groups(&self) -> Result<ExistingGroups<'_>> {
        self.principal().may_change()?;
        if !self.principal().holds(Permission::GROUPS_WRITE) {
            return Err(Denied::Missing(Permission::GROUPS_WRITE).into());
        }
        Ok(ExistingGroups { caller: self })
    }
}

/// What holders of `groups:write` do to groups.
#[derive(Debug)]
pub struct ExistingGroups<'a> {
    caller: &'a Caller,
}

impl ExistingGroups<'_> {
    /// Changes what is given of a group. The Main group may have another name; it stays the Main group.
    ///
    /// # Errors
    /// Problems with the input, all at once; `Conflict` when the group is not at the given revision; those of the store.
    pub async fn update(&self, id: Option<GroupId>, changes: GroupChanges) -> Result<Group> {
        let caller = self.caller;
        loop {
            let (before, account) = self.find(id).await?;
            expect("group", changes.revision, before.revision)?;
            let mut problems = Problems::default();
            let mut after = before.clone();
            if let Some(name) = &changes.name {
                after.name = problems
                    .text(&["name"], required_line(name, MAX_NAME))
                    .unwrap_or_default();
            }
            if let Some(text) = &changes.description {
                after.description = problems
                    .text(&["description"], line(text, MAX_DESCRIPTION))
                    .unwrap_or_default();
            }
            problems.check()?;
            let differences = diff(&group_fields(&before), &group_fields(&after));
            if differences.is_empty() {
                return Ok(before);
            }
            after.updated_at = caller.now();
            after.revision += 1;
            let audit = caller.audit(action_on("updateGroup", &before, &account, differences))?;
            match caller.store().update_group(&after, before.revision, &audit).await {
                Ok(()) => return Ok(after),
                Err(StoreError::Conflict { .. }) => {} // somebody else moved on; each turn reads a newer one
                Err(StoreError::NotFound) => return Err(no_such_group().into()),
                Err(StoreError::Taken(_)) => return Err(name_taken(&after, &account).into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Deletes a group; whoever was in no other is in the Main group from then on.
    ///
    /// # Errors
    /// `NotFound`, `NotAllowed` for the Main group; those of the store.
    pub async fn delete(&self, id: Option<GroupId>) -> Result<GroupId> {
        let caller = self.caller;
        let (group, account) = self.find(id).await?;
        if group.is_main {
            let message = "The Main group stays: it takes in whoever has no other.";
            return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
        }
        let members = UserFilter {
            account: Some(account.id),
            group: Some(group.id),
            ..UserFilter::default()
        };
        let members = caller.store().count_users(&[members]).await?.into_iter().sum();
        let mut changes = gone(&group_fields(&group));
        changes.push(holders_lost("users", members));
        let audit = caller.audit(action_on("deleteGroup", &group, &account, changes))?;
        match caller.store().delete_group(&group, caller.now(), &audit).await {
            Err(StoreError::NotFound) => Err(no_such_group().into()),
            result => Ok(result.map(|()| group.id)?),
        }
    }

    async fn find(&self, id: Option<GroupId>) -> Result<(Group, Account)> {
        let id = id.ok_or_else(no_such_group)?;
        let group = self
            .caller
            .groups_by_ids(&[id])
            .await?
            .pop()
            .ok_or_else(no_such_group)?;
        let account = self.caller.store().accounts_by_ids(&[group.account]).await?.pop();
        Ok((group, account.ok_or_else(no_such_group)?))
    }
}

fn no_such_group() -> Problem {
    Problem::at(&["id"], ErrorCode::NotFound, "There is no such group.")
}

fn name_taken(group: &Group, account: &Account) -> Problem {
    let message = format!("The account {} already has a group {:?}.", account.name, group.name);
    Problem::at(&["name"], ErrorCode::Taken, message)
}

fn action_on<'a>(name: &'a str, group: &Group, account: &Account, changes: Vec<FieldChange>) -> Action<'a> {
    Action {
        name,
        account: account.id,
        target_type: TargetType::Group,
        target_id: group.id.as_uuid(),
        target_name: format!("{}@{}", group.name, account.name),
        changes,
    }
}
