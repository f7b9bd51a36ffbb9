//! What is interrupted is gone on with.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{export, import, kill_after, read, seed};
use crate::support::mongod::fresh_database;
use crate::support::process::Doorward;

#[test]
fn an_import_into_the_embedded_store() {
    let source = Doorward::new();
    an_import(&source, &Doorward::new());
}

#[test]
fn an_import_into_mongodb() {
    let (source, database) = (Doorward::new(), fresh_database());
    an_import(&source, &Doorward::over(&database.url));
}

fn an_import(source: &Doorward, target: &Doorward) {
    seed(source, 3_500, 1);
    let file = export(source, "all.ndjson");
    let (path, text) = (file.to_str().unwrap(), read(&file));
    // It gets a part of the users before it is killed, in the middle of a batch or between two.
    let part = text.match_indices("{\"kind\":\"user\"").nth(2_600).unwrap().0;
    let mut child = target
        .command(&["import", "-", "--format", "ndjson", "--history"])
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&text.as_bytes()[..part]).unwrap();
    stdin.flush().unwrap();
    wait_until(|| {
        let seen = target.run(&["import", path, "--dry-run", "--json"]).parsed();
        seen["unchanged"]["users"].as_u64() > Some(0)
    });
    assert!(kill_after(child, Duration::ZERO), "it waits for the rest");
    drop(stdin);
    for delay in [300, 700] {
        let child = target.command(&["import", path, "--history"]).spawn().unwrap();
        kill_after(child, Duration::from_millis(delay));
    }
    let report = import(target, path);
    assert_eq!(report["rejected"], 0, "{report}");
    let there = report["unchanged"]["users"].as_u64().unwrap();
    assert!(there >= 1_000, "what was written before the kill is there: {report}");
    assert!(read(&export(target, "all.ndjson")) == text, "the files differ");
    let again = target.run(&["import", path, "--history"]).succeeds();
    assert!(again.contains("nothing changed\n"), "{again}");
}

/// A busy machine with two cores may take long.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "nothing came");
    }
}

#[test]
fn a_copy() {
    let (source, database) = (Doorward::new(), fresh_database());
    seed(&source, 5_000, 2);
    let arguments = [
        "copy",
        "--from",
        "sqlite:doorward-data/doorward.db",
        "--to",
        &database.url,
    ];
    let target = Doorward::over(&database.url);
    let child = source.command(&arguments).spawn().unwrap();
    // The accounts are there; of a dry run nothing stays.
    let look = ["import", "-", "--format", "ndjson", "--account", "acct001", "--dry-run"];
    wait_until(|| target.run(&look).code == Some(0));
    assert!(
        kill_after(child, Duration::from_millis(200)),
        "it was killed in the middle"
    );
    // Another source is not let in between.
    let other = Doorward::new();
    other.run(&["account", "create", "other"]).succeeds();
    let refused = other.run(&arguments).fails(1);
    assert!(refused.contains("a part of another store's copy"), "{refused}");
    // What changes between the two runs is caught up with.
    source.run(&["user", "delete", "user000007@acct000"]).succeeds();
    source
        .run(&["user", "update", "user000008@acct000", "--first-name", "Changed"])
        .succeeds();
    source.run(&["user", "create", "new@acct000"]).succeeds();
    let report = source.run(&[&arguments[..], &["--json"]].concat()).json();
    assert_eq!(report["equal"], true, "{report}");
    assert!(
        read(&export(&target, "all.ndjson")) == read(&export(&source, "all.ndjson")),
        "the files differ"
    );
    let check = target.run(&["check"]).succeeds();
    assert!(check.contains("index"), "the indexes are all there afterwards: {check}");
}
