//! Password hashes of other systems.

use std::fs;

use serde_json::json;

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, sign_in};

const PASSWORD: &str = "plaited harbour 94 velvet";
const HASHES: &str = include_str!("../../../foreign-hashes.txt");

#[test]
fn sign_in_once_and_are_argon2id_over_the_embedded_store() {
    sign_in_once_and_are_argon2id(&Doorward::new());
}

#[test]
fn sign_in_once_and_are_argon2id_over_mongodb() {
    let database = fresh_database();
    sign_in_once_and_are_argon2id(&Doorward::over(&database.url));
}

fn sign_in_once_and_are_argon2id(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    let hashes: Vec<&str> = HASHES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(hashes.len() > 20);
    let lines: String = hashes
        .iter()
        .enumerate()
        .map(|(n, hash)| json!({ "kind": "user", "account": "acme", "login": format!("u{n}"), "passwordHash": hash }))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(doorward.folder().join("people.ndjson"), lines).unwrap();
    let report = doorward.run(&["import", "people.ndjson", "--json"]).json();
    assert_eq!(report["created"]["users"], hashes.len());

    let serving = doorward.with_no_limits().serve(&["serve"]);
    for (n, hash) in hashes.iter().enumerate() {
        let login = format!("u{n}@acme");
        assert_eq!(
            sign_in(serving.address, &login, "plaited"),
            ["WRONG_CREDENTIALS"],
            "{hash}"
        );
        assert_eq!(sign_in(serving.address, &login, PASSWORD), [""; 0], "{hash}");
        // Now it is checked against the new one.
        assert_eq!(sign_in(serving.address, &login, PASSWORD), [""; 0], "{hash}");
    }
    drop(serving);
    let text = doorward
        .run(&["export", "-", "--format", "ndjson", "--passwords", "--account", "acme"])
        .succeeds();
    assert_eq!(text.matches("\"passwordHash\":\"$argon2id$").count(), hashes.len());
    assert_eq!(text.matches("\"passwordHash\"").count(), hashes.len());
    // What was upgraded stays so.
    let again = doorward.run(&["import", "people.ndjson"]).succeeds();
    assert!(again.contains("nothing changed\n"), "{again}");
}
