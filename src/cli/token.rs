//! `doorward token …`

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::Format;
use crate::cli::failure::Usage;
use crate::cli::names::{self, explained};
use crate::cli::output::{Output, Table, or_dash};
use crate::cli::session::Session;
use crate::domain::ids::{GroupId, RoleId, UserId};
use crate::domain::text::fold;
use crate::domain::token::ApiToken;
use crate::domain::user::User;
use crate::graphql::node_id::encode;
use crate::service::TokenInput;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Create an API token and print its secret, which is shown here and never again
    Create {
        /// Its name, unique in its account
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        /// What it may do
        #[arg(long = "role", value_name = "NAME")]
        roles: Vec<String>,
        /// Whose objects it sees
        #[arg(long = "group", value_name = "NAME")]
        groups: Vec<String>,
        /// When it ends: in so long (90d, 12h) or at a moment (2027-01-31T00:00:00Z) [default: never]
        #[arg(long, value_name = "WHEN")]
        expires_at: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Revoke an API token: it is refused from then on
    Revoke {
        #[arg(value_name = "NAME@ACCOUNT")]
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// List the API tokens of an account
    List {
        account: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(session: &Session, command: TokenCommand) -> anyhow::Result<()> {
    let now = session.services().clock.now();
    match command {
        TokenCommand::Create {
            name,
            roles,
            groups,
            expires_at,
            format,
        } => {
            let (token, account) = names::split(&name, "NAME")?;
            let account = names::account(&session.caller, account).await?;
            let input = TokenInput {
                account: Some(Some(account.id)),
                name: token.to_owned(),
                roles: names::roles(&session.caller, account.id, &roles).await?,
                groups: names::groups(&session.caller, account.id, &groups).await?,
                expires_at: expires_at.map(|when| moment(&when, now)).transpose()?,
            };
            let made = session.caller.write_tokens()?.create(input).await;
            let (token, secret) = made.map_err(explained)?;
            let mut out = Output::new(format.json);
            if out.is_json() {
                let names = Names::of(session, std::slice::from_ref(&token)).await?;
                out.value(&Created {
                    token: TokenJson::new(&token, &names, now),
                    secret: secret.expose(),
                })?;
            } else {
                out.line(secret.expose())?;
            }
            out.finish()
        }
        TokenCommand::Revoke { name, format } => {
            let (token, account) = names::split(&name, "NAME")?;
            let account = names::account(&session.caller, account).await?;
            let tokens = session.caller.tokens_of_accounts(&[account.id]).await?;
            let named = |t: &&ApiToken| t.revoked_at.is_none() && fold(&t.name) == fold(token);
            let Some(found) = tokens.iter().find(named) else {
                bail!(
                    "there is no token {token:?}; `doorward token list {}` shows which there are",
                    account.name
                );
            };
            let revoked = session.caller.write_tokens()?.revoke(Some(found.id)).await;
            let revoked = revoked.map_err(explained)?;
            let mut out = Output::new(format.json);
            if out.is_json() {
                let names = Names::of(session, std::slice::from_ref(&revoked)).await?;
                out.value(&TokenJson::new(&revoked, &names, now))?;
            } else {
                out.line(&format!("revoked {}@{}", found.name, account.name))?;
            }
            out.finish()
        }
        TokenCommand::List { account, format } => {
            let account = names::account(&session.caller, &account).await?;
            let tokens = session.caller.tokens_of_accounts(&[account.id]).await?;
            let mut out = Output::new(format.json);
            if out.is_json() {
                let names = Names::of(session, &tokens).await?;
                for token in &tokens {
                    out.element(&TokenJson::new(token, &names, now))?;
                }
                out.end_list()?;
                return out.finish();
            }
            let mut table = Table::new(["NAME", "ACTIVE", "LAST USED", "EXPIRES"]);
            let rows: Vec<_> = tokens.iter().map(|token| row(token, now)).collect();
            table.rows(&mut out, &rows)?;
            out.finish()
        }
    }
}

/// "90d", "12h" from now, or a moment.
fn moment(when: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(at) = when.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || {
        let message = format!("--expires-at {when:?}: write 90d, 12h, or a moment such as 2027-01-31T00:00:00Z");
        anyhow::Error::new(Usage(message))
    };
    let within = humantime_serde::re::humantime::parse_duration(when).map_err(|_| wrong())?;
    let within = jiff::SignedDuration::try_from(within).map_err(|_| wrong())?;
    now.checked_add(within)
        .ok()
        .with_context(|| format!("--expires-at {when:?} is too far away"))
}

fn row(token: &ApiToken, now: Timestamp) -> [String; 4] {
    let day = |at: Option<Timestamp>| or_dash(&at.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default());
    let active = if token.is_active(now) { "yes" } else { "no" };
    [
        token.name.clone(),
        active.to_owned(),
        day(token.last_used_at),
        day(token.expires_at),
    ]
}

/// The names of what some tokens hold, and of who made them.
#[derive(Debug)]
struct Names {
    roles: HashMap<RoleId, String>,
    groups: HashMap<GroupId, String>,
    /// `login@account`.
    makers: HashMap<UserId, String>,
}

impl Names {
    /// Reads all of them in as many look-ups as there are kinds, however many tokens there are.
    async fn of(session: &Session, tokens: &[ApiToken]) -> anyhow::Result<Self> {
        let caller = &session.caller;
        let roles = distinct(tokens.iter().flat_map(|token| &token.roles));
        let groups = distinct(tokens.iter().flat_map(|token| &token.groups));
        let users = distinct(tokens.iter().filter_map(|token| token.created_by.as_ref()));
        let users = caller.users_by_ids(&users).await?;
        let accounts = distinct(users.iter().map(|user| &user.account));
        let accounts = caller.accounts_by_ids(&accounts).await?;
        let qualified = |user: &User| {
            let account = accounts.iter().find(|account| account.id == user.account)?;
            Some((user.id, format!("{}@{}", user.login, account.name)))
        };
        let roles = caller.roles_by_ids(&roles).await?;
        let groups = caller.groups_by_ids(&groups).await?;
        Ok(Self {
            roles: roles.into_iter().map(|role| (role.id, role.name)).collect(),
            groups: groups.into_iter().map(|group| (group.id, group.name)).collect(),
            makers: users.iter().filter_map(qualified).collect(),
        })
    }
}

fn distinct<'a, T: Copy + Ord + 'a>(ids: impl Iterator<Item = &'a T>) -> Vec<T> {
    ids.copied().collect::<BTreeSet<T>>().into_iter().collect()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenJson<'a> {
    id: String,
    name: &'a str,
    roles: Vec<&'a str>,
    groups: Vec<&'a str>,
    is_active: bool,
    created_by: Option<&'a str>,
    created_at: String,
    last_used_at: Option<String>,
    expires_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    token: TokenJson<'a>,
    secret: &'a str,
}

impl<'a> TokenJson<'a> {
    fn new(token: &'a ApiToken, names: &'a Names, now: Timestamp) -> Self {
        let (roles, groups) = (token.roles.iter(), token.groups.iter());
        Self {
            id: encode(token.id).0,
            name: &token.name,
            // What is gone has no name any more.
            roles: roles.filter_map(|id| names.roles.get(id)).map(String::as_str).collect(),
            groups: groups
                .filter_map(|id| names.groups.get(id))
                .map(String::as_str)
                .collect(),
            is_active: token.is_active(now),
            created_by: token
                .created_by
                .and_then(|id| names.makers.get(&id))
                .map(String::as_str),
            created_at: token.created_at.to_string(),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            expires_at: token.expires_at.map(|at| at.to_string()),
        }
    }
}
