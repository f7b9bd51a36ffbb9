//! Every attempt leaves its event: also when nobody waits for the answer, when there is no place for it, and when it
//! belongs to no account.

use std::task::Poll;
use std::time::{Duration, Instant};

use doorward::auth::HashError;
use doorward::domain::login_event::LoginOutcome;
use doorward::service::SigningIn;
use futures_util::poll;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Told, behind_a_proxy, history, sign_in_from, verifications};
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};

on_both_stores!(
    hanging_up_is_no_way_around_the_history_and_the_counters,
    an_attempt_that_finds_no_place_is_one_event,
    an_attempt_at_an_unknown_account_belongs_to_system,
);

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

async fn hanging_up_is_no_way_around_the_history_and_the_counters(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| {
        // A fifth of a second for each: time to hang up in.
        (config.password.memory_kib, config.password.iterations) = (19_456, 20);
    })
    .await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 2)
        .await;
    let ann = gateway.user(&acme, "ann").await;
    let body = json!({ "query": "mutation { signIn(input: {login: \"ann@acme\", password: \"wrong\"}) { token } }" });
    let body = body.to_string();
    let address = gateway.url.strip_prefix("http://").unwrap();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // A client goes away, and then whoever asked for the attempt within the gateway.
    for attempt in 1..=2 {
        let worked = verifications(&gateway);
        if attempt == 1 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            begun(&gateway, worked).await;
        } else {
            let input = SigningIn {
                login: "ann@acme".to_owned(),
                password: "wrong".into(),
                origin: history(&gateway).await.remove(0).origin,
            };
            tokio::select! {
                result = gateway.services.sign_in(input) => panic!("it is over already: {result:?}"),
                () = begun(&gateway, worked) => {}
            }
        }
        assert!(history(&gateway).await.len() < attempt, "it is still being tried");
        let deadline = Instant::now() + SOON;
        while history(&gateway).await.len() < attempt {
            assert!(Instant::now() < deadline, "the attempt is nowhere");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let event = history(&gateway).await.remove(0);
        assert_eq!((event.outcome, event.user), (LoginOutcome::WrongPassword, Some(ann.id)));
    }
    assert_eq!(gateway.refusal("ann@acme", PASSWORD).await, "LOCKED");
}

/// Waits until another password is being tried.
async fn begun(gateway: &Gateway, worked: u64) {
    let deadline = Instant::now() + SOON;
    while verifications(gateway) == worked {
        assert!(Instant::now() < deadline, "the attempt does not begin");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn an_attempt_that_finds_no_place_is_one_event(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| {
        behind_a_proxy(config);
        config.password.threads = 1;
    })
    .await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 1)
        .await;
    let ann = gateway.user(&acme, "ann").await;
    // Each has come and waits, and none goes on while it is not asked to.
    let (hashes, password) = (&gateway.services.hashes, PASSWORD.into());
    let mut waiting = Vec::new();
    loop {
        let mut hash = Box::pin(hashes.hash(&password));
        match poll!(&mut hash) {
            Poll::Pending => waiting.push(hash),
            Poll::Ready(Ok(_)) => {} // quicker than it was looked at
            Poll::Ready(Err(HashError::Busy)) => break,
            Poll::Ready(Err(error)) => panic!("{error}"),
        }
    }
    for (login, user) in [("ann@acme", Some(ann.id)), ("ghost@acme", None)] {
        let before = history(&gateway).await.len();
        let told = sign_in_from(&gateway, "203.0.113.7", login, "wrong").await;
        assert_eq!(told, Told::to_wait("RATE_LIMITED", 5), "{login}");
        let events = history(&gateway).await;
        assert_eq!(events.len(), before + 1, "{login}");
        assert_eq!((events[0].outcome, events[0].user), (LoginOutcome::RateLimited, user));
    }
    drop(waiting);
    let told = sign_in_from(&gateway, "203.0.113.7", "ann@acme", PASSWORD).await;
    assert_eq!(told.code, "SIGNED_IN", "what was not tried was not wrong");
}

async fn an_attempt_at_an_unknown_account_belongs_to_system(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let system = gateway.system().await;
    gateway.master(&acme, "owner").await;
    gateway.master(&system, "root").await;
    let lost = ["ann@nowhere", "ann", "ann@acme@nowhere"];
    for login in lost {
        assert_eq!(gateway.refusal(login, PASSWORD).await, "WRONG_CREDENTIALS");
        let event = history(&gateway).await.remove(0);
        assert_eq!((event.account, event.user), (system.id, None), "{login}");
        assert_eq!(event.outcome, LoginOutcome::UnknownUser);
    }
    let seen = async |login: &str| {
        let query = "{ account { loginHistory(filter: {outcomes: [UNKNOWN_USER]}) { nodes { attemptedLogin } } } }";
        let data = gateway.sign_in(login).await.data(query).await;
        let nodes = data["account"]["loginHistory"]["nodes"].as_array().unwrap().clone();
        nodes
            .iter()
            .rev()
            .map(|event| event["attemptedLogin"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(seen("root@system").await, lost);
    assert!(seen("owner@acme").await.is_empty());
}
