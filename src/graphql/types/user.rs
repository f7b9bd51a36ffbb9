//! `User`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use serde::Serialize;

use crate::access::Person;
use crate::domain;
use crate::domain::avatar::Avatar;
use crate::domain::page::{Page, PageRequest, Position, Take};
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::lists;
use crate::graphql::loaders::{CountKey, ListedUser, NewestLogins};
use crate::graphql::node_id;
use crate::graphql::paging::{Connection, Listed, OrderTag, PageArguments, page_cost};
use crate::graphql::scalars::DateTime;
use crate::graphql::types::filters::tags;
use crate::graphql::types::login_event::load_user;
use crate::graphql::types::{
    Account, DirectoryLink, DisabledBy, Grant, Group, Language, LoginEvent, LoginEventFilter, Role, Session, UserStatus,
};
use crate::graphql::written::Straight;

/// One person; the second: its last sign-ins, where it was read in a list with them.
#[derive(Debug, Clone)]
pub struct User(pub Arc<domain::user::User>, Option<NewestLogins>);

impl From<Arc<domain::user::User>> for User {
    fn from(user: Arc<domain::user::User>) -> Self {
        Self(user, None)
    }
}

impl From<domain::user::User> for User {
    fn from(user: domain::user::User) -> Self {
        Arc::new(user).into()
    }
}

impl From<&Person> for User {
    fn from(person: &Person) -> Self {
        let mut user = Arc::clone(&person.user);
        // A password that grew too old must be changed just as well, and nobody changes that of whom they act for.
        if user.must_change_password != person.must_change_password {
            Arc::make_mut(&mut user).must_change_password = person.must_change_password;
        }
        user.into()
    }
}

impl From<ListedUser> for User {
    fn from(listed: ListedUser) -> Self {
        Self(listed.user, listed.newest)
    }
}

impl Listed for User {
    const NAME: &'static str = "User";
    fn position(&self, tag: OrderTag) -> Position {
        tags::user_order(tag).position(&self.0)
    }
}

/// One person of one account.
#[Object]
impl User {
    /// Its identifier.
    pub async fn id(&self) -> ID {
        node_id::encode(self.0.id)
    }

    /// Its account.
    async fn account(&self, ctx: &Context<'_>) -> ApiResult<Account> {
        Account::load(ctx, self.0.account).await
    }

    /// Unique in its account, compared case-insensitively.
    async fn login(&self) -> &str {
        self.0.login.as_str()
    }

    /// login@account.
    async fn qualified_login(&self, ctx: &Context<'_>) -> ApiResult<String> {
        let account = Account::load(ctx, self.0.account).await?;
        Ok(format!("{}@{}", self.0.login, account.0.name))
    }

    /// First name.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// Last name.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// Contact address.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_ref().map(|e| e.as_str())
    }

    /// Language for mails and pages.
    async fn language(&self) -> Language {
        self.0.language.into()
    }

    /// Telephone, E.164 where it could be parsed.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }

    /// Where the picture is; null without one.
    async fn avatar_url(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Width and height in pixels, 16 to 512.", default_with = "Some(128)")] size: Option<i32>,
    ) -> Option<ApiResult<String>> {
        let wanted = size.unwrap_or(128);
        let Some(size) = u32::try_from(wanted).ok().and_then(Avatar::served_size) else {
            return Some(Err(ApiError::bad_request(format!("size is {wanted}; it is 16 to 512"))));
        };
        let id = self.0.avatar?;
        let base = RequestState::of(ctx).map(|state| &state.services().settings.public_url);
        Some(base.and_then(|base| {
            let url = base.join(&format!("avatars/{id}?size={size}"));
            url.map(String::from).map_err(|e| ApiError::internal(&e))
        }))
    }

    /// Active or disabled.
    async fn status(&self) -> UserStatus {
        self.0.status.into()
    }

    /// Who disabled it: only what the directory disabled may the directory enable.
    async fn disabled_by(&self) -> Option<DisabledBy> {
        self.0.disabled_by.map(Into::into)
    }

    /// Set by too many wrong passwords.
    async fn locked_until(&self, ctx: &Context<'_>) -> ApiResult<Option<DateTime>> {
        let now = RequestState::of(ctx)?.services().clock.now();
        Ok(self.0.locked_until.filter(|until| *until > now).map(DateTime))
    }

    /// Which mails it asked for.
    async fn notifications(&self) -> NotificationSettings {
        (&self.0.notifications).into()
    }

    /// It may do nothing but change its password.
    async fn must_change_password(&self) -> bool {
        self.0.must_change_password
    }

    /// It has a local password.
    async fn has_password(&self) -> bool {
        self.0.has_password
    }

    /// When the local password was set.
    async fn password_changed_at(&self) -> Option<DateTime> {
        self.0.password_changed_at.map(DateTime)
    }

    /// From the directory, or from the account's policy.
    async fn password_expires_at(&self, ctx: &Context<'_>) -> Option<ApiResult<DateTime>> {
        if self.0.password_expires_at.is_some() || self.0.is_ldap {
            return self.0.password_expires_at.map(|at| Ok(DateTime(at)));
        }
        self.0.password_changed_at?;
        let account = match Account::load(ctx, self.0.account).await {
            Ok(account) => account,
            Err(error) => return Some(Err(error)),
        };
        let expiry = self.0.password_expiry(account.0.password_policy.max_age_days);
        expiry.map(|at| Ok(DateTime(at)))
    }

    /// It may do everything in its account.
    async fn is_master(&self) -> bool {
        self.0.is_master()
    }

    /// Its password is the directory's.
    async fn is_ldap(&self) -> bool {
        self.0.is_ldap
    }

    /// The directory's entry, once it is known.
    async fn directory_link(&self) -> Option<DirectoryLink> {
        self.0.directory_link.clone().map(DirectoryLink::from)
    }

    /// What it may do.
    async fn roles(&self, ctx: &Context<'_>) -> ApiResult<Vec<Role>> {
        let state = RequestState::of(ctx)?;
        let roles = state.loaders.roles(self.0.roles()).await?;
        state.spend(roles.len())?;
        Ok(roles.into_iter().map(Role).collect())
    }

    /// Whose objects it sees.
    async fn groups(&self, ctx: &Context<'_>) -> ApiResult<Vec<Group>> {
        let state = RequestState::of(ctx)?;
        let groups = state.loaders.groups(self.0.groups()).await?;
        state.spend(groups.len())?;
        Ok(groups.into_iter().map(Group).collect())
    }

    /// Where each role and group came from.
    async fn grants(&self, ctx: &Context<'_>) -> Option<ApiResult<Vec<Grant>>> {
        let grants = self.0.grants.iter().cloned().map(Grant).collect::<Vec<_>>();
        let spent = RequestState::of(ctx).and_then(|state| state.spend(grants.len()));
        Some(spent.map(|()| grants))
    }

    /// The last success; others' takes history:read.
    async fn last_login(&self, ctx: &Context<'_>) -> Option<ApiResult<LoginEvent>> {
        // Asked first: whether there is any must not tell who ever signed in.
        if let Err(error) = self.check_history(ctx) {
            return Some(Err(error));
        }
        let event = if self.has_last_login() {
            self.0.last_login.clone()?
        } else {
            match load_user(ctx, self.0.id).await? {
                Ok(user) => user.0.last_login.clone()?,
                Err(error) => return Some(Err(error)),
            }
        };
        Some(Ok(LoginEvent(Arc::new(event))))
    }

    /// Its sign-ins, newest first; others' takes history:read.
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
        Some(
            self.history(
                ctx,
                filter,
                PageArguments {
                    first,
                    after,
                    last,
                    before,
                },
            )
            .await,
        )
    }

    /// Its live sessions, newest first; others' takes users:write.
    async fn sessions(&self, ctx: &Context<'_>) -> Option<ApiResult<Vec<Session>>> {
        Some(self.load_sessions(ctx).await)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last changed; a sign-in is no change.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }

    /// Grows with each change; pass it to updateUser to refuse a lost update.
    async fn revision(&self) -> i64 {
        self.0.revision
    }
}

impl User {
    fn check_history(&self, ctx: &Context<'_>) -> ApiResult<()> {
        let reach = RequestState::of(ctx)?.caller().principal().reach_of_history();
        if reach.covers(self.0.account, Some(self.0.id)) {
            return Ok(());
        }
        Err(ApiError::forbidden("others' sign-ins take history:read"))
    }

    async fn history(
        &self,
        ctx: &Context<'_>,
        filter: Option<LoginEventFilter>,
        arguments: PageArguments,
    ) -> ApiResult<Straight<Connection<LoginEvent>>> {
        self.check_history(ctx)?;
        let request = arguments.read(tags::LOGIN_EVENTS)?;
        let newest = request.take == Take::First && request.after.is_none() && request.before.is_none();
        if filter.is_none() && newest && request.limit < crate::store::RECENT {
            return Ok(self.recent_history(ctx, &request).await?.into());
        }
        let (account, user) = (self.0.account, self.0.id);
        lists::login_events(ctx, filter, arguments, |f| {
            let holds = f.account.is_none_or(|a| a == account) && f.user.is_none_or(|u| u == user);
            (f.account, f.user) = (Some(account), Some(user));
            holds
        })
        .await
    }

    /// The page that dashboards ask for: the store has it at hand for all users at once.
    async fn recent_history(&self, ctx: &Context<'_>, request: &PageRequest) -> ApiResult<Connection<LoginEvent>> {
        let state = RequestState::of(ctx)?;
        let wanted = request.limit + 1;
        // Looked for in the selection only where it matters.
        let came = self.1.is_some() && self.has_newest(wanted, lists::asks_for_details(&[ctx.field()]));
        let events = if came {
            self.newest(wanted).to_vec()
        } else {
            let (account, user) = (self.0.account, self.0.id);
            state.loaders.recent_login_events(account, user, wanted).await?
        };
        state.spend(events.len())?;
        Ok(self.page_of(events, request))
    }

    /// Were so many of its last sign-ins read with it, with their details if need be?
    pub(in crate::graphql) fn has_newest(&self, count: usize, details: bool) -> bool {
        self.1.as_ref().is_some_and(|newest| {
            newest.events.is_some() && newest.wanted.newest >= count && newest.wanted.details >= details
        })
    }

    /// Was it read with its last sign-in, if there is one?
    pub(in crate::graphql) fn has_last_login(&self) -> bool {
        self.1.as_ref().is_none_or(|newest| newest.wanted.last_login)
    }

    /// Up to so many of its last sign-ins; none where they were not read with it.
    pub(in crate::graphql) fn newest(&self, count: usize) -> &[Arc<domain::login_event::LoginEvent>] {
        let read = self.1.as_ref().and_then(|newest| newest.events.as_deref());
        let read = read.unwrap_or_default();
        read.get(..count).unwrap_or(read)
    }

    /// The page of its last sign-ins, of those that were read with it.
    pub(in crate::graphql) fn newest_page(&self, request: &PageRequest) -> Connection<LoginEvent> {
        self.page_of(self.newest(request.limit + 1).to_vec(), request)
    }

    fn page_of(
        &self,
        events: Vec<Arc<domain::login_event::LoginEvent>>,
        request: &PageRequest,
    ) -> Connection<LoginEvent> {
        let of_user = domain::query::LoginEventFilter {
            account: Some(self.0.account),
            user: Some(self.0.id),
            ..Default::default()
        };
        let page = Page::from_read(events, request).map(LoginEvent);
        let count = CountKey::LoginEvents(of_user);
        Connection::new(page, request, tags::LOGIN_EVENTS, Some(count))
    }

    async fn load_sessions(&self, ctx: &Context<'_>) -> ApiResult<Vec<Session>> {
        let state = RequestState::of(ctx)?;
        if !state
            .caller()
            .principal()
            .reach_of_sessions()
            .covers(self.0.account, Some(self.0.id))
        {
            return Err(ApiError::forbidden("others' sessions take users:write"));
        }
        let sessions = state.loaders.sessions_of_user(self.0.account, self.0.id).await?;
        state.spend(sessions.len())?;
        Ok(sessions.into_iter().map(Session).collect())
    }
}

/// Which mails a user asked for.
#[derive(Debug, Clone, SimpleObject, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // seven independent switches
pub struct NotificationSettings {
    /// Where alerts go; the contact address when null.
    email: Option<String>,
    /// Limits are exhausted.
    limits_exhausted: bool,
    /// Subscribers complained.
    subscriber_complaints: bool,
    /// Addresses that do not exist.
    hard_bounces: bool,
    /// Addresses that do not answer for now.
    soft_bounces: bool,
    /// A report each day.
    daily_reports: bool,
    /// A report each week.
    weekly_reports: bool,
    /// New browser or country, role change, the directory's password about to expire.
    security_notices: bool,
}

impl From<&domain::user::Notifications> for NotificationSettings {
    fn from(n: &domain::user::Notifications) -> Self {
        Self {
            email: n.email.as_ref().map(|e| e.as_str().to_owned()),
            limits_exhausted: n.limits_exhausted,
            subscriber_complaints: n.subscriber_complaints,
            hard_bounces: n.hard_bounces,
            soft_bounces: n.soft_bounces,
            daily_reports: n.daily_reports,
            weekly_reports: n.weekly_reports,
            security_notices: n.security_notices,
        }
    }
}
