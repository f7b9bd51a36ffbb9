//! What would happen if somebody signed in now, and whether a directory works: each step, told to whoever administers it.

use std::time::{Duration, Instant};

use super::grants::{Granted, Mappings};
use super::people::Said;
use crate::access::Denied;
use crate::config::Provision;
use crate::directory::{CheckOutcome, CheckStep, DirectoryError, LookUp, Person};
use crate::domain::account::{Account, AccountStatus};
use crate::domain::grant::GrantTarget;
use crate::domain::login::{Login, TypedLogin};
use crate::domain::user::{DisabledBy, User, UserStatus};
use crate::service::{Caller, ErrorCode, Problem, Result};

/// Steps, and what they come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Whether they would be let in with the right password; `None`: that cannot be said.
    pub would_succeed: Option<bool>,
    /// What was looked at, in order.
    pub steps: Vec<ExplanationStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplanationStep {
    /// What was looked at.
    pub name: String,
    /// How it went.
    pub outcome: StepOutcome,
    /// What was found, or what is wrong and what would be right.
    pub detail: String,
    /// How long it took.
    pub duration: Duration,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// As it should.
    Ok,
    /// Not as it should.
    Failed,
    /// It was not looked at.
    Skipped,
    /// It cannot be said.
    Unknown,
}

/// What those who are no operators read in place of a server's own words.
const FOR_OPERATORS: &str = "this failed; an operator sees the reason";

impl Caller {
    /// What would happen if somebody signed in with that `login@account` now: the same steps, without a password and
    /// without a bind as that person. `None` for an account that the caller does not administer.
    ///
    /// # Errors
    /// [`Denied`] for whoever is no master; those of the store.
    pub async fn explain_login(&self, qualified_login: &str) -> Result<Option<Explanation>> {
        self.administers_some()?;
        let typed = TypedLogin::parse(qualified_login);
        let Some((login, name)) = typed.valid() else {
            return Ok(None);
        };
        let account = self.store().account_by_name(&name).await?;
        let Some(account) = account.filter(|a| self.principal().may_touch_masters(a.id)) else {
            return Ok(None);
        };
        let mut told = Told::default();
        let began = Instant::now();
        let user = self.store().user_by_login(account.id, &login).await?;
        told.account(&account, began);
        let uses_directory = user.as_ref().map_or(account.directory.is_some(), |user| user.is_ldap);
        match user {
            Some(user) if !uses_directory => {
                told.local(&account, &user);
                told.status(&user, self.now());
            }
            None if !uses_directory => told.nobody(&login),
            user => self.explain_at_directory(&account, &login, user, &mut told).await?,
        }
        Ok(Some(told.explanation()))
    }

    async fn explain_at_directory(
        &self,
        account: &Account,
        login: &Login,
        user: Option<User>,
        told: &mut Told,
    ) -> Result<()> {
        let began = Instant::now();
        match &user {
            Some(user) => told.add(
                "user",
                StepOutcome::Ok,
                began,
                format!("{} is an LDAP user", user.login),
            ),
            None => told.add(
                "user",
                StepOutcome::Unknown,
                began,
                format!("nobody here goes by {login}; the directory is asked who that is"),
            ),
        }
        let name = account.directory.as_deref();
        let directory = name.and_then(|name| self.services.directories.get(name));
        let rules = name.and_then(|name| self.services.settings.directories.get(name));
        let (Some(name), Some(directory), Some(rules)) = (name, directory, rules) else {
            let detail = match name {
                Some(name) => format!("the account's directory {name} is not in the configuration"),
                None => "the account has no directory, so an LDAP user cannot sign in".to_owned(),
            };
            told.add("directory", StepOutcome::Failed, began, detail);
            return Ok(());
        };
        let explained = directory.explain(login.as_str()).await;
        let is_operator = self.principal().operator().is_ok();
        told.directory(explained.steps, is_operator);
        let person = match explained.found {
            LookUp::Found(person) => person,
            // The steps have said it.
            LookUp::Absent | LookUp::Ambiguous => {
                told.fails = true;
                return Ok(());
            }
            LookUp::Unknown(DirectoryError::NoLookUp { .. }) => {
                told.is_unknown = true;
                if let Some(user) = &user {
                    told.status(user, self.now());
                }
                return Ok(());
            }
            // No server can be asked: a sign-in fails now, whoever is right.
            LookUp::Unknown(_) => {
                told.fails = true;
                return Ok(());
            }
        };
        let began = Instant::now();
        let user = match user {
            Some(user) => Some(user),
            None => match self.services.user_of_entry(account, name, &person).await? {
                Some(renamed) => {
                    let detail = format!("it is {}, whom the directory calls by another login now", renamed.login);
                    told.add("user", StepOutcome::Ok, began, detail);
                    Some(renamed)
                }
                None => None,
            },
        };
        let mappings = Mappings::resolve(self.store(), account, &rules.mappings).await?;
        let said = Said {
            directory: name,
            person: &person,
            mappings: &mappings,
        };
        match &user {
            None if rules.provision == Provision::JustInTime => {
                told.add(
                    "provision",
                    StepOutcome::Ok,
                    began,
                    "a user would be made at the sign-in".to_owned(),
                );
            }
            None => {
                let detail = "the directory has this person and no user here does; create one, or set \
                              provision = \"just_in_time\"";
                told.add("provision", StepOutcome::Failed, began, detail.to_owned());
            }
            Some(user) => told.identity(&said, user),
        }
        self.explain_grants(account, &person, &mappings, told).await?;
        if let Some(user) = &user {
            told.status(&said.applied_to(user, &[], self.now()), self.now());
        }
        Ok(())
    }

    async fn explain_grants(
        &self,
        account: &Account,
        person: &Person,
        mappings: &Mappings,
        told: &mut Told,
    ) -> Result<()> {
        let began = Instant::now();
        if !mappings.missing.is_empty() {
            let detail = format!(
                "the account {} has not {}, which mappings of the directory name",
                account.name,
                mappings.missing.join(", ")
            );
            told.note("mappings", StepOutcome::Failed, began, detail);
        }
        let granted = mappings.of(person);
        if granted.is_empty() {
            let (outcome, detail) = if mappings.is_empty() {
                (
                    StepOutcome::Ok,
                    "no mapping of the directory holds in this account".to_owned(),
                )
            } else {
                let detail = format!(
                    "none of the person's {} groups is in a mapping: they sign in, and the directory grants nothing",
                    person.groups.len()
                );
                (StepOutcome::Failed, detail)
            };
            told.note("grants", outcome, began, detail);
            return Ok(());
        }
        let mut names = Vec::with_capacity(granted.len());
        for Granted { target, group_dn } in &granted {
            let name = match target {
                GrantTarget::Master => Some("master".to_owned()),
                GrantTarget::Role(id) => {
                    let role = self.store().roles_by_ids(&[*id]).await?.pop();
                    role.map(|role| format!("the role {}", role.name))
                }
                GrantTarget::Group(id) => {
                    let group = self.store().groups_by_ids(&[*id]).await?.pop();
                    group.map(|group| format!("the group {}", group.name))
                }
            };
            let by = group_dn.as_deref().unwrap_or("everybody");
            names.extend(name.map(|name| format!("{name} by {by}")));
        }
        told.note("grants", StepOutcome::Ok, began, names.join("; "));
        Ok(())
    }

    /// Which step fails at a directory: connect, TLS, service bind, base, search; at every server.
    ///
    /// # Errors
    /// [`Denied`] for whoever is no master; `NotFound` for a directory that is none of the caller's; those of the store.
    pub async fn check_directory(&self, name: &str) -> Result<Explanation> {
        self.principal().may_change()?;
        self.administers_some()?;
        let seen = self.directories()?.iter().any(|(seen, _)| seen == name);
        let directory = self.services.directories.get(name).filter(|_| seen);
        let Some(directory) = directory else {
            return Err(Problem::at(&["name"], ErrorCode::NotFound, "There is no such directory.").into());
        };
        let mut told = Told::default();
        told.directory(directory.check().await, self.principal().operator().is_ok());
        let failed = told.steps.iter().any(|step| step.outcome == StepOutcome::Failed);
        Ok(Explanation {
            would_succeed: Some(!failed),
            steps: told.steps,
        })
    }

    fn administers_some(&self) -> Result<()> {
        self.principal().signed_in()?;
        let account = self.principal().account();
        let administers = self.principal().operator().is_ok()
            || account.is_some_and(|account| self.principal().may_touch_masters(account));
        if administers {
            Ok(())
        } else {
            Err(Denied::Missing("a master user").into())
        }
    }
}

/// What is told so far.
#[derive(Debug, Default)]
struct Told {
    steps: Vec<ExplanationStep>,
    fails: bool,
    is_unknown: bool,
}

impl Told {
    /// A step on which the sign-in depends.
    fn add(&mut self, name: &str, outcome: StepOutcome, began: Instant, detail: String) {
        self.fails |= outcome == StepOutcome::Failed;
        self.note(name, outcome, began, detail);
    }

    /// A step on which it does not.
    fn note(&mut self, name: &str, outcome: StepOutcome, began: Instant, detail: String) {
        self.steps.push(ExplanationStep {
            name: name.to_owned(),
            outcome,
            detail,
            duration: began.elapsed(),
        });
    }

    fn account(&mut self, account: &Account, began: Instant) {
        let (outcome, detail) = match account.status {
            AccountStatus::Active => (StepOutcome::Ok, format!("{} is active", account.name)),
            AccountStatus::Frozen => (
                StepOutcome::Failed,
                format!(
                    "{} is frozen: nobody of it signs in until it is activated",
                    account.name
                ),
            ),
        };
        self.add("account", outcome, began, detail);
    }

    fn nobody(&mut self, login: &Login) {
        let detail = format!("nobody goes by {login}, and the account has no directory to ask");
        self.add("user", StepOutcome::Failed, Instant::now(), detail);
    }

    fn local(&mut self, account: &Account, user: &User) {
        let began = Instant::now();
        let (outcome, detail) = if !user.has_password {
            (StepOutcome::Failed, "a local user without a password".to_owned())
        } else if account.directory_only && !account.name.is_system() {
            (
                StepOutcome::Failed,
                "a local user, and the account takes passwords of its directory only".to_owned(),
            )
        } else {
            (
                StepOutcome::Ok,
                "a local user with a password; no directory is asked".to_owned(),
            )
        };
        self.add("user", outcome, began, detail);
    }

    fn identity(&mut self, said: &Said<'_>, user: &User) {
        let began = Instant::now();
        let (outcome, detail) = match said.is_about(user) {
            Err(mistaken) => (StepOutcome::Failed, mistaken.detail().to_owned()),
            Ok(()) => match &user.directory_link {
                Some(link) if link.directory == said.directory => (
                    StepOutcome::Ok,
                    format!("the user is linked to this entry ({})", link.external_id),
                ),
                _ => (
                    StepOutcome::Ok,
                    "the user would be linked to this entry by its login".to_owned(),
                ),
            },
        };
        self.add("identity", outcome, began, detail);
    }

    fn status(&mut self, user: &User, now: jiff::Timestamp) {
        let began = Instant::now();
        let (outcome, detail) = match (user.status, user.disabled_by) {
            (UserStatus::Active, _) => match user.locked_until.filter(|until| *until > now) {
                Some(until) => (
                    StepOutcome::Failed,
                    format!("locked until {until} after wrong passwords"),
                ),
                None => (StepOutcome::Ok, "active".to_owned()),
            },
            (UserStatus::Disabled, Some(DisabledBy::Directory)) => {
                (StepOutcome::Failed, "disabled by the directory".to_owned())
            }
            (UserStatus::Disabled, _) => (StepOutcome::Failed, "disabled here by an administrator".to_owned()),
        };
        self.add("status", outcome, began, detail);
    }

    /// The steps at the servers. One that failed at one server matters only when none did better.
    fn directory(&mut self, steps: Vec<CheckStep>, is_operator: bool) {
        for step in steps {
            let outcome = match step.outcome {
                CheckOutcome::Ok => StepOutcome::Ok,
                CheckOutcome::Failed => StepOutcome::Failed,
                CheckOutcome::Skipped => StepOutcome::Skipped,
            };
            let name = if step.server.is_empty() {
                step.name.to_owned()
            } else {
                format!("{} at {}", step.name, step.server)
            };
            let detail = if step.is_quote && !is_operator {
                FOR_OPERATORS.to_owned()
            } else {
                step.detail
            };
            // What the directory says of the person counts for all servers.
            self.fails |= step.outcome == CheckOutcome::Failed && matches!(step.name, "id" | "status in the directory");
            self.steps.push(ExplanationStep {
                name,
                outcome,
                detail,
                duration: step.duration,
            });
        }
    }

    fn explanation(self) -> Explanation {
        let would_succeed = match (self.fails, self.is_unknown) {
            (true, _) => Some(false),
            (false, true) => None,
            (false, false) => Some(true),
        };
        Explanation {
            would_succeed,
            steps: self.steps,
        }
    }
}
