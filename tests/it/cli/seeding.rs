//! Made-up data, over both stores.

use std::collections::HashSet;

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, PASSWORD, graphql, sign_in};

#[test]
fn the_embedded_store_is_filled() {
    fill(&Doorward::new());
}

#[test]
fn mongodb_is_filled() {
    let database = fresh_database();
    fill(&Doorward::over(&database.url));
}

fn fill(doorward: &Doorward) {
    let seed = ["seed", "--accounts", "2", "--users", "301", "--logins-per-user", "4"];
    let report = doorward.run(&[&seed[..], &["--json"]].concat()).json();
    let count = |field: &str| report[field].as_u64().unwrap();
    assert_eq!((count("accounts"), count("users"), count("signIns")), (2, 301, 1204));
    let password = report["password"].as_str().unwrap();

    for account in ["acct000", "acct001"] {
        let listed = doorward.run(&["user", "list", account, "--json"]).json();
        let users = listed.as_array().unwrap();
        assert_eq!(
            users.len(),
            if account == "acct000" { 151 } else { 150 },
            "two pages, nobody twice"
        );
        let logins: HashSet<&str> = users.iter().map(|u| u["login"].as_str().unwrap()).collect();
        assert_eq!(logins.len(), users.len());
        assert!(logins.contains("owner") && logins.contains("user000001"));
        let full = |field: &str, n| users.iter().all(|u| u[field].as_array().unwrap().len() == n);
        assert!(full("roles", 3) && full("groups", 2));
        assert_eq!(
            doorward
                .run(&["role", "list", account, "--json"])
                .json()
                .as_array()
                .unwrap()
                .len(),
            50
        );
        assert_eq!(
            doorward
                .run(&["group", "list", account, "--json"])
                .json()
                .as_array()
                .unwrap()
                .len(),
            51
        );
    }

    let serving = doorward.serve(&["serve"]);
    assert_eq!(sign_in(serving.address, "owner@acct000", password), [""; 0]);
    let query = "mutation($input: SignInInput!) { signIn(input: $input) { token } }";
    let input = serde_json::json!({ "login": "owner@acct001", "password": password });
    let answer = graphql(
        serving.address,
        &serde_json::json!({ "query": query, "variables": { "input": input } }),
    );
    assert!(answer["data"]["signIn"]["token"].is_string(), "{answer}");

    let again = doorward.run(&seed).fails(1);
    assert!(
        again.contains("There is already an account acct000") && again.contains("empty store"),
        "{again}"
    );
    assert_eq!(again.lines().count(), 1, "{again}");
    let check = doorward.run(&["check"]).succeeds();
    assert!(check.contains("index"), "the indexes are all there afterwards: {check}");
}

#[test]
fn a_given_password_is_everybodys_and_is_not_printed() {
    let doorward = Doorward::new();
    let seed = [
        "seed",
        "--accounts",
        "1",
        "--users",
        "3",
        "--logins-per-user",
        "1",
        "--password-stdin",
    ];
    let told = doorward.run_with_input(&seed, PASSWORD).succeeds();
    assert!(
        told.starts_with("1 accounts, 3 users, 3 sign-ins in ") && !told.contains(PASSWORD.trim_end()),
        "{told}"
    );
    let serving = doorward.serve(&["serve"]);
    assert_eq!(sign_in(serving.address, "owner@acct000", PASSWORD.trim_end()), [""; 0]);
}
