//! Accounts: reading them, and what operators do to them.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::access::{Denied, Person, Reach};
use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::audit::{FieldChange, TargetType};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::password::PasswordPolicy;
use crate::domain::query::{AccountFilter, AccountOrder, UserFilter};
use crate::domain::text::line;
use crate::service::audit::{Action, account_fields, diff, gone, made};
use crate::service::error::expect;
use crate::service::{Caller, ErrorCode, Problem, Problems, Result};
use crate::store::{StoreError, Unique};

/// A new account; what is `None` gets its default.
#[derive(Debug, Default)]
pub struct AccountInput {
    /// Its unique name.
    pub name: String,
    /// Its name for people; the name when `None`.
    pub title: Option<String>,
    /// IANA name; UTC when `None`.
    pub time_zone: Option<String>,
    /// Language of new users.
    pub default_language: Option<Language>,
    /// A configured directory.
    pub directory: Option<String>,
    /// Refuse local passwords.
    pub directory_only: bool,
    /// Rules for local passwords.
    pub password_policy: PasswordPolicy,
}

impl Caller {
    /// Those of these accounts that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn accounts_by_ids(&self, ids: &[AccountId]) -> Result<Vec<Account>> {
        let reach = self.reach_of_own_account();
        let ids: Vec<AccountId> = ids.iter().copied().filter(|id| reach.covers(*id, None)).collect();
        Ok(if ids.is_empty() {
            Vec::new()
        } else {
            self.store().accounts_by_ids(&ids).await?
        })
    }

    /// The account of that name, when it exists for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn account_by_name(&self, name: &str) -> Result<Option<Account>> {
        let Ok(name) = AccountName::parse(name) else {
            return Ok(None);
        };
        let reach = self.reach_of_own_account();
        Ok(self
            .store()
            .account_by_name(&name)
            .await?
            .filter(|a| reach.covers(a.id, None)))
    }

    /// A page of all accounts, for operators.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied); those of the store.
    pub async fn accounts(
        &self,
        filter: &AccountFilter,
        order: AccountOrder,
        page: &PageRequest,
    ) -> Result<Page<Account>> {
        self.principal().operator()?;
        Ok(self.store().accounts(filter, order, page).await?)
    }

    /// How many accounts there are, for operators.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied); those of the store.
    pub async fn count_accounts(&self, filter: &AccountFilter) -> Result<u64> {
        self.principal().operator()?;
        Ok(self.store().count_accounts(filter).await?)
    }

    /// What changes accounts, for operators.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied).
    pub fn write_accounts(&self) -> Result<AccountWrites<'_>> {
        self.principal().may_change()?;
        self.principal().operator()?;
        Ok(AccountWrites { caller: self })
    }

    /// Whoever signed in may know their own account's name, whatever else they may not.
    fn reach_of_own_account(&self) -> Reach {
        match (self.principal().reach_of_account(), self.principal().account()) {
            (Reach::Nothing, Some(own)) => Reach::Account(own),
            (reach, _) => reach,
        }
    }
}

/// What operators do to accounts.
#[derive(Debug)]
pub struct AccountWrites<'a> {
    caller: &'a Caller,
}

impl AccountWrites<'_> {
    /// Makes an account with its Main group.
    ///
    /// # Errors
    /// Problems with the input; those of the store.
    pub async fn create(&self, input: AccountInput) -> Result<Account> {
        let caller = self.caller;
        let mut problems = Problems::default();
        let name = problems.text(&["name"], AccountName::parse(&input.name));
        let title = problems.text(
            &["title"],
            line(input.title.as_deref().unwrap_or(&input.name), Account::MAX_TITLE),
        );
        let time_zone = input.time_zone.unwrap_or_else(|| "UTC".to_owned());
        check_time_zone(&time_zone, &mut problems);
        check_directory(caller, input.directory.as_deref(), input.directory_only, &mut problems);
        check_policy(&input.password_policy, &mut problems);
        problems.check()?;
        let (Some(name), Some(title)) = (name, title) else {
            return Err(StoreError::NotFound.into());
        };

        let now = caller.now();
        let account = Account {
            id: AccountId::generate(caller.services.clock.as_ref(), caller.services.entropy.as_ref())?,
            title: if title.is_empty() { name.to_string() } else { title },
            name,
            status: AccountStatus::Active,
            time_zone,
            default_language: input.default_language.unwrap_or_default(),
            directory: input.directory,
            directory_only: input.directory_only,
            password_policy: input.password_policy,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        caller.insert_account(&account).await?;
        Ok(account)
    }

    /// Freezes or activates an account; freezing ends its sessions.
    ///
    /// # Errors
    /// `NotFound`, and `NotAllowed` for the operators' own account; those of the store.
    pub async fn set_status(&self, id: AccountId, status: AccountStatus) -> Result<Account> {
        let caller = self.caller;
        loop {
            let before = caller.store().accounts_by_ids(&[id]).await?.pop();
            let before = before.ok_or_else(no_such_account)?;
            if before.name.is_system() && status == AccountStatus::Frozen {
                let message = "The system account cannot be frozen: nobody could activate it again.";
                return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
            }
            if before.status == status {
                return Ok(before);
            }
            let after = Account {
                status,
                updated_at: caller.now(),
                revision: before.revision + 1,
                ..before.clone()
            };
            let name = if status == AccountStatus::Frozen {
                "freezeAccount"
            } else {
                "activateAccount"
            };
            let changes = diff(&account_fields(&before), &account_fields(&after));
            let audit = caller.audit(action_on(name, &after, id, changes))?;
            match caller.store().update_account(&after, before.revision, &audit).await {
                Ok(()) => return Ok(after),
                Err(StoreError::Conflict { .. }) => {} // somebody else moved on; each turn reads a newer one
                Err(StoreError::NotFound) => return Err(no_such_account().into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Changes to a password policy: `None` keeps what is.
#[derive(Debug, Default, Clone, Copy)]
pub struct PolicyChanges {
    /// See [`PasswordPolicy`].
    pub min_length: Option<u32>,
    /// See [`PasswordPolicy`].
    pub min_strength: Option<u8>,
    /// See [`PasswordPolicy`]; `Some(None)`: never.
    pub max_age_days: Option<Option<u32>>,
    /// See [`PasswordPolicy`].
    pub history: Option<u32>,
    /// See [`PasswordPolicy`].
    pub lockout_threshold: Option<u32>,
    /// See [`PasswordPolicy`].
    pub lockout_minutes: Option<u32>,
}

impl PolicyChanges {
    /// The policy with these changes.
    #[must_use]
    pub fn over(self, policy: PasswordPolicy) -> PasswordPolicy {
        PasswordPolicy {
            min_length: self.min_length.unwrap_or(policy.min_length),
            min_strength: self.min_strength.unwrap_or(policy.min_strength),
            max_age_days: self.max_age_days.unwrap_or(policy.max_age_days),
            history: self.history.unwrap_or(policy.history),
            lockout_threshold: self.lockout_threshold.unwrap_or(policy.lockout_threshold),
            lockout_minutes: self.lockout_minutes.unwrap_or(policy.lockout_minutes),
        }
    }
}

/// Changes to an account: `None` keeps what is.
#[derive(Debug, Default, Clone)]
pub struct AccountChanges {
    /// Only if the account is still at this revision.
    pub revision: Option<i64>,
    /// Its name for people.
    pub title: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// Language of new users.
    pub default_language: Option<Language>,
    /// For operators: a configured directory; `Some(None)`: LDAP is off.
    pub directory: Option<Option<String>>,
    /// For operators: refuse local passwords.
    pub directory_only: Option<bool>,
    /// Rules for local passwords.
    pub password_policy: PolicyChanges,
}

impl Caller {
    /// What changes accounts that there are: for operators, and for masters, who change some of their own.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn change_accounts(&self) -> Result<ExistingAccounts<'_>> {
        self.principal().may_change()?;
        let operator = self.principal().operator().is_ok();
        if operator || self.principal().person().is_some_and(Person::is_master) {
            Ok(ExistingAccounts { caller: self, operator })
        } else {
            Err(Denied::Missing("a master user").into())
        }
    }
}

/// What operators do to accounts, and masters to their own.
#[derive(Debug)]
pub struct ExistingAccounts<'a> {
    caller: &'a Caller,
    operator: bool,
}

impl ExistingAccounts<'_> {
    /// Changes what is given of an account.
    ///
    /// # Errors
    /// Problems with the input, all at once, `NotAllowed` for what only operators change among them; `Conflict` when the
    /// account is not at the given revision; those of the store.
    pub async fn update(&self, id: Option<AccountId>, changes: AccountChanges) -> Result<Account> {
        let caller = self.caller;
        loop {
            let before = match id {
                Some(id) => caller.accounts_by_ids(&[id]).await?.pop(),
                None => None,
            };
            let before = before.ok_or_else(no_such_account)?;
            expect("account", changes.revision, before.revision)?;
            let mut problems = Problems::default();
            let mut after = self.apply(&before, &changes, &mut problems).await?;
            problems.check()?;
            let differences = diff(&account_fields(&before), &account_fields(&after));
            if differences.is_empty() {
                return Ok(before);
            }
            after.updated_at = caller.now();
            after.revision += 1;
            let audit = caller.audit(action_on("updateAccount", &before, before.id, differences))?;
            match caller.store().update_account(&after, before.revision, &audit).await {
                Ok(()) => return Ok(after),
                Err(StoreError::LastMaster) => {
                    let message =
                        "None of its masters signs in with the directory; make one of them an LDAP user first.";
                    return Err(Problem::at(&["directoryOnly"], ErrorCode::LastMaster, message).into());
                }
                Err(StoreError::Conflict { .. }) => {} // somebody else moved on; each turn reads a newer one
                Err(StoreError::NotFound) => return Err(no_such_account().into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn apply(&self, before: &Account, changes: &AccountChanges, problems: &mut Problems) -> Result<Account> {
        let mut after = before.clone();
        if let Some(title) = &changes.title {
            let title = problems.text(&["title"], line(title, Account::MAX_TITLE));
            after.title = title
                .filter(|t| !t.is_empty())
                .unwrap_or_else(|| before.name.to_string());
        }
        if let Some(time_zone) = &changes.time_zone {
            check_time_zone(time_zone, problems);
            after.time_zone.clone_from(time_zone);
        }
        after.default_language = changes.default_language.unwrap_or(before.default_language);
        after.password_policy = changes.password_policy.over(before.password_policy);
        check_policy(&after.password_policy, problems);

        let given = [
            ("directory", changes.directory.is_some()),
            ("directoryOnly", changes.directory_only.is_some()),
        ];
        for (field, _) in given.iter().filter(|(_, given)| *given && !self.operator) {
            let message = format!("Only an operator changes {field}.");
            problems.push(Problem::at(&[field], ErrorCode::NotAllowed, message));
        }
        if self.operator && given.iter().any(|(_, given)| *given) {
            after.directory = changes.directory.clone().unwrap_or(after.directory);
            after.directory_only = changes.directory_only.unwrap_or(after.directory_only);
            check_directory(self.caller, after.directory.as_deref(), after.directory_only, problems);
            if before.directory.is_some() && after.directory.is_none() {
                self.check_no_ldap_users(before.id, problems).await?;
            }
        }
        Ok(after)
    }

    /// LDAP users could not sign in any more.
    async fn check_no_ldap_users(&self, account: AccountId, problems: &mut Problems) -> Result<()> {
        let filter = UserFilter {
            account: Some(account),
            is_ldap: Some(true),
            ..UserFilter::default()
        };
        let count: u64 = self.caller.store().count_users(&[filter]).await?.into_iter().sum();
        if count > 0 {
            let message = format!("{count} of its users sign in with the directory; change or delete them first.");
            problems.push(Problem::at(&["directory"], ErrorCode::NotAllowed, message));
        }
        Ok(())
    }
}

/// What is done inline for a deleted account before the rest is left to the upkeep.
const CLEAR_FOR: Duration = Duration::from_secs(5);

impl AccountWrites<'_> {
    /// Deletes an account with everything in it; its name must be typed again.
    ///
    /// # Errors
    /// `NotFound` and `NotAllowed` (the operators' own) with `id`, `Invalid` with `confirmName`; those of the store.
    pub async fn delete(&self, id: Option<AccountId>, confirm_name: &str) -> Result<AccountId> {
        let caller = self.caller;
        let account = match id {
            Some(id) => caller.store().accounts_by_ids(&[id]).await?.pop(),
            None => None,
        };
        let account = account.ok_or_else(no_such_account)?;
        if account.name.is_system() {
            let message = "The system account is the operators' own and stays.";
            return Err(Problem::at(&["id"], ErrorCode::NotAllowed, message).into());
        }
        if confirm_name != account.name.as_str() {
            let message = format!(
                "Write the account's name, {}, to delete it and all that is in it.",
                account.name
            );
            return Err(Problem::at(&["confirmName"], ErrorCode::Invalid, message).into());
        }
        // Its own log goes with it, so the operators' log says that it went.
        let system = caller.store().account_by_name(&AccountName::system()).await?;
        let system = system.ok_or_else(|| StoreError::Corrupt("there is no system account".to_owned()))?;
        let changes = gone(&account_fields(&account));
        let audit = caller.audit(action_on("deleteAccount", &account, system.id, changes))?;
        match caller.store().delete_account(account.id, caller.now(), &audit).await {
            Ok(()) => {}
            Err(StoreError::NotFound) => return Err(no_such_account().into()),
            Err(error) => return Err(error.into()),
        }
        match tokio::time::timeout(CLEAR_FOR, caller.store().clear_deleted(caller.now())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what a deleted account left behind is removed later"),
            Err(_) => tracing::info!("what a deleted account left behind is removed later: it is a lot"),
        }
        Ok(account.id)
    }
}

fn no_such_account() -> Problem {
    Problem::at(&["id"], ErrorCode::NotFound, "There is no such account.")
}

/// The audit log's view of something done to an account; `log` is the account whose log it goes to.
fn action_on<'a>(name: &'a str, account: &Account, log: AccountId, changes: Vec<FieldChange>) -> Action<'a> {
    Action {
        name,
        account: log,
        target_type: TargetType::Account,
        target_id: account.id.as_uuid(),
        target_name: account.name.to_string(),
        changes,
    }
}

pub(super) fn check_time_zone(time_zone: &str, problems: &mut Problems) {
    if time_zone.len() > 64 || TimeZone::get(time_zone).is_err() {
        let time_zone: String = time_zone.chars().take(64).collect();
        let message = format!("timeZone {time_zone:?} is no IANA time zone; write one such as Europe/Berlin or UTC");
        problems.push(Problem::at(&["timeZone"], ErrorCode::Invalid, message));
    }
}

pub(super) fn check_policy(policy: &PasswordPolicy, problems: &mut Problems) {
    if let Err((field, right)) = policy.validate() {
        let message = format!("passwordPolicy.{field} {right}");
        problems.push(Problem::at(&["passwordPolicy", field], ErrorCode::Invalid, message));
    }
}

impl Caller {
    /// Writes a new account with its Main group.
    pub(super) async fn insert_account(&self, account: &Account) -> Result<()> {
        let group = Group {
            id: GroupId::generate(self.services.clock.as_ref(), self.services.entropy.as_ref())?,
            account: account.id,
            name: Group::MAIN.to_owned(),
            description: String::new(),
            is_main: true,
            created_at: account.created_at,
            updated_at: account.created_at,
            revision: 1,
        };
        let changes = made(&account_fields(account));
        let audit = self.audit(action_on("createAccount", account, account.id, changes))?;
        match self.store().create_account(account, &group, &audit).await {
            Err(StoreError::Taken(Unique::AccountName)) => {
                let message = format!("There is already an account {}.", account.name);
                Err(Problem::at(&["name"], ErrorCode::Taken, message).into())
            }
            result => Ok(result?),
        }
    }
}

pub(super) fn check_directory(caller: &Caller, directory: Option<&str>, only: bool, problems: &mut Problems) {
    let configured = &caller.services.settings.directories;
    match directory {
        Some(name) if !configured.contains_key(name) => {
            let names: Vec<&str> = configured.keys().map(String::as_str).collect();
            let known = if names.is_empty() {
                "none is".to_owned()
            } else {
                format!("there is: {}", names.join(", "))
            };
            let message = format!("The configuration has no directory {name:?}; {known}.");
            problems.push(Problem::at(&["directory"], ErrorCode::NotFound, message));
        }
        None if only => {
            let message = "directoryOnly takes a directory.";
            problems.push(Problem::at(&["directoryOnly"], ErrorCode::LdapOff, message));
        }
        _ => {}
    }
}
