//! API tokens: making, using and revoking them.

use std::time::Duration;

use doorward::graphql::node_id;
use doorward::service::UserChanges;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores, user_errors};

on_both_stores!(
    a_token_is_made_and_asks_in_its_own_name,
    each_input_is_checked,
    nobody_gives_more_than_they_hold,
    it_does_what_its_roles_say_and_no_more,
    it_is_refused_once_it_is_over,
    its_last_use_is_kept_without_a_write_per_request,
    others_are_refused_or_find_nothing,
);

async fn owner(gateway: &Gateway) -> Asker<'_> {
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.sign_in("owner@acme").await
}

/// The payload's token, which the account's gateway knows.
async fn mint<'a>(gateway: &'a Gateway, owner: &Asker<'_>, input: Value) -> (String, Asker<'a>) {
    let payload = owner.mutate("createApiToken", input, "secret apiToken { id }").await;
    let secret = payload["secret"].as_str().unwrap_or_else(|| panic!("{payload:#}"));
    (
        payload["apiToken"]["id"].as_str().unwrap().to_owned(),
        gateway.with_token(secret),
    )
}

async fn status(gateway: &Gateway, asker: &Asker<'_>) -> u16 {
    let request = gateway
        .post("/graphql")
        .json(&json!({ "query": "{ viewer { isMaster } }" }));
    let token = asker.token.as_deref().unwrap();
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

async fn role(gateway: &Gateway, name: &str, permissions: &[&str]) -> String {
    let acme = gateway
        .services
        .command_line()
        .account_by_name("acme")
        .await
        .unwrap()
        .unwrap();
    node_id::encode(gateway.role(&acme, name, permissions).await).to_string()
}

async fn a_token_is_made_and_asks_in_its_own_name(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let reader = role(&gateway, "Reader", &["users:read", "tickets:read"]).await;
    let group = owner
        .mutate("createGroup", json!({ "name": "EMEA" }), "group { id }")
        .await;
    let group = group["group"]["id"].clone();
    let input = json!({ "name": " Nightly reports ", "roles": [reader], "groups": [group], "expiresAt": "2099-01-01T00:00:00Z" });
    let fields =
        "secret apiToken { id name isActive expiresAt lastUsedAt roles { name } groups { name } createdBy { login } }";
    let payload = owner.mutate("createApiToken", input, fields).await;
    let secret = payload["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("dwt_") && secret.len() == 47, "{secret}");
    let id = payload["apiToken"]["id"].clone();
    assert_eq!(
        payload["apiToken"],
        json!({ "id": id, "name": "Nightly reports", "isActive": true, "expiresAt": "2099-01-01T00:00:00.000Z",
            "lastUsedAt": null, "roles": [{ "name": "Reader" }], "groups": [{ "name": "EMEA" }], "createdBy": { "login": "owner" } })
    );
    let token = gateway.with_token(&secret);
    let query = format!(
        "{{ viewer {{ user {{ login }} session {{ id }} apiToken {{ id name }} account {{ name }} isMaster isOperator permissions
            reads: can(permission: \"users:read\") writes: can(permission: \"users:write\")
            inGroup: can(permission: \"tickets:read\", group: {group}) }} account {{ name }} users {{ totalCount }} }}"
    );
    let me = token.data(&query).await;
    assert_eq!(
        me,
        json!({ "viewer": { "user": null, "session": null, "apiToken": { "id": id, "name": "Nightly reports" },
            "account": { "name": "acme" }, "isMaster": false, "isOperator": false,
            "permissions": ["tickets:read", "users:read"], "reads": true, "writes": false, "inGroup": true },
            "account": { "name": "acme" }, "users": { "totalCount": 1 } })
    );
    let listed = owner.data("{ apiTokens { id } account { apiTokens { name } } }").await;
    assert_eq!(
        listed,
        json!({ "apiTokens": [{ "id": id }], "account": { "apiTokens": [{ "name": "Nightly reports" }] } })
    );
    let node = format!("{{ node(id: {id}) {{ ... on ApiToken {{ name }} }} }}");
    assert_eq!(owner.data(&node).await["node"]["name"], json!("Nightly reports"));
    assert_eq!(
        token.data(&node).await["node"],
        Value::Null,
        "it does not see tokens, not even itself"
    );

    let log = owner
        .data(
            "{ auditLog(filter: {targetType: \"ApiToken\"}) { nodes { action targetName changes { field after } } } }",
        )
        .await;
    assert_eq!(
        log["auditLog"]["nodes"],
        json!([{ "action": "createApiToken", "targetName": "Nightly reports@acme", "changes": [
            { "field": "name", "after": "Nightly reports" }, { "field": "roles", "after": "Reader" },
            { "field": "groups", "after": "EMEA" }, { "field": "expiresAt", "after": "2099-01-01T00:00:00Z" },
            { "field": "secret", "after": "changed" } ] }])
    );
}

async fn each_input_is_checked(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let other = gateway.account("other").await;
    let foreign = node_id::encode(gateway.role(&other, "Theirs", &[]).await).to_string();
    let foreign_group = node_id::encode(gateway.group(&other, "Theirs").await).to_string();
    mint(&gateway, &owner, json!({ "name": "Reports", "roles": [] })).await;
    let many: Vec<&str> = vec!["x"; 201];
    for (input, errors) in [
        (json!({ "name": "", "roles": [] }), vec!["REQUIRED name"]),
        (json!({ "name": "x".repeat(101), "roles": [] }), vec!["TOO_LONG name"]),
        (json!({ "name": "REPORTS", "roles": [] }), vec!["TAKEN name"]),
        (
            json!({ "name": "a\u{7}", "roles": [], "expiresAt": "2020-01-01T00:00:00Z" }),
            vec!["INVALID name", "INVALID expiresAt"],
        ),
        (
            json!({ "name": "x", "roles": [foreign, "x"], "groups": [foreign_group] }),
            vec!["NOT_FOUND roles.0", "NOT_FOUND roles.1", "NOT_FOUND groups.0"],
        ),
        (json!({ "name": "x", "roles": many }), vec!["TOO_LONG roles"]),
        (
            json!({ "name": "x", "roles": [], "account": node_id::encode(other.id).to_string() }),
            vec!["NOT_FOUND account"],
        ),
    ] {
        let payload = owner
            .mutate("createApiToken", input.clone(), "secret apiToken { id }")
            .await;
        assert_eq!(user_errors(&payload), errors, "{input}");
        assert_eq!((&payload["secret"], &payload["apiToken"]), (&Value::Null, &Value::Null));
    }
    for id in ["x".to_owned(), node_id::encode(other.id).to_string()] {
        let payload = owner
            .mutate("revokeApiToken", json!({ "id": id }), "apiToken { id }")
            .await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    }
}

async fn nobody_gives_more_than_they_hold(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let acme = gateway
        .services
        .command_line()
        .account_by_name("acme")
        .await
        .unwrap()
        .unwrap();
    let minter = gateway.role(&acme, "Minter", &["tokens:write", "users:read"]).await;
    let auditor = role(&gateway, "Auditor", &["audit:read"]).await;
    let (own, other) = (gateway.group(&acme, "Own").await, gateway.group(&acme, "Other").await);
    gateway
        .user_with(&acme, "ann", |new| {
            (new.roles, new.groups) = (vec![Some(minter)], vec![Some(own)])
        })
        .await;
    let ann = gateway.sign_in("ann@acme").await;
    let groups: Vec<String> = [own, other].map(|id| node_id::encode(id).to_string()).into();
    let minter = node_id::encode(minter).to_string();
    let input = json!({ "name": "x", "roles": [minter, auditor], "groups": groups });
    let payload = ann.mutate("createApiToken", input, "secret").await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED roles.1", "NOT_ALLOWED groups.1"]);
    let input = json!({ "name": "x", "roles": [minter], "groups": [groups[0]] });
    let (_, token) = mint(&gateway, &ann, input).await;
    // A token that may make tokens gives no more than it holds either.
    let input = json!({ "name": "y", "roles": [minter, auditor], "groups": groups });
    let payload = token.mutate("createApiToken", input, "secret").await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED roles.1", "NOT_ALLOWED groups.1"]);
    let payload = token
        .mutate("createApiToken", json!({ "name": "y", "roles": [minter] }), "secret")
        .await;
    assert!(payload["secret"].is_string(), "{payload}");
    let log = owner
        .data("{ auditLog(filter: {action: \"createApiToken\"}, first: 1) { nodes { actor actorUser { login } } } }")
        .await;
    assert_eq!(
        log["auditLog"]["nodes"][0],
        json!({ "actor": "token x@acme", "actorUser": null })
    );
}

async fn it_does_what_its_roles_say_and_no_more(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let writer = role(&gateway, "Writer", &["users:write"]).await;
    let (_, token) = mint(&gateway, &owner, json!({ "name": "hr", "roles": [writer] })).await;
    let (_, bare) = mint(&gateway, &owner, json!({ "name": "bare", "roles": [] })).await;
    let made = token
        .mutate("createUser", json!({ "login": "ann" }), "user { id login }")
        .await;
    assert_eq!(made["user"]["login"], json!("ann"));
    // Never a master, and nobody's master either.
    let master = token
        .mutate("createUser", json!({ "login": "eve", "isMaster": true }), "user { id }")
        .await;
    assert_eq!(user_errors(&master), ["NOT_ALLOWED isMaster"]);
    let boss = owner.data("{ viewer { user { id } } }").await["viewer"]["user"]["id"].clone();
    let change = token
        .mutate("updateUser", json!({ "id": boss, "firstName": "x" }), "user { id }")
        .await;
    assert_eq!(user_errors(&change), ["NOT_ALLOWED id"]);
    for query in ["{ users { totalCount } }", "{ loginHistory { totalCount } }"] {
        let field = query.split_whitespace().nth(1).unwrap();
        assert_eq!(bare.data(query).await[field]["totalCount"], json!(0), "{query}");
    }
    for mutation in [
        "mutation { signOut { done } }",
        "mutation { changePassword(input: {currentPassword: \"a\", newPassword: \"b\"}) { user { id } } }",
        "mutation { createRole(input: {name: \"x\", permissions: []}) { role { id } } }",
        "mutation { createAccount(input: {name: \"x\"}) { account { id } } }",
    ] {
        assert_eq!(token.error(mutation).await, "FORBIDDEN", "{mutation}");
    }
    // A role that is gone counts for nothing.
    owner.mutate("deleteRole", json!({ "id": writer }), "deletedId").await;
    assert_eq!(
        token.data("{ viewer { permissions } }").await["viewer"]["permissions"],
        json!([])
    );
}

async fn it_is_refused_once_it_is_over(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let soon = gateway.now() + jiff::SignedDuration::from_hours(1);
    let (_, ending) = mint(
        &gateway,
        &owner,
        json!({ "name": "ending", "roles": [], "expiresAt": soon.to_string() }),
    )
    .await;
    let (id, revoked) = mint(&gateway, &owner, json!({ "name": "revoked", "roles": [] })).await;
    let (_, lasting) = mint(&gateway, &owner, json!({ "name": "lasting", "roles": [] })).await;
    let payload = owner
        .mutate("revokeApiToken", json!({ "id": id }), "apiToken { name isActive }")
        .await;
    assert_eq!(payload["apiToken"], json!({ "name": "revoked", "isActive": false }));
    assert_eq!(
        (status(&gateway, &revoked).await, status(&gateway, &ending).await),
        (401, 200)
    );
    let again = owner
        .mutate("revokeApiToken", json!({ "id": id }), "apiToken { id }")
        .await;
    assert_eq!(user_errors(&again), ["NOT_FOUND id"]);
    mint(&gateway, &owner, json!({ "name": "Revoked", "roles": [] })).await;
    gateway.wait(Duration::from_secs(3601));
    assert_eq!(
        (status(&gateway, &ending).await, status(&gateway, &lasting).await),
        (401, 200)
    );

    let writes = gateway.services.command_line();
    let acme = writes.account_by_name("acme").await.unwrap().unwrap();
    for (status_now, answer) in [
        (doorward::domain::account::AccountStatus::Frozen, 401),
        (doorward::domain::account::AccountStatus::Active, 200),
    ] {
        writes
            .write_accounts()
            .unwrap()
            .set_status(acme.id, status_now)
            .await
            .unwrap();
        assert_eq!(status(&gateway, &lasting).await, answer);
    }
    // It is the account's: whoever made it may go.
    let owner_id = writes.user_by_login("owner@acme").await.unwrap().unwrap().id;
    gateway.master(&acme, "second").await;
    let demoted = UserChanges {
        is_master: Some(false),
        ..UserChanges::default()
    };
    writes.write_users().unwrap().update(owner_id, demoted).await.unwrap();
    writes.write_users().unwrap().delete(owner_id).await.unwrap();
    assert_eq!(status(&gateway, &lasting).await, 200);
    let second = gateway.sign_in("second@acme").await;
    let listed = second.data("{ apiTokens { name isActive createdBy { login } } }").await;
    assert_eq!(
        listed["apiTokens"],
        json!([
            { "name": "Revoked", "isActive": true, "createdBy": null }, { "name": "lasting", "isActive": true, "createdBy": null },
            { "name": "revoked", "isActive": false, "createdBy": null }, { "name": "ending", "isActive": false, "createdBy": null } ])
    );
}

async fn its_last_use_is_kept_without_a_write_per_request(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let (_, token) = mint(&gateway, &owner, json!({ "name": "busy", "roles": [] })).await;
    let last = async || {
        // What is written of it is written beside the answer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let listed = owner.data("{ apiTokens { lastUsedAt } }").await;
        listed["apiTokens"][0]["lastUsedAt"].as_str().map(str::to_owned)
    };
    assert_eq!(last().await, None);
    assert_eq!(status(&gateway, &token).await, 200);
    let first = last().await;
    assert!(first.is_some());
    for _ in 0..100 {
        assert_eq!(status(&gateway, &token).await, 200);
        gateway.wait(Duration::from_millis(500));
    }
    assert_eq!(last().await, first, "a hundred requests in less than a minute");
    gateway.wait(Duration::from_secs(11));
    assert_eq!(status(&gateway, &token).await, 200);
    assert!(last().await > first);
}

async fn others_are_refused_or_find_nothing(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let owner = owner(&gateway).await;
    let acme = gateway
        .services
        .command_line()
        .account_by_name("acme")
        .await
        .unwrap()
        .unwrap();
    let blue = gateway.account("blue").await;
    gateway.master(&blue, "stranger").await;
    gateway.user(&acme, "plain").await;
    gateway.master(&gateway.system().await, "root").await;
    let (id, _) = mint(&gateway, &owner, json!({ "name": "one", "roles": [] })).await;
    let account = node_id::encode(acme.id).to_string();
    let create = format!(
        "mutation {{ createApiToken(input: {{account: \"{account}\", name: \"x\", roles: []}}) {{ secret }} }}"
    );
    let revoke = format!("mutation {{ revokeApiToken(input: {{id: \"{id}\"}}) {{ apiToken {{ id }} }} }}");
    let plain = gateway.sign_in("plain@acme").await;
    for mutation in [&create, &revoke] {
        assert_eq!(gateway.nobody().error(mutation).await, "UNAUTHENTICATED");
        assert_eq!(plain.error(mutation).await, "FORBIDDEN");
    }
    // A refusal takes nothing else with it.
    let answer = plain
        .ask("{ apiTokens { id } account { name apiTokens { id } } }", json!({}))
        .await;
    assert_eq!(
        answer["data"],
        json!({ "apiTokens": null, "account": { "name": "acme", "apiTokens": null } })
    );
    assert_eq!(answer["errors"][0]["extensions"]["code"], json!("FORBIDDEN"));
    let stranger = gateway.sign_in("stranger@blue").await;
    let payload = stranger
        .mutate("revokeApiToken", json!({ "id": id }), "apiToken { id }")
        .await;
    assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    let query = format!("{{ apiTokens(account: \"{account}\") {{ id }} }}");
    assert_eq!(stranger.data(&query).await["apiTokens"], json!([]));
    let root = gateway.sign_in("root@system").await;
    assert_eq!(root.data(&query).await["apiTokens"], json!([{ "id": id }]));
    let payload = root
        .mutate(
            "createApiToken",
            json!({ "account": account, "name": "x", "roles": [] }),
            "apiToken { name }",
        )
        .await;
    assert_eq!(payload["apiToken"]["name"], json!("x"));
}
