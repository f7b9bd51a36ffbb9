//! Notices of sign-ins with a browser, or from a country, that somebody never used before.

use doorward::config::Config;
use doorward::domain::account::Language;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::post::{Post, READERS, is_well_formed, says};
use crate::support::gateway::{Backend, PASSWORD, on_both_stores};
use crate::support::mmdb;

on_both_stores!(
    a_new_browser_is_told,
    a_new_country_is_told,
    notices_of_sign_ins_are_for_those_who_asked,
);

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const NEWER_FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";
const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// In Germany, in France, and nowhere that is known.
const GERMAN: &str = "203.0.113.7";
const FRENCH: &str = "198.51.100.7";
const ELSEWHERE: &str = "192.0.2.7";

/// Signs in from there, with that browser.
async fn sign_in(post: &Post, login: &str, agent: &str, ip: &str) {
    post.gateway.wait(std::time::Duration::from_millis(1));
    let query = "mutation($i: SignInInput!) { signIn(input: $i) { token } }";
    let input = json!({ "login": format!("{login}@acme"), "password": PASSWORD });
    let request = post
        .gateway
        .post("/graphql")
        .header("user-agent", agent)
        .header("x-forwarded-for", ip);
    let request = request.json(&json!({ "query": query, "variables": { "i": input } }));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(answer["data"]["signIn"]["token"].is_string(), "{answer:#}");
}

/// A database that knows two countries, and a configuration that has it and believes the proxy.
fn places() -> (NamedTempFile, impl FnOnce(&mut Config)) {
    let country = |code: &str, name: &str| json!({ "country": { "iso_code": code, "names": { "en": name } } });
    let records = [
        ("203.0.113.0/24", country("DE", "Germany")),
        ("198.51.100.0/24", country("FR", "France")),
    ];
    let file = mmdb::temporary(&mmdb::write("GeoLite2-City", &records));
    let path = file.path().to_owned();
    (file, move |config| {
        config.geoip.database = Some(path);
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
}

async fn a_new_browser_is_told(backend: Backend) {
    let (_file, with_places) = places();
    let post = Post::start_with(backend, with_places).await;
    let acme = post.gateway.account("acme").await;
    for (login, [first, last], language) in READERS {
        post.reader(&acme, login).await;
        // Nobody need be told of their first sign-in, nor of an update of the browser.
        for agent in [FIREFOX, FIREFOX, NEWER_FIREFOX] {
            sign_in(&post, login, agent, ELSEWHERE).await;
            post.none().await;
        }
        sign_in(&post, login, CHROME, ELSEWHERE).await;
        let mail = post.only().await;
        is_well_formed(
            &mail,
            &post,
            (&format!("{first} {last}"), &format!("{login}@example.org")),
            language,
        );
        match language {
            Language::En => says(
                &mail,
                "Sign-in to Doorward from a new browser",
                &[
                    "ann@acme signed in on",
                    "from a new browser:",
                    "Browser:  Chrome 140",
                    "Address:  192.0.2.7",
                ],
                &["from a new browser:", "Chrome 140", "192.0.2.7"],
            ),
            Language::Ru => says(
                &mail,
                "Вход в Doorward с нового браузера",
                &[
                    "Пользователь ivan@acme вошёл с нового браузера.",
                    "Chrome 140",
                    "192.0.2.7",
                ],
                &["с нового браузера", "Chrome 140", "192.0.2.7"],
            ),
        }
        // Both are known from now on.
        for agent in [NEWER_FIREFOX, CHROME] {
            sign_in(&post, login, agent, ELSEWHERE).await;
        }
        post.none().await;
    }
}

async fn a_new_country_is_told(backend: Backend) {
    let (_file, with_places) = places();
    let post = Post::start_with(backend, with_places).await;
    let acme = post.gateway.account("acme").await;
    for (login, [first, last], language) in READERS {
        post.reader(&acme, login).await;
        let to = (&*format!("{first} {last}"), &*format!("{login}@example.org"));
        for ip in [GERMAN, ELSEWHERE, GERMAN] {
            sign_in(&post, login, FIREFOX, ip).await;
        }
        post.none().await;
        sign_in(&post, login, FIREFOX, FRENCH).await;
        let mail = post.only().await;
        is_well_formed(&mail, &post, to, language);
        match language {
            Language::En => says(
                &mail,
                "Sign-in to Doorward from a new country",
                &["from a new country:", "Place:    France", "198.51.100.7"],
                &["from a new country:", "France"],
            ),
            Language::Ru => says(
                &mail,
                "Вход в Doorward из новой страны",
                &["вошёл из новой страны.", "Франция", "198.51.100.7"],
                &["из новой страны", "Франция"],
            ),
        }
        for ip in [GERMAN, FRENCH] {
            sign_in(&post, login, FIREFOX, ip).await;
        }
        post.none().await;
    }
    // Both at once.
    post.reader(&acme, "cai").await;
    sign_in(&post, "cai", FIREFOX, GERMAN).await;
    sign_in(&post, "cai", CHROME, FRENCH).await;
    let subject = "Sign-in to Doorward from a new browser and a new country";
    says(
        &post.only().await,
        subject,
        &["from a new browser and a new country:"],
        &["France"],
    );
}

async fn notices_of_sign_ins_are_for_those_who_asked(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.reader_with(&acme, "off", |new| new.notifications.security_notices = Some(false))
        .await;
    post.reader_with(&acme, "none", |new| new.email = None).await;
    for login in ["off", "none"] {
        sign_in(&post, login, FIREFOX, ELSEWHERE).await;
        sign_in(&post, login, CHROME, ELSEWHERE).await;
    }
    post.none().await;
    // A wrong password, whatever it comes with, is no sign-in.
    post.reader(&acme, "on").await;
    sign_in(&post, "on", FIREFOX, ELSEWHERE).await;
    post.gateway.refusal("on@acme", "wrong").await;
    post.none().await;
}
