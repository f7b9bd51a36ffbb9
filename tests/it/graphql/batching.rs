//! What a page costs the store does not grow with the page: counted in the log of the store's round trips.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, Serving, graphql_as, token};

#[test]
fn a_page_costs_the_embedded_store_the_same_whatever_its_size() {
    check(&Doorward::new());
}

#[test]
fn a_page_costs_mongodb_the_same_whatever_its_size() {
    let database = fresh_database();
    check(&Doorward::over(&database.url));
}

/// Who asks, roles and groups are remembered for a second.
const REMEMBERED: Duration = Duration::from_millis(1100);
const PASSWORD: &str = "plaited harbour 94 velvet";

fn check(doorward: &Doorward) {
    let seed = [
        "seed",
        "--accounts",
        "2",
        "--users",
        "500",
        "--logins-per-user",
        "12",
        "--password-stdin",
    ];
    doorward.run_with_input(&seed, PASSWORD).succeeds();
    let create = ["user", "create", "reader@acct000", "--master", "--password-stdin"];
    doorward.run_with_input(&create, PASSWORD).succeeds();
    let create = ["user", "create", "root@system", "--master", "--password-stdin"];
    doorward.run_with_input(&create, PASSWORD).succeeds();
    let mut server = doorward.serve(&["serve", "--log", "doorward::store=trace"]);
    let owner = token(server.address, "reader@acct000", PASSWORD);
    let root = token(server.address, "root@system", PASSWORD);

    let dashboard = include_str!("../../../benches/dashboard.graphql");
    let again = cost_again(&mut server, &owner, dashboard, 50);
    assert_eq!(
        again, 1,
        "the users with their sign-ins; who asks, roles and groups are remembered"
    );
    let mut cost = |token: &str, query: &str, first: u32| cost(&mut server, token, query, first);
    let one = cost(&owner, dashboard, 1);
    assert_eq!(cost(&owner, dashboard, 50), one);
    assert_eq!(cost(&owner, dashboard, 200), one);
    assert!(
        one <= 4,
        "{one} calls: who asks, users with their sign-ins, roles, groups"
    );

    // Lists within lists, each with arguments and a count of its own.
    let lists = "query($first: Int!) { users(first: $first) { totalCount nodes {
        account { name } lastLogin { id user { login } } sessions { id } grants { role { name } grantedBy { login } }
        failed: loginHistory(first: 2, filter: {outcomes: [WRONG_PASSWORD]}) { totalCount nodes { id } }
        older: loginHistory(first: 20) { nodes { id } pageInfo { hasNextPage } } } } }";
    assert_eq!(cost(&owner, lists, 2), cost(&owner, lists, 60));
    let roles =
        "query($first: Int!) { roles(first: $first) { nodes { users(first: 3) { totalCount nodes { login } } } } }";
    assert_eq!(cost(&owner, roles, 2), cost(&owner, roles, 40));
    let groups =
        "query($first: Int!) { groups(first: $first) { nodes { users(last: 3) { totalCount nodes { login } } } } }";
    assert_eq!(cost(&owner, groups, 2), cost(&owner, groups, 40));
    let accounts = "query($first: Int!) { accounts(first: $first) { nodes { users(first: 2) { totalCount nodes { login } }
        roles(first: 2) { nodes { name } } groups(first: 2) { totalCount } loginHistory(first: 2) { totalCount nodes { at } } } } }";
    assert_eq!(cost(&root, accounts, 1), cost(&root, accounts, 3));
}

/// How many calls a request makes when nothing is remembered.
fn cost(server: &mut Serving, token: &str, query: &str, first: u32) -> usize {
    std::thread::sleep(REMEMBERED);
    let before = calls(server).len();
    ask(server, token, query, first);
    calls(server).len() - before
}

/// How many it makes right after the same one. A machine that is busy with other tests may be too slow for that, so the
/// least of a few tries counts.
fn cost_again(server: &mut Serving, token: &str, query: &str, first: u32) -> usize {
    let costs = (0..5).map(|_| {
        ask(server, token, query, first);
        let before = calls(server);
        ask(server, token, query, first);
        calls(server).split_off(before.len())
    });
    let least = costs.min_by_key(Vec::len).unwrap();
    eprintln!("{least:#?}"); // shown when the test fails
    least.len()
}

fn ask(server: &Serving, token: &str, query: &str, first: u32) {
    let body = json!({ "query": query, "variables": { "first": first } });
    let answer = graphql_as(server.address, Some(token), &body).unwrap();
    assert!(answer.get("errors").is_none(), "{answer:#}");
    let rows = answer["data"].as_object().unwrap().values().next().unwrap();
    let rows = rows
        .get("edges")
        .or_else(|| rows.get("nodes"))
        .and_then(Value::as_array)
        .unwrap();
    assert_eq!(rows.len(), first as usize, "{query}");
}

/// The calls in the log, once it has come to rest.
fn calls(server: &mut Serving) -> Vec<String> {
    let mut calls = || -> Vec<String> {
        let lines = server.stderr().lines();
        lines
            .filter(|line| line.contains("doorward::store"))
            .map(str::to_owned)
            .collect()
    };
    loop {
        let before = calls();
        std::thread::sleep(Duration::from_millis(150));
        if calls().len() == before.len() {
            return before;
        }
    }
}
