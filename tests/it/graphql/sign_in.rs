//! Signing in, rule by rule.

use std::time::Duration;

use doorward::domain::account::AccountStatus;
use doorward::domain::user::UserStatus;
use serde_json::{Value, json};

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    a_right_password_opens_a_session,
    logins_are_folded_and_split_at_the_last_at,
    every_refusal_has_its_outcome_and_its_code,
    impossible_passwords_are_refused_before_any_work,
    wrong_passwords_lock_a_login_here_and_then_everywhere,
    logins_that_do_not_exist_lock_alike,
    guesses_sent_at_once_are_counted_one_by_one,
    floods_are_limited_and_written_once,
    weak_hashes_are_renewed_at_the_next_sign_in,
    sessions_end_when_they_are_idle_or_old,
    signing_out_ends_the_session,
    a_cookie_keeps_the_token_from_scripts,
);

/// The outcomes in the history, newest first.
async fn outcomes(gateway: &Gateway) -> Vec<(String, String)> {
    let system = gateway.system().await;
    if gateway
        .services
        .command_line()
        .user_by_login("watch@system")
        .await
        .unwrap()
        .is_none()
    {
        gateway.master(&system, "watch").await;
    }
    let watch = gateway.sign_in("watch@system").await;
    let data = watch
        .data("{ loginHistory(first: 200) { nodes { outcome attemptedLogin } } }")
        .await;
    let word = |v: &Value| v.as_str().unwrap().to_owned();
    let events = data["loginHistory"]["nodes"].as_array().unwrap();
    events
        .iter()
        .map(|e| (word(&e["outcome"]), word(&e["attemptedLogin"])))
        .filter(|(_, login)| login != "watch@system")
        .collect()
}

async fn a_right_password_opens_a_session(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let before = gateway.master(&acme, "owner").await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let query = "mutation { signIn(input: {login: \"owner@acme\", password: \"tidal-Copper-92-orchard\"}) {
        token mustChangePassword userErrors { code }
        user { login qualifiedLogin lastLogin { outcome browser } account { name } }
        session { isCurrent browser ip user { login } } } }";
    let answer: Value = gateway
        .post("/graphql")
        .header("user-agent", agent)
        .json(&json!({ "query": query }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let payload = &answer["data"]["signIn"];
    assert_eq!(payload["user"]["qualifiedLogin"], "owner@acme", "{answer:#}");
    assert_eq!(payload["user"]["account"]["name"], "acme");
    assert_eq!(
        payload["user"]["lastLogin"],
        json!({ "outcome": "SUCCESS", "browser": "Firefox 140" })
    );
    assert_eq!(
        payload["session"],
        json!({ "isCurrent": true, "browser": "Firefox 140", "ip": "127.0.0.1", "user": { "login": "owner" } })
    );
    assert_eq!(
        (&payload["mustChangePassword"], &payload["userErrors"]),
        (&json!(false), &json!([]))
    );

    let me = gateway.with_token(payload["token"].as_str().unwrap());
    let data = me
        .data(
            "{ viewer { isMaster isOperator permissions can(permission: \"users:write\") session { isCurrent }
               user { revision sessions { isCurrent } loginHistory { totalCount nodes { outcome method ip detail } } } } }",
        )
        .await;
    let viewer = &data["viewer"];
    assert_eq!(
        (&viewer["isMaster"], &viewer["isOperator"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(viewer["can"], json!(true));
    assert_eq!(viewer["user"]["revision"], before.revision, "a sign-in is no change");
    assert_eq!(viewer["user"]["sessions"], json!([{ "isCurrent": true }]));
    assert_eq!(
        viewer["user"]["loginHistory"],
        json!({ "totalCount": 1, "nodes": [{ "outcome": "SUCCESS", "method": "LOCAL", "ip": "127.0.0.1", "detail": null }] })
    );
}

async fn logins_are_folded_and_split_at_the_last_at(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "owner@corp.example").await;
    for typed in [
        "owner@corp.example@acme",
        "  OWNER@Corp.Example@ACME ",
        "ｏｗｎｅｒ@corp.example@acme",
    ] {
        let payload = gateway.try_sign_in(typed, PASSWORD).await;
        assert_eq!(payload["user"]["login"], "owner@corp.example", "{typed}: {payload}");
    }
    assert_eq!(
        gateway.refusal("owner@corp.example", PASSWORD).await,
        "WRONG_CREDENTIALS"
    );
}

async fn every_refusal_has_its_outcome_and_its_code(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, cold) = (gateway.account("acme").await, gateway.account("cold").await);
    gateway.master(&acme, "owner").await;
    let gone = gateway.user(&acme, "gone").await;
    gateway.user(&cold, "bob").await;
    gateway.user_with(&acme, "nopass", |new| new.password = None).await;
    let shell = gateway.services.command_line();
    shell
        .write_users()
        .unwrap()
        .set_status(gone.id, UserStatus::Disabled)
        .await
        .unwrap();
    shell
        .write_accounts()
        .unwrap()
        .set_status(cold.id, AccountStatus::Frozen)
        .await
        .unwrap();

    let long = format!("{}@acme", "x".repeat(100));
    for (login, password, code, outcome) in [
        ("owner@acme", "wrong", "WRONG_CREDENTIALS", "WRONG_PASSWORD"),
        ("nobody@acme", PASSWORD, "WRONG_CREDENTIALS", "UNKNOWN_USER"),
        ("owner@nowhere", PASSWORD, "WRONG_CREDENTIALS", "UNKNOWN_USER"),
        ("owner", PASSWORD, "WRONG_CREDENTIALS", "UNKNOWN_USER"),
        ("", PASSWORD, "WRONG_CREDENTIALS", "UNKNOWN_USER"),
        (long.as_str(), PASSWORD, "WRONG_CREDENTIALS", "UNKNOWN_USER"),
        ("nopass@acme", PASSWORD, "WRONG_CREDENTIALS", "WRONG_PASSWORD"),
        // Only whoever knows the password is told more.
        ("gone@acme", "wrong", "WRONG_CREDENTIALS", "WRONG_PASSWORD"),
        ("gone@acme", PASSWORD, "DISABLED", "DISABLED"),
        ("bob@cold", "wrong", "WRONG_CREDENTIALS", "WRONG_PASSWORD"),
        ("bob@cold", PASSWORD, "ACCOUNT_FROZEN", "ACCOUNT_FROZEN"),
    ] {
        gateway.wait(Duration::from_millis(10));
        assert_eq!(gateway.refusal(login, password).await, code, "{login} {password}");
        let written = outcomes(&gateway).await;
        assert_eq!(written[0].0, outcome, "{login} {password}");
        assert!(written[0].1.chars().count() <= 64, "{written:?}");
    }
    assert_eq!(outcomes(&gateway).await.len(), 11, "one event an attempt");
}

async fn impossible_passwords_are_refused_before_any_work(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "owner").await;
    let over_long = "x".repeat(1025);
    for password in ["", over_long.as_str()] {
        for login in ["owner@acme", "nobody@acme"] {
            gateway.wait(Duration::from_millis(10));
            assert_eq!(gateway.refusal(login, password).await, "WRONG_CREDENTIALS");
            assert_eq!(outcomes(&gateway).await[0].0, "WRONG_PASSWORD");
        }
    }
}

async fn wrong_passwords_lock_a_login_here_and_then_everywhere(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| {
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let acme = gateway
        .account_with("acme", |a| {
            (a.password_policy.lockout_threshold, a.password_policy.lockout_minutes) = (3, 15)
        })
        .await;
    gateway.user(&acme, "ann").await;
    let from = async |ip: &str, password: &str| {
        let query = "mutation($p: String!) { signIn(input: {login: \"ann@acme\", password: $p}) {
            token userErrors { code retryAfterSeconds } } }";
        let request = gateway.post("/graphql").header("x-forwarded-for", ip);
        let request = request.json(&json!({ "query": query, "variables": { "p": password } }));
        let response = request.send().await.unwrap();
        let retry = response
            .headers()
            .get("retry-after")
            .map(|v| v.to_str().unwrap().to_owned());
        let answer: Value = response.json().await.unwrap();
        let payload = &answer["data"]["signIn"];
        let code = payload["userErrors"][0]["code"]
            .as_str()
            .unwrap_or("SIGNED_IN")
            .to_owned();
        if code == "LOCKED" {
            assert_eq!(
                retry,
                payload["userErrors"][0]["retryAfterSeconds"]
                    .as_u64()
                    .map(|s| s.to_string())
            );
        }
        code
    };
    for _ in 0..3 {
        assert_eq!(from("203.0.113.5", "wrong").await, "WRONG_CREDENTIALS");
    }
    assert_eq!(
        from("203.0.113.200", PASSWORD).await,
        "LOCKED",
        "the same /24, and the right password"
    );
    assert_eq!(
        from("198.51.100.1", PASSWORD).await,
        "SIGNED_IN",
        "a stranger locks nobody out elsewhere"
    );
    gateway.wait(Duration::from_secs(15 * 60 + 1));
    assert_eq!(from("203.0.113.5", PASSWORD).await, "SIGNED_IN", "the lock has passed");

    // A botnet: five times as many, from everywhere.
    for i in 0..15 {
        assert_eq!(
            from(&format!("198.18.{i}.1"), "wrong").await,
            "WRONG_CREDENTIALS",
            "{i}"
        );
    }
    assert_eq!(from("192.0.2.1", PASSWORD).await, "LOCKED");
    let root = gateway.system().await;
    gateway.master(&root, "root").await;
    let root = gateway.sign_in("root@system").await;
    let data = root
        .data("{ users(filter: {isLocked: true}) { nodes { login lockedUntil } } }")
        .await;
    assert_eq!(data["users"]["nodes"][0]["login"], "ann");
    gateway.wait(Duration::from_secs(15 * 60 + 1));
    let data =
        root.data("{ users(filter: {isLocked: true}) { nodes { login } } user(login: \"ann@acme\") { lockedUntil } }");
    assert_eq!(
        data.await,
        json!({ "users": { "nodes": [] }, "user": { "lockedUntil": null } })
    );
}

async fn logins_that_do_not_exist_lock_alike(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    gateway
        .account_with("acme", |a| a.password_policy.lockout_threshold = 2)
        .await;
    for login in ["ghost@acme", "ghost@nowhere", "ghost"] {
        let threshold = if login == "ghost@acme" { 2 } else { 10 };
        for _ in 0..threshold {
            assert_eq!(gateway.refusal(login, "wrong").await, "WRONG_CREDENTIALS");
        }
        assert_eq!(gateway.refusal(login, "wrong").await, "LOCKED", "{login}");
    }
}

async fn guesses_sent_at_once_are_counted_one_by_one(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |a| a.password_policy.lockout_threshold = 4)
        .await;
    gateway.user(&acme, "ann").await;
    let guesses = (0..20).map(|_| gateway.refusal("ann@acme", "wrong"));
    let codes = futures_util::future::join_all(guesses).await;
    let tried = codes.iter().filter(|code| *code == "WRONG_CREDENTIALS").count();
    assert_eq!(
        (tried, codes.iter().filter(|code| *code == "LOCKED").count()),
        (4, 16),
        "{codes:?}"
    );
    // Nor do aliases help: few sign-ins fit into one request.
    let many: Vec<String> = (0..20)
        .map(|i| format!("a{i}: signIn(input: {{login: \"ann@acme\", password: \"{i}\"}}) {{ token }}"))
        .collect();
    assert_eq!(
        gateway
            .nobody()
            .error(&format!("mutation {{ {} }}", many.join(" ")))
            .await,
        "BAD_REQUEST"
    );
}

async fn floods_are_limited_and_written_once(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| config.limits.sign_in_per_login = 3).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    for _ in 0..3 {
        gateway.sign_in("ann@acme").await;
    }
    for _ in 0..4 {
        let payload = gateway.try_sign_in("ann@acme", PASSWORD).await;
        assert_eq!(user_errors(&payload), ["RATE_LIMITED"]);
        assert!((1..=60).contains(&payload["userErrors"][0]["retryAfterSeconds"].as_u64().unwrap()));
    }
    let limited: Vec<_> = outcomes(&gateway)
        .await
        .into_iter()
        .filter(|(o, _)| o == "RATE_LIMITED")
        .collect();
    assert_eq!(limited.len(), 1, "one event for the whole window");
    gateway.wait(Duration::from_secs(60));
    let root = gateway.sign_in("watch@system").await;
    let data = root
        .data("{ loginHistory(filter: {outcomes: [RATE_LIMITED]}) { nodes { detail } } }")
        .await;
    assert_eq!(
        data["loginHistory"]["nodes"][0]["detail"],
        "4 attempts over the limit in this minute"
    );
    gateway.sign_in("ann@acme").await;
}

async fn weak_hashes_are_renewed_at_the_next_sign_in(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| config.password.memory_kib = 128).await;
    let acme = gateway.account("acme").await;
    let ann = gateway.user(&acme, "ann").await;
    let stored = async || {
        let credentials = gateway.services.store.credentials(ann.id).await.unwrap().unwrap();
        credentials.hash.unwrap().expose().to_owned()
    };
    let strong = stored().await;
    gateway.sign_in("ann@acme").await;
    assert_eq!(stored().await, strong, "a current hash is kept");

    // The same store under a configuration that asks for more.
    let parameters = doorward::auth::HashParameters {
        memory_kib: 256,
        iterations: 2,
        parallelism: 1,
    };
    let entropy = gateway.services.entropy.clone();
    let hashes = doorward::auth::HashPool::new(parameters, 1, entropy).unwrap();
    let mut services = (*gateway.services).clone();
    services.authenticators.local = std::sync::Arc::new(doorward::auth::LocalAuthenticator::new(hashes));
    let services = std::sync::Arc::new(services);
    let origin = doorward::domain::login_event::EventOrigin {
        ip: "127.0.0.1".parse().unwrap(),
        location: None,
        browser: None,
        operating_system: None,
        device: None,
        user_agent: None,
    };
    let signing_in = doorward::service::SigningIn {
        login: "ann@acme".to_owned(),
        password: PASSWORD.into(),
        origin,
    };
    services.sign_in(signing_in).await.unwrap();
    assert!(stored().await.contains("m=256,t=2"), "renewed");
    gateway.sign_in("ann@acme").await;
}

async fn sessions_end_when_they_are_idle_or_old(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| {
        (config.session.lifetime, config.session.idle) = (Duration::from_secs(7200), Duration::from_secs(1800));
    })
    .await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let who = "{ viewer { user { login } } }";
    let idle = gateway.sign_in("ann@acme").await;
    let used = gateway.sign_in("ann@acme").await;
    for _ in 0..5 {
        gateway.wait(Duration::from_secs(1500));
        let answer = used.ask(who, json!({})).await;
        if gateway.now() < used_until(&gateway, &answer) {
            assert_eq!(answer["data"]["viewer"]["user"]["login"], "ann");
        }
        // The last use is written in the background.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(idle.error(who).await, "UNAUTHENTICATED");
    assert_eq!(
        used.error(who).await,
        "UNAUTHENTICATED",
        "older than its lifetime, however busy"
    );
}

/// Far in the future while the session answers, long ago once it does not.
fn used_until(gateway: &Gateway, answer: &Value) -> jiff::Timestamp {
    if answer.get("errors").is_some() {
        jiff::Timestamp::UNIX_EPOCH
    } else {
        gateway.now() + Duration::from_secs(1)
    }
}

async fn signing_out_ends_the_session(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let (ann, other) = (gateway.sign_in("ann@acme").await, gateway.sign_in("ann@acme").await);
    assert_eq!(
        ann.data("mutation { signOut { done userErrors { code } } }").await["signOut"]["done"],
        json!(true)
    );
    assert_eq!(ann.error("{ viewer { user { login } } }").await, "UNAUTHENTICATED");
    other.data("{ viewer { user { login } } }").await;
    assert_eq!(
        gateway.nobody().error("mutation { signOut { done } }").await,
        "UNAUTHENTICATED"
    );
}

async fn a_cookie_keeps_the_token_from_scripts(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let sign_in = json!({ "query": "mutation($p: String!) { signIn(input: {login: \"ann@acme\", password: $p, cookie: true}) { token user { login } } }",
        "variables": { "p": PASSWORD } });
    let response = gateway
        .post("/graphql")
        .header("sec-fetch-site", "same-origin")
        .json(&sign_in)
        .send()
        .await
        .unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(
        answer["data"]["signIn"],
        json!({ "token": null, "user": { "login": "ann" } })
    );
    for part in ["doorward_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let who = json!({ "query": "{ viewer { user { login } } }" });
    let asked = gateway
        .post("/graphql")
        .header("cookie", pair)
        .header("sec-fetch-site", "same-origin")
        .json(&who);
    let answer: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["viewer"]["user"]["login"], "ann");
    let foreign = gateway
        .post("/graphql")
        .header("sec-fetch-site", "cross-site")
        .json(&sign_in)
        .send()
        .await
        .unwrap();
    assert!(foreign.headers().get("set-cookie").is_none());
}
