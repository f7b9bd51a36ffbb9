//! Who gets mails: those who asked for notices, at the address for them; and nobody without an address.

use doorward::graphql::node_id;
use serde_json::json;

use super::post::{Post, id};
use crate::support::gateway::{Backend, on_both_stores, user_errors};

on_both_stores!(
    whoever_asked_for_no_notices_gets_none,
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
        let input = json!({ "id": id(user), "reason": "x", "readOnly": false });
        owner.mutate("impersonateUser", input, "token").await;
    }
    // Notices go to the address for them, where there is one.
    let mails = post.take().await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.envelope.to[0].as_str()).collect();
    assert_eq!(to, ["bob.alerts@example.org"; 2]);
    // What concerns the own password is nobody's to turn off, and goes to the contact address.
    for (user, address) in [(&off, "ann@example.org"), (&on, "bob@example.org")] {
        let input = json!({ "id": id(user), "password": NEW });
        owner.mutate("setUserPassword", input, "user { id }").await;
        assert_eq!(post.only().await.envelope.to, [address]);
    }
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
