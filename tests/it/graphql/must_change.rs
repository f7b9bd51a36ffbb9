//! A session that must change its password first.

use std::time::Duration;

use serde_json::json;

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    it_sees_only_who_it_is_and_does_nothing_else,
    it_reads_the_whole_schema_and_signs_out,
    changing_the_password_opens_the_rest,
    a_password_that_is_too_old_must_be_changed,
    new_passwords_are_held_against_the_policy,
);

const NEW: &str = "violet-Anchor-38-meadow";

async fn it_sees_only_who_it_is_and_does_nothing_else(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let system = gateway.system().await;
    let root = gateway
        .user_with(&system, "root", |new| {
            (new.is_master, new.must_change_password) = (true, true)
        })
        .await;
    let payload = gateway.try_sign_in("root@system", PASSWORD).await;
    assert_eq!(payload["mustChangePassword"], json!(true));
    let me = gateway.with_token(payload["token"].as_str().unwrap());

    let open = me
        .data(
            "{ viewer { __typename user { id login mustChangePassword } } __typename __schema { queryType { name } } }",
        )
        .await;
    assert_eq!(open["viewer"]["user"]["mustChangePassword"], json!(true));
    let id = open["viewer"]["user"]["id"].as_str().unwrap();
    assert_eq!(root.login.as_str(), open["viewer"]["user"]["login"]);

    for closed in [
        "{ viewer { isMaster } }",
        "{ viewer { permissions } }",
        "{ viewer { can(permission: \"users:read\") } }",
        "{ viewer { session { id } } }",
        "{ viewer { account { name } } }",
        "{ viewer { user { email } } }",
        "{ viewer { user { roles { name } } } }",
        "{ viewer { user { account { title } } } }",
        "{ viewer { user { ... on Node { ... on User { firstName } } } } }",
        "{ viewer { user { ...F } } } fragment F on User { loginHistory { totalCount } }",
        &format!("{{ node(id: \"{id}\") {{ id }} }}"),
        &format!("{{ nodes(ids: [\"{id}\"]) {{ id }} }}"),
        &format!("{{ user(id: \"{id}\") {{ id }} }}"),
        "{ user(login: \"root@system\") { id } }",
        "{ users { nodes { login } } }",
        "{ users { totalCount } }",
        "{ account { name } }",
        "{ accounts { totalCount } }",
        "{ roles { totalCount } }",
        "{ groups { totalCount } }",
        "{ loginHistory { totalCount } }",
        "{ auditLog { totalCount } }",
        "mutation { createAccount(input: {name: \"x\"}) { account { id } } }",
        "mutation { createUser(input: {login: \"x\"}) { user { id } } }",
        "mutation { createRole(input: {name: \"x\", permissions: []}) { role { id } } }",
        "mutation { createGroup(input: {name: \"x\"}) { group { id } } }",
        &format!("mutation {{ updateUser(input: {{id: \"{id}\", mustChangePassword: false}}) {{ user {{ id }} }} }}"),
    ] {
        let answer = me.ask(closed, json!({})).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "FORBIDDEN", "{closed}\n{answer:#}");
        assert_eq!(extensions["reason"], "MUST_CHANGE_PASSWORD", "{closed}\n{answer:#}");
    }
    // A refusal takes nothing else with it.
    let answer = me
        .ask("{ viewer { user { login email } } users { totalCount } }", json!({}))
        .await;
    assert_eq!(
        answer["data"],
        json!({ "viewer": { "user": { "login": "root", "email": null } }, "users": null })
    );
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2);
    // Nor by the payload of the sign-in itself.
    let query = format!(
        "mutation {{ signIn(input: {{login: \"root@system\", password: \"{PASSWORD}\"}}) {{ user {{ email }} }} }}"
    );
    assert_eq!(gateway.nobody().error(&query).await, "FORBIDDEN");
}

async fn it_reads_the_whole_schema_and_signs_out(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway
        .user_with(&acme, "ann", |new| new.must_change_password = true)
        .await;
    let me = gateway.sign_in("ann@acme").await;
    let schema = me.data(include_str!("introspection.graphql")).await;
    let types = schema["__schema"]["types"].as_array().unwrap();
    assert!(types.iter().any(|t| t["name"] == "ChangePasswordPayload"));
    let query = "{ __type(name: \"User\") { fields { name } } }";
    assert!(me.data(query).await["__type"]["fields"].is_array());
    let done = me.data("mutation { signOut { done } }").await;
    assert_eq!(done["signOut"]["done"], json!(true));
    assert_eq!(me.error("{ viewer { user { login } } }").await, "UNAUTHENTICATED");
}

async fn changing_the_password_opens_the_rest(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway
        .user_with(&acme, "ann", |new| new.must_change_password = true)
        .await;
    let (me, other) = (gateway.sign_in("ann@acme").await, gateway.sign_in("ann@acme").await);
    let change = |current: &str, new: &str| json!({ "currentPassword": current, "newPassword": new });
    let wrong = me
        .mutate("changePassword", change("nonsense", NEW), "user { id }")
        .await;
    assert_eq!(user_errors(&wrong), ["WRONG_CREDENTIALS currentPassword"]);
    let right = me
        .mutate(
            "changePassword",
            change(PASSWORD, NEW),
            "user { login mustChangePassword passwordChangedAt firstName }",
        )
        .await;
    assert_eq!(right["user"]["mustChangePassword"], json!(false), "{right}");
    me.data("{ viewer { permissions user { email } } }").await;
    assert_eq!(
        other.error("{ viewer { user { login } } }").await,
        "UNAUTHENTICATED",
        "other sessions have ended"
    );
    assert_eq!(gateway.refusal("ann@acme", PASSWORD).await, "WRONG_CREDENTIALS");
    assert_ne!(gateway.try_sign_in("ann@acme", NEW).await["token"], json!(null));
    assert_eq!(
        gateway
            .nobody()
            .error("mutation { changePassword(input: {currentPassword: \"a\", newPassword: \"b\"}) { user { id } } }")
            .await,
        "UNAUTHENTICATED"
    );
}

async fn a_password_that_is_too_old_must_be_changed(backend: Backend) {
    let gateway = Gateway::start_with(backend, |c| c.session.lifetime = Duration::from_secs(40 * 24 * 3600)).await;
    let acme = gateway
        .account_with("acme", |a| a.password_policy.max_age_days = Some(30))
        .await;
    gateway.user(&acme, "ann").await;
    assert_eq!(
        gateway.try_sign_in("ann@acme", PASSWORD).await["mustChangePassword"],
        json!(false)
    );
    gateway.wait(Duration::from_secs(30 * 24 * 3600));
    let payload = gateway.try_sign_in("ann@acme", PASSWORD).await;
    assert_eq!(payload["mustChangePassword"], json!(true));
    let me = gateway.with_token(payload["token"].as_str().unwrap());
    assert_eq!(me.error("{ users { totalCount } }").await, "FORBIDDEN");
    assert_eq!(
        me.data("{ viewer { user { mustChangePassword } } }").await["viewer"]["user"]["mustChangePassword"],
        json!(true)
    );
}

async fn new_passwords_are_held_against_the_policy(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account_with("acme", |a| a.password_policy.history = 2).await;
    gateway
        .user_with(&acme, "rosalind", |new| new.last_name = "Oppenheimer".to_owned())
        .await;
    let me = gateway.sign_in("rosalind@acme").await;
    let change = async |current: &str, new: &str| {
        gateway.wait(Duration::from_secs(60));
        let input = json!({ "currentPassword": current, "newPassword": new });
        user_errors(&me.mutate("changePassword", input, "user { id }").await)
    };
    assert_eq!(change(PASSWORD, "short").await, ["WEAK_PASSWORD newPassword"]);
    assert_eq!(
        change(PASSWORD, "aaaaaaaaaaaaaaaa").await,
        ["WEAK_PASSWORD newPassword"]
    );
    assert_eq!(
        change(PASSWORD, "rosalindoppenheimer").await,
        ["WEAK_PASSWORD newPassword"],
        "one's own names"
    );
    assert_eq!(change(PASSWORD, &"x".repeat(1025)).await, ["TOO_LONG newPassword"]);
    assert_eq!(change(PASSWORD, PASSWORD).await, ["REUSED_PASSWORD newPassword"]);
    assert_eq!(change(PASSWORD, NEW).await, [""; 0]);
    assert_eq!(change(NEW, PASSWORD).await, ["REUSED_PASSWORD newPassword"]);
    assert_eq!(change(NEW, "granite-Lantern-57-willow").await, [""; 0]);
    assert_eq!(
        change("granite-Lantern-57-willow", "copper-Harbour-64-thistle").await,
        [""; 0]
    );
    assert_eq!(
        change("copper-Harbour-64-thistle", PASSWORD).await,
        [""; 0],
        "long enough ago"
    );
}
