//! Who asked to be written of what, and which reports were filed.

use std::sync::Arc;

use jiff::civil::date;

use super::outbox::stored;
use super::sample::{Maker, at, full_origin, origin, password, reload};
use crate::domain::ids::UserId;
use crate::domain::location::Location;
use crate::domain::login_event::{EventOrigin, LoginMethod, LoginOutcome};
use crate::domain::mail::{ReportKind, Subscription};
use crate::domain::user::{Email, Notifications, User, UserStatus};
use crate::store::{NewPerson, ReportMark, Store};

/// Notices of nothing but that.
fn only(subscription: Subscription, email: Option<&str>) -> Notifications {
    let mut notifications = Notifications {
        email: email.map(|email| Email::parse(email).unwrap()),
        security_notices: false,
        ..Notifications::default()
    };
    let asked = match subscription.name() {
        "limits_exhausted" => &mut notifications.limits_exhausted,
        "subscriber_complaints" => &mut notifications.subscriber_complaints,
        "hard_bounces" => &mut notifications.hard_bounces,
        "soft_bounces" => &mut notifications.soft_bounces,
        "daily_reports" => &mut notifications.daily_reports,
        "weekly_reports" => &mut notifications.weekly_reports,
        "security_notices" => &mut notifications.security_notices,
        other => panic!("{other} is none of the switches"),
    };
    *asked = true;
    assert!(subscription.is_in(&notifications));
    notifications
}

fn address() -> Option<Email> {
    Some(Email::parse("somebody@example.org").unwrap())
}

async fn ids(store: &Arc<dyn Store>, user: &User, subscription: Subscription) -> Vec<UserId> {
    let found = store.subscribers(user.account, subscription, None, 100).await.unwrap();
    found.iter().map(|user| user.id).collect()
}

pub(crate) async fn go_to_exactly_those_who_asked(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    for (n, subscription) in Subscription::ALL.into_iter().enumerate() {
        let asked = |make: &mut Maker, who: &str, account, email: Option<Email>, own: Option<&str>| User {
            email,
            notifications: only(subscription, own),
            ..make.user(account, &format!("{who}{n}"))
        };
        let contact = asked(&mut make, "contact", acme.id, address(), None);
        let own = asked(&mut make, "own", acme.id, None, Some("alerts@example.org"));
        let unreachable = asked(&mut make, "none", acme.id, None, None);
        let elsewhere = asked(&mut make, "blue", blue.id, address(), None);
        let disabled = User {
            status: UserStatus::Disabled,
            ..asked(&mut make, "off", acme.id, address(), None)
        };
        for user in [&contact, &unreachable, &elsewhere, &disabled] {
            make.store_user(&store, user).await;
        }
        let loaded = NewPerson {
            user: own.clone(),
            password: None,
            events: Vec::new(),
        };
        store.insert_people(&[loaded]).await.unwrap();
        let mut expected = [contact.id, own.id];
        expected.sort_unstable();
        assert_eq!(ids(&store, &contact, subscription).await, expected, "{subscription:?}");
        for other in Subscription::ALL.into_iter().filter(|other| *other != subscription) {
            let found = ids(&store, &contact, other).await;
            assert!(!expected.iter().any(|id| found.contains(id)), "{other:?}");
        }
        assert_eq!(ids(&store, &elsewhere, subscription).await, [elsewhere.id]);
        let found = store.subscribers(acme.id, subscription, None, 100).await.unwrap();
        assert_eq!(
            found[0].notifications,
            only(subscription, found[0].notifications.email.as_ref().map(|e| e.as_str()))
        );
    }
}

pub(crate) async fn follow_what_users_ask_for(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let daily = Subscription::Reports(ReportKind::Daily);
    let ann = User {
        email: address(),
        ..make.user(acme.id, "ann")
    };
    make.store_user(&store, &ann).await;
    assert_eq!(
        ids(&store, &ann, Subscription::Security).await,
        [ann.id],
        "that is asked for unless it is refused"
    );
    let asked = User {
        notifications: only(daily, None),
        ..ann.clone()
    };
    let steps = [
        (asked.clone(), true),
        (
            User {
                email: None,
                ..asked.clone()
            },
            false,
        ),
        (
            User {
                notifications: only(daily, Some("a@example.org")),
                email: None,
                ..asked.clone()
            },
            true,
        ),
        (
            User {
                status: UserStatus::Disabled,
                ..asked.clone()
            },
            false,
        ),
        (asked.clone(), true),
        (
            User {
                notifications: only(Subscription::Security, None),
                ..asked
            },
            false,
        ),
    ];
    for (revision, (user, expected)) in (2..).zip(steps) {
        let user = User { revision, ..user };
        store
            .update_user(&user, revision - 1, &make.entry(acme.id), &[])
            .await
            .unwrap();
        assert_eq!(!ids(&store, &user, daily).await.is_empty(), expected, "{revision}");
    }
    assert_eq!(ids(&store, &ann, Subscription::Security).await, [ann.id]);
    let revision = reload(&store, &ann).await.revision;
    let entry = make.entry(acme.id);
    store.delete_user(ann.id, revision, &entry).await.unwrap();
    assert_eq!(ids(&store, &ann, Subscription::Security).await, []);
}

pub(crate) async fn go_to_many_page_by_page(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let people: Vec<NewPerson> = (0..23)
        .map(|n| NewPerson {
            user: User {
                email: address().filter(|_| n % 3 > 0),
                ..make.user(acme.id, &format!("user{n}"))
            },
            password: Some(password("first")),
            events: Vec::new(),
        })
        .collect();
    store.insert_people(&people).await.unwrap();
    let reached = people
        .iter()
        .map(|person| &person.user)
        .filter(|user| user.email.is_some());
    let mut expected: Vec<User> = reached.cloned().collect();
    expected.sort_by_key(|user| user.id);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .subscribers(acme.id, Subscription::Security, after, 4)
            .await
            .unwrap();
        let full = page.len() == 4;
        after = page.last().map(|user| user.id).or(after);
        all.extend(page);
        if !full {
            break;
        }
    }
    assert_eq!(all, expected);
    let none = store
        .subscribers(acme.id, Subscription::Security, None, 0)
        .await
        .unwrap();
    assert_eq!(none, []);
}

pub(crate) async fn warn_whose_directory_password_expires(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut expected = Vec::new();
    for n in 0..20 {
        let expires = make.pick(&[None, Some(99), Some(100), Some(150), Some(199), Some(200)]);
        let user = User {
            is_ldap: n % 4 > 0,
            has_password: false,
            password_changed_at: None,
            password_expires_at: expires.map(at),
            email: address().filter(|_| n != 13),
            notifications: only(
                if n == 10 {
                    Subscription::Reports(ReportKind::Daily)
                } else {
                    Subscription::Security
                },
                None,
            ),
            ..make.user(acme.id, &format!("user{n}"))
        };
        make.store_user(&store, &user).await;
        if user.is_ldap && expires.is_some_and(|at| (100..200).contains(&at)) && n != 13 && n != 10 {
            expected.push(user);
        }
    }
    assert!(expected.len() > 4, "{}", expected.len());
    expected.sort_by_key(|user| user.id);
    let mut found = store.expiring_users(acme.id, at(100), at(200), None, 3).await.unwrap();
    let after = Some(found[2].id);
    found.extend(
        store
            .expiring_users(acme.id, at(100), at(200), after, 100)
            .await
            .unwrap(),
    );
    assert_eq!(found, expected);
    assert_eq!(
        store.expiring_users(acme.id, at(100), at(200), None, 0).await.unwrap(),
        []
    );
    assert_eq!(
        store.expiring_users(acme.id, at(300), at(400), None, 9).await.unwrap(),
        []
    );
}

pub(crate) async fn are_filed_once(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mark = |account, kind, day| ReportMark {
        account,
        kind,
        first_day: date(2026, 3, day),
    };
    assert_eq!(store.last_reports(&[acme.id, blue.id]).await.unwrap(), []);
    assert_eq!(store.last_reports(&[]).await.unwrap(), []);
    let first = mark(acme.id, ReportKind::Daily, 9);
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, mail) = (store.clone(), make.mail(&ann, n));
            tokio::spawn(async move {
                let filed = store.file_report(&first, std::slice::from_ref(&mail)).await.unwrap();
                (filed, mail)
            })
        })
        .collect();
    let mut filed = 0;
    for task in tasks {
        let (is_filed, mail) = task.await.unwrap();
        assert_eq!(stored(&store, &[&mail]).await.len(), usize::from(is_filed));
        filed += usize::from(is_filed);
    }
    assert_eq!(filed, 1);
    // Another kind, another account, the next day; and what lies behind that is over.
    let mail = make.mail(&ann, 20);
    for (mark, expected) in [
        (mark(acme.id, ReportKind::Weekly, 2), true),
        (mark(blue.id, ReportKind::Daily, 9), true),
        (mark(acme.id, ReportKind::Daily, 10), true),
        (mark(acme.id, ReportKind::Daily, 10), false),
        (mark(acme.id, ReportKind::Daily, 9), false),
        (mark(acme.id, ReportKind::Daily, 8), false),
        (mark(acme.id, ReportKind::Daily, 12), true),
    ] {
        let mails = if expected { &[] } else { std::slice::from_ref(&mail) };
        assert_eq!(store.file_report(&mark, mails).await.unwrap(), expected, "{mark:?}");
    }
    assert_eq!(stored(&store, &[&mail]).await, []);
    let mut last = store.last_reports(&[acme.id]).await.unwrap();
    last.sort_by_key(|mark| mark.kind);
    let expected = [
        mark(acme.id, ReportKind::Daily, 12),
        mark(acme.id, ReportKind::Weekly, 2),
    ];
    assert_eq!(last, expected);

    store
        .delete_account(acme.id, at(100), &make.entry(blue.id))
        .await
        .unwrap();
    store.clear_deleted(at(101)).await.unwrap();
    let left = store.last_reports(&[acme.id, blue.id]).await.unwrap();
    assert_eq!(left, [mark(blue.id, ReportKind::Daily, 9)]);
}

pub(crate) async fn tell_from_which_countries_people_signed_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let [ann, zoe] = [make.user(acme.id, "ann"), make.user(blue.id, "zoe")];
    let from = |code: Option<&str>| EventOrigin {
        location: Some(Location {
            country_code: code.map(Into::into),
            ..Location::default()
        }),
        ..full_origin()
    };
    use LoginMethod::{Impersonation, Ldap, Link, Local};
    let mut events = Vec::new();
    for (user, seconds, outcome, method, origin) in [
        (&ann, 9, LoginOutcome::Success, Local, from(Some("AA"))),
        (&ann, 10, LoginOutcome::Success, Local, from(Some("FR"))),
        (&ann, 11, LoginOutcome::Success, Ldap, from(Some("FR"))),
        (&ann, 12, LoginOutcome::Success, Ldap, from(Some("DE"))),
        (&ann, 13, LoginOutcome::Success, Link, from(Some("CI"))),
        (&ann, 14, LoginOutcome::WrongPassword, Local, from(Some("BB"))),
        (&ann, 15, LoginOutcome::Success, Impersonation, from(Some("GB"))),
        (&ann, 16, LoginOutcome::Success, Local, from(None)),
        (&ann, 17, LoginOutcome::Success, Local, origin("192.0.2.7")),
        (&ann, 19, LoginOutcome::Success, Local, from(Some("US"))),
        (&ann, 20, LoginOutcome::Success, Local, from(Some("ZZ"))),
        (&zoe, 15, LoginOutcome::Success, Local, from(Some("NL"))),
    ] {
        let mut event = make.event(user, seconds, outcome);
        (event.method, event.origin) = (method, origin);
        events.push(event);
    }
    for user in [ann, zoe] {
        let own = events.iter().filter(|event| event.user == Some(user.id));
        let person = NewPerson {
            events: own.cloned().collect(),
            user,
            password: None,
        };
        store.insert_people(&[person]).await.unwrap();
    }
    let countries = async |account, since, until| store.login_countries(account, at(since), at(until)).await.unwrap();
    assert_eq!(countries(acme.id, 10, 20).await, ["CI", "DE", "FR", "US"]);
    assert_eq!(countries(acme.id, 0, 10).await, ["AA"]);
    assert_eq!(countries(blue.id, 0, 100).await, ["NL"]);
    assert_eq!(countries(acme.id, 13, 13).await, [""; 0]);
}
