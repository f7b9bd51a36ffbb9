//! Changes of users by what a directory says.

use std::sync::Arc;

use jiff::Timestamp;

use super::directories::{ldap, link, relinked, stored};
use super::sample::{Maker, at, audited, grant, overreaching, password, reload, token};
use crate::domain::grant::GrantTarget;
use crate::domain::ids::UserId;
use crate::domain::login::Login;
use crate::domain::user::{DirectoryLink, DisabledBy, User, UserStatus};
use crate::store::{Store, StoreError, Unique};

fn disabled(user: &User) -> User {
    User {
        status: UserStatus::Disabled,
        disabled_by: Some(DisabledBy::Directory),
        revision: user.revision + 1,
        ..user.clone()
    }
}

pub(crate) async fn are_made_at_their_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_master(&store, &acme, "owner").await;
    let before = stored(&store, &mut make, &acme, "ann", Some("1")).await;
    let entries = audited(&store).await;
    let changed = User {
        login: Login::parse("anna").unwrap(),
        first_name: "Anna".to_owned(),
        grants: vec![grant(GrantTarget::Master)],
        directory_link: Some(DirectoryLink {
            dn: "uid=anna".to_owned(),
            last_checked_at: at(9),
            picture: Some("ab".repeat(32)),
            ..link("corp", "1")
        }),
        updated_at: at(9),
        revision: 2,
        ..before.clone()
    };
    let left = store
        .update_from_directory(&changed, 1, &make.entry(acme.id), &[])
        .await;
    assert!(!left.unwrap());
    assert_eq!(reload(&store, &before).await, changed);
    assert_eq!(store.user_by_login(acme.id, &before.login).await.unwrap(), None);
    assert_eq!(audited(&store).await, entries + 1);
}

pub(crate) async fn keep_what_other_intents_own(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let user = make.stored_person(&store, &acme, "ann").await;
    let [changed, expected] = overreaching(&user, blue.id);
    store
        .update_from_directory(&changed, 1, &make.entry(acme.id), &[])
        .await
        .unwrap();
    assert_eq!(reload(&store, &user).await, expected);
    let credentials = store.credentials(user.id).await.unwrap().unwrap();
    assert_eq!(credentials.hash, Some(password("first")));

    // Who turns into the directory's loses the password, as by any other change.
    let ldap = User {
        is_ldap: true,
        revision: 3,
        ..expected
    };
    store
        .update_from_directory(&ldap, 2, &make.entry(acme.id), &[])
        .await
        .unwrap();
    assert_eq!(reload(&store, &user).await, without_password(ldap));
    assert_eq!(store.credentials(user.id).await.unwrap().unwrap().hash, None);
}

fn without_password(user: User) -> User {
    User {
        has_password: false,
        password_changed_at: None,
        ..user
    }
}

pub(crate) async fn leave_everything_when_refused(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = User {
        grants: vec![grant(GrantTarget::Master)],
        ..ldap(&mut make, acme.id, "ann", Some("1"))
    };
    make.store_user(&store, &ann).await;
    make.stored_user(&store, &acme, "bob").await;
    let record = make.sign_in(&ann, 1, token(1));
    store.record_login(&record).await.unwrap();
    let (before, entries) = (reload(&store, &ann).await, audited(&store).await);

    let stale = User {
        revision: 6,
        ..disabled(&ann)
    };
    let refused = store.update_from_directory(&stale, 5, &make.entry(acme.id), &[]).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 1 })),
        "{refused:?}"
    );
    let absent = ldap(&mut make, acme.id, "absent", None);
    let refused = store.update_from_directory(&absent, 1, &make.entry(acme.id), &[]).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    let renamed = User {
        login: Login::parse("bob").unwrap(),
        ..disabled(&ann)
    };
    let refused = store
        .update_from_directory(&renamed, 1, &make.entry(acme.id), &[])
        .await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::UserLogin))),
        "{refused:?}"
    );
    assert_eq!(reload(&store, &ann).await, before);
    assert!(store.identity(&token(1)).await.unwrap().is_some());
    assert_eq!(audited(&store).await, entries);
}

pub(crate) async fn may_disable_the_last_master(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    make.stored_master(&store, &blue, "elsewhere").await;
    let mut masters = Vec::new();
    for (login, id) in [("ann", "1"), ("bob", "2")] {
        let user = User {
            grants: vec![grant(GrantTarget::Master)],
            ..ldap(&mut make, acme.id, login, Some(id))
        };
        make.store_user(&store, &user).await;
        masters.push(user);
    }
    let [ann, bob] = &masters[..] else { unreachable!() };
    let plain = stored(&store, &mut make, &acme, "plain", Some("3")).await;
    for (user, n) in [(ann, 1), (ann, 2), (bob, 3), (&plain, 4)] {
        let record = make.sign_in(user, 1, token(n));
        store.record_login(&record).await.unwrap();
    }
    let mut change = async |user: &User, expected: i64| {
        let entry = make.entry(acme.id);
        store.update_from_directory(user, expected, &entry, &[]).await.unwrap()
    };
    assert!(!change(&disabled(&plain), 1).await);
    assert!(!change(&disabled(ann), 1).await, "there is another");
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    assert_eq!(store.identity(&token(2)).await.unwrap(), None);
    assert!(store.identity(&token(3)).await.unwrap().is_some());
    assert!(change(&disabled(bob), 1).await, "there is none");
    assert_eq!(store.identity(&token(3)).await.unwrap(), None);
    for user in [ann, bob] {
        let user = reload(&store, user).await;
        let by_the_directory = (UserStatus::Disabled, Some(DisabledBy::Directory), 2);
        assert_eq!((user.status, user.disabled_by, user.revision), by_the_directory);
    }
    // Who was disabled before takes nothing away, and who comes back does not either.
    let again = User {
        revision: 3,
        ..disabled(bob)
    };
    assert!(!change(&again, 2).await);
    let back = User {
        revision: 4,
        ..bob.clone()
    };
    assert!(!change(&back, 3).await);
    // Nor do they stay whose master's grant the directory takes back.
    let demoted = User {
        grants: Vec::new(),
        revision: 5,
        ..bob.clone()
    };
    assert!(change(&demoted, 4).await);
    assert!(!reload(&store, bob).await.is_master());
}

pub(crate) async fn race_to_disable_the_last_masters(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut racers = Vec::new();
    for n in 0..5 {
        let user = make.stored_master(&store, &acme, &format!("master{n}")).await;
        racers.push((disabled(&user), make.entry(acme.id)));
    }
    let racers: Vec<_> = racers
        .into_iter()
        .map(|(user, entry)| {
            let store = store.clone();
            tokio::spawn(async move { store.update_from_directory(&user, 1, &entry, &[]).await.unwrap() })
        })
        .collect();
    let mut left_none = 0;
    for racer in racers {
        left_none += u32::from(racer.await.unwrap());
    }
    assert_eq!(left_none, 1, "the last one says so");
}

/// When the user's entry was last looked up.
async fn looked_up(store: &Arc<dyn Store>, user: &User) -> Timestamp {
    reload(store, user).await.directory_link.unwrap().last_checked_at
}

pub(crate) async fn note_looks_forwards_only(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = User {
        directory_link: Some(DirectoryLink {
            picture: Some("ab".repeat(32)),
            ..link("corp", "1")
        }),
        ..ldap(&mut make, acme.id, "ann", None)
    };
    make.store_user(&store, &ann).await;
    let bob = stored(&store, &mut make, &acme, "bob", Some("2")).await;
    let unlinked = stored(&store, &mut make, &acme, "unlinked", None).await;
    let eve = stored(&store, &mut make, &acme, "eve", Some("3")).await;
    let entries = audited(&store).await;
    let nobody = UserId::from_uuid(make.uuid());
    let touched = [ann.id, unlinked.id, nobody, bob.id, ann.id];
    store.touch_links(&touched, at(5)).await.unwrap();
    for user in [&ann, &bob] {
        let expected = User {
            directory_link: user.directory_link.clone().map(|link| DirectoryLink {
                last_checked_at: at(5),
                ..link
            }),
            ..user.clone()
        };
        assert_eq!(reload(&store, user).await, expected, "and nothing else");
    }
    assert_eq!(reload(&store, &unlinked).await, unlinked);
    assert_eq!(reload(&store, &eve).await, eve);
    // As moments, not as their text, in which a fraction comes before the letter Z.
    let whole: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let half: Timestamp = "2026-03-01T12:00:00.5Z".parse().unwrap();
    for (touch, expected) in [
        (at(4), at(5)),
        (at(5), at(5)),
        (whole, whole),
        (half, half),
        (whole, half),
    ] {
        store.touch_links(&[ann.id], touch).await.unwrap();
        assert_eq!(looked_up(&store, &ann).await, expected);
    }
    store.touch_links(&[], at(9000)).await.unwrap();
    assert_eq!(looked_up(&store, &bob).await, at(5));
    assert_eq!(audited(&store).await, entries);
}

pub(crate) async fn keep_a_look_through_an_update(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = stored(&store, &mut make, &acme, "ann", Some("1")).await;
    store.touch_links(&[ann.id], at(5)).await.unwrap();
    // Whoever read the user before that replaces the link, but not the look.
    let moved = DirectoryLink {
        dn: "uid=ann,ou=moved".to_owned(),
        ..link("corp", "1")
    };
    let update = relinked(&ann, Some(moved.clone()));
    store.update_user(&update, 1, &make.entry(acme.id), &[]).await.unwrap();
    let expected = DirectoryLink {
        last_checked_at: at(5),
        ..moved.clone()
    };
    assert_eq!(reload(&store, &ann).await.directory_link, Some(expected.clone()));
    let update = relinked(&update, Some(moved.clone()));
    store
        .update_from_directory(&update, 2, &make.entry(acme.id), &[])
        .await
        .unwrap();
    assert_eq!(reload(&store, &ann).await.directory_link, Some(expected));
    // A later look comes with the link itself.
    let later = DirectoryLink {
        last_checked_at: at(7),
        ..moved
    };
    let update = relinked(&update, Some(later.clone()));
    store
        .update_from_directory(&update, 3, &make.entry(acme.id), &[])
        .await
        .unwrap();
    assert_eq!(reload(&store, &ann).await.directory_link, Some(later));
    // At another entry nobody has looked yet.
    let mut update = update;
    for other in [link("corp", "2"), link("other", "2")] {
        let expected = update.revision;
        update = relinked(&update, Some(other.clone()));
        store
            .update_user(&update, expected, &make.entry(acme.id), &[])
            .await
            .unwrap();
        assert_eq!(reload(&store, &ann).await.directory_link, Some(other));
    }
    store
        .update_user(&relinked(&update, None), 6, &make.entry(acme.id), &[])
        .await
        .unwrap();
    assert_eq!(reload(&store, &ann).await.directory_link, None);
}

pub(crate) async fn keep_looks_through_concurrent_updates(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = stored(&store, &mut make, &acme, "ann", Some("1")).await;
    let updates: Vec<_> = (1..=20)
        .map(|revision| {
            let user = User {
                revision: revision + 1,
                ..ann.clone()
            };
            (user, make.entry(acme.id))
        })
        .collect();
    let updating = {
        let store = store.clone();
        tokio::spawn(async move {
            for (user, entry) in updates {
                let expected = user.revision - 1;
                // No look is a change, so none is in the way.
                if expected % 2 == 0 {
                    store.update_user(&user, expected, &entry, &[]).await.unwrap();
                } else {
                    store.update_from_directory(&user, expected, &entry, &[]).await.unwrap();
                }
            }
        })
    };
    let mut seconds = 0;
    while !updating.is_finished() || seconds == 0 {
        seconds += 1;
        store.touch_links(&[ann.id], at(seconds)).await.unwrap();
        assert_eq!(looked_up(&store, &ann).await, at(seconds));
    }
    updating.await.unwrap();
    assert_eq!(looked_up(&store, &ann).await, at(seconds));
    assert_eq!(reload(&store, &ann).await.revision, 21);
}
