//! Step 1: so many attempts a minute.

use std::time::Duration;

use doorward::config::LimitsConfig;
use doorward::domain::account::Account;
use doorward::domain::login_event::{LoginEvent, LoginOutcome};

use super::{Told, behind_a_proxy, history, sign_in_from, verifications};
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};

on_both_stores!(
    attempts_from_one_address_are_limited,
    a_network_of_ipv6_is_one_address,
    attempts_for_one_login_are_limited_wherever_they_come_from,
);

/// Goes on to the beginning of the next minute, by which attempts are counted.
pub(super) fn next_minute(gateway: &Gateway) {
    let past = gateway.now().as_millisecond().rem_euclid(60_000);
    gateway.wait(Duration::from_millis(u64::try_from(60_000 - past).unwrap()));
}

/// A gateway with limits on sign-ins, which believes whoever connects about where they come from, and its account `acme`.
async fn limited(backend: Backend, limit: impl FnOnce(&mut LimitsConfig)) -> (Gateway, Account) {
    let gateway = Gateway::start_with(backend, |config| {
        behind_a_proxy(config);
        limit(&mut config.limits);
    })
    .await;
    let acme = gateway.account("acme").await;
    (gateway, acme)
}

async fn floods(gateway: &Gateway) -> Vec<LoginEvent> {
    let mut events = history(gateway).await;
    events.retain(|event| event.outcome == LoginOutcome::RateLimited);
    events
}

async fn attempts_from_one_address_are_limited(backend: Backend) {
    let (gateway, acme) = limited(backend, |limits| limits.sign_in_per_address = 3).await;
    gateway.user(&acme, "ann").await;
    next_minute(&gateway);
    for (login, code) in [
        ("ann@acme", "SIGNED_IN"),
        ("ghost@acme", "WRONG_CREDENTIALS"),
        ("ann@acme", "SIGNED_IN"),
    ] {
        assert_eq!(sign_in_from(&gateway, "203.0.113.7", login, PASSWORD).await.code, code);
    }
    let worked = verifications(&gateway);
    for login in ["ann@acme", "ghost@acme"] {
        let told = sign_in_from(&gateway, "203.0.113.7", login, PASSWORD).await;
        assert_eq!(told, Told::to_wait("RATE_LIMITED", 60), "{login}");
    }
    gateway.wait(Duration::from_secs(20));
    let told = sign_in_from(&gateway, "203.0.113.7", "bob@acme", PASSWORD).await;
    assert_eq!(told, Told::to_wait("RATE_LIMITED", 40));
    assert_eq!(verifications(&gateway), worked, "nothing is hashed over the limit");
    let floods = floods(&gateway).await;
    assert_eq!(floods.len(), 1, "one event for the window: {floods:#?}");
    assert_eq!((floods[0].attempts, floods[0].user), (3, None));

    let neighbour = sign_in_from(&gateway, "203.0.113.8", "ann@acme", PASSWORD).await;
    assert_eq!(neighbour.code, "SIGNED_IN");
    next_minute(&gateway);
    let later = sign_in_from(&gateway, "203.0.113.7", "ann@acme", PASSWORD).await;
    assert_eq!(later.code, "SIGNED_IN");
}

async fn a_network_of_ipv6_is_one_address(backend: Backend) {
    let (gateway, acme) = limited(backend, |limits| limits.sign_in_per_address = 3).await;
    gateway.user(&acme, "ann").await;
    next_minute(&gateway);
    for (ip, code) in [
        ("2001:db8:0:1::1", "SIGNED_IN"),
        ("2001:db8:0:1::2", "SIGNED_IN"),
        ("2001:db8:0:1:ffff::3", "SIGNED_IN"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "RATE_LIMITED"),
        ("2001:db8:0:2::1", "SIGNED_IN"),
    ] {
        let told = sign_in_from(&gateway, ip, "ann@acme", PASSWORD).await;
        assert_eq!(told.code, code, "{ip}");
    }
}

async fn attempts_for_one_login_are_limited_wherever_they_come_from(backend: Backend) {
    let (gateway, acme) = limited(backend, |limits| limits.sign_in_per_login = 3).await;
    let ann = gateway.user(&acme, "ann").await;
    next_minute(&gateway);
    for n in 0..3 {
        let told = sign_in_from(&gateway, &format!("198.18.{n}.1"), "ann@acme", PASSWORD).await;
        assert_eq!(told.code, "SIGNED_IN", "{n}");
    }
    let worked = verifications(&gateway);
    for typed in ["ann@acme", " ANN@Acme"] {
        let told = sign_in_from(&gateway, "198.18.9.1", typed, PASSWORD).await;
        assert_eq!(told, Told::to_wait("RATE_LIMITED", 60), "{typed:?}");
    }
    assert_eq!(verifications(&gateway), worked, "nothing is hashed over the limit");
    let floods = floods(&gateway).await;
    assert_eq!(floods.len(), 1, "one event for the window: {floods:#?}");
    assert_eq!((floods[0].attempts, floods[0].user), (2, Some(ann.id)));
    let other = sign_in_from(&gateway, "198.18.9.1", "ghost@acme", PASSWORD).await;
    assert_eq!(other.code, "WRONG_CREDENTIALS");
}
