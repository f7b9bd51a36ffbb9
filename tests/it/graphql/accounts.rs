//! Changing, freezing and deleting accounts.

use doorward::config::Config;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    masters_change_some_of_their_own,
    operators_change_everything,
    each_change_is_checked,
    lost_updates_are_refused,
    a_frozen_account_lets_nobody_in_and_loses_nothing,
    a_deleted_account_is_gone_with_everything,
    others_are_refused_or_find_nothing,
);

/// A directory that is configured and never asked.
fn corp(config: &mut Config) {
    let section = "[directories.corp]\nservers = [\"ldaps://ldap.invalid\"]\nbase = [\"dc=example,dc=org\"]\n\
                   filter = \"(uid={login})\"\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("doorward.toml");
    std::fs::write(&file, section).unwrap();
    let parsed = Config::load(Some(&file), std::iter::empty::<(String, String)>(), folder.path()).unwrap();
    config.directories = parsed.directories;
}

async fn entry(asker: &Asker<'_>, action: &str) -> Value {
    let query = "query($action: String!) { auditLog(filter: {action: $action}, first: 1) { nodes {
        actor targetType targetName changes { field before after } } } }";
    let log = asker.data_with(query, json!({ "action": action })).await;
    log["auditLog"]["nodes"][0].clone()
}

async fn status(gateway: &Gateway, asker: &Asker<'_>) -> u16 {
    let request = gateway
        .post("/graphql")
        .json(&json!({ "query": "{ viewer { isMaster } }" }));
    let token = asker.token.as_deref().unwrap();
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

const FIELDS: &str = "account { title timeZone defaultLanguage directory { name } directoryOnly revision
    passwordPolicy { minLength minStrength maxAgeDays history lockoutThreshold lockoutMinutes } }";

async fn masters_change_some_of_their_own(backend: Backend) {
    let gateway = Gateway::start_with(backend, corp).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let id = node_id::encode(acme.id).to_string();
    let input = json!({ "id": id, "title": "Acme Ltd", "timeZone": "Asia/Almaty", "defaultLanguage": "RU",
        "passwordPolicy": { "minLength": 14, "maxAgeDays": 90 } });
    let payload = owner.mutate("updateAccount", input, FIELDS).await;
    assert_eq!(
        payload["account"],
        json!({ "title": "Acme Ltd", "timeZone": "Asia/Almaty", "defaultLanguage": "RU", "directory": null,
            "directoryOnly": false, "revision": 2, "passwordPolicy": { "minLength": 14, "minStrength": 3, "maxAgeDays": 90,
            "history": 5, "lockoutThreshold": 10, "lockoutMinutes": 15 } })
    );
    assert_eq!(
        entry(&owner, "updateAccount").await,
        json!({ "actor": "owner@acme", "targetType": "Account", "targetName": "acme", "changes": [
            { "field": "title", "before": "acme", "after": "Acme Ltd" },
            { "field": "timeZone", "before": "UTC", "after": "Asia/Almaty" },
            { "field": "defaultLanguage", "before": "EN", "after": "RU" },
            { "field": "passwordPolicy.minLength", "before": "12", "after": "14" },
            { "field": "passwordPolicy.maxAgeDays", "before": null, "after": "90" } ] })
    );
    // What is cleared goes, what is left out stays.
    let input = json!({ "id": id, "title": null, "passwordPolicy": { "maxAgeDays": null } });
    let payload = owner.mutate("updateAccount", input, FIELDS).await;
    assert_eq!(payload["account"]["title"], json!("acme"));
    assert_eq!(
        (
            &payload["account"]["passwordPolicy"]["maxAgeDays"],
            &payload["account"]["passwordPolicy"]["minLength"]
        ),
        (&Value::Null, &json!(14))
    );
    let input = json!({ "id": id, "directory": "corp", "directoryOnly": true, "title": "x" });
    let payload = owner.mutate("updateAccount", input, FIELDS).await;
    assert_eq!(
        user_errors(&payload),
        ["NOT_ALLOWED directory", "NOT_ALLOWED directoryOnly"]
    );
    assert_eq!(
        owner.data("{ account { title } }").await["account"]["title"],
        json!("acme")
    );
}

async fn operators_change_everything(backend: Backend) {
    let gateway = Gateway::start_with(backend, corp).await;
    let acme = gateway.account("acme").await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    let id = node_id::encode(acme.id).to_string();
    let input = json!({ "id": id, "directory": "corp", "directoryOnly": true });
    let payload = root.mutate("updateAccount", input, FIELDS).await;
    assert_eq!(
        (
            &payload["account"]["directory"]["name"],
            &payload["account"]["directoryOnly"]
        ),
        (&json!("corp"), &json!(true))
    );
    let input = json!({ "account": id, "login": "ann", "isLdap": true });
    let ann = root.mutate("createUser", input, "user { id }").await;
    let input = json!({ "id": id, "directory": null, "directoryOnly": false });
    let payload = root.mutate("updateAccount", input.clone(), FIELDS).await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED directory"], "somebody needs it");
    let local = json!({ "id": ann["user"]["id"], "isLdap": false });
    assert_eq!(
        user_errors(&root.mutate("updateUser", local, "user { id }").await),
        Vec::<String>::new()
    );
    let payload = root.mutate("updateAccount", input, FIELDS).await;
    assert_eq!(
        (&payload["account"]["directory"], &payload["account"]["revision"]),
        (&Value::Null, &json!(3))
    );
}

async fn each_change_is_checked(backend: Backend) {
    let gateway = Gateway::start_with(backend, corp).await;
    let acme = gateway.account("acme").await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    let id = node_id::encode(acme.id).to_string();
    for (input, errors) in [
        (json!({ "title": "x".repeat(201) }), vec!["TOO_LONG title"]),
        (
            json!({ "title": "a\u{7}", "timeZone": "Mars/Olympus" }),
            vec!["INVALID title", "INVALID timeZone"],
        ),
        (
            json!({ "timeZone": null, "defaultLanguage": null }),
            vec!["REQUIRED timeZone", "REQUIRED defaultLanguage"],
        ),
        (json!({ "directory": "nowhere" }), vec!["NOT_FOUND directory"]),
        (json!({ "directoryOnly": true }), vec!["LDAP_OFF directoryOnly"]),
        (
            json!({ "passwordPolicy": { "minLength": 0 } }),
            vec!["INVALID passwordPolicy.minLength"],
        ),
        (
            json!({ "passwordPolicy": { "lockoutMinutes": -1 } }),
            vec!["INVALID passwordPolicy.lockoutMinutes"],
        ),
        (json!({ "id": "x" }), vec!["NOT_FOUND id"]),
    ] {
        let mut whole = json!({ "id": id });
        whole
            .as_object_mut()
            .unwrap()
            .extend(input.as_object().unwrap().clone());
        let payload = root.mutate("updateAccount", whole, FIELDS).await;
        assert_eq!(user_errors(&payload), errors, "{input}");
    }
}

async fn lost_updates_are_refused(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let id = node_id::encode(acme.id).to_string();
    let change = async |revision: i64, title: &str| {
        let input = json!({ "id": id, "revision": revision, "title": title });
        owner.mutate("updateAccount", input, "account { revision }").await
    };
    assert_eq!(change(1, "one").await["account"]["revision"], json!(2));
    let late = change(1, "two").await;
    assert_eq!(user_errors(&late), ["CONFLICT revision"]);
    assert_eq!(late["userErrors"][0]["currentRevision"], json!(2));
}

async fn a_frozen_account_lets_nobody_in_and_loses_nothing(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let system = gateway.system().await;
    gateway.master(&system, "root").await;
    gateway.master(&acme, "owner").await;
    let (root, owner) = (
        gateway.sign_in("root@system").await,
        gateway.sign_in("owner@acme").await,
    );
    let id = node_id::encode(acme.id).to_string();
    let payload = root
        .mutate("freezeAccount", json!({ "id": id }), "account { status }")
        .await;
    assert_eq!(payload["account"]["status"], json!("FROZEN"));
    assert_eq!(status(&gateway, &owner).await, 401);
    assert_eq!(gateway.refusal("owner@acme", PASSWORD).await, "ACCOUNT_FROZEN");
    assert_eq!(gateway.refusal("owner@acme", "wrong").await, "WRONG_CREDENTIALS");
    assert_eq!(
        entry(&root, "freezeAccount").await["changes"],
        json!([{ "field": "status", "before": "ACTIVE", "after": "FROZEN" }])
    );
    let payload = root
        .mutate("activateAccount", json!({ "id": id }), "account { status revision }")
        .await;
    assert_eq!(payload["account"], json!({ "status": "ACTIVE", "revision": 3 }));
    assert_eq!(status(&gateway, &owner).await, 401, "what ended stays ended");
    gateway.sign_in("owner@acme").await;

    let own = json!({ "id": node_id::encode(system.id).to_string() });
    let payload = root.mutate("freezeAccount", own, "account { id }").await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED id"]);
    for name in ["freezeAccount", "activateAccount"] {
        let payload = root.mutate(name, json!({ "id": "x" }), "account { id }").await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    }
}

async fn a_deleted_account_is_gone_with_everything(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let system = gateway.system().await;
    gateway.master(&system, "root").await;
    let owner = gateway.master(&acme, "owner").await;
    let (root, as_owner) = (
        gateway.sign_in("root@system").await,
        gateway.sign_in("owner@acme").await,
    );
    let id = node_id::encode(acme.id).to_string();
    for (input, error) in [
        (json!({ "id": id, "confirmName": "ACME" }), "INVALID confirmName"),
        (json!({ "id": id, "confirmName": "" }), "INVALID confirmName"),
        (json!({ "id": "x", "confirmName": "acme" }), "NOT_FOUND id"),
        (
            json!({ "id": node_id::encode(system.id).to_string(), "confirmName": "system" }),
            "NOT_ALLOWED id",
        ),
    ] {
        let payload = root.mutate("deleteAccount", input, "deletedId").await;
        assert_eq!(user_errors(&payload), [error]);
    }
    assert_eq!(status(&gateway, &as_owner).await, 200);
    let payload = root
        .mutate("deleteAccount", json!({ "id": id, "confirmName": "acme" }), "deletedId")
        .await;
    assert_eq!(payload["deletedId"], json!(id));
    assert_eq!(status(&gateway, &as_owner).await, 401);
    assert_eq!(gateway.refusal("owner@acme", PASSWORD).await, "WRONG_CREDENTIALS");
    let query = "query($id: ID!, $user: ID!) { account(id: $id) { id } user(id: $user) { id }
        users(filter: {account: $id}) { totalCount } loginHistory(filter: {account: $id}) { totalCount }
        auditLog(filter: {account: $id}) { totalCount } accounts { nodes { name } } }";
    let left = root
        .data_with(
            query,
            json!({ "id": id, "user": node_id::encode(owner.id).to_string() }),
        )
        .await;
    assert_eq!(
        left,
        json!({ "account": null, "user": null, "users": { "totalCount": 0 }, "loginHistory": { "totalCount": 0 },
            "auditLog": { "totalCount": 0 }, "accounts": { "nodes": [{ "name": "system" }] } })
    );
    let entry = entry(&root, "deleteAccount").await;
    assert_eq!(
        (&entry["targetName"], &entry["actor"]),
        (&json!("acme"), &json!("root@system"))
    );
    let payload = root
        .mutate("deleteAccount", json!({ "id": id, "confirmName": "acme" }), "deletedId")
        .await;
    assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    gateway.account("acme").await;
}

async fn others_are_refused_or_find_nothing(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    let all = gateway
        .role(&acme, "Everything", &doorward::domain::role::Permission::OWN)
        .await;
    gateway
        .user_with(&acme, "clerk", |new| new.roles = vec![Some(all)])
        .await;
    gateway.master(&acme, "owner").await;
    gateway.master(&blue, "stranger").await;
    let id = node_id::encode(acme.id).to_string();
    let own = format!("mutation {{ updateAccount(input: {{id: \"{id}\", title: \"x\"}}) {{ account {{ id }} }} }}");
    assert_eq!(gateway.nobody().error(&own).await, "UNAUTHENTICATED");
    assert_eq!(gateway.sign_in("clerk@acme").await.error(&own).await, "FORBIDDEN");
    let stranger = gateway.sign_in("stranger@blue").await;
    let payload = stranger
        .mutate("updateAccount", json!({ "id": id, "title": "x" }), "account { id }")
        .await;
    assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    for mutation in [
        format!("mutation {{ freezeAccount(input: {{id: \"{id}\"}}) {{ account {{ id }} }} }}"),
        format!("mutation {{ activateAccount(input: {{id: \"{id}\"}}) {{ account {{ id }} }} }}"),
        format!("mutation {{ deleteAccount(input: {{id: \"{id}\", confirmName: \"acme\"}}) {{ deletedId }} }}"),
    ] {
        assert_eq!(gateway.nobody().error(&mutation).await, "UNAUTHENTICATED");
        for login in ["clerk@acme", "owner@acme", "stranger@blue"] {
            assert_eq!(
                gateway.sign_in(login).await.error(&mutation).await,
                "FORBIDDEN",
                "{login} {mutation}"
            );
        }
    }
}
