//! Changing and deleting accounts, roles and groups, and API tokens, over both stores.

use serde_json::json;

use crate::support::mongod::fresh_database;
use crate::support::process::Doorward;

#[test]
fn access_is_kept_over_the_embedded_store() {
    everything(&Doorward::new());
}

#[test]
fn access_is_kept_over_mongodb() {
    let database = fresh_database();
    everything(&Doorward::over(&database.url));
}

fn everything(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    roles_and_groups(doorward);
    tokens(doorward);
    accounts(doorward);
}

fn roles_and_groups(doorward: &Doorward) {
    let create = ["role", "create", "Support@acme", "--permission", "users:read"];
    doorward.run(&create).succeeds();
    doorward.run(&["group", "create", "EMEA@acme"]).succeeds();
    let ann = ["user", "create", "ann@acme", "--role", "Support", "--group", "EMEA"];
    doorward.run(&ann).succeeds();

    let update = [
        "role",
        "update",
        "support@acme",
        "--rename",
        "Helpdesk",
        "--permission",
        "users:read",
        "--permission",
        "history:read",
        "--json",
    ];
    let role = doorward.run(&update).json();
    assert_eq!(
        json!([role["name"], role["permissions"], role["revision"]]),
        json!(["Helpdesk", ["history:read", "users:read"], 2])
    );
    let cleared = doorward.run(&["role", "update", "Helpdesk@acme", "--no-permissions", "--json"]);
    assert_eq!(cleared.json()["permissions"], json!([]));
    let wrong = doorward
        .run(&["role", "update", "Helpdsk@acme", "--description", "x"])
        .fails(1);
    assert!(
        wrong.contains("there is no \"Helpdsk\" in this account; did you mean \"Helpdesk\"?"),
        "{wrong}"
    );
    let wrong = doorward
        .run(&["role", "update", "Helpdesk@acme", "--permission", "all"])
        .fails(2);
    assert!(wrong.contains("--permission \"all\""), "{wrong}");

    let update = [
        "group",
        "update",
        "EMEA@acme",
        "--rename",
        "Europe",
        "--description",
        "All of it",
    ];
    assert_eq!(doorward.run(&update).succeeds(), "updated Europe@acme\n");
    let main = doorward.run(&["group", "delete", "Main@acme"]).fails(1);
    assert!(main.contains("The Main group stays"), "{main}");
    assert_eq!(
        doorward.run(&["group", "delete", "Europe@acme"]).succeeds(),
        "deleted Europe@acme\n"
    );
    assert_eq!(
        doorward.run(&["role", "delete", "Helpdesk@acme"]).succeeds(),
        "deleted Helpdesk@acme\n"
    );
    doorward.run(&["role", "delete", "Helpdesk@acme"]).fails(1);
    for (kind, name) in [("role", "Brief@acme"), ("group", "Brief@acme")] {
        doorward.run(&[kind, "create", name]).succeeds();
        let deleted = doorward.run(&[kind, "delete", name, "--json"]).json();
        assert_eq!(deleted["name"], "Brief", "{kind}");
        doorward.run(&[kind, "delete", name]).fails(1);
    }
    let ann = doorward.run(&["user", "show", "ann@acme", "--json"]).json();
    assert_eq!(json!([ann["roles"], ann["groups"]]), json!([[], ["Main"]]));
}

fn tokens(doorward: &Doorward) {
    doorward
        .run(&["role", "create", "Reports@acme", "--permission", "users:read"])
        .succeeds();
    let create = [
        "token",
        "create",
        "nightly@acme",
        "--role",
        "Reports",
        "--expires-at",
        "90d",
    ];
    let secret = doorward.run(&create).succeeds();
    assert!(secret.starts_with("dwt_") && secret.trim_end().len() == 47, "{secret}");
    let taken = doorward.run(&create).fails(1);
    assert!(taken.contains("already has a token \"nightly\""), "{taken}");
    for when in ["soon", "-1d", "2020-01-01T00:00:00Z"] {
        let wrong = doorward.run(&["token", "create", "x@acme", &format!("--expires-at={when}")]);
        let complaint = wrong.fails(2);
        assert!(complaint.contains("--expires-at"), "{complaint}");
    }
    let listed = doorward.run(&["token", "list", "acme", "--json"]).json();
    assert_eq!(
        json!([listed[0]["name"], listed[0]["isActive"], listed[0]["lastUsedAt"]]),
        json!(["nightly", true, null])
    );
    assert_eq!(
        json!([listed[0]["roles"], listed[0]["groups"], listed[0]["createdBy"]]),
        json!([["Reports"], [], null])
    );
    let create = [
        "token",
        "create",
        "brief@acme",
        "--role",
        "Reports",
        "--group",
        "Main",
        "--json",
    ];
    let made = doorward.run(&create).json();
    assert_eq!(json!([made["roles"], made["groups"]]), json!([["Reports"], ["Main"]]));
    let revoked = doorward.run(&["token", "revoke", "brief@acme", "--json"]).json();
    assert_eq!(
        json!([revoked["id"], revoked["name"], revoked["isActive"]]),
        json!([made["id"], "brief", false])
    );
    assert_eq!(
        doorward.run(&["token", "revoke", "nightly@acme"]).succeeds(),
        "revoked nightly@acme\n"
    );
    doorward.run(&["token", "revoke", "nightly@acme"]).fails(1);
    let table = doorward.run(&["token", "list", "acme"]).succeeds();
    assert!(table.lines().any(|line| line.starts_with("nightly  no")), "{table}");
}

fn accounts(doorward: &Doorward) {
    let update = [
        "account",
        "update",
        "acme",
        "--title",
        "Acme Ltd",
        "--time-zone",
        "Asia/Almaty",
        "--json",
    ];
    let acme = doorward.run(&update).json();
    assert_eq!(
        json!([acme["title"], acme["timeZone"], acme["revision"]]),
        json!(["Acme Ltd", "Asia/Almaty", 2])
    );
    let wrong = doorward
        .run(&["account", "update", "acme", "--directory-only", "true"])
        .fails(1);
    assert!(wrong.contains("takes a directory"), "{wrong}");
    policies(doorward);
    let wrong = doorward
        .run(&["account", "delete", "acme", "--confirm-name", "acm"])
        .fails(2);
    assert!(wrong.contains("Write the account's name, acme"), "{wrong}");
    assert_eq!(
        doorward
            .run(&["account", "delete", "acme", "--confirm-name", "acme"])
            .succeeds(),
        "deleted acme\n"
    );
    let left = doorward.run(&["account", "list", "--json"]).json();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    doorward.run(&["account", "create", "acme"]).succeeds();
}

fn policies(doorward: &Doorward) {
    let create = [
        "account",
        "create",
        "strict",
        "--min-length",
        "16",
        "--min-strength",
        "4",
        "--max-age-days",
        "90",
        "--history",
        "12",
        "--lockout-threshold",
        "3",
        "--lockout-minutes",
        "60",
        "--json",
    ];
    let strict = doorward.run(&create).json();
    assert_eq!(
        strict["passwordPolicy"],
        json!({ "minLength": 16, "minStrength": 4, "maxAgeDays": 90, "history": 12, "lockoutThreshold": 3,
            "lockoutMinutes": 60 })
    );
    let update = |args: &[&str]| doorward.run(&[&["account", "update", "strict"], args].concat());
    let changed = update(&["--no-max-age", "--history", "0", "--json"]).json();
    assert_eq!(
        changed["passwordPolicy"],
        json!({ "minLength": 16, "minStrength": 4, "maxAgeDays": null, "history": 0, "lockoutThreshold": 3,
            "lockoutMinutes": 60 })
    );
    let wrong = update(&["--min-length", "0"]).fails(2);
    assert!(wrong.contains("--min-length: must be between 1 and 128"), "{wrong}");
    update(&["--max-age-days", "1", "--no-max-age"]).fails(2);
    let wrong = doorward
        .run(&["account", "create", "closed", "--directory-only"])
        .fails(1);
    assert!(wrong.contains("--directory-only: takes a directory"), "{wrong}");
    let delete = ["account", "delete", "strict", "--confirm-name", "strict", "--json"];
    assert_eq!(doorward.run(&delete).json()["name"], "strict");
}
