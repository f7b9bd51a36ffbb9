//! Creating accounts.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::domain;
use crate::domain::password::PasswordPolicy;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::types::{Account, Language, PasswordPolicyInput};
use crate::service::{AccountInput, Caller, Result};

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

/// Accounts.
#[Object]
impl Accounts {
    /// Makes an account with its Main group; for operators.
    async fn create_account(&self, ctx: &Context<'_>, input: CreateAccountInput) -> ApiResult<CreateAccountPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let policy = PasswordPolicy::default();
        let input = AccountInput {
            name: input.name,
            title: input.title,
            time_zone: input.time_zone,
            default_language: input.default_language.map(Into::into),
            directory: input.directory,
            directory_only: input.directory_only.unwrap_or(false),
            password_policy: input.password_policy.map_or(policy, |changes| changes.over(policy)),
        };
        let (account, user_errors) = payload(create(&caller, input).await)?;
        Ok(CreateAccountPayload {
            account: account.map(|a| Account(Arc::new(a))),
            user_errors,
        })
    }
}

async fn create(caller: &Caller, input: AccountInput) -> Result<domain::account::Account> {
    caller.write_accounts()?.create(input).await
}
