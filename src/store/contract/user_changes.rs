//! Changes of users.

use std::sync::Arc;

use super::sample::{Maker, at, audited, overreaching, password, reload, token};
use super::users::full;
use crate::domain::login::Login;
use crate::domain::query::UserFilter;
use crate::domain::user::{DisabledBy, User, UserStatus};
use crate::store::{Store, StoreError, Unique};

pub(crate) async fn are_updated_at_their_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_master(&store, &acme, "owner").await;
    let before = make.stored_user(&store, &acme, "ann").await;
    let changed = full(&store, &mut make, &acme, before.clone()).await;
    let changed = User {
        login: Login::parse("anna").unwrap(),
        locked_until: None,
        created_at: before.created_at,
        revision: 2,
        ..changed
    };
    let entry = make.entry(acme.id);
    store.update_user(&changed, 1, &entry, &[]).await.unwrap();
    assert_eq!(reload(&store, &before).await, changed);
    assert_eq!(store.user_by_login(acme.id, &before.login).await.unwrap(), None);
    // The filters see the new state as well.
    let role = changed.roles()[0];
    let filter = UserFilter {
        role: Some(role),
        is_master: Some(true),
        search: Some("zoë".to_owned()),
        ..UserFilter::default()
    };
    assert_eq!(store.count_users(&[filter]).await.unwrap(), [1]);

    let audits = audited(&store).await;
    let stale = User {
        first_name: "Too late".to_owned(),
        revision: 2,
        ..before
    };
    let entry = make.entry(acme.id);
    let refused = store.update_user(&stale, 1, &entry, &[]).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 2 })),
        "{refused:?}"
    );
    assert_eq!(reload(&store, &stale).await, changed);
    let absent = make.user(acme.id, "absent");
    let entry = make.entry(acme.id);
    let refused = store.update_user(&absent, 1, &entry, &[]).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(audited(&store).await, audits);
}

pub(crate) async fn keep_what_other_intents_own(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let user = make.stored_person(&store, &acme, "ann").await;
    let [changed, expected] = overreaching(&user, blue.id);
    let entry = make.entry(acme.id);
    store.update_user(&changed, 1, &entry, &[]).await.unwrap();
    assert_eq!(reload(&store, &user).await, expected);
    assert_eq!(
        store.credentials(user.id).await.unwrap().unwrap().hash,
        Some(password("first"))
    );
}

pub(crate) async fn cannot_take_a_login(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    make.stored_user(&store, &acme, "bob").await;
    let before = audited(&store).await;
    let renamed = User {
        login: Login::parse("bob").unwrap(),
        revision: 2,
        ..ann.clone()
    };
    let entry = make.entry(acme.id);
    let refused = store.update_user(&renamed, 1, &entry, &[]).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::UserLogin))),
        "{refused:?}"
    );
    assert_eq!(reload(&store, &ann).await, ann);
    assert_eq!(audited(&store).await, before);
}

pub(crate) async fn race_at_a_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let before = audited(&store).await;
    let racers: Vec<_> = (0..20)
        .map(|n| {
            let user = User {
                first_name: format!("Ann {n}"),
                revision: 2,
                ..ann.clone()
            };
            let entry = make.entry(acme.id);
            let store = store.clone();
            tokio::spawn(async move { store.update_user(&user, 1, &entry, &[]).await.map(|()| user) })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        match racer.await.unwrap() {
            Ok(user) => winners.push(user),
            Err(StoreError::Conflict { current: 2 }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners, [reload(&store, &ann).await]);
    assert_eq!(audited(&store).await, before + 1);
}

pub(crate) async fn lose_sessions_when_disabled(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    for (user, n) in [(&ann, 1), (&ann, 2), (&bob, 3)] {
        let record = make.sign_in(user, 10, token(n));
        store.record_login(&record).await.unwrap();
    }
    let renamed = User {
        first_name: "Ann".to_owned(),
        revision: 2,
        ..reload(&store, &ann).await
    };
    let entry = make.entry(acme.id);
    store.update_user(&renamed, 1, &entry, &[]).await.unwrap();
    assert!(store.identity(&token(1)).await.unwrap().is_some());

    let disabled = User {
        status: UserStatus::Disabled,
        disabled_by: Some(DisabledBy::Manual),
        revision: 3,
        ..renamed
    };
    let entry = make.entry(acme.id);
    store.update_user(&disabled, 2, &entry, &[]).await.unwrap();
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    assert_eq!(store.identity(&token(2)).await.unwrap(), None);
    assert!(store.identity(&token(3)).await.unwrap().is_some());
    assert_eq!(store.sessions_of_users(&[ann.id], at(11)).await.unwrap(), []);
}

pub(crate) async fn lose_the_password_to_the_directory(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let change = crate::domain::credentials::PasswordChange {
        hash: password("second"),
        changed_at: at(1),
        must_change: false,
        keep_history: 5,
    };
    let entry = make.entry(acme.id);
    store.set_password(ann.id, 1, &change, None, &entry, &[]).await.unwrap();

    let ldap = User {
        is_ldap: true,
        revision: 3,
        ..reload(&store, &ann).await
    };
    let entry = make.entry(acme.id);
    store.update_user(&ldap, 2, &entry, &[]).await.unwrap();
    let expected = User {
        has_password: false,
        password_changed_at: None,
        ..ldap
    };
    assert_eq!(reload(&store, &ann).await, expected);
    let credentials = store.credentials(ann.id).await.unwrap().unwrap();
    assert_eq!(credentials.hash, None);
    assert_eq!(credentials.history, []);
}

pub(crate) async fn lose_sessions_with_the_way_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let record = make.sign_in(&bob, 10, token(9));
    store.record_login(&record).await.unwrap();
    let mut before = ann;
    for (is_ldap, n) in [(true, 1), (false, 2)] {
        let record = make.sign_in(&before, 10, token(n));
        store.record_login(&record).await.unwrap();
        let changed = User {
            is_ldap,
            revision: before.revision + 1,
            ..before.clone()
        };
        store
            .update_user(&changed, before.revision, &make.entry(acme.id), &[])
            .await
            .unwrap();
        assert_eq!(store.identity(&token(n)).await.unwrap(), None, "{is_ldap}");
        before = changed;
    }
    assert!(store.identity(&token(9)).await.unwrap().is_some());
}
