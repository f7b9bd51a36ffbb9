//! Sessions: listing and ending them.

use std::time::Duration;

use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    one_is_ended_and_refused_at_once,
    all_but_the_current_one_end,
    others_take_the_right_to_change_their_user,
    a_masters_are_ended_by_masters,
    a_new_password_ends_the_others,
    they_end_unused_and_after_their_time,
);

/// The ids of the caller's sessions, newest first.
async fn own(asker: &Asker<'_>) -> Vec<String> {
    let data = asker.data("{ viewer { user { sessions { id } } } }").await;
    let ids = data["viewer"]["user"]["sessions"].as_array().unwrap();
    ids.iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
}

async fn current(asker: &Asker<'_>) -> Value {
    asker.data("{ viewer { session { id isCurrent } } }").await["viewer"]["session"].clone()
}

/// The HTTP status of a request with that token.
async fn status(gateway: &Gateway, asker: &Asker<'_>) -> u16 {
    let request = gateway
        .post("/graphql")
        .json(&json!({ "query": "{ viewer { isMaster } }" }));
    let token = asker.token.as_deref().unwrap();
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

async fn one_is_ended_and_refused_at_once(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "ann").await;
    let (first, second) = (gateway.sign_in("ann@acme").await, gateway.sign_in("ann@acme").await);
    assert_eq!(own(&second).await.len(), 2);
    let id = current(&first).await["id"].clone();
    let fields = "session { id isCurrent ip user { login } }";
    let payload = second.mutate("revokeSession", json!({ "id": id }), fields).await;
    assert_eq!(
        payload["session"],
        json!({ "id": id, "isCurrent": false, "ip": "127.0.0.1", "user": { "login": "ann" } })
    );
    assert_eq!(status(&gateway, &first).await, 401);
    assert_eq!(own(&second).await.len(), 1);
    // Twice, of another kind, and nothing at all.
    let kinds = [id, json!(node_id::encode(acme.id).to_string()), json!("x")];
    for id in kinds {
        let payload = second.mutate("revokeSession", json!({ "id": id }), fields).await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    }

    let owner = gateway.sign_in("owner@acme").await;
    let audit = "{ auditLog(filter: {action: \"revokeSession\"}) { nodes { actor targetType targetName changes { field before after } } } }";
    let entries = owner.data(audit).await;
    let entry = &entries["auditLog"]["nodes"][0];
    assert_eq!(
        (&entry["actor"], &entry["targetType"], &entry["targetName"]),
        (&json!("ann@acme"), &json!("User"), &json!("ann@acme"))
    );
    let before = entry["changes"][0]["before"].as_str().unwrap();
    assert!(before.contains("127.0.0.1"), "{before}");
    assert_eq!(entries["auditLog"]["nodes"].as_array().unwrap().len(), 1, "{entries:#}");

    // One's own current one: the same as signing out.
    let id = current(&second).await["id"].clone();
    let payload = second.mutate("revokeSession", json!({ "id": id }), fields).await;
    assert_eq!(payload["session"]["isCurrent"], json!(true));
    assert_eq!(status(&gateway, &second).await, 401);

    let mutation = "mutation { revokeSession(input: {id: \"x\"}) { session { id } } }";
    assert_eq!(gateway.nobody().error(mutation).await, "UNAUTHENTICATED");
    let mutation = "mutation { revokeAllSessions(input: {}) { revoked } }";
    assert_eq!(gateway.nobody().error(mutation).await, "UNAUTHENTICATED");
}

async fn all_but_the_current_one_end(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let ann = gateway.user(&acme, "ann").await;
    gateway.user(&acme, "bob").await;
    let bob = gateway.sign_in("bob@acme").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(gateway.sign_in("ann@acme").await);
    }
    let here = sessions.pop().unwrap();
    let payload = here.mutate("revokeAllSessions", json!({}), "revoked").await;
    assert_eq!(payload["revoked"], json!(2));
    for gone in &sessions {
        assert_eq!(status(&gateway, gone).await, 401);
    }
    assert_eq!(own(&here).await, [current(&here).await["id"].as_str().unwrap()]);
    let again = here.mutate("revokeAllSessions", json!({ "exceptCurrent": true }), "revoked");
    assert_eq!(again.await["revoked"], json!(0));
    // By one's own id it is the same.
    let input = json!({ "user": node_id::encode(ann.id).to_string(), "exceptCurrent": false });
    let payload = here.mutate("revokeAllSessions", input, "revoked").await;
    assert_eq!(payload["revoked"], json!(1));
    assert_eq!(
        (status(&gateway, &here).await, status(&gateway, &bob).await),
        (401, 200)
    );
}

async fn others_take_the_right_to_change_their_user(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    let writer = gateway.role(&acme, "Writer", &["users:write"]).await;
    gateway
        .user_with(&acme, "writer", |new| new.roles = vec![Some(writer)])
        .await;
    let ann = gateway.user(&acme, "ann").await;
    gateway.user(&acme, "plain").await;
    gateway.master(&blue, "stranger").await;
    gateway.master(&gateway.system().await, "root").await;
    let victim = gateway.sign_in("ann@acme").await;
    let session = json!({ "id": current(&victim).await["id"] });
    let user = json!({ "user": node_id::encode(ann.id).to_string() });

    for login in ["plain@acme", "stranger@blue"] {
        let asker = gateway.sign_in(login).await;
        let payload = asker.mutate("revokeSession", session.clone(), "session { id }").await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND id"], "{login}");
    }
    let plain = gateway.sign_in("plain@acme").await;
    let all = "mutation($input: RevokeAllSessionsInput!) { revokeAllSessions(input: $input) { revoked } }";
    for user in [user.clone(), json!({ "user": "x" })] {
        let refused = plain.error_with(all, json!({ "input": user })).await;
        assert_eq!(refused, "FORBIDDEN");
    }
    let stranger = gateway.sign_in("stranger@blue").await;
    let payload = stranger.mutate("revokeAllSessions", user.clone(), "revoked").await;
    assert_eq!(user_errors(&payload), ["NOT_FOUND user"]);
    assert_eq!(status(&gateway, &victim).await, 200);

    let by = gateway.sign_in("writer@acme").await;
    let payload = by.mutate("revokeSession", session, "session { user { login } }").await;
    assert_eq!(payload["session"]["user"]["login"], json!("ann"));
    assert_eq!(status(&gateway, &victim).await, 401);
    for login in ["writer@acme", "root@system"] {
        let victim = gateway.sign_in("ann@acme").await;
        let by = gateway.sign_in(login).await;
        let payload = by.mutate("revokeAllSessions", user.clone(), "revoked").await;
        assert_eq!((&payload["revoked"], status(&gateway, &victim).await), (&json!(1), 401));
        assert_eq!(status(&gateway, &by).await, 200, "whoever ends others' keeps their own");
    }
    for unknown in [json!("x"), json!(node_id::encode(acme.id).to_string())] {
        let payload = by
            .mutate("revokeAllSessions", json!({ "user": unknown }), "revoked")
            .await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND user"]);
    }
}

async fn a_masters_are_ended_by_masters(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let writer = gateway.role(&acme, "Writer", &["users:write"]).await;
    gateway
        .user_with(&acme, "writer", |new| new.roles = vec![Some(writer)])
        .await;
    let owner = gateway.master(&acme, "owner").await;
    gateway.master(&acme, "boss").await;
    let victim = gateway.sign_in("owner@acme").await;
    let session = json!({ "id": current(&victim).await["id"] });
    let user = json!({ "user": node_id::encode(owner.id).to_string() });
    let by = gateway.sign_in("writer@acme").await;
    let payload = by.mutate("revokeSession", session.clone(), "session { id }").await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED id"]);
    let payload = by.mutate("revokeAllSessions", user, "revoked").await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED user"]);
    let by = gateway.sign_in("boss@acme").await;
    let payload = by.mutate("revokeSession", session, "session { id }").await;
    assert_eq!(user_errors(&payload), Vec::<String>::new());
    assert_eq!(status(&gateway, &victim).await, 401);
}

async fn a_new_password_ends_the_others(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let (other, here) = (gateway.sign_in("ann@acme").await, gateway.sign_in("ann@acme").await);
    let input = json!({ "currentPassword": PASSWORD, "newPassword": "violet-Anchor-38-meadow" });
    let payload = here.mutate("changePassword", input, "user { login }").await;
    assert_eq!(user_errors(&payload), Vec::<String>::new());
    assert_eq!(
        (status(&gateway, &other).await, status(&gateway, &here).await),
        (401, 200)
    );
}

async fn they_end_unused_and_after_their_time(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| {
        config.session.idle = Duration::from_secs(3600);
        config.session.lifetime = Duration::from_secs(4 * 3600);
    })
    .await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let idle = gateway.sign_in("ann@acme").await;
    let used = gateway.sign_in("ann@acme").await;
    for _ in 0..4 {
        gateway.wait(Duration::from_secs(50 * 60));
        assert_eq!(status(&gateway, &used).await, 200);
        // What is written of its use is written beside the answer.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(status(&gateway, &idle).await, 401, "unused for over an hour");
    assert_eq!(own(&used).await.len(), 1);
    gateway.wait(Duration::from_secs(45 * 60));
    assert_eq!(status(&gateway, &used).await, 401, "over four hours old");
}
