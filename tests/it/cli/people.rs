//! Accounts, users, roles and groups, over both stores.

use serde_json::json;

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, PASSWORD, sign_in};

#[test]
fn people_are_kept_over_the_embedded_store() {
    everything(&Doorward::new());
}

#[test]
fn people_are_kept_over_mongodb() {
    let database = fresh_database();
    everything(&Doorward::over(&database.url));
}

fn everything(doorward: &Doorward) {
    accounts(doorward);
    roles_and_groups(doorward);
    users(doorward);
    beside_a_server(doorward);
}

fn accounts(doorward: &Doorward) {
    assert_eq!(
        doorward
            .run(&["account", "create", "acme", "--title", "Acme Ltd"])
            .succeeds(),
        "created acme\n"
    );
    let other = doorward
        .run(&[
            "account",
            "create",
            "other",
            "--time-zone",
            "Asia/Almaty",
            "--language",
            "ru",
            "--json",
        ])
        .json();
    assert_eq!(
        (
            &other["name"],
            &other["timeZone"],
            &other["defaultLanguage"],
            &other["status"]
        ),
        (&json!("other"), &json!("Asia/Almaty"), &json!("RU"), &json!("ACTIVE"))
    );
    let taken = doorward.run(&["account", "create", "ACME"]).fails(1);
    assert_eq!(taken, "doorward: NAME: There is already an account acme.\n");
    let wrong = doorward
        .run(&["account", "create", "a b", "--time-zone", "Mars/Olympus"])
        .fails(2);
    assert_eq!(wrong.lines().count(), 2, "{wrong}");
    assert!(
        wrong.starts_with("doorward: NAME: holds ' '") && wrong.contains("doorward: --time-zone: "),
        "{wrong}"
    );
    let directory = doorward
        .run(&["account", "create", "x", "--directory", "corp"])
        .fails(1);
    assert!(directory.starts_with("doorward: --directory: "), "{directory}");

    let listed = doorward.run(&["account", "list", "--json"]).json();
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["acme", "other", "system"]);
    let table = doorward.run(&["account", "list"]).succeeds();
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("NAME    TITLE") && lines[1].starts_with("acme    Acme Ltd"),
        "{table}"
    );

    doorward.run(&["account", "freeze", "other"]).succeeds();
    assert_eq!(
        doorward.run(&["account", "activate", "other", "--json"]).json()["status"],
        "ACTIVE"
    );
    let system = doorward.run(&["account", "freeze", "system"]).fails(1);
    assert!(system.contains("cannot be frozen"), "{system}");
    let near = doorward.run(&["account", "freeze", "acmee"]).fails(1);
    assert_eq!(
        near,
        "doorward: there is no account \"acmee\"; did you mean \"acme\"?\n"
    );
}

fn roles_and_groups(doorward: &Doorward) {
    let create = [
        "role",
        "create",
        "Support@acme",
        "--permission",
        "users:read",
        "--permission",
        "history:read",
    ];
    assert_eq!(doorward.run(&create).succeeds(), "created Support@acme\n");
    assert!(doorward.run(&create).fails(1).starts_with("doorward: NAME: "));
    let wrong = doorward
        .run(&[
            "role",
            "create",
            "Bad@acme",
            "--permission",
            "users:read",
            "--permission",
            "everything",
        ])
        .fails(2);
    assert!(
        wrong.starts_with("doorward: --permission \"everything\": is not a permission"),
        "{wrong}"
    );
    let roles = doorward.run(&["role", "list", "acme", "--json"]).json();
    assert_eq!(roles.as_array().unwrap().len(), 1);
    assert_eq!(
        (&roles[0]["name"], &roles[0]["permissions"]),
        (&json!("Support"), &json!(["history:read", "users:read"]))
    );
    assert!(
        doorward
            .run(&["role", "list", "acme"])
            .succeeds()
            .contains("history:read, users:read")
    );

    doorward
        .run(&["group", "create", "EMEA@acme", "--description", "Europe and more"])
        .succeeds();
    let groups = doorward.run(&["group", "list", "acme", "--json"]).json();
    let names: Vec<_> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (g["name"].as_str().unwrap(), g["isMain"] == true))
        .collect();
    assert_eq!(names, [("EMEA", false), ("Main", true)]);
    assert_eq!(doorward.run(&["role", "list", "other", "--json"]).json(), json!([]));
    assert_eq!(doorward.run(&["role", "list", "other"]).succeeds(), "");
}

fn users(doorward: &Doorward) {
    let owner = ["user", "create", "owner@acme", "--master", "--password-stdin"];
    assert_eq!(
        doorward.run_with_input(&owner, PASSWORD).succeeds(),
        "created owner@acme\n"
    );
    let ann = [
        "user",
        "create",
        "Ann@acme",
        "--first-name",
        "Ann",
        "--last-name",
        "Ashvale",
        "--email",
        "ann@example.org",
        "--phone",
        "+44 20 7946 0123",
        "--language",
        "ru",
        "--role",
        "support",
        "--group",
        "EMEA",
        "--json",
    ];
    let created = doorward.run(&ann).json();
    assert_eq!(
        json!([
            created["login"],
            created["account"],
            created["roles"],
            created["groups"],
            created["language"]
        ]),
        json!(["ann", "acme", ["Support"], ["EMEA"], "RU"])
    );
    assert_eq!(
        json!([
            created["hasPassword"],
            created["mustChangePassword"],
            created["isMaster"]
        ]),
        json!([false, false, false])
    );
    assert!(doorward.run(&ann).fails(1).contains("There is already a user ann@acme"));

    let wrong = doorward
        .run(&["user", "create", "x y@acme", "--email", "nobody"])
        .fails(2);
    assert!(
        wrong.starts_with("doorward: LOGIN@ACCOUNT: must not hold white space"),
        "{wrong}"
    );
    let wrong = doorward
        .run(&["user", "create", "bob@acme", "--email", "nobody", "--phone", "call me"])
        .fails(2);
    assert!(
        wrong.contains("doorward: --email: ") && wrong.contains("doorward: --phone: "),
        "{wrong}"
    );
    let wrong = doorward
        .run(&["user", "create", "bob@acme", "--role", "Suport", "--group", "zzz"])
        .fails(1);
    assert_eq!(
        wrong,
        "doorward: --role: there is no \"Suport\" in this account; did you mean \"Support\"?\n"
    );
    let wrong = doorward.run(&["user", "create", "bob@acme", "--ldap"]).fails(1);
    assert_eq!(
        wrong,
        "doorward: --ldap: The account acme has no directory to sign in with.\n"
    );
    assert!(
        doorward
            .run(&["user", "create", "bob@nowhere"])
            .fails(1)
            .contains("there is no account \"nowhere\"")
    );

    let listed = doorward.run(&["user", "list", "acme", "--json"]).json();
    let logins: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["login"].as_str().unwrap())
        .collect();
    assert_eq!(logins, ["ann", "owner"]);
    assert_eq!(listed[1]["isMaster"], true);
    let shown = doorward.run(&["user", "show", "ann@acme"]).succeeds();
    for part in [
        "ann@acme",
        "Ann Ashvale",
        "ann@example.org",
        "+442079460123",
        "Support",
        "EMEA",
        "never",
    ] {
        assert!(shown.contains(part), "{part} is missing:\n{shown}");
    }
    assert_eq!(
        doorward.run(&["user", "show", "ann@acme", "--json"]).json()["id"],
        created["id"]
    );
    assert!(
        doorward
            .run(&["user", "show", "nobody@acme"])
            .fails(1)
            .contains("there is no user \"nobody@acme\"")
    );

    let last = doorward.run(&["user", "disable", "owner@acme"]).fails(1);
    assert!(last.contains("without an active master"), "{last}");
    assert_eq!(
        doorward.run(&["user", "disable", "ann@acme", "--json"]).json()["status"],
        "DISABLED"
    );
    assert!(doorward.run(&["user", "list", "acme"]).succeeds().contains("disabled"));
    assert_eq!(
        doorward.run(&["user", "enable", "ann@acme", "--json"]).json()["status"],
        "ACTIVE"
    );
    assert_eq!(
        doorward.run(&["user", "unlock", "ann@acme"]).succeeds(),
        "unlocked ann@acme\n"
    );
    doorward.run(&["user", "create", "gone@acme"]).succeeds();
    assert_eq!(
        doorward.run(&["user", "delete", "gone@acme"]).succeeds(),
        "deleted gone@acme\n"
    );
    doorward.run(&["user", "delete", "gone@acme"]).fails(1);
}

/// Another process changes what a running server answers.
fn beside_a_server(doorward: &Doorward) {
    let serving = doorward.serve(&["serve"]);
    let password = PASSWORD.trim_end();
    assert_eq!(sign_in(serving.address, "owner@acme", password), [""; 0]);
    assert_eq!(sign_in(serving.address, "ann@acme", password), ["WRONG_CREDENTIALS"]);
    let set = [
        "user",
        "set-password",
        "ann@acme",
        "--password-stdin",
        "--must-change-password",
    ];
    let changed = doorward
        .run_with_input(&[&set[..], &["--json"]].concat(), PASSWORD)
        .json();
    assert_eq!(
        json!([changed["hasPassword"], changed["mustChangePassword"]]),
        json!([true, true])
    );
    assert_eq!(sign_in(serving.address, "ann@acme", password), [""; 0]);
    doorward.run(&["user", "disable", "ann@acme"]).succeeds();
    assert_eq!(sign_in(serving.address, "ann@acme", password), ["DISABLED"]);
    doorward.run(&["account", "freeze", "acme"]).succeeds();
    assert_eq!(sign_in(serving.address, "owner@acme", password), ["ACCOUNT_FROZEN"]);
    let owner = doorward.run(&["user", "show", "owner@acme", "--json"]).json();
    assert!(owner["lastLoginAt"].is_string(), "{owner}");
}
