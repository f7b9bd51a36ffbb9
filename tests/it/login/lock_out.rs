//! Step 2, and what step 7 does to it: wrong passwords lock, a right one forgets them.

use std::time::Duration;

use doorward::domain::login_event::LoginOutcome;

use super::{Told, behind_a_proxy, history, sign_in_from, verifications};
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};

on_both_stores!(
    nothing_is_hashed_while_locked_and_each_try_is_one_event,
    a_lock_says_how_long_it_lasts_and_is_not_prolonged,
    a_network_of_ipv6_is_counted_as_one,
    a_right_password_forgets_the_wrong_ones,
);

/// A gateway with `ann@acme`, where so many wrong passwords from one network lock for a quarter of an hour.
async fn with_threshold(backend: Backend, threshold: u32) -> Gateway {
    let gateway = Gateway::start_with(backend, behind_a_proxy).await;
    let acme = gateway.account_with("acme", |new| {
        let policy = &mut new.password_policy;
        (policy.lockout_threshold, policy.lockout_minutes) = (threshold, 15);
    });
    gateway.user(&acme.await, "ann").await;
    gateway
}

async fn nothing_is_hashed_while_locked_and_each_try_is_one_event(backend: Backend) {
    let gateway = with_threshold(backend, 2).await;
    let over_long = "x".repeat(1025);
    for login in ["ann@acme", "ghost@acme"] {
        for _ in 0..2 {
            assert_eq!(gateway.refusal(login, "wrong").await, "WRONG_CREDENTIALS");
        }
        let (worked, before) = (verifications(&gateway), history(&gateway).await);
        let tries = [PASSWORD, "wrong", "", &over_long];
        for password in tries {
            assert_eq!(gateway.refusal(login, password).await, "LOCKED", "{login}");
        }
        assert_eq!(verifications(&gateway), worked, "{login}: nothing is hashed");
        let events = history(&gateway).await;
        assert_eq!(events.len(), before.len() + tries.len(), "{login}: one event a try");
        let user = before[0].user;
        for event in &events[..tries.len()] {
            assert_eq!((event.outcome, event.user), (LoginOutcome::Locked, user), "{login}");
        }
    }
}

async fn a_lock_says_how_long_it_lasts_and_is_not_prolonged(backend: Backend) {
    let gateway = with_threshold(backend, 2).await;
    let tried = async |password| sign_in_from(&gateway, "203.0.113.7", "ann@acme", password).await;
    for _ in 0..2 {
        assert_eq!(tried("wrong").await.code, "WRONG_CREDENTIALS");
    }
    gateway.wait(Duration::from_secs(5 * 60));
    for password in ["wrong", PASSWORD] {
        assert_eq!(tried(password).await, Told::to_wait("LOCKED", 600));
    }
    gateway.wait(Duration::from_secs(9 * 60 + 59));
    assert_eq!(tried(PASSWORD).await, Told::to_wait("LOCKED", 1));
    gateway.wait(Duration::from_secs(1));
    assert_eq!(tried(PASSWORD).await.code, "SIGNED_IN");
}

async fn a_network_of_ipv6_is_counted_as_one(backend: Backend) {
    let gateway = with_threshold(backend, 2).await;
    for (ip, password, code) in [
        ("2001:db8:0:1::1", "wrong", "WRONG_CREDENTIALS"),
        ("2001:db8:0:1:ffff::2", "wrong", "WRONG_CREDENTIALS"),
        ("2001:db8:0:1::3", PASSWORD, "LOCKED"),
        ("2001:db8:0:2::1", PASSWORD, "SIGNED_IN"),
    ] {
        let told = sign_in_from(&gateway, ip, "ann@acme", password).await;
        assert_eq!(told.code, code, "{ip}");
    }
}

async fn a_right_password_forgets_the_wrong_ones(backend: Backend) {
    let gateway = with_threshold(backend, 3).await;
    let tried = async |ip: &str, password| sign_in_from(&gateway, ip, "ann@acme", password).await.code;
    // From one network.
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(tried("203.0.113.7", "wrong").await, "WRONG_CREDENTIALS");
        }
        assert_eq!(tried("203.0.113.7", PASSWORD).await, "SIGNED_IN");
    }
    // From everywhere, where fifteen lock: two from each network, which locks none of them.
    for round in 0..2 {
        for network in 0..7 {
            for _ in 0..2 {
                let ip = format!("198.18.{}.1", 10 * round + network);
                assert_eq!(tried(&ip, "wrong").await, "WRONG_CREDENTIALS", "{ip}");
            }
        }
        assert_eq!(tried("192.0.2.1", PASSWORD).await, "SIGNED_IN", "{round}");
    }
}
