//! No account is left without an active master.

use std::sync::Arc;

use super::sample::{Maker, audited, reload, token};
use crate::domain::account::Account;
use crate::domain::login::Login;
use crate::domain::query::UserFilter;
use crate::domain::user::{User, UserStatus};
use crate::store::{Store, StoreError};

fn disabled(user: &User) -> User {
    User {
        status: UserStatus::Disabled,
        revision: user.revision + 1,
        ..user.clone()
    }
}

pub(crate) async fn cannot_all_be_disabled(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    let record = make.sign_in(&ann, 1, token(1));
    store.record_login(&record).await.unwrap();
    let before = audited(&store).await;
    let entry = make.entry(acme.id);
    let refused = store.update_user(&disabled(&ann), 1, &entry, &[]).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    assert_eq!(reload(&store, &ann).await.status, UserStatus::Active);
    assert!(store.identity(&token(1)).await.unwrap().is_some());
    assert_eq!(audited(&store).await, before);

    make.stored_master(&store, &acme, "bob").await;
    let entry = make.entry(acme.id);
    store.update_user(&disabled(&ann), 1, &entry, &[]).await.unwrap();
    assert_eq!(reload(&store, &ann).await.status, UserStatus::Disabled);
}

pub(crate) async fn cannot_all_be_demoted(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    let demoted = User {
        grants: Vec::new(),
        revision: 2,
        ..ann.clone()
    };
    let entry = make.entry(acme.id);
    let refused = store.update_user(&demoted, 1, &entry, &[]).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    assert_eq!(reload(&store, &ann).await, ann);

    // What leaves the master a master is no matter.
    let renamed = User {
        first_name: "Ann".to_owned(),
        revision: 2,
        ..ann.clone()
    };
    let entry = make.entry(acme.id);
    store.update_user(&renamed, 1, &entry, &[]).await.unwrap();

    make.stored_master(&store, &acme, "bob").await;
    let demoted = User { revision: 3, ..demoted };
    let entry = make.entry(acme.id);
    store.update_user(&demoted, 2, &entry, &[]).await.unwrap();
    assert!(!reload(&store, &ann).await.is_master());
}

pub(crate) async fn cannot_all_be_deleted(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    let before = audited(&store).await;
    let entry = make.entry(acme.id);
    let refused = store.delete_user(ann.id, 1, &entry).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    assert_eq!(reload(&store, &ann).await, ann);
    assert!(store.credentials(ann.id).await.unwrap().unwrap().hash.is_some());
    assert_eq!(audited(&store).await, before);

    make.stored_master(&store, &acme, "bob").await;
    let entry = make.entry(acme.id);
    store.delete_user(ann.id, 1, &entry).await.unwrap();
}

/// Everybody who is left after a race: one active master.
async fn one_is_left(store: &Arc<dyn Store>, outcomes: Vec<Result<(), StoreError>>) {
    let refused = outcomes
        .iter()
        .filter(|o| matches!(o, Err(StoreError::LastMaster)))
        .count();
    assert_eq!(refused, 1, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, Ok(()) | Err(StoreError::LastMaster))),
        "{outcomes:?}"
    );
    let filter = UserFilter {
        is_master: Some(true),
        status: Some(UserStatus::Active),
        ..UserFilter::default()
    };
    assert_eq!(store.count_users(&[filter]).await.unwrap(), [1]);
}

pub(crate) async fn race_to_disable_each_other(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut racers = Vec::new();
    for n in 0..5 {
        let user = disabled(&make.stored_master(&store, &acme, &format!("master{n}")).await);
        racers.push((user, make.entry(acme.id)));
    }
    let racers: Vec<_> = racers
        .into_iter()
        .map(|(user, entry)| {
            let store = store.clone();
            tokio::spawn(async move { store.update_user(&user, 1, &entry, &[]).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    one_is_left(&store, outcomes).await;
}

pub(crate) async fn race_to_delete_each_other(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut racers = Vec::new();
    for n in 0..5 {
        let user = make.stored_master(&store, &acme, &format!("master{n}")).await;
        racers.push((n, user, make.entry(acme.id)));
    }
    // Some delete, some disable: either way one stays.
    let racers: Vec<_> = racers
        .into_iter()
        .map(|(n, user, entry)| {
            let store = store.clone();
            tokio::spawn(async move {
                if n % 2 == 0 {
                    store.delete_user(user.id, 1, &entry).await
                } else {
                    store.update_user(&disabled(&user), 1, &entry, &[]).await
                }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    one_is_left(&store, outcomes).await;
}

pub(crate) async fn count_only_when_active_and_of_the_account(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    make.stored_master(&store, &blue, "elsewhere").await;
    make.stored_user(&store, &acme, "plain").await;
    let off = disabled(&make.master(acme.id, "off"));
    make.store_user(&store, &off).await;
    let entry = make.entry(acme.id);
    let refused = store.update_user(&disabled(&ann), 1, &entry, &[]).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    let entry = make.entry(acme.id);
    let refused = store.delete_user(ann.id, 1, &entry).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");

    // A master who is disabled already, and people who are none, may go.
    let entry = make.entry(acme.id);
    store.delete_user(off.id, off.revision, &entry).await.unwrap();
    // An account that never had a master is not held to have one.
    let empty = make.stored_account(&store, "empty").await;
    let eve = make.stored_user(&store, &empty, "eve").await;
    let entry = make.entry(empty.id);
    store.update_user(&disabled(&eve), 1, &entry, &[]).await.unwrap();
    let entry = make.entry(empty.id);
    store.delete_user(eve.id, 2, &entry).await.unwrap();
}

pub(crate) async fn count_only_when_they_can_sign_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    let locked_out = |user: User| User {
        has_password: false,
        password_changed_at: None,
        ..user
    };
    let heir = locked_out(make.master(acme.id, "heir"));
    make.store_user(&store, &heir).await;
    let refused = store.update_user(&disabled(&ann), 1, &make.entry(acme.id), &[]).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    let refused = store.delete_user(ann.id, 1, &make.entry(acme.id)).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    // Whoever could not sign in either is missed by nobody, as long as another is there.
    store.delete_user(heir.id, 1, &make.entry(acme.id)).await.unwrap();

    // The directory's password is a way in, until its user leaves the directory.
    let from_directory = User {
        is_ldap: true,
        ..locked_out(make.master(acme.id, "lea"))
    };
    make.store_user(&store, &from_directory).await;
    store.delete_user(ann.id, 1, &make.entry(acme.id)).await.unwrap();
    let local = User {
        is_ldap: false,
        revision: 2,
        ..from_directory.clone()
    };
    let refused = store.update_user(&local, 1, &make.entry(acme.id), &[]).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    make.stored_master(&store, &acme, "bob").await;
    store.update_user(&local, 1, &make.entry(acme.id), &[]).await.unwrap();

    // Where nobody can sign in at all, all but the last may go.
    let blue = make.stored_account(&store, "blue").await;
    let (one, two) = (
        locked_out(make.master(blue.id, "one")),
        locked_out(make.master(blue.id, "two")),
    );
    make.store_user(&store, &one).await;
    make.store_user(&store, &two).await;
    store.delete_user(one.id, 1, &make.entry(blue.id)).await.unwrap();
    let refused = store.delete_user(two.id, 1, &make.entry(blue.id)).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
}

/// The account, which takes the directory's passwords only from here on.
fn directory_only(account: &Account, revision: i64) -> Account {
    Account {
        directory: Some("corp".to_owned()),
        directory_only: true,
        revision,
        ..account.clone()
    }
}

/// A master who signs in with the directory.
async fn stored_ldap_master(store: &Arc<dyn Store>, make: &mut Maker, account: &Account, login: &str) -> User {
    let user = User {
        is_ldap: true,
        has_password: false,
        password_changed_at: None,
        ..make.master(account.id, login)
    };
    make.store_user(store, &user).await;
    user
}

pub(crate) async fn count_only_by_the_directory_where_local_passwords_are_refused(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    let before = audited(&store).await;
    let refused = store
        .update_account(&directory_only(&acme, 2), 1, &make.entry(acme.id))
        .await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    let found = store.accounts_by_ids(&[acme.id]).await.unwrap();
    assert_eq!((found, audited(&store).await), (vec![acme.clone()], before));

    let lea = stored_ldap_master(&store, &mut make, &acme, "lea").await;
    store
        .update_account(&directory_only(&acme, 2), 1, &make.entry(acme.id))
        .await
        .unwrap();
    // The local master is one still, but could not sign in: the last who can must stay.
    for changed in [
        disabled(&lea),
        User {
            is_ldap: false,
            revision: 2,
            ..lea.clone()
        },
    ] {
        let refused = store.update_user(&changed, 1, &make.entry(acme.id), &[]).await;
        assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    }
    let refused = store.delete_user(lea.id, 1, &make.entry(acme.id)).await;
    assert!(matches!(refused, Err(StoreError::LastMaster)), "{refused:?}");
    store.delete_user(ann.id, 1, &make.entry(acme.id)).await.unwrap();
    stored_ldap_master(&store, &mut make, &acme, "leo").await;
    store.delete_user(lea.id, 1, &make.entry(acme.id)).await.unwrap();

    // Operators keep their way in, and where nobody has one there is none to take.
    let system = make.stored_account(&store, "system").await;
    make.stored_master(&store, &system, "root").await;
    let empty = make.stored_account(&store, "empty").await;
    for account in [&system, &empty] {
        store
            .update_account(&directory_only(account, 2), 1, &make.entry(account.id))
            .await
            .unwrap();
    }
    make.stored_master(&store, &system, "root2").await;
    let root = store
        .user_by_login(system.id, &Login::parse("root").unwrap())
        .await
        .unwrap();
    store
        .delete_user(root.unwrap().id, 1, &make.entry(system.id))
        .await
        .unwrap();
}

pub(crate) async fn race_with_their_account_for_the_last_way_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    for round in 0..5 {
        let acme = make.stored_account(&store, &format!("acme-{round}")).await;
        make.stored_master(&store, &acme, "ann").await;
        let lea = stored_ldap_master(&store, &mut make, &acme, "lea").await;
        let (one, other) = (make.entry(acme.id), make.entry(acme.id));
        let (closing, demoting) = (directory_only(&acme, 2), disabled(&lea));
        let (closed, gone) = tokio::join!(
            store.update_account(&closing, 1, &one),
            store.update_user(&demoting, 1, &other, &[])
        );
        let outcomes = [&closed, &gone];
        assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
        assert!(
            outcomes.iter().any(|o| matches!(o, Err(StoreError::LastMaster))),
            "{outcomes:?}"
        );
    }
}
