//! Counters: wrong passwords that lock, attempts that are limited.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::sample::{MINUTE, Maker, at, audited, key, reload, token};
use crate::domain::ids::AccountId;
use crate::domain::user::User;
use crate::store::{FailureCount, FailureKey, Failures, LimitKey, Store};

fn count(key: FailureKey, threshold: u32) -> FailureCount {
    FailureCount {
        key,
        threshold,
        window: MINUTE,
        locks_user: false,
    }
}

/// Counts one wrong password; says until when that locked.
async fn fail(
    store: &Arc<dyn Store>,
    make: &mut Maker,
    user: &User,
    seconds: i64,
    counts: &[FailureCount],
) -> Option<Timestamp> {
    let record = make.refusal(user, seconds, Failures::Count(counts.to_vec()));
    store.record_login(&record).await.unwrap().locked_until
}

async fn lock(store: &Arc<dyn Store>, key: FailureKey, seconds: i64) -> Option<Timestamp> {
    store.locks(&[key], at(seconds)).await.unwrap()[0]
}

async fn ann(store: &Arc<dyn Store>, make: &mut Maker) -> User {
    let acme = make.stored_account(store, "acme").await;
    make.stored_user(store, &acme, "ann").await
}

pub(crate) async fn count_up_to_a_lock(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = count(key(ann.account, 1, Some(1)), 3);
    assert_eq!(lock(&store, counter.key, 0).await, None);
    for seconds in [0, 10] {
        assert_eq!(fail(&store, &mut make, &ann, seconds, &[counter]).await, None);
        assert_eq!(lock(&store, counter.key, seconds).await, None);
    }
    assert_eq!(fail(&store, &mut make, &ann, 20, &[counter]).await, Some(at(80)));
    assert_eq!(lock(&store, counter.key, 20).await, Some(at(80)));
    assert_eq!(lock(&store, counter.key, 79).await, Some(at(80)));
    assert_eq!(lock(&store, counter.key, 80).await, None, "a lock is over at its end");
    assert_eq!(store.locks(&[], at(20)).await.unwrap(), []);
}

pub(crate) async fn lock_from_the_last_failure_on(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = count(key(ann.account, 1, None), 1);
    assert_eq!(fail(&store, &mut make, &ann, 0, &[counter]).await, Some(at(60)));
    // One that was checked at the same time, and counted later.
    assert_eq!(fail(&store, &mut make, &ann, 30, &[counter]).await, Some(at(90)));
    assert_eq!(lock(&store, counter.key, 70).await, Some(at(90)));
}

pub(crate) async fn start_again_after_their_window(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = count(key(ann.account, 1, None), 2);
    assert_eq!(fail(&store, &mut make, &ann, 0, &[counter]).await, None);
    assert_eq!(
        fail(&store, &mut make, &ann, 60, &[counter]).await,
        None,
        "the first is forgotten"
    );
    assert_eq!(fail(&store, &mut make, &ann, 119, &[counter]).await, Some(at(179)));
    assert_eq!(
        fail(&store, &mut make, &ann, 179, &[counter]).await,
        None,
        "a lock that is over counts no more"
    );
    assert_eq!(fail(&store, &mut make, &ann, 180, &[counter]).await, Some(at(240)));
}

pub(crate) async fn are_apart_by_key(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let other = AccountId::from_uuid(make.uuid());
    let keys = [
        key(ann.account, 1, Some(1)),
        key(ann.account, 1, Some(2)),
        key(ann.account, 1, None),
        key(ann.account, 2, Some(1)),
        key(other, 1, Some(1)),
        key(ann.account, 1, Some(0)),
    ];
    // Two counters at once, of different reach.
    let here = count(keys[0], 2);
    let anywhere = FailureCount {
        window: Duration::from_secs(600),
        ..count(keys[2], 3)
    };
    assert_eq!(fail(&store, &mut make, &ann, 0, &[here, anywhere]).await, None);
    assert_eq!(fail(&store, &mut make, &ann, 1, &[here, anywhere]).await, Some(at(61)));
    let locks = store.locks(&keys, at(2)).await.unwrap();
    assert_eq!(locks, [Some(at(61)), None, None, None, None, None]);
    assert_eq!(
        fail(&store, &mut make, &ann, 2, &[here, anywhere]).await,
        Some(at(602)),
        "the longer one"
    );
    let locks = store.locks(&keys, at(3)).await.unwrap();
    assert_eq!(locks, [Some(at(62)), None, Some(at(602)), None, None, None]);
    // Asked in another order, and twice.
    let locks = store.locks(&[keys[2], keys[1], keys[0], keys[2]], at(3)).await.unwrap();
    assert_eq!(locks, [Some(at(602)), None, Some(at(62)), Some(at(602))]);
}

pub(crate) async fn show_as_the_users_lock_only_when_told(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let here = count(key(ann.account, 1, Some(1)), 1);
    let anywhere = FailureCount {
        locks_user: true,
        ..count(key(ann.account, 1, None), 2)
    };
    fail(&store, &mut make, &ann, 0, &[here, anywhere]).await;
    assert_eq!(reload(&store, &ann).await, ann);
    fail(&store, &mut make, &ann, 1, &[here, anywhere]).await;
    let expected = User {
        locked_until: Some(at(61)),
        ..ann.clone()
    };
    assert_eq!(
        reload(&store, &ann).await,
        expected,
        "and neither revision nor updated_at"
    );
}

pub(crate) async fn are_reset_by_a_success(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let reset = FailureCount {
        locks_user: true,
        ..count(key(ann.account, 1, Some(1)), 2)
    };
    let kept = count(key(ann.account, 1, Some(2)), 2);
    fail(&store, &mut make, &ann, 0, &[reset, kept]).await;
    fail(&store, &mut make, &ann, 1, &[reset]).await;
    assert_eq!(reload(&store, &ann).await.locked_until, Some(at(61)));
    let mut record = make.sign_in(&ann, 2, token(1));
    record.failures = Failures::Reset(vec![reset.key]);
    assert_eq!(store.record_login(&record).await.unwrap().locked_until, None);
    assert_eq!(reload(&store, &ann).await.locked_until, None);
    assert_eq!(lock(&store, reset.key, 3).await, None);
    assert_eq!(
        fail(&store, &mut make, &ann, 3, &[reset]).await,
        None,
        "counted from the start"
    );
    assert_eq!(
        fail(&store, &mut make, &ann, 4, &[kept]).await,
        Some(at(64)),
        "another network's is not reset"
    );
}

pub(crate) async fn of_another_network_keep_the_users_lock(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let [here, there, elsewhere] = [1, 2, 3].map(|network| FailureCount {
        locks_user: true,
        ..count(key(ann.account, 1, Some(network)), 1)
    });
    let stranger = count(key(ann.account, 2, Some(1)), 1);
    for (counter, seconds) in [(elsewhere, 0), (there, 10), (here, 20), (stranger, 30)] {
        fail(&store, &mut make, &ann, seconds, &[counter]).await;
    }
    assert_eq!(reload(&store, &ann).await.locked_until, Some(at(80)));
    let mut right = make.sign_in(&ann, 40, token(1));
    right.failures = Failures::Reset(vec![here.key]);
    let recorded = store.record_login(&right).await.unwrap();
    assert_eq!(recorded.locked_until, Some(at(70)), "the latest of those that are left");
    assert_eq!(reload(&store, &ann).await.locked_until, Some(at(70)));
    // A lock that is over is none.
    let mut right = make.sign_in(&ann, 70, token(2));
    right.failures = Failures::Reset(vec![here.key]);
    assert_eq!(store.record_login(&right).await.unwrap().locked_until, None);
    assert_eq!(reload(&store, &ann).await.locked_until, None);
}

pub(crate) async fn never_lock_without_a_threshold(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = FailureCount {
        locks_user: true,
        ..count(key(ann.account, 1, None), 0)
    };
    for seconds in 0..5 {
        assert_eq!(fail(&store, &mut make, &ann, seconds, &[counter]).await, None);
    }
    assert_eq!(lock(&store, counter.key, 4).await, None);
    assert_eq!(reload(&store, &ann).await.locked_until, None);
}

pub(crate) async fn lose_no_failure_to_concurrency(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let counter = FailureCount {
        locks_user: true,
        ..count(key(ann.account, 1, None), 20)
    };
    let running: Vec<_> = (0..20)
        .map(|_| {
            let record = make.refusal(&ann, 0, Failures::Count(vec![counter]));
            let store = store.clone();
            tokio::spawn(async move { store.record_login(&record).await.unwrap().locked_until })
        })
        .collect();
    let mut locked = 0;
    for task in running {
        locked += usize::from(task.await.unwrap().is_some());
    }
    assert_eq!(locked, 1, "exactly the twentieth locks");
    assert_eq!(lock(&store, counter.key, 1).await, Some(at(60)));
    assert_eq!(reload(&store, &ann).await.locked_until, Some(at(60)));
}

pub(crate) async fn are_cleared_everywhere_by_an_unlock(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let of_ann = [
        key(ann.account, 1, None),
        key(ann.account, 1, Some(1)),
        key(ann.account, 1, Some(2)),
    ];
    let other = key(ann.account, 2, Some(1));
    let counters: Vec<_> = of_ann.iter().chain([&other]).map(|k| count(*k, 1)).collect();
    fail(&store, &mut make, &ann, 0, &counters).await;
    assert!(store.locks(&of_ann, at(1)).await.unwrap().iter().all(Option::is_some));
    let entry = make.entry(ann.account);
    store.unlock_user(ann.id, &of_ann[1..2], &entry).await.unwrap();
    assert_eq!(store.locks(&of_ann, at(1)).await.unwrap(), [None, None, None]);
    assert_eq!(lock(&store, other, 1).await, Some(at(60)));
}

pub(crate) async fn tell_an_unlock_whether_they_locked(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let ann = ann(&store, &mut make).await;
    let (here, directory) = (key(ann.account, 1, Some(1)), key(ann.account, 3, None));
    let quiet = FailureCount {
        locks_user: false,
        ..count(directory, 1)
    };
    let before = audited(&store).await;
    let mut unlock = async |seconds: i64, entries: u64| {
        let entry = make.entry_at(ann.account, seconds);
        let told = store.unlock_user(ann.id, &[here, directory], &entry).await.unwrap();
        assert_eq!(audited(&store).await, before + entries);
        (told, make.refusal(&ann, 0, Failures::Count(vec![count(here, 2)])))
    };
    let (told, fails) = unlock(1, 0).await;
    assert!(!told, "nothing failed");
    store.record_login(&fails).await.unwrap();
    let (told, mut locks) = unlock(1, 0).await;
    assert!(!told, "one failure of two");
    locks.failures = Failures::Count(vec![count(here, 1)]);
    store.record_login(&locks).await.unwrap();
    let (told, mut elsewhere) = unlock(1, 1).await;
    assert!(told, "the user's own lock");
    elsewhere.failures = Failures::Count(vec![quiet]);
    store.record_login(&elsewhere).await.unwrap();
    let (told, mut over) = unlock(1, 2).await;
    assert!(told, "a lock that does not show as the user's");
    assert_eq!(lock(&store, directory, 1).await, None);
    over.failures = Failures::Count(vec![count(here, 1)]);
    store.record_login(&over).await.unwrap();
    let (told, _) = unlock(61, 2).await;
    assert!(!told, "a lock that is over");
}

pub(crate) async fn count_attempts_by_window(store: Arc<dyn Store>) {
    let keys = [LimitKey([1; 32]), LimitKey([2; 32])];
    assert_eq!(store.count_attempts(&keys, at(0), MINUTE).await.unwrap(), [1, 1]);
    assert_eq!(store.count_attempts(&keys[1..], at(0), MINUTE).await.unwrap(), [2]);
    assert_eq!(
        store.count_attempts(&[keys[1], keys[0]], at(0), MINUTE).await.unwrap(),
        [3, 2]
    );
    assert_eq!(
        store.count_attempts(&keys, at(60), MINUTE).await.unwrap(),
        [1, 1],
        "the next window"
    );
    assert_eq!(
        store.count_attempts(&keys, at(0), MINUTE).await.unwrap(),
        [3, 4],
        "a slow clock's"
    );
    assert_eq!(store.count_attempts(&[], at(0), MINUTE).await.unwrap(), [0; 0]);
}

pub(crate) async fn count_concurrent_attempts(store: Arc<dyn Store>) {
    let running: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.count_attempts(&[LimitKey([1; 32])], at(0), MINUTE).await.unwrap()[0] })
        })
        .collect();
    let mut seen = Vec::new();
    for task in running {
        seen.push(task.await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
}
