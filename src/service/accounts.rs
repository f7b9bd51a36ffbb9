//! Accounts: reading them, and what operators do to them.

use jiff::tz::TimeZone;

use crate::access::Reach;
use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::audit::TargetType;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::password::PasswordPolicy;
use crate::domain::query::{AccountFilter, AccountOrder};
use crate::domain::text::line;
use crate::service::audit::{Action, account_fields, diff};
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
        if time_zone.len() > 64 || TimeZone::get(&time_zone).is_err() {
            let time_zone: String = time_zone.chars().take(64).collect();
            let message =
                format!("timeZone {time_zone:?} is no IANA time zone; write one such as Europe/Berlin or UTC");
            problems.push(Problem::at(&["timeZone"], ErrorCode::Invalid, message));
        }
        check_directory(caller, input.directory.as_deref(), input.directory_only, &mut problems);
        if let Err((field, right)) = input.password_policy.validate() {
            let message = format!("passwordPolicy.{field} {right}");
            problems.push(Problem::at(&["passwordPolicy", field], ErrorCode::Invalid, message));
        }
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
            let before =
                before.ok_or_else(|| Problem::at(&["id"], ErrorCode::NotFound, "There is no such account."))?;
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
            let audit = caller.audit(Action {
                name: if status == AccountStatus::Frozen {
                    "freezeAccount"
                } else {
                    "activateAccount"
                },
                account: id,
                target_type: TargetType::Account,
                target_id: id.as_uuid(),
                target_name: after.name.to_string(),
                changes: diff(&account_fields(&before), &account_fields(&after)),
            })?;
            match caller.store().update_account(&after, before.revision, &audit).await {
                Ok(()) => return Ok(after),
                Err(StoreError::Conflict { .. }) => {} // somebody else moved on; each turn reads a newer one
                Err(error) => return Err(error.into()),
            }
        }
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
        let audit = self.audit(Action {
            name: "createAccount",
            account: account.id,
            target_type: TargetType::Account,
            target_id: account.id.as_uuid(),
            target_name: account.name.to_string(),
            changes: diff(&Vec::new(), &account_fields(account)),
        })?;
        match self.store().create_account(account, &group, &audit).await {
            Err(StoreError::Taken(Unique::AccountName)) => {
                let message = format!("There is already an account {}.", account.name);
                Err(Problem::at(&["name"], ErrorCode::Taken, message).into())
            }
            result => Ok(result?),
        }
    }
}

fn check_directory(caller: &Caller, directory: Option<&str>, only: bool, problems: &mut Problems) {
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
