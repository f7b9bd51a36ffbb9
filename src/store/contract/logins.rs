//! Sign-ins: each is recorded with all that it changes, or not at all.

use std::collections::HashSet;
use std::sync::Arc;

use super::history::check_listed;
use super::sample::{MINUTE, Maker, at, key, password, reload, token};
use crate::domain::account::AccountName;
use crate::domain::ids::UserId;
use crate::domain::login::Login;
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::domain::query::LoginEventFilter;
use crate::domain::user::User;
use crate::store::{FailureCount, Failures, LoginRecord, OpenedSession, RecordedLogin, Store, StoreError};

pub(crate) async fn find_a_candidate(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_user(&store, &acme, "ann@corp.example").await;
    make.stored_user(&store, &blue, "bob").await;
    let nowhere = AccountName::parse("nowhere").unwrap();
    assert!(store.candidate(&nowhere, Some(&ann.login)).await.unwrap().is_none());
    assert!(store.candidate(&nowhere, None).await.unwrap().is_none());

    let found = store.candidate(&acme.name, Some(&ann.login)).await.unwrap().unwrap();
    assert_eq!(found.account, acme);
    let user = found.user.unwrap();
    assert_eq!(user.user, ann);
    assert_eq!(user.credentials.hash, Some(password("first")));
    assert_eq!(user.credentials.history, []);

    let bob = Login::parse("bob").unwrap();
    for login in [None, Some(&bob)] {
        let found = store.candidate(&acme.name, login).await.unwrap().unwrap();
        assert_eq!(found.account, acme);
        assert!(found.user.is_none(), "{login:?}");
    }
}

async fn event(store: &Arc<dyn Store>, record: &LoginRecord) -> Option<LoginEvent> {
    store.login_events_by_ids(&[record.event.id]).await.unwrap().pop()
}

pub(crate) async fn open_a_session(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 10, token(1));
    let recorded = store.record_login(&record).await.unwrap();
    assert_eq!(recorded, RecordedLogin { locked_until: None });
    assert_eq!(event(&store, &record).await.as_ref(), Some(&record.event));
    let identity = store.identity(&token(1)).await.unwrap().unwrap();
    assert_eq!(identity.session, record.opened.unwrap().session);
    assert_eq!(identity.user.last_login, Some(record.event));
}

pub(crate) async fn keep_revision_and_time_of_change(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 10, token(1));
    store.record_login(&record).await.unwrap();
    let expected = User {
        last_login: Some(record.event),
        ..ann.clone()
    };
    assert_eq!(reload(&store, &ann).await, expected);
}

pub(crate) async fn replace_the_hash(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let mut record = make.sign_in(&ann, 10, token(1));
    record.opened.as_mut().unwrap().rehashed = Some(password("stronger"));
    store.record_login(&record).await.unwrap();
    let credentials = store.credentials(ann.id).await.unwrap().unwrap();
    assert_eq!(credentials.hash, Some(password("stronger")));
    assert_eq!(credentials.history, [], "the same password is no earlier one");
    let expected = User {
        last_login: Some(record.event),
        ..ann.clone()
    };
    assert_eq!(reload(&store, &ann).await, expected);
}

/// Two failures counted, and then a success that resets them, rehashes and opens a session.
async fn failed_then_right(store: &Arc<dyn Store>, make: &mut Maker, user: &User) -> (FailureCount, LoginRecord) {
    let count = FailureCount {
        key: key(user.account, 1, None),
        threshold: 3,
        window: MINUTE,
        locks_user: true,
    };
    for seconds in [0, 1] {
        let record = make.refusal(user, seconds, Failures::Count(vec![count]));
        store.record_login(&record).await.unwrap();
    }
    let mut record = make.sign_in(user, 2, token(1));
    record.opened.as_mut().unwrap().rehashed = Some(password("stronger"));
    record.failures = Failures::Reset(vec![count.key]);
    (count, record)
}

/// Nothing of the record is there, and the two failures are still counted.
async fn nothing_written(
    store: &Arc<dyn Store>,
    make: &mut Maker,
    user: &User,
    count: FailureCount,
    record: &LoginRecord,
) {
    assert_eq!(event(store, record).await, None);
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    let events = store.count_login_events(&[LoginEventFilter::default()]).await.unwrap();
    assert_eq!(events, [2]);
    let third = make.refusal(user, 3, Failures::Count(vec![count]));
    let recorded = store.record_login(&third).await.unwrap();
    assert_eq!(recorded.locked_until, Some(at(63)), "the counter was reset");
}

pub(crate) async fn write_nothing_on_a_conflict(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let (count, record) = failed_then_right(&store, &mut make, &ann).await;
    let renamed = User {
        first_name: "Ann".to_owned(),
        revision: 2,
        ..ann.clone()
    };
    let entry = make.entry(acme.id);
    store.update_user(&renamed, 1, &entry, &[]).await.unwrap();

    let refused = store.record_login(&record).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 2 })),
        "{refused:?}"
    );
    assert_eq!(reload(&store, &ann).await, renamed);
    assert_eq!(
        store.credentials(ann.id).await.unwrap().unwrap().hash,
        Some(password("first"))
    );
    nothing_written(&store, &mut make, &ann, count, &record).await;
}

pub(crate) async fn write_nothing_for_a_user_that_is_gone(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let (count, record) = failed_then_right(&store, &mut make, &ann).await;
    let entry = make.entry(acme.id);
    store.delete_user(ann.id, 1, &entry).await.unwrap();
    let refused = store.record_login(&record).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    nothing_written(&store, &mut make, &ann, count, &record).await;
}

pub(crate) async fn keep_the_newest_as_the_last(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let newest = make.sign_in(&ann, 50, token(1));
    store.record_login(&newest).await.unwrap();
    // One that took longer to be recorded, and a refusal.
    let earlier = make.sign_in(&ann, 40, token(2));
    store.record_login(&earlier).await.unwrap();
    let refusal = make.refusal(&ann, 60, Failures::Unchanged);
    store.record_login(&refusal).await.unwrap();
    assert_eq!(reload(&store, &ann).await.last_login, Some(newest.event.clone()));
    let recent = store.recent_login_events(&[ann.id], 10, at(0)).await.unwrap();
    assert_eq!(recent[&ann.id], [refusal.event, newest.event, earlier.event]);
    check_listed(&store, &ann).await;
}

pub(crate) async fn lose_none_to_concurrency(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let records: Vec<_> = (0..40)
        .map(|n| make.sign_in(&ann, 10 + i64::from(n), token(n)))
        .collect();
    let running: Vec<_> = records
        .iter()
        .cloned()
        .map(|record| {
            let store = store.clone();
            tokio::spawn(async move { store.record_login(&record).await })
        })
        .collect();
    for task in running {
        task.await.unwrap().unwrap();
    }
    let ids: Vec<_> = records.iter().map(|r| r.event.id).collect();
    assert_eq!(store.login_events_by_ids(&ids).await.unwrap().len(), 40);
    let sessions = store.sessions_of_users(&[ann.id], at(0)).await.unwrap();
    let distinct: HashSet<_> = sessions.iter().map(|s| s.id).collect();
    assert_eq!((sessions.len(), distinct.len()), (40, 40));
    let expected = User {
        last_login: Some(records[39].event.clone()),
        ..ann.clone()
    };
    assert_eq!(reload(&store, &ann).await, expected);
    let recent = store.recent_login_events(&[ann.id], 10, at(0)).await.unwrap();
    let newest: Vec<_> = records[30..].iter().rev().map(|r| r.event.clone()).collect();
    assert_eq!(recent[&ann.id], newest);
    check_listed(&store, &ann).await;
}

pub(crate) async fn record_a_refusal_without_a_session(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let refusal = make.refusal(&ann, 10, Failures::Unchanged);
    store.record_login(&refusal).await.unwrap();
    assert_eq!(event(&store, &refusal).await.as_ref(), Some(&refusal.event));
    assert_eq!(reload(&store, &ann).await, ann);
    assert_eq!(store.sessions_of_users(&[ann.id], at(0)).await.unwrap(), []);

    // Nobody by that login, and somebody who was deleted in the meantime.
    let unknown = LoginRecord {
        event: LoginEvent {
            user: None,
            ..make.event(&ann, 11, LoginOutcome::UnknownUser)
        },
        opened: None,
        failures: Failures::Unchanged,
        released: Vec::new(),
        mails: Vec::new(),
        on_lock: None,
    };
    store.record_login(&unknown).await.unwrap();
    assert_eq!(event(&store, &unknown).await.as_ref(), Some(&unknown.event));
    let gone = User {
        id: UserId::from_uuid(make.uuid()),
        ..ann.clone()
    };
    let gone = make.refusal(&gone, 12, Failures::Reset(vec![]));
    store.record_login(&gone).await.unwrap();
    assert_eq!(event(&store, &gone).await.as_ref(), Some(&gone.event));

    // A success that opens no session is one all the same.
    let success = LoginRecord {
        opened: None,
        ..make.sign_in(&ann, 13, token(1))
    };
    store.record_login(&success).await.unwrap();
    assert_eq!(reload(&store, &ann).await.last_login, Some(success.event));
    let OpenedSession { session, .. } = make.sign_in(&ann, 13, token(1)).opened.unwrap();
    assert_eq!(store.sessions_by_ids(&[session.id], at(0)).await.unwrap(), []);
}
