//! The mail server itself does what the other tests take for granted.

use std::time::{Duration, Instant};

use doorward::domain::clock::{Clock, SystemClock};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, response::Response};
use lettre::{Message, SmtpTransport, Transport};

use crate::support::smtp::{
    Behaviour, Image, MailServer, MailServerOptions, PASSWORD, ServerAuth, ServerTls, Stage, USER,
};

const SOON: Duration = Duration::from_secs(20);
/// Of the client, for each answer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A client that keeps at most one connection.
fn transport(server: &MailServer, tls: ServerTls) -> SmtpTransport {
    let parameters = || {
        let pem = std::fs::read(server.ca_file()).unwrap();
        TlsParameters::builder("127.0.0.1".to_owned())
            .add_root_certificate(Certificate::from_pem(&pem).unwrap())
            .build_rustls()
            .unwrap()
    };
    SmtpTransport::builder_dangerous("127.0.0.1")
        .port(server.port())
        .tls(match tls {
            ServerTls::StartTls => Tls::Required(parameters()),
            ServerTls::Implicit => Tls::Wrapper(parameters()),
            ServerTls::None => Tls::None,
        })
        .credentials(Credentials::new(USER.to_owned(), PASSWORD.to_owned()))
        .timeout(Some(PATIENCE))
        .pool_config(PoolConfig::new().max_size(1))
        .build()
}

fn message(to: &str) -> Message {
    Message::builder()
        .from("Doorward <no-reply@example.org>".parse().unwrap())
        .to(to.parse().unwrap())
        .subject("Здравствуйте, Zoë")
        .multipart(
            MultiPart::alternative()
                .singlepart(SinglePart::plain("Добрый день.\r\n.точка\r\n".to_owned()))
                .multipart(
                    MultiPart::related()
                        .singlepart(SinglePart::html("<p>Добрый <img src=\"cid:plot\"></p>".to_owned()))
                        .singlepart(
                            Attachment::new_inline("plot".to_owned())
                                .body(vec![137, 80, 78, 71, 0, 255], ContentType::parse("image/png").unwrap()),
                        ),
                ),
        )
        .unwrap()
}

fn send(transport: &SmtpTransport, to: &str) -> Result<Response, Error> {
    transport.send(&message(to))
}

fn error(transport: &SmtpTransport, to: &str) -> Error {
    send(transport, to).expect_err("the server does not take it")
}

/// Waits until it has noted that many answers, which it does a moment after they are out.
fn answered(server: &MailServer, count: usize) {
    let deadline = Instant::now() + SOON;
    while server.events("answered").len() < count {
        assert!(Instant::now() < deadline, "{:?}", server.events("answered"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_arrives_is_read_as_it_was_meant() {
    for tls in [ServerTls::StartTls, ServerTls::Implicit, ServerTls::None] {
        let server = MailServer::start(MailServerOptions {
            tls,
            auth: ServerAuth::Any,
        });
        send(&transport(&server, tls), "Ann <ann@example.org>").unwrap();
        let received = server.wait_for(1, SOON).remove(0);
        assert_eq!(received.envelope.from, "no-reply@example.org");
        assert_eq!(received.envelope.to, ["ann@example.org"]);
        assert_eq!(received.envelope.tls, tls != ServerTls::None);
        assert_eq!(received.envelope.user.as_deref(), Some(USER));
        let age = SystemClock.now().duration_since(received.envelope.at);
        assert!(age.unsigned_abs() < SOON, "{age:?}");

        assert_eq!(
            received.header("from").as_deref(),
            Some("Doorward <no-reply@example.org>")
        );
        assert_eq!(received.header("Bcc"), None);
        let names: Vec<String> = received.headers().into_iter().map(|(name, _)| name).collect();
        assert!(
            names.starts_with(&["From", "To", "Subject"].map(str::to_owned)),
            "{names:?}"
        );
        assert_eq!(received.subject(), "Здравствуйте, Zoë");
        assert_eq!(received.text().replace("\r\n", "\n").trim_end(), "Добрый день.\n.точка");
        assert_eq!(received.html().trim_end(), "<p>Добрый <img src=\"cid:plot\"></p>");
        let plot = Image {
            kind: "image/png".to_owned(),
            content_id: Some("plot".to_owned()),
            bytes: vec![137, 80, 78, 71, 0, 255],
        };
        assert_eq!(received.images(), [plot]);
        assert!(received.raw().starts_with(b"From: "));
    }
}

#[test]
fn one_connection_carries_many_and_each_is_answered() {
    let server = MailServer::start(MailServerOptions::default());
    let transport = transport(&server, ServerTls::StartTls);
    for to in ["ann@example.org", "bob@example.org", "cai@example.org"] {
        send(&transport, to).unwrap();
    }
    let received = server.wait_for(3, SOON);
    let to: Vec<&str> = received.iter().map(|one| one.envelope.to[0].as_str()).collect();
    assert_eq!(to, ["ann@example.org", "bob@example.org", "cai@example.org"]);
    let ids: Vec<u64> = received.iter().map(|one| one.id).collect();
    assert_eq!(ids, [1, 2, 3]);
    answered(&server, 3);
    assert!(server.messages().iter().all(|one| one.was_answered));
    assert_eq!(server.connections(), 1);
}

#[test]
fn it_defers_and_rejects_and_goes_on() {
    let server = MailServer::start(MailServerOptions::default());
    let transport = transport(&server, ServerTls::StartTls);
    for stage in [Stage::Mail, Stage::Recipient, Stage::Body, Stage::End] {
        server.behave(&[Behaviour::Defer(stage)]);
        let error = error(&transport, "ann@example.org");
        assert!(
            error.is_transient() && error.to_string().contains("451"),
            "{stage:?}: {error}"
        );
    }
    server.behave(&[Behaviour::RefuseAuth]);
    let refused = error(&self::transport(&server, ServerTls::StartTls), "ann@example.org");
    assert!(
        refused.is_permanent() && refused.to_string().contains("535"),
        "{refused}"
    );

    server.behave(&[Behaviour::Reject("gone"), Behaviour::Slow(Duration::from_millis(100))]);
    let rejected = error(&transport, "gone-1@example.org");
    assert!(
        rejected.is_permanent() && rejected.to_string().contains("550"),
        "{rejected}"
    );
    let began = Instant::now();
    send(&transport, "ann@example.org").unwrap();
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn it_hangs_and_drops_where_it_is_told_to() {
    let server = MailServer::start(MailServerOptions::default());
    let stages = [
        (Stage::Greeting, 0),
        (Stage::Mail, 0),
        (Stage::Recipient, 0),
        (Stage::Body, 0),
        (Stage::End, 0),
        (Stage::Stored, 1),
    ];
    let mut kept = 0;
    for (stage, more) in stages {
        for (behaviour, waits) in [(Behaviour::Hang(stage), true), (Behaviour::Drop(stage), false)] {
            server.behave(&[behaviour]);
            let began = Instant::now();
            let error = error(&transport(&server, ServerTls::StartTls), "ann@example.org");
            assert!(!error.is_permanent() && !error.is_transient(), "{behaviour:?}: {error}");
            assert_eq!(began.elapsed() >= PATIENCE, waits, "{behaviour:?}: {error}");
            kept += more;
            assert_eq!(server.messages().len(), kept, "{behaviour:?}");
        }
    }
    assert!(server.messages().iter().all(|one| !one.was_answered));
    server.behave(&[]);
    send(&transport(&server, ServerTls::StartTls), "ann@example.org").unwrap();
    answered(&server, 1);
    assert!(server.messages().pop().unwrap().was_answered);
}

#[test]
fn killed_it_keeps_what_it_took_and_is_there_again() {
    let mut server = MailServer::start(MailServerOptions::default());
    let transport = transport(&server, ServerTls::StartTls);
    send(&transport, "ann@example.org").unwrap();
    server.behave(&[Behaviour::Reject("gone")]);
    server.kill();
    let away = error(&transport, "bob@example.org");
    assert!(!away.is_permanent(), "{away}");
    let url = server.url();
    server.restart();
    assert_eq!(server.url(), url);
    send(&transport, "cai@example.org").unwrap();
    error(&transport, "gone@example.org");
    let to: Vec<String> = server.messages().iter().map(|one| one.envelope.to[0].clone()).collect();
    assert_eq!(to, ["ann@example.org", "cai@example.org"]);
}

#[test]
fn dropped_it_is_gone() {
    let server = MailServer::start(MailServerOptions::default());
    let place = ("127.0.0.1", server.port());
    std::net::TcpStream::connect(place).unwrap();
    assert!(server.wait_for(0, SOON).is_empty());
    drop(server);
    std::net::TcpStream::connect(place).expect_err("nothing listens there any more");
}
