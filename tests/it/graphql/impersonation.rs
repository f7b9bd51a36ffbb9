//! Acting for somebody else.

use std::time::Duration;

use doorward::domain::user::User;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    it_shows_both_names_everywhere,
    looking_is_all_that_a_read_only_one_does,
    some_things_are_never_done_for_another,
    it_goes_never_upwards,
    its_input_is_checked,
    it_ends_with_its_time_and_with_what_it_rests_on,
    a_cookie_goes_over_and_comes_back,
);

fn id(user: &User) -> String {
    node_id::encode(user.id).to_string()
}

/// Has `asker` act for that user.
async fn act<'a>(gateway: &'a Gateway, asker: &Asker<'_>, user: &User, read_only: bool) -> Asker<'a> {
    let input = json!({ "id": id(user), "reason": "Ticket 4711", "readOnly": read_only });
    let payload = asker.mutate("impersonateUser", input, "token").await;
    let token = payload["token"].as_str().unwrap_or_else(|| panic!("{payload:#}"));
    gateway.with_token(token)
}

async fn status(gateway: &Gateway, asker: &Asker<'_>) -> u16 {
    let request = gateway
        .post("/graphql")
        .json(&json!({ "query": "{ viewer { isMaster } }" }));
    let token = asker.token.as_deref().unwrap();
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

const STOP: &str =
    "mutation { stopImpersonating { token session { id user { login } impersonatorName } userErrors { code path } } }";

async fn it_shows_both_names_everywhere(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    gateway.sign_in("ann@acme").await;
    let owner = gateway.sign_in("owner@acme").await;
    let input = json!({ "id": id(&ann), "reason": " Ticket 4711 ", "readOnly": false });
    let fields =
        "token session { createdAt expiresAt user { login } impersonator { login } impersonatorName isCurrent }";
    let payload = owner.mutate("impersonateUser", input, fields).await;
    let session = &payload["session"];
    assert_eq!(
        (
            &session["user"]["login"],
            &session["impersonatorName"],
            &session["isCurrent"]
        ),
        (&json!("ann"), &json!("owner@acme"), &json!(true))
    );
    // As ann, who sees nobody but herself, the impersonator is a name only.
    assert_eq!(session["impersonator"], Value::Null);
    let moment = |v: &Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lasts = moment(&session["expiresAt"]).duration_since(moment(&session["createdAt"]));
    assert_eq!(lasts.as_mins(), 30);

    let acting = gateway.with_token(payload["token"].as_str().unwrap());
    let me = acting
        .data("{ viewer { isMaster user { login } session { impersonatorName } } users { totalCount } }")
        .await;
    assert_eq!(
        me,
        json!({ "viewer": { "isMaster": false, "user": { "login": "ann" }, "session": { "impersonatorName": "owner@acme" } },
                "users": { "totalCount": 1 } })
    );
    let changed = acting.mutate("revokeAllSessions", json!({}), "revoked").await;
    assert_eq!(changed["revoked"], json!(1));

    // The history has it as no sign-in of ann's own; the audit log has both names on what was done.
    let history = owner
        .data(
            "{ user(login: \"ann@acme\") { lastLogin { method } loginHistory(first: 1) { nodes {
                method outcome detail impersonator { login } impersonatorName attemptedLogin } } sessions { impersonatorName } } }",
        )
        .await;
    assert_eq!(
        history["user"],
        json!({ "lastLogin": { "method": "LOCAL" }, "loginHistory": { "nodes": [{
            "method": "IMPERSONATION", "outcome": "SUCCESS", "detail": "Ticket 4711", "impersonator": { "login": "owner" },
            "impersonatorName": "owner@acme", "attemptedLogin": "ann@acme" }] },
            "sessions": [{ "impersonatorName": "owner@acme" }] })
    );
    let stopped = acting.data(STOP).await;
    let stopped = &stopped["stopImpersonating"];
    assert_eq!(
        (
            &stopped["session"]["user"]["login"],
            &stopped["session"]["impersonatorName"]
        ),
        (&json!("owner"), &Value::Null)
    );
    assert_eq!(
        stopped["token"].as_str(),
        owner.token.as_deref(),
        "the own session, as it was"
    );
    assert_eq!(
        (status(&gateway, &acting).await, status(&gateway, &owner).await),
        (401, 200)
    );

    let log = owner
        .data("{ auditLog(first: 3) { nodes { action actor actorUser { login } impersonator { login } impersonatorName targetName changes { field after } } } }")
        .await;
    let nodes = log["auditLog"]["nodes"].as_array().unwrap();
    for (node, action) in nodes.iter().zip(["stopImpersonating", "revokeAllSessions"]) {
        assert_eq!(
            (
                &node["action"],
                &node["actor"],
                &node["impersonatorName"],
                &node["impersonator"]["login"]
            ),
            (
                &json!(action),
                &json!("ann@acme"),
                &json!("owner@acme"),
                &json!("owner")
            ),
            "{node:#}"
        );
    }
    assert_eq!(
        nodes[2],
        json!({ "action": "impersonateUser", "actor": "owner@acme", "actorUser": { "login": "owner" }, "impersonator": null,
            "impersonatorName": null, "targetName": "ann@acme", "changes": [{ "field": "reason", "after": "Ticket 4711" },
            { "field": "readOnly", "after": "false" }, { "field": "minutes", "after": "30" }] })
    );
    let refused = owner.data(STOP).await;
    assert_eq!(user_errors(&refused["stopImpersonating"]), ["NOT_ALLOWED"]);
    assert_eq!(gateway.nobody().error(STOP).await, "UNAUTHENTICATED");
}

async fn looking_is_all_that_a_read_only_one_does(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&gateway.system().await, "root").await;
    let owner = gateway.master(&acme, "owner").await;
    let root = gateway.sign_in("root@system").await;
    let acting = act(&gateway, &root, &owner, true).await;
    let seen = acting
        .data("{ viewer { isMaster isOperator } users { totalCount } auditLog { totalCount } }")
        .await;
    assert_eq!(seen["viewer"], json!({ "isMaster": true, "isOperator": false }));
    for mutation in [
        "mutation { createUser(input: {login: \"x\"}) { user { id } } }",
        "mutation { revokeAllSessions(input: {}) { revoked } }",
        "mutation { createRole(input: {name: \"x\", permissions: []}) { role { id } } }",
    ] {
        let answer = acting.ask(mutation, json!({})).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(
            (&extensions["code"], &extensions["reason"]),
            (&json!("FORBIDDEN"), &json!("READ_ONLY")),
            "{answer:#}"
        );
    }
    let stopped = acting.data(STOP).await;
    assert_eq!(stopped["stopImpersonating"]["session"]["user"]["login"], json!("root"));
}

async fn some_things_are_never_done_for_another(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&gateway.system().await, "root").await;
    let owner = gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let as_owner = gateway.sign_in("owner@acme").await;
    let role = node_id::encode(gateway.role(&acme, "Reader", &["users:read"]).await).to_string();
    let made = json!({ "name": "build", "roles": [role] });
    let made = as_owner.mutate("createApiToken", made, "apiToken { id }").await;
    let token = &made["apiToken"]["id"];
    let root = gateway.sign_in("root@system").await;
    let acting = act(&gateway, &root, &owner, false).await;
    let own = format!(
        "mutation {{ impersonateUser(input: {{id: \"{}\", reason: \"x\"}}) {{ token }} }}",
        id(&ann)
    );
    for mutation in [
        format!(
            "mutation {{ changePassword(input: {{currentPassword: \"{PASSWORD}\", newPassword: \"violet-Anchor-38-meadow\"}}) {{ user {{ id }} }} }}"
        ),
        own,
        format!("mutation {{ createApiToken(input: {{name: \"deploy\", roles: [\"{role}\"]}}) {{ secret }} }}"),
        format!("mutation {{ revokeApiToken(input: {{id: {token}}}) {{ apiToken {{ id }} }} }}"),
        format!("mutation {{ createUser(input: {{login: \"eve\", password: \"{PASSWORD}\"}}) {{ user {{ id }} }} }}"),
        format!(
            "mutation {{ setUserPassword(input: {{id: \"{}\", password: \"{PASSWORD}\"}}) {{ user {{ id }} }} }}",
            id(&ann)
        ),
    ] {
        let answer = acting.ask(&mutation, json!({})).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(
            (&extensions["code"], &extensions["reason"]),
            (&json!("FORBIDDEN"), &json!("IMPERSONATING")),
            "{mutation}: {answer:#}"
        );
    }
    let tokens = as_owner.data("{ apiTokens { name isActive } }").await;
    assert_eq!(tokens["apiTokens"], json!([{ "name": "build", "isActive": true }]));

    // Nor does mail go where the impersonator would have it go.
    let new = json!({ "login": "eve", "email": "root@example.org", "notifications": { "email": "root@example.org" },
        "sendAccessEmail": true });
    let payload = acting.mutate("createUser", new, "user { id }").await;
    assert_eq!(
        user_errors(&payload),
        [
            "NOT_ALLOWED email",
            "NOT_ALLOWED notifications.email",
            "NOT_ALLOWED sendAccessEmail"
        ]
    );
    let new = json!({ "login": "eve", "firstName": "Eve", "notifications": { "hardBounces": true } });
    let payload = acting.mutate("createUser", new, "user { login email }").await;
    assert_eq!(payload["user"], json!({ "login": "eve", "email": null }), "{payload:#}");
}

async fn it_goes_never_upwards(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue, system) = (
        gateway.account("acme").await,
        gateway.account("blue").await,
        gateway.system().await,
    );
    let root = gateway.master(&system, "root").await;
    let other_root = gateway.master(&system, "root2").await;
    let helper = gateway.user(&system, "helper").await;
    let owner = gateway.master(&acme, "owner").await;
    let boss = gateway.master(&acme, "boss").await;
    let ann = gateway.user(&acme, "ann").await;
    let eve = gateway.user(&blue, "eve").await;
    let disabled = gateway.user(&acme, "gone").await;
    let command_line = gateway.services.command_line();
    let status = doorward::domain::user::UserStatus::Disabled;
    command_line
        .write_users()
        .unwrap()
        .set_status(disabled.id, status)
        .await
        .unwrap();
    let all = gateway
        .role(&acme, "Everything", &doorward::domain::role::Permission::OWN)
        .await;
    gateway
        .user_with(&acme, "clerk", |new| new.roles = vec![Some(all)])
        .await;

    let as_root = gateway.sign_in("root@system").await;
    let as_owner = gateway.sign_in("owner@acme").await;
    for (asker, user, error) in [
        (&as_owner, &boss, "NOT_ALLOWED id"),
        (&as_owner, &owner, "NOT_ALLOWED id"),
        (&as_owner, &eve, "NOT_FOUND id"),
        (&as_owner, &root, "NOT_FOUND id"),
        (&as_owner, &disabled, "DISABLED id"),
        (&as_root, &other_root, "NOT_ALLOWED id"),
        (&as_root, &root, "NOT_ALLOWED id"),
    ] {
        let input = json!({ "id": id(user), "reason": "x" });
        let payload = asker.mutate("impersonateUser", input, "token session { id }").await;
        assert_eq!(user_errors(&payload), [error], "{}", user.login);
        assert_eq!((&payload["token"], &payload["session"]), (&Value::Null, &Value::Null));
    }
    for user in [&ann, &eve, &owner, &helper] {
        act(&gateway, &as_root, user, true).await;
    }
    act(&gateway, &as_owner, &ann, true).await;
    // Every permission together does not make a master.
    let query = format!(
        "mutation {{ impersonateUser(input: {{id: \"{}\", reason: \"x\"}}) {{ token }} }}",
        id(&ann)
    );
    for login in ["ann@acme", "clerk@acme"] {
        assert_eq!(gateway.sign_in(login).await.error(&query).await, "FORBIDDEN", "{login}");
    }
    assert_eq!(gateway.nobody().error(&query).await, "UNAUTHENTICATED");

    let frozen = doorward::domain::account::AccountStatus::Frozen;
    command_line
        .write_accounts()
        .unwrap()
        .set_status(blue.id, frozen)
        .await
        .unwrap();
    let input = json!({ "id": id(&eve), "reason": "x" });
    let payload = as_root.mutate("impersonateUser", input, "token").await;
    assert_eq!(user_errors(&payload), ["ACCOUNT_FROZEN id"]);
}

async fn its_input_is_checked(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    for (input, errors) in [
        (json!({ "id": id(&ann), "reason": " " }), vec!["REQUIRED reason"]),
        (
            json!({ "id": id(&ann), "reason": "x".repeat(501) }),
            vec!["TOO_LONG reason"],
        ),
        (
            json!({ "id": id(&ann), "reason": "a\u{7}b", "minutes": 0 }),
            vec!["INVALID reason", "INVALID minutes"],
        ),
        (
            json!({ "id": id(&ann), "reason": "x", "minutes": 61 }),
            vec!["INVALID minutes"],
        ),
        (json!({ "id": "x", "reason": "x" }), vec!["NOT_FOUND id"]),
        (
            json!({ "id": node_id::encode(acme.id).to_string(), "reason": "x" }),
            vec!["NOT_FOUND id"],
        ),
    ] {
        let payload = owner.mutate("impersonateUser", input.clone(), "token").await;
        assert_eq!(user_errors(&payload), errors, "{input}");
    }
}

async fn it_ends_with_its_time_and_with_what_it_rests_on(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "boss").await;
    let owner = gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let writes = gateway.services.command_line();

    let as_owner = gateway.sign_in("owner@acme").await;
    let acting = act(&gateway, &as_owner, &ann, true).await;
    gateway.wait(Duration::from_secs(29 * 60));
    assert_eq!(status(&gateway, &acting).await, 200);
    gateway.wait(Duration::from_secs(2 * 60));
    assert_eq!(
        (status(&gateway, &acting).await, status(&gateway, &as_owner).await),
        (401, 200)
    );

    // The own session ends.
    let acting = act(&gateway, &as_owner, &ann, true).await;
    as_owner.data("mutation { signOut { done } }").await;
    assert_eq!(status(&gateway, &acting).await, 401);

    // Whoever it is about rises.
    let as_owner = gateway.sign_in("owner@acme").await;
    let acting = act(&gateway, &as_owner, &ann, true).await;
    let mut changes = doorward::service::UserChanges {
        is_master: Some(true),
        ..Default::default()
    };
    writes
        .write_users()
        .unwrap()
        .update(ann.id, changes.clone())
        .await
        .unwrap();
    assert_eq!(status(&gateway, &acting).await, 401);
    changes.is_master = Some(false);
    writes
        .write_users()
        .unwrap()
        .update(ann.id, changes.clone())
        .await
        .unwrap();

    // The impersonator falls.
    let acting = act(&gateway, &as_owner, &ann, true).await;
    assert_eq!(status(&gateway, &acting).await, 200);
    writes.write_users().unwrap().update(owner.id, changes).await.unwrap();
    assert_eq!(
        (status(&gateway, &acting).await, status(&gateway, &as_owner).await),
        (401, 200)
    );
}

async fn a_cookie_goes_over_and_comes_back(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let own = gateway.sign_in("owner@acme").await.token.unwrap();
    let send = async |cookie: &str, query: String| {
        let request = gateway.post("/graphql").header("sec-fetch-site", "same-origin");
        let request = request.header("cookie", format!("doorward_session={cookie}"));
        let response = request.json(&json!({ "query": query })).send().await.unwrap();
        let set = response
            .headers()
            .get("set-cookie")
            .map(|v| v.to_str().unwrap().to_owned());
        let value = set.map(|line| line["doorward_session=".len()..line.find(';').unwrap()].to_owned());
        (value, response.json::<Value>().await.unwrap())
    };
    let query = format!(
        "mutation {{ impersonateUser(input: {{id: \"{}\", reason: \"x\", cookie: true}}) {{ token session {{ user {{ login }} }} }} }}",
        id(&ann)
    );
    let (cookie, answer) = send(&own, query).await;
    assert_eq!(
        answer["data"]["impersonateUser"],
        json!({ "token": null, "session": { "user": { "login": "ann" } } })
    );
    let (back, answer) = send(&cookie.unwrap(), STOP.to_owned()).await;
    assert_eq!(answer["data"]["stopImpersonating"]["token"], Value::Null, "{answer:#}");
    assert_eq!(back.unwrap(), own);
    let (_, answer) = send(&own, "{ viewer { user { login } } }".to_owned()).await;
    assert_eq!(answer["data"]["viewer"]["user"]["login"], json!("owner"));
}
