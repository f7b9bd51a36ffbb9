//! What keeps a store in order.

use std::sync::Arc;

use super::sample::{MINUTE, Maker, at, audited, key, password, reload, token};
use crate::domain::ids::RoleId;
use crate::domain::login_event::LoginOutcome;
use crate::domain::page::PageRequest;
use crate::domain::query::{LoginEventFilter, UserFilter, UserOrder};
use crate::domain::user::{Email, User};
use crate::store::{FailureCount, Failures, LimitKey, NewPerson, Retention, Store, StoreError, Unique};

pub(crate) async fn answers_and_passes_its_check(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
    let steps = store.check().await;
    assert!(!steps.is_empty());
    for step in steps {
        assert!(step.outcome.is_ok(), "{step:?}");
    }
}

pub(crate) async fn purges_what_is_over(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let counter = FailureCount {
        key: key(acme.id, 1, None),
        threshold: 1,
        window: MINUTE,
        locks_user: false,
    };
    for (seconds, n) in [(10, 1), (20, 2), (30, 3)] {
        let record = make.sign_in(&ann, seconds, token(n));
        store.record_login(&record).await.unwrap();
        let record = make.refusal(&ann, seconds, Failures::Count(vec![counter]));
        store.record_login(&record).await.unwrap();
    }
    store.count_attempts(&[LimitKey([1; 32])], at(0), MINUTE).await.unwrap();
    let mut roles = Vec::new();
    for seconds in [40, 50, 60] {
        let (role, entry) = (
            make.role(acme.id, &format!("Role {seconds}")),
            make.entry_at(acme.id, seconds),
        );
        store.create_role(&role, &entry).await.unwrap();
        roles.push(entry);
    }
    // The last moment that is over, and the first that is not.
    let retention = Retention {
        now: at(86_400 + 20),
        history_before: at(20),
        audit_before: at(50),
        mail_before: at(0),
        links_before: at(0),
    };
    let gone = store.purge(&retention).await.unwrap();
    // Two sign-ins, three audit entries, and what belongs to the store alone.
    assert!(gone >= 5, "{gone}");
    let events = store
        .login_events(&[LoginEventFilter::default()], &PageRequest::first(10))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(events.items.len(), 4);
    assert!(events.items.iter().all(|e| e.at >= at(20)));
    let recent = store.recent_login_events(&[ann.id], 10, at(20)).await.unwrap();
    assert_eq!(recent[&ann.id], events.items);
    assert_eq!(audited(&store).await, 2);
    let sessions = store.sessions_of_users(&[ann.id], at(0)).await.unwrap();
    assert_eq!(sessions.iter().map(|s| s.created_at).collect::<Vec<_>>(), [at(30)]);
    assert_eq!(store.identity(&token(2)).await.unwrap(), None);
    assert_eq!(store.purge(&retention).await.unwrap(), 0);

    // That somebody signed in outlives the history.
    let last_login = reload(&store, &ann).await.last_login.unwrap();
    let all = Retention {
        history_before: at(1000),
        ..retention
    };
    assert_eq!(store.purge(&all).await.unwrap(), 4);
    assert_eq!(reload(&store, &ann).await.last_login, Some(last_login));
}

/// People with everything that lists can be asked for.
fn people(make: &mut Maker, account: crate::domain::ids::AccountId, count: i64) -> Vec<NewPerson> {
    let role = RoleId::from_uuid(make.uuid());
    (0..count)
        .map(|n| {
            let user = make.user(account, &format!("person{n:04}"));
            let events: Vec<_> = (0..3)
                .map(|m| make.event(&user, n + m, LoginOutcome::Success))
                .collect();
            let user = User {
                email: Some(Email::parse(&format!("p{n}@example.org")).unwrap()),
                grants: vec![super::sample::grant(crate::domain::grant::GrantTarget::Role(role))],
                last_login: events.last().cloned(),
                ..user
            };
            NewPerson {
                user,
                password: Some(password("shared")),
                events,
            }
        })
        .collect()
}

pub(crate) async fn inserts_people_in_bulk(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let before = audited(&store).await;
    let people = people(&mut make, acme.id, 150);
    store.insert_people(&people).await.unwrap();
    let filter = UserFilter {
        role: Some(people[0].user.roles()[0]),
        ..UserFilter::default()
    };
    let found = store
        .users(&[filter], UserOrder::DEFAULT, &PageRequest::first(200))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(found.items, people.iter().map(|p| p.user.clone()).collect::<Vec<_>>());
    assert_eq!(
        store.count_login_events(&[LoginEventFilter::default()]).await.unwrap(),
        [450]
    );
    let recent = store.recent_login_events(&[people[7].user.id], 2, at(0)).await.unwrap();
    assert_eq!(
        recent[&people[7].user.id],
        [people[7].events[2].clone(), people[7].events[1].clone()]
    );
    let credentials = store.credentials(people[149].user.id).await.unwrap().unwrap();
    assert_eq!(credentials.hash, Some(password("shared")));
    assert_eq!(audited(&store).await, before);
    store.insert_people(&[]).await.unwrap();
}

pub(crate) async fn inserts_people_wholly_or_not_at_all(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_user(&store, &acme, "person0030").await;
    let people = people(&mut make, acme.id, 60);
    let refused = store.insert_people(&people).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::UserLogin))),
        "{refused:?}"
    );
    assert_eq!(store.count_users(&[UserFilter::default()]).await.unwrap(), [1]);
    assert_eq!(
        store.count_login_events(&[LoginEventFilter::default()]).await.unwrap(),
        [0]
    );
    assert_eq!(store.credentials(people[0].user.id).await.unwrap(), None);
}

pub(crate) async fn closes_with_everything_kept(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_user(&store, &acme, "ann").await;
    store.close().await;
    store.close().await;
    // Whoever comes later is told so, and does not hang.
    let late = store.count_users(&[UserFilter::default()]).await;
    assert!(
        matches!(late, Ok(ref counts) if counts == &[1]) || matches!(late, Err(StoreError::Unavailable(_))),
        "{late:?}"
    );
}
