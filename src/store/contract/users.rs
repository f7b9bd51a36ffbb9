//! Users: creation, look-up, removal.

use std::sync::Arc;

use super::sample::{MINUTE, Maker, at, audited, grant, key, password, reload, token};
use crate::domain::account::{Account, Language};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::UserId;
use crate::domain::login::Login;
use crate::domain::query::UserFilter;
use crate::domain::user::{DirectoryLink, DisabledBy, Email, Notifications, User, UserStatus};
use crate::store::{FailureCount, Failures, Store, StoreError, Unique};

/// A user with everything optional filled in, in text that a careless store would break.
pub(super) async fn full(store: &Arc<dyn Store>, make: &mut Maker, account: &Account, user: User) -> User {
    let directory = |target| Grant {
        target,
        source: GrantSource::Directory,
        directory_group_dn: Some("CN=Smith\\, J,OU=Büro \"A\",DC=corp,DC=test".to_owned()),
        granted_by: Some(UserId::from_uuid(uuid::Uuid::max())),
        granted_at: at(3),
    };
    let role = make.stored_role(store, account, "Support").await.id;
    let group = make.stored_group(store, account, "EMEA").await.id;
    User {
        first_name: "Zoë 😀 \u{1D11E}".to_owned(),
        last_name: "O'Brien; DROP TABLE \"user\" -- \\ %_ $where".to_owned(),
        email: Some(Email::parse("Zoe.OBrien+tag@Example.org").unwrap()),
        language: Language::Ru,
        phone: Some("+442071838750".to_owned()),
        status: UserStatus::Disabled,
        disabled_by: Some(DisabledBy::Directory),
        locked_until: Some(at(60)),
        notifications: Notifications {
            email: Some(Email::parse("alerts@example.org").unwrap()),
            limits_exhausted: true,
            subscriber_complaints: false,
            hard_bounces: true,
            soft_bounces: false,
            daily_reports: true,
            weekly_reports: true,
            security_notices: false,
        },
        must_change_password: true,
        password_expires_at: Some(at(7)),
        directory_link: Some(DirectoryLink {
            directory: "corp".to_owned(),
            dn: "uid=zoe,ou=люди,dc=corp,dc=test".to_owned(),
            external_id: "5f7c9a4e-0000-4000-8000-00000000ab12".to_owned(),
            last_checked_at: at(8),
            picture: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned()),
        }),
        grants: vec![
            directory(GrantTarget::Role(role)),
            grant(GrantTarget::Role(role)),
            directory(GrantTarget::Group(group)),
            directory(GrantTarget::Master),
        ],
        created_at: at(1),
        updated_at: at(2),
        revision: 7,
        ..user
    }
}

pub(crate) async fn read_back_whole(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let user = make.user(acme.id, "zoë@corp.example");
    let user = full(&store, &mut make, &acme, user).await;
    make.store_user(&store, &user).await;
    assert_eq!(reload(&store, &user).await, user);
    let found = store.user_by_login(acme.id, &user.login).await.unwrap();
    assert_eq!(found, Some(user.clone()));
    let credentials = store.credentials(user.id).await.unwrap().unwrap();
    assert_eq!(credentials.hash, Some(password("first")));
    assert_eq!(credentials.history, []);

    // Dates from the edges of what can be written.
    for (login, text) in [("early", "0001-01-01T00:00:00.001Z"), ("late", "9999-12-30T22:00:00Z")] {
        let at = text.parse().unwrap();
        let user = User {
            created_at: at,
            password_changed_at: Some(at),
            ..make.user(acme.id, login)
        };
        make.store_user(&store, &user).await;
        assert_eq!(reload(&store, &user).await, user);
    }
}

pub(crate) async fn have_unique_logins_in_their_account(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    make.stored_user(&store, &acme, "Ann").await;
    make.stored_user(&store, &blue, "ann").await;
    let before = audited(&store).await;
    let second = make.user(acme.id, "ANN");
    let entry = make.entry(acme.id);
    let refused = store.create_user(&second, None, &entry, &[]).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::UserLogin))),
        "{refused:?}"
    );
    assert_eq!(store.users_by_ids(&[second.id]).await.unwrap(), []);
    assert_eq!(store.credentials(second.id).await.unwrap(), None);
    assert_eq!(audited(&store).await, before);
}

pub(crate) async fn race_for_a_login(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let before = audited(&store).await;
    let racers: Vec<_> = (0..50)
        .map(|_| {
            let user = make.user(acme.id, "ann");
            let entry = make.entry(acme.id);
            let store = store.clone();
            tokio::spawn(async move { store.create_user(&user, Some(&password("x")), &entry, &[]).await })
        })
        .collect();
    let mut made = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => made += 1,
            Err(StoreError::Taken(Unique::UserLogin)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(store.count_users(&[UserFilter::default()]).await.unwrap(), [1]);
    assert_eq!(audited(&store).await, before + 1);
}

pub(crate) async fn race_to_be_the_first(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let system = make.stored_account(&store, "system").await;
    let other = make.stored_account(&store, "other").await;
    make.stored_user(&store, &other, "somebody").await;
    let before = audited(&store).await;
    let racers: Vec<_> = (0..20)
        .map(|n| {
            let user = make.master(system.id, &format!("root{n}"));
            let entry = make.entry(system.id);
            let store = store.clone();
            tokio::spawn(async move { store.create_first_user(&user, &password("first"), &entry).await })
        })
        .collect();
    let mut made = 0;
    for racer in racers {
        made += u32::from(racer.await.unwrap().unwrap());
    }
    assert_eq!(made, 1);
    assert_eq!(store.count_users(&[UserFilter::default()]).await.unwrap(), [2]);
    assert_eq!(audited(&store).await, before + 1);
}

pub(crate) async fn are_the_first_only_in_an_empty_account(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let system = make.stored_account(&store, "system").await;
    let root = make.master(system.id, "root");
    let entry = make.entry(system.id);
    assert!(store.create_first_user(&root, &password("one"), &entry).await.unwrap());
    assert_eq!(reload(&store, &root).await, root);
    let hash = store.credentials(root.id).await.unwrap().unwrap().hash;
    assert_eq!(hash, Some(password("one")));

    let second = make.master(system.id, "second");
    let entry = make.entry(system.id);
    assert!(
        !store
            .create_first_user(&second, &password("two"), &entry)
            .await
            .unwrap()
    );
    assert_eq!(store.users_by_ids(&[second.id]).await.unwrap(), []);
    assert_eq!(audited(&store).await, 2);
}

pub(crate) async fn are_found_by_id_and_login(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let nobody = UserId::from_uuid(make.uuid());
    let mut found = store.users_by_ids(&[bob.id, nobody, ann.id]).await.unwrap();
    found.sort_by(|a, b| a.login.cmp(&b.login));
    assert_eq!(found, [ann.clone(), bob]);
    assert_eq!(store.users_by_ids(&[]).await.unwrap(), []);
    assert_eq!(store.user_by_login(blue.id, &ann.login).await.unwrap(), None);
    let absent = Login::parse("an").unwrap();
    assert_eq!(store.user_by_login(acme.id, &absent).await.unwrap(), None);
}

pub(crate) async fn are_deleted_with_password_and_sessions(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let role = make.stored_role(&store, &acme, "Support").await;
    let ann = User {
        grants: vec![grant(GrantTarget::Role(role.id))],
        ..make.user(acme.id, "ann")
    };
    make.store_user(&store, &ann).await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    for (user, n) in [(&ann, 1), (&bob, 2)] {
        let record = make.sign_in(user, 10, token(n));
        store.record_login(&record).await.unwrap();
    }
    let before = audited(&store).await;
    let entry = make.entry(acme.id);
    store.delete_user(ann.id, 1, &entry).await.unwrap();
    assert_eq!(store.users_by_ids(&[ann.id]).await.unwrap(), []);
    assert_eq!(store.user_by_login(acme.id, &ann.login).await.unwrap(), None);
    assert_eq!(store.credentials(ann.id).await.unwrap(), None);
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    assert!(store.identity(&token(2)).await.unwrap().is_some());
    let by_role = UserFilter {
        role: Some(ann.roles()[0]),
        ..UserFilter::default()
    };
    assert_eq!(store.count_users(&[by_role]).await.unwrap(), [0]);
    assert_eq!(audited(&store).await, before + 1);

    let entry = make.entry(acme.id);
    let refused = store.delete_user(ann.id, 1, &entry).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(audited(&store).await, before + 1);
    make.stored_user(&store, &acme, "ann").await; // the login is free again
}

pub(crate) async fn are_deleted_at_their_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_master(&store, &acme, "owner").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    store.record_login(&make.sign_in(&ann, 10, token(1))).await.unwrap();
    // Whoever looked before that must not delete a master without knowing it.
    let promoted = User {
        grants: vec![grant(GrantTarget::Master)],
        revision: 2,
        ..reload(&store, &ann).await
    };
    store
        .update_user(&promoted, 1, &make.entry(acme.id), &[])
        .await
        .unwrap();
    let before = audited(&store).await;
    let refused = store.delete_user(ann.id, 1, &make.entry(acme.id)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 2 })),
        "{refused:?}"
    );
    assert_eq!(reload(&store, &ann).await, promoted);
    assert!(store.credentials(ann.id).await.unwrap().unwrap().hash.is_some());
    assert!(store.identity(&token(1)).await.unwrap().is_some());
    assert_eq!(audited(&store).await, before);
    store.delete_user(ann.id, 2, &make.entry(acme.id)).await.unwrap();
    assert_eq!(store.users_by_ids(&[ann.id]).await.unwrap(), []);
}

pub(crate) async fn are_unlocked(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let count = FailureCount {
        key: key(acme.id, 1, Some(1)),
        threshold: 1,
        window: MINUTE,
        locks_user: true,
    };
    let record = make.refusal(&ann, 0, Failures::Count(vec![count]));
    store.record_login(&record).await.unwrap();
    assert_eq!(reload(&store, &ann).await.locked_until, Some(at(60)));

    let before = audited(&store).await;
    let entry = make.entry(acme.id);
    store
        .unlock_user(ann.id, &[key(acme.id, 1, None)], &entry)
        .await
        .unwrap();
    let unlocked = reload(&store, &ann).await;
    assert_eq!(
        unlocked,
        User {
            last_login: None,
            locked_until: None,
            ..ann.clone()
        }
    );
    assert_eq!(store.locks(&[count.key], at(1)).await.unwrap(), [None]);
    assert_eq!(audited(&store).await, before + 1);

    let nobody = UserId::from_uuid(make.uuid());
    let entry = make.entry(acme.id);
    let refused = store.unlock_user(nobody, &[key(acme.id, 1, None)], &entry).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(audited(&store).await, before + 1);
}
