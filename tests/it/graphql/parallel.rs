//! Many at once: nothing is lost, nothing is made twice, and somebody is left.

use doorward::domain::query::UserFilter;
use doorward::domain::user::UserStatus;
use doorward::graphql::node_id;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores, user_errors};

on_both_stores!(
    updates_with_a_revision_lose_none,
    one_login_is_taken_once,
    masters_who_disable_each_other_leave_one,
    whoever_is_promoted_is_deleted_by_no_clerk,
);

const MANY: usize = 200;

/// Adds one to the number in `lastName` as it is read; whether that landed.
async fn add_one(asker: &Asker<'_>, id: &Value) -> bool {
    let query = "query($id: ID!) { user(id: $id) { lastName revision } }";
    let user = asker.data_with(query, json!({ "id": id })).await["user"].clone();
    let count: usize = user["lastName"].as_str().unwrap().parse().unwrap();
    let input = json!({ "id": id, "revision": user["revision"], "lastName": (count + 1).to_string() });
    let payload = asker.mutate("updateUser", input, "user { id }").await;
    match user_errors(&payload).as_slice() {
        [] => true,
        [conflict] if conflict == "CONFLICT revision" => false,
        other => panic!("{other:?}"),
    }
}

async fn updates_with_a_revision_lose_none(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway
        .user_with(&acme, "ann", |new| new.last_name = "0".to_owned())
        .await;
    let owner = gateway.sign_in("owner@acme").await;
    let id = json!(node_id::encode(ann.id).to_string());
    // All at once; whoever loses tries again, in ever smaller crowds, as each loses to nearly all others of its crowd.
    let (mut left, mut crowd) = (MANY, MANY);
    while left > 0 {
        let tries = (0..crowd.min(left)).map(|_| add_one(&owner, &id));
        let landed = join_all(tries).await.into_iter().filter(|landed| *landed).count();
        assert!(landed > 0, "somebody is the first");
        left -= landed;
        crowd = (crowd / 4).max(4);
    }
    let data = owner
        .data("{ user(login: \"ann@acme\") { lastName revision } auditLog(filter: {action: \"updateUser\"}) { totalCount } }")
        .await;
    assert_eq!(
        data,
        json!({ "user": { "lastName": MANY.to_string(), "revision": MANY + 1 }, "auditLog": { "totalCount": MANY } })
    );
}

async fn one_login_is_taken_once(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let attempts = (0..MANY).map(|_| owner.mutate("createUser", json!({ "login": "one" }), "user { id }"));
    let payloads = join_all(attempts).await;
    let made = payloads.iter().filter(|p| !p["user"].is_null()).count();
    let taken = payloads.iter().filter(|p| user_errors(p) == ["TAKEN login"]).count();
    assert_eq!((made, taken), (1, MANY - 1));
    let data = owner
        .data("{ users { totalCount } auditLog(filter: {action: \"createUser\", actor: null}) { nodes { targetName actor } } }")
        .await;
    assert_eq!(data["users"]["totalCount"], 2);
    let entries = data["auditLog"]["nodes"].as_array().unwrap();
    let of_one = entries.iter().filter(|e| e["targetName"] == "one@acme").count();
    assert_eq!(of_one, 1, "{entries:#?}");
}

async fn masters_who_disable_each_other_leave_one(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let disable = "mutation($input: DisableUserInput!) { disableUser(input: $input) { user { login } userErrors { code path } } }";
    for round in 0..10 {
        let account = gateway.account(&format!("acme{round}")).await;
        let (ann, bob) = (
            gateway.master(&account, "ann").await,
            gateway.master(&account, "bob").await,
        );
        let (as_ann, as_bob) = (
            gateway.sign_in(&format!("ann@acme{round}")).await,
            gateway.sign_in(&format!("bob@acme{round}")).await,
        );
        let input = |id| json!({ "input": { "id": node_id::encode(id).to_string() } });
        let answers = tokio::join!(as_ann.ask(disable, input(bob.id)), as_bob.ask(disable, input(ann.id)),);
        let mut done = 0;
        for answer in [&answers.0, &answers.1] {
            let payload = &answer["data"]["disableUser"];
            if answer.get("errors").is_some() {
                // Disabled before the request was read: the session is gone.
                assert_eq!(
                    answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED",
                    "{answer:#}"
                );
            } else if payload["user"].is_null() {
                assert_eq!(user_errors(payload), ["LAST_MASTER"], "{answer:#}");
            } else {
                done += 1;
            }
        }
        assert_eq!(done, 1, "{answers:#?}");
        let filter = UserFilter {
            account: Some(account.id),
            is_master: Some(true),
            status: Some(UserStatus::Active),
            ..UserFilter::default()
        };
        let left = gateway.services.command_line().count_users(&[filter]).await.unwrap();
        assert_eq!(left, [1]);
    }
}

async fn whoever_is_promoted_is_deleted_by_no_clerk(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let writer = gateway.role(&acme, "Writer", &["users:write"]).await;
    gateway
        .user_with(&acme, "clerk", |new| new.roles = vec![Some(writer)])
        .await;
    let (owner, clerk) = (gateway.sign_in("owner@acme").await, gateway.sign_in("clerk@acme").await);
    for round in 0..20 {
        let user = gateway.user(&acme, &format!("ann{round}")).await;
        let id = node_id::encode(user.id).to_string();
        let (promoted, deleted) = tokio::join!(
            owner.mutate("updateUser", json!({ "id": id, "isMaster": true }), "user { id }"),
            clerk.mutate("deleteUser", json!({ "id": id }), "deletedId"),
        );
        match (user_errors(&promoted).as_slice(), user_errors(&deleted).as_slice()) {
            ([], [refused]) => assert_eq!(refused, "NOT_ALLOWED id"),
            ([gone], []) => assert_eq!(gone, "NOT_FOUND id"),
            both => panic!("{both:?}"),
        }
    }
}
