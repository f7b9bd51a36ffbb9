//! Sixty varied people, and everything that their lists can be asked for.

use std::sync::Arc;

use super::model::{sort, user_matches};
use super::sample::{Maker, at, grant, password};
use crate::domain::account::Language;
use crate::domain::grant::GrantTarget;
use crate::domain::ids::{AccountId, GroupId, RoleId, UserId};
use crate::domain::login_event::LoginOutcome;
use crate::domain::query::{Direction, UserFilter, UserOrder, UserOrderField};
use crate::domain::user::{Email, User, UserStatus};
use crate::store::{NewPerson, Store};

const FIELDS: [UserOrderField; 5] = [
    UserOrderField::Login,
    UserOrderField::LastName,
    UserOrderField::Email,
    UserOrderField::CreatedAt,
    UserOrderField::LastLogin,
];

pub(super) fn orders() -> impl Iterator<Item = UserOrder> {
    let both = [Direction::Asc, Direction::Desc];
    FIELDS
        .into_iter()
        .flat_map(move |field| both.map(|direction| UserOrder { field, direction }))
}

/// Sixty varied people of two accounts, and what they were given.
pub(super) struct Population {
    pub(super) users: Vec<User>,
    pub(super) accounts: [AccountId; 2],
    pub(super) roles: Vec<RoleId>,
    pub(super) groups: Vec<GroupId>,
}

pub(super) async fn population(store: &Arc<dyn Store>, make: &mut Maker) -> Population {
    let accounts = [
        make.stored_account(store, "acme").await.id,
        make.stored_account(store, "blue").await.id,
    ];
    let roles: Vec<_> = (0..3).map(|_| RoleId::from_uuid(make.uuid())).collect();
    let groups: Vec<_> = (0..3).map(|_| GroupId::from_uuid(make.uuid())).collect();
    let stems = [
        "ann",
        "a_b",
        "a%b",
        "axb",
        "o'brien",
        "back\\slash",
        "dot.*",
        "ivan.иван",
        "張",
        "😀",
        "zoë",
        "ab@corp",
    ];
    let first = ["", "Ann", "anna", "Ännchen", "100%", "under_score", "Иван", "😀 Smile"];
    let last = ["", "Smith", "SMITH", "O'Neil", "Öz", "Ö\\z", "張", ".*", "Zyx"];
    let mut people = Vec::new();
    for n in 0..60_i64 {
        let account = make.pick(&accounts);
        let login = format!("{}{n}", make.pick(&stems));
        let mut user = User {
            first_name: make.pick(&first).to_owned(),
            last_name: make.pick(&last).to_owned(),
            language: make.pick(&[Language::En, Language::Ru]),
            status: make.pick(&[UserStatus::Active, UserStatus::Active, UserStatus::Disabled]),
            is_ldap: make.pick(&[true, false]),
            locked_until: make.pick(&[None, Some(at(90)), Some(at(100)), Some(at(110))]),
            created_at: at(n / 7),
            ..make.user(account, &login)
        };
        let email = match make.number() % 4 {
            0 => None,
            1 => Some("Shared@Example.org".to_owned()),
            _ => Some(format!(
                "{}{n}@example.org",
                make.pick(&["Ann", "o'brien", "a_b", "zed+tag"])
            )),
        };
        user.email = email.map(|e| Email::parse(&e).unwrap());
        for role in &roles {
            if make.number().is_multiple_of(3) {
                user.grants.push(grant(GrantTarget::Role(*role)));
            }
        }
        for group in &groups {
            if make.number().is_multiple_of(3) {
                user.grants.push(grant(GrantTarget::Group(*group)));
            }
        }
        if make.number().is_multiple_of(4) {
            user.grants.push(grant(GrantTarget::Master));
        }
        let mut events = Vec::new();
        if !make.number().is_multiple_of(3) {
            let event = make.event(&user, make_seconds(n), LoginOutcome::Success);
            user.last_login = Some(event.clone());
            events.push(event);
        }
        people.push(NewPerson {
            password: user.has_password.then(|| password("x")),
            user,
            events,
        });
    }
    store.insert_people(&people).await.unwrap();
    Population {
        users: people.into_iter().map(|p| p.user).collect(),
        accounts,
        roles,
        groups,
    }
}

/// Sign-ins with ties.
fn make_seconds(n: i64) -> i64 {
    (n * 7) % 11
}

/// Every field of the filter on its own.
fn single_filters(population: &Population) -> Vec<UserFilter> {
    let user = &population.users[17];
    let none = UserFilter::default;
    let mut filters = vec![
        none(),
        UserFilter {
            account: Some(population.accounts[0]),
            ..none()
        },
        UserFilter {
            account: Some(population.accounts[1]),
            ..none()
        },
        UserFilter {
            account: Some(AccountId::from_uuid(uuid::Uuid::max())),
            ..none()
        },
        UserFilter {
            id: Some(user.id),
            ..none()
        },
        UserFilter {
            id: Some(UserId::from_uuid(uuid::Uuid::max())),
            ..none()
        },
        UserFilter {
            login: Some(user.login.to_string()),
            ..none()
        },
        UserFilter {
            login: Some("a%".to_owned()),
            ..none()
        },
        UserFilter {
            email: Some("shared@example.org".to_owned()),
            ..none()
        },
        UserFilter {
            email: Some("shared".to_owned()),
            ..none()
        },
        UserFilter {
            role: Some(population.roles[1]),
            ..none()
        },
        UserFilter {
            group: Some(population.groups[2]),
            ..none()
        },
        UserFilter {
            role: Some(RoleId::from_uuid(uuid::Uuid::max())),
            ..none()
        },
        UserFilter {
            created_after: Some(at(4)),
            ..none()
        },
        UserFilter {
            last_login_before: Some(at(5)),
            ..none()
        },
        UserFilter {
            search: Some("a".to_owned()),
            ..none()
        },
        UserFilter {
            search: Some("sm".to_owned()),
            ..none()
        },
    ];
    for yes in [true, false] {
        filters.extend([
            UserFilter {
                is_master: Some(yes),
                ..none()
            },
            UserFilter {
                is_ldap: Some(yes),
                ..none()
            },
            UserFilter {
                is_locked: Some((yes, at(100))),
                ..none()
            },
            UserFilter {
                never_signed_in: Some(yes),
                ..none()
            },
            UserFilter {
                status: Some(if yes { UserStatus::Active } else { UserStatus::Disabled }),
                ..none()
            },
            UserFilter {
                language: Some(if yes { Language::En } else { Language::Ru }),
                ..none()
            },
        ]);
    }
    filters
}

/// What either asks for, the first where both do.
fn both(a: &UserFilter, b: &UserFilter) -> UserFilter {
    UserFilter {
        account: a.account.or(b.account),
        id: a.id.or(b.id),
        search: a.search.clone().or_else(|| b.search.clone()),
        login: a.login.clone().or_else(|| b.login.clone()),
        email: a.email.clone().or_else(|| b.email.clone()),
        status: a.status.or(b.status),
        is_master: a.is_master.or(b.is_master),
        is_ldap: a.is_ldap.or(b.is_ldap),
        is_locked: a.is_locked.or(b.is_locked),
        language: a.language.or(b.language),
        role: a.role.or(b.role),
        group: a.group.or(b.group),
        created_after: a.created_after.or(b.created_after),
        last_login_before: a.last_login_before.or(b.last_login_before),
        never_signed_in: a.never_signed_in.or(b.never_signed_in),
    }
}

/// Alone, in pairs, and a few at once.
pub(super) fn filters(population: &Population) -> Vec<UserFilter> {
    let single = single_filters(population);
    let mut filters = single.clone();
    for (n, a) in single.iter().enumerate() {
        filters.extend(single[n + 1..].iter().map(|b| both(a, b)));
    }
    for chunk in single.chunks(5) {
        filters.push(chunk.iter().fold(UserFilter::default(), |all, one| both(&all, one)));
    }
    filters
}

pub(super) fn expected(population: &Population, filter: &UserFilter, order: UserOrder) -> Vec<User> {
    let mut users: Vec<_> = population
        .users
        .iter()
        .filter(|u| user_matches(filter, u))
        .cloned()
        .collect();
    sort(&mut users, |u| order.position(u), order.direction);
    users
}
