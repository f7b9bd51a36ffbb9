//! A whole store into another, and back.

use serde_json::{Value, json};

use super::seed;
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, graphql_as, sign_in, token};

const EMBEDDED: &str = "sqlite:doorward-data/doorward.db";

fn copy(doorward: &Doorward, from: &str, to: &str) -> Value {
    let report = doorward.run(&["copy", "--from", from, "--to", to, "--json"]).json();
    assert_eq!(report["equal"], true, "{report}");
    report
}

/// Counts and digests of each kind.
fn tallies(report: &Value, side: &str) -> Vec<Value> {
    let kinds = report["kinds"].as_array().unwrap();
    kinds.iter().map(|kind| json!([kind["kind"], kind[side]])).collect()
}

#[test]
fn there_and_back_is_the_same() {
    let (here, database) = (Doorward::new(), fresh_database());
    let password = seed(&here, 400, 13);
    here.run(&["token", "create", "nightly@acct000"]).succeeds();
    here.run(&["account", "create", "gone"]).succeeds();
    here.run(&["account", "delete", "gone", "--confirm-name", "gone"])
        .succeeds();
    let (signed_in, again) = {
        let serving = here.serve(&["serve"]);
        let wrong = sign_in(serving.address, "owner@acct000", "not it");
        assert_eq!(wrong, ["WRONG_CREDENTIALS"]);
        (
            token(serving.address, "owner@acct000", &password),
            token(serving.address, "owner@acct001", &password),
        )
    };
    let there = copy(&here, EMBEDDED, &database.url);
    let counts = tallies(&there, "source");
    assert!(
        there["kinds"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|kind| !["avatars", "mails", "links", "reports filed"].contains(&kind["kind"].as_str().unwrap()))
            .all(|kind| kind["written"].as_u64().unwrap() > 0),
        "{there}"
    );
    let back = copy(&here, &database.url, "sqlite:back.db");
    assert_eq!(tallies(&back, "target"), counts);
    // Once more, when it is there already.
    let same = copy(&here, EMBEDDED, &database.url);
    assert!(
        same["kinds"]
            .as_array()
            .unwrap()
            .iter()
            .all(|kind| kind["written"] == 0),
        "{same}"
    );

    // Whoever was signed in still is, and signs in as before; a page shows the same.
    let page = json!({ "query": "{ users(first: 100) { nodes { login roles { name } lastLogin { at } \
        loginHistory(first: 5) { nodes { at outcome } } } } }" });
    let ask = |doorward: &Doorward| {
        let serving = doorward.serve(&["serve"]);
        let shown = graphql_as(serving.address, Some(&again), &page).unwrap();
        let other = graphql_as(
            serving.address,
            Some(&signed_in),
            &json!({ "query": "{ viewer { __typename } }" }),
        )
        .unwrap();
        assert_eq!(other["errors"], Value::Null, "{other}");
        shown
    };
    let embedded = ask(&here);
    assert_eq!(
        embedded["data"]["users"]["nodes"].as_array().map(Vec::len),
        Some(100),
        "{embedded}"
    );
    let elsewhere = Doorward::over(&database.url);
    assert_eq!(ask(&elsewhere), embedded);
    let serving = elsewhere.serve(&["serve"]);
    assert_eq!(sign_in(serving.address, "owner@acct000", &password), [""; 0]);
    drop(serving);

    // It is no copy any more, so nothing of it is overwritten.
    let refused = here.run(&["copy", "--from", EMBEDDED, "--to", &database.url]).fails(1);
    assert!(refused.contains("no longer the same"), "{refused}");
}

#[test]
fn what_is_no_source_and_target_is_refused() {
    let (here, other) = (Doorward::new(), Doorward::new());
    seed(&here, 10, 1);
    other.run(&["account", "create", "acme"]).succeeds();
    let other_store = format!("sqlite:{}/doorward-data/doorward.db", other.folder().display());
    for (from, to, code, why) in [
        (EMBEDDED, EMBEDDED, 2, "the same store"),
        ("sqlite:absent.db", "sqlite:new.db", 1, "there is no file absent.db"),
        ("mysql://x", "sqlite:new.db", 2, "--from starts with neither sqlite:"),
        (EMBEDDED, "mongodb://127.0.0.1:1/", 2, "--to names no database"),
        (EMBEDDED, &other_store, 1, "the target holds accounts already"),
    ] {
        let outcome = here.run(&["copy", "--from", from, "--to", to]);
        assert_eq!(outcome.code, Some(code), "{from} {to}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(why), "{from} {to}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
    assert!(!here.folder().join("absent.db").exists() && !here.folder().join("new.db").exists());
    // What every command leaves in an empty store is nobody's data.
    let fresh = Doorward::new();
    fresh.run(&["account", "list"]).succeeds();
    let fresh_store = format!("sqlite:{}/doorward-data/doorward.db", fresh.folder().display());
    let told = here.run(&["copy", "--from", EMBEDDED, "--to", &fresh_store]).succeeds();
    assert!(told.contains("users") && told.contains("records written in"), "{told}");
    assert!(!told.contains("DIFFERS"), "{told}");
}
