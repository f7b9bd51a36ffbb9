//! The whole binary: mails of another process are sent, and no link's secret is in the store or in the log, however much is
//! logged.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::post::says;
use crate::login::secrets::{check, documents, files};
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, graphql, sign_in};
use crate::support::smtp::{MailServer, MailServerOptions, PASSWORD, Received};

/// Given on the command line.
const FIRST: &str = "plaited harbour 94 velvet";
/// Chosen with a link.
const CHOSEN: &str = "copper Thistle 64 meadow";
/// Tried with a link that does not work any more.
const LOST: &str = "lost Marmot 78 saffron";

const SOON: Duration = Duration::from_secs(60);

#[test]
fn no_link_stays_in_the_embedded_store_or_in_the_log() {
    let doorward = Doorward::new();
    let secrets = everything(&doorward);
    let mut dump = Vec::new();
    files(&doorward.folder().join("doorward-data"), &mut dump);
    check("the store", "ann@acme", &dump, &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_stays_in_mongodb_or_in_the_log() {
    let database = fresh_database();
    let doorward = Doorward::over(&database.url);
    let secrets = tokio::task::block_in_place(|| everything(&doorward));
    check("the store", "ann@acme", &documents(&database).await, &secrets);
}

/// Has links sent and uses them, holds the log against all secrets, and gives them.
fn everything(doorward: &Doorward) -> Vec<String> {
    let server = MailServer::start(MailServerOptions::default());
    let section = format!(
        "[mail]\nurl = \"{}\"\npassword = \"{PASSWORD}\"\nfrom = \"Acme <door@example.org>\"\nca_file = \"{}\"\n",
        server.url(),
        server.ca_file().display(),
    );
    fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
    doorward.run(&["account", "create", "acme"]).succeeds();
    let create = [
        "user",
        "create",
        "ann@acme",
        "--email",
        "ann@example.org",
        "--first-name",
        "Ann",
    ];
    let with_password = [&create[..], &["--password-stdin"]].concat();
    doorward.run_with_input(&with_password, FIRST).succeeds();
    // Queued while nobody serves: sent as soon as somebody does.
    doorward.run(&["user", "send-access", "ann@acme"]).succeeds();
    let mut serving = doorward.with_no_limits().serve(&["serve", "--log", "trace"]);
    let address = serving.address;
    let link = |mail: &Received| -> String {
        let start = format!("http://{address}/set-password?token=");
        let (_, rest) = mail
            .text()
            .split_once(&start)
            .unwrap_or_else(|| panic!("{}", mail.text()));
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let mails = server.wait_for(1, SOON);
    says(
        &mails[0],
        "Set your password for Doorward",
        &["Hello Ann,", "ann@acme"],
        &["ann@acme"],
    );
    let from = mails[0].message.from().and_then(|from| from.first()).unwrap();
    assert_eq!((from.name(), from.address()), (Some("Acme"), Some("door@example.org")));
    let first = link(&mails[0]);
    // Queued by another process while this one serves.
    doorward.run(&["user", "send-access", "ann@acme"]).succeeds();
    let second = link(&server.wait_for(2, SOON)[1]);

    let reset = |token: &str, password: &str| -> Value {
        let query = "mutation($t: String!, $p: String!) { resetPassword(input: {token: $t, newPassword: $p}) {
            token userErrors { code path } } }";
        let body = json!({ "query": query, "variables": { "t": token, "p": password } });
        graphql(address, &body)["data"]["resetPassword"].clone()
    };
    let refused = reset(&first, LOST);
    assert_eq!(
        refused["userErrors"],
        json!([{ "code": "EXPIRED_LINK", "path": ["token"] }])
    );
    let ask = "mutation { requestPasswordReset(input: {login: \"ann@acme\"}) { accepted userErrors { code } } }";
    let asked = graphql(address, &json!({ "query": ask }));
    assert_eq!(
        asked["data"]["requestPasswordReset"],
        json!({ "accepted": true, "userErrors": [] })
    );
    let third = link(&server.wait_for(3, SOON)[2]);
    // In the address, too: whatever answers there, it is not written down.
    for token in [&second, &third] {
        crate::support::process::get(address, &format!("/set-password?token={token}")).unwrap();
    }
    let done = reset(&third, CHOSEN);
    let session = done["token"].as_str().unwrap_or_else(|| panic!("{done:#}")).to_owned();
    server.wait_for(4, SOON);
    assert_eq!(sign_in(address, "ann@acme", FIRST), ["WRONG_CREDENTIALS"]);
    assert_eq!(sign_in(address, "ann@acme", CHOSEN), [""; 0]);
    assert_eq!(server.messages().len(), 4, "each mail came once");

    // The log is as it should be: there is much in it.
    serving.wait_until(|serving| {
        let text = serving.stderr();
        text.contains("TRACE") && text.contains("password_changed")
    });
    let stdout = serving.stdout().to_owned();
    let (code, stderr) = serving.stop("-TERM");
    assert_eq!(code, Some(0), "{stderr}");
    let mut secrets: Vec<String> = [FIRST, CHOSEN, LOST, PASSWORD].map(str::to_owned).into();
    secrets.extend([first, second, third, session]);
    check("the log", "sent", (stdout + &stderr).as_bytes(), &secrets);
    secrets
}
