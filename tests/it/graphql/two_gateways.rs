//! Two processes over one store: what one takes away the other refuses.

use std::time::{Duration, Instant};

use doorward::graphql::node_id;
use serde_json::json;

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(what_one_ends_the_other_refuses, wrong_passwords_spread_over_both_lock,);

/// A second gateway over the same store, as another process would be.
async fn two(backend: Backend) -> (Gateway, Gateway) {
    let mut url = None;
    let first = Gateway::start_with(backend, |c| url = Some(c.store.url.clone())).await;
    let second = Gateway::start_with(backend, |c| c.store.url = url.unwrap()).await;
    (first, second)
}

/// Waits until the token is refused there: at most two seconds.
async fn refused(gateway: &Gateway, asker: &Asker<'_>) {
    let begun = Instant::now();
    loop {
        let request = gateway
            .post("/graphql")
            .json(&json!({ "query": "{ viewer { isMaster } }" }));
        let status = request
            .bearer_auth(asker.token.as_deref().unwrap())
            .send()
            .await
            .unwrap()
            .status();
        if status == 401 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "still {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn what_one_ends_the_other_refuses(backend: Backend) {
    let (here, there) = two(backend).await;
    let acme = here.account("acme").await;
    here.master(&here.system().await, "root").await;
    let ann = here.user(&acme, "ann").await;
    let root = here.sign_in("root@system").await;
    let (account, user) = (
        node_id::encode(acme.id).to_string(),
        node_id::encode(ann.id).to_string(),
    );

    let session = there.sign_in("ann@acme").await;
    let own = session.data("{ viewer { session { id } } }").await;
    let input = json!({ "id": own["viewer"]["session"]["id"] });
    let payload = root.mutate("revokeSession", input, "session { id }").await;
    assert_eq!(user_errors(&payload), Vec::<String>::new());
    refused(&there, &session).await;

    let session = there.sign_in("ann@acme").await;
    root.mutate("disableUser", json!({ "id": user }), "user { id }").await;
    refused(&there, &session).await;
    assert_eq!(there.refusal("ann@acme", PASSWORD).await, "DISABLED");
    root.mutate("enableUser", json!({ "id": user }), "user { id }").await;

    let session = there.sign_in("ann@acme").await;
    root.mutate("freezeAccount", json!({ "id": account }), "account { id }")
        .await;
    refused(&there, &session).await;
    assert_eq!(there.refusal("ann@acme", PASSWORD).await, "ACCOUNT_FROZEN");
    root.mutate("activateAccount", json!({ "id": account }), "account { id }")
        .await;

    let session = there.sign_in("ann@acme").await;
    root.mutate("deleteUser", json!({ "id": user }), "deletedId").await;
    refused(&there, &session).await;
}

async fn wrong_passwords_spread_over_both_lock(backend: Backend) {
    let (here, there) = two(backend).await;
    let acme = here.account("acme").await;
    here.user(&acme, "ann").await;
    for attempt in 0..10 {
        let at = if attempt % 2 == 0 { &here } else { &there };
        for login in ["ann@acme", "nobody@acme"] {
            assert_eq!(
                at.refusal(login, "wrong").await,
                "WRONG_CREDENTIALS",
                "{attempt} {login}"
            );
        }
    }
    for at in [&here, &there] {
        for login in ["ann@acme", "nobody@acme"] {
            assert_eq!(at.refusal(login, PASSWORD).await, "LOCKED", "{login}");
        }
    }
}
