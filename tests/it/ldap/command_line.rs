//! `doorward explain` and `doorward sync`, as an administrator types them.

use std::fs;

use crate::support::process::Doorward;
use crate::support::slapd::{PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

#[test]
fn the_command_line_explains_and_syncs() {
    let mut slapd = Slapd::start(SlapdOptions::default());
    let doorward = Doorward::new();
    let section = format!(
        "[directories.corp]\nservers = [\"{}\"]\nallow_plaintext = true\nbind_dn = \"{READER}\"\n\
         bind_password = \"{READER_PASSWORD}\"\nbase = [\"{PEOPLE}\"]\ntimeout = \"2s\"\nprovision = \"just_in_time\"\n",
        slapd.url()
    );
    fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
    doorward
        .run(&["account", "create", "acme", "--directory", "corp"])
        .succeeds();

    let told = doorward.run(&["explain", "member@acme"]).succeeds();
    assert!(
        told.contains("they would be let in") && told.contains("(uid=member)"),
        "{told}"
    );
    let failed = doorward.run(&["explain", "ghost@acme"]).fails(1);
    assert!(failed.contains("ghost@acme would not be let in"), "{failed}");
    doorward.run(&["explain", "ghost"]).fails(2);
    doorward.run(&["explain", "ghost@nowhere"]).fails(1);

    let dry = doorward.run(&["sync", "acme", "--dry-run"]).succeeds();
    assert!(
        dry.contains("would be: 16 added, 0 updated, 0 disabled, 0 unchanged"),
        "{dry}"
    );
    let done = doorward.run(&["sync", "acme", "--json"]).json();
    // Twins share a login, and the directory lets nobody in as the one who is locked for good.
    assert_eq!(
        (&done["added"], &done["stopped"]),
        (&16.into(), &serde_json::Value::Null),
        "{done}"
    );
    assert_eq!(done["changes"][0]["kind"], "ADDED");
    let again = doorward.run(&["sync", "acme"]).succeeds();
    assert!(
        again.contains("0 added, 0 updated, 0 disabled, 16 unchanged"),
        "{again}"
    );
    assert_eq!(
        doorward.run(&["explain", "member@acme", "--json"]).json()["wouldSucceed"],
        true
    );
    doorward.run(&["sync", "acme", "--max-disable-percent", "101"]).fails(2);

    slapd.stop();
    let away = doorward.run(&["sync", "acme"]).fails(1);
    assert!(away.contains("nothing was changed"), "{away}");
    assert_eq!(slapd.binds(PEOPLE), 0, "nothing was bound as a person");
}
