//! The login history.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::doc;

use super::MongoStore;
use super::documents::raw::{deserialize, from_document};
use super::documents::{Id, Recent, address, array, word};
use super::keyset::NEWEST_FIRST;
use super::lists::{Fields, Filter};
use crate::domain::ids::{AccountId, LoginEventId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::LoginEventFilter;
use crate::store::history::RECENT;
use crate::store::{HistoryStore, LoginCounts, Newest, Result};

fn filter(filter: &LoginEventFilter) -> Result<Filter> {
    let outcomes: Option<Vec<_>> = filter
        .outcomes
        .as_ref()
        .map(|all| all.iter().map(word).collect::<Result<_>>())
        .transpose()?;
    let methods: Option<Vec<_>> = filter
        .methods
        .as_ref()
        .map(|all| all.iter().map(word).collect::<Result<_>>())
        .transpose()?;
    Ok(Filter::account(filter.account)
        .and(filter.user.map(|user| doc! { "user": Id::from(user) }))
        .and(outcomes.map(|any| doc! { "outcome": { "$in": any } }))
        .and(methods.map(|any| doc! { "method": { "$in": any } }))
        .and(filter.ip.map(|ip| doc! { "origin.ip": address(ip) }))
        .between(filter.since, filter.until))
}

/// The sign-ins that a user's document carries.
struct RecentDocument {
    id: Id,
    account: Id,
    recent: Recent,
}

from_document!(RecentDocument { id: "_id", account: "account" } or default { recent: "recent" });
deserialize!(RecentDocument);

impl MongoStore {
    /// The last sign-ins that the users' documents carry, of those users that exist.
    async fn carried(&self, users: &[UserId]) -> Result<Vec<RecentDocument>> {
        let carrying = self.users.clone_with_type::<RecentDocument>();
        let fields = Fields::Only(vec!["account", "recent"]);
        let filter = doc! { "_id": { "$in": array(users) } };
        self.find(&carrying, fields, filter, None, users.len()).await
    }

    /// Gives carried sign-ins their details. Where the history has not all of them any more, it says which the newest are.
    pub(super) async fn add_details(
        &self,
        mut carried: Vec<(UserId, &mut Vec<LoginEvent>)>,
        newest: Newest,
    ) -> Result<()> {
        let events = carried.iter().flat_map(|(_, events)| events.iter());
        let ids: Vec<LoginEventId> = events.map(|event| event.id).collect();
        let whole = self.login_events_by_ids(&ids).await?;
        let whole: HashMap<LoginEventId, LoginEvent> = whole.into_iter().map(|event| (event.id, event)).collect();
        let mut short = Vec::new();
        for (user, events) in &mut carried {
            let found: Vec<LoginEvent> = events
                .iter()
                .filter_map(|event| whole.get(&event.id).cloned())
                .collect();
            if found.len() < events.len() {
                short.push(*user);
            }
            **events = found;
        }
        if short.is_empty() {
            return Ok(());
        }
        let found = self.newest(&short, newest.limit, newest.not_before).await?;
        for (user, events) in carried.iter_mut().filter(|(user, _)| short.contains(user)) {
            **events = found.get(user).cloned().unwrap_or_default();
        }
        Ok(())
    }

    /// The newest sign-ins of each user from the history itself.
    pub(super) async fn newest(
        &self,
        users: &[UserId],
        limit: usize,
        not_before: Timestamp,
    ) -> Result<HashMap<UserId, Vec<LoginEvent>>> {
        let filters: Vec<Filter> = users
            .iter()
            .map(|user| {
                Filter::default()
                    .and(Some(doc! { "user": Id::from(*user) }))
                    .between(Some(not_before), None)
            })
            .collect();
        let page = PageRequest::first(limit);
        let pages: Vec<Page<LoginEvent>> = self
            .pages(&self.login_events, &[], NEWEST_FIRST, &filters, &page)
            .await?;
        let each = users.iter().copied().zip(pages.into_iter().map(|page| page.items));
        Ok(each.filter(|(_, events)| !events.is_empty()).collect())
    }
}

#[async_trait]
impl HistoryStore for MongoStore {
    async fn login_events_by_ids(&self, ids: &[LoginEventId]) -> Result<Vec<LoginEvent>> {
        self.by_ids(&self.login_events, &[], ids).await
    }

    async fn login_events(&self, filters: &[LoginEventFilter], page: &PageRequest) -> Result<Vec<Page<LoginEvent>>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.pages(&self.login_events, &[], NEWEST_FIRST, &filters, page).await
    }

    async fn count_login_events(&self, filters: &[LoginEventFilter]) -> Result<Vec<u64>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.counts(&self.login_events, &filters).await
    }

    async fn login_stats(&self, account: AccountId, edges: &[Timestamp]) -> Result<Vec<LoginCounts>> {
        self.count_logins(account, edges).await
    }

    async fn recent_login_events(
        &self,
        users: &[UserId],
        limit: usize,
        not_before: Timestamp,
    ) -> Result<HashMap<UserId, Vec<LoginEvent>>> {
        if users.is_empty() || limit == 0 {
            return Ok(HashMap::new());
        }
        // One user's are found by an index as well as in its document, with their details.
        if limit > RECENT || users.len() == 1 {
            return self.newest(users, limit, not_before).await;
        }
        let carried = self.carried(users).await?;
        // Users who are gone have left their sign-ins in the history only.
        let found: HashSet<Id> = carried.iter().map(|document| document.id).collect();
        let gone: Vec<UserId> = users
            .iter()
            .copied()
            .filter(|user| !found.contains(&Id::from(*user)))
            .collect();
        let mut found = if gone.is_empty() {
            HashMap::new()
        } else {
            self.newest(&gone, limit, not_before).await?
        };
        let newest = Newest {
            limit,
            not_before,
            details: true,
            last_login: false,
        };
        let mut read = Vec::with_capacity(carried.len());
        for document in carried {
            let (account, user) = (document.account.into(), document.id.into());
            read.push((user, document.recent.read(account, user, newest)?));
        }
        let each = read.iter_mut().map(|(user, events)| (*user, events));
        self.add_details(each.collect(), newest).await?;
        found.extend(read.into_iter().filter(|(_, events)| !events.is_empty()));
        Ok(found)
    }
}
