//! How long refusals take: does their time tell an unknown login from a wrong password?
//!
//! The gateway runs as it is served, over each store, with limits and lock-out off; an account without a directory and one
//! with a directory are asked over HTTP, in turn with each kind of login. Prints medians and quartiles, and fails when a
//! median is 5 % or more from that of the unknown login. Run it by `tests/run --with cargo bench --bench refusals [-- TRIES]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what it measures is printed, and what goes wrong ends it"
)]

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use support::mongod::fresh_database;
use support::process::Doorward;
use support::slapd::{PEOPLE, READER, READER_PASSWORD, SUFFIX, Slapd, SlapdOptions, person};

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "tests use the rest of it")]
mod support;

/// How many of each kind, unless the command line says otherwise.
const TRIES: usize = 200;
/// Tried first and not counted: connections, caches, threads.
const WARM_UP: usize = 10;
/// From here on, in percent, the time tells.
const LIMIT: f64 = 5.0;
const PASSWORD: &str = "plaited harbour 94 velvet";

/// Each account's logins: the first is nobody's, the others somebody's.
const ACCOUNTS: [(&str, &[(&str, &str)]); 2] = [
    (
        "without a directory",
        &[("unknown login", "ghost@plain"), ("wrong password", "ann@plain")],
    ),
    (
        "with a directory",
        &[
            ("unknown login", "ghost@corp"),
            ("wrong password, local", "ann@corp"),
            ("wrong password, LDAP", "bench@corp"),
        ],
    ),
];

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let tries = std::env::args().find_map(|argument| argument.parse().ok());
    let tries = tries.unwrap_or(TRIES);
    let slapd = slapd();
    let database = fresh_database();
    let mut tells = false;
    println!("{tries} refusals each, in milliseconds: the median, how far it is from the first, and the quartiles");
    for (store, doorward) in [("SQLite", Doorward::new()), ("MongoDB", Doorward::over(&database.url))] {
        tells |= measure(store, &doorward, &slapd, tries).await;
    }
    if tells {
        println!("the time tells them apart: {LIMIT} % or more");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A directory with somebody whom wrong passwords do not lock there.
fn slapd() -> Slapd {
    let policy = format!("pwdPolicySubentry: cn=warning,ou=policies,{SUFFIX}\n");
    Slapd::start(SlapdOptions {
        extra_ldif: person(&format!("uid=bench,{PEOPLE}"), "bench", &policy),
        ..SlapdOptions::default()
    })
}

/// Whether the time tells, over this store.
async fn measure(store: &str, doorward: &Doorward, slapd: &Slapd, tries: usize) -> bool {
    let section = format!(
        "[directories.corp]\nservers = [\"{}\"]\nallow_plaintext = true\nbind_dn = \"{READER}\"\n\
         bind_password = \"{READER_PASSWORD}\"\nbase = [\"{PEOPLE}\"]\nmax_failures = 0\n",
        slapd.url(),
    );
    fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
    // As it is by default, not as the tests have them.
    let doorward = doorward
        .with_no_limits()
        .with("DOORWARD_PASSWORD__MEMORY_KIB", "19456")
        .with("DOORWARD_PASSWORD__ITERATIONS", "2")
        .with("DOORWARD_LIMITS__MIN_REFUSAL", "100ms");
    let create = |args: &[&str]| doorward.run_with_input(args, PASSWORD).succeeds();
    create(&["account", "create", "plain"]);
    create(&["account", "create", "corp", "--directory", "corp"]);
    for login in ["root@system", "ann@plain", "ann@corp"] {
        create(&["user", "create", login, "--master", "--password-stdin"]);
    }
    create(&["user", "create", "bench@corp", "--ldap"]);

    let serving = doorward.serve(&["serve"]);
    let gateway = Gateway {
        url: format!("http://{}/graphql", serving.address),
        client: Client::new(),
    };
    gateway.turn_lock_out_off().await;
    let mut tells = false;
    for (account, logins) in ACCOUNTS {
        let mut times = vec![Vec::with_capacity(tries); logins.len()];
        for turn in 0..WARM_UP + tries {
            // Each kind comes first as often as the others.
            for place in 0..logins.len() {
                let kind = (turn + place) % logins.len();
                let took = gateway.refusal(logins[kind].1).await;
                if turn >= WARM_UP {
                    times[kind].push(took);
                }
            }
        }
        let quartiles: Vec<[f64; 3]> = times.iter_mut().map(|times| quartiles(times)).collect();
        for ((kind, _), [lower, median, upper]) in logins.iter().zip(&quartiles) {
            let difference = 100.0 * (median - quartiles[0][1]) / quartiles[0][1];
            println!("{store:8} {account:20} {kind:22} {median:9.3} {difference:+6.2} % {lower:9.3} {upper:9.3}");
            tells |= difference.abs() >= LIMIT;
        }
    }
    tells
}

/// The lower quartile, the median and the upper quartile, in milliseconds; between two times, what lies between them.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "there are not so many"
)]
fn quartiles(times: &mut [Duration]) -> [f64; 3] {
    times.sort_unstable();
    [0.25, 0.5, 0.75].map(|share| {
        let place = share * (times.len() - 1) as f64;
        let [low, high] = [place.floor(), place.ceil()].map(|place| times[place as usize].as_secs_f64() * 1000.0);
        low + (high - low) * place.fract()
    })
}

#[derive(Debug)]
struct Gateway {
    url: String,
    client: Client,
}

impl Gateway {
    async fn post(&self, token: Option<&str>, query: &str, input: Value) -> Value {
        let body = json!({ "query": query, "variables": { "i": input } });
        let mut request = self.client.post(&self.url).json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }

    async fn sign_in(&self, login: &str, password: &str) -> Value {
        let query = "mutation($i: SignInInput!) { signIn(input: $i) { token userErrors { code } } }";
        let input = json!({ "login": login, "password": password });
        self.post(None, query, input).await["signIn"].clone()
    }

    /// In every account.
    async fn turn_lock_out_off(&self) {
        let root = self.sign_in("root@system", PASSWORD).await;
        let root = root["token"].as_str().unwrap_or_else(|| panic!("{root:#}"));
        let accounts = self.post(Some(root), "{ accounts { nodes { id } } }", json!({})).await;
        for account in accounts["accounts"]["nodes"].as_array().unwrap() {
            let query = "mutation($i: UpdateAccountInput!) { updateAccount(input: $i) { account { id } } }";
            let input = json!({ "id": account["id"], "passwordPolicy": { "lockoutThreshold": 0 } });
            let changed = self.post(Some(root), query, input).await;
            assert!(changed["updateAccount"]["account"].is_object(), "{changed:#}");
        }
    }

    /// How long a refusal takes.
    async fn refusal(&self, login: &str) -> Duration {
        let begun = Instant::now();
        let payload = self.sign_in(login, "wrong").await;
        let took = begun.elapsed();
        assert_eq!(payload["userErrors"][0]["code"], "WRONG_CREDENTIALS", "{login}");
        took
    }
}
