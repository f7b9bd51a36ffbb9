//! `doorward user update` and `sign-out`, over both stores.

use serde_json::{Value, json};

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, PASSWORD, sign_in};

#[test]
fn users_are_changed_over_the_embedded_store() {
    everything(&Doorward::new());
}

#[test]
fn users_are_changed_over_mongodb() {
    let database = fresh_database();
    everything(&Doorward::over(&database.url));
}

fn everything(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    for role in ["Support@acme", "Sales@acme"] {
        let create = ["role", "create", role, "--permission", "users:read"];
        doorward.run(&create).succeeds();
    }
    doorward.run(&["group", "create", "EMEA@acme"]).succeeds();
    let owner = ["user", "create", "owner@acme", "--master", "--password-stdin"];
    let made = doorward.run_with_input(&owner, PASSWORD);
    assert_eq!(
        (made.code, made.stderr.as_str()),
        (Some(0), ""),
        "no hint with a password"
    );
    let made = doorward.run(&["user", "create", "ann@acme", "--email", "ann@example.org"]);
    assert_eq!((made.code, made.stdout.as_str()), (Some(0), "created ann@acme\n"));
    assert_eq!(
        made.stderr,
        "ann@acme has no password yet; give one with `doorward user set-password ann@acme --password-stdin`\n"
    );
    updates(doorward);
    notifications(doorward);
    signs_out(doorward);
}

fn updates(doorward: &Doorward) {
    let update = |args: &[&str]| doorward.run(&[&["user", "update"], args].concat());
    assert_eq!(update(&["ann@acme"]).succeeds(), "nothing to change of ann@acme\n");
    let all = [
        "ann@acme",
        "--login",
        "Anna",
        "--first-name",
        "Anna",
        "--last-name",
        "Ashvale",
        "--phone",
        "+44 20 7946 0123",
        "--language",
        "ru",
        "--role",
        "support",
        "--role",
        "sales",
        "--group",
        "EMEA",
        "--master",
        "--json",
    ];
    let user = update(&all).json();
    let shown = json!([
        user["login"],
        user["firstName"],
        user["lastName"],
        user["email"],
        user["phone"],
        user["language"],
        user["groups"],
        user["isMaster"]
    ]);
    let expected = json!([
        "anna",
        "Anna",
        "Ashvale",
        "ann@example.org",
        "+442079460123",
        "RU",
        ["EMEA"],
        true
    ]);
    assert_eq!(shown, expected);
    assert_eq!(user["roles"].as_array().unwrap().len(), 2);
    let less = [
        "anna@acme",
        "--email",
        "",
        "--phone=",
        "--master=false",
        "--role",
        "Sales",
        "--no-groups",
        "--json",
    ];
    let user = update(&less).json();
    assert_eq!(
        json!([
            user["email"],
            user["phone"],
            user["isMaster"],
            user["roles"],
            user["groups"]
        ]),
        json!([null, null, false, ["Sales"], ["Main"]])
    );
    assert_eq!(
        update(&["anna@acme", "--no-roles", "--json"]).json()["roles"],
        json!([])
    );
    assert_eq!(
        update(&["anna@acme", "--last-name", "Lee"]).succeeds(),
        "updated anna@acme\n"
    );

    for (args, code, told) in [
        (
            &["anna@acme", "--login", "owner"][..],
            1,
            "There is already a user owner@acme",
        ),
        (&["anna@acme", "--login", "a b"], 2, "LOGIN@ACCOUNT: "),
        (&["anna@acme", "--email", "nobody"], 2, "--email: "),
        (&["anna@acme", "--ldap"], 1, "--ldap: The account acme has no directory"),
        (&["anna@acme", "--role", "Suport"], 1, "did you mean \"Support\"?"),
        (&["anna@acme", "--role", "Sales", "--no-roles"], 2, "--no-roles"),
        (
            &["nobody@acme", "--first-name", "x"],
            1,
            "there is no user \"nobody@acme\"",
        ),
        (&["owner@acme", "--master=false"], 1, "without an active master"),
    ] {
        let refused = update(args).fails(code);
        assert!(refused.contains(told), "{args:?}: {refused}");
    }
}

fn notifications(doorward: &Doorward) {
    let create = [
        "user",
        "create",
        "mia@acme",
        "--alert-email",
        "alerts@example.org",
        "--notify",
        "hard-bounces",
        "--notify",
        "weekly-reports",
        "--no-notify",
        "security-notices",
        "--json",
    ];
    let mia = doorward.run(&create).json();
    let expected = |email: Value, weekly: bool, security: bool| {
        json!({ "email": email, "limitsExhausted": false, "subscriberComplaints": false, "hardBounces": true,
            "softBounces": false, "dailyReports": false, "weeklyReports": weekly, "securityNotices": security })
    };
    assert_eq!(mia["notifications"], expected(json!("alerts@example.org"), true, false));
    assert_eq!(
        json!([
            mia["disabledBy"],
            mia["passwordChangedAt"],
            mia["passwordExpiresAt"],
            mia["directoryLink"]
        ]),
        json!([null, null, null, null])
    );
    let update = |args: &[&str]| doorward.run(&[&["user", "update", "mia@acme"], args].concat());
    let changed = update(&[
        "--alert-email=",
        "--no-notify",
        "weekly-reports",
        "--notify",
        "security-notices",
        "--json",
    ]);
    assert_eq!(changed.json()["notifications"], expected(Value::Null, false, true));
    let shown = doorward.run(&["user", "show", "mia@acme"]).succeeds();
    assert!(shown.contains("hard bounces, security notices\n"), "{shown}");

    let wrong = update(&["--alert-email", "nobody"]).fails(2);
    assert!(wrong.contains("--alert-email: is not an e-mail address"), "{wrong}");
    let wrong = update(&["--notify", "hard-bounces", "--no-notify", "hard-bounces"]).fails(2);
    assert!(
        wrong.contains("hard-bounces is given with --notify and with --no-notify"),
        "{wrong}"
    );
    update(&["--notify", "everything"]).fails(2);

    doorward
        .run(&["account", "update", "acme", "--max-age-days", "30"])
        .succeeds();
    let set = ["user", "set-password", "mia@acme", "--password-stdin", "--json"];
    let mia = doorward.run_with_input(&set, PASSWORD).json();
    let moment = |field: &str| mia[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lasts = moment("passwordExpiresAt").duration_since(moment("passwordChangedAt"));
    assert_eq!(lasts.as_hours(), 30 * 24);
    let disabled = doorward.run(&["user", "disable", "mia@acme", "--json"]).json();
    assert_eq!(disabled["disabledBy"], "MANUAL");
}

/// Another process ends the sessions that a running server opened.
fn signs_out(doorward: &Doorward) {
    let serving = doorward.serve(&["serve"]);
    let password = PASSWORD.trim_end();
    for _ in 0..2 {
        assert_eq!(sign_in(serving.address, "owner@acme", password), [""; 0]);
    }
    let sign_out = ["user", "sign-out", "owner@acme"];
    assert_eq!(doorward.run(&sign_out).succeeds(), "ended 2 sessions of owner@acme\n");
    assert_eq!(
        doorward.run(&[&sign_out[..], &["--json"]].concat()).json(),
        json!({ "revoked": 0 })
    );
    let nobody = doorward.run(&["user", "sign-out", "nobody@acme"]).fails(1);
    assert!(nobody.contains("there is no user \"nobody@acme\""), "{nobody}");
}
