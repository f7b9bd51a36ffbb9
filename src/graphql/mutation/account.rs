//! Accounts.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::domain;
use crate::domain::account::AccountStatus;
use crate::domain::ids::AccountId;
use crate::domain::password::PasswordPolicy;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::inputs::{clearable, required};
use crate::graphql::types::{Account, Language, PasswordPolicyInput};
use crate::service::{AccountChanges, AccountInput, Caller, ErrorCode, PolicyChanges, Problem, Problems, Result};

/// Accounts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Accounts;

/// A new account.
#[derive(InputObject)]
pub struct CreateAccountInput {
    /// `[a-z0-9-]{1,63}`, unique in the whole installation.
    name: String,
    /// Its name for people.
    title: Option<String>,
    /// IANA name; UTC when absent.
    time_zone: Option<String>,
    /// Language of new users; EN when absent.
    default_language: Option<Language>,
    /// The configured directory that its LDAP users sign in with.
    directory: Option<String>,
    /// Refuse local passwords.
    directory_only: Option<bool>,
    /// Rules for local passwords.
    password_policy: Option<PasswordPolicyInput>,
}

/// A new account, or what is wrong with it.
#[derive(Debug, SimpleObject)]
pub struct CreateAccountPayload {
    /// The account.
    account: Option<Account>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Changes to an account: absent means unchanged, null means cleared.
#[derive(InputObject)]
pub struct UpdateAccountInput {
    /// The account.
    id: ID,
    /// Refuse the change when the account is no longer at this revision.
    revision: Option<i64>,
    /// Its name for people.
    title: MaybeUndefined<String>,
    /// IANA name.
    time_zone: MaybeUndefined<String>,
    /// Language of new users.
    default_language: MaybeUndefined<Language>,
    /// For operators: the configured directory that its LDAP users sign in with.
    directory: MaybeUndefined<String>,
    /// For operators: refuse local passwords.
    directory_only: MaybeUndefined<bool>,
    /// Rules for local passwords; what is absent stays.
    password_policy: Option<PasswordPolicyInput>,
}

/// An account to freeze.
#[derive(InputObject)]
pub struct FreezeAccountInput {
    /// The account.
    id: ID,
}

/// An account to activate.
#[derive(InputObject)]
pub struct ActivateAccountInput {
    /// The account.
    id: ID,
}

/// An account to delete.
#[derive(InputObject)]
pub struct DeleteAccountInput {
    /// The account.
    id: ID,
    /// Its name, typed again.
    confirm_name: String,
}

/// A changed account, or what is wrong with the change.
#[derive(Debug, SimpleObject)]
pub struct UpdateAccountPayload {
    /// The account.
    account: Option<Account>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A frozen account.
#[derive(Debug, SimpleObject)]
pub struct FreezeAccountPayload {
    /// The account.
    account: Option<Account>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// An account that is active again.
#[derive(Debug, SimpleObject)]
pub struct ActivateAccountPayload {
    /// The account.
    account: Option<Account>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// What deleting an account comes to.
#[derive(Debug, SimpleObject)]
pub struct DeleteAccountPayload {
    /// The account that was.
    deleted_id: Option<ID>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Accounts.
#[Object]
impl Accounts {
    /// Makes an account with its Main group; for operators.
    async fn create_account(&self, ctx: &Context<'_>, input: CreateAccountInput) -> ApiResult<CreateAccountPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let input = AccountInput {
            name: input.name,
            title: input.title,
            time_zone: input.time_zone,
            default_language: input.default_language.map(Into::into),
            directory: input.directory,
            directory_only: input.directory_only.unwrap_or(false),
            password_policy: PolicyChanges::from(input.password_policy.unwrap_or_default())
                .over(PasswordPolicy::default()),
        };
        let (account, user_errors) = payload(create(&caller, input).await)?;
        Ok(CreateAccountPayload {
            account: account.map(|a| Account(Arc::new(a))),
            user_errors,
        })
    }

    /// Changes what is given of an account. Masters change title, time zone, language and password policy of their own.
    async fn update_account(&self, ctx: &Context<'_>, input: UpdateAccountInput) -> ApiResult<UpdateAccountPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (account, user_errors) = payload(update(&caller, input).await)?;
        Ok(UpdateAccountPayload {
            account: account.map(|a| Account(Arc::new(a))),
            user_errors,
        })
    }

    /// Lets nobody of an account sign in, and ends its sessions; nothing is lost. For operators.
    async fn freeze_account(&self, ctx: &Context<'_>, input: FreezeAccountInput) -> ApiResult<FreezeAccountPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (account, user_errors) = payload(set_status(&caller, &input.id, AccountStatus::Frozen).await)?;
        Ok(FreezeAccountPayload {
            account: account.map(|a| Account(Arc::new(a))),
            user_errors,
        })
    }

    /// Lets the people of a frozen account sign in again; for operators.
    async fn activate_account(
        &self,
        ctx: &Context<'_>,
        input: ActivateAccountInput,
    ) -> ApiResult<ActivateAccountPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (account, user_errors) = payload(set_status(&caller, &input.id, AccountStatus::Active).await)?;
        Ok(ActivateAccountPayload {
            account: account.map(|a| Account(Arc::new(a))),
            user_errors,
        })
    }

    /// Deletes an account with its people, roles, groups, history and log; for operators.
    async fn delete_account(&self, ctx: &Context<'_>, input: DeleteAccountInput) -> ApiResult<DeleteAccountPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (deleted, user_errors) = payload(delete(&caller, &input).await)?;
        Ok(DeleteAccountPayload {
            deleted_id: deleted.map(node_id::encode),
            user_errors,
        })
    }
}

async fn update(caller: &Caller, input: UpdateAccountInput) -> Result<domain::account::Account> {
    let writes = caller.change_accounts()?;
    let mut problems = Problems::default();
    let changes = AccountChanges {
        revision: input.revision,
        title: clearable(input.title).map(Option::unwrap_or_default),
        time_zone: required(input.time_zone, "timeZone", &mut problems),
        default_language: required(input.default_language, "defaultLanguage", &mut problems).map(Into::into),
        directory: clearable(input.directory),
        directory_only: required(input.directory_only, "directoryOnly", &mut problems),
        password_policy: input.password_policy.unwrap_or_default().into(),
    };
    problems.check()?;
    writes.update(node_id::decode(&input.id), changes).await
}

async fn set_status(caller: &Caller, id: &ID, status: AccountStatus) -> Result<domain::account::Account> {
    let writes = caller.write_accounts()?;
    let id =
        node_id::decode(id).ok_or_else(|| Problem::at(&["id"], ErrorCode::NotFound, "There is no such account."))?;
    writes.set_status(id, status).await
}

async fn delete(caller: &Caller, input: &DeleteAccountInput) -> Result<AccountId> {
    let writes = caller.write_accounts()?;
    writes.delete(node_id::decode(&input.id), &input.confirm_name).await
}

async fn create(caller: &Caller, input: AccountInput) -> Result<domain::account::Account> {
    caller.write_accounts()?.create(input).await
}
