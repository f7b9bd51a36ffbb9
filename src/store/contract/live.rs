//! The sign-ins as they are recorded.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::sample::{Maker, at, full_origin, password, token};
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::domain::user::User;
use crate::store::{Failures, Flood, LoginRecord, LoginWatch, Missed, NewPerson, Store, StoreError};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Long enough for whatever comes to have come.
const A_WHILE: Duration = Duration::from_millis(700);

pub(crate) async fn next(watch: &mut LoginWatch) -> LoginEvent {
    let event = tokio::time::timeout(SOON, watch.next()).await;
    LoginEvent::clone(&*event.expect("a sign-in in time").expect("none missed"))
}

pub(crate) async fn is_silent(watch: &mut LoginWatch) {
    let event = tokio::time::timeout(A_WHILE, watch.next()).await;
    assert!(event.is_err(), "{event:?}");
}

pub(crate) async fn ends(watch: &mut LoginWatch) {
    let waiting = async { while watch.next().await.is_ok() {} };
    tokio::time::timeout(SOON, waiting).await.expect("an end in time");
    assert_eq!(watch.next().await, Err(Missed));
}

pub(crate) async fn are_told_of_whole_once_and_in_order(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let earlier = make.refusal(&ann, 5, Failures::Unchanged);
    store.record_login(&earlier).await.unwrap();

    let mut watch = store.watch_logins().await.unwrap();
    let mut recorded = Vec::new();
    // Neither the time of the attempt nor the identifier gives the order, but when it was recorded.
    for (n, seconds) in [30, 10, 20, 10].into_iter().enumerate() {
        let mut record = if n % 2 == 0 {
            make.sign_in(&ann, seconds, token(u8::try_from(n).unwrap()))
        } else {
            make.refusal(&ann, seconds, Failures::Unchanged)
        };
        record.event.origin = full_origin();
        record.event.detail = Some("data 52e".to_owned());
        store.record_login(&record).await.unwrap();
        recorded.push(record.event);
    }
    for event in recorded {
        assert_eq!(next(&mut watch).await, event);
    }
    is_silent(&mut watch).await;
}

pub(crate) async fn are_told_to_each_from_its_beginning_on(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut watches = Vec::new();
    let mut recorded = Vec::new();
    for n in 0..5 {
        watches.push(store.watch_logins().await.unwrap());
        let record = make.refusal(&ann, n, Failures::Unchanged);
        store.record_login(&record).await.unwrap();
        recorded.push(record.event);
    }
    for (n, watch) in watches.iter_mut().enumerate() {
        for event in &recorded[n..] {
            assert_eq!(next(watch).await, *event, "watch {n}");
        }
    }
    // Whoever goes does not disturb the others, and the last one to go does not keep a later one from coming.
    watches.truncate(1);
    let record = make.refusal(&ann, 9, Failures::Unchanged);
    store.record_login(&record).await.unwrap();
    assert_eq!(next(&mut watches[0]).await, record.event);
    watches.clear();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut late = store.watch_logins().await.unwrap();
    let record = make.refusal(&ann, 10, Failures::Unchanged);
    store.record_login(&record).await.unwrap();
    assert_eq!(next(&mut late).await, record.event);
}

pub(crate) async fn are_each_told_of_when_many_come_at_once(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut watch = store.watch_logins().await.unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let (store, record) = (store.clone(), make.refusal(&ann, n, Failures::Unchanged));
            tokio::spawn(async move {
                store.record_login(&record).await.unwrap();
                record.event.id
            })
        })
        .collect();
    let mut recorded = HashSet::new();
    for task in tasks {
        recorded.insert(task.await.unwrap());
    }
    let mut told = HashSet::new();
    for _ in 0..40 {
        assert!(told.insert(next(&mut watch).await.id), "one came twice");
    }
    assert_eq!(told, recorded);
    is_silent(&mut watch).await;
}

pub(crate) async fn are_not_told_of_unless_they_are_recorded(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut watch = store.watch_logins().await.unwrap();
    let mut stale = make.sign_in(&ann, 1, token(1));
    stale.opened.as_mut().unwrap().user_revision = 7;
    let refused = store.record_login(&stale).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let record = make.refusal(&ann, 2, Failures::Unchanged);
    store.record_login(&record).await.unwrap();
    assert_eq!(next(&mut watch).await, record.event);
    is_silent(&mut watch).await;
}

pub(crate) async fn are_told_of_once_for_a_flood(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut watch = store.watch_logins().await.unwrap();
    let event = make.event(&ann, 3, LoginOutcome::RateLimited);
    let flood = Flood { event: event.clone() };
    store.record_flood(&flood).await.unwrap();
    assert_eq!(next(&mut watch).await, event);
    for _ in 0..3 {
        store.record_flood(&flood).await.unwrap();
    }
    is_silent(&mut watch).await;
    let after = make.refusal(&ann, 4, Failures::Unchanged);
    store.record_login(&after).await.unwrap();
    assert_eq!(next(&mut watch).await, after.event);
}

pub(crate) async fn are_said_to_be_missed_by_the_slow(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let user = make.user(acme.id, "ann");
    let events: Vec<_> = (0..1_500)
        .map(|n| make.event(&user, n % 50, LoginOutcome::WrongPassword))
        .collect();
    let mut slow = store.watch_logins().await.unwrap();
    let person = NewPerson {
        user: user.clone(),
        password: Some(password("x")),
        events,
    };
    store.insert_people(&[person]).await.unwrap();
    // Once somebody who begins now is told of the last one, all before it have been told of too.
    loop {
        let mut quick = store.watch_logins().await.unwrap();
        let last = make.refusal(&user, 60, Failures::Unchanged);
        store.record_login(&last).await.unwrap();
        // It may be overrun by those from before; then another tries.
        let told = tokio::time::timeout(SOON, quick.next()).await;
        if let Ok(event) = told.expect("a sign-in in time") {
            assert_eq!(*event, last.event);
            break;
        }
    }
    assert_eq!(slow.next().await, Err(Missed));
}

pub(crate) async fn end_with_the_store(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut watch = store.watch_logins().await.unwrap();
    let record = LoginRecord {
        event: make.event(&ann, 1, LoginOutcome::UnknownUser),
        opened: None,
        failures: Failures::Unchanged,
        released: Vec::new(),
        mails: Vec::new(),
        on_lock: None,
    };
    store.record_login(&record).await.unwrap();
    assert_eq!(next(&mut watch).await, record.event);
    assert_eq!(record.event.at, at(1));
    tokio::time::timeout(SOON, store.close())
        .await
        .expect("a close in time");
    ends(&mut watch).await;
}

pub(crate) async fn are_no_changes_of_rights_but_what_changes_them_is(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let mut seen = store.changes();
    let mut grew = |store: &Arc<dyn Store>| {
        let before = std::mem::replace(&mut seen, store.changes());
        seen > before
    };
    let acme = make.stored_account(&store, "acme").await;
    assert!(grew(&store), "an account");
    let ann = make.stored_user(&store, &acme, "ann").await;
    assert!(grew(&store), "a user");
    let record = make.sign_in(&ann, 1, token(1));
    let session = record.opened.as_ref().unwrap().session.id;
    store.record_login(&record).await.unwrap();
    let refusal = make.refusal(&ann, 2, Failures::Unchanged);
    store.record_login(&refusal).await.unwrap();
    store.touch_session(session, at(3)).await.unwrap();
    assert!(!grew(&store), "signing in and being here");
    let stale = User {
        revision: ann.revision + 7,
        ..ann.clone()
    };
    let audit = make.entry(acme.id);
    assert!(store.update_user(&stale, ann.revision + 6, &audit, &[]).await.is_err());
    grew(&store); // what was refused may count
    let changed = User {
        revision: ann.revision + 1,
        ..ann.clone()
    };
    store.update_user(&changed, ann.revision, &audit, &[]).await.unwrap();
    assert!(grew(&store), "a user's change");
    store.end_session(session).await.unwrap();
    assert!(grew(&store), "the end of a session");
}
