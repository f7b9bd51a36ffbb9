//! The login history.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::model::{check_pages, sort, walk};
use super::sample::{Maker, at, full_origin, origin, password, token};
use crate::domain::ids::{LoginEventId, UserId};
use crate::domain::login_event::{Impersonator, LoginEvent, LoginMethod, LoginOutcome};
use crate::domain::page::{PageRequest, Take};
use crate::domain::query::{Direction, LoginEventFilter, UserFilter, UserOrder, login_event_position};
use crate::domain::user::User;
use crate::store::{Failures, Flood, LoginCounts, LoginRecord, NewPerson, Newest, RECENT, Store, UserWithLogins};

pub(crate) async fn reads_back_whole(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut all = Vec::new();
    for outcome in LoginOutcome::ALL {
        for method in [
            LoginMethod::Local,
            LoginMethod::Ldap,
            LoginMethod::Link,
            LoginMethod::Impersonation,
        ] {
            let event = LoginEvent {
                method,
                origin: full_origin(),
                attempted_login: "Zoë'; --\\%_ 😀@acme".to_owned(),
                detail: Some("data 52e, v4563".to_owned()),
                attempts: 3,
                impersonator: Some(Impersonator {
                    user: UserId::from_uuid(make.uuid()),
                    name: "root@system".to_owned(),
                }),
                ..make.event(&ann, 1, outcome)
            };
            let record = LoginRecord {
                event: event.clone(),
                opened: None,
                failures: Failures::Unchanged,
                released: Vec::new(),
                mails: Vec::new(),
                on_lock: None,
            };
            store.record_login(&record).await.unwrap();
            all.push(event);
        }
    }
    let ids: Vec<_> = all
        .iter()
        .map(|e| e.id)
        .chain([LoginEventId::from_uuid(make.uuid())])
        .collect();
    let mut found = store.login_events_by_ids(&ids).await.unwrap();
    sort(&mut found, login_event_position, Direction::Asc);
    sort(&mut all, login_event_position, Direction::Asc);
    assert_eq!(found, all);
    assert_eq!(store.login_events_by_ids(&[]).await.unwrap(), []);
}

/// Ninety sign-ins of several people of two accounts, with ties in time.
async fn population(store: &Arc<dyn Store>, make: &mut Maker) -> (Vec<User>, Vec<LoginEvent>) {
    let acme = make.stored_account(store, "acme").await;
    let blue = make.stored_account(store, "blue").await;
    let mut users = Vec::new();
    for n in 0..4 {
        let account = if n % 2 == 0 { &acme } else { &blue };
        users.push(make.stored_user(store, account, &format!("user{n}")).await);
    }
    let mut events = Vec::new();
    for n in 0..90 {
        let user = make.pick(&users);
        let outcome = make.pick(&LoginOutcome::ALL);
        let event = LoginEvent {
            user: make.pick(&[None, Some(user.id), Some(user.id)]),
            method: make.pick(&[LoginMethod::Local, LoginMethod::Ldap, LoginMethod::Link]),
            origin: origin(make.pick(&["192.0.2.1", "192.0.2.11", "2001:db8::1", "::ffff:192.0.2.1"])),
            ..make.event(&user, n / 4, outcome)
        };
        let record = LoginRecord {
            event: event.clone(),
            opened: None,
            failures: Failures::Unchanged,
            released: Vec::new(),
            mails: Vec::new(),
            on_lock: None,
        };
        store.record_login(&record).await.unwrap();
        events.push(event);
    }
    sort(&mut events, login_event_position, Direction::Desc);
    (users, events)
}

fn filters(users: &[User]) -> Vec<LoginEventFilter> {
    let none = LoginEventFilter::default;
    let single = [
        none(),
        LoginEventFilter {
            account: Some(users[0].account),
            ..none()
        },
        LoginEventFilter {
            account: Some(users[1].account),
            ..none()
        },
        LoginEventFilter {
            user: Some(users[0].id),
            ..none()
        },
        LoginEventFilter {
            user: Some(users[3].id),
            ..none()
        },
        LoginEventFilter {
            outcomes: Some(vec![]),
            ..none()
        },
        LoginEventFilter {
            outcomes: Some(vec![LoginOutcome::Success]),
            ..none()
        },
        LoginEventFilter {
            outcomes: Some(LoginOutcome::ALL[1..6].to_vec()),
            ..none()
        },
        LoginEventFilter {
            methods: Some(vec![]),
            ..none()
        },
        LoginEventFilter {
            methods: Some(vec![LoginMethod::Ldap, LoginMethod::Link]),
            ..none()
        },
        LoginEventFilter {
            ip: Some("192.0.2.1".parse().unwrap()),
            ..none()
        },
        LoginEventFilter {
            ip: Some("2001:db8:0::1".parse().unwrap()),
            ..none()
        },
        LoginEventFilter {
            since: Some(at(7)),
            ..none()
        },
        LoginEventFilter {
            until: Some(at(15)),
            ..none()
        },
        LoginEventFilter {
            since: Some(at(9)),
            until: Some(at(9)),
            ..none()
        },
    ];
    let mut filters = single.to_vec();
    for (n, a) in single.iter().enumerate() {
        filters.extend(single[n + 1..].iter().cloned().map(|b| LoginEventFilter {
            account: a.account.or(b.account),
            user: a.user.or(b.user),
            outcomes: a.outcomes.clone().or(b.outcomes),
            methods: a.methods.clone().or(b.methods),
            ip: a.ip.or(b.ip),
            since: a.since.or(b.since),
            until: a.until.or(b.until),
        }));
    }
    filters
}

pub(crate) async fn is_filtered_and_paged(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (users, events) = population(&store, &mut make).await;
    let filters = filters(&users);
    let pages = store.login_events(&filters, &PageRequest::first(200)).await.unwrap();
    let counts = store.count_login_events(&filters).await.unwrap();
    assert_eq!((pages.len(), counts.len()), (filters.len(), filters.len()));
    for ((filter, page), count) in filters.iter().zip(pages).zip(counts) {
        let expected: Vec<_> = events.iter().filter(|e| filter.matches(e)).cloned().collect();
        assert_eq!(count, expected.len() as u64, "{filter:?}");
        assert_eq!(page.items, expected, "{filter:?}");
    }
    let none = LoginEventFilter::default;
    for filter in [
        none(),
        LoginEventFilter {
            account: Some(users[0].account),
            ..none()
        },
        LoginEventFilter {
            user: Some(users[0].id),
            ..none()
        },
        LoginEventFilter {
            methods: Some(vec![LoginMethod::Local]),
            since: Some(at(2)),
            ..none()
        },
    ] {
        let expected: Vec<_> = events.iter().filter(|e| filter.matches(e)).cloned().collect();
        check_pages(&expected, Direction::Desc, login_event_position, async |request| {
            store
                .login_events(std::slice::from_ref(&filter), &request)
                .await
                .unwrap()
                .remove(0)
        })
        .await;
    }
}

pub(crate) async fn is_paged_under_new_sign_ins(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (users, events) = population(&store, &mut make).await;
    let running = Arc::new(AtomicBool::new(true));
    let signing_in = {
        let (store, running, user) = (store.clone(), running.clone(), users[0].clone());
        tokio::spawn(async move {
            let mut n = 0;
            while running.load(Ordering::SeqCst) && n < 1000 {
                n += 1;
                let record = make.refusal(&user, n % 30, Failures::Unchanged);
                store.record_login(&record).await.unwrap();
            }
            n
        })
    };
    let filter = [LoginEventFilter {
        account: Some(users[0].account),
        ..LoginEventFilter::default()
    }];
    let expected: Vec<_> = events.iter().filter(|e| filter[0].matches(e)).cloned().collect();
    for take in [Take::First, Take::Last] {
        for size in [3, 11] {
            let walked = walk(take, size, login_event_position, async |request| {
                store.login_events(&filter, &request).await.unwrap().remove(0)
            })
            .await;
            let from_the_start: Vec<_> = walked.into_iter().filter(|e| events.contains(e)).collect();
            assert_eq!(from_the_start, expected, "{take:?}");
        }
    }
    running.store(false, Ordering::SeqCst);
    assert!(signing_in.await.unwrap() > 0);
}

/// A hundred users with up to sixteen sign-ins each, every third of them with everything that a sign-in can have.
async fn signed_in(store: &Arc<dyn Store>, make: &mut Maker) -> Vec<NewPerson> {
    let acme = make.stored_account(store, "acme").await;
    let mut people = Vec::new();
    for n in 0..100_i64 {
        let user = make.user(acme.id, &format!("user{n}"));
        let mut events: Vec<_> = (0..n % 17)
            .map(|m| {
                let outcome = make.pick(&LoginOutcome::ALL);
                let seconds = i64::try_from(make.number() % 20).unwrap() + m;
                let event = make.event(&user, seconds, outcome);
                if m % 3 > 0 {
                    return event;
                }
                LoginEvent {
                    origin: full_origin(),
                    detail: Some("data 52e, v4563".to_owned()),
                    attempts: 3,
                    impersonator: Some(Impersonator {
                        user: UserId::from_uuid(make.uuid()),
                        name: "root@system".to_owned(),
                    }),
                    ..event
                }
            })
            .collect();
        let last_login = events
            .iter()
            .filter(|e| e.outcome == LoginOutcome::Success)
            .max_by_key(|e| (e.at, e.id))
            .cloned();
        let half = events.len() / 2;
        events.rotate_left(half);
        people.push(NewPerson {
            user: User { last_login, ..user },
            password: Some(password("x")),
            events,
        });
    }
    store.insert_people(&people).await.unwrap();
    people
}

pub(crate) async fn comes_with_a_page_of_users(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let people = signed_in(&store, &mut make).await;
    let account = Some(people[0].user.account);
    let whole = UserFilter {
        account,
        ..UserFilter::default()
    };
    let one = UserFilter {
        login: Some("user33".to_owned()),
        ..whole.clone()
    };
    let nobody = UserFilter {
        login: Some("nobody".to_owned()),
        ..whole.clone()
    };
    let page = PageRequest::first(60);
    for filters in [&[whole.clone()][..], &[one, nobody, whole]] {
        for (limit, not_before) in [(5, at(0)), (10, at(10)), (1, at(0)), (3, at(500)), (0, at(0))] {
            let newest = Newest {
                limit,
                not_before,
                details: true,
                last_login: true,
            };
            let order = UserOrder::DEFAULT;
            let found = store.users_with_logins(filters, order, &page, newest).await.unwrap();
            let alone = store.users(filters, order, &page).await.unwrap();
            assert_eq!(found.len(), alone.len());
            for (found, alone) in found.into_iter().zip(alone) {
                assert_eq!(found.has_more, alone.has_more);
                let ids: Vec<UserId> = alone.items.iter().map(|user| user.id).collect();
                let mut recent = store.recent_login_events(&ids, limit, not_before).await.unwrap();
                let expected: Vec<_> = alone
                    .items
                    .into_iter()
                    .map(|user| (user.clone(), recent.remove(&user.id).unwrap_or_default()))
                    .collect();
                assert_eq!(found.items, expected, "{limit} {not_before}");
            }
            // Where details and last sign-ins are not wanted, everything else is the same.
            let brief = Newest {
                details: false,
                last_login: false,
                ..newest
            };
            let whole = store.users_with_logins(filters, order, &page, newest).await.unwrap();
            let expected: Vec<_> = whole.into_iter().map(|page| page.map(without_details)).collect();
            let found = store.users_with_logins(filters, order, &page, brief).await.unwrap();
            assert_eq!(found, expected, "{limit} {not_before}");
        }
    }
    assert!(
        store
            .users_with_logins(
                &[],
                UserOrder::DEFAULT,
                &page,
                Newest {
                    limit: 1,
                    not_before: at(0),
                    details: true,
                    last_login: true,
                }
            )
            .await
            .unwrap()
            .is_empty()
    );
}

/// A user who signed in is listed as the history has it.
pub(super) async fn check_listed(store: &Arc<dyn Store>, user: &User) {
    assert!(!listed_as_in_history(store, user).await.is_empty());
}

/// The sign-ins that come with this user in a list; they are those of the history, but for their details.
pub(crate) async fn listed_as_in_history(store: &Arc<dyn Store>, user: &User) -> Vec<LoginEvent> {
    let filters = [UserFilter {
        account: Some(user.account),
        login: Some(user.login.to_string()),
        ..UserFilter::default()
    }];
    let (order, page) = (UserOrder::DEFAULT, PageRequest::first(1));
    let newest = Newest {
        limit: RECENT,
        not_before: at(-1000),
        details: false,
        last_login: true,
    };
    let mut pages = store.users_with_logins(&filters, order, &page, newest).await.unwrap();
    let (listed, events) = pages.remove(0).items.remove(0);
    let of_user = LoginEventFilter {
        account: Some(user.account),
        user: Some(user.id),
        ..LoginEventFilter::default()
    };
    let history = store.login_events(&[of_user], &PageRequest::first(RECENT)).await;
    let (_, expected) = without_details((listed, history.unwrap().remove(0).items));
    assert_eq!(events, expected);
    events
}

/// A user's newest sign-ins as a list gives them that shows no details and no last sign-in.
fn without_details((mut user, mut events): UserWithLogins) -> UserWithLogins {
    user.last_login = None;
    for event in &mut events {
        event.attempted_login.clear();
        event.detail = None;
        let origin = &mut event.origin;
        (origin.operating_system, origin.device, origin.user_agent) = (None, None, None);
    }
    (user, events)
}

pub(crate) async fn gives_the_recent_ones_of_many_users(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let people = signed_in(&store, &mut make).await;
    let nobody = UserId::from_uuid(make.uuid());
    let asked: Vec<_> = people.iter().map(|p| p.user.id).chain([nobody]).collect();
    for (limit, not_before) in [
        (5, at(0)),
        (10, at(10)),
        (1, at(0)),
        (13, at(0)),
        (200, at(3)),
        (5, at(500)),
        (0, at(0)),
    ] {
        let found = store.recent_login_events(&asked, limit, not_before).await.unwrap();
        let mut with_any = 0;
        for person in &people {
            let mut expected: Vec<_> = person.events.iter().filter(|e| e.at >= not_before).cloned().collect();
            sort(&mut expected, login_event_position, Direction::Desc);
            expected.truncate(limit);
            with_any += usize::from(!expected.is_empty());
            let none = Vec::new();
            assert_eq!(
                found.get(&person.user.id).unwrap_or(&none),
                &expected,
                "{limit} {not_before}"
            );
        }
        assert_eq!(found.len(), with_any, "users without any are left out");
    }
    assert!(store.recent_login_events(&[], 5, at(0)).await.unwrap().is_empty());
    // Asked for twice is answered once.
    let twice = store
        .recent_login_events(&[asked[16], asked[16]], 3, at(0))
        .await
        .unwrap();
    assert_eq!(twice[&asked[16]].len(), 3);
}

pub(crate) async fn adds_up_floods(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 1, token(1));
    store.record_login(&record).await.unwrap();
    let of_ann = make.event(&ann, 5, LoginOutcome::RateLimited);
    let of_nobody = LoginEvent {
        user: None,
        ..make.event(&ann, 6, LoginOutcome::RateLimited)
    };
    let running: Vec<_> = (0..30)
        .map(|n| {
            let event = if n % 3 == 0 { of_nobody.clone() } else { of_ann.clone() };
            let store = store.clone();
            tokio::spawn(async move { store.record_flood(&Flood { event }).await })
        })
        .collect();
    for task in running {
        task.await.unwrap().unwrap();
    }
    let of_ann = LoginEvent { attempts: 20, ..of_ann };
    let of_nobody = LoginEvent {
        attempts: 10,
        ..of_nobody
    };
    let all = store
        .login_events(&[LoginEventFilter::default()], &PageRequest::first(10))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(all.items, [of_nobody, of_ann.clone(), record.event.clone()]);
    let recent = store.recent_login_events(&[ann.id], 5, at(0)).await.unwrap();
    assert_eq!(recent[&ann.id], [of_ann, record.event.clone()]);
    check_listed(&store, &ann).await;
    let user = store.users_by_ids(&[ann.id]).await.unwrap().remove(0);
    assert_eq!(
        user,
        User {
            last_login: Some(record.event),
            ..ann
        }
    );
}

pub(crate) async fn survives_its_user(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 1, token(1));
    store.record_login(&record).await.unwrap();
    let entry = make.entry(acme.id);
    store.delete_user(ann.id, 1, &entry).await.unwrap();
    assert_eq!(
        store.login_events_by_ids(&[record.event.id]).await.unwrap(),
        std::slice::from_ref(&record.event)
    );
    let filter = LoginEventFilter {
        user: Some(ann.id),
        ..LoginEventFilter::default()
    };
    assert_eq!(store.count_login_events(&[filter]).await.unwrap(), [1]);
}

pub(crate) async fn is_counted_between_edges(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let eve = make.stored_user(&store, &blue, "eve").await;
    let add = async |event: LoginEvent| {
        let record = LoginRecord {
            event,
            opened: None,
            failures: Failures::Unchanged,
            released: Vec::new(),
            mails: Vec::new(),
            on_lock: None,
        };
        store.record_login(&record).await.unwrap();
    };
    for (user, seconds, outcome) in [
        (&ann, 99, LoginOutcome::Success), // before the first edge
        (&ann, 100, LoginOutcome::Success),
        (&ann, 150, LoginOutcome::Success),
        (&bob, 199, LoginOutcome::Success),
        (&bob, 120, LoginOutcome::WrongPassword),
        (&eve, 130, LoginOutcome::Success), // of another account
        (&ann, 200, LoginOutcome::Locked),
        (&ann, 400, LoginOutcome::Success), // at the last edge
    ] {
        let event = make.event(user, seconds, outcome);
        add(event).await;
    }
    let mut flood = make.event(&ann, 210, LoginOutcome::RateLimited);
    flood.attempts = 7;
    add(flood).await;
    let mut nobody = make.event(&ann, 220, LoginOutcome::UnknownUser);
    nobody.user = None;
    add(nobody).await;
    let mut acting = make.event(&ann, 160, LoginOutcome::Success);
    acting.method = LoginMethod::Impersonation;
    add(acting).await;

    let counts = |succeeded, failed, unique_users| LoginCounts {
        succeeded,
        failed,
        unique_users,
    };
    let edges = [100, 200, 300, 300, 400].map(at);
    let found = store.login_stats(acme.id, &edges).await.unwrap();
    assert_eq!(
        found,
        [counts(3, 1, 2), counts(0, 9, 0), counts(0, 0, 0), counts(0, 0, 0)]
    );
    assert_eq!(
        store.login_stats(acme.id, &[at(0), at(0)]).await.unwrap(),
        [counts(0, 0, 0)]
    );
    assert_eq!(store.login_stats(acme.id, &[]).await.unwrap(), []);
}
