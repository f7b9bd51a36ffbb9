//! Another contact address is told to the one before: where links to set a password go is where a user can be taken over.

use doorward::domain::account::Language;
use doorward::domain::user::User;
use serde_json::{Value, json};

use super::post::{Post, READERS, id, is_well_formed, says};
use crate::support::gateway::{Asker, Backend, on_both_stores, user_errors};

on_both_stores!(
    a_user_is_told_at_the_address_before,
    an_administrators_change_is_told_too,
    what_changes_no_address_is_not_told,
    a_change_that_is_refused_is_not_told,
);

async fn change_mine(asker: &Asker<'_>, input: Value) {
    let done = asker.mutate("updateMyProfile", input, "user { id }").await;
    assert_eq!(user_errors(&done), [""; 0]);
}

async fn change(asker: &Asker<'_>, user: &User, mut input: Value) -> Vec<String> {
    input["id"] = json!(id(user));
    user_errors(&asker.mutate("updateUser", input, "user { id }").await)
}

async fn a_user_is_told_at_the_address_before(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    for (login, [first, last], language) in READERS {
        // Whatever else was set before, or is set by the same change, the notice comes, to that address, and as before.
        post.reader_with(&acme, login, |new| {
            new.notifications.security_notices = Some(false);
            new.notifications.email = Some(Some("pager@example.org".to_owned()));
        })
        .await;
        let me = post.gateway.sign_in(&format!("{login}@acme")).await;
        let tongue = match language {
            Language::En => "RU",
            Language::Ru => "EN",
        };
        let input = json!({ "email": "eve@example.net", "firstName": "Eve", "language": tongue,
            "notifications": { "email": "eve@example.net" } });
        change_mine(&me, input).await;
        let mail = post.only().await;
        let to = (&*format!("{first} {last}"), &*format!("{login}@example.org"));
        is_well_formed(&mail, &post, to, language);
        match language {
            Language::En => says(
                &mail,
                "Your mail address for Doorward was changed",
                &[
                    "This is no longer the mail address of ann@acme, since",
                    "Links to set a new password do not come here any more.",
                    "Address:  127.0.0.1",
                    "This was not you?",
                ],
                &["<strong>ann@acme</strong>, since", "127.0.0.1", "This was not you?"],
            ),
            Language::Ru => says(
                &mail,
                "Ваш адрес почты для Doorward изменён",
                &[
                    "Это больше не адрес почты пользователя ivan@acme.",
                    "Ссылки для нового пароля сюда больше не приходят.",
                    "IP-адрес: 127.0.0.1",
                    "Это были не вы?",
                ],
                &["<strong>ivan@acme</strong>", "127.0.0.1", "Это были не вы?"],
            ),
        }
        for body in [mail.text(), mail.html()] {
            assert!(!body.contains("eve@"), "the new address is not said: {body}");
        }
        // No address is another one, too; from then on there is nobody to tell.
        change_mine(&me, json!({ "email": null })).await;
        assert_eq!(post.only().await.envelope.to, ["eve@example.net"]);
        change_mine(&me, json!({ "email": "new@example.org" })).await;
        post.none().await;
    }
}

async fn an_administrators_change_is_told_too(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    for (login, [first, last], language) in READERS {
        let user = post.reader(&acme, login).await;
        let input = json!({ "email": "other@example.org" });
        assert_eq!(change(&owner, &user, input).await, [""; 0]);
        let mail = post.only().await;
        let to = (&*format!("{first} {last}"), &*format!("{login}@example.org"));
        is_well_formed(&mail, &post, to, language);
        let who = match language {
            Language::En => "owner@acme changed it.",
            Language::Ru => "Кто изменил: owner@acme.",
        };
        assert!(
            mail.text().contains(who) && mail.html().contains(who),
            "{}",
            mail.text()
        );
        assert!(
            !mail.text().contains("127.0.0.1"),
            "where the administrator sits is theirs"
        );
    }
    // One's own address, by whichever way, is changed by oneself.
    let boss = post.reader_with(&acme, "boss", |new| new.is_master = true).await;
    let me = post.gateway.sign_in("boss@acme").await;
    assert_eq!(
        change(&me, &boss, json!({ "email": "other@example.org" })).await,
        [""; 0]
    );
    let mail = post.only().await;
    assert_eq!(mail.envelope.to, ["boss@example.org"]);
    assert!(
        mail.text().contains("127.0.0.1") && mail.text().contains("This was not you?"),
        "{}",
        mail.text()
    );
}

async fn what_changes_no_address_is_not_told(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    let ann = post.reader(&acme, "ann").await;
    let bare = post.reader_with(&acme, "bare", |new| new.email = None).await;
    let me = post.gateway.sign_in("ann@acme").await;
    for email in [json!("ann@example.org"), json!(" Ann@Example.ORG ")] {
        change_mine(&me, json!({ "email": email, "phone": "555" })).await;
        assert_eq!(change(&owner, &ann, json!({ "email": email })).await, [""; 0]);
    }
    // Where alerts go is not where links go.
    let input = json!({ "lastName": "Lee", "notifications": { "email": "pager@example.org" } });
    change_mine(&me, input).await;
    let input = json!({ "email": "first@example.org" });
    assert_eq!(change(&owner, &bare, input).await, [""; 0]);
    post.none().await;
}

async fn a_change_that_is_refused_is_not_told(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    let ann = post.reader(&acme, "ann").await;
    post.reader(&acme, "bob").await;
    for (input, error) in [
        (json!({ "email": "x@example.org", "revision": 7 }), "CONFLICT"),
        (json!({ "email": "x@example.org", "login": "bob" }), "TAKEN login"),
        (json!({ "email": "nobody" }), "INVALID email"),
    ] {
        let errors = change(&owner, &ann, input).await;
        assert!(errors.len() == 1 && errors[0].starts_with(error), "{errors:?}");
    }
    post.none().await;
    let me = post.gateway.sign_in("ann@acme").await;
    let seen = me.data("{ viewer { user { email } } }").await;
    assert_eq!(seen["viewer"]["user"]["email"], "ann@example.org");
}
