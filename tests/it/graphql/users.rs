//! What an administrator does to users: disabling, enabling, unlocking, deleting, giving a password.

use std::time::Duration;

use doorward::domain::user::User;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

on_both_stores!(
    a_disabled_user_is_out_until_enabled,
    a_deleted_user_stays_in_the_history,
    an_unlocked_login_gets_in_at_once,
    a_given_password_replaces_the_old_one,
    a_given_password_is_checked,
    each_takes_the_right_to_change_users,
    nobody_does_it_to_themselves,
    the_last_master_who_can_sign_in_stays,
    nobody_takes_over_whoever_holds_more,
    passwords_expire_by_the_accounts_policy,
    an_audit_entry_is_found_by_its_id,
    directory_users_are_unlocked_there_and_get_no_password_here,
);

const NEW: &str = "violet-Anchor-38-meadow";
const NEXT: &str = "orange-Kettle-57-harbour";
const EACH: [&str; 5] = [
    "deleteUser",
    "disableUser",
    "enableUser",
    "unlockUser",
    "setUserPassword",
];

fn id(user: &User) -> Value {
    json!(node_id::encode(user.id).to_string())
}

/// The input of any of the mutations.
fn on(mutation: &str, id: &Value) -> Value {
    if mutation == "setUserPassword" {
        json!({ "id": id, "password": NEW })
    } else {
        json!({ "id": id })
    }
}

/// Asks for a mutation and gives the whole answer.
async fn ask(asker: &Asker<'_>, mutation: &str, input: Value) -> Value {
    let mut type_name = mutation.to_owned();
    type_name[..1].make_ascii_uppercase();
    let query = format!(
        "mutation($input: {type_name}Input!) {{ {mutation}(input: $input) {{ userErrors {{ code path message }} }} }}"
    );
    asker.ask(&query, json!({ "input": input })).await
}

async fn errors(asker: &Asker<'_>, mutation: &str, input: Value) -> Vec<String> {
    let answer = ask(asker, mutation, input).await;
    assert!(answer.get("errors").is_none(), "{mutation}: {answer:#}");
    user_errors(&answer["data"][mutation])
}

/// The code of the refusal as a whole.
async fn refusal(asker: &Asker<'_>, mutation: &str, input: Value) -> String {
    let answer = ask(asker, mutation, input).await;
    let code = answer["errors"][0]["extensions"]["code"].as_str();
    code.unwrap_or_else(|| panic!("{mutation}: {answer:#}")).to_owned()
}

/// The entries of one action, newest first.
async fn audited(asker: &Asker<'_>, action: &str) -> Vec<Value> {
    let query = "query($action: String) { auditLog(filter: {action: $action}) {
        nodes { actor targetName changes { field before after } } } }";
    let data = asker.data_with(query, json!({ "action": action })).await;
    data["auditLog"]["nodes"].as_array().unwrap().clone()
}

fn change<'a>(entry: &'a Value, field: &str) -> &'a Value {
    let changes = entry["changes"].as_array().unwrap();
    changes
        .iter()
        .find(|c| c["field"] == field)
        .unwrap_or_else(|| panic!("no {field}: {entry:#}"))
}

async fn a_disabled_user_is_out_until_enabled(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    let victim = gateway.sign_in("ann@acme").await;
    let fields = "user { login status disabledBy revision }";
    let payload = owner.mutate("disableUser", json!({ "id": id(&ann) }), fields).await;
    assert_eq!(
        payload["user"],
        json!({ "login": "ann", "status": "DISABLED", "disabledBy": "MANUAL", "revision": 2 })
    );
    assert_eq!(victim.error("{ users { totalCount } }").await, "UNAUTHENTICATED");
    assert_eq!(gateway.refusal("ann@acme", PASSWORD).await, "DISABLED");
    // Twice is once.
    let payload = owner.mutate("disableUser", json!({ "id": id(&ann) }), fields).await;
    assert_eq!(payload["user"]["revision"], 2);
    let entries = audited(&owner, "disableUser").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0]["actor"], &entries[0]["targetName"]),
        (&json!("owner@acme"), &json!("ann@acme"))
    );
    assert_eq!(
        change(&entries[0], "status"),
        &json!({ "field": "status", "before": "ACTIVE", "after": "DISABLED" })
    );

    for _ in 0..2 {
        let payload = owner.mutate("enableUser", json!({ "id": id(&ann) }), fields).await;
        assert_eq!(
            payload["user"],
            json!({ "login": "ann", "status": "ACTIVE", "disabledBy": null, "revision": 3 })
        );
    }
    gateway.sign_in("ann@acme").await;
    let entries = audited(&owner, "enableUser").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        change(&entries[0], "disabledBy"),
        &json!({ "field": "disabledBy", "before": "MANUAL", "after": null })
    );
}

async fn a_deleted_user_stays_in_the_history(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    let victim = gateway.sign_in("ann@acme").await;
    let payload = owner.mutate("deleteUser", json!({ "id": id(&ann) }), "deletedId").await;
    assert_eq!((&payload["deletedId"], &payload["userErrors"]), (&id(&ann), &json!([])));
    assert_eq!(victim.error("{ users { totalCount } }").await, "UNAUTHENTICATED");
    assert_eq!(gateway.refusal("ann@acme", PASSWORD).await, "WRONG_CREDENTIALS");
    let data = owner
        .data("{ user(login: \"ann@acme\") { id } loginHistory { nodes { attemptedLogin outcome user { login } } } }")
        .await;
    assert_eq!(data["user"], Value::Null);
    let events = data["loginHistory"]["nodes"].as_array().unwrap();
    assert!(
        events.contains(&json!({ "attemptedLogin": "ann@acme", "outcome": "SUCCESS", "user": null })),
        "{events:#?}"
    );
    let entries = audited(&owner, "deleteUser").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        change(&entries[0], "login"),
        &json!({ "field": "login", "before": "ann", "after": null })
    );
    assert_eq!(
        errors(&owner, "deleteUser", json!({ "id": id(&ann) })).await,
        ["NOT_FOUND id"]
    );
}

async fn an_unlocked_login_gets_in_at_once(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 2)
        .await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    let fields = "user { login lockedUntil revision }";
    // Nothing to take off: nothing is written of it.
    let payload = owner.mutate("unlockUser", json!({ "id": id(&ann) }), fields).await;
    assert_eq!(payload["user"]["lockedUntil"], Value::Null);
    assert_eq!(audited(&owner, "unlockUser").await, [Value::Null; 0]);
    for _ in 0..2 {
        gateway.refusal("ann@acme", "wrong").await;
    }
    assert_eq!(gateway.refusal("ann@acme", PASSWORD).await, "LOCKED");
    let payload = owner.mutate("unlockUser", json!({ "id": id(&ann) }), fields).await;
    assert_eq!(
        payload["user"],
        json!({ "login": "ann", "lockedUntil": null, "revision": 1 })
    );
    gateway.sign_in("ann@acme").await;
    let entries = audited(&owner, "unlockUser").await;
    assert_eq!(entries.len(), 1);
    assert!(change(&entries[0], "lockedUntil")["before"].is_string(), "{entries:#?}");
}

async fn a_given_password_replaces_the_old_one(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    let victim = gateway.sign_in("ann@acme").await;
    let fields = "user { login hasPassword mustChangePassword revision }";
    let input = json!({ "id": id(&ann), "password": NEW });
    let payload = owner.mutate("setUserPassword", input, fields).await;
    assert_eq!(
        payload["user"],
        json!({ "login": "ann", "hasPassword": true, "mustChangePassword": true, "revision": 2 })
    );
    assert_eq!(victim.error("{ users { totalCount } }").await, "UNAUTHENTICATED");
    assert_eq!(gateway.refusal("ann@acme", PASSWORD).await, "WRONG_CREDENTIALS");
    let signed_in = gateway.try_sign_in("ann@acme", NEW).await;
    assert_eq!(signed_in["mustChangePassword"], json!(true));
    let input = json!({ "id": id(&ann), "password": NEXT, "mustChangePassword": false });
    let payload = owner.mutate("setUserPassword", input, fields).await;
    assert_eq!(payload["user"]["mustChangePassword"], json!(false));
    gateway.sign_in_as("ann@acme", NEXT).await;
    let entries = audited(&owner, "setUserPassword").await;
    assert_eq!(entries.len(), 2);
    assert_eq!(
        entries[1]["changes"],
        json!([
            { "field": "mustChangePassword", "before": "false", "after": "true" },
            { "field": "password", "before": null, "after": "changed" },
        ])
    );
    let told = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!told.contains(NEW) && !told.contains(NEXT), "{told}");
    // Few fit into one request.
    let one = format!(
        "setUserPassword(input: {{id: {}, password: \"x\"}}) {{ user {{ id }} }}",
        id(&ann)
    );
    let many: String = (0..12).map(|n| format!("m{n}: {one} ")).collect();
    assert_eq!(owner.error(&format!("mutation {{ {many} }}")).await, "BAD_REQUEST");
}

async fn a_given_password_is_checked(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    for (given, expected) in [
        (json!({}), vec!["REQUIRED password"]),
        (json!({ "password": null }), vec!["REQUIRED password"]),
        (json!({ "sendAccessEmail": true }), vec!["MAIL_OFF sendAccessEmail"]),
        (
            json!({ "password": NEW, "sendAccessEmail": true }),
            vec!["MAIL_OFF sendAccessEmail"],
        ),
        (json!({ "password": "short" }), vec!["WEAK_PASSWORD password"]),
        (json!({ "password": "password1234" }), vec!["WEAK_PASSWORD password"]),
        (json!({ "password": "x".repeat(2000) }), vec!["TOO_LONG password"]),
        (
            json!({ "password": "violet-Anchor\u{0}38-meadow" }),
            vec!["INVALID password"],
        ),
        (
            json!({ "password": "short", "sendAccessEmail": true }),
            vec!["MAIL_OFF sendAccessEmail", "WEAK_PASSWORD password"],
        ),
    ] {
        let mut input = given;
        input["id"] = id(&ann);
        assert_eq!(
            errors(&owner, "setUserPassword", input.clone()).await,
            expected,
            "{input}"
        );
    }
    gateway.sign_in("ann@acme").await;
    assert_eq!(audited(&owner, "setUserPassword").await, [Value::Null; 0]);
}

async fn each_takes_the_right_to_change_users(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    let owner = gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    gateway.user(&acme, "plain").await;
    let writer = gateway.role(&acme, "Writer", &["users:write"]).await;
    gateway
        .user_with(&acme, "writer", |new| new.roles = vec![Some(writer)])
        .await;
    gateway.master(&blue, "stranger").await;
    gateway.master(&gateway.system().await, "root").await;
    let plain = gateway.sign_in("plain@acme").await;
    let stranger = gateway.sign_in("stranger@blue").await;
    let root = gateway.sign_in("root@system").await;
    let by = gateway.sign_in("writer@acme").await;
    for mutation in EACH {
        let input = on(mutation, &id(&ann));
        assert_eq!(
            refusal(&gateway.nobody(), mutation, input.clone()).await,
            "UNAUTHENTICATED",
            "{mutation}"
        );
        assert_eq!(
            refusal(&plain, mutation, input.clone()).await,
            "FORBIDDEN",
            "{mutation}"
        );
        assert_eq!(
            refusal(&plain, mutation, on(mutation, &json!("x"))).await,
            "FORBIDDEN",
            "{mutation}"
        );
        assert_eq!(errors(&stranger, mutation, input).await, ["NOT_FOUND id"], "{mutation}");
        for wrong in [json!("x"), json!(node_id::encode(acme.id).to_string())] {
            assert_eq!(
                errors(&by, mutation, on(mutation, &wrong)).await,
                ["NOT_FOUND id"],
                "{mutation}"
            );
        }
        // A master is a master's.
        let input = on(mutation, &id(&owner));
        assert_eq!(errors(&by, mutation, input).await, ["NOT_ALLOWED id"], "{mutation}");
    }
    gateway.sign_in("ann@acme").await;
    // With exactly the permission it is done; so it is by an operator.
    for mutation in [
        "setUserPassword",
        "unlockUser",
        "disableUser",
        "enableUser",
        "deleteUser",
    ] {
        assert_eq!(
            errors(&by, mutation, on(mutation, &id(&ann))).await,
            [""; 0],
            "{mutation}"
        );
    }
    for mutation in ["setUserPassword", "unlockUser", "enableUser"] {
        assert_eq!(
            errors(&root, mutation, on(mutation, &id(&owner))).await,
            [""; 0],
            "{mutation}"
        );
    }
}

async fn nobody_does_it_to_themselves(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let owner = gateway.master(&acme, "owner").await;
    gateway.master(&acme, "boss").await;
    let me = gateway.sign_in("owner@acme").await;
    for mutation in ["deleteUser", "disableUser", "setUserPassword"] {
        assert_eq!(
            errors(&me, mutation, on(mutation, &id(&owner))).await,
            ["NOT_ALLOWED id"],
            "{mutation}"
        );
    }
    for mutation in ["enableUser", "unlockUser"] {
        assert_eq!(
            errors(&me, mutation, on(mutation, &id(&owner))).await,
            [""; 0],
            "{mutation}"
        );
    }
    assert_eq!(
        gateway
            .sign_in("owner@acme")
            .await
            .data("{ viewer { isMaster } }")
            .await["viewer"]["isMaster"],
        true
    );
}

async fn the_last_master_who_can_sign_in_stays(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let owner = gateway.master(&acme, "owner").await;
    gateway
        .user_with(&acme, "heir", |new| (new.is_master, new.password) = (true, None))
        .await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    for mutation in ["deleteUser", "disableUser"] {
        assert_eq!(
            errors(&root, mutation, on(mutation, &id(&owner))).await,
            ["LAST_MASTER"],
            "{mutation}"
        );
    }
    gateway.master(&acme, "boss").await;
    for mutation in ["disableUser", "deleteUser"] {
        assert_eq!(
            errors(&root, mutation, on(mutation, &id(&owner))).await,
            [""; 0],
            "{mutation}"
        );
    }
}

async fn nobody_takes_over_whoever_holds_more(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let writer = gateway.role(&acme, "Writer", &["users:write", "history:read"]).await;
    let auditor = gateway.role(&acme, "Auditor", &["audit:read"]).await;
    let reader = gateway.role(&acme, "Reader", &["history:read", "tickets:close"]).await;
    gateway
        .user_with(&acme, "writer", |new| new.roles = vec![Some(writer)])
        .await;
    let ann = gateway
        .user_with(&acme, "ann", |new| new.roles = vec![Some(reader), Some(auditor)])
        .await;
    let bob = gateway
        .user_with(&acme, "bob", |new| new.roles = vec![Some(reader)])
        .await;
    let by = gateway.sign_in("writer@acme").await;
    let answer = ask(&by, "setUserPassword", on("setUserPassword", &id(&ann))).await;
    let payload = &answer["data"]["setUserPassword"];
    assert_eq!(user_errors(payload), ["NOT_ALLOWED id"]);
    assert_eq!(
        payload["userErrors"][0]["message"],
        json!("The user holds audit:read, which you do not hold.")
    );
    let update = async |user: &User, mut input: Value| {
        input["id"] = id(user);
        errors(&by, "updateUser", input).await
    };
    let both = json!({ "login": "anna", "email": "eve@example.org", "firstName": "Ann" });
    assert_eq!(update(&ann, both).await, ["NOT_ALLOWED login", "NOT_ALLOWED email"]);
    assert_eq!(update(&ann, json!({ "email": "@" })).await, ["NOT_ALLOWED email"]);
    // What lets nobody in may change, and what is there may be given again.
    assert_eq!(
        update(&ann, json!({ "firstName": "Ann", "login": "ANN", "email": null })).await,
        [""; 0]
    );
    // An application's own permissions are no way into Doorward.
    assert_eq!(
        update(&bob, json!({ "login": "rob", "email": "rob@example.org" })).await,
        [""; 0]
    );
    assert_eq!(
        errors(&by, "setUserPassword", on("setUserPassword", &id(&bob))).await,
        [""; 0]
    );
    let owner = gateway.sign_in("owner@acme").await;
    assert_eq!(
        errors(&owner, "setUserPassword", on("setUserPassword", &id(&ann))).await,
        [""; 0]
    );
}

async fn passwords_expire_by_the_accounts_policy(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let aged = gateway
        .account_with("aged", |new| new.password_policy.max_age_days = Some(30))
        .await;
    let lasting = gateway.account("lasting").await;
    gateway.master(&aged, "ann").await;
    gateway.user_with(&aged, "bare", |new| new.password = None).await;
    gateway.user(&lasting, "bob").await;
    let ann = gateway.sign_in("ann@aged").await;
    let data = ann
        .data("{ me: user(login: \"ann@aged\") { passwordChangedAt passwordExpiresAt } bare: user(login: \"bare@aged\") { passwordExpiresAt } }")
        .await;
    let moment = |v: &Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lasts = moment(&data["me"]["passwordExpiresAt"]).duration_since(moment(&data["me"]["passwordChangedAt"]));
    assert_eq!(lasts.as_hours(), 30 * 24);
    assert_eq!(data["bare"]["passwordExpiresAt"], Value::Null);
    let bob = gateway.sign_in("bob@lasting").await;
    let data = bob.data("{ viewer { user { passwordExpiresAt } } }").await;
    assert_eq!(data["viewer"]["user"]["passwordExpiresAt"], Value::Null);

    // Once it is over, one sees so wherever one sees oneself.
    gateway.wait(Duration::from_secs(30 * 24 * 60 * 60));
    let query = "mutation($input: SignInInput!) { signIn(input: $input) {
        mustChangePassword user { mustChangePassword } session { user { mustChangePassword } } } }";
    let answer = gateway
        .nobody()
        .data_with(query, json!({ "input": { "login": "ann@aged", "password": PASSWORD } }))
        .await;
    assert_eq!(
        answer["signIn"],
        json!({ "mustChangePassword": true, "user": { "mustChangePassword": true },
                "session": { "user": { "mustChangePassword": true } } })
    );
}

async fn an_audit_entry_is_found_by_its_id(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "plain").await;
    gateway.master(&blue, "stranger").await;
    let owner = gateway.sign_in("owner@acme").await;
    let data = owner
        .data("{ auditLog(first: 1) { nodes { id action targetName } } }")
        .await;
    let entry = &data["auditLog"]["nodes"][0];
    let query = "query($id: ID!) { node(id: $id) { ... on AuditEntry { id action targetName } } }";
    let ask = async |login: &str| {
        let asker = gateway.sign_in(login).await;
        asker.data_with(query, json!({ "id": entry["id"] })).await["node"].clone()
    };
    assert_eq!(&ask("owner@acme").await, entry);
    for blind in ["plain@acme", "stranger@blue"] {
        assert_eq!(ask(blind).await, Value::Null, "{blind}");
    }
    // What is over its time is gone, whether or not it was cleared up.
    gateway.wait(Duration::from_secs(401 * 24 * 60 * 60));
    assert_eq!(ask("owner@acme").await, Value::Null);
}

async fn directory_users_are_unlocked_there_and_get_no_password_here(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let corp = json!({ "servers": [slapd.url()], "allow_plaintext": true, "base": [PEOPLE], "bind_dn": READER,
        "bind_password": READER_PASSWORD, "max_failures": 2 });
    let corp = serde_json::from_value(corp).unwrap();
    let gateway = Gateway::start_with(backend, |config| {
        config.directories.insert("corp".to_owned(), corp);
    })
    .await;
    let acme = gateway
        .account_with("acme", |new| {
            (new.directory, new.directory_only) = (Some("corp".to_owned()), true);
        })
        .await;
    let member = gateway
        .user_with(&acme, "member", |new| (new.is_ldap, new.password) = (true, None))
        .await;
    let local = gateway.user_with(&acme, "local", |new| new.password = None).await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    for (user, expected) in [(&member, "IS_LDAP password"), (&local, "DIRECTORY_ONLY password")] {
        let given = errors(&root, "setUserPassword", on("setUserPassword", &id(user))).await;
        assert_eq!(given, [expected]);
    }

    // Two wrong ones, and no more binds go to the directory for a while.
    for _ in 0..2 {
        gateway.refusal("member@acme", "wrong").await;
    }
    assert_eq!(gateway.refusal("member@acme", slapd::PASSWORD).await, "LOCKED");
    assert_eq!(
        errors(&root, "unlockUser", on("unlockUser", &id(&member))).await,
        [""; 0]
    );
    let signed_in = gateway.try_sign_in("member@acme", slapd::PASSWORD).await;
    assert!(signed_in["token"].is_string(), "{signed_in:#}");
    let entries = audited(&root, "unlockUser").await;
    assert_eq!(
        entries.len(),
        1,
        "a lock that does not show as the user's is one all the same"
    );
}
