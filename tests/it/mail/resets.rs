//! Forgotten passwords: what is answered, and when, says nothing about who is there.

use std::time::{Duration, Instant};

use doorward::config::Config;
use serde_json::{Value, json};

use super::post::{Post, change_password, id};
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    everybody_gets_the_same_answer,
    answers_take_alike,
    one_login_gets_three,
    one_network_gets_thirty,
    without_mail_there_is_no_way,
);

/// The shortest time in which an answer comes.
const FLOOR: Duration = Duration::from_millis(250);

/// What is answered to whoever asks, and when to come back, by the header.
async fn ask_from(gateway: &Gateway, ip: &str, login: &str) -> (Value, Option<u64>) {
    // No two requests come at the same moment, so that their links have an order.
    gateway.wait(Duration::from_millis(1));
    let query = "mutation($i: RequestPasswordResetInput!) { requestPasswordReset(input: $i) {
        accepted userErrors { code path message retryAfterSeconds } } }";
    let request = gateway.post("/graphql").header("x-forwarded-for", ip);
    let request = request.json(&json!({ "query": query, "variables": { "i": { "login": login } } }));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = response.headers().get("retry-after");
    let header = header.map(|value| value.to_str().unwrap().parse().unwrap());
    let answer: Value = response.json().await.unwrap();
    (answer["data"]["requestPasswordReset"].clone(), header)
}

fn accepted() -> (Value, Option<u64>) {
    (json!({ "accepted": true, "userErrors": [] }), None)
}

fn behind_a_proxy(config: &mut Config) {
    config.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

/// The start of a window of counting, so that none ends amid a test.
fn at_a_new_window(gateway: &Gateway) {
    let window = 15 * 60;
    let past = gateway.now().as_second().rem_euclid(window);
    gateway.wait(Duration::from_secs((window - past).unsigned_abs()));
}

/// People for whom nothing can be done, and logins that are nobody's.
async fn crowd(post: &Post) -> Vec<&'static str> {
    let gateway = &post.gateway;
    let corp = |account: &mut doorward::service::AccountInput| account.directory = Some("corp".to_owned());
    let acme = gateway.account_with("acme", corp).await;
    post.reader(&acme, "ann").await;
    post.reader_with(&acme, "ldap", |new| (new.is_ldap, new.password) = (true, None))
        .await;
    post.reader_with(&acme, "nomail", |new| new.email = None).await;
    let off = post.reader(&acme, "off").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let disabled = owner
        .mutate("disableUser", json!({ "id": id(&off) }), "user { id }")
        .await;
    assert_eq!(user_errors(&disabled), [""; 0]);
    let cold = gateway.account("cold").await;
    post.reader(&cold, "cai").await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    let cold = json!({ "id": doorward::graphql::node_id::encode(cold.id).to_string() });
    assert_eq!(
        user_errors(&root.mutate("freezeAccount", cold, "account { id }").await),
        [""; 0]
    );
    vec![
        "ghost@acme",
        "ann@nowhere",
        "ann",
        "",
        "@",
        "not a login @ acme",
        "ldap@acme",
        "nomail@acme",
        "off@acme",
        "cai@cold",
    ]
}

async fn with_a_directory(backend: Backend) -> Post {
    Post::start_with(backend, |config| {
        behind_a_proxy(config);
        let away = json!({ "servers": ["ldap://127.0.0.1:1"], "allow_plaintext": true, "base": ["dc=example,dc=org"] });
        config
            .directories
            .insert("corp".to_owned(), serde_json::from_value(away).unwrap());
    })
    .await
}

async fn everybody_gets_the_same_answer(backend: Backend) {
    let post = with_a_directory(backend).await;
    let nobodies = crowd(&post).await;
    for login in nobodies {
        assert_eq!(
            ask_from(&post.gateway, "192.0.2.1", login).await,
            accepted(),
            "{login:?}"
        );
    }
    post.none().await;
    for login in ["ann@acme", "ANN@Acme"] {
        assert_eq!(ask_from(&post.gateway, "192.0.2.1", login).await, accepted(), "{login}");
        assert_eq!(post.only().await.envelope.to, ["ann@example.org"]);
    }
}

async fn answers_take_alike(backend: Backend) {
    let post = with_a_directory(backend).await;
    let nobodies = crowd(&post).await;
    let time = async |login: &str| {
        let start = Instant::now();
        assert_eq!(ask_from(&post.gateway, "192.0.2.1", login).await, accepted());
        start.elapsed()
    };
    for login in nobodies.into_iter().chain(["ann@acme"]) {
        let took = time(login).await;
        assert!(took >= FLOOR, "{login:?} was answered after {took:?}");
    }
    // Queueing a mail goes on behind the floor. What else the machine does tells on single answers, not on all of them.
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..10 {
        at_a_new_window(&post.gateway);
        for (login, fastest) in ["ann@acme", "ghost@acme"].into_iter().zip(&mut fastest) {
            *fastest = time(login).await.min(*fastest);
        }
        if fastest[0].abs_diff(fastest[1]) < Duration::from_millis(30) {
            return;
        }
    }
    panic!("{fastest:?}");
}

async fn one_login_gets_three(backend: Backend) {
    let post = Post::start_with(backend, behind_a_proxy).await;
    let acme = post.gateway.account("acme").await;
    post.reader(&acme, "ann").await;
    post.reader(&acme, "bob").await;
    at_a_new_window(&post.gateway);
    for login in ["ann@acme", "ghost@acme"] {
        // From ever another network, and however it is typed.
        for n in 1..=3 {
            assert_eq!(
                ask_from(&post.gateway, &format!("192.0.{n}.1"), login).await,
                accepted()
            );
        }
        let (refused, header) = ask_from(&post.gateway, "192.0.9.1", &login.to_uppercase()).await;
        assert_eq!(user_errors(&refused), ["RATE_LIMITED"], "{login}: {refused:#}");
        assert_eq!(refused["accepted"], json!(false));
        let again = refused["userErrors"][0]["retryAfterSeconds"].as_u64().unwrap();
        assert!((1..=900).contains(&again), "{again}");
        assert_eq!(header, Some(again));
    }
    // Somebody else is not held up.
    assert_eq!(ask_from(&post.gateway, "192.0.1.1", "bob@acme").await, accepted());
    let mut to: Vec<String> = post
        .take()
        .await
        .into_iter()
        .map(|mail| mail.envelope.to[0].clone())
        .collect();
    to.dedup();
    assert_eq!(to, ["ann@example.org", "bob@example.org"]);
    at_a_new_window(&post.gateway);
    assert_eq!(ask_from(&post.gateway, "192.0.1.1", "ann@acme").await, accepted());
    post.only().await;
}

async fn one_network_gets_thirty(backend: Backend) {
    let post = Post::start_with(backend, behind_a_proxy).await;
    let acme = post.gateway.account("acme").await;
    post.reader(&acme, "ann").await;
    at_a_new_window(&post.gateway);
    let gateway = &post.gateway;
    let asked =
        (1..=30).map(|n| async move { ask_from(gateway, &format!("192.0.2.{n}"), &format!("u{n}@acme")).await });
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer, accepted());
    }
    for _ in 0..3 {
        let (refused, header) = ask_from(gateway, "192.0.2.200", "ann@acme").await;
        assert_eq!(user_errors(&refused), ["RATE_LIMITED"]);
        assert!(header.is_some_and(|seconds| (1..=900).contains(&seconds)), "{header:?}");
    }
    post.none().await;
    // What was refused there took nothing from what the login may still ask for from elsewhere.
    for n in 3..6 {
        assert_eq!(
            ask_from(gateway, &format!("192.0.{n}.200"), "ann@acme").await,
            accepted()
        );
        post.only().await;
    }
}

async fn without_mail_there_is_no_way(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 2)
        .await;
    let ann = gateway
        .user_with(&acme, "ann", |new| new.email = Some("ann@example.org".to_owned()))
        .await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    for login in ["ann@acme", "ghost@acme"] {
        let asked = gateway
            .nobody()
            .mutate("requestPasswordReset", json!({ "login": login }), "accepted")
            .await;
        assert_eq!(
            (user_errors(&asked), &asked["accepted"]),
            (vec!["MAIL_OFF".to_owned()], &json!(false))
        );
    }
    let sent = owner
        .mutate("sendAccessEmail", json!({ "id": id(&ann) }), "user { id }")
        .await;
    assert_eq!(user_errors(&sent), ["MAIL_OFF"]);
    let alert = json!({ "kind": "HARD_BOUNCES", "subject": "x", "body": "y" });
    let alert = owner.mutate("publishAlert", alert, "recipients").await;
    assert_eq!(user_errors(&alert), ["MAIL_OFF"]);
    // Nothing is kept for a day on which it is on.
    let me = gateway.sign_in("ann@acme").await;
    assert_eq!(
        user_errors(&change_password(&me, PASSWORD, "violet-Anchor-38-meadow").await),
        [""; 0]
    );
    for _ in 0..2 {
        gateway.refusal("ann@acme", "wrong").await;
    }
    let all = doorward::domain::mail::MailFilter::default();
    assert_eq!(gateway.services.store.count_mails(&[all]).await.unwrap(), [0]);
}
