//! In and out: files, and whole stores.

mod broken;
mod copying;
mod files;
mod hashes;
mod killed;

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use crate::support::process::Doorward;

/// Fills the store with made-up people, who sign in with what is answered.
fn seed(doorward: &Doorward, users: usize, logins: usize) -> String {
    let (users, logins) = (users.to_string(), logins.to_string());
    let arguments = [
        "seed",
        "--accounts",
        "2",
        "--users",
        &users,
        "--logins-per-user",
        &logins,
        "--json",
    ];
    let report = doorward.run(&arguments).json();
    report["password"].as_str().unwrap().to_owned()
}

/// Exports everything; answers the file.
fn export(doorward: &Doorward, name: &str) -> PathBuf {
    doorward.run(&["export", name, "--history", "--passwords"]).succeeds();
    doorward.folder().join(name)
}

/// Imports everything of a file.
fn import(doorward: &Doorward, file: &str) -> Value {
    doorward.run(&["import", file, "--history", "--json"]).json()
}

fn read(file: &PathBuf) -> String {
    fs::read_to_string(file).unwrap()
}

/// Kills a process that has run for that long; says whether it was still running.
fn kill_after(mut child: Child, delay: Duration) -> bool {
    std::thread::sleep(delay);
    let was_running = child.try_wait().unwrap().is_none();
    let _ = child.kill(); // it may have ended in this moment
    child.wait().unwrap();
    was_running
}
