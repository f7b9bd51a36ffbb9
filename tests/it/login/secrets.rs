//! No password that was submitted and no secret that was handed out is anywhere in the store or in the log, however much is
//! logged.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::TryStreamExt;
use mongodb::Client;
use mongodb::bson::{Document, serialize_to_vec};
use serde_json::{Value, json};

use crate::support::mongod::{TestDatabase, fresh_database};
use crate::support::process::{Doorward, graphql_as, sign_in, token};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};
use crate::support::socket::Socket;

/// Given on the command line, and right.
const FIRST: &str = "plaited harbour 94 velvet";
/// Given by an administrator.
const GIVEN: &str = "gravel Lantern 57 orbit";
/// Chosen by the user.
const CHOSEN: &str = "copper Thistle 64 meadow";
/// Wrong, for a local user.
const WRONG: &str = "wrong Pelican 12 amber";
/// Wrong, for a user of the directory.
const WRONG_THERE: &str = "wrong Walrus 35 cobalt";
/// For a login that nobody has.
const LOST: &str = "lost Marmot 78 saffron";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_stays_in_the_embedded_store_or_in_the_log() {
    let doorward = Doorward::new();
    let secrets = everything(&doorward).await;
    let mut dump = Vec::new();
    // With what was deleted, and with what is still in the write-ahead log.
    files(&doorward.folder().join("doorward-data"), &mut dump);
    check("the store", "ann@acme", &dump, &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_stays_in_mongodb_or_in_the_log() {
    let database = fresh_database();
    let secrets = everything(&Doorward::over(&database.url)).await;
    check("the store", "ann@acme", &documents(&database).await, &secrets);
}

/// The bytes of every document of every collection.
pub async fn documents(database: &TestDatabase) -> Vec<u8> {
    let store = Client::with_uri_str(&database.url).await.unwrap();
    let store = store.database(&database.name);
    let mut dump = Vec::new();
    for name in store.list_collection_names().await.unwrap() {
        let found = store.collection::<Document>(&name).find(Document::new()).await;
        let found: Vec<Document> = found.unwrap().try_collect().await.unwrap();
        dump.extend(found.iter().flat_map(|document| serialize_to_vec(document).unwrap()));
    }
    dump
}

/// Does everything that takes or gives a secret, holds the log against all of them, and gives them.
async fn everything(doorward: &Doorward) -> Vec<String> {
    let slapd = Slapd::start(SlapdOptions::default());
    let section = format!(
        "[directories.corp]\nservers = [\"{}\"]\nallow_plaintext = true\nbind_dn = \"{READER}\"\n\
         bind_password = \"{READER_PASSWORD}\"\nbase = [\"{PEOPLE}\"]\nmin_refusal = \"0s\"\n",
        slapd.url(),
    );
    fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
    doorward
        .run(&["account", "create", "acme", "--directory", "corp"])
        .succeeds();
    for login in ["root@system", "owner@acme", "ann@acme"] {
        let create = ["user", "create", login, "--master", "--password-stdin"];
        doorward.run_with_input(&create, FIRST).succeeds();
    }
    doorward.run(&["user", "create", "member@acme", "--ldap"]).succeeds();
    let mut serving = doorward.with_no_limits().serve(&["serve", "--log", "trace"]);
    let address = serving.address;
    let ask = |token: &str, query: &str, input: Value| {
        let body = json!({ "query": query, "variables": { "i": input } });
        let answer = graphql_as(address, Some(token), &body).unwrap();
        assert!(answer.get("errors").is_none(), "{query}: {answer:#}");
        answer["data"].clone()
    };

    let owner = token(address, "owner@acme", FIRST);
    let ann = token(address, "ann@acme", FIRST);
    let member = token(address, "member@acme", slapd::PASSWORD);
    let over_long = format!("{LOST}{}", "x".repeat(1024));
    for (login, password) in [
        ("ann@acme", WRONG),
        ("member@acme", WRONG_THERE),
        ("ghost@acme", LOST),
        ("ann@nowhere", LOST),
        ("ann@acme", &over_long),
    ] {
        assert_eq!(sign_in(address, login, password), ["WRONG_CREDENTIALS"], "{login}");
    }
    // The bearer comes in a header and in a message of a socket.
    let mut socket = Socket::open(&format!("http://{address}"), Some(&member)).await;
    socket
        .subscribe("a", "subscription { loginEvents { id } }", json!({}))
        .await;

    let mine = "query { viewer { user { id } } }";
    let of_ann = ask(&ann, mine, json!({}))["viewer"]["user"]["id"].clone();
    let of_member = ask(&member, mine, json!({}))["viewer"]["user"]["id"].clone();
    let change = "mutation($i: ChangePasswordInput!) { changePassword(input: $i) { user { id } } }";
    for (current, new) in [(WRONG, CHOSEN), (FIRST, CHOSEN)] {
        ask(&ann, change, json!({ "currentPassword": current, "newPassword": new }));
    }
    let set = "mutation($i: SetUserPasswordInput!) { setUserPassword(input: $i) { user { id } } }";
    ask(&owner, set, json!({ "id": of_ann, "password": GIVEN }));
    assert_eq!(sign_in(address, "ann@acme", GIVEN), [""; 0]);
    let make = "mutation($i: CreateApiTokenInput!) { createApiToken(input: $i) { secret } }";
    let made = ask(&owner, make, json!({ "name": "reports", "roles": [] }));
    let secret = made["createApiToken"]["secret"].as_str().unwrap().to_owned();
    ask(&secret, "query { viewer { isMaster } }", json!({}));
    let act = "mutation($i: ImpersonateUserInput!) { impersonateUser(input: $i) { token } }";
    let acting = ask(&owner, act, json!({ "id": of_member, "reason": "a question" }));
    let acting = acting["impersonateUser"]["token"].as_str().unwrap().to_owned();
    ask(&acting, mine, json!({}));
    ask(&member, "mutation { signOut { done } }", json!({}));

    // The log is as it should be: there is much in it.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !serving.stderr().contains("doorward::store") || !serving.stderr().contains("TRACE") {
        assert!(Instant::now() < deadline, "{}", serving.stderr());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stdout = serving.stdout().to_owned();
    let (code, stderr) = tokio::task::spawn_blocking(|| serving.stop("-TERM")).await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");
    let mut secrets: Vec<String> = [
        FIRST,
        GIVEN,
        CHOSEN,
        WRONG,
        WRONG_THERE,
        LOST,
        READER_PASSWORD,
        slapd::PASSWORD,
    ]
    .map(str::to_owned)
    .into();
    secrets.extend([owner, ann, member, secret, acting]);
    check("the log", "answered", (stdout + &stderr).as_bytes(), &secrets);
    secrets
}

/// The bytes of every file in a folder.
pub fn files(folder: &Path, bytes: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, bytes);
        } else {
            bytes.extend(fs::read(path).unwrap());
        }
    }
}

/// None of the secrets is in it, in any of the forms in which bytes are written; what belongs there is.
pub fn check(name: &str, sign: &str, bytes: &[u8], secrets: &[String]) {
    assert!(is_in(sign.as_bytes(), bytes), "{name} is not what it should be");
    for secret in secrets {
        for form in forms(secret) {
            assert!(!is_in(&form, bytes), "{secret:?} is in {name}{}", around(&form, bytes));
        }
    }
}

/// Text and bytes, as they are, in hexadecimal, in base64, and as a list of numbers. Of a token also what it stands for.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let random = secret.get(4..).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let random = random.filter(|bytes| bytes.len() == 32);
    let mut forms = Vec::new();
    for bytes in [Some(secret.as_bytes().to_vec()), random].into_iter().flatten() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        forms.extend([hex.to_uppercase(), hex, numbers.join(", ")].map(String::into_bytes));
        // What stands at the end depends on what comes next.
        for text in [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.push(text.as_bytes()[..text.len() - 4].to_vec());
        }
        forms.push(bytes);
    }
    forms
}

fn is_in(needle: &[u8], bytes: &[u8]) -> bool {
    place(needle, bytes).is_some()
}

fn place(needle: &[u8], bytes: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Where it stands, for a message.
fn around(needle: &[u8], bytes: &[u8]) -> String {
    let at = place(needle, bytes).unwrap_or(0);
    let (from, to) = (at.saturating_sub(200), (at + needle.len() + 50).min(bytes.len()));
    format!(": {}", String::from_utf8_lossy(&bytes[from..to]))
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "right horse";
    for text in [
        "password=right horse!",
        "[114, 105, 103, 104, 116, 32, 104, 111, 114, 115, 101]",
        "0x726967687420686f727365",
        "cmlnaHQgaG9yc2U=",
        "{\"b\":\"cmlnaHQgaG9yc2U\"}",
    ] {
        assert!(forms(secret).iter().any(|form| is_in(form, text.as_bytes())), "{text}");
    }
    assert!(!forms(secret).iter().any(|form| is_in(form, b"right, horse")));
}
