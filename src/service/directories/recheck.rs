//! Looks again at directory users who are signed in: whoever fell out of the directory loses their sessions.
//!
//! One process does so for a directory at a time, by a lease that it renews; when it goes, another takes over. Who is due
//! is told by when each was last seen, which every process reads from the store: a change of hands skips nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::grants::Mappings;
use super::people::{Author, Said, Written, absent};
use crate::directory::{Directory, DirectoryError, Person};
use crate::domain::account::Account;
use crate::domain::clock::EntropyError;
use crate::domain::ids::AccountId;
use crate::domain::user::{User, UserStatus};
use crate::service::settings::after;
use crate::service::upkeep::{Worker, new_holder};
use crate::service::{DirectoryRules, Result, Services};
use crate::store::WhichSessions;

/// So many looks fit into the time within which everybody is to be looked at again.
const LOOKS: u32 = 8;
/// A look is no more often than this,
const SHORTEST: Duration = Duration::from_millis(50);
/// and no rarer.
const LONGEST: Duration = Duration::from_secs(30);
/// Users who are read at once.
const PAGE: usize = 500;
/// People who are asked about at once.
const BATCH: usize = 50;
/// Between two of these questions: no more than a few thousand people a second are asked about.
const PAUSE: Duration = Duration::from_millis(10);

/// Starts a worker for each directory in which people can be looked up.
///
/// # Errors
/// When no identifier can be made for this process.
pub fn spawn_rechecks(services: &Arc<Services>) -> std::result::Result<Vec<Worker>, EntropyError> {
    let holder = new_holder(services.entropy.as_ref())?;
    let workers = services
        .directories
        .values()
        .filter(|directory| directory.can_look_up());
    let workers = workers.filter_map(|directory| {
        let rules = services.settings.directories.get(directory.name())?.clone();
        let recheck = Recheck {
            services: Arc::clone(services),
            directory: Arc::clone(directory),
            every: (rules.recheck / LOOKS).clamp(SHORTEST, LONGEST),
            rules,
            holder,
            away_since: None,
        };
        Some(Worker::new(tokio::spawn(recheck.run())))
    });
    Ok(workers.collect())
}

struct Recheck {
    services: Arc<Services>,
    directory: Arc<Directory>,
    rules: DirectoryRules,
    /// How long from one look to the next.
    every: Duration,
    holder: Uuid,
    /// When it first did not answer; what is not known of before this process began does not count.
    away_since: Option<Timestamp>,
}

impl Recheck {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.look().await {
                let directory = self.directory.name();
                tracing::warn!(directory, %error, "directory users could not be looked at again");
            }
        }
    }

    /// One look at everybody who is due.
    async fn look(&mut self) -> Result<()> {
        if !self.holds_lease().await? {
            return Ok(());
        }
        let mut accounts = Accounts::default();
        let (mut from, mut is_away) = (None, false);
        loop {
            let now = self.services.clock.now();
            let (users, next) = self.services.store.signed_in_ldap_users(now, from, PAGE).await?;
            accounts.load(self, &users).await?;
            for user in &users {
                self.end_unlinked(user, &accounts).await?;
            }
            let due: Vec<&User> = users.iter().filter(|user| self.is_due(user, &accounts)).collect();
            for batch in due.chunks(BATCH) {
                if !self.holds_lease().await? {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
                if let Some(since) = self.away_since.filter(|_| is_away) {
                    // One unanswered question is enough: nobody else is kept waiting for as long.
                    self.bear_outage(batch, &accounts, since).await?;
                } else {
                    is_away = !self.look_at(batch, &accounts).await?;
                }
            }
            if next.is_none() {
                return Ok(());
            }
            from = next;
        }
    }

    /// For two looks and one question that no server answers; then another process takes over.
    async fn holds_lease(&self) -> Result<bool> {
        let now = self.services.clock.now();
        let servers = u32::try_from(self.directory.servers().len()).unwrap_or(u32::MAX);
        let slow = self.rules.timeout.saturating_mul(servers);
        let until = after(now, self.every.saturating_mul(2).saturating_add(slow));
        let name = format!("recheck {}", self.directory.name());
        Ok(self.services.store.take_lease(&name, self.holder, now, until).await?)
    }

    /// Nobody could look again at an LDAP user of the account who is linked to no entry of its directory: they sign in once
    /// more, and are linked.
    async fn end_unlinked(&self, user: &User, accounts: &Accounts) -> Result<()> {
        let is_linked = user
            .directory_link
            .as_ref()
            .is_some_and(|link| link.directory == self.directory.name());
        match accounts.known.get(&user.account) {
            Some((account, _)) if !is_linked => {
                self.sign_out(user, account, "they are linked to no entry of the account's directory")
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Before the time is over, by as many looks as another process takes to notice that this one is gone, and one more.
    fn is_due(&self, user: &User, accounts: &Accounts) -> bool {
        let Some(link) = &user.directory_link else {
            return false;
        };
        // Those who were seen together are not all asked about together again.
        let [.., last] = user.id.as_uuid().into_bytes();
        let jitter = self.every * u32::from(last) / u32::from(u8::MAX);
        let early = self.rules.recheck.saturating_sub(self.every * 3 + jitter);
        let due = after(link.last_checked_at, early);
        link.directory == self.directory.name()
            && accounts.known.contains_key(&user.account)
            && due <= self.services.clock.now()
    }

    /// Asks about some; false when the directory does not answer.
    async fn look_at(&mut self, users: &[&User], accounts: &Accounts) -> Result<bool> {
        let asked = self.services.clock.now();
        match self.directory.look_up_ids(&ids_of(users)).await {
            Ok(people) => {
                self.away_since = None;
                self.settle_all(users, accounts, &people, asked).await?;
                Ok(true)
            }
            Err(error @ DirectoryError::NoServer { .. }) => {
                let since = *self.away_since.get_or_insert(asked);
                tracing::warn!(directory = self.directory.name(), %error, users = users.len(), %since,
                    "signed-in users could not be looked up; their sessions live on for outage_grace");
                self.bear_outage(users, accounts, since).await?;
                Ok(false)
            }
            // Something about one of them: the others are not to suffer for it.
            Err(_) => {
                for user in users {
                    match self.directory.look_up_ids(&ids_of(&[user])).await {
                        Ok(people) => self.settle_all(&[user], accounts, &people, asked).await?,
                        Err(error) => {
                            tracing::warn!(directory = self.directory.name(), user = %user.login, %error,
                                "somebody who is signed in could not be looked up");
                            let since = user.directory_link.as_ref().map_or(asked, |link| link.last_checked_at);
                            self.bear_outage(&[user], accounts, since).await?;
                        }
                    }
                }
                Ok(true)
            }
        }
    }

    async fn settle_all(
        &self,
        users: &[&User],
        accounts: &Accounts,
        people: &[Person],
        asked: Timestamp,
    ) -> Result<()> {
        let mut seen = Vec::new();
        for user in users {
            let Some((account, mappings)) = accounts.known.get(&user.account) else {
                continue;
            };
            let id = user.directory_link.as_ref().map(|link| link.external_id.as_str());
            let person = people.iter().find(|person| id.is_some_and(|id| person.has_id(id)));
            if self.settle(user, account, mappings, person, asked).await? {
                seen.push(user.id);
            }
        }
        Ok(self.services.store.touch_links(&seen, asked).await?)
    }

    /// Writes what the directory says; true when that was nothing new.
    async fn settle(
        &self,
        user: &User,
        account: &Account,
        mappings: &Mappings,
        person: Option<&Person>,
        asked: Timestamp,
    ) -> Result<bool> {
        let services = &self.services;
        let name = self.directory.name();
        let author = Author::directory(name, "recheckUser");
        let Some(person) = person else {
            // Whom a person disabled in this moment is not the directory's to enable again.
            if user.status == UserStatus::Active {
                tracing::info!(directory = name, user = %user.login, account = %account.name,
                    "somebody who is signed in is no longer in the directory; their sessions end");
                services
                    .write_from_directory(account, user, absent(user), &author)
                    .await?;
            }
            return Ok(false);
        };
        let said = Said {
            directory: name,
            person,
            mappings,
        };
        let after = said.applied_to(user, &mappings.of(person), asked);
        let written = services.write_keeping_login(account, user, after, &author).await?;
        // Whoever was changed in between is looked at the next time.
        Ok(matches!(written, Written::Done(after) if after.revision == user.revision))
    }

    /// Ends the sessions of those whom the directory has not confirmed for too long.
    async fn bear_outage(&self, users: &[&User], accounts: &Accounts, since: Timestamp) -> Result<()> {
        if after(since, self.rules.outage_grace) > self.services.clock.now() {
            return Ok(());
        }
        for user in users {
            if let Some((account, _)) = accounts.known.get(&user.account) {
                self.sign_out(
                    user,
                    account,
                    "the directory has been away for longer than outage_grace",
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn sign_out(&self, user: &User, account: &Account, why: &'static str) -> Result<()> {
        let services = &self.services;
        let author = Author::directory(self.directory.name(), "revokeAllSessions");
        let entry = services.entry_by(&author, account, user, Vec::new())?;
        let ended = services
            .store
            .revoke_sessions(user.id, WhichSessions::AllBut(None), &entry)
            .await?;
        if ended > 0 {
            tracing::warn!(user = entry.target_name, ended, why, "sessions of a directory user end");
        }
        Ok(())
    }
}

fn ids_of(users: &[&User]) -> Vec<String> {
    let links = users.iter().filter_map(|user| user.directory_link.as_ref());
    links.map(|link| link.external_id.clone()).collect()
}

/// The accounts that use the directory, with what its groups grant there.
#[derive(Default)]
struct Accounts {
    known: HashMap<AccountId, (Account, Mappings)>,
    /// Those that do not use it.
    others: Vec<AccountId>,
}

impl Accounts {
    async fn load(&mut self, recheck: &Recheck, users: &[User]) -> Result<()> {
        let mut new: Vec<AccountId> = users.iter().map(|user| user.account).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|id| !self.known.contains_key(id) && !self.others.contains(id));
        if new.is_empty() {
            return Ok(());
        }
        let store = recheck.services.store.as_ref();
        for account in store.accounts_by_ids(&new).await? {
            if account.directory.as_deref() == Some(recheck.directory.name()) {
                let mappings = Mappings::resolve(store, &account, &recheck.rules.mappings).await?;
                self.known.insert(account.id, (account, mappings));
            } else {
                self.others.push(account.id);
            }
        }
        Ok(())
    }
}
