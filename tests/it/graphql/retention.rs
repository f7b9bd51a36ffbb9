//! What happened is kept for as long as the configuration says.

use std::time::Duration;

use doorward::config::Config;
use doorward::domain::clock::{Clock, SystemClock};
use serde_json::json;

use crate::support::gateway::{Backend, Gateway, on_both_stores};
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, Serving, graphql_as, token};

on_both_stores!(each_is_seen_for_its_own_time);

const DAY: Duration = Duration::from_secs(24 * 3600);
const PASSWORD: &str = "plaited harbour 94 velvet";

async fn each_is_seen_for_its_own_time(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("doorward.toml");
    let text =
        "[history]\nretention = \"2d\"\n[audit]\nretention = \"3d\"\n[session]\nlifetime = \"30d\"\nidle = \"30d\"\n";
    std::fs::write(&file, text).unwrap();
    let read = Config::load(Some(&file), std::iter::empty(), folder.path()).unwrap();
    let gateway = Gateway::start_with(backend, |config| {
        (config.history, config.audit, config.session) = (read.history, read.audit, read.session);
    })
    .await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let seen = async || {
        let query = "{ loginHistory { totalCount nodes { id } } auditLog { totalCount nodes { id } }
            user(login: \"owner@acme\") { loginHistory { totalCount } } }";
        let data = owner.data(query).await;
        let [history, log] = ["loginHistory", "auditLog"].map(|list| {
            let nodes = data[list]["nodes"].as_array().unwrap().len();
            assert_eq!(data[list]["totalCount"], nodes, "{data:#}");
            nodes
        });
        assert_eq!(data["user"]["loginHistory"]["totalCount"], history, "{data:#}");
        (history, log)
    };
    // One sign-in; the account and the user.
    assert_eq!(seen().await, (1, 2));
    gateway.wait(2 * DAY - Duration::from_secs(60));
    assert_eq!(seen().await, (1, 2));
    gateway.wait(Duration::from_secs(60));
    assert_eq!(seen().await, (0, 2));
    gateway.wait(DAY - Duration::from_secs(60));
    assert_eq!(seen().await, (0, 2));
    gateway.wait(Duration::from_secs(60));
    assert_eq!(seen().await, (0, 0));
}

#[test]
fn what_is_over_its_time_is_cleared_out_of_the_embedded_store() {
    check(&Doorward::new());
}

#[test]
fn what_is_over_its_time_is_cleared_out_of_mongodb() {
    let database = fresh_database();
    check(&Doorward::over(&database.url));
}

/// Made-up sign-ins of months, of which a start with a short retention leaves those of the last days.
fn check(doorward: &Doorward) {
    let seed = ["seed", "--accounts", "1", "--users", "20", "--logins-per-user", "20"];
    doorward.run(&seed).succeeds();
    let create = ["user", "create", "root@system", "--master", "--password-stdin"];
    doorward.run_with_input(&create, PASSWORD).succeeds();
    let (old, new) = (
        json!({ "until": (SystemClock.now() - 10 * DAY).to_string() }),
        json!({ "since": (SystemClock.now() - 9 * DAY).to_string() }),
    );
    let serving = doorward.serve(&["serve"]);
    let root = token(serving.address, "root@system", PASSWORD);
    let count = |serving: &Serving| {
        let query = "query($of: LoginEventFilter) { loginHistory(filter: $of) { totalCount } }";
        [&old, &new].map(|filter| {
            let body = json!({ "query": query, "variables": { "of": filter } });
            let answer = graphql_as(serving.address, Some(&root), &body).unwrap();
            let count = answer["data"]["loginHistory"]["totalCount"].as_u64();
            count.unwrap_or_else(|| panic!("{answer:#}"))
        })
    };
    let [of_old, of_new] = count(&serving);
    assert!(of_old > 0 && of_new > 0, "{of_old} and {of_new}");
    drop(serving);

    let mut serving = doorward.with("DOORWARD_HISTORY__RETENTION", "10d").serve(&["serve"]);
    serving.wait_until(|serving| serving.stderr().contains("removed what had outlived its use"));
    drop(serving);

    // Whoever would show them again does not find them.
    let serving = doorward.serve(&["serve"]);
    assert_eq!(count(&serving), [0, of_new]);
}
