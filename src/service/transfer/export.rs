//! Writing the store into a file.

use std::collections::HashMap;

use serde::Serialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::format::{
    AccountJson, COLUMNS, DirectoryGrantJson, FileFormat, GroupJson, ImpersonatorJson, LinkJson, LocationJson,
    LoginJson, NotificationsJson, PolicyJson, RoleJson, UserJson, Written, join_names,
};
use super::import::Counts;
use crate::domain::account::AccountName;
use crate::domain::credentials::PasswordHash;
use crate::domain::grant::{GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, GroupId, RoleId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::service::{Caller, ErrorCode, Problem, Result, ServiceError};
use crate::store::StoreError;
use crate::store::transfer::{Kind, Record, StoredUser};

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// How it is written.
    pub format: FileFormat,
    /// One account only.
    pub account: Option<AccountName>,
    /// Sign-ins too.
    pub history: bool,
    /// Password hashes too.
    pub passwords: bool,
}

impl Caller {
    /// Exports accounts, roles, groups, users and sign-ins, in the order in which an import wants them; `out` takes the
    /// file's bytes. It never holds a secret of a session or a token, and password hashes only when they are asked for.
    /// `progress` is told of the kind and of how much of it was looked at, of about how much.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied) to all but operators; a problem with `account`; those of the store;
    /// [`ServiceError::Stopped`] when nobody takes the bytes any more.
    pub async fn export(
        &self,
        options: &ExportOptions,
        out: mpsc::Sender<Vec<u8>>,
        progress: &(dyn Fn(Kind, u64, u64) + Send + Sync),
    ) -> Result<Counts> {
        self.principal().operator()?;
        let account = match &options.account {
            None => None,
            Some(name) => {
                let found = self.store().account_by_name(name).await?;
                let missing = || {
                    Problem::at(
                        &["account"],
                        ErrorCode::NotFound,
                        format!("There is no account {name}."),
                    )
                };
                Some(found.ok_or_else(missing)?.id)
            }
        };
        let mut export = Export {
            caller: self,
            options,
            only: account,
            out,
            accounts: HashMap::new(),
            counts: Counts::default(),
        };
        if options.format == FileFormat::Csv {
            let names: Vec<&str> = columns(options).collect();
            export.send(csv_line(&names)?).await?;
        }
        for kind in [
            Kind::Accounts,
            Kind::Roles,
            Kind::Groups,
            Kind::Users,
            Kind::LoginEvents,
        ] {
            if kind != Kind::LoginEvents || options.history {
                export.kind(kind, progress).await?;
            }
        }
        Ok(export.counts)
    }
}

/// The columns of a CSV file.
fn columns(options: &ExportOptions) -> impl Iterator<Item = &'static str> {
    let passwords = options.passwords;
    COLUMNS
        .iter()
        .map(|column| column.name)
        .filter(move |name| passwords || *name != "passwordHash")
}

struct Export<'a> {
    caller: &'a Caller,
    options: &'a ExportOptions,
    only: Option<AccountId>,
    out: mpsc::Sender<Vec<u8>>,
    accounts: HashMap<AccountId, String>,
    counts: Counts,
}

/// The account that a record belongs to.
fn account_of(record: &Record) -> Option<AccountId> {
    match record {
        Record::Account(account) => Some(account.id),
        Record::Role(role) => Some(role.account),
        Record::Group(group) => Some(group.account),
        Record::User(stored) => Some(stored.user.account),
        Record::LoginEvent(event) => Some(event.account),
        Record::Avatar(_)
        | Record::Session(_)
        | Record::ApiToken(_)
        | Record::AuditEntry(_)
        | Record::Mail(_)
        | Record::Link(_)
        | Record::Reports(_) => None,
    }
}

impl Export<'_> {
    async fn kind(&mut self, kind: Kind, progress: &(dyn Fn(Kind, u64, u64) + Send + Sync)) -> Result<()> {
        let total = self.caller.store().estimate(kind).await?;
        let (mut after, mut done) = (None, 0_u64);
        loop {
            let mut records = self.caller.store().scan(kind, after, kind.batch()).await?;
            let Some(last) = records.last().map(Record::id) else {
                return Ok(());
            };
            after = Some(last);
            done += records.len() as u64;
            records.retain(|record| self.only.is_none() || account_of(record) == self.only);
            let written = self.write(&records).await?;
            self.send(written).await?;
            progress(kind, done, total.max(done));
        }
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let stopped = |_| ServiceError::Stopped("nobody takes what is exported".to_owned());
        self.out.send(bytes).await.map_err(stopped)
    }

    async fn write(&mut self, records: &[Record]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let is_csv = self.options.format == FileFormat::Csv;
        match records.first() {
            None => {}
            Some(Record::Account(_)) => {
                for record in records {
                    let Record::Account(account) = record else { continue };
                    self.accounts.insert(account.id, account.name.to_string());
                    if is_csv {
                        continue;
                    }
                    let main = self.caller.store().main_group(account.id).await?;
                    let policy = account.password_policy;
                    push(
                        &mut bytes,
                        &Written::Account(AccountJson {
                            name: account.name.as_str(),
                            id: account.id.to_string(),
                            title: &account.title,
                            status: account.status,
                            time_zone: &account.time_zone,
                            default_language: account.default_language,
                            directory: account.directory.as_deref(),
                            directory_only: account.directory_only,
                            password_policy: PolicyJson {
                                min_length: policy.min_length,
                                min_strength: policy.min_strength,
                                max_age_days: policy.max_age_days,
                                history: policy.history,
                                lockout_threshold: policy.lockout_threshold,
                                lockout_minutes: policy.lockout_minutes,
                            },
                            main_group_id: main.map(|group| group.id.to_string()),
                            created_at: account.created_at.to_string(),
                        }),
                    )?;
                    self.counts.accounts += 1;
                }
            }
            Some(Record::Role(_) | Record::Group(_)) if is_csv => {}
            Some(Record::Role(_) | Record::Group(_)) => {
                for record in records {
                    self.named(record, &mut bytes)?;
                }
            }
            Some(Record::User(_)) => self.users(records, &mut bytes).await?,
            Some(Record::LoginEvent(_)) => self.logins(records, &mut bytes).await?,
            // Nothing else is asked for.
            Some(
                Record::Avatar(_)
                | Record::Session(_)
                | Record::ApiToken(_)
                | Record::AuditEntry(_)
                | Record::Mail(_)
                | Record::Link(_)
                | Record::Reports(_),
            ) => {}
        }
        Ok(bytes)
    }

    /// The name of an account; none of one that was deleted meanwhile.
    fn account(&self, id: AccountId) -> Option<&str> {
        self.accounts.get(&id).map(String::as_str)
    }

    fn named(&mut self, record: &Record, bytes: &mut Vec<u8>) -> Result<()> {
        match record {
            Record::Role(role) => {
                let Some(account) = self.account(role.account) else {
                    return Ok(());
                };
                let written = RoleJson {
                    account,
                    name: &role.name,
                    id: role.id.to_string(),
                    description: &role.description,
                    permissions: &role.permissions,
                    created_at: role.created_at.to_string(),
                };
                push(bytes, &Written::Role(written))?;
                self.counts.roles += 1;
            }
            Record::Group(group) => {
                let Some(account) = self.account(group.account) else {
                    return Ok(());
                };
                let written = GroupJson {
                    account,
                    name: &group.name,
                    id: group.id.to_string(),
                    description: &group.description,
                    main: group.is_main,
                    created_at: group.created_at.to_string(),
                };
                push(bytes, &Written::Group(written))?;
                self.counts.groups += 1;
            }
            _ => {}
        }
        Ok(())
    }

    async fn users(&mut self, records: &[Record], bytes: &mut Vec<u8>) -> Result<()> {
        let names = self.granted(records).await?;
        let mut rows = csv::WriterBuilder::new().from_writer(Vec::new());
        for record in records {
            let Record::User(stored) = record else { continue };
            let Some(account) = self.account(stored.user.account) else {
                continue;
            };
            let written = user(account, stored, &names, self.options.passwords);
            match self.options.format {
                FileFormat::Ndjson => push(bytes, &Written::User(Box::new(written)))?,
                FileFormat::Csv => rows.write_record(cells(&written, self.options)).map_err(unwritable)?,
            }
            self.counts.users += 1;
        }
        bytes.extend(rows.into_inner().map_err(unwritable)?);
        Ok(())
    }

    /// The names of the roles and groups that these users hold.
    async fn granted(&self, records: &[Record]) -> Result<HashMap<Uuid, String>> {
        let (mut roles, mut groups): (Vec<RoleId>, Vec<GroupId>) = (Vec::new(), Vec::new());
        for record in records {
            let Record::User(stored) = record else { continue };
            for grant in &stored.user.grants {
                match grant.target {
                    GrantTarget::Role(id) => roles.push(id),
                    GrantTarget::Group(id) => groups.push(id),
                    GrantTarget::Master => {}
                }
            }
        }
        roles.sort_unstable();
        roles.dedup();
        groups.sort_unstable();
        groups.dedup();
        let roles = self.caller.store().roles_by_ids(&roles).await?;
        let groups = self.caller.store().groups_by_ids(&groups).await?;
        let roles = roles.into_iter().map(|role| (role.id.as_uuid(), role.name));
        Ok(roles
            .chain(groups.into_iter().map(|group| (group.id.as_uuid(), group.name)))
            .collect())
    }

    async fn logins(&mut self, records: &[Record], bytes: &mut Vec<u8>) -> Result<()> {
        let mut ids: Vec<UserId> = records
            .iter()
            .filter_map(|record| match record {
                Record::LoginEvent(event) => event.user,
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let users = self.caller.store().users_by_ids(&ids).await?;
        let logins: HashMap<UserId, String> = users.into_iter().map(|u| (u.id, u.login.to_string())).collect();
        for record in records {
            let Record::LoginEvent(event) = record else { continue };
            let Some(account) = self.account(event.account) else {
                continue;
            };
            push(bytes, &Written::Login(Box::new(login(account, event, &logins))))?;
            self.counts.logins += 1;
        }
        Ok(())
    }
}

fn unwritable(error: impl std::fmt::Display) -> ServiceError {
    StoreError::Corrupt(format!("a value cannot be written: {error}")).into()
}

/// One more line.
fn push(bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *bytes, value).map_err(unwritable)?;
    bytes.push(b'\n');
    Ok(())
}

fn csv_line(cells: &[&str]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(cells).map_err(unwritable)?;
    writer.into_inner().map_err(unwritable)
}

fn user<'a>(account: &'a str, stored: &'a StoredUser, names: &HashMap<Uuid, String>, passwords: bool) -> UserJson<'a> {
    let user = &stored.user;
    let name = |id: Uuid| names.get(&id).cloned();
    let by_hand = |id: fn(GrantTarget) -> Option<Uuid>| {
        let manual = user.grants.iter().filter(|grant| grant.source == GrantSource::Manual);
        let mut names: Vec<String> = manual.filter_map(|grant| name(id(grant.target)?)).collect();
        names.sort_unstable();
        names
    };
    let directory = user
        .grants
        .iter()
        .filter(|grant| grant.source == GrantSource::Directory);
    let mut directory_grants: Vec<DirectoryGrantJson<'a>> = directory
        .map(|grant| DirectoryGrantJson {
            role: role_id(grant.target).and_then(name),
            group: group_id(grant.target).and_then(name),
            master: grant.target == GrantTarget::Master,
            directory_group: grant.directory_group_dn.as_deref(),
        })
        .filter(|grant| grant.master || grant.role.is_some() || grant.group.is_some())
        .collect();
    directory_grants
        .sort_by(|a, b| (&a.role, &a.group, a.directory_group).cmp(&(&b.role, &b.group, b.directory_group)));
    let settings = &user.notifications;
    UserJson {
        account,
        login: user.login.as_str(),
        id: user.id.to_string(),
        first_name: &user.first_name,
        last_name: &user.last_name,
        email: user.email.as_ref().map(|email| email.as_str()),
        phone: user.phone.as_deref(),
        language: user.language,
        status: user.status,
        disabled_by: user.disabled_by,
        ldap: user.is_ldap,
        directory_link: user.directory_link.as_ref().map(|link| LinkJson {
            directory: &link.directory,
            dn: &link.dn,
            external_id: &link.external_id,
            last_checked_at: link.last_checked_at.to_string(),
        }),
        master: user
            .grants
            .iter()
            .any(|grant| grant.target == GrantTarget::Master && grant.source != GrantSource::Directory),
        roles: by_hand(role_id),
        groups: by_hand(group_id),
        directory_grants,
        notifications: NotificationsJson {
            email: settings.email.as_ref().map(|email| email.as_str()),
            limits_exhausted: settings.limits_exhausted,
            subscriber_complaints: settings.subscriber_complaints,
            hard_bounces: settings.hard_bounces,
            soft_bounces: settings.soft_bounces,
            daily_reports: settings.daily_reports,
            weekly_reports: settings.weekly_reports,
            security_notices: settings.security_notices,
        },
        must_change_password: user.must_change_password,
        password_expires_at: user.password_expires_at.map(|at| at.to_string()),
        password_changed_at: user.password_changed_at.filter(|_| passwords).map(|at| at.to_string()),
        password_hash: stored
            .credentials
            .hash
            .as_ref()
            .filter(|_| passwords)
            .map(PasswordHash::expose),
        password_history: stored
            .credentials
            .history
            .iter()
            .filter(|_| passwords)
            .map(PasswordHash::expose)
            .collect(),
        created_at: user.created_at.to_string(),
    }
}

fn role_id(target: GrantTarget) -> Option<Uuid> {
    match target {
        GrantTarget::Role(id) => Some(id.as_uuid()),
        GrantTarget::Group(_) | GrantTarget::Master => None,
    }
}

fn group_id(target: GrantTarget) -> Option<Uuid> {
    match target {
        GrantTarget::Group(id) => Some(id.as_uuid()),
        GrantTarget::Role(_) | GrantTarget::Master => None,
    }
}

/// The cells of a user, in the order of the columns.
fn cells(user: &UserJson<'_>, options: &ExportOptions) -> Vec<String> {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    columns(options)
        .map(|column| match column {
            "account" => user.account.to_owned(),
            "login" => user.login.to_owned(),
            "id" => user.id.clone(),
            "firstName" => user.first_name.to_owned(),
            "lastName" => user.last_name.to_owned(),
            "email" => user.email.unwrap_or_default().to_owned(),
            "phone" => user.phone.unwrap_or_default().to_owned(),
            "language" => word(serde_json::to_value(user.language)),
            "status" => word(serde_json::to_value(user.status)),
            "ldap" => user.ldap.to_string(),
            "master" => user.master.to_string(),
            "roles" => join_names(&user.roles),
            "groups" => join_names(&user.groups),
            "mustChangePassword" => user.must_change_password.to_string(),
            "passwordHash" => user.password_hash.unwrap_or_default().to_owned(),
            "passwordChangedAt" => user.password_changed_at.clone().unwrap_or_default(),
            "disabledBy" => word(serde_json::to_value(user.disabled_by)),
            "createdAt" => user.created_at.clone(),
            _ => String::new(),
        })
        .collect()
}

fn login<'a>(account: &'a str, event: &'a LoginEvent, logins: &'a HashMap<UserId, String>) -> LoginJson<'a> {
    let user = event.user.and_then(|id| logins.get(&id)).map(String::as_str);
    let origin = &event.origin;
    LoginJson {
        account,
        id: event.id.to_string(),
        at: event.at.to_string(),
        user,
        user_id: event.user.filter(|_| user.is_none()).map(|id| id.to_string()),
        attempted_login: &event.attempted_login,
        outcome: event.outcome,
        method: event.method,
        ip: origin.ip.to_string(),
        location: origin.location.as_ref().map(|location| LocationJson {
            country: location.country.as_deref(),
            country_code: location.country_code.as_deref(),
            city: location.city.as_deref(),
            latitude: location.latitude,
            longitude: location.longitude,
        }),
        browser: origin.browser.as_deref(),
        operating_system: origin.operating_system.as_deref(),
        device: origin.device.as_deref(),
        user_agent: origin.user_agent.as_deref(),
        detail: event.detail.as_deref(),
        attempts: event.attempts,
        impersonator: event.impersonator.as_ref().map(|by| ImpersonatorJson {
            user_id: by.user.to_string(),
            name: &by.name,
        }),
    }
}
