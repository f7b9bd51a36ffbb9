//! Who is linked to which entry of a directory, and who of them is signed in.

use std::sync::Arc;

use super::sample::{Maker, at, audited, reload, token};
use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::user::{DirectoryLink, User, UserStatus};
use crate::store::{NewPerson, Store, StoreError, Unique};

/// A link that was last looked up at the start.
pub(super) fn link(directory: &str, external_id: &str) -> DirectoryLink {
    DirectoryLink {
        directory: directory.to_owned(),
        dn: format!("uid={external_id},dc=corp,dc=test"),
        external_id: external_id.to_owned(),
        last_checked_at: at(0),
        picture: None,
    }
}

/// An LDAP user, linked to an entry of `corp` when one is given.
pub(super) fn ldap(make: &mut Maker, account: AccountId, login: &str, external_id: Option<&str>) -> User {
    User {
        is_ldap: true,
        has_password: false,
        password_changed_at: None,
        directory_link: external_id.map(|id| link("corp", id)),
        ..make.user(account, login)
    }
}

pub(super) async fn stored(
    store: &Arc<dyn Store>,
    make: &mut Maker,
    account: &Account,
    login: &str,
    id: Option<&str>,
) -> User {
    let user = ldap(make, account.id, login, id);
    make.store_user(store, &user).await;
    user
}

/// The user at its next revision, linked to that.
pub(super) fn relinked(user: &User, to: Option<DirectoryLink>) -> User {
    User {
        directory_link: to,
        revision: user.revision + 1,
        ..user.clone()
    }
}

fn is_taken<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Taken(Unique::DirectoryLink)))
}

fn sorted(mut users: Vec<User>) -> Vec<User> {
    users.sort_by_key(|user| user.id);
    users
}

pub(crate) async fn link_an_entry_to_one_user(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = stored(&store, &mut make, &acme, "ann", Some("1")).await;
    let bob = stored(&store, &mut make, &acme, "bob", None).await;
    let before = audited(&store).await;

    let second = ldap(&mut make, acme.id, "eve", Some("1"));
    let refused = store.create_user(&second, None, &make.entry(acme.id), &[]).await;
    assert!(is_taken(&refused), "{refused:?}");
    assert_eq!(store.users_by_ids(&[second.id]).await.unwrap(), []);
    let linked = relinked(&bob, ann.directory_link.clone());
    let refused = store.update_user(&linked, 1, &make.entry(acme.id), &[]).await;
    assert!(is_taken(&refused), "{refused:?}");
    let refused = store.update_from_directory(&linked, 1, &make.entry(acme.id), &[]).await;
    assert!(is_taken(&refused), "{refused:?}");
    // Also for one who has left the directory, and whatever else the link says.
    let local = User {
        directory_link: Some(DirectoryLink {
            dn: "uid=moved".to_owned(),
            ..link("corp", "1")
        }),
        ..make.user(acme.id, "local")
    };
    let refused = store.create_user(&local, None, &make.entry(acme.id), &[]).await;
    assert!(is_taken(&refused), "{refused:?}");
    assert_eq!(reload(&store, &bob).await, bob);
    assert_eq!(audited(&store).await, before);

    // Another account, another directory, and another entry are no matter; nor is the letters' case, which the
    // directory's own identifiers mean as it stands.
    stored(&store, &mut make, &blue, "ann", Some("1")).await;
    let elsewhere = relinked(&bob, Some(link("other", "1")));
    store
        .update_user(&elsewhere, 1, &make.entry(acme.id), &[])
        .await
        .unwrap();
    stored(&store, &mut make, &acme, "lea", Some("a")).await;
    stored(&store, &mut make, &acme, "leo", Some("A")).await;
    stored(&store, &mut make, &acme, "max", None).await;
    stored(&store, &mut make, &acme, "mia", None).await;

    // Whoever lets go of an entry leaves it to others: by a change, by another entry, by going.
    store
        .update_user(&relinked(&ann, None), 1, &make.entry(acme.id), &[])
        .await
        .unwrap();
    let there = relinked(&elsewhere, Some(link("corp", "1")));
    store
        .update_from_directory(&there, 2, &make.entry(acme.id), &[])
        .await
        .unwrap();
    assert_eq!(reload(&store, &bob).await, there);
    let back = relinked(&reload(&store, &ann).await, Some(link("other", "1")));
    store
        .update_from_directory(&back, 2, &make.entry(acme.id), &[])
        .await
        .unwrap();
    store
        .delete_user(bob.id, there.revision, &make.entry(acme.id))
        .await
        .unwrap();
    stored(&store, &mut make, &acme, "zoe", Some("1")).await;
}

pub(crate) async fn race_for_an_entry(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut racers = Vec::new();
    for n in 0..20 {
        let user = match n % 3 {
            0 => ldap(&mut make, acme.id, &format!("user{n}"), Some("1")),
            _ => stored(&store, &mut make, &acme, &format!("user{n}"), None).await,
        };
        racers.push((n, user, make.entry(acme.id)));
    }
    let before = audited(&store).await;
    let racers: Vec<_> = racers
        .into_iter()
        .map(|(n, user, entry)| {
            let store = store.clone();
            let linked = relinked(&user, Some(link("corp", "1")));
            tokio::spawn(async move {
                match n % 3 {
                    0 => store.create_user(&user, None, &entry, &[]).await,
                    1 => store.update_user(&linked, 1, &entry, &[]).await,
                    _ => store.update_from_directory(&linked, 1, &entry, &[]).await.map(drop),
                }
            })
        })
        .collect();
    let mut linked = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => linked += 1,
            refused => assert!(is_taken(&refused), "{refused:?}"),
        }
    }
    assert_eq!(linked, 1);
    assert_eq!(audited(&store).await, before + 1);
    let found = store.users_by_external_ids(acme.id, "corp", &["1".to_owned()]).await;
    assert_eq!(found.unwrap().len(), 1);
}

pub(crate) async fn are_searched_by_external_ids(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = stored(&store, &mut make, &acme, "ann", Some("1")).await;
    let odd = "\\'\"$where; {\"a\":1} ж\u{1D11E}";
    let bob = stored(&store, &mut make, &acme, "bob", Some(odd)).await;
    let left = User {
        directory_link: Some(link("corp", "3")),
        ..make.user(acme.id, "left")
    };
    make.store_user(&store, &left).await;
    stored(&store, &mut make, &acme, "eve", Some("4")).await;
    stored(&store, &mut make, &acme, "max", None).await;
    stored(&store, &mut make, &blue, "ann", Some("1")).await;
    let other = User {
        directory_link: Some(link("other", "1")),
        ..ldap(&mut make, acme.id, "other", None)
    };
    make.store_user(&store, &other).await;

    let find = async |account: AccountId, directory: &str, ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        sorted(store.users_by_external_ids(account, directory, &ids).await.unwrap())
    };
    // One that nobody has, and one asked for twice.
    let found = find(acme.id, "corp", &["1", odd, "nobody", "3", "1", ""]).await;
    assert_eq!(found, sorted(vec![ann, bob, left]));
    assert_eq!(find(acme.id, "other", &["1", "3"]).await, [other]);
    assert_eq!(find(acme.id, "absent", &["1"]).await, []);
    assert_eq!(find(AccountId::from_uuid(make.uuid()), "corp", &["1"]).await, []);
    assert_eq!(find(acme.id, "corp", &[]).await, []);
}

pub(crate) async fn list_who_is_linked(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let mut people = Vec::new();
    for n in 0..23 {
        people.push(ldap(&mut make, acme.id, &format!("user{n}"), Some(&n.to_string())));
    }
    // A disabled one is linked as well.
    people[7].status = UserStatus::Disabled;
    let left = User {
        directory_link: Some(link("corp", "left")),
        ..make.user(acme.id, "left")
    };
    let other = User {
        directory_link: Some(link("other", "1")),
        ..ldap(&mut make, acme.id, "other", None)
    };
    let strangers = [
        ldap(&mut make, acme.id, "unlinked", None),
        ldap(&mut make, blue.id, "ann", Some("1")),
        make.user(acme.id, "local"),
        left,
        other.clone(),
    ];
    let loaded: Vec<NewPerson> = people
        .iter()
        .chain(&strangers)
        .map(|user| NewPerson {
            user: user.clone(),
            password: None,
            events: Vec::new(),
        })
        .collect();
    store.insert_people(&loaded).await.unwrap();
    let people = sorted(people);

    for limit in [1, 5, 22, 23, 24] {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = store.linked_users(acme.id, "corp", after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            read.extend(page);
        }
        assert_eq!(read, people, "{limit}");
    }
    assert_eq!(store.linked_users(acme.id, "other", None, 9).await.unwrap(), [other]);
    assert_eq!(store.linked_users(acme.id, "absent", None, 9).await.unwrap(), []);
    assert_eq!(store.linked_users(acme.id, "corp", None, 0).await.unwrap(), []);
}

/// Reads all pages of those who are signed in at that moment.
async fn signed_in(store: &Arc<dyn Store>, seconds: i64, limit: usize) -> Vec<User> {
    let (mut read, mut after): (Vec<User>, Option<UserId>) = (Vec::new(), None);
    loop {
        let (page, next) = store.signed_in_ldap_users(at(seconds), after, limit).await.unwrap();
        assert!(page.len() <= limit);
        assert!(page.iter().all(|user| Some(user.id) > after));
        read.extend(page);
        let Some(next) = next else { return read };
        assert!(Some(next) > after, "it goes on");
        assert!(read.iter().all(|user| user.id <= next));
        after = Some(next);
    }
}

pub(crate) async fn list_who_is_signed_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = stored(&store, &mut make, &acme, "ann", Some("1")).await;
    let bob = stored(&store, &mut make, &acme, "bob", None).await;
    let eve = stored(&store, &mut make, &blue, "eve", Some("1")).await;
    let away = stored(&store, &mut make, &acme, "away", Some("2")).await;
    let local = make.stored_user(&store, &acme, "local").await;
    // Sessions last for a day.
    for (user, seconds, n) in [
        (&ann, 10, 1),
        (&ann, 30, 2),
        (&bob, 20, 3),
        (&eve, 40, 4),
        (&local, 40, 5),
        (&away, 40, 6),
    ] {
        let record = make.sign_in(user, seconds, token(n));
        store.record_login(&record).await.unwrap();
    }
    let ended = store.identity(&token(6)).await.unwrap().unwrap();
    store.end_session(ended.session.id).await.unwrap();
    let signed_in = async |seconds: i64| {
        let mut logins = Vec::new();
        for user in signed_in(&store, seconds, 2).await {
            assert_eq!(user, reload(&store, &user).await);
            logins.push(user.login.as_str().to_owned());
        }
        logins.sort_unstable();
        logins
    };
    assert_eq!(signed_in(0).await, ["ann", "bob", "eve"]);
    assert_eq!(signed_in(86_400 + 19).await, ["ann", "bob", "eve"]);
    assert_eq!(
        signed_in(86_400 + 20).await,
        ["ann", "eve"],
        "a session is over at its end"
    );
    assert_eq!(signed_in(86_400 + 30).await, ["eve"]);
    assert!(signed_in(86_400 + 40).await.is_empty());
    let none = store.signed_in_ldap_users(at(0), None, 0).await.unwrap();
    assert_eq!(none, (Vec::new(), None));
}

pub(crate) async fn come_in_many_or_not_at_all(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, blue) = (
        make.stored_account(&store, "acme").await,
        make.stored_account(&store, "blue").await,
    );
    let mut many = |names: &[&str]| -> Vec<(User, AuditEntry)> {
        let new = |name: &&str| {
            let entry = make.entry(acme.id);
            (ldap(&mut make, acme.id, name, Some(name)), entry)
        };
        names.iter().map(new).collect()
    };
    let before = audited(&store).await;
    store.create_users(&many(&["ann", "bob", "cid"])).await.unwrap();
    let logins = |names: &[&str]| -> Vec<Login> { names.iter().map(|name| Login::parse(name).unwrap()).collect() };
    let found = async |account: AccountId, names: &[&str]| {
        let found = store.users_by_logins(account, &logins(names)).await.unwrap();
        let mut found: Vec<String> = found.iter().map(|user| user.login.to_string()).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found(acme.id, &["ann", "cid", "dan", "ann"]).await, ["ann", "cid"]);
    assert_eq!(found(blue.id, &["ann"]).await, [""; 0]);
    assert_eq!(found(acme.id, &[]).await, [""; 0]);
    assert_eq!(audited(&store).await, before + 3);
    // One of whom there is a login already, and one whose entry somebody has.
    let outcome = store.create_users(&many(&["dan", "ann"])).await;
    assert!(matches!(outcome, Err(StoreError::Taken(_))), "{outcome:?}");
    let mut linked = many(&["eve", "fay"]);
    linked[1].0.directory_link = Some(link("corp", "bob"));
    assert!(is_taken(&store.create_users(&linked).await));
    assert_eq!(found(acme.id, &["dan", "eve", "fay"]).await, [""; 0], "all or none");
    store.create_users(&[]).await.unwrap();
    assert_eq!(audited(&store).await, before + 3);
}

pub(crate) async fn list_many_who_are_signed_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut expected = Vec::new();
    let mut secret = 0;
    for n in 0..50_u8 {
        let is_ldap = n % 3 != 0;
        let user = if is_ldap {
            stored(&store, &mut make, &acme, &format!("user{n}"), Some(&n.to_string())).await
        } else {
            make.stored_user(&store, &acme, &format!("user{n}")).await
        };
        // From none up to four sessions; half of the people are signed in.
        let sessions = if n % 2 == 0 { n % 5 } else { 0 };
        for _ in 0..sessions {
            let record = make.sign_in(&user, i64::from(n), token(secret));
            store.record_login(&record).await.unwrap();
            secret += 1;
        }
        if is_ldap && sessions > 0 {
            expected.push(user.id);
        }
    }
    expected.sort_unstable();
    for limit in [1, 2, 3, 7, 1000] {
        let found: Vec<UserId> = signed_in(&store, 100, limit).await.iter().map(|user| user.id).collect();
        assert_eq!(found, expected, "{limit}");
    }
}
