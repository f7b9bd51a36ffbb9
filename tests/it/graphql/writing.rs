//! The mutations: what they make, and what they refuse.

use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    a_user_is_made_with_everything,
    each_input_of_a_user_is_checked,
    only_what_is_given_changes,
    lost_updates_are_refused,
    nobody_grants_more_than_they_hold,
    the_last_master_stays,
    roles_and_groups_are_made,
    accounts_are_made_by_operators,
    parallel_creations_of_one_login_make_one_user,
    parallel_updates_lose_nothing,
);

async fn acme(backend: Backend) -> Gateway {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway
}

async fn made(asker: &Asker<'_>, name: &str, input: Value, thing: &str) -> Value {
    let payload = asker
        .mutate(name, input, &format!("{thing} {{ id name revision }}"))
        .await;
    assert_eq!(payload["userErrors"], json!([]), "{payload}");
    payload[thing].clone()
}

async fn a_user_is_made_with_everything(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let role = made(
        &owner,
        "createRole",
        json!({ "name": "Support", "permissions": ["tickets:read", "users:read"] }),
        "role",
    )
    .await;
    let group = made(&owner, "createGroup", json!({ "name": "EMEA" }), "group").await;
    let input = json!({
        "login": " Ann.Lee ", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.org", "language": "RU",
        "phone": "+1 650-253-0000", "password": PASSWORD, "isMaster": false, "roles": [role["id"]], "groups": [group["id"]],
        "notifications": { "email": "alerts@example.org", "hardBounces": true, "securityNotices": false },
    });
    let fields =
        "user { login qualifiedLogin firstName language phone email mustChangePassword hasPassword isMaster revision
        roles { name permissions } groups { name } notifications { email hardBounces softBounces securityNotices }
        grants { source grantedBy { login } role { name } } status }";
    let payload = owner.mutate("createUser", input, fields).await;
    assert_eq!(
        payload["user"],
        json!({
            "login": "ann.lee", "qualifiedLogin": "ann.lee@acme", "firstName": "Ann", "language": "RU", "phone": "+16502530000",
            "email": "ann@example.org", "mustChangePassword": true, "hasPassword": true, "isMaster": false, "revision": 1,
            "roles": [{ "name": "Support", "permissions": ["tickets:read", "users:read"] }], "groups": [{ "name": "EMEA" }],
            "notifications": { "email": "alerts@example.org", "hardBounces": true, "softBounces": false, "securityNotices": false },
            "grants": [
                { "source": "MANUAL", "grantedBy": { "login": "owner" }, "role": { "name": "Support" } },
                { "source": "MANUAL", "grantedBy": { "login": "owner" }, "role": null },
            ],
            "status": "ACTIVE",
        }),
        "{payload:#}"
    );
    assert_eq!(
        gateway.try_sign_in("ann.lee@acme", PASSWORD).await["mustChangePassword"],
        json!(true)
    );

    let payload = owner
        .mutate(
            "createUser",
            json!({ "login": "bare" }),
            "user { firstName groups { name isMain } hasPassword language mustChangePassword grants { source } }",
        )
        .await;
    assert_eq!(
        payload["user"],
        json!({ "firstName": "", "groups": [{ "name": "Main", "isMain": true }], "hasPassword": false, "language": "EN",
                "mustChangePassword": false, "grants": [{ "source": "DEFAULT" }] })
    );
    let audit = owner.data("{ auditLog(filter: {action: \"createUser\"}, first: 2) { nodes { actor actorUser { login } targetName changes { field after } } } }").await;
    let ann = &audit["auditLog"]["nodes"][1];
    assert_eq!(
        (&ann["actor"], &ann["actorUser"]["login"], &ann["targetName"]),
        (&json!("owner@acme"), &json!("owner"), &json!("ann.lee@acme"))
    );
    assert!(
        ann["changes"]
            .as_array()
            .unwrap()
            .contains(&json!({ "field": "email", "after": "ann@example.org" }))
    );
}

async fn each_input_of_a_user_is_checked(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let other = gateway.account("other").await;
    let stranger = gateway.master(&other, "stranger").await;
    let foreign_role = gateway.role(&other, "Theirs", &[]).await;
    let foreign_role = doorward::graphql::node_id::encode(foreign_role).to_string();
    let id = |user: &doorward::domain::user::User| doorward::graphql::node_id::encode(user.id).to_string();
    for (input, errors) in [
        (json!({ "login": "" }), vec!["REQUIRED login"]),
        (json!({ "login": "  " }), vec!["REQUIRED login"]),
        (json!({ "login": "a b" }), vec!["INVALID login"]),
        (json!({ "login": "a\u{0}b" }), vec!["INVALID login"]),
        (json!({ "login": "x".repeat(129) }), vec!["TOO_LONG login"]),
        (json!({ "login": "OWNER" }), vec!["TAKEN login"]),
        (
            json!({ "login": "x", "firstName": "x".repeat(101) }),
            vec!["TOO_LONG firstName"],
        ),
        (json!({ "login": "x", "lastName": "a\nb" }), vec!["INVALID lastName"]),
        (json!({ "login": "x", "email": "nonsense" }), vec!["INVALID email"]),
        (json!({ "login": "x", "email": "" }), vec!["REQUIRED email"]),
        (json!({ "login": "x", "phone": "call me" }), vec!["INVALID phone"]),
        (
            json!({ "login": "x", "notifications": { "email": "@" } }),
            vec!["INVALID notifications.email"],
        ),
        (
            json!({ "login": "x", "password": "short" }),
            vec!["WEAK_PASSWORD password"],
        ),
        (
            json!({ "login": "x", "password": "x".repeat(2000) }),
            vec!["TOO_LONG password"],
        ),
        (json!({ "login": "x", "isLdap": true }), vec!["LDAP_OFF isLdap"]),
        (
            json!({ "login": "x", "sendAccessEmail": true }),
            vec!["MAIL_OFF sendAccessEmail"],
        ),
        (
            json!({ "login": "x", "roles": ["nonsense", foreign_role, id(&stranger)] }),
            vec!["NOT_FOUND roles.0", "NOT_FOUND roles.1", "NOT_FOUND roles.2"],
        ),
        (json!({ "login": "x", "groups": [""] }), vec!["NOT_FOUND groups.0"]),
        (json!({ "login": "x", "roles": vec!["x"; 201] }), vec!["TOO_LONG roles"]),
        (
            json!({ "login": "x", "account": "nonsense" }),
            vec!["NOT_FOUND account"],
        ),
        (
            json!({ "login": "x", "account": doorward::graphql::node_id::encode(other.id).to_string() }),
            vec!["NOT_FOUND account"],
        ),
        // All at once.
        (
            json!({ "login": "x", "email": "@", "phone": "-", "password": "a" }),
            vec!["INVALID email", "INVALID phone", "WEAK_PASSWORD password"],
        ),
    ] {
        let payload = owner.mutate("createUser", input.clone(), "user { id }").await;
        assert_eq!(user_errors(&payload), errors, "{input}");
        assert_eq!(payload["user"], Value::Null);
        let message = payload["userErrors"][0]["message"].as_str().unwrap();
        assert!(message.len() > 8, "says what is wrong: {message}");
    }
    // What the schema itself refuses.
    for input in [
        "{}",
        "{login: 5}",
        "{login: null}",
        "{login: \"x\", language: FR}",
        "{login: \"x\", extra: 1}",
    ] {
        assert_eq!(
            owner
                .error(&format!(
                    "mutation {{ createUser(input: {input}) {{ user {{ id }} }} }}"
                ))
                .await,
            "BAD_REQUEST",
            "{input}"
        );
    }
    for missing in ["nonsense".to_owned(), id(&stranger), foreign_role] {
        let payload = owner
            .mutate("updateUser", json!({ "id": missing, "firstName": "x" }), "user { id }")
            .await;
        assert_eq!(user_errors(&payload), ["NOT_FOUND id"]);
    }
    let data = owner.data("{ users { totalCount } }").await;
    assert_eq!(data["users"]["totalCount"], 1, "nothing of it was made");
}

async fn only_what_is_given_changes(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let fields = "user { id login firstName lastName email phone language mustChangePassword isMaster revision roles { name } groups { name } notifications { email dailyReports } }";
    let role = made(
        &owner,
        "createRole",
        json!({ "name": "Support", "permissions": [] }),
        "role",
    )
    .await;
    let input = json!({ "login": "ann", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.org", "phone": "12", "roles": [role["id"]],
        "notifications": { "email": "n@example.org", "dailyReports": true } });
    let mut expected = owner.mutate("createUser", input, fields).await["user"].clone();
    let id = expected["id"].clone();
    let mut update = async |mut input: Value, expect: Value| {
        input["id"] = id.clone();
        let payload = owner.mutate("updateUser", input.clone(), fields).await;
        assert_eq!(payload["userErrors"], json!([]), "{input}");
        for (key, value) in expect.as_object().unwrap() {
            expected[key] = value.clone();
        }
        assert_eq!(payload["user"], expected, "{input}");
    };
    update(json!({}), json!({ "revision": 1 })).await;
    update(json!({ "firstName": "Ann" }), json!({ "revision": 1 })).await;
    update(
        json!({ "firstName": "Anna" }),
        json!({ "firstName": "Anna", "revision": 2 }),
    )
    .await;
    update(
        json!({ "lastName": null, "email": null, "phone": null }),
        json!({ "lastName": "", "email": null, "phone": null, "revision": 3 }),
    )
    .await;
    update(
        json!({ "login": "ANNA", "language": "RU" }),
        json!({ "login": "anna", "language": "RU", "revision": 4 }),
    )
    .await;
    update(
        json!({ "roles": [], "isMaster": true }),
        json!({ "roles": [], "isMaster": true, "revision": 5 }),
    )
    .await;
    update(
        json!({ "notifications": { "email": null }, "mustChangePassword": true }),
        json!({ "notifications": { "email": null, "dailyReports": true }, "mustChangePassword": true, "revision": 6 }),
    )
    .await;
    update(
        json!({ "roles": [role["id"]], "isMaster": false }),
        json!({ "roles": [{ "name": "Support" }], "isMaster": false, "revision": 7 }),
    )
    .await;

    for (input, error) in [
        (json!({ "login": null }), "REQUIRED login"),
        (json!({ "language": null }), "REQUIRED language"),
        (json!({ "login": "owner" }), "TAKEN login"),
        (json!({ "email": "@" }), "INVALID email"),
        (json!({ "isLdap": true }), "LDAP_OFF isLdap"),
        (json!({ "revision": 3, "firstName": "x" }), "CONFLICT revision"),
    ] {
        let mut input = input;
        input["id"] = id.clone();
        let payload = owner.mutate("updateUser", input.clone(), "user { id }").await;
        assert_eq!(user_errors(&payload), [error], "{input}");
    }
    let log = owner
        .data("{ auditLog(filter: {action: \"updateUser\"}) { totalCount nodes { changes { field before after } } } }")
        .await;
    assert_eq!(log["auditLog"]["totalCount"], 6, "what changed nothing is not written");
    assert_eq!(
        log["auditLog"]["nodes"][5]["changes"],
        json!([{ "field": "firstName", "before": "Ann", "after": "Anna" }])
    );
}

async fn lost_updates_are_refused(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let ann = made(&owner, "createGroup", json!({ "name": "g" }), "group").await;
    assert_eq!(ann["revision"], 1);
    let user = owner
        .mutate("createUser", json!({ "login": "ann" }), "user { id revision }")
        .await["user"]
        .clone();
    let change = |name: &str| json!({ "id": user["id"], "revision": 1, "firstName": name });
    assert_eq!(
        user_errors(&owner.mutate("updateUser", change("a"), "user { id }").await),
        [""; 0]
    );
    let late = owner.mutate("updateUser", change("b"), "user { id }").await;
    assert_eq!(user_errors(&late), ["CONFLICT revision"]);
    assert_eq!(late["userErrors"][0]["currentRevision"], 2);
}

async fn nobody_grants_more_than_they_hold(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let role = async |name: &str, permissions: &[&str]| {
        made(
            &owner,
            "createRole",
            json!({ "name": name, "permissions": permissions }),
            "role",
        )
        .await["id"]
            .clone()
    };
    let (clerk, weak, strong) = (
        role(
            "Clerk",
            &[
                "users:read",
                "users:write",
                "roles:write",
                "groups:write",
                "tickets:read",
            ],
        )
        .await,
        role("Weak", &["tickets:read"]).await,
        role("Strong", &["tickets:close"]).await,
    );
    let input = json!({ "login": "clerk", "password": PASSWORD, "mustChangePassword": false, "roles": [clerk] });
    owner.mutate("createUser", input, "user { id }").await;
    let clerk = gateway.sign_in("clerk@acme").await;
    let create = async |input: Value| user_errors(&clerk.mutate("createUser", input, "user { id }").await);
    assert_eq!(create(json!({ "login": "a", "roles": [weak] })).await, [""; 0]);
    assert_eq!(
        create(json!({ "login": "b", "roles": [weak, strong] })).await,
        ["NOT_ALLOWED roles.1"]
    );
    assert_eq!(
        create(json!({ "login": "b", "isMaster": true })).await,
        ["NOT_ALLOWED isMaster"]
    );
    let more = clerk
        .mutate(
            "createRole",
            json!({ "name": "Mine", "permissions": ["tickets:read", "audit:read"] }),
            "role { id }",
        )
        .await;
    assert_eq!(user_errors(&more), ["NOT_ALLOWED permissions.1"]);
    // A master is out of their reach altogether, and so is making one of themselves.
    let data = clerk
        .data("{ owner: user(login: \"owner@acme\") { id } me: viewer { user { id } } }")
        .await;
    let update = async |input: Value| user_errors(&clerk.mutate("updateUser", input, "user { id }").await);
    assert_eq!(
        update(json!({ "id": data["owner"]["id"], "firstName": "x" })).await,
        ["NOT_ALLOWED id"]
    );
    assert_eq!(
        update(json!({ "id": data["me"]["user"]["id"], "isMaster": true })).await,
        ["NOT_ALLOWED isMaster"]
    );
    assert_eq!(
        update(json!({ "id": data["me"]["user"]["id"], "roles": [strong] })).await,
        ["NOT_ALLOWED roles.0"]
    );
    // A plain user does none of it, wherever.
    let input = json!({ "login": "plain", "password": PASSWORD, "mustChangePassword": false });
    owner.mutate("createUser", input, "user { id }").await;
    let plain = gateway.sign_in("plain@acme").await;
    for mutation in [
        "createUser(input: {login: \"x\"}) { user { id } }",
        "updateUser(input: {id: \"x\"}) { user { id } }",
        "createRole(input: {name: \"x\", permissions: []}) { role { id } }",
        "createGroup(input: {name: \"x\"}) { group { id } }",
        "createAccount(input: {name: \"x\"}) { account { id } }",
    ] {
        assert_eq!(
            plain.error(&format!("mutation {{ {mutation} }}")).await,
            "FORBIDDEN",
            "{mutation}"
        );
    }
}

async fn the_last_master_stays(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let id = owner.data("{ viewer { user { id } } }").await["viewer"]["user"]["id"].clone();
    let step_down = json!({ "id": id, "isMaster": false });
    let payload = owner.mutate("updateUser", step_down.clone(), "user { id }").await;
    assert_eq!(user_errors(&payload), ["LAST_MASTER"]);
    owner
        .mutate(
            "createUser",
            json!({ "login": "heir", "isMaster": true, "password": PASSWORD }),
            "user { id }",
        )
        .await;
    let payload = owner.mutate("updateUser", step_down, "user { isMaster }").await;
    assert_eq!(payload["user"]["isMaster"], json!(false), "{payload}");
}

async fn roles_and_groups_are_made(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let input =
        json!({ "name": " Support ", "description": "First line", "permissions": ["users:read", "a:b", "users:read"] });
    let payload = owner
        .mutate(
            "createRole",
            input,
            "role { name description permissions account { name } revision users { totalCount } }",
        )
        .await;
    assert_eq!(
        payload["role"],
        json!({ "name": "Support", "description": "First line", "permissions": ["a:b", "users:read"], "account": { "name": "acme" },
                "revision": 1, "users": { "totalCount": 0 } })
    );
    let payload = owner
        .mutate(
            "createGroup",
            json!({ "name": "EMEA" }),
            "group { name description isMain }",
        )
        .await;
    assert_eq!(
        payload["group"],
        json!({ "name": "EMEA", "description": "", "isMain": false })
    );
    for (mutation, input, errors) in [
        (
            "createRole",
            json!({ "name": "SUPPORT", "permissions": [] }),
            vec!["TAKEN name"],
        ),
        (
            "createRole",
            json!({ "name": " ", "permissions": [] }),
            vec!["REQUIRED name"],
        ),
        (
            "createRole",
            json!({ "name": "x".repeat(101), "permissions": [] }),
            vec!["TOO_LONG name"],
        ),
        (
            "createRole",
            json!({ "name": "x", "description": "x".repeat(1001), "permissions": [] }),
            vec!["TOO_LONG description"],
        ),
        (
            "createRole",
            json!({ "name": "x", "permissions": ["users", "A:b", "a:b"] }),
            vec!["INVALID permissions.0", "INVALID permissions.1"],
        ),
        (
            "createRole",
            json!({ "name": "x", "permissions": vec!["a:b"; 501] }),
            vec!["TOO_LONG permissions"],
        ),
        (
            "createRole",
            json!({ "name": "x", "account": "nonsense", "permissions": [] }),
            vec!["NOT_FOUND account"],
        ),
        ("createGroup", json!({ "name": "emea" }), vec!["TAKEN name"]),
        ("createGroup", json!({ "name": "main" }), vec!["TAKEN name"]),
        ("createGroup", json!({ "name": "a\tb" }), vec!["INVALID name"]),
        ("createGroup", json!({ "name": "" }), vec!["REQUIRED name"]),
    ] {
        let payload = owner.mutate(mutation, input.clone(), "__typename").await;
        assert_eq!(user_errors(&payload), errors, "{mutation} {input}");
    }
}

async fn accounts_are_made_by_operators(backend: Backend) {
    let gateway = acme(backend).await;
    let system = gateway.system().await;
    gateway.master(&system, "root").await;
    gateway.user(&system, "helper").await;
    let root = gateway.sign_in("root@system").await;
    let fields = "account { name title status timeZone defaultLanguage directoryOnly passwordPolicy { minLength maxAgeDays } groups { nodes { name isMain } } revision }";
    let input = json!({ "name": "Beta-2", "title": "Beta Ltd", "timeZone": "Europe/Berlin", "defaultLanguage": "RU", "passwordPolicy": { "minLength": 16, "maxAgeDays": 90 } });
    let payload = root.mutate("createAccount", input, fields).await;
    assert_eq!(
        payload["account"],
        json!({ "name": "beta-2", "title": "Beta Ltd", "status": "ACTIVE", "timeZone": "Europe/Berlin", "defaultLanguage": "RU",
                "directoryOnly": false, "passwordPolicy": { "minLength": 16, "maxAgeDays": 90 },
                "groups": { "nodes": [{ "name": "Main", "isMain": true }] }, "revision": 1 })
    );
    for (input, errors) in [
        (json!({ "name": "ACME" }), vec!["TAKEN name"]),
        (json!({ "name": "system" }), vec!["TAKEN name"]),
        (json!({ "name": "" }), vec!["REQUIRED name"]),
        (json!({ "name": "a.b" }), vec!["INVALID name"]),
        (json!({ "name": "x".repeat(64) }), vec!["TOO_LONG name"]),
        (json!({ "name": "x", "title": "x".repeat(201) }), vec!["TOO_LONG title"]),
        (
            json!({ "name": "x", "timeZone": "Mars/Olympus" }),
            vec!["INVALID timeZone"],
        ),
        (json!({ "name": "x", "directory": "corp" }), vec!["NOT_FOUND directory"]),
        (
            json!({ "name": "x", "directoryOnly": true }),
            vec!["LDAP_OFF directoryOnly"],
        ),
        (
            json!({ "name": "x", "passwordPolicy": { "minStrength": 5 } }),
            vec!["INVALID passwordPolicy.minStrength"],
        ),
        (
            json!({ "name": "x", "passwordPolicy": { "history": -1 } }),
            vec!["INVALID passwordPolicy.history"],
        ),
    ] {
        let payload = root.mutate("createAccount", input.clone(), "account { id }").await;
        assert_eq!(user_errors(&payload), errors, "{input}");
    }
    let create = "mutation { createAccount(input: {name: \"y\"}) { account { id } } }";
    assert_eq!(gateway.sign_in("owner@acme").await.error(create).await, "FORBIDDEN");
    assert_eq!(
        gateway.sign_in("helper@system").await.error(create).await,
        "FORBIDDEN",
        "in the system account, but no master"
    );
    // Operators make users anywhere.
    let acme = root.data("{ account(name: \"acme\") { id } }").await["account"]["id"].clone();
    let payload = root
        .mutate(
            "createUser",
            json!({ "account": acme, "login": "new", "isMaster": true }),
            "user { qualifiedLogin }",
        )
        .await;
    assert_eq!(payload["user"]["qualifiedLogin"], "new@acme");
}

async fn parallel_creations_of_one_login_make_one_user(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let attempts = (0..50).map(|_| owner.mutate("createUser", json!({ "login": "one" }), "user { id }"));
    let payloads = futures_util::future::join_all(attempts).await;
    let made = payloads.iter().filter(|p| !p["user"].is_null()).count();
    let taken = payloads.iter().filter(|p| user_errors(p) == ["TAKEN login"]).count();
    assert_eq!((made, taken), (1, 49));
}

async fn parallel_updates_lose_nothing(backend: Backend) {
    let gateway = acme(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let user = owner
        .mutate("createUser", json!({ "login": "ann" }), "user { id }")
        .await["user"]
        .clone();
    let fields = ["firstName", "lastName", "email", "phone"];
    let updates = fields.iter().map(|field| {
        let value = if *field == "email" { "ann@example.org" } else { "555" };
        let mut input = json!({ "id": user["id"] });
        input[field] = json!(value);
        owner.mutate("updateUser", input, "user { id }")
    });
    for payload in futures_util::future::join_all(updates).await {
        assert_eq!(payload["userErrors"], json!([]));
    }
    let data = owner
        .data("{ user(login: \"ann@acme\") { firstName lastName email phone revision } }")
        .await;
    assert_eq!(
        data["user"],
        json!({ "firstName": "555", "lastName": "555", "email": "ann@example.org", "phone": "555", "revision": 5 })
    );
}
