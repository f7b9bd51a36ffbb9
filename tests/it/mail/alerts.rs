//! Alerts: an application's token reaches exactly those who asked for that kind.

use std::time::Duration;

use doorward::domain::account::{Account, Language};
use doorward::graphql::node_id;
use serde_json::{Value, json};

use super::post::{Post, READERS, html, id, is_well_formed, says, text};
use crate::support::gateway::{Asker, Backend, on_both_stores, user_errors};

on_both_stores!(
    an_alert_of_each_kind_reaches_those_who_asked,
    an_alert_goes_to_each_reader_once,
    an_alert_reaches_many,
    an_alert_that_is_called_again_goes_to_nobody_twice,
    alerts_are_limited_by_account,
    alerts_take_their_permission,
    what_an_alert_says_is_checked,
);

/// By name; the settings that ask for it; its names in the mail.
const KINDS: [(&str, &str, [&str; 2]); 4] = [
    (
        "LIMITS_EXHAUSTED",
        "limitsExhausted",
        ["Limits exhausted", "Исчерпаны лимиты"],
    ),
    (
        "SUBSCRIBER_COMPLAINTS",
        "subscriberComplaints",
        ["Subscriber complaints", "Жалобы подписчиков"],
    ),
    ("HARD_BOUNCES", "hardBounces", ["Hard bounces", "Несуществующие адреса"]),
    (
        "SOFT_BOUNCES",
        "softBounces",
        ["Soft bounces", "Временно недоступные адреса"],
    ),
];

/// An API token of the account with these permissions.
async fn application<'a>(post: &'a Post, account: &Account, permissions: &[&str]) -> Asker<'a> {
    let login = format!("minter{}", permissions.len());
    post.gateway.master(account, &login).await;
    let master = post.gateway.sign_in(&format!("{login}@{}", account.name)).await;
    let mut roles = Vec::new();
    if !permissions.is_empty() {
        let role = post
            .gateway
            .role(account, &format!("Role of {login}"), permissions)
            .await;
        roles.push(node_id::encode(role).to_string());
    }
    let made = json!({ "name": format!("app{}", permissions.len()), "roles": roles });
    let made = master.mutate("createApiToken", made, "secret").await;
    post.gateway
        .with_token(made["secret"].as_str().unwrap_or_else(|| panic!("{made:#}")))
}

async fn publish(asker: &Asker<'_>, kind: &str) -> Value {
    let input = json!({ "kind": kind, "subject": "Queue <7> is full", "body": "It holds 10 & more.\r\nSee to it." });
    asker.mutate("publishAlert", input, "recipients").await
}

/// All kinds turned off but those.
fn only(kinds: &[&str]) -> Value {
    let mut settings = json!({ "securityNotices": false });
    for (_, setting, _) in KINDS {
        settings[setting] = json!(kinds.contains(&setting));
    }
    settings
}

async fn an_alert_of_each_kind_reaches_those_who_asked(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post
        .gateway
        .account_with("acme", |new| new.title = Some("Acme Ltd".to_owned()))
        .await;
    let app = application(&post, &acme, &["alerts:publish"]).await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    let set = async |user: &str, settings: Value| {
        let input = json!({ "id": user, "notifications": settings });
        let done = owner.mutate("updateUser", input, "user { id }").await;
        assert_eq!(user_errors(&done), [""; 0]);
    };
    let (ann, ivan) = (post.reader(&acme, "ann").await, post.reader(&acme, "ivan").await);
    let rest = post.reader(&acme, "rest").await;
    for (kind, setting, names) in KINDS {
        for user in [&ann, &ivan] {
            set(&id(user), only(&[setting])).await;
        }
        // Somebody who asked for every other kind.
        let others: Vec<&str> = KINDS
            .iter()
            .map(|(_, other, _)| *other)
            .filter(|other| *other != setting)
            .collect();
        set(&id(&rest), only(&others)).await;
        let done = publish(&app, kind).await;
        assert_eq!((user_errors(&done), &done["recipients"]), (vec![], &json!(2)), "{kind}");
        let mails = post.take().await;
        assert_eq!(mails.len(), 2, "{kind}");
        for (mail, ((login, [first, last], language), name)) in mails.iter().zip(READERS.into_iter().zip(names)) {
            is_well_formed(
                mail,
                &post,
                (&format!("{first} {last}"), &format!("{login}@example.org")),
                language,
            );
            let asked = match language {
                Language::En => "you asked for alerts of this kind",
                Language::Ru => "Это оповещение отправило приложение аккаунта Acme Ltd",
            };
            says(
                mail,
                "[Acme Ltd] Queue <7> is full",
                &["It holds 10 & more.\nSee to it.", name],
                &["Queue &lt;7&gt; is full", "It holds 10 &amp; more.<br", name],
            );
            assert!(text(mail).replace('\n', " ").contains(asked), "{}", mail.text());
        }
    }
    let query = "{ auditLog(first: 1) { nodes { action actor targetType targetName changes { field after } } } }";
    let entry = owner.data(query).await["auditLog"]["nodes"][0].clone();
    assert_eq!(
        (&entry["action"], &entry["targetType"], &entry["targetName"]),
        (&json!("publishAlert"), &json!("Account"), &json!("acme")),
        "{entry:#}"
    );
}

async fn an_alert_goes_to_each_reader_once(backend: Backend) {
    let post = Post::start(backend).await;
    let (acme, other) = (post.gateway.account("acme").await, post.gateway.account("other").await);
    let app = application(&post, &acme, &["alerts:publish"]).await;
    let wants = |new: &mut doorward::service::NewUser| new.notifications.hard_bounces = Some(true);
    post.reader_with(&acme, "ann", wants).await;
    post.reader_with(&acme, "alerted", |new| {
        wants(new);
        new.notifications.email = Some(Some("pager@example.org".to_owned()));
    })
    .await;
    post.reader_with(&acme, "pageronly", |new| {
        wants(new);
        new.email = None;
        new.notifications.email = Some(Some("second.pager@example.org".to_owned()));
    })
    .await;
    post.reader_with(&acme, "unreachable", |new| {
        wants(new);
        new.email = None;
    })
    .await;
    let off = post.reader_with(&acme, "off", wants).await;
    post.reader_with(&acme, "quiet", |new| new.notifications.hard_bounces = Some(false))
        .await;
    post.reader_with(&other, "foreign", wants).await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    owner
        .mutate("disableUser", json!({ "id": id(&off) }), "user { id }")
        .await;
    let done = publish(&app, "HARD_BOUNCES").await;
    assert_eq!((user_errors(&done), &done["recipients"]), (vec![], &json!(3)));
    let to: Vec<String> = post
        .take()
        .await
        .into_iter()
        .map(|mail| mail.envelope.to[0].clone())
        .collect();
    assert_eq!(to, ["ann@example.org", "pager@example.org", "second.pager@example.org"]);
    // An alert for nobody is no error, and is in the log.
    let done = publish(&app, "SOFT_BOUNCES").await;
    assert_eq!((user_errors(&done), &done["recipients"]), (vec![], &json!(0)));
    post.none().await;
    let log = owner
        .data("{ auditLog(filter: {action: \"publishAlert\"}) { totalCount } }")
        .await;
    assert_eq!(log["auditLog"]["totalCount"], json!(2));
}

async fn an_alert_reaches_many(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    let app = application(&post, &acme, &["alerts:publish"]).await;
    // More than are read at once.
    for n in 0..205 {
        let login = format!("user{n:03}");
        post.reader_with(&acme, &login, |new| new.notifications.hard_bounces = Some(true))
            .await;
    }
    let done = publish(&app, "HARD_BOUNCES").await;
    assert_eq!((user_errors(&done), &done["recipients"]), (vec![], &json!(205)));
    let to: Vec<String> = post
        .take()
        .await
        .into_iter()
        .map(|mail| mail.envelope.to[0].clone())
        .collect();
    let expected: Vec<String> = (0..205).map(|n| format!("user{n:03}@example.org")).collect();
    assert_eq!(to, expected);
}

async fn an_alert_that_is_called_again_goes_to_nobody_twice(backend: Backend) {
    let post = Post::start(backend).await;
    let (acme, other) = (post.gateway.account("acme").await, post.gateway.account("other").await);
    let wants = |new: &mut doorward::service::NewUser| new.notifications.hard_bounces = Some(true);
    post.reader_with(&acme, "ann", wants).await;
    post.reader_with(&other, "foreign", wants).await;
    let app = application(&post, &acme, &["alerts:publish"]).await;
    let publish = async |asker: &Asker<'_>, account: &Account, key: Value| {
        let account = node_id::encode(account.id).to_string();
        let input = json!({ "account": account, "kind": "HARD_BOUNCES", "subject": "x", "body": "y", "key": key });
        let done = asker.mutate("publishAlert", input, "recipients").await;
        (user_errors(&done), done["recipients"].clone())
    };
    assert_eq!(publish(&app, &acme, json!("bounces 7")).await, (vec![], json!(1)));
    // Somebody whom the first call did not reach.
    post.reader_with(&acme, "bob", wants).await;
    assert_eq!(publish(&app, &acme, json!("bounces 7")).await, (vec![], json!(1)));
    assert_eq!(publish(&app, &acme, json!("bounces 7")).await, (vec![], json!(0)));
    let mails = post.take().await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.envelope.to[0].as_str()).collect();
    assert_eq!(to, ["ann@example.org", "bob@example.org"]);
    // Another key, none at all, and the same one of another account are other alerts.
    post.gateway.master(&post.gateway.system().await, "root").await;
    let root = post.gateway.sign_in("root@system").await;
    assert_eq!(publish(&app, &acme, json!("bounces 8")).await, (vec![], json!(2)));
    assert_eq!(publish(&app, &acme, Value::Null).await, (vec![], json!(2)));
    assert_eq!(publish(&app, &acme, Value::Null).await, (vec![], json!(2)));
    assert_eq!(publish(&root, &other, json!("bounces 7")).await, (vec![], json!(1)));
    assert_eq!(post.take().await.len(), 7);
    for (key, error) in [
        (json!(""), "REQUIRED key"),
        (json!("x".repeat(101)), "TOO_LONG key"),
        (json!("a\nb"), "INVALID key"),
    ] {
        assert_eq!(publish(&app, &acme, key).await, (vec![error.to_owned()], Value::Null));
    }
    post.none().await;
}

async fn alerts_are_limited_by_account(backend: Backend) {
    let post = Post::start_with(backend, |config| config.limits.alerts_per_account = 2).await;
    let (acme, other) = (post.gateway.account("acme").await, post.gateway.account("other").await);
    let wants = |new: &mut doorward::service::NewUser| new.notifications.hard_bounces = Some(true);
    post.reader_with(&acme, "ann", wants).await;
    post.reader_with(&other, "foreign", wants).await;
    let apps = [
        application(&post, &acme, &["alerts:publish"]).await,
        application(&post, &acme, &["alerts:publish", "users:read"]).await,
    ];
    let elsewhere = application(&post, &other, &["alerts:publish"]).await;
    // The start of a window of counting, so that none ends amid the test.
    let past = post.gateway.now().as_second().rem_euclid(60);
    post.gateway.wait(Duration::from_secs((60 - past).unsigned_abs()));
    for app in &apps {
        assert_eq!(publish(app, "HARD_BOUNCES").await["recipients"], json!(1));
    }
    for app in &apps {
        let query = "mutation($i: PublishAlertInput!) { publishAlert(input: $i) {
            recipients userErrors { code path retryAfterSeconds } } }";
        let input = json!({ "i": { "kind": "HARD_BOUNCES", "subject": "x", "body": "y" } });
        let refused = app.data_with(query, input).await["publishAlert"].clone();
        assert_eq!(user_errors(&refused), ["RATE_LIMITED"]);
        assert_eq!(refused["recipients"], Value::Null);
        let again = refused["userErrors"][0]["retryAfterSeconds"].as_u64();
        assert!(again.is_some_and(|seconds| (1..=60).contains(&seconds)), "{again:?}");
    }
    assert_eq!(publish(&elsewhere, "HARD_BOUNCES").await["recipients"], json!(1));
    assert_eq!(post.take().await.len(), 3);
    post.gateway.wait(Duration::from_secs(60));
    assert_eq!(publish(&apps[0], "HARD_BOUNCES").await["recipients"], json!(1));
    post.only().await;
}

async fn alerts_take_their_permission(backend: Backend) {
    let post = Post::start(backend).await;
    let (acme, other) = (post.gateway.account("acme").await, post.gateway.account("other").await);
    let wants = |new: &mut doorward::service::NewUser| new.notifications.hard_bounces = Some(true);
    post.reader_with(&acme, "ann", wants).await;
    post.reader_with(&other, "foreign", wants).await;
    let without = application(&post, &acme, &["users:read", "users:write"]).await;
    let with = application(&post, &acme, &["alerts:publish"]).await;
    let document =
        "mutation($i: PublishAlertInput!) { publishAlert(input: $i) { recipients userErrors { code path } } }";
    let input = |account: Option<&Account>| {
        let account = account.map(|account| node_id::encode(account.id).to_string());
        json!({ "i": { "account": account, "kind": "HARD_BOUNCES", "subject": "x", "body": "y" } })
    };
    assert_eq!(without.error_with(document, input(None)).await, "FORBIDDEN");
    assert_eq!(
        post.gateway.nobody().error_with(document, input(None)).await,
        "UNAUTHENTICATED"
    );
    let foreign = with.data_with(document, input(Some(&other))).await;
    assert_eq!(user_errors(&foreign["publishAlert"]), ["NOT_FOUND account"]);
    post.none().await;
    // Its own account may be named.
    let own = with.data_with(document, input(Some(&acme))).await;
    assert_eq!(own["publishAlert"]["recipients"], json!(1));
    assert_eq!(post.only().await.envelope.to, ["ann@example.org"]);
    // Operators write to any.
    post.gateway.master(&post.gateway.system().await, "root").await;
    let root = post.gateway.sign_in("root@system").await;
    let done = root.data_with(document, input(Some(&other))).await;
    assert_eq!(done["publishAlert"]["recipients"], json!(1), "{done:#}");
    assert_eq!(post.only().await.envelope.to, ["foreign@example.org"]);
}

async fn what_an_alert_says_is_checked(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.reader_with(&acme, "ann", |new| new.notifications.hard_bounces = Some(true))
        .await;
    let app = application(&post, &acme, &["alerts:publish"]).await;
    let with = async |subject: &str, body: &str| {
        let input = json!({ "kind": "HARD_BOUNCES", "subject": subject, "body": body });
        user_errors(&app.mutate("publishAlert", input, "recipients").await)
    };
    let (long, longest) = ("x".repeat(201), "x".repeat(200));
    let (long_body, longest_body) = ("x\n".repeat(10_001), "x\n".repeat(10_000));
    for (subject, body, errors) in [
        ("", "y", &["REQUIRED subject"][..]),
        (" \t ", "y", &["REQUIRED subject"]),
        (&long, "y", &["TOO_LONG subject"]),
        ("a\r\nBcc: eve@example.net", "y", &["INVALID subject"]),
        ("a\nb", "y", &["INVALID subject"]),
        ("a\0b", "y", &["INVALID subject"]),
        ("a\u{202e}b", "y", &["INVALID subject"]),
        ("x", "", &["REQUIRED body"]),
        ("x", " \r\n ", &["REQUIRED body"]),
        ("x", &long_body, &["TOO_LONG body"]),
        ("x", "a\0b", &["INVALID body"]),
        ("x", "a\u{1b}[31mb", &["INVALID body"]),
        ("", "", &["REQUIRED subject", "REQUIRED body"]),
    ] {
        assert_eq!(with(subject, body).await, errors, "{subject:?} {body:.20?}");
    }
    post.none().await;
    assert_eq!(with(&longest, &longest_body).await, [""; 0]);
    let mail = post.only().await;
    assert_eq!(mail.subject(), format!("[acme] {longest}"));
    // A text that looks like headers, or like the end of DATA, stays text.
    let tricky = "Bcc: eve@example.net\n\n.\nMAIL FROM:<eve@example.net>\n..\n{{ link.url }} <b>&amp;</b>";
    assert_eq!(with("=?utf-8?q?Bcc=3A_x?= й", tricky).await, [""; 0]);
    let mail = post.only().await;
    is_well_formed(&mail, &post, ("Ann Archer", "ann@example.org"), Language::En);
    assert!(text(&mail).contains(tricky), "{}", mail.text());
    assert!(
        html(&mail).contains("&lt;b&gt;&amp;amp;&lt;/b&gt;") && !html(&mail).contains("<b>"),
        "{}",
        mail.html()
    );
    assert!(
        mail.subject().starts_with("[acme] =?utf-8?q?Bcc=3A_x?="),
        "{}",
        mail.subject()
    );
}
