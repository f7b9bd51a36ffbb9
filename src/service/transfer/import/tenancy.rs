//! Accounts, roles and groups of a file.

use uuid::Uuid;

use super::{Import, Pending};
use crate::domain::account::{Account, AccountStatus};
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId, RoleId};
use crate::domain::password::PasswordPolicy;
use crate::domain::role::Role;
use crate::domain::text::fold;
use crate::service::accounts::{check_directory, check_policy, check_time_zone};
use crate::service::audit::{Action, account_fields, diff, group_fields, made, role_fields};
use crate::service::transfer::known::Known;
use crate::service::transfer::parse::{AccountLine, GroupLine, RoleLine};
use crate::service::{AccountChanges, Problem, Problems, Result, ServiceError};
use crate::store::StoreError;
use crate::store::transfer::Record;

/// What only a person can put right, as the reason of a rejected line; everything else ends the import.
pub(super) fn reason(error: ServiceError) -> Result<String> {
    match error {
        ServiceError::Problems(problems) => Ok(words(&problems)),
        ServiceError::Store(error) => refusal(error).map_err(ServiceError::Store),
        other => Err(other),
    }
}

fn words(problems: &[Problem]) -> String {
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    messages.join("; ")
}

/// As [`reason`], of a store's own words.
pub(super) fn refusal(error: StoreError) -> std::result::Result<String, StoreError> {
    match error {
        StoreError::Taken(unique) => Ok(format!("{unique} is taken by another one")),
        StoreError::LastMaster => Ok("the account would be left without an active master who can sign in".to_owned()),
        StoreError::Conflict { .. } => Ok("somebody else changed it at this moment; import it again".to_owned()),
        StoreError::NotFound => Ok("it was deleted at this moment; import it again".to_owned()),
        other => Err(other),
    }
}

impl Import<'_> {
    pub(super) async fn account(&mut self, number: u64, line: AccountLine) -> Result<()> {
        if let Some(own) = self.options.account.as_ref().filter(|own| **own != line.name) {
            let told = format!("is the account {}, and --account says {own}", line.name);
            self.reject(number, told);
            return Ok(());
        }
        if !self.is_first(number, "account", "", line.name.as_str()) {
            return Ok(());
        }
        let ids = [("account", line.id), ("main group", line.main_group_id)];
        if ids.into_iter().any(|(what, id)| !self.is_first_id(number, what, id)) {
            return Ok(());
        }
        let exists = self.accounts.load(self.caller.store(), &line.name).await?;
        let outcome = if exists {
            self.update_account(line).await
        } else {
            self.create_account(line).await
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                self.reject(number, reason(error)?);
                Ok(())
            }
        }
    }

    async fn create_account(&mut self, line: AccountLine) -> Result<()> {
        let (caller, now) = (self.caller, self.caller.now());
        let (clock, entropy) = (caller.services.clock.as_ref(), caller.services.entropy.as_ref());
        let changes = line.changes;
        let title = changes.title.filter(|title| !title.is_empty());
        let created_at = line.created_at.unwrap_or(now);
        let account = Account {
            id: line.id.map_or_else(
                || AccountId::generate(clock, entropy),
                |id| Ok(AccountId::from_uuid(id)),
            )?,
            title: title.unwrap_or_else(|| line.name.to_string()),
            name: line.name,
            status: line.status.unwrap_or(AccountStatus::Active),
            time_zone: changes.time_zone.unwrap_or_else(|| "UTC".to_owned()),
            default_language: changes.default_language.unwrap_or_default(),
            directory: changes.directory.flatten(),
            directory_only: changes.directory_only.unwrap_or(false),
            password_policy: changes.password_policy.over(PasswordPolicy::default()),
            created_at,
            updated_at: now,
            revision: 1,
        };
        let mut problems = Problems::default();
        check_time_zone(&account.time_zone, &mut problems);
        check_directory(
            caller,
            account.directory.as_deref(),
            account.directory_only,
            &mut problems,
        );
        check_policy(&account.password_policy, &mut problems);
        if account.name.is_system() && account.status == AccountStatus::Frozen {
            problems.push(Problem::new(
                crate::service::ErrorCode::NotAllowed,
                "the system account cannot be frozen",
            ));
        }
        if !caller.store().accounts_by_ids(&[account.id]).await?.is_empty() {
            problems.push(id_taken("account"));
        }
        let main_id = line.main_group_id.map(GroupId::from_uuid);
        if let Some(id) = main_id
            && !caller.store().groups_by_ids(&[id]).await?.is_empty()
        {
            problems.push(id_taken("group"));
        }
        problems.check()?;
        let main = Group {
            id: main_id.map_or_else(|| GroupId::generate(clock, entropy), Ok)?,
            account: account.id,
            name: Group::MAIN.to_owned(),
            description: String::new(),
            is_main: true,
            created_at,
            updated_at: created_at,
            revision: 1,
        };
        if !self.options.dry_run {
            let changes = made(&account_fields(&account));
            let audit = caller.audit(on_account(&account, changes))?;
            let records = [Record::Account(account.clone()), Record::Group(main.clone())];
            self.create(&records, &[audit]).await?;
        }
        self.accounts.set(Known::new(account, &main, self.options.dry_run));
        self.report.created.accounts += 1;
        Ok(())
    }

    async fn update_account(&mut self, line: AccountLine) -> Result<()> {
        let caller = self.caller;
        let Some(known) = self.accounts.get_mut(&line.name) else {
            return Ok(());
        };
        let before = known.account.clone();
        let given = line.changes;
        // What is the same is not given, so that it need not hold by today's rules.
        let changes = AccountChanges {
            title: given.title.filter(|title| *title != before.title),
            time_zone: given.time_zone.filter(|zone| *zone != before.time_zone),
            directory: given.directory.filter(|directory| *directory != before.directory),
            directory_only: given.directory_only.filter(|only| *only != before.directory_only),
            ..given
        };
        let mut after = before.clone();
        if self.options.dry_run {
            let mut problems = Problems::default();
            after.title = changes.title.unwrap_or(after.title);
            after.time_zone = changes.time_zone.unwrap_or(after.time_zone);
            after.default_language = changes.default_language.unwrap_or(after.default_language);
            after.password_policy = changes.password_policy.over(after.password_policy);
            after.directory = changes.directory.clone().unwrap_or(after.directory);
            after.directory_only = changes.directory_only.unwrap_or(after.directory_only);
            after.status = line.status.unwrap_or(after.status);
            check_time_zone(&after.time_zone, &mut problems);
            check_policy(&after.password_policy, &mut problems);
            if changes.directory.is_some() || changes.directory_only.is_some() {
                check_directory(caller, after.directory.as_deref(), after.directory_only, &mut problems);
            }
            problems.check()?;
        } else {
            after = caller.change_accounts()?.update(Some(before.id), changes).await?;
            if let Some(status) = line.status.filter(|status| *status != after.status) {
                after = caller.write_accounts()?.set_status(before.id, status).await?;
            }
        }
        let changed = after != before;
        known.account = after;
        let counts = if changed {
            &mut self.report.updated
        } else {
            &mut self.report.unchanged
        };
        counts.accounts += 1;
        Ok(())
    }

    /// Writes the new roles and groups that wait.
    pub(super) async fn write_pending(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        if !self.options.dry_run {
            let records: Vec<Record> = pending.iter().map(|one| one.record.clone()).collect();
            let entries: Vec<AuditEntry> = pending.iter().map(|one| one.entry.clone()).collect();
            if let Err(error) = self.create(&records, &entries).await {
                let told = refusal(error)?;
                if let [one] = pending.as_slice() {
                    self.reject(one.line, told);
                    // It is looked for again when it is named.
                    self.accounts.forget(&one.account);
                    return Ok(());
                }
                // Somebody was faster with one of them.
                for one in pending {
                    self.pending.push(one);
                    Box::pin(self.write_pending()).await?;
                }
                return Ok(());
            }
        }
        for one in &pending {
            match one.record {
                Record::Role(_) => self.report.created.roles += 1,
                _ => self.report.created.groups += 1,
            }
        }
        Ok(())
    }

    /// Is this the first line that gives an identifier? Later ones are rejected.
    pub(super) fn is_first_id(&mut self, number: u64, what: &str, id: Option<Uuid>) -> bool {
        id.is_none_or(|id| self.is_first(number, &format!("{what}'s id"), "", &id.to_string()))
    }

    pub(super) async fn role(&mut self, number: u64, line: RoleLine) -> Result<()> {
        let Some(name) = self.account_of(number, line.account.as_ref()).await? else {
            return Ok(());
        };
        if !self.is_first(number, "role", name.as_str(), &fold(&line.name))
            || !self.is_first_id(number, "role", line.id)
        {
            return Ok(());
        }
        let (caller, now) = (self.caller, self.caller.now());
        let (clock, entropy) = (caller.services.clock.as_ref(), caller.services.entropy.as_ref());
        let Some(known) = self.accounts.get(&name) else {
            return Ok(());
        };
        let (account, is_imagined) = (known.account.clone(), known.is_imagined);
        let by_name = known.role(&line.name).ok();
        let given = line.id.map(RoleId::from_uuid);
        let ids: Vec<RoleId> = given.into_iter().chain(by_name).collect();
        let found = if ids.is_empty() || is_imagined {
            Vec::new()
        } else {
            caller.store().roles_by_ids(&ids).await?
        };
        let by_id = found.iter().find(|role| Some(role.id) == given);
        if by_id.is_some_and(|role| role.account != account.id) {
            self.reject(number, "its id is that of a role of another account");
            return Ok(());
        }
        let existing = by_id.or_else(|| found.iter().find(|role| Some(role.id) == by_name));
        let role = match existing {
            Some(before) => {
                let mut after = Role {
                    name: line.name,
                    description: line.description.unwrap_or_else(|| before.description.clone()),
                    permissions: line.permissions.unwrap_or_else(|| before.permissions.clone()),
                    ..before.clone()
                };
                if after == *before {
                    self.report.unchanged.roles += 1;
                    return Ok(());
                }
                after.updated_at = now;
                after.revision += 1;
                if !self.options.dry_run {
                    let changes = diff(&role_fields(before), &role_fields(&after));
                    let audit = caller.audit(on_role(&after, &account, changes))?;
                    if let Err(error) = caller.store().update_role(&after, before.revision, &audit).await {
                        self.reject(number, refusal(error)?);
                        return Ok(());
                    }
                }
                self.report.updated.roles += 1;
                after
            }
            None => {
                let role = Role {
                    id: given.map_or_else(|| RoleId::generate(clock, entropy), Ok)?,
                    account: account.id,
                    name: line.name,
                    description: line.description.unwrap_or_default(),
                    permissions: line.permissions.unwrap_or_default(),
                    created_at: line.created_at.unwrap_or(now),
                    updated_at: now,
                    revision: 1,
                };
                let entry = caller.audit(on_role(&role, &account, made(&role_fields(&role))))?;
                self.pending.push(Pending {
                    line: number,
                    account: name.clone(),
                    record: Record::Role(role.clone()),
                    entry,
                });
                role
            }
        };
        if let Some(known) = self.accounts.get_mut(&name) {
            known.add_role(&role);
        }
        Ok(())
    }

    pub(super) async fn group(&mut self, number: u64, line: GroupLine) -> Result<()> {
        let Some(name) = self.account_of(number, line.account.as_ref()).await? else {
            return Ok(());
        };
        if !self.is_first(number, "group", name.as_str(), &fold(&line.name))
            || !self.is_first_id(number, "group", line.id)
        {
            return Ok(());
        }
        let (caller, now) = (self.caller, self.caller.now());
        let (clock, entropy) = (caller.services.clock.as_ref(), caller.services.entropy.as_ref());
        let Some(known) = self.accounts.get(&name) else {
            return Ok(());
        };
        let (account, main, is_imagined) = (known.account.clone(), known.main, known.is_imagined);
        let by_name = known.group(&line.name).ok();
        let given = line.id.map(GroupId::from_uuid);
        // There is one Main group; its line finds it whatever it is called here.
        let as_main = main.filter(|_| line.main);
        if line.main && is_imagined {
            self.report.unchanged.groups += 1;
            return Ok(());
        }
        let ids: Vec<GroupId> = as_main.into_iter().chain(given).chain(by_name).collect();
        let found = if ids.is_empty() || is_imagined {
            Vec::new()
        } else {
            caller.store().groups_by_ids(&ids).await?
        };
        let with = |id: Option<GroupId>| found.iter().find(|group| Some(group.id) == id);
        if with(given).is_some_and(|group| group.account != account.id) {
            self.reject(number, "its id is that of a group of another account");
            return Ok(());
        }
        let existing = with(as_main).or_else(|| with(given)).or_else(|| with(by_name));
        let group = match existing {
            Some(before) => {
                let mut after = Group {
                    name: line.name,
                    description: line.description.unwrap_or_else(|| before.description.clone()),
                    ..before.clone()
                };
                if after == *before {
                    self.report.unchanged.groups += 1;
                    return Ok(());
                }
                after.updated_at = now;
                after.revision += 1;
                if !self.options.dry_run {
                    let changes = diff(&group_fields(before), &group_fields(&after));
                    let audit = caller.audit(on_group(&after, &account, changes))?;
                    if let Err(error) = caller.store().update_group(&after, before.revision, &audit).await {
                        self.reject(number, refusal(error)?);
                        return Ok(());
                    }
                }
                self.report.updated.groups += 1;
                after
            }
            None => {
                let group = Group {
                    id: given.map_or_else(|| GroupId::generate(clock, entropy), Ok)?,
                    account: account.id,
                    name: line.name,
                    description: line.description.unwrap_or_default(),
                    is_main: false,
                    created_at: line.created_at.unwrap_or(now),
                    updated_at: now,
                    revision: 1,
                };
                let entry = caller.audit(on_group(&group, &account, made(&group_fields(&group))))?;
                self.pending.push(Pending {
                    line: number,
                    account: name.clone(),
                    record: Record::Group(group.clone()),
                    entry,
                });
                group
            }
        };
        if let Some(known) = self.accounts.get_mut(&name) {
            known.add_group(&group);
        }
        Ok(())
    }
}

fn id_taken(what: &str) -> Problem {
    let message = format!("its id is that of another {what}");
    Problem::new(crate::service::ErrorCode::Taken, message)
}

fn on_account(account: &Account, changes: Vec<FieldChange>) -> Action<'static> {
    Action {
        name: "importAccount",
        account: account.id,
        target_type: TargetType::Account,
        target_id: account.id.as_uuid(),
        target_name: account.name.to_string(),
        changes,
    }
}

fn on_role(role: &Role, account: &Account, changes: Vec<FieldChange>) -> Action<'static> {
    Action {
        name: "importRole",
        account: account.id,
        target_type: TargetType::Role,
        target_id: role.id.as_uuid(),
        target_name: format!("{}@{}", role.name, account.name),
        changes,
    }
}

fn on_group(group: &Group, account: &Account, changes: Vec<FieldChange>) -> Action<'static> {
    Action {
        name: "importGroup",
        account: account.id,
        target_type: TargetType::Group,
        target_id: group.id.as_uuid(),
        target_name: format!("{}@{}", group.name, account.name),
        changes,
    }
}
