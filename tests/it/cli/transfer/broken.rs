//! A file with more than a thousand kinds of broken lines: every one is named, every other one is imported.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};

use crate::support::mongod::fresh_database;
use crate::support::process::Doorward;

/// What a field is, and so what is wrong for it.
#[derive(Clone, Copy)]
enum Is {
    Text,
    Login,
    /// A text that may be null.
    Optional,
    Word,
    OptionalWord,
    Flag,
    Number,
    Time,
    OptionalTime,
    Id,
    Names,
    Objects,
    Object,
}

use Is::{Flag, Id, Login, Names, Number, Object, Objects, Optional, OptionalTime, OptionalWord, Text, Time, Word};

impl Is {
    /// An empty list is nothing wrong.
    fn may_be_a_list(value: &Value) -> bool {
        *value == json!([])
    }

    /// Nor is an empty object.
    fn may_be_an_object(value: &Value) -> bool {
        *value == json!({})
    }

    fn wrong(self) -> Vec<Value> {
        let long = "x".repeat(3_000);
        let every = |more: &[Value]| {
            let mut all = vec![json!(true), json!(-1.5), json!({}), json!([]), json!("\u{1}")];
            all.extend_from_slice(more);
            all
        };
        let without = |what: fn(&Value) -> bool, mut all: Vec<Value>| {
            all.retain(|value| !what(value));
            all
        };
        match self {
            Text => every(&[json!(null), json!(long), json!("a\u{202e}b")]),
            Login => every(&[json!(null), json!(long), json!("a b")]),
            Optional => every(&[json!(long), json!("a\nb")]),
            Word => every(&[json!(null), json!("NOPE"), json!(""), json!("active"), json!(long)]),
            OptionalWord => every(&[json!("NOPE"), json!("manual"), json!(long)]),
            Flag => without(Value::is_boolean, every(&[json!(null), json!("true"), json!(1)])),
            Number => every(&[
                json!(null),
                json!(1e30),
                json!(-1),
                json!("5"),
                json!(5_000_000_000_u64),
            ]),
            Time => every(&[json!(null), json!("yesterday"), json!("1960-01-01T00:00:00Z"), json!(5)]),
            OptionalTime => every(&[json!("2026-13-01T00:00:00Z"), json!("2300-01-01T00:00:00Z"), json!(5)]),
            Id => every(&[json!("x"), json!("00000000-0000-0000-0000-000000000000"), json!(5)]),
            Names => without(
                Self::may_be_a_list,
                every(&[json!(null), json!([1]), json!(["No such"]), json!([null])]),
            ),
            Objects => without(
                Self::may_be_a_list,
                every(&[json!(null), json!([1]), json!([{}]), json!([{ "nope": 1 }])]),
            ),
            Object => without(Self::may_be_an_object, every(&[json!({ "nope": 1 }), json!("x")])),
        }
    }
}

type Fields = &'static [(&'static str, Is)];

const ACCOUNT: Fields = &[
    ("name", Text),
    ("id", Id),
    ("title", Text),
    ("status", Word),
    ("timeZone", Text),
    ("defaultLanguage", Word),
    ("directory", Optional),
    ("directoryOnly", Flag),
    ("passwordPolicy", Object),
    ("mainGroupId", Id),
    ("createdAt", Time),
];
const POLICY: Fields = &[
    ("minLength", Number),
    ("minStrength", Number),
    ("history", Number),
    ("lockoutThreshold", Number),
    ("lockoutMinutes", Number),
];
const ROLE: Fields = &[
    ("account", Text),
    ("name", Text),
    ("id", Id),
    ("description", Text),
    ("permissions", Names),
    ("createdAt", Time),
];
const GROUP: Fields = &[
    ("account", Text),
    ("name", Text),
    ("id", Id),
    ("description", Text),
    ("main", Flag),
    ("createdAt", Time),
];
const USER: Fields = &[
    ("account", Text),
    ("login", Login),
    ("id", Id),
    ("firstName", Text),
    ("lastName", Text),
    ("email", Optional),
    ("phone", Optional),
    ("language", Word),
    ("status", Word),
    ("disabledBy", OptionalWord),
    ("ldap", Flag),
    ("directoryLink", Object),
    ("master", Flag),
    ("roles", Names),
    ("groups", Names),
    ("directoryGrants", Objects),
    ("notifications", Object),
    ("mustChangePassword", Flag),
    ("passwordHash", Optional),
    ("passwordHistory", Names),
    ("passwordChangedAt", OptionalTime),
    ("passwordExpiresAt", OptionalTime),
    ("createdAt", Time),
];
const LINK: Fields = &[
    ("directory", Text),
    ("dn", Text),
    ("externalId", Text),
    ("lastCheckedAt", Time),
];
const NOTIFICATIONS: Fields = &[
    ("email", Optional),
    ("limitsExhausted", Flag),
    ("subscriberComplaints", Flag),
    ("hardBounces", Flag),
    ("softBounces", Flag),
    ("dailyReports", Flag),
    ("weeklyReports", Flag),
    ("securityNotices", Flag),
];
const LOGIN: Fields = &[
    ("account", Text),
    ("id", Id),
    ("at", Time),
    ("user", Optional),
    ("attemptedLogin", Text),
    ("outcome", Word),
    ("method", Word),
    ("ip", Text),
    ("location", Object),
    ("browser", Optional),
    ("operatingSystem", Optional),
    ("device", Optional),
    ("userAgent", Optional),
    ("detail", Optional),
    ("attempts", Number),
    ("impersonator", Object),
];
const LOCATION: Fields = &[("country", Optional), ("countryCode", Optional), ("city", Optional)];
const IMPERSONATOR: Fields = &[("userId", Id), ("name", Text)];

/// The object in a line that holds these fields, the fields, and those without which a line is nothing.
const OBJECTS: [(&str, &str, Fields, &[&str]); 10] = [
    ("account", "", ACCOUNT, &["kind", "name"]),
    ("account", "passwordPolicy", POLICY, &[]),
    ("role", "", ROLE, &["kind", "account", "name"]),
    ("group", "", GROUP, &["kind", "account", "name"]),
    ("user", "", USER, &["kind", "account", "login"]),
    (
        "user",
        "directoryLink",
        LINK,
        &["directory", "dn", "externalId", "lastCheckedAt"],
    ),
    ("user", "notifications", NOTIFICATIONS, &[]),
    (
        "login",
        "",
        LOGIN,
        &["kind", "account", "at", "outcome", "method", "ip"],
    ),
    ("login", "location", LOCATION, &[]),
    ("login", "impersonator", IMPERSONATOR, &["userId", "name"]),
];

/// The kinds of the lines at the beginning, and the number of the first of them.
const KINDS: [&str; 4] = ["account", "role", "group", "user"];
const FIRST: usize = 900_000;

/// Which of the lines at the beginning is of that kind.
fn place(kind: &str) -> usize {
    1 + KINDS.iter().position(|known| *known == kind).unwrap()
}

/// A line that nothing is wrong with, about something of its own.
fn whole(kind: &str, n: usize) -> Value {
    let id = format!("01900000-0000-7000-8000-{n:012x}");
    match kind {
        "account" => json!({ "kind": "account", "name": format!("account{n}"), "id": id, "title": "T",
            "passwordPolicy": { "minLength": 12 } }),
        "role" => json!({ "kind": "role", "account": "acme", "name": format!("role{n}"), "id": id, "permissions": [] }),
        "group" => json!({ "kind": "group", "account": "acme", "name": format!("group{n}"), "id": id, "main": false }),
        "user" => json!({ "kind": "user", "account": "acme", "login": format!("user{n}"), "id": id, "firstName": "Ann",
            "roles": ["Support"], "notifications": { "dailyReports": true }, "directoryLink": { "directory": "corp",
            "dn": "uid=x", "externalId": format!("entry{n}"), "lastCheckedAt": "2026-03-01T10:00:00Z" } }),
        _ => json!({ "kind": "login", "account": "acme", "id": id, "at": "2026-03-01T10:00:00Z", "user": "good0",
            "attemptedLogin": "good0@acme", "outcome": "SUCCESS", "method": "LOCAL", "ip": "192.0.2.7",
            "location": { "city": "Paris" }, "impersonator": { "userId": id, "name": "root@system" } }),
    }
}

fn inner<'a>(line: &'a mut Value, object: &str) -> &'a mut Map<String, Value> {
    let place = if object.is_empty() { line } else { &mut line[object] };
    place.as_object_mut().unwrap()
}

/// Broken lines, each with what must be said of it.
fn broken() -> Vec<(Vec<u8>, String)> {
    let mut lines: Vec<(Vec<u8>, String)> = Vec::new();
    let mut n = 0;
    let mut next = |kind: &str| {
        n += 1;
        whole(kind, n)
    };
    for (kind, object, fields, required) in OBJECTS {
        for (field, is) in fields {
            for wrong in is.wrong() {
                let mut line = next(kind);
                inner(&mut line, object).insert((*field).to_owned(), wrong);
                let told = if *field == "roles" || *field == "groups" {
                    String::new()
                } else {
                    (*field).to_owned()
                };
                lines.push((line.to_string().into_bytes(), told));
            }
            // Misspelt, not UTF-8, not closed, and of no JSON.
            let mut line = next(kind);
            inner(&mut line, object).insert(format!("{field}s_"), json!("x"));
            lines.push((line.to_string().into_bytes(), format!("did you mean {field:?}?")));
            let mut line = next(kind);
            inner(&mut line, object).insert((*field).to_owned(), json!("@@"));
            let text = line.to_string();
            let at = text.find("@@").unwrap();
            for (bytes, why) in [
                (&b"\xff\xfe"[..], "is not UTF-8"),
                (b"\"x\xc3(", "is not UTF-8"),
                (b"\\u12", "is no JSON"),
            ] {
                lines.push((
                    [&text.as_bytes()[..at], bytes, &text.as_bytes()[at + 2..]].concat(),
                    why.to_owned(),
                ));
            }
            lines.push((text.as_bytes()[..at].to_vec(), "is no JSON".to_owned()));
        }
        for field in required {
            let mut line = next(kind);
            inner(&mut line, object).remove(*field);
            lines.push((line.to_string().into_bytes(), format!("{field} is missing")));
        }
    }
    for (text, why) in [
        ("[]", "is no JSON object"),
        ("null", "is no JSON object"),
        ("\"user\"", "is no JSON object"),
        ("{}", "kind is missing"),
        ("{\"kind\":\"usr\"}", "did you mean \"user\"?"),
        ("{\"kind\":5}", "kind"),
        ("\0", "is no JSON"),
        ("login,firstName", "is no JSON"),
        (
            "{\"kind\":\"user\",\"account\":\"acme\",\"login\":\"GOOD1\"}",
            "the same user as line",
        ),
        (
            "{\"kind\":\"user\",\"account\":\"akme\",\"login\":\"x\"}",
            "did you mean \"acme\"?",
        ),
        (
            "{\"kind\":\"user\",\"account\":\"acme\",\"login\":\"x\",\"passwordHash\":\"plain\"}",
            "unknown kind",
        ),
        (
            "{\"kind\":\"user\",\"account\":\"acme\",\"login\":\"x\",\"roles\":[\"Suport\"]}",
            "did you mean \"Support\"?",
        ),
        (
            "{\"kind\":\"login\",\"account\":\"acme\",\"at\":\"2026-03-01T10:00:00Z\",\"user\":\"nobody\",\"outcome\":\"SUCCESS\",\"method\":\"LOCAL\",\"ip\":\"::1\"}",
            "there is no user",
        ),
        (
            "{\"kind\":\"account\",\"name\":\"x\",\"timeZone\":\"Mars/Base\"}",
            "no IANA time zone",
        ),
        (
            "{\"kind\":\"account\",\"name\":\"x1\",\"directory\":\"nowhere\"}",
            "no directory",
        ),
        (
            "{\"kind\":\"account\",\"name\":\"x2\",\"passwordPolicy\":{\"minLength\":0}}",
            "minLength",
        ),
    ] {
        lines.push((text.as_bytes().to_vec(), why.to_owned()));
    }
    for (kind, named) in [("role", "name"), ("group", "name"), ("user", "login")] {
        let mut line = whole(kind, FIRST + place(kind));
        line[named] = json!("another");
        lines.push((line.to_string().into_bytes(), format!("the same {kind}'s id as line")));
    }
    lines.push((
        format!("{{\"kind\":\"user\",\"x\":\"{}\"}}", "y".repeat(1_100_000)).into_bytes(),
        "is longer than".to_owned(),
    ));
    lines
}

#[test]
fn are_all_named_and_keep_nobody_out_of_the_embedded_store() {
    are_all_named(&Doorward::new());
}

#[test]
fn are_all_named_and_keep_nobody_out_of_mongodb() {
    let database = fresh_database();
    are_all_named(&Doorward::over(&database.url));
}

fn are_all_named(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    doorward
        .run(&["role", "create", "Support@acme", "--permission", "users:read"])
        .succeeds();
    let broken = broken();
    assert!(broken.len() > 1_000, "{}", broken.len());
    let (mut file, mut expected, mut number) = (Vec::new(), BTreeMap::new(), 0_u64);
    // Every kind of line is good when nothing is wrong with it.
    for kind in KINDS {
        number += 1;
        file.extend(format!("{}\n", whole(kind, FIRST + place(kind))).into_bytes());
    }
    for (n, (line, told)) in broken.iter().enumerate() {
        let good = json!({ "kind": "user", "account": "acme", "login": format!("good{n}"), "firstName": "Good" });
        file.extend(format!("{good}\n").into_bytes());
        file.extend(line);
        file.push(b'\n');
        number += 2;
        expected.insert(
            number,
            (told, String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned()),
        );
    }
    file.extend(format!("{}\n", whole("login", FIRST)).into_bytes());
    fs::write(doorward.folder().join("people.ndjson"), file).unwrap();

    for dry_run in [&["--dry-run"][..], &[], &[]] {
        let arguments = [&["import", "people.ndjson", "--history", "--json"][..], dry_run].concat();
        let outcome = doorward.run(&arguments);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let report = outcome.parsed();
        let rejected: Vec<(u64, &str)> = report["rejectedLines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line["line"].as_u64().unwrap(), line["reason"].as_str().unwrap()))
            .collect();
        assert!(rejected.is_sorted_by(|a, b| a.0 < b.0), "in their order, each once");
        for (line, reason) in &rejected {
            let (told, text) = expected
                .get(line)
                .unwrap_or_else(|| panic!("line {line} is good: {reason}"));
            assert!(reason.contains(told.as_str()), "{text}\n{reason}\nshould say {told:?}");
            assert!(reason.len() < 2_000, "{reason}");
        }
        for (line, (told, text)) in &expected {
            let found = rejected.binary_search_by_key(line, |(line, _)| *line).is_ok();
            assert!(found, "line {line} was taken: {told}: {text}");
        }
        assert_eq!(report["rejected"], broken.len());
    }
    let users = doorward.run(&["user", "list", "acme", "--json"]).json();
    assert_eq!(users.as_array().unwrap().len(), broken.len() + 1);
}

#[test]
fn of_a_table_are_named_too() {
    let doorward = Doorward::new();
    doorward.run(&["account", "create", "acme"]).succeeds();
    let import = |text: &[u8]| {
        fs::write(doorward.folder().join("people.csv"), text).unwrap();
        doorward.run(&["import", "people.csv", "--account", "acme"])
    };
    for (header, why) in [
        ("login,fistName", "did you mean \"firstName\"?"),
        ("firstName", "no column login"),
        ("login,login", "login twice"),
    ] {
        let refused = import(format!("{header}\nx,y\n").as_bytes()).fails(1);
        assert!(refused.contains(why), "{refused}");
    }
    let text = b"login,firstName,master,roles,email\n\
        ann,Ann,true,,ann@example.org\n\
        bob,Bob,yes,,\n\
        eve,\"Eve\nAdams\",,,\n\
        tom,Tom,,Support,\n\
        ann,Ann,,,\n\
        sue\n\
        \xff,Sue,,,\n\
        \"zoe\",\"Zo\xc3\xab\",,,zoe@\n\
        last,Last,,,\n\
        \"open,";
    let outcome = import(text);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(
        [&lines[..6], &lines[7..8]].concat(),
        [
            "line 3: master is \"yes\"; it should be true or false",
            "line 4: firstName must not hold control characters",
            "line 6: there is no role \"Support\" in the account",
            "line 7: names the same user as line 2",
            "line 8: has 1 fields; the header has 5",
            "line 9: login is not UTF-8 from byte 1 on",
            "line 12: has 1 fields; the header has 5",
        ],
        "{}",
        outcome.stdout
    );
    assert!(
        lines[6].starts_with("line 10: email is not an e-mail address such as"),
        "{}",
        lines[6]
    );
    let mut endless = b"login,firstName\nann,Ann\nbob,\"Bob\n".to_vec();
    endless.extend(b"x,y\n".repeat(700_000));
    let outcome = import(&endless);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome
            .stdout
            .starts_with("line 3: a record that begins here is longer than"),
        "{}",
        outcome.stdout
    );
}

/// Also where the first of the two was written long before.
#[test]
fn that_give_an_id_again_name_the_line() {
    let doorward = Doorward::new();
    doorward.run(&["account", "create", "acme"]).succeeds();
    let id = |n: usize| format!("018c0af8-6a82-7007-8235-{n:012x}");
    let user =
        |login: &str, id: String| json!({ "kind": "user", "account": "acme", "login": login, "id": id }).to_string();
    let mut lines: Vec<String> = (1..=5_000).map(|n| user(&format!("user{n}"), id(n))).collect();
    lines[9] = user("beside", id(9)); // the same batch
    lines[4_999] = user("much-later", id(3));
    fs::write(doorward.folder().join("people.ndjson"), lines.join("\n")).unwrap();
    for options in [&["--dry-run"][..], &[]] {
        let outcome = doorward.run(&[&["import", "people.ndjson"], options].concat());
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let told: Vec<&str> = outcome
            .stdout
            .lines()
            .filter(|line| line.starts_with("line "))
            .collect();
        let expected = [
            "line 10: names the same user's id as line 9",
            "line 5000: names the same user's id as line 3",
        ];
        assert_eq!(told, expected, "{options:?}: {}", outcome.stdout);
    }
    // Imported again, another line for a user who is there by that id is still the same user twice.
    let outcome = doorward.run(&["import", "people.ndjson"]);
    assert!(outcome.stdout.contains("4998 users"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("line 5000: names the same user's id as line 3"),
        "{}",
        outcome.stdout
    );
}
