//! `Account`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use serde::Serialize;

use crate::domain;
use crate::domain::page::{Page, Position};
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::lists;
use crate::graphql::node_id;
use crate::graphql::paging::{Connection, Listed, OrderTag, PageArguments, page_cost};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::filters::tags;
use crate::graphql::types::{
    AccountStatus, ApiToken, AuditEntry, AuditFilter, Directory, Group, Language, LoginEvent, LoginEventFilter,
    NamedFilter, Role, StatsBucket, User, UserFilter, UserOrder,
};
use crate::graphql::written::Straight;
use crate::service::Bar;

/// What counting a plot's sign-ins is worth in the cost of a request.
const STATS: usize = 500;

/// One tenant.
#[derive(Debug, Clone)]
pub struct Account(pub Arc<domain::account::Account>);

impl Listed for Account {
    const NAME: &'static str = "Account";
    fn position(&self, tag: OrderTag) -> Position {
        tags::account_order(tag).position(&self.0)
    }
}

/// One tenant: people, roles, groups and rules of its own.
#[Object]
impl Account {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// The part after the @ of a login: `[a-z0-9-]{1,63}`.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Its name for people.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// Active or frozen.
    async fn status(&self) -> AccountStatus {
        self.0.status.into()
    }

    /// IANA name of the zone that its days begin in.
    async fn time_zone(&self) -> &str {
        &self.0.time_zone
    }

    /// Language of new users.
    async fn default_language(&self) -> Language {
        self.0.default_language.into()
    }

    /// The directory that its LDAP users sign in with; null: LDAP is off for this account.
    async fn directory(&self) -> Option<Directory> {
        self.0
            .directory
            .clone()
            .map(|name| Directory::new(name, Some(self.0.id)))
    }

    /// Local passwords are refused, those of operators excepted.
    async fn directory_only(&self) -> bool {
        self.0.directory_only
    }

    /// What its local passwords must be like.
    async fn password_policy(&self) -> PasswordPolicy {
        self.0.password_policy.into()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }

    /// Grows with each change; pass it to updateAccount to refuse a lost update.
    async fn revision(&self) -> i64 {
        self.0.revision
    }

    /// Its users; without users:read only the caller.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments)] // the schema's arguments
    async fn users(
        &self,
        ctx: &Context<'_>,
        filter: Option<UserFilter>,
        order_by: Option<UserOrder>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<User>>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        Some(lists::users(ctx, filter, order_by, page, |f| narrow(&mut f.account, self.0.id)).await)
    }

    /// Its roles.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn roles(
        &self,
        ctx: &Context<'_>,
        filter: Option<NamedFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<Role>>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        Some(lists::roles(ctx, filter, page, |f| narrow(&mut f.account, self.0.id)).await)
    }

    /// Its groups.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn groups(
        &self,
        ctx: &Context<'_>,
        filter: Option<NamedFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<Group>>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        Some(lists::groups(ctx, filter, page, |f| narrow(&mut f.account, self.0.id)).await)
    }

    /// Its sign-ins, newest first; without history:read only the caller's own.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn login_history(
        &self,
        ctx: &Context<'_>,
        filter: Option<LoginEventFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Straight<Connection<LoginEvent>>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        Some(lists::login_events(ctx, filter, page, |f| narrow(&mut f.account, self.0.id)).await)
    }

    /// Sign-ins per day or hour of the account's time zone, split by outcome, for plots; takes history:read.
    #[graphql(complexity = "STATS + child_complexity")]
    async fn login_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first moment.")] from: DateTime,
        #[graphql(desc = "The moment after the last.")] to: DateTime,
        #[graphql(desc = "The width of a bar.")] bucket: StatsBucket,
    ) -> Option<ApiResult<Vec<LoginStatsBucket>>> {
        let state = match RequestState::of(ctx) {
            Ok(state) => state,
            Err(error) => return Some(Err(error)),
        };
        let bars = state.caller().login_stats(&self.0, from.0, to.0, bucket.into()).await;
        let spent = |bars: Vec<Bar>| {
            state.spend(bars.len())?;
            Ok(bars.into_iter().map(LoginStatsBucket::from).collect())
        };
        Some(bars.map_err(ApiError::from).and_then(spent))
    }

    /// What was changed in it, newest first; takes audit:read.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<ApiResult<Connection<AuditEntry>>> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        Some(lists::audit(ctx, filter, page, |f| narrow(&mut f.account, self.0.id)).await)
    }

    /// Its API tokens, newest first; takes tokens:write.
    async fn api_tokens(&self, ctx: &Context<'_>) -> Option<ApiResult<Vec<ApiToken>>> {
        let state = match RequestState::of(ctx) {
            Ok(state) => state,
            Err(error) => return Some(Err(error)),
        };
        Some(ApiToken::of_account(state, self.0.id).await)
    }
}

/// Adds "of this account" to a filter that may name one itself; says whether both can hold.
fn narrow(account: &mut Option<domain::ids::AccountId>, own: domain::ids::AccountId) -> bool {
    let holds = account.is_none_or(|named| named == own);
    *account = Some(own);
    holds
}

/// A bar of a plot of sign-ins.
#[derive(Debug, Clone, SimpleObject)]
pub struct LoginStatsBucket {
    /// Where the bar begins.
    start: DateTime,
    /// Successful sign-ins.
    succeeded: u64,
    /// Refused ones.
    failed: u64,
    /// How many users signed in.
    unique_users: u64,
}

impl From<Bar> for LoginStatsBucket {
    fn from(bar: Bar) -> Self {
        Self {
            start: DateTime(bar.start),
            succeeded: bar.counts.succeeded,
            failed: bar.counts.failed,
            unique_users: bar.counts.unique_users,
        }
    }
}

/// What local passwords must be like.
#[derive(Debug, Clone, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordPolicy {
    /// Fewest characters.
    min_length: u32,
    /// Least zxcvbn score, 0 to 4.
    min_strength: u8,
    /// Days after which a password must be changed; null: never.
    max_age_days: Option<u32>,
    /// How many earlier passwords may not come back.
    history: u32,
    /// Wrong passwords from one network that lock a login there; 0: never.
    lockout_threshold: u32,
    /// How long a lock holds.
    lockout_minutes: u32,
}

impl From<domain::password::PasswordPolicy> for PasswordPolicy {
    fn from(policy: domain::password::PasswordPolicy) -> Self {
        Self {
            min_length: policy.min_length,
            min_strength: policy.min_strength,
            max_age_days: policy.max_age_days,
            history: policy.history,
            lockout_threshold: policy.lockout_threshold,
            lockout_minutes: policy.lockout_minutes,
        }
    }
}

impl Account {
    /// The account of that id, which is known to exist for the caller.
    ///
    /// # Errors
    /// Those of the store; INTERNAL when it is gone.
    pub(crate) async fn load(ctx: &Context<'_>, id: domain::ids::AccountId) -> ApiResult<Self> {
        let found = RequestState::of(ctx)?.loaders.account(id).await?;
        found
            .map(Self)
            .ok_or_else(|| ApiError::internal(&format!("account {id} is gone")))
    }

    /// A page of accounts as a page of objects.
    pub(crate) fn page(page: Page<domain::account::Account>) -> Page<Self> {
        page.map(|a| Self(Arc::new(a)))
    }
}
