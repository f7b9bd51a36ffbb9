//! `doorward demo`

use std::sync::Arc;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

use crate::app::{self, App};
use crate::auth::one_time_password;
use crate::cli::names;
use crate::cli::output::{Output, Table};
use crate::cli::serve::playground;
use crate::cli::signals;
use crate::config::{Config, StoreUrl};
use crate::domain::account::AccountName;
use crate::domain::clock::{SystemClock, SystemEntropy};
use crate::service::{NewUser, SeedPlan, Services};

/// Name and title of the accounts.
const ACCOUNTS: [(&str, &str); 3] = [
    ("acme", "Acme Ltd"),
    ("umbra", "Umbra & Söhne"),
    ("nordlicht", "Нордлихт"),
];
const USERS: usize = 120;
const LOGINS_PER_USER: usize = 12;
/// The account with people of known names.
const HOME: &str = "acme";

/// Somebody with a name and a role in the story.
struct Named {
    login: &'static str,
    account: &'static str,
    master: bool,
    roles: &'static [&'static str],
    groups: &'static [&'static str],
    what: &'static str,
}

const NAMED: [Named; 3] = [
    Named {
        login: "support",
        account: HOME,
        master: false,
        roles: &["Support"],
        groups: &["Berlin Service"],
        what: "sees the people and sign-ins of acme",
    },
    Named {
        login: "member",
        account: HOME,
        master: false,
        roles: &["Campaigns", "Reports", "Templates"],
        groups: &["Oslo Marketing", "Riga Sales"],
        what: "several roles, none of them Doorward's: sees only itself",
    },
    Named {
        login: "operator",
        account: AccountName::SYSTEM,
        master: true,
        roles: &[],
        groups: &[],
        what: "an operator: sees every account",
    },
];

pub(super) async fn run(mut config: Config) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let folder = tempfile::Builder::new()
        .prefix("doorward-demo-")
        .tempdir()
        .context("cannot make a temporary folder; set TMPDIR to one that can be written")?;
    config.store.url = StoreUrl::Sqlite(folder.path().join("demo.db"));
    // The port comes first: nobody waits for made-up people who then cannot be shown.
    let listener = app::listen(config.http.listen)?;
    let app = App::open(&config, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
    let mut stop = Box::pin(stop);
    let rows = tokio::select! {
        rows = fill(app.services()) => rows?,
        _ = &mut stop => {
            app.close().await;
            return Ok(());
        }
    };
    let mut out = Output::new(false);
    out.line(&format!(
        "\nA demonstration: everybody is made up, and all is forgotten at the end (Ctrl-C).\n\n  {}\n",
        playground(&config)
    ))?;
    Table::new(["LOGIN", "PASSWORD", "WHO"]).rows(&mut out, &rows)?;
    out.line("")?;
    out.finish()?;
    let stopped = async {
        let _ = stop.await; // Err: nobody listens for signals any more, so nobody can ask
    };
    app.serve(listener, stopped).await?;
    folder.close().context("cannot delete the temporary folder")
}

/// Fills the store; answers who can sign in with what.
async fn fill(services: &Arc<Services>) -> anyhow::Result<Vec<[String; 3]>> {
    services.ensure_system_account().await?;
    let shared = one_time_password(services.entropy.as_ref())?;
    let accounts = ACCOUNTS.map(|(name, title)| anyhow::Ok((AccountName::parse(name)?, title.to_owned())));
    let mut seed = [0; 8];
    services.entropy.fill(&mut seed)?;
    let plan = SeedPlan {
        accounts: accounts.into_iter().collect::<Result<_, _>>()?,
        users: USERS,
        logins_per_user: LOGINS_PER_USER,
        seed: u64::from_le_bytes(seed),
        ldap: false,
    };
    services.seed(plan, &shared, &|_| {}).await?;
    let mut rows = vec![[
        format!("owner@{HOME}"),
        shared.expose_secret().to_owned(),
        "a master user: may do everything in acme".to_owned(),
    ]];
    for named in &NAMED {
        let password = create(services, named).await?;
        rows.push([
            format!("{}@{}", named.login, named.account),
            password.expose_secret().to_owned(),
            named.what.to_owned(),
        ]);
    }
    let others: Vec<String> = ACCOUNTS
        .iter()
        .skip(1)
        .map(|(name, _)| format!("owner@{name}"))
        .collect();
    rows.push([
        others.join(", "),
        shared.expose_secret().to_owned(),
        "the masters of the other accounts".to_owned(),
    ]);
    rows.push([
        format!("user000001@{HOME} …"),
        shared.expose_secret().to_owned(),
        "everybody else who is not disabled, in every account".to_owned(),
    ]);
    Ok(rows)
}

async fn create(services: &Arc<Services>, named: &Named) -> anyhow::Result<SecretString> {
    let caller = services.command_line();
    let account = names::account(&caller, named.account).await?;
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
    let password = one_time_password(services.entropy.as_ref())?;
    let new = NewUser {
        account: Some(Some(account.id)),
        login: named.login.to_owned(),
        first_name: "Demo".to_owned(),
        last_name: named.login.to_owned(),
        email: Some(format!("{}@{}.example.org", named.login, named.account)),
        password: Some(password.clone()),
        is_master: named.master,
        roles: names::roles(&caller, account.id, &owned(named.roles)).await?,
        groups: names::groups(&caller, account.id, &owned(named.groups)).await?,
        ..NewUser::default()
    };
    caller.write_users()?.create(new).await?;
    Ok(password)
}
