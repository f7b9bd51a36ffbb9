//! The mail server fails in every way while 500 mails are queued: in the end every one arrived, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Client, prepare, text};
use crate::support::mongod::fresh_database;
use crate::support::process::Doorward;
use crate::support::smtp::{Behaviour, MailServer, MailServerOptions, Received, Stage};
use crate::support::turn;

/// Recipients whose address contains this are refused throughout.
const GONE: &str = "gone";
/// Who is told of each alert; one of them is gone.
const SUBSCRIBERS: usize = 20;
/// With each alert so many users are made who get a mail; one of them is gone.
const USERS: usize = 5;
/// The ways to fail, in turn; at the end there are 500 mails.
const FAULTS: [Behaviour; 10] = [
    Behaviour::Defer(Stage::Recipient),
    Behaviour::Drop(Stage::Body),
    Behaviour::Hang(Stage::Body),
    Behaviour::Defer(Stage::Greeting),
    Behaviour::Defer(Stage::End),
    Behaviour::Drop(Stage::Stored),
    Behaviour::Hang(Stage::Stored),
    Behaviour::Drop(Stage::End),
    Behaviour::Hang(Stage::Greeting),
    Behaviour::Hang(Stage::Mail),
];
const MAILS: usize = FAULTS.len() * 2 * (SUBSCRIBERS + USERS);
/// How long each lasts after it first showed.
const WHILE: Duration = Duration::from_millis(1_500);
const SOON: Duration = Duration::from_secs(30);
/// For all that is left, at two busy cores.
const RECOVERY: Duration = Duration::from_secs(240);

#[test]
fn every_mail_arrives_once_from_one_process_over_the_embedded_store() {
    let _turn = turn::shared();
    check(Doorward::new(), 1);
}

#[test]
fn every_mail_arrives_once_from_two_processes_over_mongodb() {
    let _turn = turn::shared();
    let database = fresh_database();
    check(Doorward::over(&database.url), 2);
}

fn check(mut doorward: Doorward, processes: usize) {
    assert_eq!(MAILS, 500);
    let mut server = MailServer::start(MailServerOptions::default());
    server.behave(&[Behaviour::Reject(GONE)]);
    prepare(&mut doorward, &server);
    let servings: Vec<_> = (0..processes).map(|_| doorward.serve(&["serve"])).collect();
    let addresses: Vec<SocketAddr> = servings.iter().map(|serving| serving.address).collect();
    let mut company = Company::start(&addresses);

    for (round, fault) in FAULTS.into_iter().enumerate() {
        // The server fails while it is being sent to, and is sent to when it fails.
        company.queue(2 * round);
        server.behave(&[Behaviour::Reject(GONE), fault]);
        let (kind, stage) = names(fault);
        let seen = |server: &MailServer| server.events(kind).iter().filter(|event| event["at"] == stage).count();
        let before = seen(&server);
        if stage == "greeting" {
            // Also for those who are connected.
            server.kill();
            thread::sleep(WHILE);
            server.restart();
        }
        company.queue(2 * round + 1);
        let deadline = Instant::now() + SOON;
        while seen(&server) <= before {
            assert!(Instant::now() < deadline, "{fault:?} comes to nothing");
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(WHILE);
        server.behave(&[Behaviour::Reject(GONE), Behaviour::Slow(Duration::from_millis(5))]);
    }
    assert_eq!(company.expected.len(), MAILS);
    server.behave(&[Behaviour::Reject(GONE)]);
    company.clients[0].wait_until_all_is_sent(RECOVERY);

    company.check_queue();
    company.check_arrivals(&server.messages());
}

/// What the server notes of it.
fn names(fault: Behaviour) -> (&'static str, &'static str) {
    let (kind, stage) = match fault {
        Behaviour::Defer(stage) => ("defer", stage),
        Behaviour::Hang(stage) => ("hang", stage),
        Behaviour::Drop(stage) => ("drop", stage),
        other => panic!("{other:?} has no stage"),
    };
    (kind, stage.name())
}

/// An account whose people get mails, by way of one gateway, then another.
struct Company {
    clients: Vec<Client>,
    /// An application, at each gateway.
    applications: Vec<Client>,
    acme: Value,
    /// Recipient and subject of every mail.
    expected: BTreeSet<(String, String)>,
}

impl Company {
    fn start(gateways: &[SocketAddr]) -> Self {
        let operator = Client::operator(gateways[0]);
        let acme = operator.acme();
        for n in 0..SUBSCRIBERS {
            let input = json!({
                "account": acme, "login": format!("reader{n}"), "email": subscriber(n),
                "notifications": { "hardBounces": true },
            });
            operator.change("createUser", "user { id }", input);
        }
        let role = json!({ "account": acme, "name": "Alerting", "permissions": ["alerts:publish"] });
        let role = operator.change("createRole", "role { id }", role);
        let token = json!({ "account": acme, "name": "application", "roles": [role["role"]["id"]] });
        let token = text(&operator.change("createApiToken", "secret", token)["secret"]);
        let with = |token: &str| {
            let at = |address: &SocketAddr| Client {
                address: *address,
                token: token.to_owned(),
            };
            gateways.iter().map(at).collect()
        };
        Self {
            clients: with(&operator.token),
            applications: with(&token),
            acme,
            expected: BTreeSet::new(),
        }
    }

    /// An alert, and some new users.
    fn queue(&mut self, turn: usize) {
        let subject = format!("Alert {turn}");
        let input = json!({ "kind": "HARD_BOUNCES", "subject": subject, "body": "Look at it.\n".repeat(500) });
        let application = &self.applications[turn % self.applications.len()];
        let payload = application.change("publishAlert", "recipients", input);
        assert_eq!(payload["recipients"], json!(SUBSCRIBERS));
        let mails = (0..SUBSCRIBERS).map(|reader| (subscriber(reader), format!("[acme] {subject}")));
        self.expected.extend(mails);
        for n in 0..USERS {
            let login = format!("new{turn}.{n}");
            let who = if n == 0 { GONE } else { "new" };
            let email = format!("{who}.{turn}.{n}@example.org");
            let input = json!({ "account": self.acme, "login": login, "email": email, "sendAccessEmail": true });
            let client = &self.clients[(turn + n) % self.clients.len()];
            client.change("createUser", "user { id }", input);
            self.expected
                .insert((email, "Set your password for Doorward".to_owned()));
        }
    }

    /// Everything is sent, but for what was refused: that says why.
    fn check_queue(&self) {
        let mails = self.clients[0].all("mailQueue", "to subject state attempts lastError nextAttemptAt sentAt");
        let there = |mail: &Value| (text(&mail["to"]), text(&mail["subject"]));
        assert_eq!(mails.len(), MAILS);
        same(&mails.iter().map(there).collect(), &self.expected);
        let mut tried_again = 0;
        for mail in &mails {
            let is_gone = text(&mail["to"]).contains(GONE);
            assert_eq!(mail["state"], if is_gone { "FAILED" } else { "SENT" }, "{mail}");
            assert_eq!(mail["sentAt"].is_null(), is_gone, "{mail}");
            assert_eq!(mail["nextAttemptAt"], Value::Null, "{mail}");
            if is_gone {
                assert_eq!(mail["lastError"], "550 No such mailbox here", "{mail}");
            } else {
                assert_eq!(mail["lastError"], Value::Null, "{mail}");
            }
            tried_again += usize::from(mail["attempts"].as_u64() > Some(1));
        }
        assert!(tried_again > 50, "the faults hit {tried_again} mails only");
    }

    /// Each mail came once; more often only when the server's word that it had it was lost each time before.
    fn check_arrivals(&self, received: &[Received]) {
        let mut came: BTreeMap<(String, String), Vec<&Received>> = BTreeMap::new();
        for message in received {
            let key = (message.envelope.to.join(" "), message.subject().to_owned());
            came.entry(key).or_default().push(message);
        }
        let wanted: BTreeSet<_> = self
            .expected
            .iter()
            .filter(|(to, _)| !to.contains(GONE))
            .cloned()
            .collect();
        same(&came.keys().cloned().collect(), &wanted);
        let mut identifiers = BTreeSet::new();
        for (mail, copies) in &came {
            let ids: BTreeSet<String> = copies.iter().map(|copy| copy.header("Message-ID").unwrap()).collect();
            assert_eq!(ids.len(), 1, "{mail:?}: {ids:?}");
            let answered: Vec<bool> = copies.iter().map(|copy| copy.was_answered).collect();
            assert!(
                !answered[..answered.len() - 1].contains(&true),
                "{mail:?} was sent again after it was taken: {answered:?}"
            );
            identifiers.extend(ids);
        }
        assert_eq!(identifiers.len(), wanted.len(), "a Message-ID is one mail's");
        assert!(received.len() > wanted.len(), "no answer was lost");
    }
}

/// Both are the same; without what they share, which is much.
#[track_caller]
fn same(found: &BTreeSet<(String, String)>, expected: &BTreeSet<(String, String)>) {
    let difference: Vec<_> = found.symmetric_difference(expected).collect();
    assert!(difference.is_empty(), "{} differ: {difference:?}", difference.len());
}

fn subscriber(n: usize) -> String {
    let who = if n == 0 { GONE } else { "reader" };
    format!("{who}.{n}@example.org")
}
