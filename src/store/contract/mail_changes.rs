//! Mails that a change causes: with it, or not at all.

use std::sync::Arc;

use jiff::Timestamp;

use super::outbox::{change, claim, link, stored};
use super::sample::{MINUTE, Maker, at, key, password, token};
use crate::domain::ids::{LoginEventId, UserId};
use crate::domain::mail::{Mail, MailState};
use crate::domain::user::User;
use crate::store::{FailureCount, Failures, LoginRecord, MailOutcome, Minted, Store, StoreError};

/// Two mails about a change: one that is there already, by its key, and one that is not.
async fn mails(store: &Arc<dyn Store>, make: &mut Maker, user: &User, key: &str) -> [Mail; 2] {
    let known = make.keyed_mail(user, 1, key);
    store.queue_mails(&[known], None).await.unwrap();
    [make.keyed_mail(user, 2, key), make.mail(user, 3)]
}

/// Only the new one came with the change.
async fn came(store: &Arc<dyn Store>, mails: &[Mail; 2]) -> bool {
    let [again, new] = mails;
    let found = stored(store, &[again, new]).await;
    assert!(!found.contains(again), "its key was there");
    found == [new.clone()]
}

pub(crate) async fn come_with_a_change_of_users(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let entry = make.entry(acme.id);
    let ann = make.user(acme.id, "ann");
    let with = mails(&store, &mut make, &ann, "a").await;
    store
        .create_user(&ann, Some(&password("first")), &entry, &with)
        .await
        .unwrap();
    assert!(came(&store, &with).await);

    let with = mails(&store, &mut make, &ann, "b").await;
    let renamed = User {
        first_name: "Ann".to_owned(),
        revision: 2,
        ..ann.clone()
    };
    store
        .update_user(&renamed, 1, &make.entry(acme.id), &with)
        .await
        .unwrap();
    assert!(came(&store, &with).await);

    let with = mails(&store, &mut make, &ann, "c").await;
    store
        .set_password(ann.id, 2, &change("b", 5), None, &make.entry(acme.id), &with)
        .await
        .unwrap();
    assert!(came(&store, &with).await);

    let with = mails(&store, &mut make, &ann, "d").await;
    let renamed = User {
        first_name: "Anna".to_owned(),
        revision: 4,
        ..renamed
    };
    store
        .update_from_directory(&renamed, 3, &make.entry(acme.id), &with)
        .await
        .unwrap();
    assert!(came(&store, &with).await);
}

pub(crate) async fn come_with_a_sign_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let with = mails(&store, &mut make, &ann, "a").await;
    let record = LoginRecord {
        mails: with.to_vec(),
        ..make.sign_in(&ann, 5, token(1))
    };
    store.record_login(&record).await.unwrap();
    assert!(came(&store, &with).await);

    let with = mails(&store, &mut make, &ann, "b").await;
    let record = make.sign_in(&ann, 6, token(2));
    let opened = record.opened.unwrap();
    store
        .open_impersonation(&opened, &record.event, &make.entry(acme.id), &with)
        .await
        .unwrap();
    assert!(came(&store, &with).await);
}

pub(crate) async fn stay_away_from_a_change_that_fails(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let with = mails(&store, &mut make, &ann, "a").await;
    let same_login = make.user(acme.id, "ann");
    let refused = store.create_user(&same_login, None, &make.entry(acme.id), &with).await;
    assert!(matches!(refused, Err(StoreError::Taken(_))), "{refused:?}");
    let conflict = |refused: Result<(), StoreError>| {
        assert!(
            matches!(refused, Err(StoreError::Conflict { current: 1 })),
            "{refused:?}"
        );
    };
    conflict(store.update_user(&ann, 7, &make.entry(acme.id), &with).await);
    let set = store
        .set_password(ann.id, 7, &change("b", 5), None, &make.entry(acme.id), &with)
        .await;
    conflict(set);
    let updated = store.update_from_directory(&ann, 7, &make.entry(acme.id), &with).await;
    conflict(updated.map(drop));
    let mut record = make.sign_in(&ann, 5, token(1));
    record.opened.as_mut().unwrap().user_revision = 7;
    record.mails = with.to_vec();
    conflict(store.record_login(&record).await.map(drop));
    let opened = record.opened.unwrap();
    let opening = store
        .open_impersonation(&opened, &record.event, &make.entry(acme.id), &with)
        .await;
    conflict(opening);
    assert_eq!(stored(&store, &[&with[0], &with[1]]).await, []);
}

/// The first wrong password locks for a minute.
fn strict(user: &User, login: u8, locks_user: bool) -> FailureCount {
    FailureCount {
        key: key(user.account, login, None),
        threshold: 1,
        window: MINUTE,
        locks_user,
    }
}

pub(crate) async fn tell_of_a_lock_once(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let counter = FailureCount {
        threshold: 2,
        ..strict(&ann, 1, true)
    };
    let mut told = Vec::new();
    // The second locks, the third comes while it does; a minute after it, it takes two again.
    for seconds in [0, 1, 2, 62, 63] {
        let mail = make.mail(&ann, seconds);
        let record = LoginRecord {
            on_lock: Some(mail.clone()),
            ..make.refusal(&ann, seconds, Failures::Count(vec![counter]))
        };
        store.record_login(&record).await.unwrap();
        told.push(!stored(&store, &[&mail]).await.is_empty());
    }
    assert_eq!(told, [false, true, false, false, true]);

    // A counter that does not lock the user, and a login that is nobody's.
    let bob = make.stored_user(&store, &acme, "bob").await;
    let mail = make.mail(&bob, 100);
    let record = LoginRecord {
        on_lock: Some(mail.clone()),
        ..make.refusal(&bob, 100, Failures::Count(vec![strict(&bob, 2, false)]))
    };
    store.record_login(&record).await.unwrap();
    let mut record = LoginRecord {
        on_lock: Some(mail.clone()),
        ..make.refusal(&bob, 101, Failures::Count(vec![strict(&bob, 3, true)]))
    };
    record.event.user = Some(UserId::from_uuid(make.uuid()));
    store.record_login(&record).await.unwrap();
    record.event.id = LoginEventId::from_uuid(make.uuid());
    record.event.user = None;
    store.record_login(&record).await.unwrap();
    let success = LoginRecord {
        on_lock: Some(mail.clone()),
        ..make.sign_in(&bob, 102, token(1))
    };
    store.record_login(&success).await.unwrap();
    assert_eq!(stored(&store, &[&mail]).await, []);
}

pub(crate) async fn tell_of_a_lock_once_of_many(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let counter = FailureCount {
        threshold: 3,
        ..strict(&ann, 1, true)
    };
    let mails: Vec<Mail> = (0..8).map(|n| make.mail(&ann, n)).collect();
    let tasks: Vec<_> = mails
        .iter()
        .map(|mail| {
            let record = LoginRecord {
                on_lock: Some(mail.clone()),
                ..make.refusal(&ann, 0, Failures::Count(vec![counter]))
            };
            let store = store.clone();
            tokio::spawn(async move { store.record_login(&record).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stored(&store, &mails.iter().collect::<Vec<_>>()).await.len(), 1);
}

/// A mail to the first user that was sent, one that waits, and one that waits for the other user; those that wait have the
/// links 1 and 2.
async fn sent_and_waiting(store: &Arc<dyn Store>, make: &mut Maker, user: &User, other: &User) -> [Mail; 3] {
    let mails = [make.mail(user, 1), make.mail(user, 2), make.mail(other, 3)];
    store.queue_mails(&mails, None).await.unwrap();
    let holder = make.uuid();
    claim(store, holder, 1, 60, 1).await;
    let settled = store.settle_mail(mails[0].id, holder, &MailOutcome::Sent, at(1)).await;
    assert!(settled.unwrap());
    for (user, mail, n) in [(user, &mails[1], 1), (other, &mails[2], 2)] {
        assert_eq!(store.mint_link(&link(user, mail, n, 5)).await.unwrap(), Minted::Stored);
    }
    mails
}

pub(crate) async fn are_dropped_with_their_user(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_reader(&store, &acme, "ann").await;
    let bob = make.stored_reader(&store, &acme, "bob").await;
    let [sent, waits, other] = sent_and_waiting(&store, &mut make, &ann, &bob).await;
    let holder = make.uuid();
    store
        .delete_user(ann.id, ann.revision, &make.entry(acme.id))
        .await
        .unwrap();
    let left = stored(&store, &[&sent, &waits, &other]).await;
    assert_eq!(left[0].state, MailState::Sent);
    assert_eq!(
        (left[1].state, left[1].next_attempt_at),
        (MailState::Dropped, None::<Timestamp>)
    );
    assert_eq!(left[1].last_error.as_deref(), Some("the user was deleted"));
    assert_eq!(left[2], other);
    assert_eq!(claim(&store, holder, 100, 200, 10).await.len(), 1);
    assert_eq!(store.find_link(&token(1)).await.unwrap(), None);
    assert!(store.find_link(&token(2)).await.unwrap().is_some());
}

pub(crate) async fn go_with_their_account(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_reader(&store, &acme, "ann").await;
    let zoe = make.stored_reader(&store, &blue, "zoe").await;
    let [sent, waits, other] = sent_and_waiting(&store, &mut make, &ann, &zoe).await;
    let holder = make.uuid();
    store
        .delete_account(acme.id, at(10), &make.entry(blue.id))
        .await
        .unwrap();
    // Nothing is sent from here on, and nobody gets in.
    assert_eq!(claim(&store, holder, 100, 200, 10).await.len(), 1);
    assert_eq!(store.find_link(&token(1)).await.unwrap(), None);
    assert_eq!(
        store.mint_link(&link(&ann, &waits, 3, 11)).await.unwrap(),
        Minted::NoUse
    );
    // What was queued in that very moment goes too.
    let late = make.keyed_mail(&ann, 12, "late");
    store.queue_mails(std::slice::from_ref(&late), None).await.unwrap();
    store.clear_deleted(at(20)).await.unwrap();
    let left = stored(&store, &[&sent, &waits, &other, &late]).await;
    assert_eq!(left.iter().map(|mail| mail.id).collect::<Vec<_>>(), [other.id]);
    assert!(store.find_link(&token(2)).await.unwrap().is_some());
}
