//! The steps of a sign-in, each held by tests that fail without it: by what is told, what is written, and what is worked
//! on. `graphql/sign_in.rs` has what a client sees of an ordinary one.

mod after;
mod directory;
mod floor;
mod limits;
mod lock_out;
mod refusals;
pub mod secrets;

use std::time::Duration;

use doorward::config::Config;
use doorward::domain::ids::UserId;
use doorward::domain::login_event::{LoginEvent, LoginOutcome};
use doorward::domain::page::PageRequest;
use doorward::domain::query::LoginEventFilter;
use serde_json::{Value, json};

use crate::support::gateway::Gateway;

/// What somebody who signs in is told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// `SIGNED_IN`, or the code of the refusal.
    code: String,
    /// When to come back, in seconds: by the payload and by the header.
    again: [Option<u64>; 2],
}

impl Told {
    /// A refusal that says in how many seconds to come back.
    fn to_wait(code: &str, seconds: u64) -> Self {
        Self {
            code: code.to_owned(),
            again: [Some(seconds); 2],
        }
    }
}

/// The gateway believes whoever connects about where they come from.
fn behind_a_proxy(config: &mut Config) {
    config.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

/// Signs in from that address, behind a proxy.
async fn sign_in_from(gateway: &Gateway, ip: &str, login: &str, password: &str) -> Told {
    // No two attempts come at the same moment, so that what they leave has an order.
    gateway.wait(Duration::from_millis(1));
    let query = "mutation($i: SignInInput!) { signIn(input: $i) { token userErrors { code retryAfterSeconds } } }";
    let input = json!({ "login": login, "password": password });
    let request = gateway.post("/graphql").header("x-forwarded-for", ip);
    let request = request.json(&json!({ "query": query, "variables": { "i": input } }));
    let response = request.send().await.unwrap();
    let header = response.headers().get("retry-after");
    let header = header.map(|value| value.to_str().unwrap().parse().unwrap());
    let answer: Value = response.json().await.unwrap();
    let payload = &answer["data"]["signIn"];
    let error = &payload["userErrors"][0];
    let code = match payload["token"].as_str() {
        Some(_) => "SIGNED_IN",
        None => error["code"].as_str().unwrap_or_else(|| panic!("{answer:#}")),
    };
    Told {
        code: code.to_owned(),
        again: [error["retryAfterSeconds"].as_u64(), header],
    }
}

/// Everything in the history, newest first, without signing in to read it.
async fn history(gateway: &Gateway) -> Vec<LoginEvent> {
    let (filter, first) = (LoginEventFilter::default(), PageRequest::first(200));
    let pages = gateway.services.store.login_events(&[filter], &first).await;
    let page = pages.unwrap().remove(0);
    assert!(!page.has_more);
    page.items
}

/// The outcome of the last attempt.
async fn last_outcome(gateway: &Gateway) -> LoginOutcome {
    history(gateway).await[0].outcome
}

/// How many sessions a user has.
async fn sessions(gateway: &Gateway, user: UserId) -> usize {
    let store = &gateway.services.store;
    let found = store.sessions_of_users(&[user], gateway.now()).await;
    found.unwrap().len()
}

/// How many passwords were held against a hash so far, the one of nobody included.
fn verifications(gateway: &Gateway) -> u64 {
    gateway.services.hashes.verifications()
}
