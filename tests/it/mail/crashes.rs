//! A user and the mail that lets it in are there together or not at all, however often the gateway is killed, and the mail
//! arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, prepare, text};
use crate::support::mongod::fresh_database;
use crate::support::process::Doorward;
use crate::support::smtp::{Behaviour, MailServer, MailServerOptions};
use crate::support::turn;

const KILLS: usize = 50;
const WRITERS: usize = 2;
/// MongoDB gives the transactions of a process that is gone up after a minute; until then they hold what they changed.
const RECOVERY: Duration = Duration::from_secs(180);

#[test]
fn access_mails_outlive_fifty_kills_over_the_embedded_store() {
    let _turn = turn::shared();
    check(Doorward::new());
}

#[test]
fn access_mails_outlive_fifty_kills_over_mongodb() {
    let _turn = turn::shared();
    let database = fresh_database();
    check(Doorward::over(&database.url));
}

fn check(mut doorward: Doorward) {
    let server = MailServer::start(MailServerOptions::default());
    // So that mails are under way at any moment.
    server.behave(&[Behaviour::Slow(Duration::from_millis(5))]);
    prepare(&mut doorward, &server);
    let operator = Client::operator(doorward.serve(&["serve"]).address);
    let mut acme = Value::Null;
    let acknowledged = Mutex::new(BTreeSet::new());
    let mut begun_in_all = 0;
    for round in 0..KILLS {
        let serving = doorward.serve(&["serve"]);
        let client = at(&operator, serving.address);
        if round == 0 {
            acme = client.acme();
        }
        let begun = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|number| {
                    let (client, acme, acknowledged, begun) = (&client, &acme, &acknowledged, &begun);
                    scope.spawn(move || {
                        let names = (0..).map(|turn| format!("r{round}w{number}n{turn}"));
                        make_users(client, acme, names, begun, acknowledged)
                    })
                })
                .collect();
            while !begun.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            // Spread over the steps of making users and of sending mails.
            thread::sleep(Duration::from_micros(3_100 * (round as u64 * 37 % 50)));
            let (code, _) = serving.stop("-KILL");
            assert_eq!(code, None, "killed");
            begun_in_all += writers.into_iter().map(|writer| writer.join().unwrap()).sum::<usize>();
        });
    }
    let acknowledged = acknowledged.into_inner().unwrap();

    let serving = doorward.serve(&["serve"]);
    let client = at(&operator, serving.address);
    let mails = mails(&client);
    let users: BTreeSet<String> = client
        .all("users", "email")
        .iter()
        .filter_map(|user| user["email"].as_str().map(str::to_owned))
        .collect();
    for (address, states) in &mails {
        assert_eq!(states.len(), 1, "{address} gets one mail");
    }
    assert_eq!(
        mails.keys().cloned().collect::<BTreeSet<_>>(),
        users,
        "user and mail go together"
    );
    let lost: Vec<&String> = acknowledged.difference(&users).collect();
    assert!(
        lost.is_empty(),
        "of {} acknowledged are lost: {lost:?}",
        acknowledged.len()
    );
    assert!(acknowledged.len() >= KILLS);
    // The kills came in the middle: of those that were cut off, some are there and some are not.
    assert!(
        acknowledged.len() < begun_in_all,
        "{} of {begun_in_all} were acknowledged",
        acknowledged.len()
    );

    server.behave(&[]);
    client.wait_until_all_is_sent(RECOVERY);
    let mut tried_again = 0;
    for (address, states) in self::mails(&client) {
        assert_eq!(states[0].0, "SENT", "{address}");
        tried_again += usize::from(states[0].1 > 1);
    }
    assert!(tried_again > 0, "no mail was in hand when the gateway was killed");
    let mut arrived: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for message in server.messages() {
        let ids = arrived.entry(message.envelope.to.join(" ")).or_default();
        ids.insert(message.header("Message-ID").unwrap());
    }
    for (address, ids) in &arrived {
        assert_eq!(ids.len(), 1, "{address}: a mail that comes twice is the same one");
    }
    assert_eq!(arrived.into_keys().collect::<BTreeSet<_>>(), users);
}

fn at(client: &Client, address: SocketAddr) -> Client {
    Client {
        address,
        ..client.clone()
    }
}

/// Makes one user after the other, until the gateway is gone; says how many it asked for.
fn make_users(
    client: &Client,
    acme: &Value,
    names: impl Iterator<Item = String>,
    begun: &AtomicBool,
    acknowledged: &Mutex<BTreeSet<String>>,
) -> usize {
    let mut asked = 0;
    for login in names {
        asked += 1;
        let email = format!("{login}@example.org");
        let input = json!({ "account": acme, "login": login, "email": email, "sendAccessEmail": true });
        if client.try_change("createUser", "user { id }", input).is_none() {
            break;
        }
        acknowledged.lock().unwrap().insert(email);
        begun.store(true, Ordering::SeqCst);
    }
    asked
}

/// State and attempts of the mails to each address.
fn mails(client: &Client) -> BTreeMap<String, Vec<(String, u64)>> {
    let mut found: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for mail in client.all("mailQueue", "to state attempts") {
        let mails = found.entry(text(&mail["to"])).or_default();
        mails.push((text(&mail["state"]), mail["attempts"].as_u64().unwrap()));
    }
    found
}
