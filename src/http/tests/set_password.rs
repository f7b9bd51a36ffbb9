//! The page behind a link in a mail.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::fake::TestServer;
use super::surroundings::Log;
use crate::domain::account::Language;
use crate::domain::link::LinkState;
use crate::domain::password::PasswordPolicy;
use crate::service::{ErrorCode, LinkSeen, Problem};

const TOKEN: &str = "dwl_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
const PASSWORD: &str = "plaited+harbour%2094+velvet";

fn seen(language: Language, state: LinkState) -> LinkSeen {
    let dead = Problem::at(&["token"], ErrorCode::ExpiredLink, "It is no use.");
    LinkSeen {
        login: "ann@acme".to_owned(),
        language,
        policy: PasswordPolicy::default(),
        state,
        refusal: (state != LinkState::Valid).then_some(dead),
    }
}

fn start(language: Language) -> TestServer {
    start_with(seen(language, LinkState::Valid))
}

fn start_with(link: LinkSeen) -> TestServer {
    let plain = |settings: &mut super::super::HttpSettings| {
        settings.public_url = "http://door.example.org".parse().unwrap();
        settings.answer_time = Duration::from_millis(300);
    };
    let server = TestServer::start_with(plain, None);
    server.backend.links.lock().unwrap().insert(TOKEN.to_owned(), link);
    server
}

fn open(server: &TestServer) -> RequestBuilder {
    server.request("GET", &format!("/set-password?token={TOKEN}"))
}

fn post(server: &TestServer, body: impl Into<String>) -> RequestBuilder {
    server
        .request("POST", "/set-password")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.into())
}

fn body(password: &str, repeat: &str) -> String {
    format!("token={TOKEN}&seal=&username=ann%40acme&password={password}&repeat={repeat}")
}

/// As a browser sends it from the page.
fn send(server: &TestServer, password: &str, repeat: &str) -> RequestBuilder {
    post(server, body(password, repeat)).header("sec-fetch-site", "same-origin")
}

fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all("set-cookie");
    all.iter().map(|v| v.to_str().unwrap().to_owned()).collect()
}

/// The value of a hidden field.
fn field<'a>(html: &'a str, name: &str) -> &'a str {
    let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split_once('"').unwrap().0
}

fn redeemed(server: &TestServer) -> usize {
    server.backend.redeemed.lock().unwrap().len()
}

#[tokio::test]
async fn opening_a_link_shows_the_form_and_does_nothing() {
    let server = start(Language::En);
    for _ in 0..3 {
        let response = open(&server).header("accept-language", "ru").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("content-language", "en"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-robots-tag", "noindex, nofollow"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        let policy = headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'; ",
            "style-src 'sha256-",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
        let set = cookies(&response);
        assert_eq!(set.len(), 1, "{set:?}");
        assert!(
            set[0].starts_with("doorward_form=") && set[0].ends_with("; HttpOnly; SameSite=Strict; Path=/set-password"),
            "{set:?}"
        );
        let html = response.text().await.unwrap();
        assert!(
            html.contains("ann@acme") && html.contains("Choose a password"),
            "{html}"
        );
        assert_eq!(field(&html, "token"), TOKEN);
    }
    let head = server.request("HEAD", &format!("/set-password?token={TOKEN}"));
    let head = head.send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.text().await.unwrap().is_empty());
    assert_eq!(redeemed(&server), 0);
}

#[tokio::test]
async fn the_form_sets_the_password_and_signs_in() {
    let server = start(Language::En);
    let request = send(&server, PASSWORD, PASSWORD).header("x-forwarded-for", "203.0.113.9");
    let response = request.header("user-agent", "curl/8.1.2").send().await.unwrap();
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let set = cookies(&response);
    let (session, attributes) = set[0].split_once("; ").unwrap();
    assert!(session.starts_with("doorward_session=dws_"), "{set:?}");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
    assert_eq!(
        set[1],
        "doorward_form=; HttpOnly; SameSite=Strict; Max-Age=0; Path=/set-password"
    );
    {
        let redeemed = server.backend.redeemed.lock().unwrap();
        assert_eq!(redeemed.len(), 1);
        assert_eq!(redeemed[0].token, TOKEN);
        assert_eq!(redeemed[0].password.expose_secret(), "plaited harbour 94 velvet");
        assert_eq!(redeemed[0].origin.ip.to_string(), "203.0.113.9");
        assert_eq!(redeemed[0].origin.browser.as_deref(), Some("curl 8"));
    }
    let who = server.ask("{ who }").header("cookie", session);
    let answer: Value = who.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["who"], "ann@acme");
}

#[tokio::test]
async fn over_https_both_cookies_are_secure() {
    let server = TestServer::start();
    let link = seen(Language::En, LinkState::Valid);
    server.backend.links.lock().unwrap().insert(TOKEN.to_owned(), link);
    let set = cookies(&open(&server).send().await.unwrap());
    assert!(
        set[0].starts_with("__Host-doorward_form=") && set[0].ends_with("; HttpOnly; SameSite=Strict; Path=/; Secure"),
        "{set:?}"
    );
    let set = cookies(&send(&server, PASSWORD, PASSWORD).send().await.unwrap());
    assert!(
        set[0].starts_with("doorward_session=dws_") && set[0].ends_with("; Secure"),
        "{set:?}"
    );
}

#[tokio::test]
async fn the_form_is_taken_from_our_own_page_only() {
    let server = start(Language::En);
    let opened = open(&server).send().await.unwrap();
    let cookie = cookies(&opened)[0].split_once(';').unwrap().0.to_owned();
    let seal = field(&opened.text().await.unwrap(), "seal").to_owned();
    assert_eq!(cookie, format!("doorward_form={seal}"));
    let sealed = body(PASSWORD, PASSWORD).replace("seal=", &format!("seal={seal}"));

    let (own, public) = (server.url.clone(), "http://door.example.org");
    let same: &[&[(&str, &str)]] = &[
        &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        &[("origin", public)],
        &[("origin", &own)],
    ];
    let foreign: &[&[(&str, &str)]] = &[
        &[("sec-fetch-site", "cross-site"), ("origin", "null")],
        &[("sec-fetch-site", "same-site"), ("origin", public)],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.test")],
    ];
    let unsaid: &[&[(&str, &str)]] = &[&[("origin", "null")], &[]];
    let with = |body: &str, headers: &[(&str, &str)]| {
        let request = post(&server, body);
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let mut taken = 0;
    for headers in same {
        let response = with(&body(PASSWORD, PASSWORD), headers).send().await.unwrap();
        taken += 1;
        assert_eq!(
            (response.status().as_u16(), redeemed(&server)),
            (303, taken),
            "{headers:?}"
        );
    }
    for headers in foreign {
        // Not even with what the page carries: the browser says that it is another's.
        let response = with(&sealed, headers).header("cookie", &cookie).send().await.unwrap();
        assert_eq!(response.status(), 403, "{headers:?}");
        assert!(cookies(&response).is_empty(), "{headers:?}");
        assert!(!response.text().await.unwrap().contains("<form"), "{headers:?}");
    }
    for headers in unsaid {
        for (sent, kept) in [
            (body(PASSWORD, PASSWORD), None),
            (body(PASSWORD, PASSWORD), Some(cookie.as_str())),
            (body(PASSWORD, PASSWORD), Some("doorward_form=")),
            (sealed.clone(), None),
            (sealed.clone(), Some("doorward_form=")),
            (sealed.replace(&seal, &"A".repeat(43)), Some(cookie.as_str())),
        ] {
            let request = with(&sent, headers);
            let request = kept
                .iter()
                .fold(request, |request, kept| request.header("cookie", *kept));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 403, "{headers:?} {kept:?}");
            assert!(!cookies(&response).iter().any(|c| c.contains("session")));
            let html = response.text().await.unwrap();
            assert!(html.contains("Allow cookies") && html.contains("<form"), "{html}");
        }
        assert_eq!(redeemed(&server), taken);
        let response = with(&sealed, headers).header("cookie", &cookie).send().await.unwrap();
        taken += 1;
        assert_eq!(
            (response.status().as_u16(), redeemed(&server)),
            (303, taken),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn a_browser_keeps_one_seal_for_all_its_forms() {
    let server = start(Language::En);
    let first = open(&server).send().await.unwrap();
    let cookie = cookies(&first)[0].split_once(';').unwrap().0.to_owned();
    let seal = field(&first.text().await.unwrap(), "seal").to_owned();
    let again = open(&server).header("cookie", &cookie).send().await.unwrap();
    assert!(cookies(&again).is_empty());
    assert_eq!(field(&again.text().await.unwrap(), "seal"), seal);
    let other = open(&server).send().await.unwrap();
    assert_ne!(field(&other.text().await.unwrap(), "seal"), seal);
}

#[tokio::test]
async fn a_link_that_does_not_work_says_why_to_whoever_opens_it_and_whoever_sends() {
    let refused = |code| LinkSeen {
        refusal: Some(Problem::new(code, "No.")),
        ..seen(Language::Ru, LinkState::Valid)
    };
    let dead = |state| seen(Language::Ru, state);
    for (link, status, words) in [
        (dead(LinkState::Used), 410, "Ссылка уже использована"),
        (dead(LinkState::Superseded), 410, "отправлена более новая"),
        (dead(LinkState::Expired), 410, "Срок действия ссылки истёк"),
        (refused(ErrorCode::Disabled), 403, "пользователь отключён"),
        (refused(ErrorCode::AccountFrozen), 403, "аккаунт заморожен"),
    ] {
        let server = start_with(link);
        for request in [
            open(&server),
            send(&server, PASSWORD, PASSWORD),
            send(&server, "a", "b"),
        ] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{words}");
            assert_eq!(response.headers()["content-language"], "ru");
            assert!(cookies(&response).is_empty(), "{words}");
            let html = response.text().await.unwrap();
            assert!(html.contains(words), "{html}");
            assert!(!html.contains("<form") && !html.contains("ann@acme"), "{html}");
        }
        assert_eq!(redeemed(&server), 0);
    }
}

#[tokio::test]
async fn a_link_that_nobody_knows_is_answered_in_the_browsers_language() {
    let server = start(Language::En);
    let unknown = TOKEN.replace("dwl_QQ", "dwl_Qg").replace("QUFB", "QUFC");
    let path = format!("/set-password?token={unknown}");
    let sent = body(PASSWORD, PASSWORD).replace(TOKEN, &unknown);
    for (language, words) in [
        ("en-GB", "There is no such link"),
        ("ru-RU,en;q=0.5", "Такой ссылки нет"),
    ] {
        for request in [
            server.request("GET", &path),
            post(&server, sent.as_str()).header("sec-fetch-site", "same-origin"),
        ] {
            let response = request.header("accept-language", language).send().await.unwrap();
            assert_eq!(response.status(), 410);
            let html = response.text().await.unwrap();
            assert!(html.contains(words) && !html.contains(&unknown), "{html}");
        }
    }
    for path in [
        "/set-password".to_owned(),
        "/set-password?token=".to_owned(),
        "/set-password?token=%ff%fe".to_owned(),
        format!("/set-password?token={TOKEN}&token={TOKEN}"),
        format!("/set-password?token={}", "a".repeat(4000)),
    ] {
        let response = server.request("GET", &path).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        let html = response.text().await.unwrap();
        assert!(html.contains("did not arrive whole"), "{html}");
    }
    assert_eq!(redeemed(&server), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_password_is_said_above_the_form() {
    let server = start(Language::En);
    let weak = |code| Problem::at(&["newPassword"], code, "English of the service's own.");
    let often = Problem {
        retry_after: Some(41),
        ..Problem::new(ErrorCode::RateLimited, "Wait.")
    };
    for (problem, password, repeat, status, words) in [
        (None, "a", "b", 422, "The two entries differ"),
        (
            Some(weak(ErrorCode::WeakPassword)),
            "a",
            "a",
            422,
            "at least 12 characters",
        ),
        (
            Some(weak(ErrorCode::WeakPassword)),
            PASSWORD,
            PASSWORD,
            422,
            "too easy to guess",
        ),
        (
            Some(weak(ErrorCode::ReusedPassword)),
            PASSWORD,
            PASSWORD,
            422,
            "used before",
        ),
        (
            Some(weak(ErrorCode::TooLong)),
            PASSWORD,
            PASSWORD,
            422,
            "up to 1024 bytes",
        ),
        (
            Some(weak(ErrorCode::Invalid)),
            "a%00",
            "a%00",
            422,
            "no password may have",
        ),
        (Some(often), PASSWORD, PASSWORD, 429, "Try again in 41 s"),
    ] {
        *server.backend.refuses.lock().unwrap() = problem;
        let response = send(&server, password, repeat).send().await.unwrap();
        assert_eq!(response.status(), status, "{words}");
        let wait = response
            .headers()
            .get("retry-after")
            .map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(wait.as_deref(), (status == 429).then_some("41"), "{words}");
        let html = response.text().await.unwrap();
        assert!(html.contains(words) && !html.contains("service's own"), "{html}");
        assert_eq!(field(&html, "token"), TOKEN, "it can be sent again");
        assert!(!html.contains("velvet"), "{html}");
    }
    for (code, words) in [
        (ErrorCode::IsLdap, "directory, and is changed there"),
        (ErrorCode::DirectoryOnly, "directory only"),
        (ErrorCode::Conflict, "Ask your administrator"),
    ] {
        *server.backend.refuses.lock().unwrap() = Some(Problem::new(code, "No."));
        let response = send(&server, PASSWORD, PASSWORD).send().await.unwrap();
        assert_eq!(response.status(), 403, "{words}");
        let html = response.text().await.unwrap();
        assert!(html.contains(words) && !html.contains("<form"), "{html}");
    }
    assert_eq!(redeemed(&server), 0);
}

#[tokio::test]
async fn while_the_store_is_away_the_page_says_so() {
    let server = start(Language::Ru);
    for flag in [&server.backend.is_away, &server.backend.is_mute] {
        flag.store(true, Ordering::SeqCst);
        for request in [
            open(&server),
            send(&server, PASSWORD, PASSWORD),
            send(&server, "a", "b"),
        ] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 503);
            let html = response.text().await.unwrap();
            assert!(html.contains("at the moment") && !html.contains("10.1.2.3"), "{html}");
        }
        flag.store(false, Ordering::SeqCst);
    }
    assert_eq!(open(&server).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_no_page_of_ours_sends_is_refused_in_words() {
    let server = start(Language::En);
    let good = body(PASSWORD, PASSWORD);
    for (sent, status, words) in [
        (String::new(), 400, "no field “token”"),
        (good.replace("repeat=", "other="), 400, "no field “repeat”"),
        (format!("{good}&password=x"), 400, "“password” more than once"),
        (format!("{good}&token={TOKEN}"), 400, "“token” more than once"),
        (good.replace("94", "%ff"), 400, "“password” is not UTF-8"),
        (good.replace(TOKEN, &"a".repeat(200)), 400, "“token” is too long"),
        (format!("{good}&{}", "x".repeat(17_000)), 413, "too long"),
    ] {
        let request = post(&server, sent).header("sec-fetch-site", "same-origin");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{words}");
        let html = response.text().await.unwrap();
        assert!(html.contains(words), "{html}");
    }
    for content_type in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let request = server
            .request("POST", "/set-password")
            .header("content-type", content_type);
        let request = request.header("sec-fetch-site", "same-origin").body(good.clone());
        assert_eq!(request.send().await.unwrap().status(), 415, "{content_type}");
    }
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
        let response = server
            .request(method, "/set-password")
            .body(good.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 405, "{method}");
        let mut allowed: Vec<&str> = response.headers()["allow"]
            .to_str()
            .unwrap()
            .split(',')
            .map(str::trim)
            .collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "POST"], "{method}");
    }
    // The longest password fits, however it is written.
    let long = "%D0%B6".repeat(512);
    assert_eq!(send(&server, &long, &long).send().await.unwrap().status(), 303);
    assert_eq!(redeemed(&server), 1);
}

// One thread, so that everything is logged where the subscriber is set.
#[tokio::test(flavor = "current_thread")]
async fn the_log_has_neither_token_nor_password() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = start(Language::En);
    assert_eq!(open(&server).send().await.unwrap().status(), 200);
    for path in [
        format!("/set-password%3Ftoken={TOKEN}"),
        format!("/set-password/{TOKEN}"),
    ] {
        assert_eq!(server.request("GET", &path).send().await.unwrap().status(), 404);
    }
    assert_eq!(send(&server, PASSWORD, PASSWORD).send().await.unwrap().status(), 303);
    server.backend.is_away.store(true, Ordering::SeqCst);
    assert_eq!(send(&server, PASSWORD, PASSWORD).send().await.unwrap().status(), 503);
    server.stop().await.unwrap();

    let text = log.text();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("doorward::http")).collect();
    let answered = ours
        .iter()
        .filter(|line| line.contains("answered") && line.contains("/set-password"));
    assert_eq!(answered.count(), 5, "{ours:#?}");
    for secret in ["dwl_", "velvet", "token="] {
        assert!(!ours.iter().any(|line| line.contains(secret)), "{secret} in {ours:#?}");
    }
}
