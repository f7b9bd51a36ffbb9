//! The command line, as the binary that people run.

mod access;
mod changes;
mod demo;
mod mail;
mod people;
mod seeding;
mod serving;
mod transfer;

use crate::support::process::{Doorward, PASSWORD};

#[test]
fn help_names_what_there_is_and_nothing_that_is_not() {
    let doorward = Doorward::new();
    let help = doorward.run(&["--help"]).succeeds();
    for verb in [
        "serve", "demo", "check", "account", "user", "role", "group", "token", "explain", "sync", "mail", "seed",
        "schema", "health", "import", "export", "copy",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is missing:\n{help}");
    }
    assert!(help.contains("Examples:") && help.contains("--config <FILE>"), "{help}");
    assert!(doorward.run(&["--version"]).succeeds().starts_with("doorward "));
    assert!(
        !doorward.folder().join("doorward-data").exists(),
        "asking for help makes no store"
    );
}

#[test]
fn wrong_arguments_end_with_two() {
    let doorward = Doorward::new();
    for args in [
        &["serf"][..],
        &["user", "create"],
        &["user", "create", "ann"],
        &["user", "create", "ann@acme", "--must-change-password"],
        &["user", "create", "ann@acme", "--language", "fr"],
        &["seed", "--accounts", "0", "--users", "1", "--logins-per-user", "1"],
        &["seed", "--accounts", "2", "--users", "1", "--logins-per-user", "1"],
        &["user", "set-password", "ann@acme"],
        &["account", "list", "--log", "doorward=loud"],
    ] {
        let outcome = doorward.run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.is_empty() && outcome.stdout.is_empty(), "{args:?}");
        assert!(!outcome.stderr.contains("panicked"), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_wrong_configuration_is_told_by_file_and_key() {
    let doorward = Doorward::new();
    std::fs::write(doorward.folder().join("door.toml"), "[http]\nlisen = \"127.0.0.1:1\"\n").unwrap();
    for args in [
        &["--config", "door.toml"][..],
        &["account", "list", "--config", "door.toml"],
        &["check", "--config", "door.toml"],
        &["health", "--config", "door.toml"],
        &["demo", "--config", "door.toml"],
    ] {
        let outcome = doorward.run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}");
        let told = "doorward: door.toml:2: http.lisen is not a key; did you mean http.listen?\n";
        assert_eq!(outcome.stderr, told, "{args:?}");
    }
    let outcome = doorward.run(&["account", "list", "--config", "absent.toml"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.starts_with("doorward: absent.toml: "),
        "{}",
        outcome.stderr
    );
    let outcome = doorward
        .with("DOORWARD_STORE__URL", "mysql://x")
        .run(&["account", "list"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("DOORWARD_STORE__URL") && outcome.stderr.contains("sqlite:"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_schema_is_printed_without_a_store() {
    let doorward = Doorward::new();
    let sdl = doorward.run(&["schema"]).succeeds();
    assert!(sdl.contains("type Query") && sdl.contains("type LoginEvent"), "{sdl}");
    assert!(!doorward.folder().join("doorward-data").exists());
}

#[test]
fn a_store_that_cannot_be_made_is_one_line() {
    let doorward = Doorward::new();
    std::fs::write(doorward.folder().join("file"), "").unwrap();
    for url in [
        "sqlite:file/below/doorward.db",
        "mongodb://127.0.0.1:1/doorward?serverSelectionTimeoutMS=300",
    ] {
        for args in [&["account", "list"][..], &["serve"], &["check"]] {
            let outcome = doorward.with("DOORWARD_STORE__URL", url).run(args);
            assert_eq!(outcome.code, Some(1), "{url} {args:?}: {}", outcome.stderr);
            assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
            if args[0] != "check" {
                assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
                assert!(
                    outcome.stderr.starts_with("doorward: cannot use the store "),
                    "{}",
                    outcome.stderr
                );
            } else {
                assert!(outcome.stdout.contains("FAILED"), "{}", outcome.stdout);
            }
        }
    }
}

#[test]
fn check_tries_every_part() {
    let doorward = Doorward::new();
    let lines = doorward.run(&["check"]).succeeds();
    for part in [
        "configuration: read:",
        "store: open:",
        "directories:",
        "mail:",
        "geoip:",
        "https:",
        "pages:",
    ] {
        assert!(lines.contains(part), "{part} is missing:\n{lines}");
    }
    let report = doorward.run(&["check", "--json"]).json();
    assert_eq!(report["ok"], true);
    let steps = report["steps"].as_array().unwrap();
    assert!(
        steps
            .iter()
            .any(|s| s["part"] == "store" && s["outcome"] == "OK" && s["durationMs"].is_number())
    );
    assert!(steps.iter().any(|s| s["part"] == "mail" && s["outcome"] == "SKIPPED"));

    std::fs::write(doorward.folder().join("places.mmdb"), "no such thing").unwrap();
    let broken = doorward
        .with("DOORWARD_GEOIP__DATABASE", "places.mmdb")
        .with("DOORWARD_MAIL__URL", "smtp://127.0.0.1:1?tls=none")
        .run(&["check", "--json"]);
    assert_eq!(broken.code, Some(1));
    let report = broken.parsed();
    let failed: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["outcome"] == "FAILED")
        .map(|step| step["part"].as_str().unwrap())
        .collect();
    assert_eq!(
        (&report["ok"], failed),
        (&serde_json::json!(false), vec!["mail", "geoip"])
    );
    assert_eq!(
        broken.stderr,
        format!(
            "doorward: 2 steps of {} failed\n",
            report["steps"].as_array().unwrap().len()
        )
    );
}

#[test]
fn whoever_hangs_up_early_is_no_failure() {
    let doorward = Doorward::new();
    doorward
        .run(&["seed", "--accounts", "1", "--users", "900", "--logins-per-user", "0"])
        .succeeds();
    for args in [
        &["user", "list", "acct000"][..],
        &["user", "list", "acct000", "--json"],
        &["--help"],
    ] {
        let outcome = doorward.run_and_hang_up(args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_password_never_comes_from_nowhere() {
    let doorward = Doorward::new();
    doorward.run(&["account", "create", "acme"]).succeeds();
    for (input, why) in [("", "empty"), ("\nlater\n", "empty"), ("a\0b\n", "NUL")] {
        let outcome = doorward.run_with_input(&["user", "create", "ann@acme", "--password-stdin"], input);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    }
    let outcome = doorward.run_with_input(&["user", "create", "ann@acme", "--password-stdin"], "acme\n");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .starts_with("doorward: --password-stdin: The password has 4 characters"),
        "{}",
        outcome.stderr
    );
    doorward
        .run_with_input(&["user", "create", "ann@acme", "--password-stdin"], PASSWORD)
        .succeeds();
}
