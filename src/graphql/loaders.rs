//! Batches: what the fields of a page ask for one by one is asked of the store at once.
//!
//! Loaders live for one request: one that lived longer would show one caller what another may see. They keep nothing
//! between batches, so that a payload after a mutation shows what is there now.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use dataloader::BatchFn;
use dataloader::non_cached::Loader;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, ApiTokenId, AuditEntryId, GroupId, LoginEventId, RoleId, SessionId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::MailFilter;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{
    AccountFilter, AuditFilter, LoginEventFilter, NamedFilter, SignInsWanted, UserFilter, UserOrder,
};
use crate::domain::role::Role;
use crate::domain::session::Session;
use crate::domain::token::ApiToken;
use crate::domain::user::User;
use crate::graphql::context::CallerCell;
use crate::graphql::error::{ApiError, ApiResult};
use crate::service::{Caller, Result};

type Found<K, T> = Result<HashMap<K, T>>;
type Answer<T> = std::result::Result<Option<T>, ApiError>;

/// One batch's call to the service.
struct Fetch<K, T> {
    caller: CallerCell,
    fetch: fn(Caller, Vec<K>) -> BoxFuture<'static, Found<K, T>>,
}

impl<K, T> BatchFn<K, Answer<T>> for Fetch<K, T>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    #[allow(refining_impl_trait)] // the caller needs to see that it is Send
    fn load(&mut self, keys: &[K]) -> BoxFuture<'static, HashMap<K, Answer<T>>> {
        let keys = keys.to_vec();
        let found = (self.fetch)(self.caller.get(), keys.clone());
        async move {
            // Every key gets an answer: one that is left out reads as a failure.
            match found.await.map_err(ApiError::from) {
                Ok(mut found) => keys
                    .into_iter()
                    .map(|k| {
                        let v = found.remove(&k);
                        (k, Ok(v))
                    })
                    .collect(),
                Err(error) => keys.into_iter().map(|k| (k, Err(error.clone()))).collect(),
            }
        }
        .boxed()
    }
}

/// Loads things of one kind by key.
struct Batch<K, T>(Loader<K, Answer<T>, Fetch<K, T>>)
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + 'static;

/// A batch is sent whole, however many keys it has: what it costs the store is bounded by the query's own cost.
const MAX_BATCH: usize = 100_000;

impl<K, T> Batch<K, T>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + 'static,
{
    fn new(caller: &CallerCell, fetch: fn(Caller, Vec<K>) -> BoxFuture<'static, Found<K, T>>) -> Self {
        Self(
            Loader::new(Fetch {
                caller: caller.clone(),
                fetch,
            })
            .with_max_batch_size(MAX_BATCH),
        )
    }

    async fn load(&self, key: K) -> Answer<T> {
        match self.try_again(|| self.0.try_load(key.clone())).await {
            Some(answer) => answer,
            None => Err(ApiError::internal(&"a batch was dropped three times")),
        }
    }

    /// A field whose sibling fails is dropped in the middle of its work. If it was the one that drove the batch, the others
    /// of that batch find no answer (the library panics then) and ask again, as a batch of their own.
    async fn try_again<V, F>(&self, load: impl Fn() -> F) -> Option<V>
    where
        F: Future<Output = std::io::Result<V>>,
    {
        for _ in 0..3 {
            if let Ok(Ok(answer)) = AssertUnwindSafe(load()).catch_unwind().await {
                return Some(answer);
            }
        }
        None
    }

    async fn load_many(&self, keys: Vec<K>) -> ApiResult<Vec<T>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let Some(mut answers) = self.try_again(|| self.0.try_load_many(keys.clone())).await else {
            return Err(ApiError::internal(&"a batch was dropped three times"));
        };
        let found: ApiResult<Vec<Option<T>>> = keys.iter().filter_map(|k| answers.remove(k)).collect();
        Ok(found?.into_iter().flatten().collect())
    }
}

/// A list whose length is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CountKey {
    /// Accounts, for operators.
    Accounts(AccountFilter),
    /// Mails, for operators.
    Mails(MailFilter),
    /// Users.
    Users(UserFilter),
    /// Roles.
    Roles(NamedFilter),
    /// Groups.
    Groups(NamedFilter),
    /// Sign-ins.
    LoginEvents(LoginEventFilter),
    /// Audit entries.
    AuditEntries(AuditFilter),
}

/// The last: which sign-ins come with each user, if any.
type UsersKey = (UserFilter, UserOrder, PageRequest, Option<SignInsWanted>);
type NamedKey = (NamedFilter, PageRequest);
type LoginEventsKey = (LoginEventFilter, PageRequest);
type AuditKey = (AuditFilter, PageRequest);
/// The user, and how many of the last sign-ins.
type RecentKey = (AccountId, UserId, usize);

/// A user of a list.
#[derive(Debug, Clone)]
pub struct ListedUser {
    /// The user.
    pub user: Arc<User>,
    /// Its last sign-ins, where the list was to have them.
    pub newest: Option<NewestLogins>,
}

/// The last sign-ins of a user.
#[derive(Debug, Clone)]
pub struct NewestLogins {
    /// What was to be read of them.
    pub wanted: SignInsWanted,
    /// Newest first; `None` where the caller does not see them.
    pub events: Option<Arc<[Arc<LoginEvent>]>>,
}

/// The loaders of one request.
pub struct Loaders {
    accounts: Batch<AccountId, Arc<Account>>,
    users: Batch<UserId, Arc<User>>,
    roles: Batch<RoleId, Arc<Role>>,
    groups: Batch<GroupId, Arc<Group>>,
    login_events: Batch<LoginEventId, Arc<LoginEvent>>,
    sessions: Batch<SessionId, Arc<Session>>,
    tokens: Batch<ApiTokenId, Arc<ApiToken>>,
    tokens_of_account: Batch<AccountId, Vec<Arc<ApiToken>>>,
    audit_entries: Batch<AuditEntryId, Arc<AuditEntry>>,
    sessions_of_user: Batch<(AccountId, UserId), Vec<Arc<Session>>>,
    recent_login_events: Batch<RecentKey, Vec<Arc<LoginEvent>>>,
    user_pages: Batch<UsersKey, Page<ListedUser>>,
    role_pages: Batch<NamedKey, Page<Arc<Role>>>,
    group_pages: Batch<NamedKey, Page<Arc<Group>>>,
    login_event_pages: Batch<LoginEventsKey, Page<Arc<LoginEvent>>>,
    audit_pages: Batch<AuditKey, Page<Arc<AuditEntry>>>,
    counts: Batch<CountKey, u64>,
}

impl Debug for Loaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loaders")
    }
}

/// A batch by identifier: `caller.method(&ids)`, each found thing under its own `id`.
macro_rules! by_id {
    ($caller:ident, $method:ident) => {
        Batch::new($caller, |caller, ids| {
            async move {
                let found = caller.$method(&ids).await?;
                Ok(found.into_iter().map(|thing| (thing.id, Arc::new(thing))).collect())
            }
            .boxed()
        })
    };
}

/// A batch of pages: keys that differ in the filter only go to the store together.
macro_rules! by_page {
    ($caller:ident, $method:ident) => {
        Batch::new($caller, |caller, keys| {
            async move {
                let mut alike: HashMap<PageRequest, Vec<_>> = HashMap::new();
                for (filter, page) in keys {
                    alike.entry(page).or_default().push(filter);
                }
                let mut found = HashMap::new();
                for (page, filters) in alike {
                    let pages = caller.$method(&filters, &page).await?;
                    for (filter, listed) in filters.into_iter().zip(pages) {
                        found.insert((filter, page.clone()), listed.map(Arc::new));
                    }
                }
                Ok(found)
            }
            .boxed()
        })
    };
}

impl Loaders {
    /// Loaders that ask as whoever the cell holds at that moment.
    pub(super) fn new(caller: &CallerCell) -> Self {
        Self {
            accounts: by_id!(caller, accounts_by_ids),
            users: by_id!(caller, users_by_ids),
            roles: Batch::new(caller, |caller, ids| {
                async move { Ok(named(caller.known_roles(&ids).await?, |role| role.id)) }.boxed()
            }),
            groups: Batch::new(caller, |caller, ids| {
                async move { Ok(named(caller.known_groups(&ids).await?, |group| group.id)) }.boxed()
            }),
            login_events: by_id!(caller, login_events_by_ids),
            sessions: by_id!(caller, sessions_by_ids),
            tokens: by_id!(caller, tokens_by_ids),
            tokens_of_account: Batch::new(caller, |caller, accounts| tokens_of_accounts(caller, accounts).boxed()),
            audit_entries: by_id!(caller, audit_entries_by_ids),
            sessions_of_user: Batch::new(caller, |caller, users| sessions_of_users(caller, users).boxed()),
            recent_login_events: Batch::new(caller, |caller, keys| recent_login_events(caller, keys).boxed()),
            user_pages: Batch::new(caller, |caller, keys| user_pages(caller, keys).boxed()),
            role_pages: by_page!(caller, roles),
            group_pages: by_page!(caller, groups),
            login_event_pages: by_page!(caller, login_events),
            audit_pages: by_page!(caller, audit_entries),
            counts: Batch::new(caller, |caller, keys| counts(caller, keys).boxed()),
        }
    }

    /// An account.
    pub async fn account(&self, id: AccountId) -> ApiResult<Option<Arc<Account>>> {
        self.accounts.load(id).await
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> ApiResult<Option<Arc<User>>> {
        self.users.load(id).await
    }

    /// A role.
    pub async fn role(&self, id: RoleId) -> ApiResult<Option<Arc<Role>>> {
        self.roles.load(id).await
    }

    /// A group.
    pub async fn group(&self, id: GroupId) -> ApiResult<Option<Arc<Group>>> {
        self.groups.load(id).await
    }

    /// A sign-in.
    pub async fn login_event(&self, id: LoginEventId) -> ApiResult<Option<Arc<LoginEvent>>> {
        self.login_events.load(id).await
    }

    /// A session.
    pub async fn session(&self, id: SessionId) -> ApiResult<Option<Arc<Session>>> {
        self.sessions.load(id).await
    }

    /// An API token.
    pub async fn token(&self, id: ApiTokenId) -> ApiResult<Option<Arc<ApiToken>>> {
        self.tokens.load(id).await
    }

    /// An account's API tokens, newest first.
    pub async fn tokens_of_account(&self, account: AccountId) -> ApiResult<Vec<Arc<ApiToken>>> {
        Ok(self.tokens_of_account.load(account).await?.unwrap_or_default())
    }

    /// An audit entry.
    pub async fn audit_entry(&self, id: AuditEntryId) -> ApiResult<Option<Arc<AuditEntry>>> {
        self.audit_entries.load(id).await
    }

    /// Those of these roles that there are, in that order.
    pub async fn roles(&self, ids: Vec<RoleId>) -> ApiResult<Vec<Arc<Role>>> {
        self.roles.load_many(ids).await
    }

    /// Those of these groups that there are, in that order.
    pub async fn groups(&self, ids: Vec<GroupId>) -> ApiResult<Vec<Arc<Group>>> {
        self.groups.load_many(ids).await
    }

    /// A user's live sessions.
    pub async fn sessions_of_user(&self, account: AccountId, user: UserId) -> ApiResult<Vec<Arc<Session>>> {
        Ok(self.sessions_of_user.load((account, user)).await?.unwrap_or_default())
    }

    /// A user's newest sign-ins.
    pub async fn recent_login_events(
        &self,
        account: AccountId,
        user: UserId,
        limit: usize,
    ) -> ApiResult<Vec<Arc<LoginEvent>>> {
        Ok(self
            .recent_login_events
            .load((account, user, limit))
            .await?
            .unwrap_or_default())
    }

    /// A page of users, with those sign-ins of each.
    pub async fn user_page(
        &self,
        filter: UserFilter,
        order: UserOrder,
        page: PageRequest,
        wanted: Option<SignInsWanted>,
    ) -> ApiResult<Page<ListedUser>> {
        Ok(self
            .user_pages
            .load((filter, order, page, wanted))
            .await?
            .unwrap_or_else(Page::empty))
    }

    /// A page of roles.
    pub async fn role_page(&self, filter: NamedFilter, page: PageRequest) -> ApiResult<Page<Arc<Role>>> {
        Ok(self.role_pages.load((filter, page)).await?.unwrap_or_else(Page::empty))
    }

    /// A page of groups.
    pub async fn group_page(&self, filter: NamedFilter, page: PageRequest) -> ApiResult<Page<Arc<Group>>> {
        Ok(self.group_pages.load((filter, page)).await?.unwrap_or_else(Page::empty))
    }

    /// A page of the history.
    pub async fn login_event_page(
        &self,
        filter: LoginEventFilter,
        page: PageRequest,
    ) -> ApiResult<Page<Arc<LoginEvent>>> {
        Ok(self
            .login_event_pages
            .load((filter, page))
            .await?
            .unwrap_or_else(Page::empty))
    }

    /// A page of the audit log.
    pub async fn audit_page(&self, filter: AuditFilter, page: PageRequest) -> ApiResult<Page<Arc<AuditEntry>>> {
        Ok(self.audit_pages.load((filter, page)).await?.unwrap_or_else(Page::empty))
    }

    /// How long a list is.
    pub async fn count(&self, key: CountKey) -> ApiResult<u64> {
        Ok(self.counts.load(key).await?.unwrap_or(0))
    }
}

/// Each thing under its own identifier.
fn named<K: Eq + Hash, T>(found: Vec<Arc<T>>, id: impl Fn(&T) -> K) -> HashMap<K, Arc<T>> {
    found.into_iter().map(|thing| (id(&thing), thing)).collect()
}

async fn tokens_of_accounts(caller: Caller, accounts: Vec<AccountId>) -> Found<AccountId, Vec<Arc<ApiToken>>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for token in caller.tokens_of_accounts(&accounts).await? {
        found.entry(token.account).or_default().push(Arc::new(token));
    }
    Ok(found)
}

async fn sessions_of_users(
    caller: Caller,
    users: Vec<(AccountId, UserId)>,
) -> Found<(AccountId, UserId), Vec<Arc<Session>>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for session in caller.sessions_of_users(&users).await? {
        found
            .entry((session.account, session.user))
            .or_default()
            .push(Arc::new(session));
    }
    Ok(found)
}

async fn user_pages(caller: Caller, keys: Vec<UsersKey>) -> Found<UsersKey, Page<ListedUser>> {
    let mut alike: HashMap<_, Vec<UserFilter>> = HashMap::new();
    for (filter, order, page, wanted) in keys {
        alike.entry((order, page, wanted)).or_default().push(filter);
    }
    let mut found = HashMap::new();
    for ((order, page, wanted), filters) in alike {
        let pages: Vec<Page<ListedUser>> = match wanted {
            None => {
                let pages = caller.users(&filters, order, &page).await?.into_iter();
                let alone = |user| ListedUser {
                    user: Arc::new(user),
                    newest: None,
                };
                pages.map(|page| page.map(alone)).collect()
            }
            Some(wanted) => {
                let pages = caller
                    .users_with_logins(&filters, order, &page, wanted)
                    .await?
                    .into_iter();
                let together = |(user, events): (User, Option<Vec<LoginEvent>>)| ListedUser {
                    user: Arc::new(user),
                    newest: Some(NewestLogins {
                        wanted,
                        events: events.map(|events| events.into_iter().map(Arc::new).collect()),
                    }),
                };
                pages.map(|page| page.map(together)).collect()
            }
        };
        for (filter, users) in filters.into_iter().zip(pages) {
            found.insert((filter, order, page.clone(), wanted), users);
        }
    }
    Ok(found)
}

async fn recent_login_events(caller: Caller, keys: Vec<RecentKey>) -> Found<RecentKey, Vec<Arc<LoginEvent>>> {
    let mut alike: HashMap<usize, Vec<(AccountId, UserId)>> = HashMap::new();
    for (account, user, limit) in keys {
        alike.entry(limit).or_default().push((account, user));
    }
    let mut found = HashMap::new();
    for (limit, users) in alike {
        let mut events = caller.recent_login_events(&users, limit).await?;
        for (account, user) in users {
            let events = events.remove(&user).unwrap_or_default();
            found.insert((account, user, limit), events.into_iter().map(Arc::new).collect());
        }
    }
    Ok(found)
}

async fn counts(caller: Caller, keys: Vec<CountKey>) -> Found<CountKey, u64> {
    let (mut users, mut roles, mut groups, mut events, mut audit) = (vec![], vec![], vec![], vec![], vec![]);
    let mut found = HashMap::new();
    for key in keys {
        match key {
            // One list each in the whole schema: there is nothing to batch.
            CountKey::Accounts(filter) => {
                let count = caller.count_accounts(&filter).await?;
                found.insert(CountKey::Accounts(filter), count);
            }
            CountKey::Mails(filter) => {
                let count = caller.count_mails(&filter).await?;
                found.insert(CountKey::Mails(filter), count);
            }
            CountKey::Users(filter) => users.push(filter),
            CountKey::Roles(filter) => roles.push(filter),
            CountKey::Groups(filter) => groups.push(filter),
            CountKey::LoginEvents(filter) => events.push(filter),
            CountKey::AuditEntries(filter) => audit.push(filter),
        }
    }
    macro_rules! count {
        ($filters:ident, $method:ident, $key:path) => {
            if !$filters.is_empty() {
                let counts = caller.$method(&$filters).await?;
                found.extend($filters.into_iter().map($key).zip(counts));
            }
        };
    }
    count!(users, count_users, CountKey::Users);
    count!(roles, count_roles, CountKey::Roles);
    count!(groups, count_groups, CountKey::Groups);
    count!(events, count_login_events, CountKey::LoginEvents);
    count!(audit, count_audit_entries, CountKey::AuditEntries);
    Ok(found)
}
