//! How early a refusal may be told: `limits.min_refusal` of the configuration, and a directory's own.

use std::time::{Duration, Instant};

use doorward::domain::account::AccountStatus;
use doorward::domain::user::UserStatus;
use serde_json::json;

use super::limits::next_minute;
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};

on_both_stores!(
    no_refusal_is_told_early,
    the_longer_floor_counts_where_there_is_a_directory,
    it_holds_back_refusals_only_and_can_be_off,
);

/// How long it takes until somebody is refused with that code.
async fn refused(gateway: &Gateway, login: &str, password: &str, code: &str) -> Duration {
    let begun = Instant::now();
    assert_eq!(gateway.refusal(login, password).await, code, "{login:?}");
    begun.elapsed()
}

async fn no_refusal_is_told_early(backend: Backend) {
    const LEAST: Duration = Duration::from_millis(200);
    let gateway = Gateway::start_with(backend, |config| {
        config.limits.min_refusal = LEAST;
        config.limits.sign_in_per_login = 4;
    })
    .await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 2)
        .await;
    let cold = gateway.account("cold").await;
    gateway.user(&acme, "ann").await;
    gateway.user(&cold, "bob").await;
    let gone = gateway.user(&acme, "gone").await;
    let shell = gateway.services.command_line();
    let (users, accounts) = (shell.write_users().unwrap(), shell.write_accounts().unwrap());
    users.set_status(gone.id, UserStatus::Disabled).await.unwrap();
    accounts.set_status(cold.id, AccountStatus::Frozen).await.unwrap();
    next_minute(&gateway);
    for (login, password, code) in [
        ("ann@acme", "wrong", "WRONG_CREDENTIALS"),
        ("ann@acme", "", "WRONG_CREDENTIALS"),
        ("ann@acme", "wrong", "LOCKED"),
        ("ann@acme", PASSWORD, "LOCKED"),
        ("ann@acme", "wrong", "RATE_LIMITED"),
        ("ghost@acme", "wrong", "WRONG_CREDENTIALS"),
        ("ghost@acme", "", "WRONG_CREDENTIALS"),
        ("ghost@acme", "wrong", "LOCKED"),
        ("ghost@acme", "wrong", "LOCKED"),
        ("ghost@acme", "wrong", "RATE_LIMITED"),
        ("ann@nowhere", "wrong", "WRONG_CREDENTIALS"),
        ("ann@No Account", "wrong", "WRONG_CREDENTIALS"),
        ("no one at all", "wrong", "WRONG_CREDENTIALS"),
        ("", "", "WRONG_CREDENTIALS"),
        ("gone@acme", PASSWORD, "DISABLED"),
        ("bob@cold", PASSWORD, "ACCOUNT_FROZEN"),
    ] {
        let took = refused(&gateway, login, password, code).await;
        assert!(took >= LEAST, "{login:?}, {code}: {took:?}");
    }
}

async fn the_longer_floor_counts_where_there_is_a_directory(backend: Backend) {
    let ms = Duration::from_millis;
    let gateway = Gateway::start_with(backend, |config| {
        config.limits.min_refusal = ms(300);
        for (name, min_refusal) in [("quick", "0s"), ("slow", "600ms")] {
            // Nobody in the test goes by it, so it need not be there.
            let section = json!({ "servers": ["ldaps://ldap.example.org"], "base": ["dc=example,dc=org"],
                "min_refusal": min_refusal });
            let section = serde_json::from_value(section).unwrap();
            config.directories.insert(name.to_owned(), section);
        }
    })
    .await;
    for (name, least) in [("plain", 300), ("quick", 300), ("slow", 600)] {
        let directory = (name != "plain").then(|| name.to_owned());
        let account = gateway.account_with(name, |new| new.directory = directory).await;
        gateway.user(&account, "ann").await;
        let took = refused(&gateway, &format!("ann@{name}"), "wrong", "WRONG_CREDENTIALS").await;
        assert!(took >= ms(least), "{name}: {took:?}");
    }
}

async fn it_holds_back_refusals_only_and_can_be_off(backend: Backend) {
    // Far longer than the time in which a request is answered at all.
    for min_refusal in [Duration::from_secs(3600), Duration::ZERO] {
        let gateway = Gateway::start_with(backend, |config| config.limits.min_refusal = min_refusal).await;
        let acme = gateway.account("acme").await;
        gateway.user(&acme, "ann").await;
        gateway.sign_in("ann@acme").await;
        if min_refusal.is_zero() {
            refused(&gateway, "ann@acme", "wrong", "WRONG_CREDENTIALS").await;
        }
    }
}
