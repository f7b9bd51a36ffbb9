//! Users of a file.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::Import;
use super::tenancy::{reason, refusal};
use crate::domain::account::AccountName;
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::credentials::{Credentials, PasswordChange};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::user::{DisabledBy, User, UserStatus};
use crate::service::Result;
use crate::service::audit::{Action, diff, secret_changed, user_fields};
use crate::service::transfer::known::Known;
use crate::service::transfer::parse::{GrantName, UserLine};
use crate::store::transfer::{Record, StoredUser};

/// A user to be added.
struct New {
    line: u64,
    account: AccountName,
    stored: Box<StoredUser>,
}

/// A user to be changed.
struct Changed {
    line: u64,
    account: AccountName,
    before: StoredUser,
    after: User,
    password: Option<PasswordChange>,
}

/// The users of a batch that there are already.
struct Stored {
    by_id: HashMap<UserId, StoredUser>,
    by_login: HashMap<(AccountId, Login), UserId>,
}

impl Stored {
    fn new(found: Vec<StoredUser>) -> Self {
        let login = |stored: &StoredUser| ((stored.user.account, stored.user.login.clone()), stored.user.id);
        Self {
            by_login: found.iter().map(login).collect(),
            by_id: found.into_iter().map(|stored| (stored.user.id, stored)).collect(),
        }
    }

    /// The user that a line is about: by its id when that is given and known, else by its login.
    fn meant(&self, account: AccountId, line: &UserLine) -> std::result::Result<Option<&StoredUser>, String> {
        let by_login = self.by_login.get(&(account, line.login.clone()));
        let by_id = line.id.and_then(|id| self.by_id.get(&id));
        match (by_id, by_login) {
            (Some(stored), _) if stored.user.account != account => {
                Err("its id is that of a user of another account".to_owned())
            }
            (Some(stored), Some(other)) if stored.user.id != *other => Err(format!(
                "its login is taken: the user with its id is {} here, and {} is another one",
                stored.user.login, line.login
            )),
            (Some(stored), _) => Ok(Some(stored)),
            (None, Some(id)) => Ok(self.by_id.get(id)),
            (None, None) => Ok(None),
        }
    }
}

impl Import<'_> {
    pub(super) async fn users(&mut self, lines: Vec<(u64, Box<UserLine>)>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut taken = Vec::with_capacity(lines.len());
        let mut ids: HashMap<UserId, u64> = HashMap::new();
        for (number, line) in lines {
            let Some(name) = self.account_of(number, line.account.as_ref()).await? else {
                continue;
            };
            if !self.is_first(number, "user", name.as_str(), line.login.as_str()) {
                continue;
            }
            if let Some(id) = line.id {
                if let Some(first) = ids.get(&id) {
                    self.reject(number, same_id(*first));
                    continue;
                }
                ids.insert(id, number);
                // Otherwise the store knows those of earlier batches, and a million of them need no memory here.
                if self.options.dry_run && !self.is_first_id(number, "user", Some(id.as_uuid())) {
                    continue;
                }
            }
            taken.push((number, name, line));
        }
        let stored = self.find_stored(&taken).await?;
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (number, name, line) in taken {
            let Some(known) = self.accounts.get(&name) else {
                continue;
            };
            let meant = stored.meant(known.account.id, &line);
            // Whoever has this id has another login, which stood in an earlier line: that was about the same user.
            let same = match &meant {
                Ok(Some(before)) if before.user.login != line.login => {
                    self.named_before(number, "user", name.as_str(), before.user.login.as_str())
                }
                _ => None,
            };
            if let Some(first) = same {
                self.reject(number, same_id(first.into()));
                continue;
            }
            let outcome = match meant {
                Ok(None) => self.new_user(known, *line).map(|stored| {
                    new.push(New {
                        line: number,
                        account: name,
                        stored: Box::new(stored),
                    });
                }),
                Ok(Some(before)) => self.changed_user(known, before, *line).map(|(after, password)| {
                    changed.push(Changed {
                        line: number,
                        account: name,
                        before: before.clone(),
                        after,
                        password,
                    });
                }),
                Err(told) => Err(Refused::Line(told)),
            };
            match outcome {
                Ok(()) => {}
                Err(Refused::Line(told)) => self.reject(number, told),
                Err(Refused::Entropy(error)) => return Err(error.into()),
            }
        }
        self.add_users(new).await?;
        for one in changed {
            self.change_user(one).await?;
        }
        Ok(())
    }

    async fn find_stored(&self, lines: &[(u64, AccountName, Box<UserLine>)]) -> Result<Stored> {
        let (mut ids, mut logins) = (Vec::new(), Vec::new());
        for (_, name, line) in lines {
            ids.extend(line.id);
            if let Some(known) = self.accounts.get(name).filter(|known| !known.is_imagined) {
                logins.push((known.account.id, line.login.clone()));
            }
        }
        Ok(Stored::new(self.store().stored_users(&ids, &logins).await?))
    }

    fn new_user(&self, known: &Known, line: UserLine) -> Outcome<StoredUser> {
        let now = self.caller.now();
        let (clock, entropy) = (
            self.caller.services.clock.as_ref(),
            self.caller.services.entropy.as_ref(),
        );
        let id = match line.id {
            Some(id) => id,
            None => UserId::generate(clock, entropy).map_err(Refused::Entropy)?,
        };
        let language = known.account.default_language;
        let mut user = User::new(id, known.account.id, line.login.clone(), language, now);
        user.created_at = line.created_at.unwrap_or(now);
        user.grants = grants(known, &line, None, now)?;
        let hash = line.password_hash.clone();
        user.has_password = hash.is_some();
        user.password_changed_at = hash
            .as_ref()
            .map(|_| line.password_changed_at.unwrap_or(user.created_at));
        let history = line.password_history.clone();
        apply(&mut user, line);
        Ok(StoredUser {
            user,
            credentials: Credentials { hash, history },
        })
    }

    /// The user as the line has it, and the password that it has from then on if that is another one.
    fn changed_user(
        &self,
        known: &Known,
        before: &StoredUser,
        line: UserLine,
    ) -> Outcome<(User, Option<PasswordChange>)> {
        let now = self.caller.now();
        let mut after = before.user.clone();
        after.grants = grants(known, &line, Some(&before.user), now)?;
        let (hash, changed_at) = (line.password_hash.clone(), line.password_changed_at);
        // A password that was changed here since then is the newer one.
        let stored_at = before.user.password_changed_at;
        let is_newer = changed_at.is_some_and(|at| stored_at.is_none_or(|stored| at > stored));
        let counts = is_newer || before.credentials.hash.is_none();
        let hash = hash.filter(|hash| counts && before.credentials.hash.as_ref() != Some(hash));
        let must_change = line.must_change_password;
        after.login = line.login.clone();
        apply(&mut after, line);
        if before.user.is_ldap && !after.is_ldap {
            // What the directory said of them, and gave them, goes with it.
            (after.directory_link, after.password_expires_at) = (None, None);
            after.keep_grants(|grant| grant.source != GrantSource::Directory, known.main, now);
        }
        let password = hash.filter(|_| !after.is_ldap).map(|hash| PasswordChange {
            hash,
            changed_at: changed_at.unwrap_or(now),
            must_change: must_change.unwrap_or(before.user.must_change_password),
            keep_history: known.account.password_policy.history,
        });
        Ok((after, password))
    }

    async fn add_users(&mut self, new: Vec<New>) -> Result<()> {
        if self.options.dry_run {
            self.report.created.users += new.len() as u64;
            return Ok(());
        }
        if new.is_empty() {
            return Ok(());
        }
        let entries = self.entries(&new)?;
        let (lines, records): (Vec<_>, Vec<_>) = new
            .into_iter()
            .map(|one| ((one.line, one.account), Record::User(one.stored)))
            .unzip();
        match self.create(&records, &entries).await {
            Ok(()) => {
                self.report.created.users += records.len() as u64;
                return Ok(());
            }
            Err(error) => {
                let told = refusal(error)?;
                if let [(line, _)] = lines.as_slice() {
                    self.reject(*line, told);
                    return Ok(());
                }
            }
        }
        // Somebody was faster with one of them, or two lines share an entry of a directory.
        for ((line, account), record) in lines.into_iter().zip(records) {
            if let Record::User(stored) = record {
                let one = New { line, account, stored };
                Box::pin(self.add_users(vec![one])).await?;
            }
        }
        Ok(())
    }

    fn entries(&self, new: &[New]) -> Result<Vec<AuditEntry>> {
        let mut by_account: BTreeMap<AccountId, (&AccountName, u64)> = BTreeMap::new();
        for one in new {
            by_account.entry(one.stored.user.account).or_insert((&one.account, 0)).1 += 1;
        }
        by_account
            .into_iter()
            .map(|(id, (name, count))| {
                let action = match new {
                    [one] => on_user("importUser", &one.stored.user, name, created(&one.stored)),
                    _ => self.came_in("importUsers", "users", id, name, count),
                };
                self.caller.audit(action)
            })
            .collect()
    }

    async fn change_user(&mut self, change: Changed) -> Result<()> {
        let before = &change.before.user;
        let differs = change.after != *before;
        if !differs && change.password.is_none() {
            self.report.unchanged.users += 1;
            return Ok(());
        }
        if !self.options.dry_run {
            let outcome = self.write_change(&change, differs).await;
            if let Err(error) = outcome {
                self.reject(change.line, reason(error)?);
                return Ok(());
            }
        }
        self.report.updated.users += 1;
        Ok(())
    }

    async fn write_change(&self, change: &Changed, differs: bool) -> Result<()> {
        let (caller, before) = (self.caller, &change.before.user);
        let mut revision = before.revision;
        if differs {
            let after = User {
                updated_at: caller.now(),
                revision: revision + 1,
                ..change.after.clone()
            };
            let changes = caller.named(diff(&user_fields(before), &user_fields(&after))).await?;
            let audit = caller.audit(on_user("importUser", &after, &change.account, changes))?;
            caller.store().update_user(&after, revision, &audit, &[]).await?;
            revision += 1;
        }
        if let Some(password) = &change.password {
            let changes = vec![secret_changed("password")];
            let audit = caller.audit(on_user("importUser", &change.after, &change.account, changes))?;
            caller
                .store()
                .set_password(before.id, revision, password, None, &audit, &[])
                .await?;
        }
        Ok(())
    }
}

/// Why a line is not taken that gives the id of an earlier line's user, as [`Import::is_first_id`] says it.
fn same_id(first: u64) -> String {
    format!("names the same user's id as line {first}")
}

/// Why a line's user is not taken.
enum Refused {
    Line(String),
    Entropy(crate::domain::clock::EntropyError),
}

type Outcome<T> = std::result::Result<T, Refused>;

/// Takes over what the line says, but for login, grants and password.
fn apply(user: &mut User, line: UserLine) {
    user.first_name = line.first_name.unwrap_or_else(|| user.first_name.clone());
    user.last_name = line.last_name.unwrap_or_else(|| user.last_name.clone());
    user.email = line.email.unwrap_or_else(|| user.email.clone());
    user.phone = line.phone.unwrap_or_else(|| user.phone.clone());
    user.language = line.language.unwrap_or(user.language);
    user.status = line.status.unwrap_or(user.status);
    user.disabled_by = match (user.status, line.disabled_by.flatten()) {
        (UserStatus::Active, _) => None,
        (UserStatus::Disabled, Some(by)) => Some(by),
        (UserStatus::Disabled, None) => user.disabled_by.or(Some(DisabledBy::Manual)),
    };
    let settings = &mut user.notifications;
    settings.email = line.alert_email.unwrap_or_else(|| settings.email.clone());
    let given = &line.notifications;
    for (setting, change) in [
        (&mut settings.limits_exhausted, given.limits_exhausted),
        (&mut settings.subscriber_complaints, given.subscriber_complaints),
        (&mut settings.hard_bounces, given.hard_bounces),
        (&mut settings.soft_bounces, given.soft_bounces),
        (&mut settings.daily_reports, given.daily_reports),
        (&mut settings.weekly_reports, given.weekly_reports),
        (&mut settings.security_notices, given.security_notices),
    ] {
        *setting = change.unwrap_or(*setting);
    }
    user.is_ldap = line.ldap.unwrap_or(user.is_ldap);
    if let Some(link) = line.directory_link {
        // The picture that was taken over is not in the file, and a look that was noted since then is not forgotten.
        let kept = user.directory_link.take();
        user.directory_link = link.map(|link| {
            let picture = kept.as_ref().filter(|kept| kept.is_same_entry(&link));
            let picture = picture.and_then(|kept| kept.picture.clone());
            let mut link = link.replacing(kept.as_ref());
            link.picture = picture;
            link
        });
    }
    user.password_expires_at = line.password_expires_at.unwrap_or(user.password_expires_at);
    user.must_change_password = line.must_change_password.unwrap_or(user.must_change_password);
    if user.is_ldap {
        user.has_password = false;
        user.password_changed_at = None;
    }
    // Nothing is to be changed about a password that there is not.
    user.must_change_password &= user.has_password;
}

/// The grants that the line asks for, those that are there already as they are.
fn grants(known: &Known, line: &UserLine, before: Option<&User>, now: Timestamp) -> Outcome<Vec<Grant>> {
    let mut grants = before.map_or_else(Vec::new, |user| user.grants.clone());
    let mut missing: Vec<String> = Vec::new();
    if let Some(names) = &line.roles {
        let targets = resolve(names, |name| known.role(name).map(GrantTarget::Role), &mut missing);
        by_hand(
            &mut grants,
            &targets,
            |target| matches!(target, GrantTarget::Role(_)),
            now,
        );
    }
    if let Some(names) = &line.groups {
        let targets = resolve(names, |name| known.group(name).map(GrantTarget::Group), &mut missing);
        by_hand(&mut grants, &targets, is_group, now);
    }
    if let Some(master) = line.master {
        let targets: &[GrantTarget] = if master { &[GrantTarget::Master] } else { &[] };
        by_hand(&mut grants, targets, |target| target == GrantTarget::Master, now);
    }
    if let Some(given) = &line.directory_grants {
        let mut wanted: Vec<(GrantTarget, Option<String>)> = Vec::new();
        for grant in given {
            let target = match &grant.target {
                GrantName::Role(name) => known.role(name).map(GrantTarget::Role),
                GrantName::Group(name) => known.group(name).map(GrantTarget::Group),
                GrantName::Master => Ok(GrantTarget::Master),
            };
            match target {
                Ok(target) => wanted.push((target, grant.directory_group.clone())),
                Err(told) => missing.push(told),
            }
        }
        from_directory(&mut grants, &wanted, now);
    }
    if !missing.is_empty() {
        missing.dedup();
        return Err(Refused::Line(missing.join("; ")));
    }
    // Nobody is in no group at all: whoever has no other is in Main.
    if !grants.iter().any(|grant| is_group(grant.target)) {
        let main = known.main.map(GrantTarget::Group);
        grants.extend(main.map(|target| new_grant(target, GrantSource::Default, None, now)));
    } else if let Some(main) = known.main.map(GrantTarget::Group) {
        let is_default = |grant: &Grant| grant.target == main && grant.source == GrantSource::Default;
        if line.groups.is_some() && grants.iter().any(|grant| is_group(grant.target) && !is_default(grant)) {
            grants.retain(|grant| !is_default(grant));
        }
    }
    Ok(grants)
}

fn is_group(target: GrantTarget) -> bool {
    matches!(target, GrantTarget::Group(_))
}

fn resolve(
    names: &[String],
    find: impl Fn(&str) -> std::result::Result<GrantTarget, String>,
    missing: &mut Vec<String>,
) -> Vec<GrantTarget> {
    let mut targets: Vec<GrantTarget> = Vec::with_capacity(names.len());
    for name in names {
        match find(name) {
            Ok(target) if targets.contains(&target) => {}
            Ok(target) => targets.push(target),
            Err(told) => missing.push(told),
        }
    }
    targets
}

fn new_grant(target: GrantTarget, source: GrantSource, directory_group_dn: Option<String>, at: Timestamp) -> Grant {
    Grant {
        target,
        source,
        directory_group_dn,
        granted_by: None,
        granted_at: at,
    }
}

/// Makes the grants of one kind that were given by hand these; those of the directory, and everybody's Main group, stay.
fn by_hand(grants: &mut Vec<Grant>, targets: &[GrantTarget], kind: impl Fn(GrantTarget) -> bool, now: Timestamp) {
    // The first operator is a master by Doorward's own hand.
    let is_by_hand = |g: &Grant| match g.source {
        GrantSource::Manual => true,
        GrantSource::Default => g.target == GrantTarget::Master,
        GrantSource::Directory => false,
    };
    grants.retain(|g| !kind(g.target) || !is_by_hand(g) || targets.contains(&g.target));
    for target in targets {
        if !grants.iter().any(|g| g.target == *target && is_by_hand(g)) {
            grants.push(new_grant(*target, GrantSource::Manual, None, now));
        }
    }
}

fn from_directory(grants: &mut Vec<Grant>, wanted: &[(GrantTarget, Option<String>)], now: Timestamp) {
    let is = |grant: &Grant, (target, group): &(GrantTarget, Option<String>)| {
        grant.source == GrantSource::Directory && grant.target == *target && grant.directory_group_dn == *group
    };
    grants.retain(|grant| grant.source != GrantSource::Directory || wanted.iter().any(|wanted| is(grant, wanted)));
    for one in wanted {
        if !grants.iter().any(|grant| is(grant, one)) {
            grants.push(new_grant(one.0, GrantSource::Directory, one.1.clone(), now));
        }
    }
}

fn created(stored: &StoredUser) -> Vec<FieldChange> {
    let mut changes = crate::service::audit::made(&user_fields(&stored.user));
    changes.extend(stored.credentials.hash.as_ref().map(|_| secret_changed("password")));
    changes
}

fn on_user(name: &'static str, user: &User, account: &AccountName, changes: Vec<FieldChange>) -> Action<'static> {
    Action {
        name,
        account: user.account,
        target_type: TargetType::User,
        target_id: user.id.as_uuid(),
        target_name: format!("{}@{account}", user.login),
        changes,
    }
}
