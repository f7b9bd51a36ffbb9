//! What people change about themselves, and what nobody changes in somebody else's name.

use doorward::domain::user::User;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    only_what_is_given_changes,
    each_input_is_checked,
    it_takes_a_person_who_may_change_things,
    mail_addresses_and_passwords_are_not_for_whoever_acts_for_another,
);

const FIELDS: &str =
    "user { firstName lastName email phone language notifications { email dailyReports securityNotices } revision }";

fn id(user: &User) -> Value {
    json!(node_id::encode(user.id).to_string())
}

async fn only_what_is_given_changes(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "ann").await;
    let ann = gateway.sign_in("ann@acme").await;
    let input = json!({
        "firstName": " Ann ", "lastName": "Lee", "email": "ann@example.org", "phone": "+1 650-253-0000", "language": "RU",
        "notifications": { "email": "alerts@example.org", "dailyReports": true },
    });
    let payload = ann.mutate("updateMyProfile", input.clone(), FIELDS).await;
    let mut expected = json!({
        "firstName": "Ann", "lastName": "Lee", "email": "ann@example.org", "phone": "+16502530000", "language": "RU",
        "notifications": { "email": "alerts@example.org", "dailyReports": true, "securityNotices": true }, "revision": 2,
    });
    assert_eq!(payload["user"], expected);
    for nothing in [json!({}), input] {
        let payload = ann.mutate("updateMyProfile", nothing, FIELDS).await;
        assert_eq!(payload["user"], expected);
    }
    let input = json!({ "lastName": null, "email": null, "phone": null, "notifications": { "email": null } });
    let payload = ann.mutate("updateMyProfile", input, FIELDS).await;
    for (field, value) in [
        ("lastName", json!("")),
        ("email", Value::Null),
        ("phone", Value::Null),
        ("revision", json!(3)),
    ] {
        expected[field] = value;
    }
    expected["notifications"]["email"] = Value::Null;
    assert_eq!(payload["user"], expected);

    let owner = gateway.sign_in("owner@acme").await;
    let log = owner
        .data("{ auditLog(filter: {action: \"updateMyProfile\"}) { nodes { actor targetName changes { field before after } } } }")
        .await;
    let entries = log["auditLog"]["nodes"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "what changed nothing is not written");
    assert_eq!(
        (&entries[0]["actor"], &entries[0]["targetName"]),
        (&json!("ann@acme"), &json!("ann@acme"))
    );
    assert_eq!(
        entries[0]["changes"][0],
        json!({ "field": "lastName", "before": "Lee", "after": "" })
    );
}

async fn each_input_is_checked(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let ann = gateway.sign_in("ann@acme").await;
    for (input, errors) in [
        (json!({ "firstName": "x".repeat(101) }), vec!["TOO_LONG firstName"]),
        (json!({ "lastName": "a\nb" }), vec!["INVALID lastName"]),
        (json!({ "email": "" }), vec!["REQUIRED email"]),
        (json!({ "phone": "call me" }), vec!["INVALID phone"]),
        (json!({ "language": null }), vec!["REQUIRED language"]),
        (
            json!({ "email": "@", "notifications": { "email": "@" } }),
            vec!["INVALID email", "INVALID notifications.email"],
        ),
    ] {
        let payload = ann.mutate("updateMyProfile", input.clone(), "user { id }").await;
        assert_eq!(user_errors(&payload), errors, "{input}");
        assert_eq!(payload["user"], Value::Null);
    }
    for more in ["login: \"x\"", "isMaster: true", "roles: []", "id: \"x\""] {
        let query = format!("mutation {{ updateMyProfile(input: {{{more}}}) {{ user {{ id }} }} }}");
        assert_eq!(ann.error(&query).await, "BAD_REQUEST", "{more}");
    }
}

const RENAME: &str = "mutation { updateMyProfile(input: {firstName: \"Eve\"}) { user { firstName } } }";

async fn it_takes_a_person_who_may_change_things(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    gateway
        .user_with(&acme, "new", |new| new.must_change_password = true)
        .await;
    assert_eq!(gateway.nobody().error(RENAME).await, "UNAUTHENTICATED");
    let payload = gateway.try_sign_in("new@acme", PASSWORD).await;
    let new = gateway.with_token(payload["token"].as_str().unwrap());
    assert_eq!(new.error(RENAME).await, "FORBIDDEN");
    let owner = gateway.sign_in("owner@acme").await;
    let looking = act(&gateway, &owner, &ann, true).await;
    assert_eq!(looking.error(RENAME).await, "FORBIDDEN");
    let acting = act(&gateway, &owner, &ann, false).await;
    let data = acting.data(RENAME).await;
    assert_eq!(data["updateMyProfile"]["user"]["firstName"], "Eve");
}

/// Has `asker` act for that user.
async fn act<'a>(gateway: &'a Gateway, asker: &Asker<'_>, user: &User, read_only: bool) -> Asker<'a> {
    let input = json!({ "id": id(user), "reason": "Ticket 4711", "readOnly": read_only });
    let payload = asker.mutate("impersonateUser", input, "token").await;
    let token = payload["token"].as_str().unwrap_or_else(|| panic!("{payload:#}"));
    gateway.with_token(token)
}

async fn mail_addresses_and_passwords_are_not_for_whoever_acts_for_another(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let writer = gateway.role(&acme, "Writer", &["users:write"]).await;
    let clerk = gateway
        .user_with(&acme, "clerk", |new| {
            new.roles = vec![Some(writer)];
            new.email = Some("clerk@example.org".to_owned());
        })
        .await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    let acting = act(&gateway, &owner, &clerk, false).await;
    let addresses = json!({ "email": "eve@example.org", "notifications": { "email": "eve@example.org" } });
    let both = ["NOT_ALLOWED email", "NOT_ALLOWED notifications.email"];
    let payload = acting.mutate("updateMyProfile", addresses.clone(), "user { id }").await;
    assert_eq!(user_errors(&payload), both);
    let payload = acting
        .mutate("updateMyProfile", json!({ "email": null }), "user { id }")
        .await;
    assert_eq!(user_errors(&payload), ["NOT_ALLOWED email"]);
    let mut input = addresses;
    input["id"] = id(&ann);
    let payload = acting.mutate("updateUser", input, "user { id }").await;
    assert_eq!(user_errors(&payload), both);
    // All else goes, the address that is there among it.
    let input = json!({ "email": "clerk@example.org", "phone": "555", "notifications": { "dailyReports": true } });
    let payload = acting.mutate("updateMyProfile", input, "user { phone email }").await;
    assert_eq!(payload["user"], json!({ "phone": "555", "email": "clerk@example.org" }));
    let payload = acting
        .mutate(
            "updateUser",
            json!({ "id": id(&ann), "lastName": "Lee" }),
            "user { lastName }",
        )
        .await;
    assert_eq!(payload["user"]["lastName"], "Lee");

    let ann = id(&ann);
    for mutation in [
        format!("setUserPassword(input: {{id: {ann}, password: \"violet-Anchor-38-meadow\"}}) {{ user {{ id }} }}"),
        "setUserPassword(input: {id: \"x\"}) { user { id } }".to_owned(),
        "createUser(input: {login: \"x\", password: \"violet-Anchor-38-meadow\"}) { user { id } }".to_owned(),
    ] {
        assert_eq!(
            acting.error(&format!("mutation {{ {mutation} }}")).await,
            "FORBIDDEN",
            "{mutation}"
        );
    }
    let payload = acting
        .mutate("createUser", json!({ "login": "x" }), "user { login }")
        .await;
    assert_eq!(payload["user"]["login"], "x");
}
