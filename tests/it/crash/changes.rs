//! A change and its audit entry are there together or not at all, however often the process is killed between the two.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::PASSWORD;
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, graphql_as, try_token};

const KILLS: usize = 100;
const WRITERS: usize = 3;
/// How many kinds of work the writers take turns at: see [`Writer::work`].
const KINDS: usize = 6;

#[test]
fn changes_and_their_entries_outlive_a_hundred_kills_over_the_embedded_store() {
    check(&Doorward::new());
}

#[test]
fn changes_and_their_entries_outlive_a_hundred_kills_over_mongodb() {
    let database = fresh_database();
    check(&Doorward::over(&database.url));
}

fn check(doorward: &Doorward) {
    doorward.run(&["account", "create", "acme"]).succeeds();
    let create = ["user", "create", "root@system", "--master", "--password-stdin"];
    doorward.run_with_input(&create, PASSWORD).succeeds();
    let (token, acme, revisions) = {
        let serving = doorward.with_no_limits().serve(&["serve"]);
        let token = try_token(serving.address, "root@system", PASSWORD).unwrap();
        let reader = Reader {
            address: serving.address,
            token: &token,
        };
        let acme = reader.ask("{ account(name: \"acme\") { id } }", json!({}))["account"]["id"].clone();
        let revisions = reader.revisions(&acme);
        (token, acme, revisions)
    };
    let told = Mutex::new(Told {
        revisions,
        ..Told::default()
    });
    for round in 0..KILLS {
        let serving = doorward.serve(&["serve"]);
        let begun = AtomicBool::new(false);
        thread::scope(|scope| {
            for number in 0..WRITERS {
                let writer = Writer {
                    address: serving.address,
                    token: &token,
                    acme: &acme,
                    told: &told,
                    begun: &begun,
                };
                scope.spawn(move || {
                    let kind = (round * WRITERS + number) % KINDS;
                    let mut names = (0..).map(|turn| format!("r{round}w{number}n{turn}"));
                    while names.next().and_then(|name| writer.work(kind, &name)).is_some() {}
                });
            }
            while !begun.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            // Spread over the steps of a change, which takes milliseconds.
            thread::sleep(Duration::from_micros(1_700 * (round as u64 % 29)));
            let (code, _) = serving.stop("-KILL");
            assert_eq!(code, None, "killed");
        });
    }
    let serving = doorward.serve(&["serve"]);
    let reader = Reader {
        address: serving.address,
        token: &token,
    };
    compare(&reader, &acme, &told.into_inner().unwrap());
}

/// What the writers know for sure.
#[derive(Debug, Default)]
struct Told {
    /// The revision at which each thing was last acknowledged, by id.
    revisions: HashMap<String, i64>,
    /// What was acknowledged to be gone.
    deleted: HashSet<String>,
    /// How many requests were sent and never answered.
    cut: usize,
}

/// Changes one thing after the other, until the server is gone.
#[derive(Debug)]
struct Writer<'a> {
    address: SocketAddr,
    token: &'a str,
    acme: &'a Value,
    told: &'a Mutex<Told>,
    /// Somebody was answered in this round.
    begun: &'a AtomicBool,
}

impl Writer<'_> {
    /// One turn of the work of that kind. Each turn has things of its own: MongoDB gives what the transactions of a process
    /// that is gone held up after a minute only.
    fn work(&self, kind: usize, name: &str) -> Option<()> {
        let acme = self.acme;
        let user = json!({ "account": acme, "login": name });
        match kind {
            0 => {
                let id = self.change("createUser", "user", user)?;
                self.change("updateUser", "user", json!({ "id": id, "firstName": "One" }))?;
                self.change("updateUser", "user", json!({ "id": id, "firstName": "Two" }))?;
            }
            1 => {
                let id = self.change("createUser", "user", user)?;
                let input = json!({ "id": id, "password": PASSWORD });
                self.change("setUserPassword", "user", input.clone())?;
                self.change("setUserPassword", "user", input)?;
            }
            2 => {
                let id = self.change("createUser", "user", user)?;
                self.delete("deleteUser", id)?;
            }
            3 => {
                let input = json!({ "account": acme, "name": name, "permissions": ["tickets:read"] });
                let id = self.change("createRole", "role", input)?;
                self.change("updateRole", "role", json!({ "id": id, "description": name }))?;
                self.delete("deleteRole", id)?;
            }
            4 => {
                // More of these than of tokens, of which only so many are listed.
                let id = self.change("createAccount", "account", json!({ "name": name }))?;
                for title in ["One", "Two", "Three"] {
                    self.change("updateAccount", "account", json!({ "id": id, "title": title }))?;
                }
            }
            _ => {
                let input = json!({ "account": acme, "name": name, "roles": [] });
                self.change("createApiToken", "apiToken", input)?;
                self.change("createUser", "user", user)?;
            }
        }
        Some(())
    }

    /// Makes or changes something; its id, once that is acknowledged.
    fn change(&self, mutation: &str, thing: &str, input: Value) -> Option<String> {
        let revision = if thing == "apiToken" { "" } else { "revision" };
        let payload = self.send(mutation, &format!("{thing} {{ id {revision} }}"), input)?;
        let thing = &payload[thing];
        let id = thing["id"].as_str().unwrap_or_else(|| panic!("{mutation}: {payload}"));
        let revision = thing["revision"].as_i64().unwrap_or(1);
        self.told().revisions.insert(id.to_owned(), revision);
        Some(id.to_owned())
    }

    fn delete(&self, mutation: &str, id: String) -> Option<()> {
        let payload = self.send(mutation, "deletedId", json!({ "id": id }))?;
        assert_eq!(payload["deletedId"], id, "{mutation}: {payload}");
        self.told().deleted.insert(id);
        Some(())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// The payload; `None` when the server went away first, which is counted when it had the request.
    fn send(&self, mutation: &str, fields: &str, input: Value) -> Option<Value> {
        let kind = format!("{}{}", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($i: {kind}Input!) {{ {mutation}(input: $i) {{ {fields} userErrors {{ code message }} }} }}"
        );
        let body = json!({ "query": query, "variables": { "i": input } }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nHost: {0}\r\nContent-Type: application/json\r\nAuthorization: Bearer {1}\r\n\
             Content-Length: {2}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(2)).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let json = answer
            .split_once("\r\n\r\n")
            .map(|(_, json)| serde_json::from_str(json));
        let (Ok(_), Some(Ok(answer))) = (read, json) else {
            self.told().cut += 1;
            return None;
        };
        let answer: Value = answer;
        assert!(answer.get("errors").is_none(), "{mutation}: {answer:#}");
        self.begun.store(true, Ordering::SeqCst);
        Some(answer["data"][mutation].clone())
    }
}

/// Somebody who sees everything.
#[derive(Debug)]
struct Reader<'a> {
    address: SocketAddr,
    token: &'a str,
}

impl Reader<'_> {
    fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let answer = graphql_as(self.address, Some(self.token), &body).unwrap();
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }

    /// A whole list.
    fn all(&self, list: &str, fields: &str) -> Vec<Value> {
        let query = format!(
            "query($after: String) {{ {list}(first: 200, after: $after) {{ nodes {{ {fields} }}
                pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let (mut found, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = self.ask(&query, json!({ "after": after }))[list].take();
            found.extend(page["nodes"].as_array().unwrap().clone());
            if page["pageInfo"]["hasNextPage"] == json!(false) {
                return found;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }

    /// The revision of everything that is there, by id; of a token, which has none, 1.
    fn revisions(&self, acme: &Value) -> HashMap<String, i64> {
        let mut found = HashMap::new();
        for list in ["users", "roles", "accounts"] {
            let things = self.all(list, "id revision").into_iter();
            found.extend(things.map(|thing| (text(&thing["id"]), thing["revision"].as_i64().unwrap())));
        }
        let tokens = self.ask(
            "query($of: ID!) { apiTokens(account: $of) { id } }",
            json!({ "of": acme }),
        );
        let tokens = tokens["apiTokens"].as_array().unwrap();
        assert!(tokens.len() < 500, "not all of the tokens are listed");
        found.extend(tokens.iter().map(|token| (text(&token["id"]), 1)));
        found
    }

    /// What the log says of everything that was ever there, by id.
    fn log(&self) -> HashMap<String, Logged> {
        let mut found: HashMap<String, Logged> = HashMap::new();
        for entry in self.all("auditLog", "action targetId") {
            let of = found.entry(text(&entry["targetId"])).or_default();
            match text(&entry["action"]) {
                action if action.starts_with("create") => of.made += 1,
                action if action.starts_with("delete") => of.deleted += 1,
                _ => of.changed += 1,
            }
        }
        found
    }
}

/// The log's entries for one thing.
#[derive(Debug, Default)]
struct Logged {
    made: i64,
    changed: i64,
    deleted: i64,
}

/// Holds what is there, what the log says, and what the writers were told, against each other.
fn compare(reader: &Reader<'_>, acme: &Value, told: &Told) {
    let (there, mut logged) = (reader.revisions(acme), reader.log());
    assert!(there.len() > KILLS, "every round made something");
    // What was done although nobody was told.
    let mut untold = 0;
    for (id, revision) in &there {
        let of = logged.remove(id).unwrap_or_default();
        let as_made = (of.made, of.changed, of.deleted) == (1, revision - 1, 0);
        assert!(as_made, "a change without its entry: {id} at {revision}, {of:?}");
        let known = told.revisions.get(id).copied().unwrap_or(0);
        assert!(known <= *revision, "an acknowledged change is lost: {id}, {known}");
        assert!(!told.deleted.contains(id), "{id} came back");
        untold += revision - known;
    }
    for (id, of) in &logged {
        let as_gone = (of.made, of.deleted) == (1, 1);
        assert!(as_gone, "an entry without its change: {id}, {of:?}");
        let known = told.revisions.get(id).copied().unwrap_or(0);
        assert_eq!(
            known,
            of.made + of.changed,
            "nobody deletes what they do not know: {id}"
        );
        untold += i64::from(!told.deleted.contains(id));
    }
    let mut acknowledged = told.revisions.keys();
    let lost = acknowledged.find(|id| !there.contains_key(*id) && !logged.contains_key(*id));
    assert_eq!(lost, None, "what was acknowledged is neither there nor in the log");

    // The kills came in the middle of changes: of those that were cut off, some are there and some are not.
    let cut = i64::try_from(told.cut).unwrap();
    assert!(
        0 < untold && untold < cut,
        "{untold} of {cut} that were cut off are there"
    );
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}
