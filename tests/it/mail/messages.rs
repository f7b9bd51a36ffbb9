//! Every kind of message, in both languages: when it is sent, to whom, and what it says.

use doorward::domain::account::Language;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use super::post::{Post, READERS, change_password, id, is_well_formed, redeem, says, secret};
use crate::support::gateway::{Backend, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    access_mails_bring_a_link,
    a_forgotten_password_brings_a_link,
    a_changed_password_is_told,
    whoever_is_locked_out_is_told,
    changes_of_access_are_told,
    an_impersonated_user_is_told,
    names_are_no_way_into_the_headers,
);

const NEW: &str = "violet-Anchor-38-meadow";

async fn access_mails_bring_a_link(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post
        .gateway
        .account_with("acme", |new| new.title = Some("Acme Ltd".to_owned()))
        .await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    for (login, [first, last], language) in READERS {
        let address = format!("{login}@example.org");
        let check = |mail: &crate::support::smtp::Received| {
            is_well_formed(mail, &post, (&format!("{first} {last}"), &address), language);
            let url = format!("http://id.example.org/set-password?token={}", secret(mail));
            let (subject, hello, works) = match language {
                Language::En => ("Set your password for Doorward", "Hello Ann,", "works once, until"),
                Language::Ru => (
                    "Задайте пароль для Doorward",
                    "Здравствуйте, Иван!",
                    "Ссылка сработает один раз, до",
                ),
            };
            let who = format!("{login}@acme");
            says(
                mail,
                subject,
                &[hello, "owner@acme", &who, "Acme Ltd", works, &url],
                &[hello, "owner@acme", &who, "Acme Ltd", &format!("href=\"{url}\"")],
            );
            assert!(!mail.text().contains(PASSWORD) && !mail.html().contains(PASSWORD));
        };
        let tongue = match language {
            Language::En => "EN",
            Language::Ru => "RU",
        };
        let input = json!({ "login": login, "firstName": first, "lastName": last, "email": address,
            "language": tongue, "sendAccessEmail": true });
        let made = owner.mutate("createUser", input, "user { id }").await;
        assert_eq!(user_errors(&made), [""; 0]);
        check(&post.only().await);
        let user = made["user"]["id"].clone();

        let sent = owner
            .mutate("sendAccessEmail", json!({ "id": user }), "user { login }")
            .await;
        assert_eq!((user_errors(&sent), &sent["user"]["login"]), (vec![], &json!(login)));
        check(&post.only().await);

        let input = json!({ "id": user, "sendAccessEmail": true });
        let sent = owner.mutate("setUserPassword", input, "user { login }").await;
        assert_eq!(user_errors(&sent), [""; 0]);
        check(&post.only().await);

        // A password and a link: the notice and the access mail.
        let input = json!({ "id": user, "password": PASSWORD, "sendAccessEmail": true });
        let sent = owner.mutate("setUserPassword", input, "user { login }").await;
        assert_eq!(user_errors(&sent), [""; 0]);
        let (links, notices): (Vec<_>, Vec<_>) = post
            .take()
            .await
            .into_iter()
            .partition(|mail| mail.text().contains("/set-password?"));
        assert_eq!((links.len(), notices.len()), (1, 1));
        check(&links[0]);
        let done = redeem(&post.gateway, &secret(&links[0]), NEW).await;
        assert_eq!(user_errors(&done), [""; 0], "a link that came with a password works");
        post.take().await;
    }
}

async fn a_forgotten_password_brings_a_link(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    for (login, [first, last], language) in READERS {
        post.reader(&acme, login).await;
        let input = json!({ "login": format!("{login}@acme") });
        let asked = post
            .gateway
            .nobody()
            .mutate("requestPasswordReset", input, "accepted")
            .await;
        assert_eq!((user_errors(&asked), &asked["accepted"]), (vec![], &json!(true)));
        let mail = post.only().await;
        is_well_formed(
            &mail,
            &post,
            (&format!("{first} {last}"), &format!("{login}@example.org")),
            language,
        );
        secret(&mail);
        match language {
            Language::En => says(
                &mail,
                "A new password for Doorward",
                &["Somebody asked for a new password for ann@acme", "Address:  127.0.0.1"],
                &["<strong>ann@acme</strong>", "127.0.0.1", "Set a new password"],
            ),
            Language::Ru => says(
                &mail,
                "Новый пароль для Doorward",
                &["Кто-то запросил новый пароль для ivan@acme", "127.0.0.1"],
                &["ivan@acme", "127.0.0.1", "Здравствуйте, Иван"],
            ),
        }
    }
}

async fn a_changed_password_is_told(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    for (login, [first, last], language) in READERS {
        let user = post.reader(&acme, login).await;
        let to = (&*format!("{first} {last}"), &*format!("{login}@example.org"));
        let me = post.gateway.sign_in(&format!("{login}@acme")).await;
        assert_eq!(user_errors(&change_password(&me, PASSWORD, NEW).await), [""; 0]);
        let mail = post.only().await;
        is_well_formed(&mail, &post, to, language);
        match language {
            Language::En => says(
                &mail,
                "Your password for Doorward was changed",
                &[
                    "The password of ann@acme was changed on",
                    "This was not you?",
                    "127.0.0.1",
                ],
                &[
                    "<strong>ann@acme</strong> was changed on",
                    "This was not you?",
                    "127.0.0.1",
                ],
            ),
            Language::Ru => says(
                &mail,
                "Ваш пароль для Doorward изменён",
                &[
                    "Пароль пользователя ivan@acme был изменён",
                    "Это были не вы?",
                    "127.0.0.1",
                ],
                &["ivan@acme", "Это были не вы?", "127.0.0.1"],
            ),
        }
        assert!(!mail.text().contains("owner@acme"), "{}", mail.text());

        let input = json!({ "id": id(&user), "password": "gravel-Lantern-57-orbit" });
        let set = owner.mutate("setUserPassword", input, "user { id }").await;
        assert_eq!(user_errors(&set), [""; 0]);
        let mail = post.only().await;
        is_well_formed(&mail, &post, to, language);
        match language {
            Language::En => says(
                &mail,
                "Your password for Doorward was changed",
                &["owner@acme changed it.", "Ask your administrator."],
                &["owner@acme changed it."],
            ),
            Language::Ru => says(
                &mail,
                "Ваш пароль для Doorward изменён",
                &["Кто изменил: owner@acme."],
                &["Кто изменил: owner@acme."],
            ),
        }
        assert!(
            !mail.text().contains("127.0.0.1"),
            "where the administrator sits is theirs"
        );
        for body in [mail.text(), mail.html()] {
            assert!(!body.contains("gravel-Lantern"), "{body}");
        }
    }
}

async fn whoever_is_locked_out_is_told(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post
        .gateway
        .account_with("acme", |new| {
            new.password_policy.lockout_threshold = 3;
            new.password_policy.lockout_minutes = 20;
        })
        .await;
    for (login, [first, last], language) in READERS {
        post.reader(&acme, login).await;
        let name = format!("{login}@acme");
        for _ in 0..2 {
            post.gateway.refusal(&name, "wrong").await;
        }
        post.none().await;
        // Only the attempt that locks is told of, not those after it.
        for _ in 0..3 {
            post.gateway.refusal(&name, "wrong").await;
        }
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
                "Too many wrong passwords for ann@acme",
                &["is locked for 20 minutes", "Address:  127.0.0.1"],
                &["is locked for 20 minutes", "127.0.0.1"],
            ),
            Language::Ru => says(
                &mail,
                "Слишком много неверных паролей для ivan@acme",
                &["заблокирован на 20 минут", "127.0.0.1"],
                &["заблокирован на 20 минут", "127.0.0.1"],
            ),
        }
    }
}

async fn changes_of_access_are_told(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post
        .gateway
        .account_with("acme", |new| new.title = Some("Acme Ltd".to_owned()))
        .await;
    let [reader, writer] = ["Reader", "Writer & Co"].map(|name| post.gateway.role(&acme, name, &["users:read"]));
    let (reader, writer) = (reader.await, writer.await);
    let [reader, writer] = [reader, writer].map(|role| node_id::encode(role).to_string());
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    for (login, [first, last], language) in READERS {
        let user = post.reader(&acme, login).await;
        let to = (&*format!("{first} {last}"), &*format!("{login}@example.org"));
        let update = async |change: Value| {
            let mut input = change;
            input["id"] = json!(id(&user));
            let done = owner.mutate("updateUser", input, "user { id }").await;
            assert_eq!(user_errors(&done), [""; 0]);
        };
        update(json!({ "roles": [reader] })).await;
        let mail = post.only().await;
        is_well_formed(&mail, &post, to, language);
        match language {
            Language::En => says(
                &mail,
                "What you may do in Doorward has changed",
                &["owner@acme changed", "Roles that you have now:\n  + Reader"],
                &["Roles that you have now:", "<li>Reader</li>"],
            ),
            Language::Ru => says(
                &mail,
                "Ваши права в Doorward изменились",
                &["Кем:   owner@acme", "Новые роли:\n  + Reader"],
                &["Новые роли:", "<li>Reader</li>"],
            ),
        }
        update(json!({ "roles": [writer], "isMaster": true })).await;
        let mail = post.only().await;
        match language {
            Language::En => says(
                &mail,
                "What you may do in Doorward has changed",
                &[
                    "You are a master user of Acme Ltd now.",
                    "+ Writer & Co",
                    "no longer:\n  - Reader",
                ],
                &["You are a master user of Acme Ltd now.", "<li>Writer &amp; Co</li>"],
            ),
            Language::Ru => says(
                &mail,
                "Ваши права в Doorward изменились",
                &[
                    "Теперь вы мастер-пользователь аккаунта Acme Ltd.",
                    "+ Writer & Co",
                    "- Reader",
                ],
                &["Теперь вы мастер-пользователь аккаунта Acme Ltd."],
            ),
        }
        update(json!({ "isMaster": false })).await;
        let gone = match language {
            Language::En => "You are no master user of Acme Ltd any more.",
            Language::Ru => "Вы больше не мастер-пользователь аккаунта Acme Ltd.",
        };
        let mail = post.only().await;
        assert!(
            mail.text().contains(gone) && mail.html().contains(gone),
            "{}",
            mail.text()
        );
        // What changes no rights is nobody's notice.
        update(json!({ "firstName": "Other", "roles": [writer] })).await;
        post.none().await;
    }
}

async fn an_impersonated_user_is_told(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    for (login, [first, last], language) in READERS {
        let user = post.reader(&acme, login).await;
        let input = json!({ "id": id(&user), "reason": "Ticket <4711>", "readOnly": true });
        let done = owner.mutate("impersonateUser", input, "token").await;
        assert_eq!(user_errors(&done), [""; 0]);
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
                "owner@acme acts in your name in Doorward",
                &[
                    "in the name of ann@acme",
                    "for 30 minutes at most",
                    "change nothing",
                    "given: Ticket <4711>",
                ],
                &["for 30 minutes at most", "The reason given: Ticket &lt;4711&gt;"],
            ),
            Language::Ru => says(
                &mail,
                "owner@acme действует от вашего имени в Doorward",
                &[
                    "от имени пользователя ivan@acme",
                    "не более чем на 30 минут",
                    "только просмотр",
                    "Ticket <4711>",
                ],
                &["не более чем на 30 минут", "Ticket &lt;4711&gt;"],
            ),
        }
    }
}

async fn names_are_no_way_into_the_headers(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    for (n, (first, last)) in [
        ("\"Ann\" <eve@example.net>,", "Archer"),
        ("=?utf-8?q?Bcc=3A_eve=40example.net?=", "Archer"),
        ("Ann;", "Archer, (comment) \\"),
        ("Аня <script>alert(1)</script>", "{{ link.url }}"),
    ]
    .into_iter()
    .enumerate()
    {
        let (login, address) = (format!("user{n}"), format!("user{n}@example.org"));
        let input =
            json!({ "login": login, "firstName": first, "lastName": last, "email": address, "sendAccessEmail": true });
        let made = owner.mutate("createUser", input, "user { id }").await;
        assert_eq!(user_errors(&made), [""; 0], "{first}");
        let mail = post.only().await;
        is_well_formed(&mail, &post, (&format!("{first} {last}"), &address), Language::En);
        assert!(!mail.html().contains("<script"), "{}", mail.html());
        secret(&mail);
    }
    // A line end in a name is refused, or it is none any more when it arrives.
    let input = json!({ "login": "crlf", "firstName": "Ann\r\nBcc: eve@example.net", "email": "crlf@example.org",
        "sendAccessEmail": true });
    let made = owner.mutate("createUser", input, "user { id }").await;
    assert_eq!(user_errors(&made), ["INVALID firstName"]);
    post.none().await;
}
