//! The steps where an account signs in with a directory: what reaches it, and what does not.

use std::time::{Duration, Instant};

use doorward::config::DirectoryConfig;
use doorward::domain::account::{Account, AccountStatus};
use doorward::domain::login_event::{LoginMethod, LoginOutcome};
use doorward::domain::user::{User, UserStatus};
use serde_json::json;

use super::{history, last_outcome, sessions, verifications};
use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

on_both_stores!(
    while_locked_the_directory_is_not_asked,
    binds_stop_before_the_directory_locks,
    impossible_passwords_never_reach_the_directory,
    an_unknown_login_is_looked_up_and_never_bound,
    a_local_user_never_touches_the_directory,
    refusals_take_their_time_whoever_is_refused,
    the_disabled_and_the_frozen_are_told_after_a_right_password_only,
    a_right_password_forgets_the_wrong_ones,
);

/// A gateway whose account `acme` signs in with a directory. `member` is there and here; `quote` is there, and here a local
/// user of the same login.
struct House {
    slapd: Slapd,
    gateway: Gateway,
    acme: Account,
    member: User,
    local: User,
}

impl House {
    /// Refusals come at once, and only `threshold` wrong passwords lock, unless the section says otherwise.
    async fn open(backend: Backend, threshold: u32, change: impl FnOnce(&mut DirectoryConfig)) -> Self {
        let slapd = Slapd::start(SlapdOptions::default());
        let section = json!({ "servers": [slapd.url()], "allow_plaintext": true, "base": [PEOPLE], "bind_dn": READER,
            "bind_password": READER_PASSWORD, "max_failures": 0, "min_refusal": "0s" });
        let mut corp = serde_json::from_value(section).unwrap();
        change(&mut corp);
        let gateway = Gateway::start_with(backend, |config| {
            config.directories.insert("corp".to_owned(), corp);
        })
        .await;
        let acme = gateway
            .account_with("acme", |new| {
                new.directory = Some("corp".to_owned());
                new.password_policy.lockout_threshold = threshold;
            })
            .await;
        let ldap = gateway.user_with(&acme, "member", |new| (new.is_ldap, new.password) = (true, None));
        Self {
            member: ldap.await,
            local: gateway.user(&acme, "quote").await,
            slapd,
            gateway,
            acme,
        }
    }

    async fn refusal(&self, login: &str, password: &str) -> String {
        self.gateway.refusal(login, password).await
    }

    /// With the password that the directory keeps.
    async fn member_signs_in(&self) {
        let payload = self.gateway.try_sign_in("member@acme", slapd::PASSWORD).await;
        assert!(payload["token"].is_string(), "{payload:#}");
    }

    /// How often the directory was asked: binds as a person, and searches for that login.
    fn asked(&self, login: &str) -> (usize, usize) {
        let name = format!("(uid={login})");
        (self.slapd.binds(PEOPLE), self.slapd.searches(&name))
    }
}

async fn while_locked_the_directory_is_not_asked(backend: Backend) {
    let house = House::open(backend, 2, |_| {}).await;
    for login in ["member", "ghost"] {
        let typed = format!("{login}@acme");
        for _ in 0..2 {
            assert_eq!(house.refusal(&typed, "wrong").await, "WRONG_CREDENTIALS");
        }
        let (asked, worked) = (house.asked(login), verifications(&house.gateway));
        assert!(asked.1 >= 2, "{login} was looked for: {asked:?}");
        for password in [slapd::PASSWORD, "wrong"] {
            assert_eq!(house.refusal(&typed, password).await, "LOCKED", "{login}");
        }
        assert_eq!(house.asked(login), asked, "{login}");
        assert_eq!(verifications(&house.gateway), worked, "{login}");
    }
}

async fn binds_stop_before_the_directory_locks(backend: Backend) {
    let house = House::open(backend, 10, |corp| corp.max_failures = 2).await;
    for code in ["WRONG_CREDENTIALS", "WRONG_CREDENTIALS", "LOCKED", "LOCKED"] {
        assert_eq!(house.refusal("member@acme", "wrong").await, code);
    }
    assert_eq!(house.slapd.bind_results(49), 2, "the third would lock there");
    house.gateway.wait(Duration::from_secs(30 * 60));
    house.member_signs_in().await;
}

async fn impossible_passwords_never_reach_the_directory(backend: Backend) {
    let house = House::open(backend, 10, |corp| corp.max_failures = 1).await;
    let over_long = "x".repeat(1025);
    for login in ["member", "ghost"] {
        let worked = verifications(&house.gateway);
        for password in ["", &over_long] {
            let refusal = house.refusal(&format!("{login}@acme"), password).await;
            assert_eq!(refusal, "WRONG_CREDENTIALS");
            assert_eq!(last_outcome(&house.gateway).await, LoginOutcome::WrongPassword);
        }
        assert_eq!(house.asked(login), (0, 0), "{login}");
        assert_eq!(verifications(&house.gateway), worked, "{login}");
    }
    // Nor do they count as binds that failed.
    house.member_signs_in().await;
}

async fn an_unknown_login_is_looked_up_and_never_bound(backend: Backend) {
    let house = House::open(backend, 10, |_| {}).await;
    // The second is in the directory, but nobody here.
    for login in ["ghost", "comma"] {
        let refusal = house.refusal(&format!("{login}@acme"), slapd::PASSWORD).await;
        assert_eq!(refusal, "WRONG_CREDENTIALS");
        assert_eq!(last_outcome(&house.gateway).await, LoginOutcome::UnknownUser);
        assert_eq!(house.asked(login), (0, 1), "{login}");
    }
}

async fn a_local_user_never_touches_the_directory(backend: Backend) {
    let house = House::open(backend, 10, |_| {}).await;
    for password in ["wrong", slapd::PASSWORD] {
        let worked = verifications(&house.gateway);
        assert_eq!(house.refusal("quote@acme", password).await, "WRONG_CREDENTIALS");
        assert_eq!(verifications(&house.gateway), worked + 1);
    }
    house.gateway.sign_in("quote@acme").await;
    assert_eq!(house.asked("quote"), (0, 0));
    assert_eq!(sessions(&house.gateway, house.local.id).await, 1);
}

async fn refusals_take_their_time_whoever_is_refused(backend: Backend) {
    const LEAST: Duration = Duration::from_millis(400);
    let mut house = House::open(backend, 3, |corp| corp.min_refusal = LEAST).await;
    let refused = async |house: &House, login: &str, password: &str, code: &str| {
        let begun = Instant::now();
        assert_eq!(house.refusal(login, password).await, code, "{login}");
        let took = begun.elapsed();
        assert!(took >= LEAST, "{login}, {code}: {took:?}");
    };
    for login in ["quote@acme", "member@acme", "ghost@acme"] {
        for (password, code) in [
            ("wrong", "WRONG_CREDENTIALS"),
            ("", "WRONG_CREDENTIALS"),
            ("wrong", "WRONG_CREDENTIALS"),
            ("wrong", "LOCKED"),
        ] {
            refused(&house, login, password, code).await;
        }
    }
    house.gateway.wait(Duration::from_secs(15 * 60));
    let shell = house.gateway.services.command_line();
    let users = shell.write_users().unwrap();
    for user in [&house.local, &house.member] {
        users.set_status(user.id, UserStatus::Disabled).await.unwrap();
    }
    refused(&house, "quote@acme", PASSWORD, "DISABLED").await;
    refused(&house, "member@acme", slapd::PASSWORD, "DISABLED").await;
    house.slapd.stop();
    refused(&house, "member@acme", slapd::PASSWORD, "DIRECTORY_UNAVAILABLE").await;
    refused(&house, "ghost@acme", "wrong", "DIRECTORY_UNAVAILABLE").await;
}

async fn the_disabled_and_the_frozen_are_told_after_a_right_password_only(backend: Backend) {
    let house = House::open(backend, 10, |_| {}).await;
    let shell = house.gateway.services.command_line();
    let (users, accounts) = (shell.write_users().unwrap(), shell.write_accounts().unwrap());
    let check = async |code: &str, outcome: LoginOutcome| {
        for (password, code, outcome) in [
            ("wrong", "WRONG_CREDENTIALS", LoginOutcome::WrongPassword),
            (slapd::PASSWORD, code, outcome),
        ] {
            assert_eq!(house.refusal("member@acme", password).await, code);
            let event = history(&house.gateway).await.remove(0);
            assert_eq!((event.outcome, event.method), (outcome, LoginMethod::Ldap));
            assert_eq!(sessions(&house.gateway, house.member.id).await, 0);
        }
    };
    users.set_status(house.member.id, UserStatus::Disabled).await.unwrap();
    check("DISABLED", LoginOutcome::Disabled).await;
    users.set_status(house.member.id, UserStatus::Active).await.unwrap();
    accounts.set_status(house.acme.id, AccountStatus::Frozen).await.unwrap();
    check("ACCOUNT_FROZEN", LoginOutcome::AccountFrozen).await;
    accounts.set_status(house.acme.id, AccountStatus::Active).await.unwrap();
    house.member_signs_in().await;
}

async fn a_right_password_forgets_the_wrong_ones(backend: Backend) {
    // Three lock: here, and at the directory.
    let house = House::open(backend, 3, |corp| corp.max_failures = 3).await;
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(house.refusal("member@acme", "wrong").await, "WRONG_CREDENTIALS");
        }
        house.member_signs_in().await;
    }
}
