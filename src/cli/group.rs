//! `doorward group …`

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;

use crate::cli::Format;
use crate::cli::names::{self, explained};
use crate::cli::output::{Output, Table};
use crate::cli::session::Session;
use crate::domain::account::Account;
use crate::domain::group::Group;
use crate::domain::ids::GroupId;
use crate::domain::query::{NamedFilter, group_position};
use crate::graphql::node_id::encode;
use crate::service::{GroupChanges, GroupInput};

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Create a group
    Create {
        /// Its name, unique in its account
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        /// What it is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        #[command(flatten)]
        format: Format,
    },
    /// Change a group: what is given, and nothing else
    Update {
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        /// A new name
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Delete a group; members who are in no other are in the Main group then
    Delete {
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// List the groups of an account
    List {
        account: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(session: &Session, command: GroupCommand) -> anyhow::Result<()> {
    match command {
        GroupCommand::Create {
            name,
            description,
            format,
        } => {
            let (group, account) = names::split(&name, "NAME")?;
            let account = names::account(&session.caller, account).await?;
            let input = GroupInput {
                account: Some(Some(account.id)),
                name: group.to_owned(),
                description,
            };
            let writes = session.caller.write_groups(input.account).await?;
            let group = writes.create(&input).await.map_err(explained)?;
            report(format, "created", &group, &account)
        }
        GroupCommand::Update {
            name,
            rename,
            description,
            format,
        } => {
            let (group, account) = named(session, &name).await?;
            let changes = GroupChanges {
                revision: None,
                name: rename,
                description,
            };
            let updated = session.caller.change_groups()?.update(Some(group), changes).await;
            report(format, "updated", &updated.map_err(explained)?, &account)
        }
        GroupCommand::Delete { name, format } => {
            let (id, account) = named(session, &name).await?;
            let found = session.caller.groups_by_ids(&[id]).await?.pop();
            let group = found.with_context(|| format!("there is no group {name:?} any more"))?;
            let deleted = session.caller.change_groups()?.delete(Some(id)).await;
            deleted.map_err(explained)?;
            report(format, "deleted", &group, &account)
        }
        GroupCommand::List { account, format } => list(session, &account, format).await,
    }
}

/// The group of that NAME@ACCOUNT.
async fn named(session: &Session, name: &str) -> anyhow::Result<(GroupId, Account)> {
    let (group, account) = names::split(name, "NAME")?;
    let account = names::account(&session.caller, account).await?;
    let group = names::group(&session.caller, &account, group).await?;
    Ok((group, account))
}

fn report(format: Format, done: &str, group: &Group, account: &Account) -> anyhow::Result<()> {
    let mut out = Output::new(format.json);
    if out.is_json() {
        out.value(&GroupJson::from(group))?;
    } else {
        out.line(&format!("{done} {}@{}", group.name, account.name))?;
    }
    out.finish()
}

async fn list(session: &Session, account: &str, format: Format) -> anyhow::Result<()> {
    let account = names::account(&session.caller, account).await?;
    let filter = [NamedFilter {
        account: Some(account.id),
        search: None,
    }];
    let mut out = Output::new(format.json);
    let mut table = Table::new(["NAME", "MAIN", "DESCRIPTION"]);
    names::pages(
        async |page| names::one(session.caller.groups(&filter, &page).await),
        group_position,
        async |groups: Vec<Group>| {
            if out.is_json() {
                return groups.iter().try_for_each(|group| out.element(&GroupJson::from(group)));
            }
            let rows: Vec<_> = groups.iter().map(row).collect();
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

fn row(group: &Group) -> [String; 3] {
    let main = if group.is_main { "main" } else { "-" };
    [group.name.clone(), main.to_owned(), group.description.clone()]
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson<'a> {
    id: String,
    name: &'a str,
    description: &'a str,
    is_main: bool,
    created_at: String,
    revision: i64,
}

impl<'a> From<&'a Group> for GroupJson<'a> {
    fn from(group: &'a Group) -> Self {
        Self {
            id: encode(group.id).0,
            name: &group.name,
            description: &group.description,
            is_main: group.is_main,
            created_at: group.created_at.to_string(),
            revision: group.revision,
        }
    }
}
