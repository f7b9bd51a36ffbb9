//! Roles.

use crate::access::Reach;
use crate::domain::account::Account;
use crate::domain::audit::TargetType;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::NamedFilter;
use crate::domain::role::{MAX_DESCRIPTION, MAX_NAME, Permission, Role};
use crate::domain::text::{line, required_line};
use crate::service::audit::{Action, diff, role_fields};
use crate::service::error::index;
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
        let permissions = self.permissions(&input.permissions, &mut problems);
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
        let audit = caller.audit(Action {
            name: "createRole",
            account: role.account,
            target_type: TargetType::Role,
            target_id: role.id.as_uuid(),
            target_name: format!("{}@{}", role.name, self.account.name),
            changes: diff(&Vec::new(), &role_fields(&role)),
        })?;
        match caller.store().create_role(&role, &audit).await {
            Ok(()) => Ok(role),
            Err(StoreError::Taken(_)) => {
                let message = format!("The account {} already has a role {:?}.", self.account.name, role.name);
                Err(Problem::at(&["name"], ErrorCode::Taken, message).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sorted, each once, none that the caller does not hold.
    fn permissions(&self, given: &[String], problems: &mut Problems) -> Vec<Permission> {
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
            if self
                .caller
                .principal()
                .first_not_held(self.account.id, [&permission])
                .is_some()
            {
                let message = format!("You do not hold {permission} yourself.");
                problems.push(Problem::at(&path, ErrorCode::NotAllowed, message));
            }
            permissions.push(permission);
        }
        permissions.sort_unstable();
        permissions.dedup();
        permissions
    }
}
