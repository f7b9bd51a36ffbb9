//! Made-up accounts, people and sign-ins, the same in every run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::credentials::{PasswordHash, TokenHash};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, AuditEntryId, GroupId, LoginEventId, RoleId, SessionId, UserId};
use crate::domain::location::Location;
use crate::domain::login::Login;
use crate::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::password::PasswordPolicy;
use crate::domain::role::{Permission, Role};
use crate::domain::session::Session;
use crate::domain::user::{Notifications, User, UserStatus};
use crate::store::sqlite::SqliteStore;
use crate::store::{FailureKey, Failures, LoginRecord, NewPerson, OpenedSession, Store};

/// 2026-03-01T10:00:00.123Z and `seconds`: with milliseconds, so that a store that drops them is found out.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_772_359_200_123 + seconds * 1000).unwrap()
}

/// The embedded store in that file: for tests of what is done with stores, whichever they are.
pub(crate) fn embedded(file: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(file).unwrap())
}

/// A hash that no password has.
pub(crate) fn password(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FtcGxlc2FsdA${text}"))
}

/// The digest of a made-up secret.
pub(crate) fn token(n: u8) -> TokenHash {
    TokenHash([n; 32])
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A counter's name: account, login, network.
pub(crate) fn key(account: AccountId, login: u8, network: Option<u8>) -> FailureKey {
    FailureKey {
        account,
        login: [login; 32],
        network: network.map(|n| [n; 32]),
    }
}

/// A grant by hand.
pub(crate) fn grant(target: GrantTarget) -> Grant {
    Grant {
        target,
        source: GrantSource::Manual,
        directory_group_dn: None,
        granted_by: None,
        granted_at: at(-100),
    }
}

pub(crate) fn origin(ip: &str) -> EventOrigin {
    EventOrigin {
        ip: ip.parse().unwrap(),
        location: None,
        browser: None,
        operating_system: None,
        device: None,
        user_agent: None,
    }
}

/// Where everything optional is filled in.
pub(crate) fn full_origin() -> EventOrigin {
    EventOrigin {
        ip: "2001:db8::7".parse().unwrap(),
        location: Some(Location {
            country: Some("Côte d'Ivoire".into()),
            country_code: Some("CI".into()),
            city: None,
            latitude: Some(5.3411),
            longitude: Some(-4.0281),
        }),
        browser: Some("Firefox 140".into()),
        operating_system: Some("Linux".to_owned()),
        device: Some("Desktop".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned()),
    }
}

/// Makes objects; each maker makes the same ones in the same order.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    made: u64,
}

impl Maker {
    /// Scattered numbers (splitmix64), so that no order follows from the order of creation.
    pub(crate) fn number(&mut self) -> u64 {
        self.made += 1;
        let mut z = self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        let index = self.number() % choices.len() as u64;
        choices[usize::try_from(index).unwrap()].clone()
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        let millis = 1_772_359_200_000 + self.number() % 1_000_000;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.number().to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    pub(crate) fn account(&mut self, name: &str) -> Account {
        Account {
            id: AccountId::from_uuid(self.uuid()),
            name: AccountName::parse(name).unwrap(),
            title: format!("The {name} company"),
            status: AccountStatus::Active,
            time_zone: "Europe/Paris".to_owned(),
            default_language: Language::En,
            directory: None,
            directory_only: false,
            password_policy: PasswordPolicy::default(),
            created_at: at(0),
            updated_at: at(0),
            revision: 1,
        }
    }

    pub(crate) fn group(&mut self, account: AccountId, name: &str) -> Group {
        Group {
            id: GroupId::from_uuid(self.uuid()),
            account,
            name: name.to_owned(),
            description: format!("What {name} sees"),
            is_main: false,
            created_at: at(1),
            updated_at: at(2),
            revision: 1,
        }
    }

    pub(crate) fn main_group(&mut self, account: AccountId) -> Group {
        Group {
            is_main: true,
            ..self.group(account, Group::MAIN)
        }
    }

    pub(crate) fn role(&mut self, account: AccountId, name: &str) -> Role {
        Role {
            id: RoleId::from_uuid(self.uuid()),
            account,
            name: name.to_owned(),
            description: String::new(),
            permissions: vec![
                Permission::parse("mail.queue:send").unwrap(),
                Permission::parse(Permission::USERS_READ).unwrap(),
            ],
            created_at: at(1),
            updated_at: at(2),
            revision: 1,
        }
    }

    /// A local, active user with a password and without grants.
    pub(crate) fn user(&mut self, account: AccountId, login: &str) -> User {
        User {
            id: UserId::from_uuid(self.uuid()),
            account,
            login: Login::parse(login).unwrap(),
            first_name: String::new(),
            last_name: String::new(),
            email: None,
            language: Language::En,
            phone: None,
            status: UserStatus::Active,
            disabled_by: None,
            locked_until: None,
            avatar: None,
            notifications: Notifications::default(),
            must_change_password: false,
            has_password: true,
            password_changed_at: Some(at(0)),
            password_expires_at: None,
            is_ldap: false,
            directory_link: None,
            grants: Vec::new(),
            last_login: None,
            created_at: at(0),
            updated_at: at(0),
            revision: 1,
        }
    }

    pub(crate) fn master(&mut self, account: AccountId, login: &str) -> User {
        User {
            grants: vec![grant(GrantTarget::Master)],
            ..self.user(account, login)
        }
    }

    /// An audit entry of the account, `seconds` after the start.
    pub(crate) fn entry_at(&mut self, account: AccountId, seconds: i64) -> AuditEntry {
        AuditEntry {
            id: AuditEntryId::from_uuid(self.uuid()),
            account,
            at: at(seconds),
            actor: "command line".to_owned(),
            actor_user: None,
            impersonator: None,
            ip: None,
            action: "updateUser".to_owned(),
            target_type: TargetType::User,
            target_id: self.uuid(),
            target_name: "ann@acme".to_owned(),
            changes: vec![FieldChange {
                field: "title".to_owned(),
                before: None,
                after: Some("ASCII, ж and 😀".to_owned()),
            }],
        }
    }

    pub(crate) fn entry(&mut self, account: AccountId) -> AuditEntry {
        self.entry_at(account, 0)
    }

    /// A sign-in of that user with that outcome.
    pub(crate) fn event(&mut self, user: &User, seconds: i64, outcome: LoginOutcome) -> LoginEvent {
        LoginEvent {
            id: LoginEventId::from_uuid(self.uuid()),
            account: user.account,
            user: Some(user.id),
            at: at(seconds),
            attempted_login: format!("{}@acme", user.login),
            outcome,
            method: LoginMethod::Local,
            origin: origin("192.0.2.7"),
            detail: None,
            attempts: 1,
            impersonator: None,
        }
    }

    /// A session of a day.
    pub(crate) fn session(&mut self, user: &User, seconds: i64) -> Session {
        Session {
            id: SessionId::from_uuid(self.uuid()),
            account: user.account,
            user: user.id,
            created_at: at(seconds),
            last_seen_at: at(seconds),
            expires_at: at(seconds + 86_400),
            origin: full_origin(),
            impersonation: None,
        }
    }

    /// A successful sign-in with a session.
    pub(crate) fn sign_in(&mut self, user: &User, seconds: i64, token_hash: TokenHash) -> LoginRecord {
        LoginRecord {
            event: self.event(user, seconds, LoginOutcome::Success),
            opened: Some(OpenedSession {
                session: self.session(user, seconds),
                token_hash,
                user_revision: user.revision,
                rehashed: None,
            }),
            failures: Failures::Unchanged,
            released: Vec::new(),
            mails: Vec::new(),
            on_lock: None,
        }
    }

    /// A refused sign-in.
    pub(crate) fn refusal(&mut self, user: &User, seconds: i64, failures: Failures) -> LoginRecord {
        LoginRecord {
            event: self.event(user, seconds, LoginOutcome::WrongPassword),
            opened: None,
            failures,
            released: Vec::new(),
            mails: Vec::new(),
            on_lock: None,
        }
    }

    /// Makes an account and stores it.
    pub(crate) async fn stored_account(&mut self, store: &Arc<dyn Store>, name: &str) -> Account {
        let account = self.account(name);
        let main = self.main_group(account.id);
        let entry = self.entry(account.id);
        store.create_account(&account, &main, &entry).await.unwrap();
        account
    }

    /// Makes a role and stores it.
    pub(crate) async fn stored_role(&mut self, store: &Arc<dyn Store>, account: &Account, name: &str) -> Role {
        let (role, entry) = (self.role(account.id, name), self.entry(account.id));
        store.create_role(&role, &entry).await.unwrap();
        role
    }

    /// Makes a group and stores it.
    pub(crate) async fn stored_group(&mut self, store: &Arc<dyn Store>, account: &Account, name: &str) -> Group {
        let (group, entry) = (self.group(account.id, name), self.entry(account.id));
        store.create_group(&group, &entry).await.unwrap();
        group
    }

    /// Another maker, whose objects are not this one's.
    pub(crate) fn apart(&mut self) -> Self {
        Self { made: self.number() }
    }

    /// Stores a user; one that has a password gets the hash of "first".
    pub(crate) async fn store_user(&mut self, store: &Arc<dyn Store>, user: &User) {
        let hash = user.has_password.then(|| password("first"));
        let entry = self.entry(user.account);
        store.create_user(user, hash.as_ref(), &entry, &[]).await.unwrap();
    }

    /// Makes a user with a password and stores it.
    pub(crate) async fn stored_user(&mut self, store: &Arc<dyn Store>, account: &Account, login: &str) -> User {
        let user = self.user(account.id, login);
        self.store_user(store, &user).await;
        user
    }

    /// Makes a user with a password who has signed in and is locked, and stores it.
    pub(crate) async fn stored_person(&mut self, store: &Arc<dyn Store>, account: &Account, login: &str) -> User {
        let user = self.user(account.id, login);
        let event = self.event(&user, 5, LoginOutcome::Success);
        let user = User {
            locked_until: Some(at(1000)),
            last_login: Some(event.clone()),
            ..user
        };
        let person = NewPerson {
            user: user.clone(),
            password: Some(password("first")),
            events: vec![event],
        };
        store.insert_people(&[person]).await.unwrap();
        user
    }

    /// Makes a master with a password and stores it.
    pub(crate) async fn stored_master(&mut self, store: &Arc<dyn Store>, account: &Account, login: &str) -> User {
        let user = self.master(account.id, login);
        self.store_user(store, &user).await;
        user
    }
}

/// An update of a user at its first revision that goes for all that other intents own too, `account` among it; and what is
/// to become of the user.
pub(crate) fn overreaching(user: &User, account: AccountId) -> [User; 2] {
    let expected = User {
        first_name: "Changed".to_owned(),
        updated_at: at(78),
        revision: 2,
        ..user.clone()
    };
    let update = User {
        account,
        locked_until: None,
        has_password: false,
        password_changed_at: None,
        last_login: None,
        created_at: at(77),
        ..expected.clone()
    };
    [update, expected]
}

/// The user as it is stored now.
pub(crate) async fn reload(store: &Arc<dyn Store>, user: &User) -> User {
    let mut found = store.users_by_ids(&[user.id]).await.unwrap();
    assert_eq!(found.len(), 1, "the user is gone");
    found.remove(0)
}

/// How many audit entries there are in all.
pub(crate) async fn audited(store: &Arc<dyn Store>) -> u64 {
    store.count_audit_entries(&[Default::default()]).await.unwrap()[0]
}
