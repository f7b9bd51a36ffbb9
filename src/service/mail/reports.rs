//! Daily and weekly reports, and warnings before a directory's password expires: at eight in the morning of each account.
//!
//! Any number of processes may look; a report is filed with its mails as one intent, and only once.

mod due;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::MissedTickBehavior;

use self::due::{Period, due};
use super::Address;
use crate::domain::account::{Account, AccountStatus};
use crate::domain::ids::AccountId;
use crate::domain::login_event::LoginOutcome;
use crate::domain::mail::{Mail, Matter, Report, ReportBar, ReportKind, Subscription};
use crate::domain::page::{PageRequest, Take};
use crate::domain::query::{
    AccountFilter, AccountOrder, AccountOrderField, Direction, LoginEventFilter, UserFilter, UserOrder, UserOrderField,
};
use crate::domain::role::Permission;
use crate::domain::user::User;
use crate::service::stats::{Width, starts};
use crate::service::upkeep::Worker;
use crate::service::{Result, Services};
use crate::store::ReportMark;

/// How often is looked whether a report is due.
const EVERY: Duration = Duration::from_secs(30);
/// Accounts, and users, that are read at once.
const PAGE: usize = PageRequest::MAX;
/// The most logins that a report names of the new users, and of the locked ones.
const NAMED: usize = 10;
/// Whoever's directory password expires is told this many days before, and again.
const WARNINGS: [u32; 4] = [1, 3, 7, 14];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts the worker; `None` when mail is off.
#[must_use]
pub fn spawn_reports(services: &Arc<Services>) -> Option<Worker> {
    services.post.server.as_ref()?;
    let services = Arc::clone(services);
    Some(Worker::new(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = services.file_reports().await {
                tracing::warn!(%error, "reports could not be written; it is tried again");
            }
        }
    })))
}

impl Services {
    /// Files every report that is due now, of every active account; those that were missed while no process ran too.
    ///
    /// # Errors
    /// Those of the store; what was filed before stays filed.
    pub async fn file_reports(&self) -> Result<()> {
        let filter = AccountFilter {
            status: Some(AccountStatus::Active),
            ..AccountFilter::default()
        };
        let order = AccountOrder {
            field: AccountOrderField::CreatedAt,
            direction: Direction::Asc,
        };
        let mut page = PageRequest {
            take: Take::First,
            ..PageRequest::first(PAGE)
        };
        loop {
            let found = self.store.accounts(&filter, order, &page).await?;
            let ids: Vec<AccountId> = found.items.iter().map(|account| account.id).collect();
            let marks = self.store.last_reports(&ids).await?;
            let last: HashMap<_, _> = marks.iter().map(|m| ((m.account, m.kind), m.first_day)).collect();
            for account in &found.items {
                for kind in [ReportKind::Daily, ReportKind::Weekly] {
                    let last = last.get(&(account.id, kind)).copied();
                    for period in due(account, kind, last, self.clock.now()) {
                        if let Err(error) = self.file_report(account, &period).await {
                            // The next ones of this kind come after it; other accounts do not wait for it.
                            let account = &account.name;
                            tracing::warn!(%account, ?kind, %error, "a report could not be written; it is tried again");
                            break;
                        }
                    }
                }
            }
            match found.items.last() {
                Some(last) if found.has_more => page.after = Some(order.position(last)),
                _ => return Ok(()),
            }
        }
    }

    async fn file_report(&self, account: &Account, period: &Period) -> Result<()> {
        let mut mails = self.reports(account, period).await?;
        if period.kind == ReportKind::Daily && account.directory.is_some() {
            mails.extend(self.expiry_warnings(account).await?);
        }
        let mark = ReportMark {
            account: account.id,
            kind: period.kind,
            first_day: period.first_day,
        };
        if self.store.file_report(&mark, &mails).await? {
            let (account, count) = (&account.name, mails.len());
            tracing::info!(%account, kind = ?period.kind, day = %period.first_day, mails = count, "report filed");
            self.post.announce(&mails);
        }
        Ok(())
    }

    /// A mail for each who asked for that report.
    async fn reports(&self, account: &Account, period: &Period) -> Result<Vec<Mail>> {
        let subscription = Subscription::Reports(period.kind);
        let (mut mails, mut after, mut written) = (Vec::new(), None, None);
        loop {
            let users = self.store.subscribers(account.id, subscription, after, PAGE).await?;
            if users.is_empty() {
                return Ok(mails);
            }
            let report = match &written {
                Some(report) => report,
                None => written.insert(self.report(account, period).await?),
            };
            let may_read = self.readers_of_users(account, &users).await?;
            for (user, may_read) in users.iter().zip(may_read) {
                let mut report = report.clone();
                if !may_read {
                    // Figures are for everybody who asks; who it was is for those who may see users.
                    report.new_logins.clear();
                    report.locked_logins.clear();
                }
                let matter = Matter::Report(Box::new(report));
                mails.extend(self.letter(account, user, matter, Address::Alerts)?);
            }
            match users.last() {
                Some(last) if users.len() == PAGE => after = Some(last.id),
                _ => return Ok(mails),
            }
        }
    }

    /// Which of these users may see the others.
    async fn readers_of_users(&self, account: &Account, users: &[User]) -> Result<Vec<bool>> {
        let ids: Vec<_> = users.iter().flat_map(User::roles).collect();
        let roles = if ids.is_empty() {
            Vec::new()
        } else {
            self.store.roles_by_ids(&ids).await?
        };
        let reads = |user: &User| {
            let held = user.roles();
            user.is_master()
                || roles
                    .iter()
                    .filter(|role| role.account == account.id && held.contains(&role.id))
                    .any(|role| role.permissions.iter().any(|p| p.as_str() == Permission::USERS_READ))
        };
        Ok(users.iter().map(reads).collect())
    }

    async fn report(&self, account: &Account, period: &Period) -> Result<Report> {
        let (from, until) = (period.from, period.until);
        let total = self.store.login_stats(account.id, &[from, until]).await?;
        let total = total.first().copied().unwrap_or_default();
        let (new_users, new_logins) = self.new_users(account, from, until).await?;
        let locked = UserFilter {
            account: Some(account.id),
            is_locked: Some((true, self.clock.now())),
            ..UserFilter::default()
        };
        let (locked_users, locked_logins) = self.some_users(locked, UserOrder::DEFAULT, until).await?;
        let before = self.store.login_countries(account.id, Timestamp::MIN, from).await?;
        let mut new_countries = self.store.login_countries(account.id, from, until).await?;
        new_countries.retain(|country| !before.contains(country));
        Ok(Report {
            period: period.kind,
            first_day: period.first_day,
            last_day: period.last_day,
            succeeded: total.succeeded,
            unique_users: total.unique_users,
            failures: self.failures(account, from, until, total.failed).await?,
            new_users,
            new_logins,
            locked_users,
            locked_logins,
            new_countries,
            bars: self.bars(account, period).await?,
        })
    }

    /// How often each reason was why; in all as often as `total`.
    async fn failures(
        &self,
        account: &Account,
        since: Timestamp,
        until: Timestamp,
        total: u64,
    ) -> Result<Vec<(LoginOutcome, u64)>> {
        // One event may stand for many attempts over a limit: those are what the others leave.
        let single = LoginOutcome::ALL
            .into_iter()
            .filter(|outcome| !matches!(outcome, LoginOutcome::Success | LoginOutcome::RateLimited));
        let outcomes: Vec<LoginOutcome> = single.collect();
        let filter = |outcome: &LoginOutcome| LoginEventFilter {
            account: Some(account.id),
            outcomes: Some(vec![*outcome]),
            since: Some(since),
            until: Some(until),
            ..LoginEventFilter::default()
        };
        let filters: Vec<LoginEventFilter> = outcomes.iter().map(filter).collect();
        let counts = self.store.count_login_events(&filters).await?;
        let limited = total.saturating_sub(counts.iter().sum());
        let counted = outcomes
            .into_iter()
            .zip(counts)
            .chain([(LoginOutcome::RateLimited, limited)]);
        Ok(counted.filter(|(_, count)| *count > 0).collect())
    }

    async fn new_users(&self, account: &Account, from: Timestamp, until: Timestamp) -> Result<(u64, Vec<String>)> {
        let order = UserOrder {
            field: UserOrderField::CreatedAt,
            direction: Direction::Asc,
        };
        // "After" leaves the moment itself out, and moments are whole milliseconds.
        let just_before = |at: Timestamp| super::super::settings::before(at, Duration::from_millis(1));
        let since = |at| UserFilter {
            account: Some(account.id),
            created_after: Some(just_before(at)),
            ..UserFilter::default()
        };
        let (all, logins) = self.some_users(since(from), order, until).await?;
        let later = self.store.count_users(&[since(until)]).await?;
        Ok((all.saturating_sub(later.first().copied().unwrap_or_default()), logins))
    }

    /// How many users the filter finds, and the first logins of those who were made before `until`.
    async fn some_users(&self, filter: UserFilter, order: UserOrder, until: Timestamp) -> Result<(u64, Vec<String>)> {
        let filters = [filter];
        let count = self
            .store
            .count_users(&filters)
            .await?
            .first()
            .copied()
            .unwrap_or_default();
        let pages = self.store.users(&filters, order, &PageRequest::first(NAMED)).await?;
        let users = pages.into_iter().flat_map(|page| page.items);
        let logins = users
            .filter(|user| user.created_at < until)
            .map(|user| user.login.to_string());
        Ok((count, logins.collect()))
    }

    async fn bars(&self, account: &Account, period: &Period) -> Result<Vec<ReportBar>> {
        let zone = TimeZone::get(&account.time_zone).unwrap_or(TimeZone::UTC);
        let width = match period.kind {
            ReportKind::Daily => Width::Hour,
            ReportKind::Weekly => Width::Day,
        };
        let starts = starts(period.from, period.until, width, &zone).unwrap_or_default();
        let edges: Vec<Timestamp> = starts.iter().copied().chain([period.until]).collect();
        let counts = self.store.login_stats(account.id, &edges).await?;
        let bars = starts.into_iter().zip(counts);
        Ok(bars
            .map(|(start, counts)| ReportBar {
                start,
                succeeded: counts.succeeded,
                failed: counts.failed,
            })
            .collect())
    }

    /// Mails to those whose directory password expires soon: one at each of the warnings' days, whenever it is looked.
    async fn expiry_warnings(&self, account: &Account) -> Result<Vec<Mail>> {
        let now = self.clock.now();
        let longest = WARNINGS.into_iter().max().unwrap_or_default();
        let until = super::super::settings::after(now, DAY * longest);
        let (mut mails, mut after) = (Vec::new(), None);
        loop {
            let users = self.store.expiring_users(account.id, now, until, after, PAGE).await?;
            for user in &users {
                let Some(at) = user.password_expires_at else { continue };
                let days = days_until(now, at);
                let Some(warning) = WARNINGS.into_iter().find(|warning| days <= *warning) else {
                    continue;
                };
                let matter = Matter::PasswordExpires { at, days };
                if let Some(mail) = self.letter(account, user, matter, Address::Alerts)? {
                    let key = format!("password-expires {} {} {warning}", user.id, at.as_second());
                    mails.push(Mail { key: Some(key), ..mail });
                }
            }
            match users.last() {
                Some(last) if users.len() == PAGE => after = Some(last.id),
                _ => return Ok(mails),
            }
        }
    }
}

/// Whole days, rounded up.
fn days_until(now: Timestamp, at: Timestamp) -> u32 {
    let seconds = at.duration_since(now).as_secs().max(0).unsigned_abs();
    u32::try_from(seconds.div_ceil(DAY.as_secs())).unwrap_or(u32::MAX)
}
