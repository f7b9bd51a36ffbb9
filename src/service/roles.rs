//! Roles.

use crate::access::Reach;
use crate::domain::account::Account;
use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{NamedFilter, UserFilter};
use crate::domain::role::{MAX_DESCRIPTION, MAX_NAME, Permission, Role};
use crate::domain::text::{line, required_line};
use crate::service::audit::{Action, diff, gone, holders_lost, made, role_fields};
use crate::service::error::{expect, index};
use crate::service::history::{Scoped, narrow};
use crate::service::{Caller, ErrorCode, Problem, Problems, Result};
use crate::store::StoreError;

/// A new role.
#[derive(Debug, Default)]
pub struct RoleInput {
    /// Its account; the caller's when not given, `Some(None)` when what was given is no account's id.
    pub account: Option<Option<AccountId>>,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its permissions.
    pub permissions: Vec<String>,
}

impl Caller {
    /// Those of these roles that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn roles_by_ids(&self, ids: &[RoleId]) -> Result<Vec<Role>> {
        let reach = self.principal().reach_of_account();
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let mut roles = self.store().roles_by_ids(ids).await?;
        roles.retain(|r| reach.covers(r.account, None));
        Ok(roles)
    }

    /// A page of roles for each filter.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn roles(&self, filters: &[NamedFilter], page: &PageRequest) -> Result<Vec<Page<Role>>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_named(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), Page::empty));
        }
        Ok(scoped.spread(self.store().roles(&scoped.filters, page).await?, Page::empty))
    }

    /// How many roles each filter finds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_roles(&self, filters: &[NamedFilter]) -> Result<Vec<u64>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_named(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), || 0));
        }
        Ok(scoped.spread(self.store().count_roles(&scoped.filters).await?, || 0))
    }

    /// What changes roles of that account.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied) without `roles:write`; a problem with `account`.
    pub async fn write_roles(&self, account: Option<Option<AccountId>>) -> Result<RoleWrites<'_>> {
        self.principal().may_change()?;
        if !self.principal().holds(Permission::ROLES_WRITE) {
            return Err(crate::access::Denied::Missing(Permission::ROLES_WRITE).into());
        }
        Ok(RoleWrites {
            caller: self,
            account: self.target_account(account).await?,
        })
    }

    pub(super) fn scope_named(&self, filter: &NamedFilter) -> Option<NamedFilter> {
        let (account, _) = narrow(self.principal().reach_of_account(), filter.account)?;
        Some(NamedFilter {
            account,
            ..filter.clone()
        })
    }
}

/// What holders of `roles:write` do in one account.
#[derive(Debug)]
pub struct RoleWrites<'a> {
    caller: &'a Caller,
    account: Account,
}

impl RoleWrites<'_> {
    /// Makes a role.
    ///
    /// # Errors
    /// Problems with the input, all at once; those of the store.
    pub async fn create(&self, input: &RoleInput) -> Result<Role> {
        let caller = self.caller;
        let mut problems = Problems::default();
        let name = problems.text(&["name"], required_line(&input.name, MAX_NAME));
        let description = problems.text(&["description"], line(&input.description, MAX_DESCRIPTION));
        let permissions = permissions(caller, self.account.id, &input.permissions, &[], &mut problems);
        problems.check()?;
        let now = caller.now();
        let role = Role {
            id: RoleId::generate(caller.services.clock.as_ref(), caller.services.entropy.as_ref())?,
            account: self.account.id,
            name: name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            permissions,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        let changes = made(&role_fields(&role));
        let audit = caller.audit(action_on("createRole", &role, &self.account, changes))?;
        match caller.store().create_role(&role, &audit).await {
            Ok(()) => Ok(role),
            Err(StoreError::Taken(_)) => Err(name_taken(&role, &self.account).into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Changes to a role: `None` keeps what is.
#[derive(Debug, Default, Clone)]
pub struct RoleChanges {
    /// Only if the role is still at this revision.
    pub revision: Option<i64>,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// All its permissions.
    pub permissions: Option<Vec<String>>,
}

impl Caller {
    /// What changes roles that there are.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied) without `roles:write`.
    pub fn change_roles(&self) -> Result<ExistingRoles<'_>> {
        self.principal().may_change()?;
        if !self.principal().holds(Permission::ROLES_WRITE) {
            return Err(crate::access::Denied::Missing(Permission::ROLES_WRITE).into());
        }
        Ok(ExistingRoles { caller: self })
    }
}

/// What holders of `roles:write` do to roles.
#[derive(Debug)]
pub struct ExistingRoles<'a> {
    caller: &'a Caller,
}

impl ExistingRoles<'_> {
    /// Changes what is given of a role. Permissions that come into it the caller must hold; those in it may stay or go.
    ///
    /// # Errors
    /// Problems with the input, all at once; `Conflict` when the role is not at the given revision; those of the store.
    pub async fn update(&self, id: Option<RoleId>, changes: RoleChanges) -> Result<Role> {
        let caller = self.caller;
        loop {
            let (before, account) = self.find(id).await?;
            expect("role", changes.revision, before.revision)?;
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
            if let Some(given) = &changes.permissions {
                after.permissions = permissions(caller, account.id, given, &before.permissions, &mut problems);
            }
            problems.check()?;
            let differences = diff(&role_fields(&before), &role_fields(&after));
            if differences.is_empty() {
                return Ok(before);
            }
            after.updated_at = caller.now();
            after.revision += 1;
            let audit = caller.audit(action_on("updateRole", &before, &account, differences))?;
            match caller.store().update_role(&after, before.revision, &audit).await {
                Ok(()) => return Ok(after),
                Err(StoreError::Conflict { .. }) => {} // somebody else moved on; each turn reads a newer one
                Err(StoreError::NotFound) => return Err(no_such_role().into()),
                Err(StoreError::Taken(_)) => return Err(name_taken(&after, &account).into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Deletes a role: whoever holds it does so no longer.
    ///
    /// # Errors
    /// `NotFound`; those of the store.
    pub async fn delete(&self, id: Option<RoleId>) -> Result<RoleId> {
        let caller = self.caller;
        let (role, account) = self.find(id).await?;
        let holders = UserFilter {
            account: Some(account.id),
            role: Some(role.id),
            ..UserFilter::default()
        };
        let holders = caller.store().count_users(&[holders]).await?.into_iter().sum();
        let mut changes = gone(&role_fields(&role));
        changes.push(holders_lost("users", holders));
        let audit = caller.audit(action_on("deleteRole", &role, &account, changes))?;
        match caller.store().delete_role(&role, caller.now(), &audit).await {
            Err(StoreError::NotFound) => Err(no_such_role().into()),
            result => Ok(result.map(|()| role.id)?),
        }
    }

    async fn find(&self, id: Option<RoleId>) -> Result<(Role, Account)> {
        let id = id.ok_or_else(no_such_role)?;
        let role = self.caller.roles_by_ids(&[id]).await?.pop().ok_or_else(no_such_role)?;
        let account = self.caller.store().accounts_by_ids(&[role.account]).await?.pop();
        Ok((role, account.ok_or_else(no_such_role)?))
    }
}

fn no_such_role() -> Problem {
    Problem::at(&["id"], ErrorCode::NotFound, "There is no such role.")
}

fn name_taken(role: &Role, account: &Account) -> Problem {
    let message = format!("The account {} already has a role {:?}.", account.name, role.name);
    Problem::at(&["name"], ErrorCode::Taken, message)
}

fn action_on<'a>(name: &'a str, role: &Role, account: &Account, changes: Vec<FieldChange>) -> Action<'a> {
    Action {
        name,
        account: account.id,
        target_type: TargetType::Role,
        target_id: role.id.as_uuid(),
        target_name: format!("{}@{}", role.name, account.name),
        changes,
    }
}

/// Sorted, each once; none that is not among `kept` already and that the caller does not hold.
fn permissions(
    caller: &Caller,
    account: AccountId,
    given: &[String],
    kept: &[Permission],
    problems: &mut Problems,
) -> Vec<Permission> {
    if given.len() > Role::MAX_PERMISSIONS {
        let message = format!(
            "permissions holds {}; {} is the most",
            given.len(),
            Role::MAX_PERMISSIONS
        );
        problems.push(Problem::at(&["permissions"], ErrorCode::TooLong, message));
        return Vec::new();
    }
    let mut permissions = Vec::with_capacity(given.len());
    for (i, text) in given.iter().enumerate() {
        let path = ["permissions", &index(i)];
        let Some(permission) = problems.text(&path, Permission::parse(text)) else {
            continue;
        };
        let missing = caller.principal().first_not_held(account, [&permission]).is_some();
        if missing && !kept.contains(&permission) {
            let message = format!("You do not hold {permission} yourself.");
            problems.push(Problem::at(&path, ErrorCode::NotAllowed, message));
        }
        permissions.push(permission);
    }
    permissions.sort_unstable();
    permissions.dedup();
    permissions
}
