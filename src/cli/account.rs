//! `doorward account …`

use clap::Subcommand;
use serde::Serialize;

use crate::cli::Format;
use crate::cli::names::{self, BY_NAME, explained};
use crate::cli::output::{Output, Table, or_dash};
use crate::cli::policy::PolicyArgs;
use crate::cli::session::Session;
use crate::cli::user::LanguageArg;
use crate::domain::account::{Account, AccountStatus, Language};
use crate::domain::password::PasswordPolicy;
use crate::domain::query::AccountFilter;
use crate::graphql::node_id::encode;
use crate::graphql::types;
use crate::service::{AccountChanges, AccountInput, PolicyChanges};

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Create an account
    Create {
        /// Its unique name: a-z, 0-9 and -, at most 63 characters
        name: String,
        /// Its name for people [default: the name]
        #[arg(long)]
        title: Option<String>,
        /// The configured directory that its LDAP users sign in with
        #[arg(long, value_name = "NAME")]
        directory: Option<String>,
        /// Refuse local passwords; takes --directory
        #[arg(long)]
        directory_only: bool,
        /// IANA name of the zone that its days begin in [default: UTC]
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Language of new users [default: en]
        #[arg(long, value_enum)]
        language: Option<LanguageArg>,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        format: Format,
    },
    /// List all accounts
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Change an account: what is given, and nothing else
    Update {
        name: String,
        /// Its name for people
        #[arg(long)]
        title: Option<String>,
        /// The configured directory that its LDAP users sign in with
        #[arg(long, value_name = "NAME")]
        directory: Option<String>,
        /// Take the directory away; nobody of the account may be an LDAP user
        #[arg(long, conflicts_with = "directory")]
        no_directory: bool,
        /// Refuse local passwords
        #[arg(long, value_name = "BOOL")]
        directory_only: Option<bool>,
        /// IANA name of the zone that its days begin in
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Language of new users
        #[arg(long, value_enum)]
        language: Option<LanguageArg>,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Delete an account with its people, roles, groups, history and log
    Delete {
        name: String,
        /// The account's name once more
        #[arg(long, value_name = "NAME")]
        confirm_name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Let nobody of an account sign in; its sessions end, nothing is lost
    Freeze {
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Let the people of a frozen account sign in again
    Activate {
        name: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(session: &Session, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Create {
            name,
            title,
            directory,
            directory_only,
            time_zone,
            language,
            policy,
            format,
        } => {
            let input = AccountInput {
                name,
                title,
                time_zone,
                default_language: language.map(Language::from),
                directory,
                directory_only,
                password_policy: PolicyChanges::from(policy).over(PasswordPolicy::default()),
            };
            let account = session
                .caller
                .write_accounts()?
                .create(input)
                .await
                .map_err(explained)?;
            report(format, &account, "created")
        }
        AccountCommand::List { format } => list(session, format).await,
        AccountCommand::Update {
            name,
            title,
            directory,
            no_directory,
            directory_only,
            time_zone,
            language,
            policy,
            format,
        } => {
            let id = names::account(&session.caller, &name).await?.id;
            let changes = AccountChanges {
                title,
                time_zone,
                default_language: language.map(Language::from),
                directory: if no_directory { Some(None) } else { directory.map(Some) },
                directory_only,
                password_policy: policy.into(),
                ..AccountChanges::default()
            };
            let updated = session.caller.change_accounts()?.update(Some(id), changes).await;
            report(format, &updated.map_err(explained)?, "updated")
        }
        AccountCommand::Delete {
            name,
            confirm_name,
            format,
        } => {
            let account = names::account(&session.caller, &name).await?;
            let deleted = session
                .caller
                .write_accounts()?
                .delete(Some(account.id), &confirm_name)
                .await;
            deleted.map_err(explained)?;
            report(format, &account, "deleted")
        }
        AccountCommand::Freeze { name, format } => {
            let account = set_status(session, &name, AccountStatus::Frozen).await?;
            report(format, &account, "froze")
        }
        AccountCommand::Activate { name, format } => {
            let account = set_status(session, &name, AccountStatus::Active).await?;
            report(format, &account, "activated")
        }
    }
}

async fn set_status(session: &Session, name: &str, status: AccountStatus) -> anyhow::Result<Account> {
    let id = names::account(&session.caller, name).await?.id;
    session
        .caller
        .write_accounts()?
        .set_status(id, status)
        .await
        .map_err(explained)
}

async fn list(session: &Session, format: Format) -> anyhow::Result<()> {
    let mut out = Output::new(format.json);
    let mut table = Table::new([
        "NAME",
        "TITLE",
        "STATUS",
        "DIRECTORY",
        "TIME ZONE",
        "LANGUAGE",
        "CREATED",
    ]);
    let filter = AccountFilter::default();
    names::pages(
        async |page| session.caller.accounts(&filter, BY_NAME, &page).await,
        |account| BY_NAME.position(account),
        async |accounts: Vec<Account>| {
            if out.is_json() {
                return accounts
                    .iter()
                    .try_for_each(|account| out.element(&AccountJson::from(account)));
            }
            let rows: Vec<_> = accounts.iter().map(row).collect();
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

fn row(account: &Account) -> [String; 7] {
    [
        account.name.to_string(),
        account.title.clone(),
        match account.status {
            AccountStatus::Active => "active",
            AccountStatus::Frozen => "frozen",
        }
        .to_owned(),
        or_dash(account.directory.as_deref().unwrap_or_default()),
        account.time_zone.clone(),
        LanguageArg::from(account.default_language).to_string(),
        account.created_at.strftime("%Y-%m-%d").to_string(),
    ]
}

fn report(format: Format, account: &Account, done: &str) -> anyhow::Result<()> {
    let mut out = Output::new(format.json);
    if out.is_json() {
        out.value(&AccountJson::from(account))?;
    } else {
        out.line(&format!("{done} {}", account.name))?;
    }
    out.finish()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountJson<'a> {
    id: String,
    name: &'a str,
    title: &'a str,
    status: AccountStatus,
    time_zone: &'a str,
    default_language: Language,
    directory: Option<&'a str>,
    directory_only: bool,
    password_policy: types::PasswordPolicy,
    created_at: String,
    revision: i64,
}

impl<'a> From<&'a Account> for AccountJson<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            id: encode(account.id).0,
            name: account.name.as_str(),
            title: &account.title,
            status: account.status,
            time_zone: &account.time_zone,
            default_language: account.default_language,
            directory: account.directory.as_deref(),
            directory_only: account.directory_only,
            password_policy: account.password_policy.into(),
            created_at: account.created_at.to_string(),
            revision: account.revision,
        }
    }
}
