//! Local passwords.

use std::sync::Arc;

use super::sample::{Maker, at, audited, password, reload, token};
use crate::domain::credentials::PasswordChange;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::store::{Store, StoreError};

fn change(text: &str, seconds: i64, keep_history: u32) -> PasswordChange {
    PasswordChange {
        hash: password(text),
        changed_at: at(seconds),
        must_change: false,
        keep_history,
    }
}

pub(crate) async fn are_set_with_a_bounded_history(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = User {
        has_password: false,
        password_changed_at: None,
        ..make.user(acme.id, "ann")
    };
    make.store_user(&store, &ann).await;
    assert_eq!(store.credentials(ann.id).await.unwrap().unwrap().hash, None);

    let steps: [(&str, u32, &[&str]); 6] = [
        ("a", 2, &[]),
        ("b", 2, &["a"]),
        ("c", 2, &["b", "a"]),
        ("d", 2, &["c", "b"]),
        ("e", 3, &["d", "c", "b"]),
        ("f", 0, &[]),
    ];
    for (revision, (text, keep, history)) in (1..).zip(steps) {
        let must_change = revision % 2 == 0;
        let change = PasswordChange {
            must_change,
            ..change(text, revision, keep)
        };
        let entry = make.entry(acme.id);
        store
            .set_password(ann.id, revision, &change, None, &entry, &[])
            .await
            .unwrap();
        let credentials = store.credentials(ann.id).await.unwrap().unwrap();
        assert_eq!(credentials.hash, Some(password(text)));
        let expected: Vec<_> = history.iter().map(|h| password(h)).collect();
        assert_eq!(credentials.history, expected);
        let expected = User {
            has_password: true,
            password_changed_at: Some(at(revision)),
            must_change_password: must_change,
            updated_at: at(revision),
            revision: revision + 1,
            ..ann.clone()
        };
        assert_eq!(reload(&store, &ann).await, expected);
    }
    assert_eq!(audited(&store).await, 8);
}

pub(crate) async fn end_sessions_but_the_kept_one(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let mut kept = None;
    for (user, n) in [(&ann, 1), (&ann, 2), (&ann, 3), (&bob, 4)] {
        let record = make.sign_in(user, 10, token(n));
        if n == 2 {
            kept = record.opened.as_ref().map(|o| o.session.id);
        }
        store.record_login(&record).await.unwrap();
    }
    let entry = make.entry(acme.id);
    store
        .set_password(ann.id, 1, &change("b", 20, 5), kept, &entry, &[])
        .await
        .unwrap();
    for (n, there) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(store.identity(&token(n)).await.unwrap().is_some(), there, "{n}");
    }
    let entry = make.entry(acme.id);
    store
        .set_password(ann.id, 2, &change("c", 30, 5), None, &entry, &[])
        .await
        .unwrap();
    assert_eq!(store.identity(&token(2)).await.unwrap(), None);
    assert!(store.identity(&token(4)).await.unwrap().is_some());
}

pub(crate) async fn are_set_at_a_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 10, token(1));
    store.record_login(&record).await.unwrap();
    let before = audited(&store).await;
    let entry = make.entry(acme.id);
    let refused = store
        .set_password(ann.id, 2, &change("b", 20, 5), None, &entry, &[])
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 1 })),
        "{refused:?}"
    );
    assert_eq!(
        store.credentials(ann.id).await.unwrap().unwrap().hash,
        Some(password("first"))
    );
    assert!(store.identity(&token(1)).await.unwrap().is_some());
    let nobody = UserId::from_uuid(make.uuid());
    let refused = store
        .set_password(nobody, 1, &change("b", 20, 5), None, &entry, &[])
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(audited(&store).await, before);
}

pub(crate) async fn race_at_a_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let racers: Vec<_> = (0..20)
        .map(|n| {
            let entry = make.entry(acme.id);
            let (store, id) = (store.clone(), ann.id);
            tokio::spawn(async move {
                store
                    .set_password(id, 1, &change(&format!("p{n}"), n, 5), None, &entry, &[])
                    .await
            })
        })
        .collect();
    let mut set = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => set += 1,
            Err(StoreError::Conflict { current: 2 }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(set, 1);
    let credentials = store.credentials(ann.id).await.unwrap().unwrap();
    assert_eq!(credentials.history, [password("first")]);
}

pub(crate) async fn of_nobody_are_none(store: Arc<dyn Store>) {
    let nobody = UserId::from_uuid(Maker::default().uuid());
    assert_eq!(store.credentials(nobody).await.unwrap(), None);
}
