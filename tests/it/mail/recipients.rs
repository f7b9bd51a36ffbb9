//! Who gets mails: those who asked for notices, at the address for them; and nobody without an address.

use doorward::domain::user::User;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use super::post::{Post, id};
use crate::support::gateway::{Asker, Backend, on_both_stores, user_errors};

on_both_stores!(
    whoever_asked_for_no_notices_gets_none,
    nobody_is_impersonated_in_silence,
    without_an_address_there_is_no_mail,
);

const NEW: &str = "violet-Anchor-38-meadow";

async fn whoever_asked_for_no_notices_gets_none(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    let reader = node_id::encode(post.gateway.role(&acme, "Reader", &["users:read"]).await).to_string();
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    let off = post
        .reader_with(&acme, "ann", |new| new.notifications.security_notices = Some(false))
        .await;
    let on = post
        .reader_with(&acme, "bob", |new| {
            new.notifications.email = Some(Some("bob.alerts@example.org".to_owned()))
        })
        .await;
    for user in [&off, &on] {
        let input = json!({ "id": id(user), "roles": [reader] });
        owner.mutate("updateUser", input, "user { id }").await;
    }
    // Notices go to the address for them, where there is one.
    assert_eq!(post.only().await.envelope.to, ["bob.alerts@example.org"]);
    // What concerns the own password, or acting in one's name, is nobody's to turn off, and goes to the contact address.
    for (user, address) in [(&off, "ann@example.org"), (&on, "bob@example.org")] {
        let input = json!({ "id": id(user), "password": NEW });
        owner.mutate("setUserPassword", input, "user { id }").await;
        assert_eq!(post.only().await.envelope.to, [address]);
        impersonate(&owner, user).await;
        assert_eq!(post.only().await.envelope.to, [address]);
    }
}

async fn impersonate(master: &Asker<'_>, user: &User) {
    let input = json!({ "id": id(user), "reason": "x", "readOnly": false });
    assert_eq!(
        user_errors(&master.mutate("impersonateUser", input, "token").await),
        [""; 0]
    );
}

async fn nobody_is_impersonated_in_silence(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post.gateway.account("acme").await;
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    let ann = post.reader(&acme, "ann").await;
    let pager = post
        .reader_with(&acme, "pager", |new| {
            new.email = None;
            new.notifications.email = Some(Some("pager@example.org".to_owned()));
        })
        .await;
    let update = async |change: Value| {
        assert_eq!(
            user_errors(&owner.mutate("updateUser", change, "user { id }").await),
            [""; 0]
        );
    };
    // Notices off and elsewhere first.
    let notifications = json!({ "securityNotices": false, "email": "owner@example.org" });
    update(json!({ "id": id(&ann), "notifications": notifications })).await;
    update(json!({ "id": id(&pager), "notifications": { "securityNotices": false } })).await;
    post.none().await;
    for (user, address) in [(&ann, "ann@example.org"), (&pager, "pager@example.org")] {
        impersonate(&owner, user).await;
        assert_eq!(post.only().await.envelope.to, [address]);
    }
    // Another contact address first is told itself.
    update(json!({ "id": id(&ann), "email": "owner@example.org" })).await;
    assert_eq!(post.only().await.envelope.to, ["ann@example.org"]);
}

async fn without_an_address_there_is_no_mail(backend: Backend) {
    let post = Post::start(backend).await;
    let acme = post
        .gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 2)
        .await;
    let reader = node_id::encode(post.gateway.role(&acme, "Reader", &["users:read"]).await).to_string();
    post.gateway.master(&acme, "owner").await;
    let owner = post.gateway.sign_in("owner@acme").await;
    let ann = post.gateway.user(&acme, "ann").await;
    for (name, input) in [
        ("updateUser", json!({ "id": id(&ann), "roles": [reader] })),
        ("setUserPassword", json!({ "id": id(&ann), "password": NEW })),
    ] {
        assert_eq!(user_errors(&owner.mutate(name, input, "user { id }").await), [""; 0]);
    }
    let input = json!({ "id": id(&ann), "reason": "x" });
    assert_eq!(
        user_errors(&owner.mutate("impersonateUser", input, "token").await),
        [""; 0]
    );
    let input = json!({ "login": "ann@acme" });
    let asked = post
        .gateway
        .nobody()
        .mutate("requestPasswordReset", input, "accepted")
        .await;
    assert_eq!(asked["accepted"], json!(true));
    for _ in 0..2 {
        post.gateway.refusal("ann@acme", "wrong").await;
    }
    post.none().await;
    let sent = owner
        .mutate("sendAccessEmail", json!({ "id": id(&ann) }), "user { id }")
        .await;
    assert_eq!(user_errors(&sent), ["NO_ADDRESS"]);
    let made = json!({ "login": "bob", "sendAccessEmail": true });
    let made = owner.mutate("createUser", made, "user { id }").await;
    assert_eq!(user_errors(&made), ["NO_ADDRESS sendAccessEmail"]);
    let set = json!({ "id": id(&ann), "sendAccessEmail": true });
    let set = owner.mutate("setUserPassword", set, "user { id }").await;
    assert_eq!(user_errors(&set), ["NO_ADDRESS sendAccessEmail"]);
    post.none().await;
}
