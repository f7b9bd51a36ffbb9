//! GraphiQL in a real browser, against the real server.

use std::path::Path;
use std::process::Command;

use crate::support::process::Doorward;

#[test]
fn graphiql_works_in_chromium() {
    let doorward = Doorward::new();
    let mut server = doorward.serve(&["serve"]);
    server.wait_until(|server| server.stderr().contains("root@system"));
    let shown = server.stderr().to_owned();
    // Groups of letters and digits with hyphens between: nothing else on the page looks like it.
    let password = shown
        .split_whitespace()
        .find(|word| word.len() == 27 && word.split('-').count() == 4)
        .unwrap_or_else(|| panic!("no password in: {shown}"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    assert!(
        folder.join("node_modules").is_dir(),
        "npm ci in tests/browser, as tests/run does"
    );
    let output = Command::new("node")
        .args(["--test", "graphiql.mjs"])
        .current_dir(folder)
        .env("DOORWARD_URL", format!("http://{}", server.address))
        .env("DOORWARD_LOGIN", "root@system")
        .env("DOORWARD_PASSWORD", password)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
