//! A whole gateway in this process, on a store of its own and a free port, asked over real HTTP.

use std::sync::Arc;
use std::time::Duration;

use doorward::app::{self, App};
use doorward::config::Config;
use doorward::domain::account::Account;
use doorward::domain::clock::{ManualClock, SystemClock, SystemEntropy};
use doorward::domain::ids::{GroupId, RoleId};
use doorward::domain::user::User;
use doorward::service::{AccountInput, GroupInput, NewUser, RoleInput, Services};
use jiff::Timestamp;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::mongod::{self, TestDatabase};

/// A password that every policy takes.
pub const PASSWORD: &str = "tidal-Copper-92-orchard";

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The embedded store.
    Sqlite,
    /// The replica set that `tests/run` starts.
    Mongo,
}

/// Makes each named async function, which takes a [`Backend`], a test on each store. With `alone;` in front no other test
/// is at work meanwhile, for those that measure time.
macro_rules! on_both_stores {
    (alone; $($name:ident),+ $(,)?) => {
        $crate::support::gateway::on_both_stores!(@ alone, $($name),+);
    };
    (@ $turn:ident, $($name:ident),+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let _turn = $crate::support::turn::$turn();
                super::$name($crate::support::gateway::Backend::Sqlite).await;
            })+
        }
        mod mongo {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let _turn = $crate::support::turn::$turn();
                super::$name($crate::support::gateway::Backend::Mongo).await;
            })+
        }
    };
    ($($name:ident),+ $(,)?) => {
        $crate::support::gateway::on_both_stores!(@ shared, $($name),+);
    };
}
pub(crate) use on_both_stores;

/// What the store lives in, until the test is over.
#[derive(Debug)]
enum Home {
    Folder(#[allow(dead_code, reason = "held so that it is removed at the end")] TempDir),
    Database(#[allow(dead_code, reason = "held so that it is dropped at the end")] TestDatabase),
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The use cases behind it.
    pub services: Arc<Services>,
    /// What it takes for the present moment.
    pub clock: Arc<ManualClock>,
    /// What it was configured with: another one with it shares its store.
    pub config: Config,
    client: reqwest::Client,
    /// It stops when this is dropped.
    _stop: oneshot::Sender<()>,
    _home: Home,
}

impl Gateway {
    /// A gateway with the default configuration, cheap hashes, no limits on sign-ins, and refusals as soon as they are known.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, |_| {}).await
    }

    /// The same, with changes to the configuration.
    pub async fn start_with(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.password.memory_kib = 64;
        config.password.iterations = 1;
        config.limits.sign_in_per_address = 0;
        config.limits.sign_in_per_login = 0;
        config.limits.min_refusal = Duration::ZERO;
        let home = match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                config.store.url = format!("sqlite:{}", folder.path().join("doorward.db").display())
                    .parse()
                    .unwrap();
                Home::Folder(folder)
            }
            Backend::Mongo => {
                let database = mongod::fresh_database();
                config.store.url = database.url.parse().unwrap();
                Home::Database(database)
            }
        };
        change(&mut config);
        // Real time, so that databases that look at their own clock agree with it; it moves only when a test says so.
        let now = doorward::domain::clock::Clock::now(&SystemClock);
        let clock = Arc::new(ManualClock::new(now));
        let app = App::open(&config, clock.clone(), Arc::new(SystemEntropy))
            .await
            .unwrap();
        let services = Arc::clone(app.services());
        services.ensure_system_account().await.unwrap();
        let listener = app::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            app.serve(listener, shutdown).await.unwrap();
        });
        Self {
            url,
            services,
            clock,
            config,
            client: reqwest::Client::new(),
            _stop: stop,
            _home: home,
        }
    }

    /// An HTTP request to it.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// Somebody who has not signed in.
    pub fn nobody(&self) -> Asker<'_> {
        Asker {
            gateway: self,
            token: None,
        }
    }

    /// Somebody with that token.
    pub fn with_token(&self, token: &str) -> Asker<'_> {
        Asker {
            gateway: self,
            token: Some(token.to_owned()),
        }
    }

    /// Signs in; the payload, whatever it says.
    pub async fn try_sign_in(&self, login: &str, password: &str) -> Value {
        let query = "mutation($input: SignInInput!) { signIn(input: $input) {
            token mustChangePassword user { login } session { id } userErrors { code message path retryAfterSeconds } } }";
        let answer = self
            .nobody()
            .ask(query, json!({ "input": { "login": login, "password": password } }))
            .await;
        answer["data"]["signIn"].clone()
    }

    /// Signs in with [`PASSWORD`].
    pub async fn sign_in(&self, login: &str) -> Asker<'_> {
        self.sign_in_as(login, PASSWORD).await
    }

    /// Signs in.
    pub async fn sign_in_as(&self, login: &str, password: &str) -> Asker<'_> {
        let payload = self.try_sign_in(login, password).await;
        let token = payload["token"]
            .as_str()
            .unwrap_or_else(|| panic!("{login} does not get in: {payload}"));
        self.with_token(token)
    }

    /// The code of the refusal of a sign-in.
    pub async fn refusal(&self, login: &str, password: &str) -> String {
        let payload = self.try_sign_in(login, password).await;
        assert_eq!(payload["token"], Value::Null, "{payload}");
        payload["userErrors"][0]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{payload}"))
            .to_owned()
    }

    /// An account.
    pub async fn account(&self, name: &str) -> Account {
        self.account_with(name, |_| {}).await
    }

    /// An account that is not quite the usual one.
    pub async fn account_with(&self, name: &str, change: impl FnOnce(&mut AccountInput)) -> Account {
        let mut input = AccountInput {
            name: name.to_owned(),
            ..AccountInput::default()
        };
        change(&mut input);
        self.services
            .command_line()
            .write_accounts()
            .unwrap()
            .create(input)
            .await
            .unwrap()
    }

    /// A role.
    pub async fn role(&self, account: &Account, name: &str, permissions: &[&str]) -> RoleId {
        let input = RoleInput {
            name: name.to_owned(),
            permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
            ..RoleInput::default()
        };
        let caller = self.services.command_line();
        let writes = caller.write_roles(Some(Some(account.id))).await.unwrap();
        writes.create(&input).await.unwrap().id
    }

    /// A group.
    pub async fn group(&self, account: &Account, name: &str) -> GroupId {
        let input = GroupInput {
            name: name.to_owned(),
            ..GroupInput::default()
        };
        let caller = self.services.command_line();
        let writes = caller.write_groups(Some(Some(account.id))).await.unwrap();
        writes.create(&input).await.unwrap().id
    }

    /// A user with [`PASSWORD`].
    pub async fn user(&self, account: &Account, login: &str) -> User {
        self.user_with(account, login, |_| {}).await
    }

    /// A master with [`PASSWORD`].
    pub async fn master(&self, account: &Account, login: &str) -> User {
        self.user_with(account, login, |new| new.is_master = true).await
    }

    /// A user that is not quite the usual one.
    pub async fn user_with(&self, account: &Account, login: &str, change: impl FnOnce(&mut NewUser)) -> User {
        let mut new = NewUser {
            account: Some(Some(account.id)),
            login: login.to_owned(),
            password: Some(PASSWORD.into()),
            ..NewUser::default()
        };
        change(&mut new);
        self.services
            .command_line()
            .write_users()
            .unwrap()
            .create(new)
            .await
            .unwrap()
    }

    /// The operators' account.
    pub async fn system(&self) -> Account {
        self.services.ensure_system_account().await.unwrap()
    }

    /// Lets time pass.
    pub fn wait(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// What the gateway takes for now.
    pub fn now(&self) -> Timestamp {
        self.services.clock.now()
    }
}

/// Somebody who asks.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    gateway: &'a Gateway,
    /// The session's secret.
    pub token: Option<String>,
}

impl Asker<'_> {
    /// Asks, and gives the whole answer.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        // No two requests come at the same moment, so that what they leave has an order.
        self.gateway.clock.advance(Duration::from_millis(1));
        let mut request = self
            .gateway
            .post("/graphql")
            .json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Asks without variables, and gives the data of an answer without errors.
    pub async fn data(&self, query: &str) -> Value {
        self.data_with(query, json!({})).await
    }

    /// Asks, and gives the data of an answer without errors.
    pub async fn data_with(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].clone()
    }

    /// Asks, and gives the code of the first error.
    pub async fn error(&self, query: &str) -> String {
        self.error_with(query, json!({})).await
    }

    /// Asks, and gives the code of the first error.
    pub async fn error_with(&self, query: &str, variables: Value) -> String {
        let answer = self.ask(query, variables).await;
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        code.unwrap_or_else(|| panic!("no coded error: {query}\n{answer:#}"))
            .to_owned()
    }

    /// Runs a mutation with one `input`, selecting `fields` and the user errors; gives its payload.
    pub async fn mutate(&self, name: &str, input: Value, fields: &str) -> Value {
        let mut type_name = name.to_owned();
        type_name[..1].make_ascii_uppercase();
        let query = format!(
            "mutation($input: {type_name}Input!) {{ {name}(input: $input) {{ {fields}
                userErrors {{ code message path currentRevision retryAfterSeconds }} }} }}"
        );
        self.data_with(&query, json!({ "input": input })).await[name].clone()
    }
}

/// The codes and paths of a payload's user errors, in words: `TAKEN login`.
pub fn user_errors(payload: &Value) -> Vec<String> {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let errors = payload["userErrors"]
        .as_array()
        .unwrap_or_else(|| panic!("no payload: {payload}"));
    errors
        .iter()
        .map(|e| {
            let path: Vec<String> = e["path"].as_array().into_iter().flatten().map(word).collect();
            format!("{} {}", word(&e["code"]), path.join(".")).trim_end().to_owned()
        })
        .collect()
}
