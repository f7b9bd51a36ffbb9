//! What was acknowledged is kept, also when the process is killed in the middle.

mod changes;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, graphql_as, try_token};
use crate::support::turn;

const PASSWORD: &str = "plaited harbour 94 velvet";
const KILLS: usize = 3;

#[test]
fn acknowledged_sign_ins_outlive_a_kill_over_the_embedded_store() {
    let _turn = turn::shared();
    check(&Doorward::new());
}

#[test]
fn acknowledged_sign_ins_outlive_a_kill_over_mongodb() {
    let _turn = turn::shared();
    let database = fresh_database();
    check(&Doorward::over(&database.url));
}

fn check(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    for login in ["owner@acme", "ann@acme", "bob@acme"] {
        doorward
            .run_with_input(&["user", "create", login, "--master", "--password-stdin"], PASSWORD)
            .succeeds();
    }
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..KILLS {
        let serving = doorward.with_no_limits().serve(&["serve"]);
        let (address, over) = (serving.address, AtomicBool::new(false));
        thread::scope(|scope| {
            for login in ["owner@acme", "ann@acme", "bob@acme", "owner@acme"] {
                let (acknowledged, over) = (&acknowledged, &over);
                scope.spawn(move || sign_in_until(address, login, over, acknowledged));
            }
            let before = acknowledged.lock().unwrap().len();
            while acknowledged.lock().unwrap().len() < before + 20 {
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(Duration::from_millis(37 * (round as u64 + 1)));
            let (code, _) = serving.stop("-KILL");
            assert_eq!(code, None, "killed");
            over.store(true, Ordering::SeqCst);
        });
    }

    // MongoDB gives the transactions of a process that is gone up after a minute; until then they hold what they changed.
    let serving = doorward.serve(&["serve"]);
    let owner = (0..4)
        .find_map(|_| try_token(serving.address, "owner@acme", PASSWORD))
        .expect("owner@acme gets in within two minutes");
    let mut kept = Vec::new();
    let mut after = Value::Null;
    loop {
        let query = "query($after: String) { loginHistory(first: 200, after: $after) { nodes { id outcome }
            pageInfo { hasNextPage endCursor } } users { nodes { login lastLogin { id } loginHistory(first: 1) { nodes { id } } } } }";
        let body = json!({ "query": query, "variables": { "after": after } });
        let answer = graphql_as(serving.address, Some(&owner), &body).unwrap();
        let page = &answer["data"]["loginHistory"];
        for event in page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")) {
            assert_eq!(event["outcome"], "SUCCESS");
            kept.push(event["id"].as_str().unwrap().to_owned());
        }
        for user in answer["data"]["users"]["nodes"].as_array().unwrap() {
            let newest = &user["loginHistory"]["nodes"][0]["id"];
            assert_eq!(&user["lastLogin"]["id"], newest, "event and last sign-in go together");
        }
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= 20 * KILLS);
    for id in &acknowledged {
        assert!(
            kept.contains(id),
            "an acknowledged sign-in of {} is lost",
            acknowledged.len()
        );
    }
}

/// Signs in again and again; each event that the server answered for goes onto the list.
fn sign_in_until(address: SocketAddr, login: &str, over: &AtomicBool, acknowledged: &Mutex<Vec<String>>) {
    let query = "mutation($l: String!, $p: String!) { signIn(input: {login: $l, password: $p}) {
        user { lastLogin { id } } userErrors { code } } }";
    let body = json!({ "query": query, "variables": { "l": login, "p": PASSWORD } });
    while !over.load(Ordering::SeqCst) {
        let Some(answer) = graphql_as(address, None, &body) else {
            continue;
        };
        match answer["data"]["signIn"]["user"]["lastLogin"]["id"].as_str() {
            Some(id) => acknowledged.lock().unwrap().push(id.to_owned()),
            // Not acknowledged: held up by the process that was killed before.
            None => assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}"),
        }
    }
}
