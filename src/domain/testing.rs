//! Made-up objects for unit tests.

use jiff::Timestamp;

use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::clock::{Clock, SystemClock, SystemEntropy};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, ApiTokenId, SessionId, UserId};
use crate::domain::login::Login;
use crate::domain::login_event::{EventOrigin, Impersonator};
use crate::domain::password::PasswordPolicy;
use crate::domain::session::{Impersonation, Session};
use crate::domain::token::ApiToken;
use crate::domain::user::User;

fn now() -> Timestamp {
    SystemClock.now()
}

/// An active account with every default.
pub fn account(name: &str) -> Account {
    Account {
        id: AccountId::generate(&SystemClock, &SystemEntropy).unwrap(),
        name: AccountName::parse(name).unwrap(),
        title: name.to_owned(),
        status: AccountStatus::Active,
        time_zone: "UTC".to_owned(),
        default_language: Language::En,
        directory: None,
        directory_only: false,
        password_policy: PasswordPolicy::default(),
        created_at: now(),
        updated_at: now(),
        revision: 1,
    }
}

/// An active local user without a password.
pub fn user(account: &Account, login: &str, master: bool) -> User {
    let grant = Grant {
        target: GrantTarget::Master,
        source: GrantSource::Manual,
        directory_group_dn: None,
        granted_by: None,
        granted_at: now(),
    };
    let (id, login) = (
        UserId::generate(&SystemClock, &SystemEntropy).unwrap(),
        Login::parse(login).unwrap(),
    );
    User {
        grants: if master { vec![grant] } else { Vec::new() },
        ..User::new(id, account.id, login, Language::En, now())
    }
}

/// From the loopback address, with nothing known about the client.
pub fn origin() -> EventOrigin {
    EventOrigin {
        ip: std::net::Ipv4Addr::LOCALHOST.into(),
        location: None,
        browser: None,
        operating_system: None,
        device: None,
        user_agent: None,
    }
}

/// A session of that user that ends in an hour.
pub fn session(user: &User) -> Session {
    Session {
        id: SessionId::generate(&SystemClock, &SystemEntropy).unwrap(),
        account: user.account,
        user: user.id,
        created_at: now(),
        last_seen_at: now(),
        expires_at: now() + jiff::SignedDuration::from_hours(1),
        origin: origin(),
        impersonation: None,
    }
}

/// An active token with nothing else.
pub fn api_token(account: &Account, name: &str) -> ApiToken {
    ApiToken {
        id: ApiTokenId::generate(&SystemClock, &SystemEntropy).unwrap(),
        account: account.id,
        name: name.to_owned(),
        roles: Vec::new(),
        groups: Vec::new(),
        created_by: None,
        created_at: now(),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    }
}

/// Somebody who acts for somebody else.
pub fn impersonation(read_only: bool) -> Impersonation {
    let operators = account("system");
    Impersonation {
        by: Impersonator {
            user: user(&operators, "root", true).id,
            name: "root@system".to_owned(),
        },
        reason: "A complaint about missing reports".to_owned(),
        read_only,
        own_session: SessionId::generate(&SystemClock, &SystemEntropy).unwrap(),
        sealed_secret: [7; 32],
    }
}
