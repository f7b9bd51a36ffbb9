//! Changing and deleting roles and groups.

use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores, user_errors};

on_both_stores!(
    a_role_is_changed_and_its_holders_with_it,
    nobody_widens_a_role_with_what_they_do_not_hold,
    a_deleted_role_is_nobodys,
    a_group_is_changed,
    members_of_a_deleted_group_fall_back_to_main,
    lost_updates_are_refused,
    others_are_refused_or_find_nothing,
);

async fn entry(asker: &Asker<'_>, action: &str) -> Value {
    let query = "query($action: String!) { auditLog(filter: {action: $action}, first: 1) { nodes {
        actor targetType targetName changes { field before after } } } }";
    let log = asker.data_with(query, json!({ "action": action })).await;
    log["auditLog"]["nodes"][0].clone()
}

async fn a_role_is_changed_and_its_holders_with_it(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let role = gateway.role(&acme, "Support", &["tickets:read"]).await;
    gateway.role(&acme, "Sales", &[]).await;
    gateway
        .user_with(&acme, "ann", |new| new.roles = vec![Some(role)])
        .await;
    let (owner, ann) = (gateway.sign_in("owner@acme").await, gateway.sign_in("ann@acme").await);
    let id = node_id::encode(role).to_string();
    let can = "{ viewer { can(permission: \"users:read\") permissions } }";
    assert_eq!(ann.data(can).await["viewer"]["can"], json!(false));

    let input = json!({ "id": id, "name": " Helpdesk ", "permissions": ["users:read", "tickets:read", "users:read"] });
    let fields = "role { id name description permissions revision }";
    let payload = owner.mutate("updateRole", input, fields).await;
    assert_eq!(
        payload["role"],
        json!({ "id": id, "name": "Helpdesk", "description": "", "permissions": ["tickets:read", "users:read"], "revision": 2 })
    );
    assert_eq!(
        ann.data(can).await["viewer"],
        json!({ "can": true, "permissions": ["tickets:read", "users:read"] })
    );
    assert_eq!(
        entry(&owner, "updateRole").await,
        json!({ "actor": "owner@acme", "targetType": "Role", "targetName": "Support@acme", "changes": [
            { "field": "name", "before": "Support", "after": "Helpdesk" },
            { "field": "permissions", "before": "tickets:read", "after": "tickets:read users:read" } ] })
    );
    // Nothing given, nothing changed, and nothing written down.
    let payload = owner.mutate("updateRole", json!({ "id": id }), fields).await;
    assert_eq!(payload["role"]["revision"], json!(2));

    for (input, errors) in [
        (json!({ "id": id, "name": "" }), vec!["REQUIRED name"]),
        (json!({ "id": id, "name": null }), vec!["REQUIRED name"]),
        (json!({ "id": id, "name": "SALES" }), vec!["TAKEN name"]),
        (
            json!({ "id": id, "name": "x".repeat(101), "description": "a\u{7}" }),
            vec!["TOO_LONG name", "INVALID description"],
        ),
        (
            json!({ "id": id, "permissions": ["users:read", "nonsense"] }),
            vec!["INVALID permissions.1"],
        ),
        (json!({ "id": "x" }), vec!["NOT_FOUND id"]),
        (
            json!({ "id": node_id::encode(acme.id).to_string() }),
            vec!["NOT_FOUND id"],
        ),
    ] {
        let payload = owner.mutate("updateRole", input.clone(), fields).await;
        assert_eq!(user_errors(&payload), errors, "{input}");
        assert_eq!(payload["role"], Value::Null);
    }
}

async fn nobody_widens_a_role_with_what_they_do_not_hold(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let keeper = gateway.role(&acme, "Keeper", &["roles:write", "tickets:read"]).await;
    let auditor = gateway.role(&acme, "Auditor", &["audit:read"]).await;
    gateway
        .user_with(&acme, "ann", |new| new.roles = vec![Some(keeper)])
        .await;
    let ann = gateway.sign_in("ann@acme").await;
    let id = node_id::encode(auditor).to_string();
    // What is in it already may stay, and go; what comes must be held.
    let input = json!({ "id": id, "permissions": ["audit:read", "tickets:read"] });
    let payload = ann.mutate("updateRole", input, "role { permissions }").await;
    assert_eq!(payload["role"]["permissions"], json!(["audit:read", "tickets:read"]));
    for (role, permissions, error) in [
        (
            auditor,
            json!(["users:write", "audit:read"]),
            "NOT_ALLOWED permissions.0",
        ),
        (
            keeper,
            json!(["roles:write", "users:read"]),
            "NOT_ALLOWED permissions.1",
        ),
    ] {
        let input = json!({ "id": node_id::encode(role).to_string(), "permissions": permissions });
        let payload = ann.mutate("updateRole", input, "role { id }").await;
        assert_eq!(user_errors(&payload), [error]);
    }
    let payload = ann
        .mutate(
            "updateRole",
            json!({ "id": id, "permissions": [] }),
            "role { permissions }",
        )
        .await;
    assert_eq!(payload["role"]["permissions"], json!([]));
    // And not back again.
    let payload = ann
        .mutate(
            "updateRole",
            json!({ "id": id, "permissions": ["audit:read"] }),
            "role { id }",
        )
        .await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED permissions.0"]);
}

async fn a_deleted_role_is_nobodys(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let role = gateway.role(&acme, "Support", &["users:read"]).await;
    gateway
        .user_with(&acme, "ann", |new| new.roles = vec![Some(role)])
        .await;
    let (owner, ann) = (gateway.sign_in("owner@acme").await, gateway.sign_in("ann@acme").await);
    let id = node_id::encode(role).to_string();
    assert_eq!(
        ann.data("{ users { totalCount } }").await["users"]["totalCount"],
        json!(2)
    );
    let payload = owner.mutate("deleteRole", json!({ "id": id }), "deletedId").await;
    assert_eq!(payload["deletedId"], json!(id));
    assert_eq!(
        ann.data("{ users { totalCount } }").await["users"]["totalCount"],
        json!(1)
    );
    let user = owner
        .data("{ user(login: \"ann@acme\") { revision roles { name } grants { role { name } } } }")
        .await;
    assert_eq!(user["user"]["revision"], json!(2));
    assert_eq!(user["user"]["roles"], json!([]));
    let grants = user["user"]["grants"].as_array().unwrap();
    assert_eq!(grants.len(), 1, "the Main group: {grants:?}");
    assert_eq!(
        entry(&owner, "deleteRole").await["changes"],
        json!([
            { "field": "name", "before": "Support", "after": null },
            { "field": "permissions", "before": "users:read", "after": null },
            { "field": "users", "before": "1", "after": null } ])
    );
    let payload = owner.mutate("deleteRole", json!({ "id": id }), "deletedId").await;
    assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    // Who had it is named in the log as they were then.
    let log = owner
        .data("{ auditLog(filter: {action: \"createUser\"}) { nodes { targetName changes { field after } } } }")
        .await;
    let of_ann = |node: &&Value| node["targetName"] == "ann@acme";
    let made = log["auditLog"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(of_ann)
        .unwrap();
    let changes = made["changes"].as_array().unwrap();
    for (field, name) in [("roles", "Support"), ("groups", "Main")] {
        assert!(
            changes.contains(&json!({ "field": field, "after": name })),
            "{changes:?}"
        );
    }
}

async fn a_group_is_changed(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let group = gateway.group(&acme, "EMEA").await;
    let owner = gateway.sign_in("owner@acme").await;
    let id = node_id::encode(group).to_string();
    let input = json!({ "id": id, "name": "Europe", "description": "Europe and more" });
    let fields = "group { name description isMain revision }";
    let payload = owner.mutate("updateGroup", input, fields).await;
    assert_eq!(
        payload["group"],
        json!({ "name": "Europe", "description": "Europe and more", "isMain": false, "revision": 2 })
    );
    assert_eq!(
        entry(&owner, "updateGroup").await["changes"],
        json!([{ "field": "name", "before": "EMEA", "after": "Europe" },
               { "field": "description", "before": "", "after": "Europe and more" }])
    );
    for (input, errors) in [
        (json!({ "id": id, "name": "main" }), vec!["TAKEN name"]),
        (json!({ "id": id, "name": " " }), vec!["REQUIRED name"]),
        (
            json!({ "id": id, "description": "x".repeat(1001) }),
            vec!["TOO_LONG description"],
        ),
        (json!({ "id": "x" }), vec!["NOT_FOUND id"]),
    ] {
        let payload = owner.mutate("updateGroup", input.clone(), fields).await;
        assert_eq!(user_errors(&payload), errors, "{input}");
    }
    let main = owner
        .data("{ groups(filter: {search: \"main\"}) { nodes { id } } }")
        .await;
    let id = main["groups"]["nodes"][0]["id"].clone();
    let payload = owner
        .mutate("updateGroup", json!({ "id": id, "name": "Everybody" }), fields)
        .await;
    assert_eq!(
        (&payload["group"]["name"], &payload["group"]["isMain"]),
        (&json!("Everybody"), &json!(true))
    );
    let payload = owner.mutate("deleteGroup", json!({ "id": id }), "deletedId").await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED id"]);
}

async fn members_of_a_deleted_group_fall_back_to_main(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let (emea, apac) = (gateway.group(&acme, "EMEA").await, gateway.group(&acme, "APAC").await);
    gateway
        .user_with(&acme, "both", |new| new.groups = vec![Some(emea), Some(apac)])
        .await;
    gateway
        .user_with(&acme, "only", |new| new.groups = vec![Some(emea)])
        .await;
    let (owner, only) = (gateway.sign_in("owner@acme").await, gateway.sign_in("only@acme").await);
    let id = node_id::encode(emea).to_string();
    let can = format!("{{ viewer {{ can(permission: \"x:y\", group: \"{id}\") }} }}");
    let payload = owner.mutate("deleteGroup", json!({ "id": id }), "deletedId").await;
    assert_eq!(payload["deletedId"], json!(id));
    let groups = owner
        .data("{ users(filter: {search: \"o\"}) { nodes { login groups { name } grants { source } } } }")
        .await;
    assert_eq!(
        groups["users"]["nodes"][0],
        json!({ "login": "only", "groups": [{ "name": "Main" }], "grants": [{ "source": "DEFAULT" }] })
    );
    let both = owner.data("{ user(login: \"both@acme\") { groups { name } } }").await;
    assert_eq!(both["user"]["groups"], json!([{ "name": "APAC" }]));
    assert_eq!(only.data(&can).await["viewer"]["can"], json!(false));
    assert_eq!(
        entry(&owner, "deleteGroup").await["changes"],
        json!([{ "field": "name", "before": "EMEA", "after": null }, { "field": "users", "before": "2", "after": null }])
    );
}

async fn lost_updates_are_refused(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let role = node_id::encode(gateway.role(&acme, "Support", &[]).await).to_string();
    let group = node_id::encode(gateway.group(&acme, "EMEA").await).to_string();
    let owner = gateway.sign_in("owner@acme").await;
    for (name, thing, id) in [("updateRole", "role", role), ("updateGroup", "group", group)] {
        let fields = format!("{thing} {{ revision }}");
        for (description, revision) in [("one", 2), ("two", 3)] {
            let input = json!({ "id": id, "revision": revision - 1, "description": description });
            let payload = owner.mutate(name, input, &fields).await;
            assert_eq!(payload[thing]["revision"], json!(revision));
        }
        let input = json!({ "id": id, "revision": 2, "description": "late" });
        let payload = owner.mutate(name, input, &fields).await;
        assert_eq!(user_errors(&payload), ["CONFLICT revision"]);
        assert_eq!(payload["userErrors"][0]["currentRevision"], json!(3));
    }
}

async fn others_are_refused_or_find_nothing(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    gateway.user(&acme, "plain").await;
    gateway.master(&blue, "stranger").await;
    gateway.master(&gateway.system().await, "root").await;
    let (roles, groups) = (
        gateway.role(&acme, "Roles", &["roles:write"]).await,
        gateway.role(&acme, "Groups", &["groups:write"]).await,
    );
    gateway
        .user_with(&acme, "roles", |new| new.roles = vec![Some(roles)])
        .await;
    gateway
        .user_with(&acme, "groups", |new| new.roles = vec![Some(groups)])
        .await;
    let role = node_id::encode(gateway.role(&acme, "Support", &[]).await).to_string();
    let group = node_id::encode(gateway.group(&acme, "EMEA").await).to_string();
    for (name, id, thing, holder, other) in [
        ("updateRole", &role, "role { id }", "roles@acme", "groups@acme"),
        ("updateGroup", &group, "group { id }", "groups@acme", "roles@acme"),
        ("deleteRole", &role, "deletedId", "roles@acme", "groups@acme"),
        ("deleteGroup", &group, "deletedId", "groups@acme", "roles@acme"),
    ] {
        let query = format!("mutation {{ {name}(input: {{id: \"{id}\"}}) {{ {thing} }} }}");
        assert_eq!(gateway.nobody().error(&query).await, "UNAUTHENTICATED", "{name}");
        for login in ["plain@acme", other] {
            assert_eq!(
                gateway.sign_in(login).await.error(&query).await,
                "FORBIDDEN",
                "{name} {login}"
            );
        }
        let stranger = gateway.sign_in("stranger@blue").await;
        let payload = stranger.mutate(name, json!({ "id": id }), thing).await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND id"], "{name}");
        let payload = gateway
            .sign_in(holder)
            .await
            .mutate(name, json!({ "id": id }), thing)
            .await;
        assert_eq!(user_errors(&payload), Vec::<String>::new(), "{name}");
    }
    let left = node_id::encode(groups).to_string();
    let root = gateway.sign_in("root@system").await;
    let payload = root.mutate("deleteRole", json!({ "id": left }), "deletedId").await;
    assert_eq!(payload["deletedId"], json!(left));
}
