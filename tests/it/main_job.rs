//! The main job from end to end, as a new user would do it: an account with a directory, a local master, an LDAP member,
//! both signed in by HTTP, over both stores with the same answers.

use std::fs;

use serde_json::{Value, json};

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, Serving, graphql_as};
use crate::support::slapd::{self, Slapd, SlapdOptions};
use crate::support::turn;

const PASSWORD: &str = "plaited harbour 94 velvet";

#[test]
fn both_stores_give_the_same_answers() {
    let _turn = turn::shared();
    let embedded = job(Doorward::new());
    let database = fresh_database();
    let mongodb = job(Doorward::over(&database.url));
    assert_eq!(embedded, mongodb);
}

/// The transcript, ids and times apart.
fn job(doorward: Doorward) -> Vec<Value> {
    let mut directory = Slapd::start(SlapdOptions::default());
    let section = format!(
        "[directories.corp]\nservers = [\"{}\"]\nstart_tls = true\nca_file = \"{}\"\nbind_dn = \"{}\"\n\
         bind_password_file = \"reader\"\nbase = [\"{}\"]\nfilter = \"(&(objectClass=inetOrgPerson)(uid={{login}}))\"\n\
         timeout = \"2s\"\nmin_refusal = \"20ms\"\n",
        directory.url(),
        directory.ca_file().display(),
        slapd::READER,
        slapd::PEOPLE,
    );
    fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
    fs::write(doorward.folder().join("reader"), slapd::READER_PASSWORD).unwrap();

    doorward.run(&["check"]).succeeds();
    doorward
        .run(&["account", "create", "acme", "--directory", "corp"])
        .succeeds();
    doorward
        .run_with_input(
            &["user", "create", "owner@acme", "--master", "--password-stdin"],
            PASSWORD,
        )
        .succeeds();
    doorward
        .run(&["role", "create", "Support@acme", "--permission", "tickets:read"])
        .succeeds();
    doorward.run(&["group", "create", "EMEA@acme"]).succeeds();
    let member = [
        "user",
        "create",
        "member@acme",
        "--ldap",
        "--role",
        "Support",
        "--group",
        "EMEA",
    ];
    doorward.run(&member).succeeds();

    let server = doorward.serve(&["serve"]);
    let mut transcript = Vec::new();
    let mut step = |answer: Value| transcript.push(answer);
    let (owner, _) = sign_in(&server, "owner@acme", PASSWORD, &mut step);
    let (member, _) = sign_in(&server, "member@acme", slapd::PASSWORD, &mut step);
    let binds = directory.binds("uid=member");
    for (login, password) in [
        ("member@acme", "wrong"),
        ("owner@acme", "wrong"),
        ("owner@acme", slapd::PASSWORD),
        ("ghost@acme", "wrong"),
        ("ghost@acme", slapd::PASSWORD),
        ("member@acme", ""),
        ("*@acme", slapd::PASSWORD),
    ] {
        assert!(sign_in(&server, login, password, &mut step).0.is_none(), "{login}");
    }
    assert_eq!(
        directory.binds("uid=member"),
        binds + 1,
        "one submitted password, one bind; none without a password"
    );
    assert_eq!(
        directory.binds("uid=owner"),
        0,
        "a local user never touches the directory"
    );

    directory.stop();
    let (_, refusal) = sign_in(&server, "member@acme", slapd::PASSWORD, &mut step);
    assert_eq!(refusal.as_deref(), Some("DIRECTORY_UNAVAILABLE"));
    let (_, refusal) = sign_in(&server, "ghost@acme", "wrong", &mut step);
    assert_eq!(
        refusal.as_deref(),
        Some("DIRECTORY_UNAVAILABLE"),
        "unknown logins look no different"
    );
    assert!(
        sign_in(&server, "owner@acme", PASSWORD, &mut step).0.is_some(),
        "local users are not affected"
    );
    directory.restart();
    assert!(
        sign_in(&server, "member@acme", slapd::PASSWORD, &mut step).0.is_some(),
        "and nobody was locked"
    );

    let users = "{ users { totalCount nodes { qualifiedLogin isLdap isMaster hasPassword revision mustChangePassword
        roles { name permissions } groups { name } lastLogin { outcome method }
        loginHistory { totalCount nodes { outcome method attemptedLogin ip user { login } } } } } }";
    step(ask(&server, &owner, users));
    step(ask(&server, &member, users));
    let history = "{ loginHistory { totalCount nodes { outcome method attemptedLogin user { login } } } }";
    let all = ask(&server, &owner, history);
    let outcomes: Vec<&str> = all["loginHistory"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["outcome"].as_str().unwrap())
        .rev()
        .collect();
    assert_eq!(
        outcomes,
        [
            "SUCCESS",
            "SUCCESS",
            "WRONG_PASSWORD",
            "WRONG_PASSWORD",
            "WRONG_PASSWORD",
            "UNKNOWN_USER",
            "UNKNOWN_USER",
            "WRONG_PASSWORD",
            "UNKNOWN_USER",
            "DIRECTORY_UNAVAILABLE",
            "DIRECTORY_UNAVAILABLE",
            "SUCCESS",
            "SUCCESS",
        ],
        "{all:#}"
    );
    step(all);
    step(ask(&server, &member, history));
    transcript
}

/// The token, or the code of the refusal.
fn sign_in(
    server: &Serving,
    login: &str,
    password: &str,
    step: &mut impl FnMut(Value),
) -> (Option<String>, Option<String>) {
    let query = "mutation($l: String!, $p: String!) { signIn(input: {login: $l, password: $p}) {
        token mustChangePassword user { qualifiedLogin isLdap } userErrors { code message path } } }";
    let body = json!({ "query": query, "variables": { "l": login, "p": password } });
    let mut payload = graphql_as(server.address, None, &body).unwrap()["data"]["signIn"].clone();
    let token = payload["token"].take().as_str().map(str::to_owned);
    let code = payload["userErrors"][0]["code"].as_str().map(str::to_owned);
    step(payload);
    (token, code)
}

fn ask(server: &Serving, token: &Option<String>, query: &str) -> Value {
    let answer = graphql_as(server.address, token.as_deref(), &json!({ "query": query })).unwrap();
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].clone()
}
