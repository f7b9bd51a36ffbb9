//! The whole gateway over HTTP: what the specification of GraphQL over HTTP asks, and real sessions.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};

#[tokio::test(flavor = "multi_thread")]
async fn graphql_over_http_is_kept() {
    let gateway = Gateway::start(Backend::Sqlite).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http-audit");
    let packages = folder.join("node_modules/graphql-http");
    assert!(
        packages.is_dir(),
        "the audit is not installed: npm ci in {}",
        folder.display()
    );
    let url = format!("{}/graphql", gateway.url);
    let audit = move || {
        let mut node = Command::new("node");
        node.arg("audit.mjs").arg(url).current_dir(folder).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(audit).await.unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

on_both_stores!(
    the_cookie_of_a_sign_in_opens_the_session_until_it_ends,
    a_session_ends_for_the_bearer_too,
);

const VIEWER: &str = "{ viewer { user { login } } }";

fn ask(gateway: &Gateway, query: &str, variables: Value) -> RequestBuilder {
    let request = gateway.post("/graphql");
    request.json(&json!({ "query": query, "variables": variables }))
}

fn cookie_of(response: &Response) -> Option<&str> {
    response.headers().get("set-cookie").map(|v| v.to_str().unwrap())
}

/// Who the answer takes the caller for.
async fn viewer(response: Response) -> Value {
    let answer: Value = response.json().await.unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["viewer"]["user"]["login"].clone()
}

async fn the_cookie_of_a_sign_in_opens_the_session_until_it_ends(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let account = gateway.account("acme").await;
    gateway.user(&account, "ann").await;

    let sign_in =
        "mutation($input: SignInInput!) { signIn(input: $input) { token user { login } userErrors { code } } }";
    let input = json!({ "input": { "login": "ann@acme", "password": PASSWORD, "cookie": true } });
    let response = ask(&gateway, sign_in, input.clone()).send().await.unwrap();
    let set = cookie_of(&response).expect("a cookie").to_owned();
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Max-Age=43200");
    let answer: Value = response.json().await.unwrap();
    let expected = json!({ "token": null, "user": { "login": "ann" }, "userErrors": [] });
    assert_eq!(answer["data"]["signIn"], expected, "no script holds the secret");

    let with_cookie = |query: &str| ask(&gateway, query, json!({})).header("cookie", pair);
    assert_eq!(viewer(with_cookie(VIEWER).send().await.unwrap()).await, "ann");
    let foreign = with_cookie(VIEWER)
        .header("origin", "https://evil.test")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), 403);

    // Another site's page cannot sign its visitor in either.
    let foreign = ask(&gateway, sign_in, input).header("sec-fetch-site", "cross-site");
    let foreign = foreign.send().await.unwrap();
    assert_eq!(cookie_of(&foreign), None);

    let cleared = "doorward_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0";
    let sign_out = "mutation { signOut { userErrors { code } } }";
    let response = with_cookie(sign_out).send().await.unwrap();
    assert_eq!(cookie_of(&response), Some(cleared), "{response:?}");
    let response = with_cookie(VIEWER).send().await.unwrap();
    assert_eq!(cookie_of(&response), Some(cleared));
    assert_eq!(viewer(response).await, Value::Null);
}

async fn a_session_ends_for_the_bearer_too(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let account = gateway.account("acme").await;
    gateway.user(&account, "ann").await;
    let token = gateway.sign_in("ann@acme").await.token.unwrap();
    let with_token = || ask(&gateway, VIEWER, json!({})).bearer_auth(&token);
    assert_eq!(viewer(with_token().send().await.unwrap()).await, "ann");

    gateway.wait(Duration::from_secs(13 * 3600));
    let response = with_token().send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(answer.get("data"), None);
}
