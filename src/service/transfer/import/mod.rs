//! Reading a file into the store.
//!
//! A thread reads and parses; what it hands on is written in batches of one kind. What is missing is created, what differs is
//! updated, everything else stays as it is, so that a file can be imported again, and an import that was interrupted is gone
//! on with by the same command.
//!
//! **Audit.** Whatever is created is in the log with it or not at all: one entry for each account, role and group, and one for
//! the users of a batch in their account (`importUsers`, how many). A change has an entry of its own (`importUser` and so
//! on). Sign-ins, which are a log themselves, have one for each account at the end (`importLogins`).

mod logins;
mod seen;
mod tenancy;
mod users;

use std::collections::{HashMap, HashSet};
use std::io::Read;

use serde::Serialize;
use tokio::sync::mpsc;

use super::format::FileFormat;
use super::known::Accounts;
use super::lines::{Chunk, Line, read_csv, read_ndjson};
use super::parse::{Entry, LoginLine, UserLine};
use crate::domain::account::AccountName;
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::ids::{AccountId, AuditEntryId, UserId};
use crate::service::audit::Action;
use crate::service::patience::patiently;
use crate::service::{Caller, Problem, Result, ServiceError};
use crate::store::transfer::Record;
use crate::store::{Load, Store, StoreError};
use seen::Seen;

/// Users or sign-ins that are written at once: the more, the fewer pages of indexes are written twice.
const BATCH: usize = 2_000;
/// Chunks of lines that wait to be written.
const AHEAD: usize = 4;

/// How a file is imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// How it is written.
    pub format: FileFormat,
    /// The account of lines that name none; lines of other accounts are rejected.
    pub account: Option<AccountName>,
    /// Say what would be done, and do nothing. What only the store finds out while it writes (the last master) is not said.
    pub dry_run: bool,
    /// Import sign-ins too; otherwise they are skipped.
    pub history: bool,
}

/// How many of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Roles.
    pub roles: u64,
    /// Groups.
    pub groups: u64,
    /// Users.
    pub users: u64,
    /// Sign-ins.
    pub logins: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.accounts + self.roles + self.groups + self.users + self.logins
    }
}

/// What an import came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Lines that said something.
    pub lines: u64,
    /// What was not there before.
    pub created: Counts,
    /// What was changed.
    pub updated: Counts,
    /// What was as the file says already.
    pub unchanged: Counts,
    /// Sign-ins that were not asked for.
    pub skipped: u64,
    /// Lines that were not taken.
    pub rejected: u64,
}

/// What happens while a file is imported.
#[derive(Debug)]
pub enum ImportEvent<'a> {
    /// A line was not taken; lines are told of in their order.
    Rejected {
        /// Its number, from 1 on.
        line: u64,
        /// Why.
        reason: &'a str,
    },
    /// So much is done.
    Progress {
        /// Bytes of the file.
        bytes: u64,
        /// What has come of it.
        report: &'a ImportReport,
    },
}

impl Caller {
    /// Imports a file.
    ///
    /// # Errors
    /// [`Denied`](crate::access::Denied) to all but operators; a problem with `file` when it cannot be read or is no such
    /// file; those of the store, after which the same import can be gone on with.
    pub async fn import(
        &self,
        input: Box<dyn Read + Send>,
        options: ImportOptions,
        events: &(dyn Fn(ImportEvent<'_>) + Send + Sync),
    ) -> Result<ImportReport> {
        self.principal().may_change()?;
        self.principal().operator()?;
        let (send, mut chunks) = mpsc::channel::<Chunk>(AHEAD);
        let format = options.format;
        let reading = tokio::task::spawn_blocking(move || {
            let send = |chunk| send.blocking_send(chunk).is_ok();
            match format {
                FileFormat::Ndjson => read_ndjson(input, send),
                FileFormat::Csv => read_csv(input, send),
            }
        });
        let load = if options.history { Load::History } else { Load::People };
        let loads = !options.dry_run;
        if loads {
            self.store().begin_load(load).await?;
        }
        let mut import = Import::new(self, options, events);
        let imported = async {
            while let Some(chunk) = chunks.recv().await {
                for line in chunk.lines {
                    import.take(line).await?;
                }
                import.bytes = chunk.bytes;
                import.tell();
            }
            import.flush().await
        }
        .await;
        drop(chunks); // whoever still reads need not go on
        let ended = if loads {
            self.store().end_load(load).await
        } else {
            Ok(())
        };
        imported?;
        match reading.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let problem = Problem::new(
                    crate::service::ErrorCode::Conflict,
                    format!("the file cannot be read: {error}"),
                );
                return Err(problem.into());
            }
            Err(error) => return Err(ServiceError::Stopped(error.to_string())),
        }
        import.settle().await?;
        ended?;
        Ok(import.report)
    }
}

/// Lines of one kind that wait to be written together.
#[derive(Debug)]
enum Batch {
    Users(Vec<(u64, Box<UserLine>)>),
    Logins(Vec<(u64, Box<LoginLine>)>),
}

impl Batch {
    fn len(&self) -> usize {
        match self {
            Self::Users(lines) => lines.len(),
            Self::Logins(lines) => lines.len(),
        }
    }
}

/// A new role or group that waits to be written.
struct Pending {
    line: u64,
    account: AccountName,
    record: Record,
    entry: AuditEntry,
}

/// An import that is under way.
struct Import<'a> {
    caller: &'a Caller,
    options: ImportOptions,
    events: &'a (dyn Fn(ImportEvent<'_>) + Send + Sync),
    accounts: Accounts,
    batch: Batch,
    /// New roles and groups.
    pending: Vec<Pending>,
    /// Why lines of this batch and between were not taken.
    rejected: Vec<(u64, String)>,
    seen: Seen,
    /// Users whose sign-ins came along.
    signed_in: HashSet<UserId>,
    /// Sign-ins that were added, by account.
    added: HashMap<AccountId, (AccountName, u64)>,
    bytes: u64,
    report: ImportReport,
}

impl<'a> Import<'a> {
    fn new(caller: &'a Caller, options: ImportOptions, events: &'a (dyn Fn(ImportEvent<'_>) + Send + Sync)) -> Self {
        Self {
            caller,
            accounts: Accounts::new(options.dry_run),
            options,
            events,
            batch: Batch::Users(Vec::new()),
            pending: Vec::new(),
            rejected: Vec::new(),
            seen: Seen::new(),
            signed_in: HashSet::new(),
            added: HashMap::new(),
            bytes: 0,
            report: ImportReport::default(),
        }
    }

    fn store(&self) -> &'a dyn Store {
        self.caller.store()
    }

    /// Adds records. What a process that was killed in the middle had begun holds them up in MongoDB for up to a minute.
    async fn create(&self, records: &[Record], entries: &[AuditEntry]) -> Result<(), StoreError> {
        let ids: Vec<AuditEntryId> = entries.iter().map(|entry| entry.id).collect();
        patiently(async |again| {
            // They may be there already, as only the answer was lost; sign-ins have no entry, and stay as they are.
            if again && !self.store().audit_entries_by_ids(&ids).await?.is_empty() {
                return Ok(());
            }
            self.store().create(records, entries).await
        })
        .await
    }

    fn tell(&self) {
        (self.events)(ImportEvent::Progress {
            bytes: self.bytes,
            report: &self.report,
        });
    }

    fn reject(&mut self, line: u64, reason: impl Into<String>) {
        self.rejected.push((line, reason.into()));
    }

    /// Takes the next line.
    async fn take(&mut self, line: Line) -> Result<()> {
        self.report.lines += 1;
        let number = line.number;
        match line.content {
            Err(reason) => {
                self.reject(number, reason);
                // Whoever gives nothing but wrong lines is told of them all the same.
                if self.rejected.len() >= BATCH {
                    self.flush().await?;
                }
            }
            Ok(Entry::User(user)) => {
                if !matches!(self.batch, Batch::Users(_)) {
                    self.flush().await?;
                    self.batch = Batch::Users(Vec::new());
                }
                if let Batch::Users(lines) = &mut self.batch {
                    lines.push((number, user));
                }
            }
            Ok(Entry::Login(_)) if !self.options.history => self.report.skipped += 1,
            Ok(Entry::Login(login)) => {
                if !matches!(self.batch, Batch::Logins(_)) {
                    self.flush().await?;
                    self.batch = Batch::Logins(Vec::new());
                }
                if let Batch::Logins(lines) = &mut self.batch {
                    lines.push((number, login));
                }
            }
            Ok(Entry::Account(account)) => {
                self.flush().await?;
                self.account(number, *account).await?;
            }
            Ok(Entry::Role(role)) => {
                self.make_room().await?;
                self.role(number, role).await?;
            }
            Ok(Entry::Group(group)) => {
                self.make_room().await?;
                self.group(number, group).await?;
            }
        }
        if self.batch.len() >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Roles and groups wait for each other, but not with anything else.
    async fn make_room(&mut self) -> Result<()> {
        if self.batch.len() > 0 || self.pending.len() >= BATCH || self.rejected.len() >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what waits, and tells which lines were not taken.
    async fn flush(&mut self) -> Result<()> {
        self.write_pending().await?;
        match std::mem::replace(&mut self.batch, Batch::Users(Vec::new())) {
            Batch::Users(lines) => self.users(lines).await?,
            Batch::Logins(lines) => self.logins(lines).await?,
        }
        self.rejected.sort_by_key(|(line, _)| *line);
        for (line, reason) in std::mem::take(&mut self.rejected) {
            self.report.rejected += 1;
            (self.events)(ImportEvent::Rejected { line, reason: &reason });
        }
        self.accounts.trim();
        Ok(())
    }

    /// The account of a line, loaded; `None` after the line was rejected.
    async fn account_of(&mut self, line: u64, named: Option<&AccountName>) -> Result<Option<AccountName>> {
        let name = match (named, &self.options.account) {
            (Some(named), Some(own)) if named != own => {
                let reason = format!("is of the account {named}, and --account says {own}");
                self.reject(line, reason);
                return Ok(None);
            }
            (Some(name), _) | (None, Some(name)) => name.clone(),
            (None, None) => {
                self.reject(line, "account is missing; give it here or with --account");
                return Ok(None);
            }
        };
        if self.accounts.load(self.caller.store(), &name).await? {
            return Ok(Some(name));
        }
        let reason = self.accounts.missing(&name);
        self.reject(line, reason);
        Ok(None)
    }

    /// The line before this one that named an object.
    fn named_before(&self, line: u64, what: &str, account: &str, name: &str) -> Option<u32> {
        let first = self.seen.first(what, account, name);
        first.filter(|first| u64::from(*first) < line)
    }

    /// Is this the first line that names an object? Later ones are rejected.
    fn is_first(&mut self, line: u64, what: &str, account: &str, name: &str) -> bool {
        let first = self.seen.note(line, what, account, name);
        if let Some(first) = first {
            self.reject(line, format!("names the same {what} as line {first}"));
        }
        first.is_none()
    }

    /// The audit log's view of many objects that came into an account at once.
    fn came_in(
        &self,
        name: &'static str,
        field: &str,
        account: AccountId,
        of: &AccountName,
        count: u64,
    ) -> Action<'static> {
        Action {
            name,
            account,
            target_type: TargetType::Account,
            target_id: account.as_uuid(),
            target_name: of.to_string(),
            changes: vec![FieldChange {
                field: field.to_owned(),
                before: None,
                after: Some(count.to_string()),
            }],
        }
    }
}
