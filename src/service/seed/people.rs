//! One made-up person after the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::tables::{CLIENTS, CYRILLIC_FIRST, CYRILLIC_LAST, DOMAINS, LATIN_FIRST, LATIN_LAST, LOCATIONS};
use super::{SeedAccount, SeedPlan, SeededEntropy};
use crate::domain::account::Language;
use crate::domain::clock::EntropyError;
use crate::domain::credentials::PasswordHash;
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{LoginEventId, UserId, new_uuid};
use crate::domain::location::Location;
use crate::domain::login::Login;
use crate::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::user::{DisabledBy, Email, User, UserStatus};
use crate::store::NewPerson;

/// How far back sign-ins go; people are older.
const HISTORY_DAYS: i64 = 90;
/// The oldest people came this many days before the first sign-in.
const OLDEST_DAYS: i64 = 900;
const DAY_MILLIS: i64 = 24 * 3600 * 1000;
const ROLES: usize = 3;
const GROUPS: usize = 2;
const LDAP_EVERY: usize = 4;
const MASTER_EVERY: usize = 100;

/// All the people of a plan, account by account.
#[derive(Debug)]
pub(super) struct People {
    accounts: std::vec::IntoIter<SeedAccount>,
    account: Option<SeedAccount>,
    next: usize,
    logins_per_user: usize,
    ldap: bool,
    hash: PasswordHash,
    now: Timestamp,
    rng: Rng,
    entropy: Arc<SeededEntropy>,
}

impl Iterator for People {
    type Item = Result<NewPerson, EntropyError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.account.as_ref().is_none_or(|account| self.next == account.users) {
            self.account = Some(self.accounts.next()?);
            self.next = 0;
        }
        let account = self.account.take()?;
        let person = self.person(&account, self.next);
        self.account = Some(account);
        self.next += 1;
        Some(person)
    }
}

impl People {
    pub(super) fn new(
        plan: &SeedPlan,
        accounts: Vec<SeedAccount>,
        hash: PasswordHash,
        now: Timestamp,
        entropy: Arc<SeededEntropy>,
    ) -> Self {
        Self {
            accounts: accounts.into_iter(),
            account: None,
            next: 0,
            logins_per_user: plan.logins_per_user,
            ldap: plan.ldap,
            hash,
            now,
            // Other numbers than the ids', or the two would move together.
            rng: Rng::with_seed(plan.seed ^ 0x5EED_DA7A),
            entropy,
        }
    }

    fn person(&mut self, account: &SeedAccount, index: usize) -> Result<NewPerson, EntropyError> {
        let user = self.user(account, index)?;
        let address = format!("{}@{}", user.login, account.name);
        let events = (0..self.logins_per_user)
            .map(|_| self.event(&user, &address))
            .collect::<Result<Vec<LoginEvent>, _>>()?;
        let newest = events
            .iter()
            .filter(|event| event.outcome == LoginOutcome::Success)
            .max_by_key(|event| (event.at, event.id));
        Ok(NewPerson {
            password: user.has_password.then(|| self.hash.clone()),
            user: User {
                last_login: newest.cloned(),
                ..user
            },
            events,
        })
    }

    fn user(&mut self, account: &SeedAccount, index: usize) -> Result<User, EntropyError> {
        let age = self
            .rng
            .i64(HISTORY_DAYS * DAY_MILLIS + 1..(HISTORY_DAYS + OLDEST_DAYS) * DAY_MILLIS);
        let created_at = millis_before(self.now, age);
        let id = UserId::from_uuid(new_uuid(created_at, self.entropy.as_ref())?);
        let login = if index == 0 {
            "owner".to_owned()
        } else {
            format!("user{index:06}")
        };
        #[expect(clippy::expect_used, reason = "letters and digits only, held by the tests")]
        let login = Login::parse(&login).expect("a login");
        let (first_name, last_name, language) = self.name();
        let is_master = index.is_multiple_of(MASTER_EVERY);
        let is_ldap = self.ldap && index > 0 && index.is_multiple_of(LDAP_EVERY);
        let is_disabled = !is_master && self.rng.u8(..) < 5;
        let domain = DOMAINS[self.rng.usize(..DOMAINS.len())];
        let email = Email::parse(&format!("{login}@{}.{domain}", account.name)).ok();
        Ok(User {
            first_name,
            last_name,
            email: email.filter(|_| index == 0 || self.rng.u8(..) > 8),
            phone: self.phone(),
            status: if is_disabled {
                UserStatus::Disabled
            } else {
                UserStatus::Active
            },
            disabled_by: is_disabled.then_some(DisabledBy::Manual),
            has_password: !is_ldap,
            password_changed_at: (!is_ldap).then_some(created_at),
            is_ldap,
            grants: self.grants(account, is_master, created_at),
            ..User::new(id, account.id, login, language, created_at)
        })
    }

    fn name(&mut self) -> (String, String, Language) {
        let usual = self.rng.u8(..) < 230;
        if self.rng.bool() {
            let first = LATIN_FIRST[self.rng.usize(..LATIN_FIRST.len())];
            let last = LATIN_LAST[self.rng.usize(..LATIN_LAST.len())];
            let language = if usual { Language::En } else { Language::Ru };
            (first.to_owned(), last.to_owned(), language)
        } else {
            let first = self.rng.usize(..CYRILLIC_FIRST.len());
            let ending = if first < CYRILLIC_FIRST.len() / 2 { "" } else { "а" };
            let last = CYRILLIC_LAST[self.rng.usize(..CYRILLIC_LAST.len())];
            let language = if usual { Language::Ru } else { Language::En };
            (CYRILLIC_FIRST[first].to_owned(), format!("{last}{ending}"), language)
        }
    }

    fn phone(&mut self) -> Option<String> {
        match self.rng.u8(..4) {
            0 => None,
            1 => Some(format!("+120255501{:02}", self.rng.u8(..100))),
            _ => Some(format!("+442079460{:03}", self.rng.u16(..1000))),
        }
    }

    fn grants(&mut self, account: &SeedAccount, is_master: bool, at: Timestamp) -> Vec<Grant> {
        let master = is_master.then_some(GrantTarget::Master);
        let roles = self.rng.choose_multiple(&account.roles, ROLES);
        let groups = self.rng.choose_multiple(&account.groups, GROUPS);
        let targets = master
            .into_iter()
            .chain(roles.into_iter().map(|id| GrantTarget::Role(*id)))
            .chain(groups.into_iter().map(|id| GrantTarget::Group(*id)));
        targets
            .map(|target| Grant {
                target,
                source: GrantSource::Manual,
                directory_group_dn: None,
                granted_by: None,
                granted_at: at,
            })
            .collect()
    }

    fn event(&mut self, user: &User, address: &str) -> Result<LoginEvent, EntropyError> {
        let at = millis_before(self.now, self.rng.i64(0..HISTORY_DAYS * DAY_MILLIS));
        let outcome = match self.rng.u8(..100) {
            0..92 => LoginOutcome::Success,
            92..96 => LoginOutcome::WrongPassword,
            96 => LoginOutcome::Locked,
            97 => LoginOutcome::RateLimited,
            98 if user.is_ldap => LoginOutcome::DirectoryUnavailable,
            99 if user.is_ldap => LoginOutcome::PasswordExpired,
            _ => LoginOutcome::WrongPassword,
        };
        Ok(LoginEvent {
            id: LoginEventId::from_uuid(new_uuid(at, self.entropy.as_ref())?),
            account: user.account,
            user: Some(user.id),
            at,
            attempted_login: address.to_owned(),
            outcome,
            method: if user.is_ldap {
                LoginMethod::Ldap
            } else {
                LoginMethod::Local
            },
            origin: self.origin(),
            detail: None,
            attempts: 1,
            impersonator: None,
        })
    }

    fn origin(&mut self) -> EventOrigin {
        let (browser, system, device, user_agent) = CLIENTS[self.rng.usize(..CLIENTS.len())];
        let (country, code, city, latitude, longitude) = LOCATIONS[self.rng.usize(..LOCATIONS.len())];
        let last = self.rng.u8(1..255);
        let ip: IpAddr = match self.rng.u8(..4) {
            0 => Ipv4Addr::new(192, 0, 2, last).into(),
            1 => Ipv4Addr::new(198, 51, 100, last).into(),
            2 => Ipv4Addr::new(203, 0, 113, last).into(),
            _ => Ipv6Addr::new(0x2001, 0xdb8, self.rng.u16(..64), 0, 0, 0, 0, u16::from(last)).into(),
        };
        EventOrigin {
            ip,
            location: Some(Location {
                country: Some(country.into()),
                country_code: Some(code.into()),
                city: Some(city.into()),
                latitude: Some(latitude),
                longitude: Some(longitude),
            }),
            browser: Some(browser.into()),
            operating_system: Some(system.to_owned()),
            device: device.map(str::to_owned),
            user_agent: Some(user_agent.to_owned()),
        }
    }
}

fn millis_before(at: Timestamp, millis: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_millis(millis))
        .unwrap_or(Timestamp::MIN)
}
