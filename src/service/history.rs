//! The login history, as far as somebody sees it; and how filters are narrowed to what their caller may see.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::access::Reach;
use crate::domain::ids::{AccountId, LoginEventId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::LoginEventFilter;
use crate::service::settings::before;
use crate::service::{Caller, Result};
use crate::store::LoginWatch;

/// The part of an account filter that the reach leaves: `None` when that is nothing.
pub(super) fn narrow(reach: Reach, account: Option<AccountId>) -> Option<(Option<AccountId>, Option<UserId>)> {
    match reach {
        Reach::Everything => Some((account, None)),
        Reach::Account(own) => account.is_none_or(|a| a == own).then_some((Some(own), None)),
        Reach::Own(own, user) => account.is_none_or(|a| a == own).then_some((Some(own), Some(user))),
        Reach::Nothing => None,
    }
}

/// Several filters of one call, without those that can find nothing for this caller.
pub(super) struct Scoped<F> {
    /// Those to ask the store.
    pub filters: Vec<F>,
    asked: Vec<bool>,
}

impl<F> Scoped<F> {
    /// Keeps what is there.
    pub fn new(filters: impl Iterator<Item = Option<F>>) -> Self {
        let mut scoped = Self {
            filters: Vec::new(),
            asked: Vec::new(),
        };
        for filter in filters {
            scoped.asked.push(filter.is_some());
            scoped.filters.extend(filter);
        }
        scoped
    }

    /// Puts the store's answers back in the order of the caller's filters, with `nothing` for those never asked.
    pub fn spread<T>(&self, answers: Vec<T>, nothing: impl Fn() -> T) -> Vec<T> {
        let mut answers = answers.into_iter();
        self.asked
            .iter()
            .map(|asked| {
                if *asked {
                    answers.next().unwrap_or_else(&nothing)
                } else {
                    nothing()
                }
            })
            .collect()
    }
}

impl Caller {
    /// A page of the history for each filter, as far as the caller sees it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn login_events(
        &self,
        filters: &[LoginEventFilter],
        page: &PageRequest,
    ) -> Result<Vec<Page<LoginEvent>>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_history(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), Page::empty));
        }
        Ok(scoped.spread(self.store().login_events(&scoped.filters, page).await?, Page::empty))
    }

    /// How many sign-ins each filter finds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_login_events(&self, filters: &[LoginEventFilter]) -> Result<Vec<u64>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_history(f)));
        if scoped.filters.is_empty() {
            return Ok(scoped.spread(Vec::new(), || 0));
        }
        Ok(scoped.spread(self.store().count_login_events(&scoped.filters).await?, || 0))
    }

    /// The newest sign-ins of each of these users of whom the caller may see any, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recent_login_events(
        &self,
        users: &[(AccountId, UserId)],
        limit: usize,
    ) -> Result<HashMap<UserId, Vec<LoginEvent>>> {
        let reach = self.principal().reach_of_history();
        let seen: Vec<UserId> = users
            .iter()
            .filter(|(a, u)| reach.covers(*a, Some(*u)))
            .map(|(_, u)| *u)
            .collect();
        if seen.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(self
            .store()
            .recent_login_events(&seen, limit, self.history_begins())
            .await?)
    }

    /// Those of these sign-ins that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn login_events_by_ids(&self, ids: &[LoginEventId]) -> Result<Vec<LoginEvent>> {
        let (reach, begins) = (self.principal().reach_of_history(), self.history_begins());
        let mut events = self.store().login_events_by_ids(ids).await?;
        events.retain(|e| reach.covers(e.account, e.user) && e.at >= begins);
        Ok(events)
    }

    /// Does the caller see what only `history:read` shows, of that account's events?
    #[must_use]
    pub fn reads_history_of(&self, account: AccountId) -> bool {
        self.principal().reach_of_history().covers(account, None)
    }

    /// Older sign-ins may still be stored until the next clearing up, but are gone for everybody.
    pub(super) fn history_begins(&self) -> Timestamp {
        before(self.now(), self.services.settings.history_retention)
    }

    /// Watches the sign-ins of everybody; which of them the caller sees is for [`Self::sees_sign_in`] to say of each.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied) to nobody and to whom must change the password; those of the store.
    pub async fn watch_logins(&self) -> Result<LoginWatch> {
        self.principal().signed_in()?;
        Ok(self.store().watch_logins().await?)
    }

    /// Would the caller's history, asked for by this filter, show this sign-in?
    #[must_use]
    pub fn sees_sign_in(&self, filter: &LoginEventFilter, event: &LoginEvent) -> bool {
        filter.matches(event) && self.scope_history(filter).is_some_and(|scoped| scoped.matches(event))
    }

    fn scope_history(&self, filter: &LoginEventFilter) -> Option<LoginEventFilter> {
        let (account, own) = narrow(self.principal().reach_of_history(), filter.account)?;
        if own.is_some() && filter.user.is_some() && filter.user != own {
            return None;
        }
        Some(LoginEventFilter {
            account,
            user: own.or(filter.user),
            since: filter.since.max(Some(self.history_begins())),
            ..filter.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn a_filter_is_narrowed_to_what_is_seen() {
        let (a, b) = (testing::account("a").id, testing::account("b").id);
        let user = testing::user(&testing::account("a"), "ann", false).id;
        assert_eq!(narrow(Reach::Everything, Some(b)), Some((Some(b), None)));
        assert_eq!(narrow(Reach::Everything, None), Some((None, None)));
        assert_eq!(narrow(Reach::Account(a), None), Some((Some(a), None)));
        assert_eq!(narrow(Reach::Account(a), Some(b)), None);
        assert_eq!(narrow(Reach::Own(a, user), Some(a)), Some((Some(a), Some(user))));
        assert_eq!(narrow(Reach::Nothing, None), None);
    }

    #[test]
    fn answers_come_back_in_the_callers_order() {
        let scoped = Scoped::new([None, Some("x"), None, Some("y")].into_iter());
        assert_eq!(scoped.filters, ["x", "y"]);
        assert_eq!(scoped.spread(vec![1, 2], || 0), [0, 1, 0, 2]);
    }
}
