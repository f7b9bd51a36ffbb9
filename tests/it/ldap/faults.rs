//! Servers that fail in every way: a sign-in ends in time and is never a wrong password, the directory counts one bind for one
//! password, and local users notice nothing.

use std::time::{Duration, Instant};

use doorward::config::DirectoryConfig;
use serde_json::Value;

use super::Company;
use crate::support::gateway::{Backend, on_both_stores};
use crate::support::slapd::{PASSWORD, PEOPLE, Slapd, SlapdOptions, free_port};
use crate::support::wire::{Action, Listener};

on_both_stores!(
    alone;
    the_next_server_takes_over_and_one_password_is_one_bind,
    a_directory_that_is_away_is_no_wrong_password,
    a_password_that_was_sent_goes_to_nobody_else,
    half_of_the_connections_dead_is_noticed_by_nobody,
);

const TIMEOUT: Duration = Duration::from_secs(1);
/// What an answer may take beside: under the two timeouts that a second try would take, and for a local sign-in.
const MARGIN: Duration = Duration::from_millis(950);

/// A server that fails before it has said anything of use, and what keeps it.
struct Fault {
    name: &'static str,
    url: String,
    _listener: Option<Listener>,
}

async fn faults(healthy: &Slapd) -> Vec<Fault> {
    let fault = |name, url, listener| Fault {
        name,
        url,
        _listener: listener,
    };
    let mut faults = vec![fault("refused", format!("ldap://127.0.0.1:{}", free_port()), None)];
    // A bind that is answered with busy (51), and one answered with unavailable (52).
    let answer = |code: u8| vec![0x30, 0x0c, 2, 1, 1, 0x61, 7, 0x0a, 1, code, 4, 0, 4, 0];
    // Every client begins with one piece, here the bind of the service account or the greeting of TLS.
    let cut = |_: &[u8]| Action::Close;
    for (name, listener) in [
        ("black hole", Listener::silent().await),
        ("closed", Listener::closing().await),
        ("garbage", Listener::answering(vec![0xff; 64]).await),
        ("endless", Listener::endless().await),
        ("busy", Listener::answering(answer(51)).await),
        ("unavailable", Listener::answering(answer(52)).await),
        ("reset", Listener::proxy(healthy.address(), cut).await),
    ] {
        faults.push(fault(name, listener.url(), Some(listener)));
    }
    // In the middle: after the bind of the service account, and after the root entry was read.
    for (name, number, bytes) in [
        ("garbage after the bind", 1, vec![0xff; 64]),
        ("garbage in a search", 2, vec![0x30, 0x03, 2, 1, 3]),
        (
            "a reply that never ends",
            2,
            vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2, 1, 3],
        ),
    ] {
        let listener = Listener::garbling(healthy.address(), number, bytes).await;
        faults.push(fault(name, listener.url(), Some(listener)));
    }
    let listener = Listener::proxy(healthy.tls_address(), cut).await;
    faults.push(fault("TLS cut", listener.ldaps_url(), Some(listener)));
    let listener = Listener::silent().await;
    faults.push(fault("TLS black hole", listener.ldaps_url(), Some(listener)));
    faults
}

/// In front of a healthy server: other servers, tried first.
async fn behind(backend: Backend, first: &[&str], healthy: Slapd) -> Company {
    let mut section = super::section(&healthy);
    section.servers = first
        .iter()
        .map(|url| (*url).to_owned())
        .chain([healthy.url()])
        .collect();
    section.ca_file = Some(healthy.ca_file());
    section.timeout = TIMEOUT;
    Company::over(backend, healthy, section).await
}

async fn timed(company: &Company, login: &str, password: &str) -> (Value, Duration) {
    let began = Instant::now();
    let payload = company.gateway.try_sign_in(&format!("{login}@acme"), password).await;
    (payload, began.elapsed())
}

async fn the_next_server_takes_over_and_one_password_is_one_bind(backend: Backend) {
    let other = Slapd::start(SlapdOptions::default());
    for fault in faults(&other).await {
        let healthy = Slapd::start(SlapdOptions::default());
        let company = behind(backend, &[&fault.url], healthy).await;
        company.ldap_user("member").await;
        let (wrong, took) = timed(&company, "member", "wrong").await;
        assert_eq!(
            wrong["userErrors"][0]["code"], "WRONG_CREDENTIALS",
            "{}: {wrong}",
            fault.name
        );
        assert!(took < TIMEOUT * 2 + MARGIN, "{}: {took:?}", fault.name);
        let failed = company.slapd.bind_results(49) + other.bind_results(49);
        assert_eq!(failed, 1, "{}: one wrong password is one failed bind", fault.name);
        let (right, took) = timed(&company, "member", PASSWORD).await;
        assert!(right["token"].is_string(), "{}: {right}", fault.name);
        assert!(
            took < TIMEOUT,
            "{}: nobody waits for the dead one again: {took:?}",
            fault.name
        );
        assert_eq!(
            company.slapd.binds("uid=member") + other.binds("uid=member"),
            2,
            "{}",
            fault.name
        );
    }
}

async fn a_directory_that_is_away_is_no_wrong_password(backend: Backend) {
    let other = Slapd::start(SlapdOptions::default());
    for fault in faults(&other).await {
        let company = Company::start_with(backend, SlapdOptions::default(), |section: &mut DirectoryConfig| {
            section.servers = vec![fault.url.clone()];
            section.ca_file = Some(other.ca_file());
            section.timeout = TIMEOUT;
            section.max_failures = 2;
        })
        .await;
        company.ldap_user("member").await;
        let master = company.master().await;
        for login in ["member", "stranger"] {
            // More often than anything would lock.
            for _ in 0..3 {
                let local = async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let began = Instant::now();
                    company.gateway.sign_in("boss@acme").await;
                    began.elapsed()
                };
                let ((payload, took), local) = tokio::join!(timed(&company, login, PASSWORD), local);
                let code = &payload["userErrors"][0]["code"];
                assert_eq!(code, "DIRECTORY_UNAVAILABLE", "{} {login}: {payload}", fault.name);
                assert!(took < TIMEOUT + MARGIN, "{}: {took:?}", fault.name);
                assert!(local < MARGIN, "{}: a local sign-in took {local:?}", fault.name);
            }
        }
        assert_eq!(company.last_attempt(&master).await.0, "DIRECTORY_UNAVAILABLE");
        let user = super::look(&master, "member").await;
        assert_eq!(user["status"], "ACTIVE");
    }
    assert_eq!(other.binds(PEOPLE), 0, "nobody's password went anywhere");
}

/// Whether a piece of clear LDAP is the bind of somebody under [`PEOPLE`].
fn is_user_bind(piece: &[u8]) -> bool {
    let has = |needle: &[u8]| piece.windows(needle.len()).any(|w| w == needle);
    has(PEOPLE.as_bytes()) && has(PASSWORD.as_bytes())
}

async fn a_password_that_was_sent_goes_to_nobody_else(backend: Backend) {
    for action in [Action::Mute, Action::Close] {
        let first = Slapd::start(SlapdOptions::default());
        let rule = move |piece: &[u8]| if is_user_bind(piece) { action } else { Action::Forward };
        let proxy = Listener::proxy(first.address(), rule).await;
        let company = behind(backend, &[&proxy.url()], Slapd::start(SlapdOptions::default())).await;
        company.ldap_user("member").await;
        let (payload, took) = timed(&company, "member", PASSWORD).await;
        assert_eq!(payload["userErrors"][0]["code"], "DIRECTORY_UNAVAILABLE", "{payload}");
        assert!(took < TIMEOUT + MARGIN, "{took:?}");
        assert_eq!(company.slapd.binds(PEOPLE), 0, "the second server never saw it");
    }
}

async fn half_of_the_connections_dead_is_noticed_by_nobody(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let proxy = Listener::proxy(slapd.address(), |_| Action::Forward).await;
    let mut section = super::section(&slapd);
    section.servers = vec![proxy.url()];
    section.timeout = Duration::from_secs(3);
    let company = Company::over(backend, slapd, section).await;
    company.ldap_user("member").await;
    let crowd = async || {
        let attempts = (0..40).map(|_| company.gateway.try_sign_in("member@acme", PASSWORD));
        let payloads = futures_util::future::join_all(attempts).await;
        payloads.iter().filter(|payload| payload["token"].is_string()).count()
    };
    assert_eq!(crowd().await, 40);
    proxy.freeze_half_of_the_open_connections();
    let began = Instant::now();
    assert_eq!(crowd().await, 40, "each dead connection is replaced");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
