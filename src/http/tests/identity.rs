//! Who asks, and what a browser may do with the cookie.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::fake::TestServer;

const WHO: &str = "{ who }";

async fn who(request: RequestBuilder) -> Value {
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["data"]["who"].clone()
}

fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all("set-cookie");
    all.iter().map(|v| v.to_str().unwrap().to_owned()).collect()
}

const CLEARED: &str = "doorward_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0; Secure";

/// The status and code of a refusal, which has no data.
async fn refused(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer.get("data"), None, "{answer}");
    assert!(answer["errors"][0]["message"].is_string(), "{answer}");
    (
        status,
        answer["errors"][0]["extensions"]["code"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_bearer_or_a_cookie_says_who_asks() {
    let server = TestServer::start();
    let (token, name) = server.sign_in();
    assert_eq!(who(server.ask(WHO)).await, "nobody");
    assert_eq!(
        who(server.ask(WHO).header("authorization", format!("bEARER {token}"))).await,
        name
    );
    assert_eq!(
        who(server.ask(WHO).header("cookie", format!("doorward_session={token}"))).await,
        name
    );
    let both = server
        .ask(WHO)
        .bearer_auth(&token)
        .header("cookie", "doorward_session=x");
    let response = both.send().await.unwrap();
    assert!(
        cookies(&response).is_empty(),
        "the cookie does not count beside a bearer"
    );
    assert_eq!(response.json::<Value>().await.unwrap()["data"]["who"], name);
}

#[tokio::test]
async fn a_bearer_that_is_not_valid_is_refused_whatever_else_is_there() {
    let server = TestServer::start();
    let (token, _) = server.sign_in();
    let unknown = format!("Bearer dws_{}", "A".repeat(43));
    for line in ["", "Bearer", "Bearer x", unknown.as_str(), "Basic YTpi", token.as_str()] {
        let request = server
            .ask("mutation { count(afterMs: 0) }")
            .header("authorization", line)
            .header("cookie", format!("doorward_session={token}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer", "{line}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(refused(response).await, (401, "UNAUTHENTICATED".to_owned()), "{line}");
    }
    let twice = server
        .ask(WHO)
        .bearer_auth(&token)
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(refused(twice).await, (401, "UNAUTHENTICATED".to_owned()));
    assert_eq!(server.backend.counted.load(Ordering::SeqCst), 0, "nothing was executed");
}

#[tokio::test]
async fn a_cookie_that_is_not_valid_is_cleared_and_the_request_goes_on() {
    let server = TestServer::start();
    let unknown = format!("dws_{}", "A".repeat(43));
    for value in ["", "x", unknown.as_str()] {
        let request = server.ask(WHO).header("cookie", format!("doorward_session={value}"));
        let response = request.send().await.unwrap();
        assert_eq!(cookies(&response), [CLEARED], "{value}");
        assert_eq!(response.json::<Value>().await.unwrap()["data"]["who"], "nobody");
    }
    let bad = server
        .ask("")
        .header("cookie", "doorward_session=x")
        .send()
        .await
        .unwrap();
    assert_eq!((bad.status().as_u16(), cookies(&bad)), (400, vec![CLEARED.to_owned()]));
    let anew = server.ask("mutation { signIn }").header("cookie", "doorward_session=x");
    let set = cookies(&anew.send().await.unwrap());
    assert_eq!(set.len(), 1, "the new cookie and not the clearing: {set:?}");
    assert!(set[0].starts_with("doorward_session=dws_"), "{set:?}");
}

#[tokio::test]
async fn signing_in_and_out_sets_and_clears_the_cookie() {
    let server = TestServer::start();
    let set = cookies(&server.ask("mutation { signIn }").send().await.unwrap());
    assert!(
        set[0].starts_with("doorward_session=dws_")
            && set[0].ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=60; Secure"),
        "{set:?}"
    );
    assert_eq!(
        cookies(&server.ask("mutation { signOut }").send().await.unwrap()),
        [CLEARED]
    );
    let plain = TestServer::start_with(|s| s.public_url = "http://door.example.org".parse().unwrap(), None);
    let set = cookies(&plain.ask("mutation { signIn }").send().await.unwrap());
    assert!(set[0].ends_with("; Max-Age=60"), "{set:?}");
}

#[tokio::test]
async fn while_the_store_is_away_nobody_is_taken_for_nobody() {
    let server = TestServer::start_with(|s| s.answer_time = Duration::from_millis(300), None);
    let (token, _) = server.sign_in();
    let cookie = format!("doorward_session={token}");
    for flag in [&server.backend.is_away, &server.backend.is_mute] {
        flag.store(true, Ordering::SeqCst);
        for request in [
            server.ask(WHO).bearer_auth(&token),
            server.ask(WHO).header("cookie", &cookie),
        ] {
            let response = request.send().await.unwrap();
            assert!(cookies(&response).is_empty(), "the session lives on");
            assert_eq!(refused(response).await, (503, "UNAVAILABLE".to_owned()));
        }
        flag.store(false, Ordering::SeqCst);
    }
    let response = server.ask(WHO).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn the_cookie_works_from_our_own_pages_only() {
    let server = TestServer::start();
    let (token, name) = server.sign_in();
    let own = server.url.clone();
    let public = "https://door.example.org";
    let cases: &[(&str, &str, bool)] = &[
        ("sec-fetch-site", "same-origin", true),
        ("sec-fetch-site", "same-site", false),
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "none", false),
        ("origin", public, true),
        ("origin", &own, true),
        ("origin", "https://evil.test", false),
        ("origin", "null", false),
        ("x-nothing", "", true), // the content type alone, which no form can send
    ];
    for &(header, value, passes) in cases {
        let with_cookie = || {
            let request = server.ask(WHO).header(header, value);
            request.header("cookie", format!("doorward_session={token}"))
        };
        let response = with_cookie().send().await.unwrap();
        if passes {
            assert_eq!(
                response.json::<Value>().await.unwrap()["data"]["who"],
                name,
                "{header}: {value}"
            );
        } else {
            assert_eq!(
                refused(response).await,
                (403, "FORBIDDEN".to_owned()),
                "{header}: {value}"
            );
        }
        // Neither a bearer nor nobody relies on a cookie; but nobody gets one.
        assert_eq!(who(with_cookie().bearer_auth(&token)).await, name, "{header}: {value}");
        let request = server.ask("{ maySetCookie }").header(header, value);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["data"]["maySetCookie"], passes, "{header}: {value}");
    }
}

#[tokio::test]
async fn a_get_with_the_cookie_needs_a_word_about_its_origin() {
    let server = TestServer::start();
    let (token, name) = server.sign_in();
    let get = || {
        let request = server.request("GET", "/graphql?query={who}");
        request.header("cookie", format!("doorward_session={token}"))
    };
    for (header, value, passes) in [
        ("accept", "application/json", false),
        ("sec-fetch-site", "none", false),
        ("sec-fetch-site", "same-origin", true),
        ("content-type", "application/json", true),
        ("content-type", "text/plain", false),
    ] {
        let response = get().header(header, value).send().await.unwrap();
        if passes {
            assert_eq!(
                response.json::<Value>().await.unwrap()["data"]["who"],
                name,
                "{header}: {value}"
            );
        } else {
            assert_eq!(
                refused(response).await,
                (403, "FORBIDDEN".to_owned()),
                "{header}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn files_come_from_our_own_pages_only_whoever_sends_them() {
    let server = TestServer::start();
    let (token, _) = server.sign_in();
    let upload = || {
        super::protocol::upload(
            &server,
            "mutation($f: Upload!) { upload(file: $f) }",
            json!({ "f": null }),
        )
    };
    for request in [
        upload(),
        upload().bearer_auth(&token),
        upload().header("origin", "https://evil.test"),
    ] {
        assert_eq!(
            refused(request.send().await.unwrap()).await,
            (403, "FORBIDDEN".to_owned())
        );
    }
    let response = upload().header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({ "data": { "upload": 5 } })
    );
}

#[tokio::test]
async fn the_address_comes_from_trusted_proxies_only() {
    let server = TestServer::start();
    let ask = server.ask("{ ip browser }").header("x-forwarded-for", "203.0.113.9");
    let answer: Value = ask
        .header("user-agent", "curl/8.1.2")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["data"], json!({ "ip": "203.0.113.9", "browser": "curl 8" }));
}
