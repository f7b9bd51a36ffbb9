//! The page behind the links in mails: from the mail that a real server took to being signed in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use doorward::config::{Config, MailServer as MailUrl};
use doorward::domain::account::{Account, Language};
use doorward::domain::user::{User, UserStatus};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, sign_in};
use crate::support::smtp::{MailServer, MailServerOptions, ServerAuth, ServerTls};

const NEW: &str = "quiet-Harbour-41-lantern";
const OTHER: &str = "amber-Walrus-87-thimble";
/// As long as the policy asks, and guessed at once.
const GUESSED: &str = "zqzqzqzqzqzqzq";
/// Longer than the links of access mails work.
const LONG: Duration = Duration::from_secs(4 * 24 * 3600);
/// A mail arrives in a moment, on a machine that is not busy.
const ARRIVAL: Duration = Duration::from_secs(30);
/// The length of a token.
const TOKEN: usize = 47;

on_both_stores!(
    a_link_signs_in_once,
    links_that_do_not_work_say_so_and_change_nothing,
    a_user_who_may_not_sign_in_keeps_the_link,
    links_work_in_chromium_without_scripts,
);

fn mail_server() -> MailServer {
    MailServer::start(MailServerOptions {
        tls: ServerTls::None,
        auth: ServerAuth::None,
    })
}

/// A gateway with mail, and the server that its mails come to.
struct Mailing {
    gateway: Gateway,
    account: Account,
    mails: MailServer,
}

impl Mailing {
    async fn start(backend: Backend) -> Self {
        let mails = mail_server();
        let with_mail = |config: &mut Config| config.mail.server = Some(MailUrl::parse(&mails.url()).unwrap());
        let gateway = Gateway::start_with(backend, with_mail).await;
        let account = gateway.account("acme").await;
        Self {
            gateway,
            account,
            mails,
        }
    }

    /// A user whose password is to be set by a link, and its token.
    async fn user(&self, login: &str, language: Language) -> (User, String) {
        let user = self.gateway.user_with(&self.account, login, |new| {
            new.language = Some(language);
            new.email = Some(format!("{login}@example.org"));
            new.password = None;
            new.send_access_email = true;
        });
        let user = user.await;
        let token = self.token(login, 0);
        (user, token)
    }

    /// The token of the user's n-th mail with a link.
    fn token(&self, login: &str, n: usize) -> String {
        token_to(&self.mails, &format!("{login}@example.org"), n)
    }

    /// The user as the store has it.
    async fn stored(&self, user: &User) -> User {
        let found = self.gateway.services.store.users_by_ids(&[user.id]).await;
        found.unwrap().remove(0)
    }

    fn address(&self, token: &str) -> String {
        format!("{}/set-password?token={token}", self.gateway.url)
    }

    async fn open(&self, token: &str) -> Response {
        client().get(self.address(token)).send().await.unwrap()
    }

    fn send(&self, token: &str, password: &str) -> RequestBuilder {
        send(&self.gateway.url, token, password)
    }

    async fn set_status(&self, user: &User, status: UserStatus) {
        let caller = self.gateway.services.command_line();
        caller.write_users().unwrap().set_status(user.id, status).await.unwrap();
    }

    async fn send_again(&self, user: &User) {
        // Which of two links is the later one goes by the millisecond of their mails.
        self.gateway.wait(Duration::from_millis(2));
        let caller = self.gateway.services.command_line();
        caller.write_users().unwrap().send_access_email(user.id).await.unwrap();
    }
}

/// The token of the n-th mail with a link to that address.
fn token_to(mails: &MailServer, address: &str, n: usize) -> String {
    let mut count = 1;
    loop {
        let all = mails.wait_for(count, ARRIVAL);
        let mut tokens = all
            .iter()
            .filter(|mail| mail.envelope.to == [address])
            .filter_map(|mail| {
                let text = mail.text();
                let begin = text.find("dwl_")?;
                Some(text[begin..begin + TOKEN].to_owned())
            });
        if let Some(token) = tokens.nth(n) {
            return token;
        }
        count = all.len() + 1;
    }
}

/// Another token that is as long.
fn tampered_with(token: &str) -> String {
    let last = if token.ends_with('A') { "E" } else { "A" };
    format!("{}{last}", &token[..TOKEN - 1])
}

/// One that follows nothing by itself.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// The form, as a browser sends it from the page.
fn send(url: &str, token: &str, password: &str) -> RequestBuilder {
    client()
        .post(format!("{url}/set-password"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(format!("token={token}&password={password}&repeat={password}"))
}

/// The session's cookie, as it is sent back.
fn session(response: &Response) -> Option<String> {
    let all = response.headers().get_all("set-cookie");
    let mut pairs = all.iter().filter_map(|line| line.to_str().unwrap().split(';').next());
    pairs
        .find(|pair| pair.starts_with("doorward_session=dws_"))
        .map(str::to_owned)
}

async fn page(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn a_link_signs_in_once(backend: Backend) {
    let mailing = Mailing::start(backend).await;
    let (user, token) = mailing.user("ann", Language::En).await;
    let before = mailing.stored(&user).await;
    for _ in 0..2 {
        let (status, html) = page(mailing.open(&token).await).await;
        assert_eq!(status, 200, "{html}");
        assert!(html.contains("<strong>ann@acme</strong>"), "{html}");
    }
    assert_eq!(mailing.stored(&user).await, before, "it was only looked at");

    let (status, html) = page(mailing.send(&token, GUESSED).send().await.unwrap()).await;
    assert_eq!(status, 422);
    assert!(html.contains("too easy to guess"), "{html}");
    let (status, html) = page(mailing.send(&token, "short").send().await.unwrap()).await;
    assert_eq!(status, 422);
    assert!(html.contains("at least 12 characters"), "{html}");
    assert_eq!(mailing.stored(&user).await, before);

    let response = mailing.send(&token, NEW).send().await.unwrap();
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/");
    let cookie = session(&response).expect("a session");
    let viewer = json!({ "query": "{ viewer { user { login mustChangePassword } } }" });
    let asked = mailing.gateway.post("/graphql").header("cookie", &cookie).json(&viewer);
    let answer: Value = asked.send().await.unwrap().json().await.unwrap();
    let expected = json!({ "login": "ann", "mustChangePassword": false });
    assert_eq!(answer["data"]["viewer"]["user"], expected, "{answer}");

    let set = mailing.stored(&user).await;
    let (status, html) = page(mailing.open(&token).await).await;
    assert!(status == 410 && html.contains("used already"), "{html}");
    let again = mailing.send(&token, OTHER).send().await.unwrap();
    assert_eq!(session(&again), None);
    let (status, html) = page(again).await;
    assert!(status == 410 && html.contains("used already"), "{html}");
    assert_eq!(mailing.stored(&user).await, set);
    mailing.gateway.sign_in_as("ann@acme", NEW).await;
}

async fn links_that_do_not_work_say_so_and_change_nothing(backend: Backend) {
    let mailing = Mailing::start(backend).await;
    let (late, expired) = mailing.user("late", Language::Ru).await;
    let (twice, first) = mailing.user("twice", Language::En).await;
    mailing.send_again(&twice).await;
    let second = mailing.token("twice", 1);
    let (changed, outlived) = mailing.user("changed", Language::En).await;
    let caller = mailing.gateway.services.command_line();
    let access = doorward::service::AccessInput {
        password: Some(PASSWORD.into()),
        must_change_password: false,
        send_access_email: false,
    };
    caller
        .write_users()
        .unwrap()
        .set_password(changed.id, &access)
        .await
        .unwrap();
    let (whole, untouched) = mailing.user("whole", Language::En).await;
    let tampered = tampered_with(&untouched);

    let refused = async |user: &User, token: &str, words: &str| {
        let before = mailing.stored(user).await;
        let (status, html) = page(mailing.open(token).await).await;
        assert!(
            status == 410 && html.contains(words) && !html.contains("<form"),
            "{status} {html}"
        );
        let response = mailing.send(token, NEW).send().await.unwrap();
        assert_eq!(session(&response), None);
        let (status, html) = page(response).await;
        assert!(status == 410 && html.contains(words), "{status} {html}");
        assert_eq!(mailing.stored(user).await, before);
    };
    refused(&twice, &first, "a newer one was sent").await;
    refused(&changed, &outlived, "the password was changed since").await;
    refused(&whole, &tampered, "There is no such link").await;
    mailing.gateway.sign_in_as("changed@acme", PASSWORD).await;
    // What took the place of the one, and what was tampered with, work.
    for token in [&second, &untouched] {
        assert_eq!(mailing.send(token, NEW).send().await.unwrap().status(), 303);
    }
    mailing.gateway.wait(LONG);
    refused(&late, &expired, "Срок действия ссылки истёк").await;
}

async fn a_user_who_may_not_sign_in_keeps_the_link(backend: Backend) {
    let mailing = Mailing::start(backend).await;
    let (user, token) = mailing.user("ann", Language::Ru).await;
    mailing.set_status(&user, UserStatus::Disabled).await;
    let before = mailing.stored(&user).await;
    for response in [
        mailing.open(&token).await,
        mailing.send(&token, NEW).send().await.unwrap(),
    ] {
        assert_eq!(session(&response), None);
        let (status, html) = page(response).await;
        assert!(
            status == 403 && html.contains("пользователь отключён"),
            "{status} {html}"
        );
    }
    assert_eq!(mailing.stored(&user).await, before);
    mailing.set_status(&user, UserStatus::Active).await;
    assert_eq!(mailing.send(&token, NEW).send().await.unwrap().status(), 303);
}

async fn links_work_in_chromium_without_scripts(backend: Backend) {
    let mailing = Mailing::start(backend).await;
    let languages = [("en", Language::En), ("ru", Language::Ru)];
    let mut old = Vec::new();
    for (code, language) in languages {
        let (_, expired) = mailing.user(&format!("late-{code}"), language).await;
        let twice = format!("twice-{code}");
        let (user, superseded) = mailing.user(&twice, language).await;
        mailing.send_again(&user).await;
        mailing.token(&twice, 1);
        old.push((expired, superseded));
    }
    mailing.gateway.wait(LONG);
    let mut story = Vec::new();
    for ((code, language), (expired, superseded)) in languages.into_iter().zip(old) {
        let login = format!("good-{code}");
        let (_, good) = mailing.user(&login, language).await;
        let (_, theirs) = mailing.user(&format!("evil-{code}"), language).await;
        story.push(json!({
            "language": code, "login": login, "good": good, "theirs": theirs,
            "superseded": superseded, "expired": expired, "unknown": tampered_with(&good),
        }));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    assert!(
        folder.join("node_modules").is_dir(),
        "npm ci in tests/browser, as tests/run does"
    );
    let (url, story) = (mailing.gateway.url.clone(), Value::from(story).to_string());
    let browse = move || {
        Command::new("node")
            .args(["--test", "set-password.mjs"])
            .current_dir(folder)
            .env("DOORWARD_URL", url)
            .env("DOORWARD_LINKS", story)
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(browse).await.unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for code in ["en", "ru"] {
        mailing.gateway.sign_in_as(&format!("good-{code}@acme"), NEW).await;
        for dead in ["twice", "late", "evil"] {
            let refusal = mailing.gateway.refusal(&format!("{dead}-{code}@acme"), NEW).await;
            assert_eq!(refusal, "WRONG_CREDENTIALS");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_over_the_embedded_store_has_no_link() {
    the_log_has_no_link(&Doorward::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_over_mongodb_has_no_link() {
    let database = fresh_database();
    the_log_has_no_link(&Doorward::over(&database.url)).await;
}

/// The binary, which logs all that there is to be logged.
async fn the_log_has_no_link(doorward: &Doorward) {
    let mails = mail_server();
    let url = mails.url();
    let with_mail = || doorward.with_no_limits().with("DOORWARD_MAIL__URL", &url);
    with_mail().run(&["account", "create", "acme"]).succeeds();
    let mut serving = with_mail().serve(&["serve", "--log", "trace"]);
    let create = [
        "user",
        "create",
        "ann@acme",
        "--email",
        "ann@example.org",
        "--send-access-email",
    ];
    with_mail().run(&create).succeeds();
    let token = token_to(&mails, "ann@example.org", 0);
    let address = format!("http://{}", serving.address);

    for path in [
        format!("/set-password?token={token}"),
        format!("/set-password?token={token}&x=%ff"),
        format!("/set-password?token={token}&token={token}"),
        format!("/set-password%3Ftoken={token}"),
        format!("/set-password/{token}"),
    ] {
        let response = client().get(format!("{address}{path}")).send().await.unwrap();
        assert!(matches!(response.status().as_u16(), 200 | 400 | 404), "{path}");
    }
    for (password, status) in [(GUESSED, 422), (NEW, 303), (OTHER, 410)] {
        let response = send(&address, &token, password).send().await.unwrap();
        assert_eq!(response.status(), status, "{password}");
    }
    assert_eq!(sign_in(serving.address, "ann@acme", NEW), [""; 0]);
    serving.wait_until(|serving| serving.stderr().matches("path=\"/set-password\"").count() >= 6);
    let stdout = serving.stdout().to_owned();
    let (code, stderr) = tokio::task::spawn_blocking(|| serving.stop("-TERM")).await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("TRACE"), "{stderr}");
    for secret in [token.as_str(), &token[4..], NEW, OTHER, GUESSED] {
        for (what, text) in [("output", &stdout), ("log", &stderr)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} in the {what}");
        }
    }
}
