//! Lock-out where it is hardest: many guesses at once, to several processes, through several accounts of one directory.

use std::time::Duration;

use doorward::domain::account::Account;
use futures_util::future::join_all;
use serde_json::json;

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores, user_errors};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

on_both_stores!(
    guesses_at_two_processes_are_counted_together,
    right_passwords_at_once_all_get_in,
    a_directory_sees_no_more_wrong_passwords_than_it_is_to_see,
    a_local_password_leaves_the_directorys_counter,
);

/// Longer than a directory's failures are remembered, whatever the two gateways' clocks differ by.
const WINDOW: Duration = Duration::from_secs(31 * 60);

/// Two gateways over one store, each with a directory `corp` that may see two wrong passwords for a login.
async fn two(backend: Backend, slapd: &Slapd) -> (Gateway, Gateway) {
    let mut url = None;
    let corp = json!({ "servers": [slapd.url()], "allow_plaintext": true, "base": [PEOPLE], "bind_dn": READER,
        "bind_password": READER_PASSWORD, "max_failures": 2, "min_refusal": "0s" });
    let corp: doorward::config::DirectoryConfig = serde_json::from_value(corp).unwrap();
    let first = Gateway::start_with(backend, |config| {
        config.directories.insert("corp".to_owned(), corp.clone());
        url = Some(config.store.url.clone());
    })
    .await;
    let second = Gateway::start_with(backend, |config| {
        config.directories.insert("corp".to_owned(), corp);
        config.store.url = url.unwrap();
    })
    .await;
    (first, second)
}

/// An account whose people may be in the directory.
async fn of_corp(gateway: &Gateway, name: &str) -> Account {
    gateway
        .account_with(name, |new| new.directory = Some("corp".to_owned()))
        .await
}

async fn ldap_user(gateway: &Gateway, account: &Account, login: &str) {
    gateway
        .user_with(account, login, |new| (new.is_ldap, new.password) = (true, None))
        .await;
}

/// How often each code came.
fn tally(codes: &[String], code: &str) -> usize {
    codes.iter().filter(|c| *c == code).count()
}

async fn guesses_at_two_processes_are_counted_together(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let (here, there) = two(backend, &slapd).await;
    let acme = here
        .account_with("acme", |new| new.password_policy.lockout_threshold = 5)
        .await;
    here.user(&acme, "ann").await;
    for login in ["ann@acme", "nobody@acme"] {
        let guesses = (0..24).map(|i| if i % 2 == 0 { &here } else { &there }.refusal(login, "wrong"));
        let codes = join_all(guesses).await;
        assert_eq!(
            (tally(&codes, "WRONG_CREDENTIALS"), tally(&codes, "LOCKED")),
            (5, 19),
            "{login}: {codes:?}"
        );
        assert_eq!(there.refusal(login, PASSWORD).await, "LOCKED");
    }
    // Each of them is in the history, once.
    here.master(&here.system().await, "root").await;
    let root = here.sign_in("root@system").await;
    for (outcome, expected) in [("WRONG_PASSWORD", 5), ("UNKNOWN_USER", 5), ("LOCKED", 40)] {
        let query = format!("{{ loginHistory(filter: {{outcomes: [{outcome}]}}) {{ totalCount }} }}");
        assert_eq!(
            root.data(&query).await["loginHistory"]["totalCount"],
            expected,
            "{outcome}"
        );
    }
}

async fn right_passwords_at_once_all_get_in(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let (here, there) = two(backend, &slapd).await;
    let acme = here
        .account_with("acme", |new| new.password_policy.lockout_threshold = 2)
        .await;
    here.user(&acme, "ann").await;
    let attempts = (0..12).map(|i| if i % 2 == 0 { &here } else { &there }.try_sign_in("ann@acme", PASSWORD));
    for payload in join_all(attempts).await {
        assert_eq!(user_errors(&payload), [""; 0]);
    }
    // None of them left a place taken.
    assert_eq!(here.refusal("ann@acme", "wrong").await, "WRONG_CREDENTIALS");
    here.sign_in("ann@acme").await;
}

async fn a_directory_sees_no_more_wrong_passwords_than_it_is_to_see(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let (here, there) = two(backend, &slapd).await;
    let (acme, beta) = (of_corp(&here, "acme").await, of_corp(&here, "beta").await);
    ldap_user(&here, &acme, "member").await;
    ldap_user(&here, &beta, "member").await;
    let guesses = (0..16).map(|i| {
        let gateway = if i % 2 == 0 { &here } else { &there };
        gateway.refusal(if i % 4 < 2 { "member@acme" } else { "member@beta" }, "wrong")
    });
    let codes = join_all(guesses).await;
    assert_eq!(
        (tally(&codes, "WRONG_CREDENTIALS"), tally(&codes, "LOCKED")),
        (2, 14),
        "{codes:?}"
    );
    assert_eq!(slapd.binds("uid=member"), 2);
    here.wait(WINDOW);
    here.sign_in_as("member@acme", slapd::PASSWORD).await;
}

async fn a_local_password_leaves_the_directorys_counter(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let (here, _) = two(backend, &slapd).await;
    let (acme, beta) = (of_corp(&here, "acme").await, of_corp(&here, "beta").await);
    ldap_user(&here, &acme, "member").await;
    here.user(&beta, "member").await;
    // What the directory itself takes clears it.
    for _ in 0..3 {
        assert_eq!(here.refusal("member@acme", "wrong").await, "WRONG_CREDENTIALS");
        here.sign_in_as("member@acme", slapd::PASSWORD).await;
    }
    let before = slapd.binds("uid=member");
    assert_eq!(here.refusal("member@acme", "wrong").await, "WRONG_CREDENTIALS");
    here.sign_in("member@beta").await;
    assert_eq!(here.refusal("member@acme", "wrong").await, "WRONG_CREDENTIALS");
    assert_eq!(here.refusal("member@acme", "wrong").await, "LOCKED");
    assert_eq!(slapd.binds("uid=member"), before + 2);
}
