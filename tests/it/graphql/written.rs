//! Lists that are written straight say the same, to the byte, as the library does field by field.

use serde_json::{Value, json};

use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, Serving, graphql_text, token};

const PASSWORD: &str = "plaited harbour 94 velvet";

/// A mutation beside a query that is never run: the request goes field by field, as each could meet a session that must
/// change its password.
const FIELD_BY_FIELD: &str = " mutation Unused { signOut { userErrors { code } } }";

/// Everything that is plain, and every way to say it.
const STRAIGHT: &[&str] = &[
    include_str!("../../../benches/dashboard.graphql"),
    "query Q($first: Int!) { users(first: $first) { nodes { id login firstName lastName email language phone status
        disabledBy lockedUntil mustChangePassword hasPassword passwordChangedAt isMaster isLdap createdAt updatedAt revision
        __typename } totalCount __typename } }",
    "query Q($first: Int!) { users(first: $first, orderBy: {field: LAST_LOGIN, direction: DESC}) { edges { cursor __typename
        node { lastLogin { id at attemptedLogin outcome method ip browser operatingSystem device userAgent detail
        impersonatorName location { country countryCode city latitude longitude __typename } __typename } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor __typename } } }",
    "query Q($first: Int!) { users(last: $first) { edges { node { b: login a: login
        roles { id name description permissions createdAt updatedAt revision __typename }
        groups { __typename id name description isMain createdAt updatedAt revision } } } } }",
    // Fields under one key come together, in the place of the first.
    "query Q($first: Int!) { users(first: $first) { edges { node { login } } nodes { login } edges { cursor node { id ...More } }
        pageInfo { endCursor } pageInfo { hasNextPage } } }
     fragment More on User { login roles { name } ... on Node { id } ... { email roles { id } } ...Again }
     fragment Again on User { login firstName }",
    // Several histories of one user, each with its own length; nothing at all; what is skipped.
    "query Q($first: Int!, $three: Int = 3, $no: Boolean = false) { users(first: $first) { nodes {
        one: loginHistory(first: 1) { nodes { at } pageInfo { hasNextPage endCursor } }
        three: loginHistory(first: $three, after: null) { edges { cursor node { id } } }
        none: loginHistory(first: 0) { nodes { id } pageInfo { hasNextPage } }
        nine: loginHistory(first: 9) { nodes { id } } login @skip(if: true) email @include(if: $no) phone @skip(if: $no) } } }",
    // The same list twice, each under a key of its own; and one under other objects.
    "query Q($first: Int!) { a: users(first: $first) { nodes { login } } b: users(first: $first) { nodes { id } } }",
    "query Q($first: Int!) { viewer { account { a: users(first: $first) { nodes { login roles { name } } } } } }",
    "query Q($first: Int!) { roles(first: $first) { totalCount edges { cursor node { name permissions } } } }",
    "query Q($first: Int!) { groups(first: $first) { nodes { name isMain } } }",
    "query Q($first: Int!) { loginHistory(first: $first, filter: {outcomes: [SUCCESS]}) { totalCount edges { cursor node { id
        ip location { city } } } } }",
    "query Q($first: Int!) { users(first: $first, filter: {login: \"nobody-of-that-name\"}) { edges { node { login } }
        pageInfo { hasNextPage endCursor } totalCount } }",
];

/// What is to be waited for, can fail by itself, or is merged.
const USUAL: &[&str] = &[
    "query Q($first: Int!) { users(first: $first) { nodes { login } } users(first: $first) { nodes { roles { name } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { login } } ...More }
     fragment More on Query { users(first: $first) { totalCount nodes { id } } }",
    "query Q($first: Int!, $no: Boolean = false) { users(first: $first) { nodes { roles { id @include(if: $no) } } } }",
    // Of another kind, which the interface in between hides.
    "query Q($first: Int!) { groups(first: $first) { nodes { id ...L } } }
     fragment L on Node { ... on Role { label: name } ... on Group { label: description } }",
    "query Q($first: Int!) { users(first: $first) { nodes { login x: roles { name } ... on User { x: groups { createdAt } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { login account { name } qualifiedLogin } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { loginHistory(first: 2) { totalCount nodes { id } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { loginHistory(first: 2) { nodes { user { login } } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { loginHistory(first: 200) { nodes { id } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { loginHistory(first: 201) { nodes { id } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { loginHistory(last: 2) { nodes { id } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { loginHistory(first: 2, filter: {outcomes: [SUCCESS]}) { nodes { id } } } } }",
    "query Q($first: Int!) { users(first: $first) { nodes { avatarUrl(size: 1) } } }",
];

#[test]
fn lists_of_the_embedded_store_are_the_same_either_way() {
    check(&Doorward::new());
}

#[test]
fn lists_of_mongodb_are_the_same_either_way() {
    let database = fresh_database();
    check(&Doorward::over(&database.url));
}

fn check(doorward: &Doorward) {
    let seed = [
        "seed",
        "--accounts",
        "2",
        "--users",
        "60",
        "--logins-per-user",
        "12",
        "--password-stdin",
    ];
    doorward.run_with_input(&seed, PASSWORD).succeeds();
    for (login, master) in [
        ("reader@acct000", true),
        ("root@system", true),
        ("plain@acct000", false),
    ] {
        let mut create = vec!["user", "create", login, "--password-stdin"];
        create.extend(master.then_some("--master"));
        doorward.run_with_input(&create, PASSWORD).succeeds();
    }
    let mut server = doorward.serve(&["serve", "--log", "doorward::graphql=trace"]);
    for (login, sees_history) in [
        ("reader@acct000", true),
        ("root@system", true),
        ("plain@acct000", false),
    ] {
        let token = token(server.address, login, PASSWORD);
        for query in STRAIGHT {
            let straight = compare(&mut server, &token, query);
            assert!(straight || !sees_history, "{login}: {query}");
        }
        for query in USUAL {
            assert!(!compare(&mut server, &token, query), "{login}: {query}");
        }
        if sees_history {
            check_what_is_read(&server, &token);
        }
    }
}

/// A list reads no more of its users' sign-ins than it shows: it must show as much as its users do one by one.
fn check_what_is_read(server: &Serving, token: &str) {
    let data = |query: &str, ids: &Value| -> Value {
        let body = json!({ "query": query, "variables": { "ids": ids } });
        let answer = graphql_text(server.address, Some(token), &body).unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.get("errors"), None, "{query}");
        answer["data"].take()
    };
    // Not by their last sign-in, which would be read for the order then.
    let first = "first: 7";
    let users = data(&format!("{{ users({first}) {{ nodes {{ id }} }} }}"), &Value::Null);
    let ids: Vec<&Value> = users["users"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["id"])
        .collect();
    let ids = json!(ids);
    let all = "attemptedLogin operatingSystem device userAgent detail browser";
    for event in [
        "at browser ip",
        "attemptedLogin",
        "a: operatingSystem",
        "... on LoginEvent { ... { device } }",
        "...Event",
        "detail user { lastLogin { userAgent } loginHistory(first: 1) { nodes { device } } }",
        all,
    ] {
        let fragment = if event == "...Event" {
            " fragment Event on LoginEvent { userAgent }"
        } else {
            ""
        };
        for (history, last) in [
            ("nodes { _ }", ""),
            ("nodes { _ }", "lastLogin { at }"),
            ("edges { node { _ } }", "...Last"),
            (
                "nodes { at } edges { node { _ user { login } } }",
                "l: lastLogin { _ user { login } }",
            ),
        ] {
            let last_fragment = if last == "...Last" {
                " fragment Last on User { lastLogin { _ } }"
            } else {
                ""
            };
            let shown = format!("id h: loginHistory(first: 3) {{ {history} }} {last}").replace('_', event);
            let fragments = format!("{fragment}{last_fragment}").replace('_', event);
            let listed = data(
                &format!("{{ users({first}) {{ nodes {{ {shown} }} }} }}{fragments}"),
                &Value::Null,
            );
            let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on User { SHOWN } } }".replace("SHOWN", &shown);
            let alone = data(&format!("{query}{fragments}"), &ids);
            assert_eq!(listed["users"]["nodes"], alone["nodes"], "{shown}");
        }
    }
    let shown = data(
        &format!("{{ users({first}) {{ nodes {{ loginHistory(first: 3) {{ nodes {{ {all} }} }} }} }} }}"),
        &Value::Null,
    );
    let shown = shown.to_string();
    for told in ["\"userAgent\":\"Mozilla", "\"attemptedLogin\":\"user0"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
}

/// Asks both ways; says whether the answer was written straight.
#[track_caller]
fn compare(server: &mut Serving, token: &str, query: &str) -> bool {
    let name = query.trim_start().strip_prefix("query ").unwrap();
    let name = name.split('(').next().unwrap();
    let list = ["users", "roles", "groups", "loginHistory"]
        .into_iter()
        .find(|field| query.contains(&format!("{field}(")))
        .map(|field| match field {
            "users" => "list=UserConnection straight=",
            "roles" => "list=RoleConnection straight=",
            "groups" => "list=GroupConnection straight=",
            _ => "list=LoginEventConnection straight=",
        })
        .unwrap();
    let told = |server: &mut Serving| -> Vec<bool> {
        let ways = server.stderr().match_indices(list).map(|(at, _)| at + list.len());
        let ways: Vec<usize> = ways.collect();
        ways.into_iter()
            .map(|at| server.stderr()[at..].starts_with("true"))
            .collect()
    };
    let before = told(server).len();
    let ask = |query: &str| {
        let body: Value = json!({ "query": query, "operationName": name, "variables": { "first": 7 } });
        graphql_text(server.address, Some(token), &body).unwrap()
    };
    let (whole, by_field) = (ask(query), ask(&format!("{query}{FIELD_BY_FIELD}")));
    assert_eq!(whole, by_field, "{query}");
    // One line for each list, through a pipe.
    let lists = query.matches(": $first").count();
    server.wait_until(|server| told(server).len() >= before + 2 * lists);
    let ways = told(server).split_off(before);
    assert!(!ways[lists..].contains(&true), "a mutation is beside it: {query}");
    ways[0]
}
