//! Places among the wrong passwords: no more attempts are under way than may still fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::sample::{MINUTE, Maker, at, key, reload, token};
use crate::domain::user::User;
use crate::store::{FailureCount, FailureKey, Failures, LoginRecord, Reservation, Store};

fn count(key: FailureKey, threshold: u32) -> FailureCount {
    FailureCount {
        key,
        threshold,
        window: MINUTE,
        locks_user: true,
    }
}

async fn ann(store: &Arc<dyn Store>, make: &mut Maker) -> User {
    let acme = make.stored_account(store, "acme").await;
    make.stored_user(store, &acme, "ann").await
}

async fn reserve(store: &Arc<dyn Store>, counters: &[FailureCount], seconds: i64) -> Reservation {
    store.reserve(counters, at(seconds)).await.unwrap()
}

/// A refusal that gives its place back.
fn released(make: &mut Maker, user: &User, keys: &[FailureKey]) -> LoginRecord {
    LoginRecord {
        released: keys.to_vec(),
        ..make.refusal(user, 0, Failures::Unchanged)
    }
}

pub(crate) async fn are_as_many_as_may_still_fail(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = count(key(ann.account, 1, Some(1)), 3);
    let fail = |make: &mut Maker| make.refusal(&ann, 0, Failures::Count(vec![counter]));
    for _ in 0..3 {
        assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Held);
    }
    assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Full);
    assert_eq!(store.locks(&[counter.key], at(0)).await.unwrap(), [None]);

    // A failure keeps its place for good, a release gives it to another.
    store.record_login(&fail(&mut make)).await.unwrap();
    assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Full);
    let unused = released(&mut make, &ann, &[counter.key]);
    store.record_login(&unused).await.unwrap();
    assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Held);
    assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Full);

    let second = store.record_login(&fail(&mut make)).await.unwrap();
    assert_eq!(second.locked_until, None);
    let third = store.record_login(&fail(&mut make)).await.unwrap();
    assert_eq!(
        third.locked_until,
        Some(at(60)),
        "and nobody is left who might be right"
    );
    assert_eq!(reserve(&store, &[counter], 1).await, Reservation::Locked(at(60)));
    assert_eq!(reserve(&store, &[counter], 60).await, Reservation::Held);
    assert_eq!(reserve(&store, &[], 0).await, Reservation::Held);
}

pub(crate) async fn are_taken_in_each_counter_or_in_none(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let one = count(key(ann.account, 1, Some(1)), 1);
    let two = count(key(ann.account, 1, None), 2);
    let never = count(key(ann.account, 2, None), 0);
    assert_eq!(reserve(&store, &[one, two, never], 0).await, Reservation::Held);
    for _ in 0..3 {
        assert_eq!(reserve(&store, &[two, one], 0).await, Reservation::Full);
        assert_eq!(reserve(&store, &[never], 0).await, Reservation::Held);
    }
    let fails = make.refusal(&ann, 0, Failures::Count(vec![one, two]));
    store.record_login(&fails).await.unwrap();
    for _ in 0..3 {
        assert_eq!(reserve(&store, &[two, one], 1).await, Reservation::Locked(at(60)));
    }
    assert_eq!(
        reserve(&store, &[two], 1).await,
        Reservation::Held,
        "none was taken here"
    );
}

pub(crate) async fn of_others_stay_theirs(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = count(key(ann.account, 1, None), 3);
    let before = make.refusal(&ann, 0, Failures::Count(vec![counter]));
    store.record_login(&before).await.unwrap();
    for _ in 0..2 {
        assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Held);
    }
    let mut right = make.sign_in(&ann, 1, token(1));
    right.failures = Failures::Reset(vec![counter.key]);
    store.record_login(&right).await.unwrap();
    // The failure is forgotten, and the other attempt is still under way.
    for expected in [Reservation::Held, Reservation::Held, Reservation::Full] {
        assert_eq!(reserve(&store, &[counter], 1).await, expected);
    }
    // An administrator's word is the end of all of them.
    let entry = make.entry(ann.account);
    store.unlock_user(ann.id, &[counter.key], &entry).await.unwrap();
    for expected in [
        Reservation::Held,
        Reservation::Held,
        Reservation::Held,
        Reservation::Full,
    ] {
        assert_eq!(reserve(&store, &[counter], 1).await, expected);
    }
}

pub(crate) async fn are_free_again_after_the_window(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = count(key(ann.account, 1, None), 2);
    // Of processes that are no more.
    assert_eq!(reserve(&store, &[counter], 0).await, Reservation::Held);
    assert_eq!(reserve(&store, &[counter], 30).await, Reservation::Held);
    assert_eq!(reserve(&store, &[counter], 89).await, Reservation::Full);
    for expected in [Reservation::Held, Reservation::Held, Reservation::Full] {
        assert_eq!(reserve(&store, &[counter], 90).await, expected);
    }
    // One of them fails late: in the window that it began in, it is the first.
    let late = make.refusal(&ann, 90, Failures::Count(vec![counter]));
    assert_eq!(store.record_login(&late).await.unwrap().locked_until, None);
    let later = make.refusal(&ann, 91, Failures::Count(vec![counter]));
    assert_eq!(store.record_login(&later).await.unwrap().locked_until, Some(at(151)));
}

pub(crate) async fn lock_at_once_when_the_threshold_was_lowered(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let (high, low) = (count(key(ann.account, 1, None), 9), count(key(ann.account, 1, None), 2));
    for seconds in [0, 10] {
        let fails = make.refusal(&ann, seconds, Failures::Count(vec![high]));
        store.record_login(&fails).await.unwrap();
    }
    assert_eq!(reserve(&store, &[low], 20).await, Reservation::Locked(at(70)));
    assert_eq!(reserve(&store, &[low], 70).await, Reservation::Held);
}

pub(crate) async fn never_let_one_too_many_try(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let here = count(key(ann.account, 1, Some(1)), 7);
    let everywhere = count(key(ann.account, 1, None), 5);
    let tried = Arc::new(AtomicU32::new(0));
    let guesses: Vec<_> = (0..30)
        .map(|_| {
            let wrong = make.refusal(&ann, 0, Failures::Count(vec![here, everywhere]));
            let (store, tried) = (Arc::clone(&store), Arc::clone(&tried));
            tokio::spawn(async move {
                loop {
                    match store.reserve(&[here, everywhere], at(0)).await.unwrap() {
                        Reservation::Held => break,
                        Reservation::Locked(until) => return until,
                        Reservation::Full => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
                tried.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                store.record_login(&wrong).await.unwrap();
                at(60)
            })
        })
        .collect();
    for guess in guesses {
        assert_eq!(guess.await.unwrap(), at(60));
    }
    assert_eq!(tried.load(Ordering::Relaxed), 5);
    assert_eq!(reload(&store, &ann).await.locked_until, Some(at(60)));
}
