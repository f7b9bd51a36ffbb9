//! Who is at work that one process at a time does.

use std::sync::Arc;

use uuid::Uuid;

use super::sample::{Maker, at};
use crate::store::{Retention, Store};

/// Asks for the lease `name`, at a second, until another.
async fn take(store: &Arc<dyn Store>, name: &str, holder: Uuid, now: i64, until: i64) -> bool {
    store.take_lease(name, holder, at(now), at(until)).await.unwrap()
}

pub(crate) async fn are_held_by_one(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let [ann, bob] = [(); 2].map(|()| make.uuid());
    assert!(take(&store, "recheck", ann, 0, 60).await);
    assert!(!take(&store, "recheck", bob, 1, 61).await);
    assert!(
        !take(&store, "recheck", bob, 59, 600).await,
        "asking does not prolong it"
    );
    // Each name is a lease of its own.
    assert!(take(&store, "mail", bob, 1, 61).await);
    assert!(!take(&store, "mail", ann, 2, 62).await);
}

pub(crate) async fn run_out(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let [ann, bob] = [(); 2].map(|()| make.uuid());
    assert!(take(&store, "recheck", ann, 0, 60).await);
    assert!(take(&store, "recheck", bob, 60, 120).await, "it is over at its end");
    assert!(!take(&store, "recheck", ann, 61, 200).await, "the other has it now");
    // Whoever finds their own run out, and nobody else's in its place, takes it again.
    assert!(take(&store, "recheck", bob, 500, 560).await);
    assert!(!take(&store, "recheck", ann, 501, 600).await);
}

pub(crate) async fn are_renewed(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let [ann, bob] = [(); 2].map(|()| make.uuid());
    assert!(take(&store, "recheck", ann, 0, 60).await);
    assert!(take(&store, "recheck", ann, 30, 90).await);
    assert!(!take(&store, "recheck", bob, 60, 120).await);
    assert!(take(&store, "recheck", bob, 90, 120).await);
}

pub(crate) async fn are_dropped_by_their_holder_only(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let [ann, bob] = [(); 2].map(|()| make.uuid());
    assert!(take(&store, "recheck", ann, 0, 60).await);
    assert!(take(&store, "mail", ann, 0, 60).await);
    store.drop_lease("recheck", bob).await.unwrap();
    assert!(!take(&store, "recheck", bob, 1, 61).await);
    store.drop_lease("recheck", ann).await.unwrap();
    assert!(take(&store, "recheck", bob, 2, 62).await);
    assert!(!take(&store, "mail", bob, 2, 62).await, "another lease stays");
    // Once more, and one that never was.
    store.drop_lease("recheck", ann).await.unwrap();
    store.drop_lease("nothing", ann).await.unwrap();
    assert!(!take(&store, "recheck", ann, 3, 63).await);
}

pub(crate) async fn go_to_one_of_many(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    // A lease that never was, one that ran out, and one that was dropped in between.
    for now in [0, 60, 90] {
        let racers: Vec<_> = (0..20)
            .map(|_| {
                let (store, holder) = (store.clone(), make.uuid());
                tokio::spawn(async move { take(&store, "recheck", holder, now, now + 60).await.then_some(holder) })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racers {
            winners.extend(racer.await.unwrap());
        }
        let [winner] = winners[..] else {
            panic!("at {now}: {winners:?}");
        };
        assert!(
            take(&store, "recheck", winner, now, now + 60).await,
            "the winner has it"
        );
        if now == 60 {
            store.drop_lease("recheck", winner).await.unwrap();
        }
    }
    // One holder that asks several times at once is told each time that it has it.
    let holder = make.uuid();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { take(&store, "mail", holder, 0, 60).await })
        })
        .collect();
    for asked in asking {
        assert!(asked.await.unwrap());
    }
}

pub(crate) async fn are_purged_when_they_are_over(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let [ann, bob] = [(); 2].map(|()| make.uuid());
    for (name, until) in [("one", 59), ("two", 60), ("three", 61)] {
        assert!(take(&store, name, ann, 0, until).await);
    }
    let retention = Retention {
        now: at(60),
        history_before: at(0),
        audit_before: at(0),
        mail_before: at(0),
        links_before: at(0),
    };
    assert_eq!(store.purge(&retention).await.unwrap(), 2);
    // Whose clock is behind finds that the first two are gone, and the third is not.
    assert!(take(&store, "one", bob, 0, 100).await);
    assert!(take(&store, "two", bob, 0, 100).await);
    assert!(!take(&store, "three", bob, 0, 100).await);
}

pub(crate) async fn tell_who_holds_them(store: Arc<dyn Store>) {
    let holder = Uuid::from_u128(7);
    assert_eq!(store.lease_holder("copy").await.unwrap(), None);
    assert!(store.take_lease("copy", holder, at(0), at(10)).await.unwrap());
    assert_eq!(store.lease_holder("copy").await.unwrap(), Some(holder));
    store.drop_lease("copy", holder).await.unwrap();
    assert_eq!(store.lease_holder("copy").await.unwrap(), None);
}
