//! `doorward check` against a mail server: each way to protect the connection, and what an operator gets wrong.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::process::Doorward;
use crate::support::smtp::{Behaviour, MailServer, MailServerOptions, PASSWORD, ServerAuth, ServerTls, Stage};

/// Runs it with that URL and authority (none: those of the system), and [`PASSWORD`] unless the URL names nobody; gives
/// the step's outcome and detail.
fn check(url: &str, ca: Option<&Path>) -> (String, String) {
    let password = if url.contains('@') { PASSWORD } else { "" };
    check_with_password(url, ca, password)
}

fn check_with_password(url: &str, ca: Option<&Path>, password: &str) -> (String, String) {
    let doorward = Doorward::new();
    let ca = ca.map(|path| path.to_str().unwrap()).unwrap_or_default();
    let outcome = doorward
        .with("DOORWARD_MAIL__URL", url)
        .with("DOORWARD_MAIL__CA_FILE", ca)
        .with("DOORWARD_MAIL__PASSWORD", password)
        .run(&["check", "--json"]);
    let report = outcome.parsed();
    let steps: Vec<_> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["part"] == "mail" && step["name"] != "templates")
        .collect();
    let [step] = steps[..] else {
        panic!("{report:#}");
    };
    let text = |key: &str| step[key].as_str().unwrap().to_owned();
    let (found, detail) = (text("outcome"), text("detail"));
    assert_eq!(outcome.code, Some(i32::from(found == "FAILED")), "{report:#}");
    assert!(
        password.is_empty() || !(outcome.stdout.contains(password) || outcome.stderr.contains(password)),
        "{report:#}"
    );
    (found, detail)
}

#[track_caller]
fn is_ok(found: &(String, String), end: &str) {
    assert!(found.0 == "OK" && found.1.ends_with(end), "{found:?}");
}

#[track_caller]
fn fails(found: &(String, String), parts: &[&str]) {
    assert!(
        found.0 == "FAILED" && parts.iter().all(|part| found.1.contains(part)),
        "{found:?}"
    );
}

fn server(tls: ServerTls, auth: ServerAuth) -> MailServer {
    MailServer::start(MailServerOptions { tls, auth })
}

/// Who signed in, how, and whether it was encrypted, over all connections.
fn sign_ins(server: &MailServer) -> Vec<(String, bool, bool)> {
    let events = server.events("auth").into_iter();
    events
        .map(|event| {
            (
                event["method"].as_str().unwrap().to_owned(),
                event["tls"].as_bool().unwrap(),
                event["succeeded"].as_bool().unwrap(),
            )
        })
        .collect()
}

#[test]
fn every_way_to_protect_the_connection_signs_in_and_sends_nothing() {
    for (tls, option, encrypted, end) in [
        (ServerTls::StartTls, "", true, ", STARTTLS, signed in as doorward"),
        (
            ServerTls::StartTls,
            "?tls=required",
            true,
            ", STARTTLS, signed in as doorward",
        ),
        (
            ServerTls::StartTls,
            "?tls=opportunistic",
            true,
            ", STARTTLS where offered, signed in as doorward",
        ),
        (ServerTls::Implicit, "", true, ", TLS, signed in as doorward"),
        (ServerTls::None, "?tls=none", false, ", in clear, signed in as doorward"),
        (
            ServerTls::None,
            "?tls=opportunistic",
            false,
            ", STARTTLS where offered, signed in as doorward",
        ),
    ] {
        for (auth, method) in [(ServerAuth::Any, "PLAIN"), (ServerAuth::Login, "LOGIN")] {
            let server = server(tls, auth);
            let url = server.url();
            let url = format!("{}{option}", url.split('?').next().unwrap());
            is_ok(&check(&url, Some(&server.ca_file())), end);
            let expected = [(method.to_owned(), encrypted, true)];
            assert_eq!(sign_ins(&server), expected, "{tls:?} {option}");
            assert_eq!(
                (server.messages().len(), server.connections()),
                (0, 1),
                "{tls:?} {option}"
            );
        }
    }
}

#[test]
fn a_server_that_takes_everybody_needs_no_user() {
    let server = server(ServerTls::StartTls, ServerAuth::None);
    is_ok(&check(&server.url(), Some(&server.ca_file())), ", STARTTLS");
    // With a user, there is nothing to authenticate with.
    let url = server.url().replace("//", "//doorward@");
    fails(&check(&url, Some(&server.ca_file())), &["mail.url"]);
}

#[test]
fn a_wrong_password_is_told_with_what_to_look_at() {
    for tls in [ServerTls::StartTls, ServerTls::Implicit, ServerTls::None] {
        let server = server(tls, ServerAuth::Any);
        let found = check_with_password(&server.url(), Some(&server.ca_file()), "wrong horse battery");
        fails(&found, &["535", "User name or password is wrong", "mail.password"]);
        let url = server.url().replace("doorward@", "nobody@");
        fails(&check(&url, Some(&server.ca_file())), &["535", "mail.url"]);
    }
}

#[test]
fn a_certificate_that_is_not_trusted_gets_no_password() {
    let other = server(ServerTls::None, ServerAuth::None);
    for tls in [ServerTls::StartTls, ServerTls::Implicit] {
        let server = server(tls, ServerAuth::Any);
        for ca in [Some(other.ca_file()), None] {
            let found = check(&server.url(), ca.as_deref());
            fails(&found, &["invalid peer certificate", "mail.ca_file"]);
            assert_eq!(found.1.matches("onnection error").count(), 1, "{found:?}");
        }
        // By the right authority, for another name.
        let url = server.url().replace("127.0.0.1", "localhost");
        fails(&check(&url, Some(&server.ca_file())), &["localhost:", "mail.ca_file"]);
        // Also where TLS may be left out: offered and wrong is not the same as not offered.
        if tls == ServerTls::StartTls {
            let url = format!("{}?tls=opportunistic", server.url());
            fails(&check(&url, Some(&other.ca_file())), &["mail.ca_file"]);
        }
        assert_eq!(sign_ins(&server), []);
    }
}

#[test]
fn nothing_is_said_in_clear_where_tls_is_required() {
    let server = server(ServerTls::None, ServerAuth::Any);
    let url = server.url();
    let url = url.split('?').next().unwrap();
    fails(&check(url, Some(&server.ca_file())), &["STARTTLS", "mail.url"]);
    let implicit = url.replace("smtp://", "smtps://");
    fails(&check(&implicit, Some(&server.ca_file())), &["mail.url"]);
    assert_eq!(sign_ins(&server), []);
}

#[test]
fn a_server_that_is_away_or_busy_or_hangs_is_told_in_time() {
    let mut server = server(ServerTls::StartTls, ServerAuth::Any);
    let ca = server.ca_file();
    server.behave(&[Behaviour::Defer(Stage::Greeting)]);
    fails(
        &check(&server.url(), Some(&ca)),
        &["421", "try again later", "whoever runs the server"],
    );
    server.behave(&[Behaviour::Drop(Stage::Greeting)]);
    fails(&check(&server.url(), Some(&ca)), &["mail.url"]);
    server.behave(&[Behaviour::Hang(Stage::Greeting)]);
    let began = Instant::now();
    fails(&check(&server.url(), Some(&ca)), &["mail.url"]);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    server.kill();
    let place = format!("127.0.0.1:{}: ", server.port());
    fails(&check(&server.url(), Some(&ca)), &[&place, "mail.url"]);
}
