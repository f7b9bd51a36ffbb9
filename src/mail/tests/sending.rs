//! What comes of handing messages to servers of every mood, over real sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::config::MailServer;
use crate::domain::user::Email;

/// The time for an attempt at a server that falls silent: enough to come that far on a slow machine.
const SHORT: Duration = Duration::from_secs(3);

/// What the server does at a step instead of going along.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Say(&'static str),
    SayAndHangUp(&'static str),
    HangUp,
    Silence,
    SayAndFallSilent(&'static str),
}

/// A step of a conversation: the connection's number from 0, and the command, or "CONNECT", "BODY", "IDLE" (after a message).
type Script = fn(connection: usize, step: &str, line: &str) -> Option<Mood>;

/// A mail server in clear that follows a script.
struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, number, script, Arc::clone(&log)));
                number += 1;
            }
        });
        Self { address, seen }
    }

    fn config(&self, user: &str) -> MailConfig {
        MailConfig {
            server: Some(MailServer::parse(&format!("smtp://{user}{}?tls=none", self.address)).unwrap()),
            password: Some("a secret".to_owned().into()),
            ..MailConfig::default()
        }
    }

    async fn sender(&self) -> Sender {
        Sender::new(&self.config("")).await.unwrap()
    }

    /// The steps so far: `0 MAIL`.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self, step: &str) -> usize {
        self.seen().iter().filter(|seen| seen.ends_with(step)).count()
    }
}

async fn talk(mut stream: tokio::net::TcpStream, number: usize, script: Script, log: Arc<Mutex<Vec<String>>>) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let (mut step, mut line) = ("CONNECT".to_owned(), String::new());
    let mut in_body = false;
    loop {
        log.lock().unwrap().push(format!("{number} {step}"));
        let usual = match step.as_str() {
            "CONNECT" => "220 mail.test ESMTP",
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN",
            "AUTH" => "235 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        match script(number, &step, &line).unwrap_or(Mood::Say(usual)) {
            Mood::Say(answer) => {
                in_body = step == "DATA" && answer.starts_with("354");
                if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                    return;
                }
            }
            Mood::SayAndHangUp(answer) => {
                let _ = write.write_all(format!("{answer}\r\n").as_bytes()).await;
                return;
            }
            Mood::HangUp => return,
            Mood::Silence => std::future::pending().await,
            Mood::SayAndFallSilent(answer) => {
                let _ = write.write_all(format!("{answer}\r\n").as_bytes()).await;
                std::future::pending().await
            }
        }
        if step == "BODY" && matches!(script(number, "IDLE", ""), Some(Mood::HangUp)) {
            return;
        }
        loop {
            let Ok(Some(next)) = lines.next_line().await else {
                return;
            };
            if in_body && next != "." {
                continue;
            }
            step = if in_body {
                "BODY".to_owned()
            } else {
                next.split([' ', ':']).next().unwrap().to_owned()
            };
            line = next;
            break;
        }
    }
}

fn letter(to: &str) -> Message {
    let templates = built_in();
    let mut sample = queued(templates, samples::sample("alert", Language::Ru).unwrap());
    sample.mail.to = Email::parse(to).unwrap();
    let parts = rendered(templates, &sample);
    message(&sample.mail, &parts, &MailConfig::default(), "localhost").unwrap()
}

/// What comes of one message.
async fn outcome(script: Script) -> Result<(), SendError> {
    let server = Server::start(script).await;
    let mut sender = server.sender().await;
    if ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"]
        .iter()
        .any(|step| matches!(script(0, step, ""), Some(Mood::Silence)))
    {
        sender.limit = SHORT;
    }
    sender.send(&letter("ann@example.org")).await
}

#[tokio::test]
async fn one_connection_takes_message_after_message() {
    let server = Server::start(|_, _, _| None).await;
    let sender = server.sender().await;
    for _ in 0..3 {
        sender.send(&letter("ann@example.org")).await.unwrap();
    }
    assert_eq!((server.count("CONNECT"), server.count("BODY")), (1, 3));
    sender.close().await;
    assert_eq!(server.count("QUIT"), 1);
    sender.send(&letter("ann@example.org")).await.unwrap();
    assert_eq!(server.count("CONNECT"), 2, "a sender that was closed connects again");
}

#[tokio::test]
async fn messages_at_once_have_connections_of_their_own() {
    let server = Server::start(|_, _, _| None).await;
    let sender = server.sender().await;
    let letter = letter("ann@example.org");
    let all = futures_util::future::join_all((0..20).map(|_| sender.send(&letter))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(server.count("BODY"), 20);
    sender.close().await;
    assert_eq!(server.count("QUIT"), 8, "so many are kept at most");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_costs_no_attempt() {
    let hangs_up: Script = |_, step, _| (step == "IDLE").then_some(Mood::HangUp);
    let at_rset: Script = |number, step, _| (number == 0 && step == "RSET").then_some(Mood::Say("421 too long"));
    let after_rset: Script = |_, step, _| (step == "RSET").then_some(Mood::SayAndHangUp("250 ok"));
    for script in [hangs_up, at_rset, after_rset] {
        let server = Server::start(script).await;
        let sender = server.sender().await;
        for _ in 0..3 {
            sender.send(&letter("ann@example.org")).await.unwrap();
        }
        assert_eq!(server.count("BODY"), 3, "{:?}", server.seen());
    }
}

#[tokio::test]
async fn what_a_server_says_about_a_message_is_told_apart() {
    let refused = |code: u16, reason: &str| SendError::Refused {
        code: Some(code),
        reason: reason.to_owned(),
    };
    let later = |code: u16, reason: &str| SendError::Later {
        code,
        reason: reason.to_owned(),
    };
    let at_rcpt = outcome(|_, step, _| {
        (step == "RCPT").then_some(Mood::Say("550-5.1.1 nobody\u{7}\r\n550 5.1.1   here  by that name"))
    });
    assert_eq!(at_rcpt.await, Err(refused(550, "550 5.1.1 nobody here by that name")));
    let at_body = outcome(|_, step, _| (step == "BODY").then_some(Mood::Say("554 spam")));
    assert_eq!(at_body.await, Err(refused(554, "554 spam")));
    let at_rcpt = outcome(|_, step, _| (step == "RCPT").then_some(Mood::Say("451 greylisted")));
    assert_eq!(at_rcpt.await, Err(later(451, "451 greylisted")));
    let at_data = outcome(|_, step, _| (step == "DATA").then_some(Mood::Say("452 no room")));
    assert_eq!(at_data.await, Err(later(452, "452 no room")));
    let at_body = outcome(|_, step, _| (step == "BODY").then_some(Mood::Say("451 try again")));
    assert_eq!(at_body.await, Err(later(451, "451 try again")));
}

#[tokio::test]
async fn what_is_no_fault_of_the_message_is_never_final() {
    let scripts: [Script; 10] = [
        |_, step, _| (step == "CONNECT").then_some(Mood::Say("554 no service")),
        |_, step, _| (step == "CONNECT").then_some(Mood::HangUp),
        |_, step, _| (step == "EHLO").then_some(Mood::Say("550 not you")),
        |_, step, _| (step == "MAIL").then_some(Mood::Say("550 unknown sender")),
        |_, step, _| (step == "MAIL").then_some(Mood::Say("530 sign in first")),
        |_, step, _| (step == "RCPT").then_some(Mood::Say("530 sign in first")),
        |_, step, _| (step == "RCPT").then_some(Mood::Say("421 going down")),
        |_, step, _| (step == "DATA").then_some(Mood::HangUp),
        |_, step, _| (step == "BODY").then_some(Mood::Say("421 going down")),
        |_, step, _| (step == "RCPT").then_some(Mood::Silence),
    ];
    for (script, number) in scripts.into_iter().zip(0..) {
        let result = outcome(script).await;
        assert!(
            matches!(result, Err(SendError::Unreachable { .. })),
            "{number}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_sign_in_that_fails_is_the_configurations_trouble_and_shows_no_password() {
    let server = Server::start(|_, step, _| (step == "AUTH").then_some(Mood::Say("535 no such user"))).await;
    let sender = Sender::new(&server.config("ann@")).await.unwrap();
    let error = sender.send(&letter("ann@example.org")).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { .. }), "{error:?}");
    let text = format!("{error} {error:?} {sender:?}");
    assert!(text.contains("535") && text.contains("no such user"), "{text}");
    assert!(
        !text.contains("a secret") && !text.contains("AGFubgBhIHNlY3JldA"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = MailConfig {
        server: Some(MailServer::parse(&format!("smtp://{address}?tls=none")).unwrap()),
        ..MailConfig::default()
    };
    let sender = Sender::new(&config).await.unwrap();
    let error = sender.send(&letter("ann@example.org")).await.unwrap_err();
    assert!(
        matches!(&error, SendError::Unreachable { reason } if reason.starts_with(&address.to_string())),
        "{error:?}"
    );
    assert!(matches!(Sender::new(&MailConfig::default()).await, Err(MailError::Off)));
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_required() {
    let server = Server::start(|_, _, _| None).await;
    let config = MailConfig {
        server: Some(MailServer::parse(&format!("smtp://{}", server.address)).unwrap()),
        ..MailConfig::default()
    };
    let sender = Sender::new(&config).await.unwrap();
    let error = sender.send(&letter("ann@example.org")).await.unwrap_err();
    assert!(
        matches!(&error, SendError::Unreachable { reason } if reason.contains("STARTTLS")),
        "{error:?}"
    );
    assert_eq!(server.count("MAIL"), 0);
}

#[tokio::test]
async fn a_server_that_falls_silent_with_the_whole_message_may_have_taken_it() {
    for script in [
        (|_, step, _| (step == "BODY").then_some(Mood::HangUp)) as Script,
        |_, step, _| (step == "BODY").then_some(Mood::Silence),
        |_, step, _| (step == "BODY").then_some(Mood::Say("what?")),
    ] {
        let result = outcome(script).await;
        assert!(matches!(result, Err(SendError::Unknown { .. })), "{result:?}");
    }
}

/// More than sockets hold: whoever sends it finds out when the other side reads no more.
fn long_letter() -> Message {
    Message::builder()
        .from("Doorward <no-reply@example.org>".parse().unwrap())
        .to("ann@example.org".parse().unwrap())
        .body(format!("{}\r\n", "x".repeat(60)).repeat(130_000))
        .unwrap()
}

#[tokio::test]
async fn a_server_that_breaks_off_amid_a_message_is_not_away() {
    for script in [
        (|_, step, _| (step == "DATA").then_some(Mood::SayAndHangUp("354 go on"))) as Script,
        |_, step, _| (step == "DATA").then_some(Mood::SayAndFallSilent("354 go on")),
    ] {
        let server = Server::start(script).await;
        let mut sender = server.sender().await;
        sender.limit = 2 * SHORT;
        let result = sender.send(&long_letter()).await;
        assert!(matches!(result, Err(SendError::BrokenOff { .. })), "{result:?}");
        assert_eq!(server.count("MAIL"), 1, "it is not offered again at once");
    }
}

#[tokio::test]
async fn a_connection_that_an_attempt_was_given_up_on_is_not_used_again() {
    // The first message is answered by silence. Were its connection used again, the answers would be off by one.
    let server = Server::start(|number, step, line| match (number, step) {
        (0, "BODY") => Some(Mood::Silence),
        (_, "RCPT") if line.contains("bob") => Some(Mood::Say("550 no bob")),
        _ => None,
    })
    .await;
    let mut sender = server.sender().await;
    sender.limit = SHORT;
    let first = sender.send(&letter("ann@example.org")).await;
    sender.limit = MailConfig::default().timeout;
    assert!(matches!(first, Err(SendError::Unknown { .. })), "{first:?}");
    let second = sender.send(&letter("bob@example.org")).await;
    assert!(
        matches!(second, Err(SendError::Refused { code: Some(550), .. })),
        "{second:?}"
    );
    sender.send(&letter("ann@example.org")).await.unwrap();
    assert_eq!(
        server.count("CONNECT"),
        2,
        "one that refused a recipient goes on: {:?}",
        server.seen()
    );
}

#[tokio::test]
async fn an_address_outside_ascii_takes_a_server_that_knows_it() {
    let result = {
        let server = Server::start(|_, _, _| None).await;
        server.sender().await.send(&letter("анна@example.org")).await
    };
    assert!(
        matches!(&result, Err(SendError::Refused { code: None, reason }) if reason.contains("SMTPUTF8")),
        "{result:?}"
    );
    let server = Server::start(|_, step, line| match step {
        "EHLO" => Some(Mood::Say("250-mail.test\r\n250-8BITMIME\r\n250 SMTPUTF8")),
        "MAIL" if !line.contains("SMTPUTF8") => Some(Mood::Say("550 no SMTPUTF8")),
        _ => None,
    })
    .await;
    server.sender().await.send(&letter("анна@example.org")).await.unwrap();
}
