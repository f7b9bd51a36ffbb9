//! How often the database is asked: what a page within a page costs must not grow with the outer one.

use super::support::{open, round_trips};
use crate::domain::account::AccountName;
use crate::domain::login_event::LoginOutcome;
use crate::domain::page::{PageRequest, Take};
use crate::domain::query::{Direction, LoginEventFilter, UserFilter, UserOrder, UserOrderField};
use crate::domain::user::{Email, User};
use crate::store::contract::sample::{MINUTE, Maker, at, key, token};
use crate::store::{FailureCount, Failures, NewPerson, Newest, Reservation, Store};

/// Two hundred people with three sign-ins each; every other one has an address.
async fn people(store: &std::sync::Arc<dyn Store>, make: &mut Maker) -> Vec<User> {
    let acme = make.stored_account(store, "acme").await;
    let people: Vec<NewPerson> = (0..200)
        .map(|n| {
            let user = make.user(acme.id, &format!("person{n:03}"));
            let events: Vec<_> = (0..3)
                .map(|m| make.event(&user, n + m, LoginOutcome::Success))
                .collect();
            let email = (n % 2 == 0).then(|| Email::parse(&format!("p{n}@example.org")).unwrap());
            NewPerson {
                user: User {
                    email,
                    last_login: events.last().cloned(),
                    ..user
                },
                password: None,
                events,
            }
        })
        .collect();
    store.insert_people(&people).await.unwrap();
    people.into_iter().map(|person| person.user).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_take_one_for_one_filter_and_for_two_hundred() {
    let (_database, store) = open().await;
    let mut make = Maker::default();
    let users = people(&store, &mut make).await;
    let filters: Vec<LoginEventFilter> = users
        .iter()
        .map(|user| LoginEventFilter {
            account: Some(user.account),
            user: Some(user.id),
            ..LoginEventFilter::default()
        })
        .collect();
    for filters in [&filters[..1], &filters[..]] {
        let page = PageRequest::first(2);
        let (pages, asked) = round_trips(store.login_events(filters, &page)).await;
        let pages = pages.unwrap();
        assert_eq!((pages.len(), asked), (filters.len(), 1));
        for (page, filter) in pages.iter().zip(filters) {
            assert!(page.has_more && page.items.len() == 2);
            assert!(page.items.iter().all(|event| event.user == filter.user));
        }
        let (counts, asked) = round_trips(store.count_login_events(filters)).await;
        assert_eq!((counts.unwrap(), asked), (vec![3; filters.len()], 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_what_may_be_null_take_a_second_one_only_at_the_seam() {
    let (_database, store) = open().await;
    let mut make = Maker::default();
    let users = people(&store, &mut make).await;
    let account = users[0].account;
    let order = UserOrder {
        field: UserOrderField::Email,
        direction: Direction::Desc,
    };
    let filter = |n: usize| UserFilter {
        account: Some(account),
        search: Some(format!("person{n:02}")),
        ..UserFilter::default()
    };
    // Each search finds ten people, five of whom have an address.
    let filters: Vec<UserFilter> = (0..20).map(filter).collect();
    for (limit, expected) in [(4, 1), (5, 2), (10, 2)] {
        for filters in [&filters[..1], &filters[..]] {
            let page = PageRequest::first(limit);
            let (pages, asked) = round_trips(store.users(filters, order, &page)).await;
            assert_eq!(asked, expected, "{limit} of {} lists", filters.len());
            for page in pages.unwrap() {
                assert_eq!(page.items.len(), limit);
                assert!(page.items.iter().take(5).all(|user| user.email.is_some()));
                assert!(page.items.iter().skip(5).all(|user| user.email.is_none()));
            }
        }
    }
    let last = PageRequest {
        take: Take::Last,
        ..PageRequest::first(4)
    };
    let (pages, asked) = round_trips(store.users(&filters, order, &last)).await;
    assert_eq!(asked, 1);
    assert!(
        pages
            .unwrap()
            .iter()
            .all(|page| page.items.iter().all(|user| user.email.is_none()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_with_their_sign_ins_at_once_and_take_a_second_one_for_details() {
    let (_database, store) = open().await;
    let users = people(&store, &mut Maker::default()).await;
    let filter = UserFilter {
        account: Some(users[0].account),
        ..UserFilter::default()
    };
    let page = PageRequest::first(50);
    for (details, expected) in [(false, 1), (true, 2)] {
        let newest = Newest {
            limit: 2,
            not_before: at(-1000),
            details,
            last_login: true,
        };
        let listing = store.users_with_logins(std::slice::from_ref(&filter), UserOrder::DEFAULT, &page, newest);
        let (pages, asked) = round_trips(listing).await;
        let pages = pages.unwrap();
        assert_eq!((pages[0].items.len(), asked), (50, expected));
        assert!(pages[0].items.iter().all(|(_, events)| events.len() == 2));
    }
    // Whole ones of many users, and those of whom the history is asked right away: more than users carry, or of one user.
    let ids: Vec<_> = users.iter().map(|user| user.id).collect();
    for (ids, limit, expected) in [(&ids[..], 5, 2), (&ids, 50, 1), (&ids[..1], 5, 1)] {
        let (recent, asked) = round_trips(store.recent_login_events(ids, limit, at(-1000))).await;
        assert_eq!((recent.unwrap().len(), asked), (ids.len(), expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hot_paths_take_one() {
    let (_database, store) = open().await;
    let mut make = Maker::default();
    let users = people(&store, &mut make).await;
    let record = make.sign_in(&users[0], 1000, token(7));
    let (recorded, asked) = round_trips(store.record_login(&record)).await;
    recorded.unwrap();
    assert!(asked <= 5, "{asked}");
    let refusal = make.refusal(&users[0], 1001, Failures::Unchanged);
    let (recorded, asked) = round_trips(store.record_login(&refusal)).await;
    recorded.unwrap();
    assert_eq!(asked, 3);
    // What comes before a password is tried, and what goes with the place that it took.
    let counters = [Some(1), None].map(|network| FailureCount {
        key: key(users[0].account, 1, network),
        threshold: 10,
        window: MINUTE,
        locks_user: true,
    });
    let (reserved, asked) = round_trips(store.reserve(&counters, at(1002))).await;
    assert_eq!((reserved.unwrap(), asked), (Reservation::Held, 4));
    let mut right = make.sign_in(&users[0], 1002, token(8));
    right.failures = Failures::Reset(counters.map(|counter| counter.key).to_vec());
    let (recorded, asked) = round_trips(store.record_login(&right)).await;
    recorded.unwrap();
    assert!(asked <= 5, "{asked}");

    let (identity, asked) = round_trips(store.identity(&token(7))).await;
    assert_eq!((identity.unwrap().unwrap().user.id, asked), (users[0].id, 1));
    let name = AccountName::parse("acme").unwrap();
    let (candidate, asked) = round_trips(store.candidate(&name, Some(&users[1].login))).await;
    assert_eq!(
        (candidate.unwrap().unwrap().user.unwrap().user.id, asked),
        (users[1].id, 1)
    );
    let ids: Vec<_> = users.iter().map(|user| user.id).collect();
    let (found, asked) = round_trips(store.users_by_ids(&ids)).await;
    assert_eq!((found.unwrap().len(), asked), (200, 1));
}
