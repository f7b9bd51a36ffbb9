//! Reading, counting, writing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use uuid::Uuid;

use super::census::{Census, Leaving, login_of};
use super::report::{LISTED, Names, SyncChangeKind, SyncReport, difference};
use super::{SyncPlan, SyncProgress};
use crate::config::Provision;
use crate::directory::{Directory, DirectoryError, Person};
use crate::domain::account::Account;
use crate::domain::ids::UserId;
use crate::domain::login::Login;
use crate::domain::user::{User, UserStatus};
use crate::service::directories::grants::Mappings;
use crate::service::directories::people::{Author, Said, Written, absent, is_changed};
use crate::service::settings::after;
use crate::service::{DirectoryRules, ErrorCode, Problem, Result, Services};

/// Users who are read at once.
const PAGE: usize = 500;
/// Users who are changed at once.
const AT_ONCE: usize = 8;
/// Users who are made with one intent.
const IN_ONE_INTENT: usize = 100;
/// Fewer than this may always be disabled: a share of a small account is soon reached.
const ALWAYS: u64 = 5;
/// How long a sync that is no longer heard of keeps others away.
const LEASE: std::time::Duration = std::time::Duration::from_secs(120);

/// One sync under way.
pub(super) struct Sync {
    pub services: Arc<Services>,
    pub directory: Arc<Directory>,
    pub rules: DirectoryRules,
    pub account: Account,
    pub mappings: Mappings,
    pub plan: SyncPlan,
    pub author: Author,
    pub holder: Uuid,
    pub progress: Arc<SyncProgress>,
}

impl Sync {
    pub async fn run(self) -> Result<SyncReport> {
        if !self.take_lease().await? {
            let message = "Another sync of this account is running; wait for it.";
            return Err(Problem::at(&["account"], ErrorCode::Conflict, message).into());
        }
        let report = self.read_and_write().await;
        self.services.store.drop_lease(&self.lease(), self.holder).await?;
        if let Ok(report) = &report {
            tracing::info!(account = %self.account.name, dry_run = self.plan.dry_run, added = report.added,
                updated = report.updated, disabled = report.disabled, unchanged = report.unchanged,
                stopped = report.stopped, "read the directory");
        }
        report
    }

    fn lease(&self) -> String {
        format!("sync {}", self.account.id)
    }

    async fn take_lease(&self) -> Result<bool> {
        let now = self.services.clock.now();
        let (name, until) = (self.lease(), after(now, LEASE));
        Ok(self.services.store.take_lease(&name, self.holder, now, until).await?)
    }

    /// Another sync may have begun if this one was held up for long; then it is that one's to go on.
    async fn keep_lease(&self) -> Result<()> {
        if self.take_lease().await? {
            return Ok(());
        }
        let message = "Another sync of this account began meanwhile; what was read until then is up to date.";
        Err(Problem::at(&["account"], ErrorCode::Conflict, message).into())
    }

    async fn read_and_write(&self) -> Result<SyncReport> {
        let mut report = SyncReport::default();
        let census = match self.count().await? {
            Ok(census) => census,
            Err(error) => {
                tracing::warn!(directory = self.directory.name(), %error, "a sync could not read the directory");
                let message = "The directory could not be read to its end; nothing was changed.";
                return Err(Problem::new(ErrorCode::DirectoryUnavailable, message).into());
            }
        };
        if census.without_id > 0 {
            tracing::warn!(
                directory = self.directory.name(),
                people = census.without_id,
                "entries show none of attributes.id and are left out"
            );
        }
        if census.is_empty() {
            report.stopped = Some(format!(
                "the directory shows nobody at all under {}; that is taken for a mistake there or in base, filter or \
                 the rights of bind_dn, and nothing was changed",
                self.directory.bases().join("; ")
            ));
            return Ok(report);
        }
        let (leaving, linked) = self.leaving(&census).await?;
        let going = u64::try_from(leaving.len()).unwrap_or(u64::MAX);
        let limit = u64::try_from(self.plan.max_disable_percent).unwrap_or(0);
        if going >= ALWAYS && going.saturating_mul(100) > limit.saturating_mul(linked) {
            report.stopped = Some(format!(
                "{going} of {linked} users would be disabled, more than maxDisablePercent = {limit}; nothing was \
                 changed; a larger maxDisablePercent says that it is right"
            ));
            self.list_leaving(&leaving, &mut report).await?;
            return Ok(report);
        }
        let mut again = Census::default();
        if let Err(error) = self.update(&census, &mut again, &mut report).await? {
            tracing::warn!(directory = self.directory.name(), %error, "a sync could not read the directory");
            let message = "The directory went away in the middle; who was read is up to date, and nobody was disabled.";
            return Err(Problem::new(ErrorCode::DirectoryUnavailable, message).into());
        }
        self.disable(&leaving, &again, &mut report).await?;
        Ok(report)
    }

    /// The first reading.
    async fn count(&self) -> Result<std::result::Result<Census, DirectoryError>> {
        let mut census = Census::default();
        let mut everyone = match self.directory.everyone().await {
            Ok(everyone) => everyone,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let people = match everyone.next().await {
                Ok(Some(people)) => people,
                Ok(None) => return Ok(Ok(census)),
                Err(error) => return Ok(Err(error)),
            };
            self.keep_lease().await?;
            let read = u64::try_from(people.len()).unwrap_or(0);
            self.progress.found.fetch_add(read, Ordering::Relaxed);
            for person in people {
                census.count(person);
            }
        }
    }

    /// The active users who are linked to nobody who is let in there, and how many are active and linked.
    async fn leaving(&self, census: &Census) -> Result<(Vec<Leaving>, u64)> {
        let (mut leaving, mut linked, mut from) = (Vec::new(), 0, None);
        loop {
            let store = self.services.store.as_ref();
            let users = store
                .linked_users(self.account.id, self.directory.name(), from, PAGE)
                .await?;
            let Some(last) = users.last() else {
                return Ok((leaving, linked));
            };
            from = Some(last.id);
            for user in users.iter().filter(|user| user.status == UserStatus::Active) {
                linked += 1;
                let Some(link) = &user.directory_link else { continue };
                if !census.lets_in(&link.external_id) {
                    leaving.push(Leaving {
                        user: user.id,
                        external_id: link.external_id.clone(),
                    });
                }
            }
        }
    }

    async fn list_leaving(&self, leaving: &[Leaving], report: &mut SyncReport) -> Result<()> {
        for some in leaving[..leaving.len().min(LISTED)].chunks(PAGE) {
            let ids: Vec<UserId> = some.iter().map(|leaving| leaving.user).collect();
            for user in self.services.store.users_by_ids(&ids).await? {
                report.list(&user.login, SyncChangeKind::Disabled, Vec::new(), Vec::new());
            }
        }
        Ok(())
    }

    /// The second reading.
    async fn update(
        &self,
        census: &Census,
        again: &mut Census,
        report: &mut SyncReport,
    ) -> Result<std::result::Result<(), DirectoryError>> {
        let mut names = Names::default();
        let mut everyone = match self.directory.everyone().await {
            Ok(everyone) => everyone,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let asked = self.services.clock.now();
            let mut people = match everyone.next().await {
                Ok(Some(people)) => people,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            self.keep_lease().await?;
            let read = u64::try_from(people.len()).unwrap_or(0);
            // Two bases may show the same people.
            people.retain(|person| again.count(person.clone()));
            let users = self.users_of(&people, census).await?;
            let mut writes = Vec::with_capacity(people.len());
            let mut newcomers = Vec::new();
            for person in &people {
                match person.external_id.as_ref().and_then(|id| users.get(id)) {
                    Some(user) => writes.push(self.write(person, user, asked)),
                    None => newcomers.extend(self.newcomer(person, census, asked)?),
                }
            }
            let mut outcomes: Vec<Option<Outcome>> =
                stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await?;
            for some in newcomers.chunks(IN_ONE_INTENT) {
                outcomes.extend(self.add(some).await?);
            }
            let mut seen = Vec::new();
            for outcome in outcomes.into_iter().flatten() {
                match outcome {
                    Outcome::Unchanged(id) => {
                        report.unchanged += 1;
                        seen.push(id);
                    }
                    Outcome::Changed { kind, before, after } => {
                        match kind {
                            SyncChangeKind::Added => report.added += 1,
                            SyncChangeKind::Updated | SyncChangeKind::Enabled => report.updated += 1,
                            SyncChangeKind::Disabled => report.disabled += 1,
                        }
                        if report.changes.len() < LISTED {
                            let gained = names.of(&self.services, &difference(&after, &before)).await?;
                            let lost = names.of(&self.services, &difference(&before, &after)).await?;
                            report.list(&after.login, kind, gained, lost);
                        }
                    }
                }
            }
            if !self.plan.dry_run {
                self.services.store.touch_links(&seen, asked).await?;
            }
            self.progress.done.fetch_add(read, Ordering::Relaxed);
        }
    }

    /// The users of these people by the people's ids: those linked to them, and LDAP users without a link who go by their
    /// login.
    async fn users_of(&self, people: &[Person], census: &Census) -> Result<HashMap<String, User>> {
        let store = self.services.store.as_ref();
        let (account, directory) = (self.account.id, self.directory.name());
        let ids: Vec<String> = people.iter().flat_map(|person| person.external_ids.clone()).collect();
        let mut linked: HashMap<String, User> = HashMap::with_capacity(ids.len());
        for user in store.users_by_external_ids(account, directory, &ids).await? {
            if let Some(link) = &user.directory_link {
                linked.insert(link.external_id.clone(), user);
            }
        }
        let mut users: HashMap<String, User> = HashMap::with_capacity(people.len());
        for person in people {
            let user = person.external_ids.iter().find_map(|id| linked.remove(id));
            if let (Some(id), Some(user)) = (&person.external_id, user) {
                users.insert(id.clone(), user);
            }
        }
        let unknown: Vec<(&String, Login)> = people
            .iter()
            .filter_map(|person| Some((person.external_id.as_ref()?, login_of(person)?)))
            .filter(|(id, login)| !users.contains_key(*id) && !census.is_ambiguous(login))
            .collect();
        let logins: Vec<Login> = unknown.iter().map(|(_, login)| login.clone()).collect();
        let named = store.users_by_logins(account, &logins).await?;
        let mut named: HashMap<Login, User> = named.into_iter().map(|user| (user.login.clone(), user)).collect();
        for (id, login) in unknown {
            if let Some(user) = named.remove(&login) {
                users.insert(id.clone(), user);
            }
        }
        Ok(users)
    }

    /// Writes one person; nothing for one who is not that user.
    async fn write(&self, person: &Person, user: &User, asked: Timestamp) -> Result<Option<Outcome>> {
        let services = &self.services;
        let said = Said {
            directory: self.directory.name(),
            person,
            mappings: &self.mappings,
        };
        let granted = self.mappings.of(person);
        // A local user is never linked by name, and another link takes an administrator's word.
        if !user.is_ldap || said.is_about(user).is_err() {
            return Ok(None);
        }
        let mut after = said.applied_to(user, &granted, asked);
        let kind = match (user.status, after.status) {
            // That is the end's to do, when it is known how many go.
            (UserStatus::Active, UserStatus::Disabled) => return Ok(None),
            (UserStatus::Disabled, UserStatus::Active) => SyncChangeKind::Enabled,
            _ => SyncChangeKind::Updated,
        };
        if !is_changed(user, &after) {
            return Ok(Some(Outcome::Unchanged(user.id)));
        }
        if !self.plan.dry_run {
            let written = services
                .write_keeping_login(&self.account, user, after.clone(), &self.author)
                .await?;
            let Written::Done(stored) = written else {
                tracing::warn!(user = %user.login, account = %self.account.name, ?written, "a user was left as it is");
                return Ok(None);
            };
            after = *stored;
        }
        Ok(Some(Outcome::Changed {
            kind,
            before: Box::new(user.clone()),
            after: Box::new(after),
        }))
    }

    /// The user before and after what the directory says, of somebody who is new and may become one.
    fn newcomer(&self, person: &Person, census: &Census, asked: Timestamp) -> Result<Option<(User, User)>> {
        let (Some(login), Provision::JustInTime, false) = (login_of(person), self.rules.provision, person.is_disabled)
        else {
            return Ok(None);
        };
        if census.is_ambiguous(&login) {
            tracing::warn!(%login, account = %self.account.name, "more than one entry has this login; nobody is made of them");
            return Ok(None);
        }
        let services = &self.services;
        let said = Said {
            directory: self.directory.name(),
            person,
            mappings: &self.mappings,
        };
        let id = UserId::generate(services.clock.as_ref(), services.entropy.as_ref())?;
        let blank = User {
            is_ldap: true,
            ..User::new(id, self.account.id, login, self.account.default_language, asked)
        };
        let user = said.applied_to(&blank, &self.mappings.of(person), asked);
        Ok(Some((blank, user)))
    }

    /// Makes users, as many as can be at once.
    async fn add(&self, newcomers: &[(User, User)]) -> Result<Vec<Option<Outcome>>> {
        let added = |(blank, user): &(User, User)| Outcome::Changed {
            kind: SyncChangeKind::Added,
            before: Box::new(blank.clone()),
            after: Box::new(user.clone()),
        };
        let users: Vec<User> = newcomers.iter().map(|(_, user)| user.clone()).collect();
        if self.plan.dry_run
            || self
                .services
                .create_many_from_directory(&self.account, &users, &self.author)
                .await?
        {
            return Ok(newcomers.iter().map(|newcomer| Some(added(newcomer))).collect());
        }
        // One of them stands in the way of all.
        let mut outcomes = Vec::with_capacity(newcomers.len());
        for newcomer in newcomers {
            let user = newcomer.1.clone();
            let login = user.login.clone();
            let written = self
                .services
                .create_from_directory(&self.account, user, &self.author)
                .await?;
            let is_done = matches!(written, Written::Done(_));
            if !is_done {
                tracing::warn!(%login, account = %self.account.name, "a user of that login was there first");
            }
            outcomes.push(is_done.then(|| added(newcomer)));
        }
        Ok(outcomes)
    }

    async fn disable(&self, leaving: &[Leaving], again: &Census, report: &mut SyncReport) -> Result<()> {
        // Who was not there at first and is there now stays.
        let gone: Vec<&Leaving> = leaving
            .iter()
            .filter(|leaving| !again.lets_in(&leaving.external_id))
            .collect();
        for some in gone.chunks(PAGE) {
            self.keep_lease().await?;
            let ids: Vec<UserId> = some.iter().map(|leaving| leaving.user).collect();
            for user in self.services.store.users_by_ids(&ids).await? {
                // Somebody may have disabled, relinked or made a local user of them in between.
                let is_theirs =
                    |leaving: &&&Leaving| leaving.user == user.id && leaving.is_still(&user, &self.directory);
                if !some.iter().any(|leaving| is_theirs(&leaving)) {
                    continue;
                }
                if !self.plan.dry_run {
                    let absent = absent(&user);
                    let written = self
                        .services
                        .write_from_directory(&self.account, &user, absent, &self.author)
                        .await?;
                    if !matches!(written, Written::Done(_)) {
                        continue; // changed in between: the next sync sees to it
                    }
                }
                report.disabled += 1;
                report.list(&user.login, SyncChangeKind::Disabled, Vec::new(), Vec::new());
            }
        }
        Ok(())
    }
}

/// What became of one person.
enum Outcome {
    Unchanged(UserId),
    Changed {
        kind: SyncChangeKind,
        before: Box<User>,
        after: Box<User>,
    },
}
