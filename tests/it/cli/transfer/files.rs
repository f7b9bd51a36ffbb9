//! Round trips, and what a second import does: nothing.

use std::fs;

use serde_json::{Value, json};

use super::{export, import, read, seed};
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, sign_in};

#[test]
fn what_is_exported_is_the_same_after_it_was_imported_elsewhere() {
    let database = fresh_database();
    let (here, elsewhere, back) = (Doorward::new(), Doorward::over(&database.url), Doorward::new());
    let password = seed(&here, 301, 3);
    here.run(&[
        "account",
        "create",
        "acme",
        "--title",
        "Zoë; \"Acme\"",
        "--min-length",
        "9",
    ])
    .succeeds();
    here.run(&["role", "create", "a;b\\c@acme", "--permission", "users:read"])
        .succeeds();
    here.run(&[
        "user",
        "create",
        "ann@acme",
        "--role",
        "a;b\\c",
        "--phone",
        "+442071838750",
    ])
    .succeeds();
    let first = export(&here, "all.ndjson");
    let text = read(&first);
    let count = |kind: &str| {
        text.lines()
            .filter(|line| line.starts_with(&format!("{{\"kind\":{kind:?},")))
            .count()
    };
    assert_eq!(
        ["account", "role", "group", "user", "login"].map(count),
        [4, 101, 104, 302, 903],
        "system, acct000, acct001 and acme"
    );

    let report = import(&elsewhere, first.to_str().unwrap());
    assert_eq!(report["rejectedLines"], json!([]));
    let created = json!({ "accounts": 4, "roles": 101, "groups": 100, "users": 302, "logins": 903 });
    assert_eq!(report["created"], created);
    assert_eq!(
        report["unchanged"]["groups"], 4,
        "the Main groups come with their accounts"
    );
    let second = export(&elsewhere, "all.ndjson");
    assert!(read(&second) == text, "the files differ");
    import(&back, second.to_str().unwrap());
    assert!(read(&export(&back, "all.ndjson")) == text, "the files differ");

    // Where it is already, nothing changes.
    for doorward in [&here, &elsewhere] {
        let before = doorward.run(&["user", "list", "acct000", "--json"]).json();
        let again = doorward
            .run(&["import", first.to_str().unwrap(), "--history"])
            .succeeds();
        assert!(again.contains("nothing changed\n"), "{again}");
        assert!(!again.contains("created") && !again.contains("updated"), "{again}");
        assert_eq!(doorward.run(&["user", "list", "acct000", "--json"]).json(), before);
    }
    let serving = elsewhere.serve(&["serve"]);
    assert_eq!(sign_in(serving.address, "owner@acct000", &password), [""; 0]);
    let last = |doorward: &Doorward| {
        let shown = doorward.run(&["user", "show", "user000001@acct001", "--json"]).json();
        shown["lastLoginAt"].as_str().unwrap().to_owned()
    };
    assert_eq!(last(&elsewhere), last(&here), "the last sign-in comes with the history");
}

#[test]
fn a_file_is_its_owners_and_holds_no_hashes_unless_asked() {
    let doorward = Doorward::new();
    seed(&doorward, 20, 2);
    doorward.run(&["token", "create", "nightly@acct000"]).succeeds();
    let told = doorward.run(&["export", "people.ndjson"]).succeeds();
    assert!(
        told.starts_with("exported 3 accounts, 100 roles, 103 groups, 20 users in "),
        "{told}"
    );
    let file = doorward.folder().join("people.ndjson");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = read(&file);
    for secret in ["argon2", "passwordHash", "passwordHistory", "dws_", "dwt_"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(!text.contains("\"kind\":\"login\""));
    let with = doorward
        .run(&["export", "-", "--format", "ndjson", "--passwords"])
        .succeeds();
    assert_eq!(
        with.matches("\"passwordHash\":\"$argon2id$").count(),
        16,
        "all but every fourth"
    );

    // What is there stays until the new one is whole.
    fs::write(&file, "earlier").unwrap();
    for args in [
        &["export", "people.txt"][..],
        &["export", "people.csv", "--history"],
        &["export", ".", "--format", "csv"],
        &["export", "-", "--format", "csv", "--json"],
        &["import", "people.txt"],
    ] {
        let outcome = doorward.run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
    }
    doorward
        .run(&["export", "people.ndjson", "--account", "acct00"])
        .fails(1);
    assert_eq!(read(&file), "earlier");
    doorward.run(&["import", "absent.csv"]).fails(1);
    let names: Vec<_> = fs::read_dir(doorward.folder())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        names.iter().all(|name| !name.to_string_lossy().contains("export-")),
        "{names:?}"
    );
}

#[test]
fn a_table_of_users_goes_out_and_in() {
    let (here, elsewhere) = (Doorward::new(), Doorward::new());
    seed(&here, 120, 0);
    here.run(&["export", "people.csv", "--account", "acct000", "--passwords"])
        .succeeds();
    let file = here.folder().join("people.csv");
    let text = read(&file);
    assert_eq!(text.lines().count(), 61);
    assert!(
        text.starts_with("account,login,id,firstName,lastName,email,phone,"),
        "{text}"
    );
    let again = here.run(&["import", "people.csv"]).succeeds();
    assert!(again.contains("nothing changed\n"), "{again}");

    // Elsewhere the account has to be there, and its roles and groups.
    let path = file.to_str().unwrap();
    elsewhere.run(&["account", "create", "acct001"]).succeeds();
    let outcome = elsewhere.run(&["import", path]);
    assert_eq!(outcome.code, Some(1));
    let told = "doorward: 60 lines of 60 were rejected\n";
    assert!(outcome.stderr.ends_with(told), "{}", outcome.stderr);
    let first = outcome.stdout.lines().next().unwrap();
    assert_eq!(first, "line 2: there is no account \"acct000\"", "{}", outcome.stdout);
    here.run(&["export", "rest.ndjson"]).succeeds();
    let rest = read(&here.folder().join("rest.ndjson"));
    let rest: String = rest
        .lines()
        .filter(|l| !l.starts_with("{\"kind\":\"user\""))
        .map(|l| format!("{l}\n"))
        .collect();
    let outcome = elsewhere.run_with_input(&["import", "-", "--format", "ndjson"], &rest);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    let report = elsewhere
        .run(&["import", path, "--account", "acct000", "--json"])
        .json();
    assert_eq!(report["created"]["users"], 60);
    elsewhere
        .run(&["export", "people.csv", "--account", "acct000", "--passwords"])
        .succeeds();
    assert_eq!(read(&elsewhere.folder().join("people.csv")), text);
}

#[test]
fn only_what_differs_is_changed_and_what_is_left_out_stays() {
    let doorward = Doorward::new();
    doorward.run(&["account", "create", "acme"]).succeeds();
    for role in ["Support", "Audit"] {
        doorward
            .run(&["role", "create", &format!("{role}@acme"), "--permission", "users:read"])
            .succeeds();
    }
    let people = "\
        {\"kind\":\"user\",\"login\":\"Ann\",\"firstName\":\"Ann\",\"email\":\"ann@example.org\",\"roles\":[\"support\"],\"master\":true}\n\
        {\"kind\":\"user\",\"login\":\"bob\",\"passwordHash\":\"{SSHA}wak8E2aOf4xjcuqzmfv5eIdsFlQlwVau\"}\n";
    let file = |text: &str| {
        fs::write(doorward.folder().join("people.ndjson"), text).unwrap();
        doorward.run(&["import", "people.ndjson", "--account", "acme", "--json"])
    };
    assert_eq!(file(people).json()["created"]["users"], 2);
    let show = |login: &str| doorward.run(&["user", "show", login, "--json"]).json();
    let before = show("ann@acme");
    assert_eq!(before["revision"], 1);

    let changed = "{\"kind\":\"user\",\"login\":\"ann\",\"lastName\":\"Ünal\",\"roles\":[\"Audit\",\"Support\"]}\n\
        {\"kind\":\"user\",\"login\":\"bob\"}\n";
    let dry = doorward.run_with_input(
        &["import", "-", "--format", "ndjson", "--account", "acme", "--dry-run"],
        changed,
    );
    let told = dry.succeeds();
    assert!(
        told.starts_with("would be updated: 1 user\nwould be unchanged: 1 user\n"),
        "{told}"
    );
    assert_eq!(show("ann@acme"), before, "a dry run does nothing");
    let report = file(changed).json();
    assert_eq!(
        (&report["updated"]["users"], &report["unchanged"]["users"]),
        (&json!(1), &json!(1))
    );
    let after = show("ann@acme");
    assert_eq!(
        [
            &after["revision"],
            &after["firstName"],
            &after["lastName"],
            &after["email"]
        ],
        [&json!(2), &json!("Ann"), &json!("Ünal"), &json!("ann@example.org")]
    );
    assert_eq!(file(changed).json()["unchanged"]["users"], 2);
    assert_eq!(show("ann@acme")["revision"], 2);

    // A password that was changed here is the newer one.
    let new = "another harbour 17 of velvet";
    doorward
        .run_with_input(&["user", "set-password", "bob@acme", "--password-stdin"], new)
        .succeeds();
    assert_eq!(file(people).json()["rejected"], 0);
    let serving = doorward.serve(&["serve"]);
    assert_eq!(sign_in(serving.address, "bob@acme", new), [""; 0]);
    drop(serving);

    // The rules of every other way in hold here too.
    let refused = file(
        "{\"kind\":\"user\",\"login\":\"ann\",\"master\":false}\n\
         {\"kind\":\"user\",\"login\":\"bob\",\"roles\":[\"Suport\"]}\n\
         {\"kind\":\"user\",\"login\":\"eve\",\"status\":\"DISABLED\"}\n",
    );
    assert_eq!(refused.code, Some(1));
    let report = refused.parsed();
    let reasons: Vec<&Value> = report["rejectedLines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["reason"])
        .collect();
    assert_eq!(
        reasons,
        [
            "the account would be left without an active master who can sign in",
            "there is no role \"Suport\" in the account; did you mean \"Support\"?"
        ]
    );
    assert_eq!(report["created"]["users"], 1);
    let eve = show("eve@acme");
    assert_eq!(
        (&eve["status"], &eve["groups"]),
        (&json!("DISABLED"), &json!(["Main"])),
        "{eve}"
    );
}
