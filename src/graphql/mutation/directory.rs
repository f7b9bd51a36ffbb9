//! Directories: trying one, reading one again, and linking a user anew.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::user_status::named;
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiResult, UserError, payload};
use crate::graphql::node_id;
use crate::graphql::types::{LoginExplanation, SyncReport, User};
use crate::service::{SyncPlan, SyncProgress};

/// What asking a directory's servers counts for in the cost of a request.
const ASKING: usize = 1000;

/// Directories.
#[derive(Debug, Default, Clone, Copy)]
pub struct Directories;

/// A directory to try.
#[derive(InputObject)]
pub struct CheckDirectoryInput {
    /// Its name in the configuration.
    name: String,
}

/// How trying a directory went.
#[derive(Debug, SimpleObject)]
pub struct CheckDirectoryPayload {
    /// Each step at each server.
    explanation: Option<LoginExplanation>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A user to link anew.
#[derive(InputObject)]
pub struct RelinkUserInput {
    /// The user.
    id: ID,
}

/// What linking a user anew comes to.
#[derive(Debug, SimpleObject)]
pub struct RelinkUserPayload {
    /// The user.
    user: Option<User>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// A directory to read again.
#[derive(InputObject)]
pub struct SyncDirectoryInput {
    /// For operators: the account; else the caller's own.
    account: Option<ID>,
    /// Only say what would be done.
    #[graphql(default_with = "Some(true)")]
    dry_run: Option<bool>,
    /// Change nothing when more than this share of the linked users, and at least 5, would be disabled; in percent.
    #[graphql(default_with = "Some(10)")]
    max_disable_percent: Option<i32>,
}

/// What reading a directory again comes to.
#[derive(Debug, SimpleObject)]
pub struct SyncDirectoryPayload {
    /// Who is new, changed and gone.
    report: Option<SyncReport>,
    /// What can be put right.
    user_errors: Vec<UserError>,
}

/// Directories.
#[Object]
impl Directories {
    /// Which step fails: connect, TLS, service bind, base, search; at every server. For operators, and masters of an account
    /// that uses the directory.
    #[graphql(complexity = "ASKING + child_complexity")]
    async fn check_directory(&self, ctx: &Context<'_>, input: CheckDirectoryInput) -> ApiResult<CheckDirectoryPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let (explanation, user_errors) = payload(caller.check_directory(&input.name).await)?;
        Ok(CheckDirectoryPayload {
            explanation: explanation.map(LoginExplanation::from),
            user_errors,
        })
    }

    /// The directory gave the user's login to another person, and that is right: whoever it was is signed out. For masters of
    /// the account and operators.
    #[graphql(complexity = "ASKING + child_complexity")]
    async fn relink_user(&self, ctx: &Context<'_>, input: RelinkUserInput) -> ApiResult<RelinkUserPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let relinked = async {
            caller.write_users()?;
            caller.relink_user(named(&input.id)?).await
        };
        let (user, user_errors) = payload(relinked.await)?;
        Ok(RelinkUserPayload {
            user: user.map(User::from),
            user_errors,
        })
    }

    /// Reads the account's directory again: who gains and loses what, who is disabled. Takes directory:sync.
    #[graphql(complexity = "ASKING + child_complexity")]
    async fn sync_directory(&self, ctx: &Context<'_>, input: SyncDirectoryInput) -> ApiResult<SyncDirectoryPayload> {
        let caller = RequestState::of(ctx)?.caller();
        let plan = SyncPlan {
            dry_run: input.dry_run.unwrap_or(true),
            max_disable_percent: input.max_disable_percent.unwrap_or(10).into(),
        };
        let account = input.account.map(|id| node_id::decode(&id));
        let synced = caller.sync_directory(account, plan, Arc::new(SyncProgress::default()));
        let (report, user_errors) = payload(synced.await)?;
        Ok(SyncDirectoryPayload {
            report: report.map(SyncReport::from),
            user_errors,
        })
    }
}
