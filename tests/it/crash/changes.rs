//! A change and its audit entry are there together or not at all, however often the process is killed between the two.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::PASSWORD;
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, graphql_as, try_token};

const KILLS: usize = 100;
const WRITERS: usize = 3;

#[test]
fn changes_and_their_entries_outlive_a_hundred_kills_over_the_embedded_store() {
    check(&Doorward::new());
}

#[test]
fn changes_and_their_entries_outlive_a_hundred_kills_over_mongodb() {
    let database = fresh_database();
    check(&Doorward::over(&database.url));
}

/// The revision at which each user was last acknowledged, by id.
type Acknowledged = Mutex<HashMap<String, i64>>;

fn check(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    let create = ["user", "create", "owner@acme", "--master", "--password-stdin"];
    doorward.run_with_input(&create, PASSWORD).succeeds();
    let token = {
        let serving = doorward.with_no_limits().serve(&["serve"]);
        try_token(serving.address, "owner@acme", PASSWORD).unwrap()
    };
    let acknowledged = Acknowledged::default();
    for round in 0..KILLS {
        let serving = doorward.serve(&["serve"]);
        let (address, over, begun) = (serving.address, AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (acknowledged, over, begun, token) = (&acknowledged, &over, &begun, &token);
                scope.spawn(move || {
                    let mut number = 0;
                    while !over.load(Ordering::SeqCst) {
                        let login = format!("r{round}w{writer}n{number}");
                        write(address, token, &login, acknowledged, begun);
                        number += 1;
                    }
                });
            }
            while !begun.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            // Spread over the steps of a change, which takes milliseconds.
            thread::sleep(Duration::from_micros(1_700 * (round as u64 % 29)));
            let (code, _) = serving.stop("-KILL");
            assert_eq!(code, None, "killed");
            over.store(true, Ordering::SeqCst);
        });
    }
    compare(doorward, &token, &acknowledged.into_inner().unwrap());
}

/// Makes a user and changes it twice, as far as the server answers.
fn write(address: SocketAddr, token: &str, login: &str, acknowledged: &Acknowledged, begun: &AtomicBool) {
    let create =
        "mutation($i: CreateUserInput!) { createUser(input: $i) { user { id revision } userErrors { code } } }";
    let update =
        "mutation($i: UpdateUserInput!) { updateUser(input: $i) { user { id revision } userErrors { code } } }";
    let send = |query: &str, name: &str, input: Value| {
        let answer = graphql_as(
            address,
            Some(token),
            &json!({ "query": query, "variables": { "i": input } }),
        )?;
        let user = &answer["data"][name]["user"];
        let id = user["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let revision = user["revision"].as_i64().unwrap();
        acknowledged.lock().unwrap().insert(id.clone(), revision);
        begun.store(true, Ordering::SeqCst);
        Some(id)
    };
    let Some(id) = send(create, "createUser", json!({ "login": login })) else {
        return;
    };
    for name in ["One", "Two"] {
        if send(update, "updateUser", json!({ "id": id, "firstName": name })).is_none() {
            return;
        }
    }
}

fn compare(doorward: &Doorward, token: &str, acknowledged: &HashMap<String, i64>) {
    let serving = doorward.serve(&["serve"]);
    let users = all(serving.address, token, "users", "id login revision");
    let entries = all(serving.address, token, "auditLog", "action targetId targetType");
    let mut changes: HashMap<&str, (i64, i64)> = HashMap::new();
    for entry in entries.iter().filter(|e| e["targetType"] == "User") {
        let (created, updated) = changes.entry(entry["targetId"].as_str().unwrap()).or_default();
        match entry["action"].as_str().unwrap() {
            "createUser" => *created += 1,
            "updateUser" => *updated += 1,
            other => panic!("nobody did that: {other}"),
        }
    }
    for user in &users {
        let (id, revision) = (user["id"].as_str().unwrap(), user["revision"].as_i64().unwrap());
        let logged = changes.remove(id);
        assert_eq!(logged, Some((1, revision - 1)), "a change without its entry: {user}");
        if user["login"] != "owner" {
            let told = acknowledged.get(id).copied().unwrap_or(0);
            assert!(told <= revision, "an acknowledged change is lost: {user}, {told}");
        }
    }
    assert!(changes.is_empty(), "an entry without its change: {changes:?}");
    let lost: Vec<&String> = acknowledged
        .keys()
        .filter(|id| !users.iter().any(|u| u["id"].as_str() == Some(id)))
        .collect();
    assert!(lost.is_empty(), "acknowledged users are lost: {lost:?}");
    assert!(users.len() > KILLS, "every round made somebody");
}

/// A whole list.
fn all(address: SocketAddr, token: &str, list: &str, fields: &str) -> Vec<Value> {
    let query = format!(
        "query($after: String) {{ {list}(first: 200, after: $after) {{ nodes {{ {fields} }}
            pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let body = json!({ "query": query, "variables": { "after": after } });
        let answer = graphql_as(address, Some(token), &body).unwrap();
        let page = &answer["data"][list];
        found.extend(page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")).clone());
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}
