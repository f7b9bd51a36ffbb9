//! Steps 3, 4 and 6: what a refusal costs, and what it says to whom.

use doorward::domain::account::AccountStatus;
use doorward::domain::login_event::LoginOutcome;
use doorward::domain::user::UserStatus;

use super::{history, last_outcome, sessions, verifications};
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};

on_both_stores!(
    impossible_passwords_are_not_hashed_and_count_as_wrong_ones,
    every_other_refusal_costs_one_verification,
    the_disabled_and_the_frozen_get_no_session,
);

async fn impossible_passwords_are_not_hashed_and_count_as_wrong_ones(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.lockout_threshold = 3)
        .await;
    gateway.user(&acme, "ann").await;
    let over_long = "x".repeat(1025);
    for login in ["ann@acme", "ghost@acme", "ann@nowhere"] {
        let worked = verifications(&gateway);
        for password in ["", &over_long] {
            assert_eq!(gateway.refusal(login, password).await, "WRONG_CREDENTIALS");
            assert_eq!(last_outcome(&gateway).await, LoginOutcome::WrongPassword);
        }
        assert_eq!(verifications(&gateway), worked, "{login}");
    }
    // The longest that is one.
    let worked = verifications(&gateway);
    for login in ["ann@acme", "ghost@acme"] {
        assert_eq!(gateway.refusal(login, &over_long[1..]).await, "WRONG_CREDENTIALS");
        assert_eq!(gateway.refusal(login, PASSWORD).await, "LOCKED", "the third");
    }
    assert_eq!(verifications(&gateway), worked + 2);
}

async fn every_other_refusal_costs_one_verification(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, cold) = (gateway.account("acme").await, gateway.account("cold").await);
    gateway.user(&acme, "ann").await;
    gateway.user_with(&acme, "nopass", |new| new.password = None).await;
    gateway.user(&cold, "bob").await;
    let frozen = gateway.services.command_line();
    let frozen = frozen.write_accounts().unwrap();
    frozen.set_status(cold.id, AccountStatus::Frozen).await.unwrap();
    let long = format!("{}@acme", "x".repeat(1000));
    for login in [
        "ann@acme",
        "nopass@acme",
        "bob@cold",
        "ghost@acme",
        "ghost@cold",
        "ann@nowhere",
        "ann@No Account",
        "ann",
        "@acme",
        "",
        &long,
    ] {
        let worked = verifications(&gateway);
        assert_eq!(gateway.refusal(login, "wrong").await, "WRONG_CREDENTIALS", "{login:?}");
        assert_eq!(verifications(&gateway), worked + 1, "{login:?}");
    }
}

async fn the_disabled_and_the_frozen_get_no_session(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, cold) = (gateway.account("acme").await, gateway.account("cold").await);
    let (ann, bob) = (gateway.user(&acme, "ann").await, gateway.user(&cold, "bob").await);
    let shell = gateway.services.command_line();
    let users = shell.write_users().unwrap();
    users.set_status(ann.id, UserStatus::Disabled).await.unwrap();
    let accounts = shell.write_accounts().unwrap();
    accounts.set_status(cold.id, AccountStatus::Frozen).await.unwrap();
    for (user, login, code, outcome) in [
        (&ann, "ann@acme", "DISABLED", LoginOutcome::Disabled),
        (&bob, "bob@cold", "ACCOUNT_FROZEN", LoginOutcome::AccountFrozen),
    ] {
        assert_eq!(gateway.refusal(login, "wrong").await, "WRONG_CREDENTIALS");
        assert_eq!(last_outcome(&gateway).await, LoginOutcome::WrongPassword);
        assert_eq!(gateway.refusal(login, PASSWORD).await, code);
        assert_eq!(last_outcome(&gateway).await, outcome);
        assert_eq!(sessions(&gateway, user.id).await, 0, "{login}");
    }
    let successes = history(&gateway).await;
    assert!(successes.iter().all(|event| event.outcome != LoginOutcome::Success));
}
