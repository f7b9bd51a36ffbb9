//! People of a real OpenLDAP directory in a whole gateway, over both stores.

mod access;
mod active_directory;
mod command_line;
mod explain;
mod faults;
mod identity;
mod recheck;
mod sync;

use std::time::{Duration, Instant};

use doorward::config::{Config, DirectoryConfig};
use doorward::domain::account::Account;
use doorward::domain::user::User;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway};
use crate::support::slapd::{PASSWORD, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

/// A directory, a gateway that uses it, and an account whose people it has.
struct Company {
    slapd: Slapd,
    gateway: Gateway,
    acme: Account,
}

impl Company {
    async fn start(backend: Backend) -> Self {
        Self::start_with(backend, SlapdOptions::default(), |_| {}).await
    }

    /// With changes to the directory and to its section of the configuration.
    async fn start_with(backend: Backend, options: SlapdOptions, change: impl FnOnce(&mut DirectoryConfig)) -> Self {
        let slapd = Slapd::start(options);
        let mut section = section(&slapd);
        change(&mut section);
        Self::over(backend, slapd, section).await
    }

    /// Over a directory that runs already.
    async fn over(backend: Backend, slapd: Slapd, section: DirectoryConfig) -> Self {
        let with_directory = |config: &mut Config| {
            config.directories.insert("corp".to_owned(), section);
        };
        let gateway = Gateway::start_with(backend, with_directory).await;
        let acme = gateway
            .account_with("acme", |account| account.directory = Some("corp".to_owned()))
            .await;
        Self { slapd, gateway, acme }
    }

    /// An LDAP user who was made by hand.
    async fn ldap_user(&self, login: &str) -> User {
        let no_password = |new: &mut doorward::service::NewUser| {
            (new.password, new.is_ldap) = (None, true);
        };
        self.gateway.user_with(&self.acme, login, no_password).await
    }

    /// Signs in with the directory's password.
    async fn sign_in(&self, login: &str) -> Asker<'_> {
        let payload = self.gateway.try_sign_in(&format!("{login}@acme"), PASSWORD).await;
        let token = payload["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{login} does not get in: {payload}"));
        self.gateway.with_token(token)
    }

    /// The code of the refusal of the directory's password.
    async fn refusal(&self, login: &str) -> String {
        self.gateway.refusal(&format!("{login}@acme"), PASSWORD).await
    }

    /// A local master of the account.
    async fn master(&self) -> Asker<'_> {
        self.gateway.master(&self.acme, "boss").await;
        self.gateway.sign_in("boss@acme").await
    }

    /// The newest attempt: its outcome and detail.
    async fn last_attempt(&self, master: &Asker<'_>) -> (String, Option<String>) {
        let query = "{ loginHistory(first: 1, filter: { methods: [LDAP] }) { nodes { outcome detail } } }";
        let event = master.data(query).await["loginHistory"]["nodes"][0].clone();
        let outcome = event["outcome"].as_str().unwrap().to_owned();
        (outcome, event["detail"].as_str().map(str::to_owned))
    }
}

/// How the gateway is told of a directory.
fn section(slapd: &Slapd) -> DirectoryConfig {
    let json = json!({
        "servers": [slapd.url()], "allow_plaintext": true, "base": [PEOPLE],
        "bind_dn": READER, "bind_password": READER_PASSWORD,
    });
    DirectoryConfig {
        timeout: Duration::from_secs(5),
        min_refusal: Duration::ZERO,
        max_failures: 0,
        ..serde_json::from_value(json).unwrap()
    }
}

/// A mapping of the configuration.
fn mapping(json: Value) -> doorward::config::MappingConfig {
    serde_json::from_value(json).unwrap()
}

/// What a user looks like to a master.
async fn look(master: &Asker<'_>, login: &str) -> Value {
    let query = "query($login: String!) { user(login: $login) { id login firstName lastName email phone language status
        disabledBy isLdap isMaster revision passwordExpiresAt avatarUrl roles { name } groups { name }
        grants { role { name } group { name } master source directoryGroupDn }
        directoryLink { directory dn externalId lastCheckedAt } } }";
    master
        .data_with(query, json!({ "login": format!("{login}@acme") }))
        .await["user"]
        .clone()
}

/// Asks until it is so; real time, for what workers do in the background.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Is the token still good?
async fn is_signed_in(asker: &Asker<'_>) -> bool {
    let answer = asker.ask("{ viewer { user { login } } }", json!({})).await;
    answer["data"]["viewer"]["user"]["login"].is_string()
}

/// The names of a list of things.
fn names(list: &Value) -> Vec<&str> {
    let things = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    things.iter().filter_map(|thing| thing["name"].as_str()).collect()
}
