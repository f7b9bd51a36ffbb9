//! `doorward role …`

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;

use crate::cli::Format;
use crate::cli::failure::explain;
use crate::cli::names::{self, explained};
use crate::cli::output::{Output, Table, or_dash};
use crate::cli::session::Session;
use crate::domain::account::Account;
use crate::domain::ids::RoleId;
use crate::domain::query::{NamedFilter, role_position};
use crate::domain::role::{Permission, Role};
use crate::graphql::node_id::encode;
use crate::service::{RoleChanges, RoleInput};

#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// Create a role
    Create {
        /// Its name, unique in its account
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        /// What its holders may do: Doorward's own users:read, users:write, roles:write, groups:write, history:read,
        /// audit:read, tokens:write, directory:sync, alerts:publish, or an application's
        #[arg(long = "permission", value_name = "RESOURCE:ACTION")]
        permissions: Vec<String>,
        /// What it is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        #[command(flatten)]
        format: Format,
    },
    /// Change a role: what is given, and nothing else
    Update {
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        /// A new name
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// All its permissions, in place of those that it has
        #[arg(long = "permission", value_name = "RESOURCE:ACTION")]
        permissions: Vec<String>,
        /// Take all its permissions
        #[arg(long, conflicts_with = "permissions")]
        no_permissions: bool,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Delete a role; whoever holds it loses it
    Delete {
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// List the roles of an account
    List {
        account: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(session: &Session, command: RoleCommand) -> anyhow::Result<()> {
    match command {
        RoleCommand::Create {
            name,
            permissions,
            description,
            format,
        } => {
            let (role, account) = names::split(&name, "NAME")?;
            let account = names::account(&session.caller, account).await?;
            let input = RoleInput {
                account: Some(Some(account.id)),
                name: role.to_owned(),
                description,
                permissions,
            };
            let writes = session.caller.write_roles(input.account).await?;
            let created = writes.create(&input).await;
            let role = created.map_err(|error| explain(error, &[("permissions", &input.permissions)]))?;
            report(format, "created", &role, &account)
        }
        RoleCommand::Update {
            name,
            rename,
            permissions,
            no_permissions,
            description,
            format,
        } => {
            let (role, account) = named(session, &name).await?;
            let replaced = no_permissions || !permissions.is_empty();
            let changes = RoleChanges {
                revision: None,
                name: rename,
                description,
                permissions: replaced.then(|| permissions.clone()),
            };
            let updated = session.caller.change_roles()?.update(Some(role), changes).await;
            let role = updated.map_err(|error| explain(error, &[("permissions", &permissions)]))?;
            report(format, "updated", &role, &account)
        }
        RoleCommand::Delete { name, format } => {
            let (id, account) = named(session, &name).await?;
            let found = session.caller.roles_by_ids(&[id]).await?.pop();
            let role = found.with_context(|| format!("there is no role {name:?} any more"))?;
            let deleted = session.caller.change_roles()?.delete(Some(id)).await;
            deleted.map_err(explained)?;
            report(format, "deleted", &role, &account)
        }
        RoleCommand::List { account, format } => list(session, &account, format).await,
    }
}

/// The role of that NAME@ACCOUNT.
async fn named(session: &Session, name: &str) -> anyhow::Result<(RoleId, Account)> {
    let (role, account) = names::split(name, "NAME")?;
    let account = names::account(&session.caller, account).await?;
    let role = names::role(&session.caller, &account, role).await?;
    Ok((role, account))
}

fn report(format: Format, done: &str, role: &Role, account: &Account) -> anyhow::Result<()> {
    let mut out = Output::new(format.json);
    if out.is_json() {
        out.value(&RoleJson::from(role))?;
    } else {
        out.line(&format!("{done} {}@{}", role.name, account.name))?;
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
    let mut table = Table::new(["NAME", "PERMISSIONS", "DESCRIPTION"]);
    names::pages(
        async |page| names::one(session.caller.roles(&filter, &page).await),
        role_position,
        async |roles: Vec<Role>| {
            if out.is_json() {
                return roles.iter().try_for_each(|role| out.element(&RoleJson::from(role)));
            }
            let rows: Vec<_> = roles.iter().map(row).collect();
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

fn row(role: &Role) -> [String; 3] {
    let permissions: Vec<&str> = role.permissions.iter().map(Permission::as_str).collect();
    [
        role.name.clone(),
        or_dash(&permissions.join(", ")),
        role.description.clone(),
    ]
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RoleJson<'a> {
    id: String,
    name: &'a str,
    description: &'a str,
    permissions: &'a [Permission],
    created_at: String,
    revision: i64,
}

impl<'a> From<&'a Role> for RoleJson<'a> {
    fn from(role: &'a Role) -> Self {
        Self {
            id: encode(role.id).0,
            name: &role.name,
            description: &role.description,
            permissions: &role.permissions,
            created_at: role.created_at.to_string(),
            revision: role.revision,
        }
    }
}
