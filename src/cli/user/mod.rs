//! `doorward user …`

mod notify;
mod show;
mod update;

use std::fmt;
use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::Format;
use crate::cli::names::{self, explained};
use crate::cli::output::{Output, Table};
use crate::cli::password;
use crate::cli::session::Session;
use crate::cli::user::notify::NotifyArgs;
use crate::cli::user::show::{Names, UserJson};
use crate::cli::user::update::UpdateArgs;
use crate::domain::account::{Account, Language};
use crate::domain::query::{UserFilter, UserOrder};
use crate::domain::user::{User, UserStatus};
use crate::service::{AccessInput, NewUser};

/// A language, as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LanguageArg {
    En,
    Ru,
}

impl From<LanguageArg> for Language {
    fn from(language: LanguageArg) -> Self {
        match language {
            LanguageArg::En => Self::En,
            LanguageArg::Ru => Self::Ru,
        }
    }
}

impl From<Language> for LanguageArg {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Ru => Self::Ru,
        }
    }
}

impl fmt::Display for LanguageArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::En => "en",
            Self::Ru => "ru",
        })
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user
    Create(Box<CreateArgs>),
    /// Change what is given of a user
    Update(Box<UpdateArgs>),
    /// Set somebody's password and end their sessions
    SetPassword {
        #[command(flatten)]
        target: Target,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
        /// It must be changed at the next sign-in
        #[arg(long)]
        must_change_password: bool,
    },
    /// Send somebody a link with which they set a password themselves, once
    SendAccess(Target),
    /// List the users of an account
    List {
        account: String,
        #[command(flatten)]
        format: Format,
    },
    /// Show all about a user
    Show(Target),
    /// Take a lock for wrong passwords off
    Unlock(Target),
    /// Let a user no longer sign in, and end their sessions
    Disable(Target),
    /// Let a disabled user sign in again
    Enable(Target),
    /// End all sessions of a user
    SignOut(Target),
    /// Delete a user; their sign-ins stay in the history
    Delete(Target),
}

/// One user.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Whom
    #[arg(value_name = "LOGIN@ACCOUNT")]
    login: String,
    #[command(flatten)]
    format: Format,
}

/// A new user.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    target: Target,
    /// At most 100 characters
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    first_name: String,
    /// At most 100 characters
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    last_name: String,
    /// Contact address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// With the country's code: +442079460123
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Language for mails and pages [default: the account's]
    #[arg(long, value_enum)]
    language: Option<LanguageArg>,
    /// May do everything in the account; a master of `system` is an operator
    #[arg(long)]
    master: bool,
    /// Signs in with the password of the account's directory
    #[arg(long)]
    ldap: bool,
    /// A role, by its name
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A group, by its name [default: the account's main group]
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// The password must be changed at the first sign-in
    #[arg(long, requires = "password_stdin")]
    must_change_password: bool,
    /// Send a link with which they set a password themselves, once
    #[arg(long, requires = "email")]
    send_access_email: bool,
    #[command(flatten)]
    notify: NotifyArgs,
}

pub(super) async fn run(session: &Session, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create(args) => create(session, *args).await,
        UserCommand::Update(args) => update::update(session, *args).await,
        UserCommand::SetPassword {
            target,
            must_change_password,
            password_stdin: _,
        } => {
            let password = password::from_stdin()?;
            let (user, account) = names::user(&session.caller, &target.login).await?;
            let writes = session.caller.write_users()?;
            let access = AccessInput {
                password: Some(password),
                must_change_password,
                send_access_email: false,
            };
            let user = writes.set_password(user.id, &access).await.map_err(explained)?;
            report(session, &target, &user, &account, "set the password of").await
        }
        UserCommand::SendAccess(target) => {
            let (user, account) = names::user(&session.caller, &target.login).await?;
            let writes = session.caller.write_users()?;
            let user = writes.send_access_email(user.id).await.map_err(explained)?;
            report(session, &target, &user, &account, "queued a link for").await
        }
        UserCommand::List { account, format } => list(session, &account, format).await,
        UserCommand::Show(target) => show(session, &target).await,
        UserCommand::Unlock(target) => {
            let (user, account) = names::user(&session.caller, &target.login).await?;
            let user = session.caller.write_users()?.unlock(user.id).await.map_err(explained)?;
            report(session, &target, &user, &account, "unlocked").await
        }
        UserCommand::Disable(target) => set_status(session, &target, UserStatus::Disabled, "disabled").await,
        UserCommand::Enable(target) => set_status(session, &target, UserStatus::Active, "enabled").await,
        UserCommand::SignOut(target) => {
            let (user, account) = names::user(&session.caller, &target.login).await?;
            let ended = session.caller.revoke_all_sessions(Some(Some(user.id)), false).await;
            let ended = ended.map_err(explained)?;
            let mut out = Output::new(target.format.json);
            if out.is_json() {
                out.value(&serde_json::json!({ "revoked": ended }))?;
            } else {
                let sessions = if ended == 1 { "session" } else { "sessions" };
                out.line(&format!("ended {ended} {sessions} of {}@{}", user.login, account.name))?;
            }
            out.finish()
        }
        UserCommand::Delete(target) => {
            let (user, account) = names::user(&session.caller, &target.login).await?;
            let names = Names::of(session, std::slice::from_ref(&user)).await?;
            session.caller.write_users()?.delete(user.id).await.map_err(explained)?;
            report_with(&target, &user, &account, &names, "deleted")
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> anyhow::Result<()> {
    let caller = &session.caller;
    let (login, account) = names::split(&args.target.login, "LOGIN")?;
    let notifications = args.notify.changes()?;
    let password = if args.password_stdin {
        Some(password::from_stdin()?)
    } else {
        None
    };
    let account = names::account(caller, account).await?;
    let new = NewUser {
        account: Some(Some(account.id)),
        login: login.to_owned(),
        first_name: args.first_name,
        last_name: args.last_name,
        email: args.email,
        language: args.language.map(Language::from),
        phone: args.phone,
        notifications,
        password,
        must_change_password: args.must_change_password,
        send_access_email: args.send_access_email,
        is_master: args.master,
        is_ldap: args.ldap,
        roles: names::roles(caller, account.id, &args.roles).await?,
        groups: names::groups(caller, account.id, &args.groups).await?,
    };
    let user = caller.write_users()?.create(new).await.map_err(explained)?;
    report(session, &args.target, &user, &account, "created").await?;
    if !user.has_way_in() && !args.send_access_email {
        let login = format!("{}@{}", user.login, account.name);
        // A hint only: whether anybody reads it changes nothing.
        let _ = writeln!(
            std::io::stderr(),
            "{login} has no password yet; give one with `doorward user set-password {login} --password-stdin`"
        );
    }
    Ok(())
}

/// `""` takes away what was there.
fn none_if_empty(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

async fn set_status(session: &Session, target: &Target, status: UserStatus, done: &str) -> anyhow::Result<()> {
    let (user, account) = names::user(&session.caller, &target.login).await?;
    let user = session
        .caller
        .write_users()?
        .set_status(user.id, status)
        .await
        .map_err(explained)?;
    report(session, target, &user, &account, done).await
}

async fn report(session: &Session, target: &Target, user: &User, account: &Account, done: &str) -> anyhow::Result<()> {
    let names = Names::of(session, std::slice::from_ref(user)).await?;
    report_with(target, user, account, &names, done)
}

fn report_with(target: &Target, user: &User, account: &Account, names: &Names, done: &str) -> anyhow::Result<()> {
    let mut out = Output::new(target.format.json);
    if out.is_json() {
        out.value(&UserJson::new(user, account, names))?;
    } else {
        out.line(&format!("{done} {}@{}", user.login, account.name))?;
    }
    out.finish()
}

async fn show(session: &Session, target: &Target) -> anyhow::Result<()> {
    let (user, account) = names::user(&session.caller, &target.login).await?;
    let names = Names::of(session, std::slice::from_ref(&user)).await?;
    let mut out = Output::new(target.format.json);
    if out.is_json() {
        out.value(&UserJson::new(&user, &account, &names))?;
        return out.finish();
    }
    for (label, value) in show::details(&user, &account, &names, session.services().clock.now()) {
        let label = out.paint(&format!("{label:<18}"), crate::cli::output::Colour::Bold);
        out.line(&format!("{label}{value}"))?;
    }
    out.finish()
}

async fn list(session: &Session, account: &str, format: Format) -> anyhow::Result<()> {
    let account = names::account(&session.caller, account).await?;
    let filter = [UserFilter {
        account: Some(account.id),
        ..UserFilter::default()
    }];
    let now = session.services().clock.now();
    let mut out = Output::new(format.json);
    let mut table = Table::new(["LOGIN", "NAME", "EMAIL", "STATUS", "KIND", "ROLES", "LAST SIGN-IN"]);
    names::pages(
        async |page| names::one(session.caller.users(&filter, UserOrder::DEFAULT, &page).await),
        |user| UserOrder::DEFAULT.position(user),
        async |users: Vec<User>| {
            let names = Names::of(session, &users).await?;
            if out.is_json() {
                return users
                    .iter()
                    .try_for_each(|user| out.element(&UserJson::new(user, &account, &names)));
            }
            let rows: Vec<_> = users.iter().map(|user| show::row(user, &names, now)).collect();
            table.rows(&mut out, &rows)?;
            out.flush()
        },
    )
    .await?;
    if out.is_json() {
        out.end_list()?;
    }
    out.finish()
}
