//! Sessions.

use std::sync::Arc;

use super::history::check_listed;
use super::sample::{Maker, at, audited, grant, reload, token};
use crate::domain::credentials::TokenHash;
use crate::domain::grant::GrantTarget;
use crate::domain::ids::{LoginEventId, SessionId, UserId};
use crate::domain::login_event::{Impersonator, LoginMethod};
use crate::domain::session::{Impersonation, Session};
use crate::domain::user::User;
use crate::store::{Store, StoreError, WhichSessions};

pub(crate) async fn are_read_with_user_account_and_roles(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_account(&store, "blue").await;
    let mut roles = Vec::new();
    for name in ["One", "Two", "Three"] {
        let (role, entry) = (make.role(acme.id, name), make.entry(acme.id));
        store.create_role(&role, &entry).await.unwrap();
        roles.push(role);
    }
    let ann = User {
        grants: vec![
            grant(GrantTarget::Role(roles[2].id)),
            grant(GrantTarget::Role(roles[0].id)),
            grant(GrantTarget::Role(roles[2].id)),
        ],
        ..make.user(acme.id, "ann")
    };
    make.store_user(&store, &ann).await;
    let mut record = make.sign_in(&ann, 10, token(1));
    let session = &mut record.opened.as_mut().unwrap().session;
    session.impersonation = Some(Impersonation {
        by: Impersonator {
            user: UserId::from_uuid(make.uuid()),
            name: "root@system".to_owned(),
        },
        reason: "A complaint about missing reports".to_owned(),
        read_only: true,
        own_session: SessionId::from_uuid(make.uuid()),
        sealed_secret: token(9).0,
    });
    let session = session.clone();
    store.record_login(&record).await.unwrap();

    let mut identity = store.identity(&token(1)).await.unwrap().unwrap();
    assert_eq!(identity.session, session);
    assert_eq!(
        identity.user,
        User {
            last_login: Some(record.event),
            ..ann
        }
    );
    assert_eq!(identity.account, acme);
    identity.roles.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(identity.roles, [roles[0].clone(), roles[2].clone()]);
    assert_eq!(store.identity(&token(2)).await.unwrap(), None);
    assert_eq!(store.sessions_by_ids(&[session.id], at(10)).await.unwrap(), [session]);
}

async fn open(store: &Arc<dyn Store>, make: &mut Maker, user: &User, seconds: i64, n: u8) -> Session {
    let record = make.sign_in(user, seconds, token(n));
    store.record_login(&record).await.unwrap();
    record.opened.unwrap().session
}

pub(crate) async fn are_read_many_at_once(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let (role, entry) = (make.role(acme.id, "One"), make.entry(acme.id));
    store.create_role(&role, &entry).await.unwrap();
    let ann = User {
        grants: vec![grant(GrantTarget::Role(role.id))],
        ..make.user(acme.id, "ann")
    };
    make.store_user(&store, &ann).await;
    let bob = make.stored_user(&store, &blue, "bob").await;
    for (user, n) in [(&ann, 1), (&ann, 2), (&bob, 3)] {
        open(&store, &mut make, user, i64::from(n), n).await;
    }
    let ended = open(&store, &mut make, &bob, 4, 4).await;
    store.end_session(ended.id).await.unwrap();
    // In the order of the secrets, one that is asked for twice answered twice; each as by itself.
    let asked = [3, 4, 1, 2, 9, 1].map(token);
    let found = store.identities(&asked).await.unwrap();
    let mut expected = Vec::new();
    for hash in &asked {
        expected.push(store.identity(hash).await.unwrap());
    }
    assert_eq!(found, expected);
    assert_eq!(found.iter().flatten().count(), 4);
    assert_eq!(found[2].as_ref().unwrap().roles, [role]);
    assert_eq!(store.identities(&[]).await.unwrap(), []);
}

pub(crate) async fn expire(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let session = open(&store, &mut make, &ann, 0, 1).await;
    for (seconds, there) in [(0, true), (86_399, true), (86_400, false), (90_000, false)] {
        let by_id = store.sessions_by_ids(&[session.id], at(seconds)).await.unwrap();
        let by_user = store.sessions_of_users(&[ann.id], at(seconds)).await.unwrap();
        assert_eq!(
            (by_id.len(), by_user.len()),
            (usize::from(there), usize::from(there)),
            "{seconds}"
        );
    }
    // Whether it is over is the caller's to judge here.
    assert_eq!(store.identity(&token(1)).await.unwrap().unwrap().session, session);
}

pub(crate) async fn come_newest_first_and_bounded(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let eve = make.stored_user(&store, &acme, "eve").await;
    let mut of_ann = Vec::new();
    for n in 0..205_u8 {
        let seconds = i64::from(n) * 37 % 205;
        of_ann.push(open(&store, &mut make, &ann, seconds, n).await);
    }
    let of_bob = open(&store, &mut make, &bob, 5, 255).await;
    let found = store
        .sessions_of_users(&[eve.id, bob.id, ann.id], at(300))
        .await
        .unwrap();
    let of = |user: UserId| found.iter().filter(|s| s.user == user).cloned().collect::<Vec<_>>();
    of_ann.sort_by_key(|s| std::cmp::Reverse(s.created_at));
    assert_eq!(of(ann.id), of_ann[..200]);
    assert_eq!(of(bob.id), [of_bob]);
    assert_eq!(found.len(), 201);
    assert_eq!(store.sessions_of_users(&[], at(300)).await.unwrap(), []);
    assert_eq!(store.sessions_by_ids(&[], at(300)).await.unwrap(), []);
}

pub(crate) async fn are_touched_forwards_only(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let session = open(&store, &mut make, &ann, 0, 1).await;
    let other = open(&store, &mut make, &ann, 0, 2).await;
    for (seconds, seen) in [(60, 60), (30, 60), (60, 60), (90, 90)] {
        store.touch_session(session.id, at(seconds)).await.unwrap();
        let found = store.sessions_by_ids(&[session.id], at(100)).await.unwrap();
        assert_eq!(
            found,
            [Session {
                last_seen_at: at(seen),
                ..session.clone()
            }]
        );
    }
    assert_eq!(store.sessions_by_ids(&[other.id], at(100)).await.unwrap(), [other]);
    let nobody = SessionId::from_uuid(make.uuid());
    store.touch_session(nobody, at(1)).await.unwrap();
    assert_eq!(store.sessions_by_ids(&[nobody], at(1)).await.unwrap(), []);
}

pub(crate) async fn are_ended_once(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let session = open(&store, &mut make, &ann, 0, 1).await;
    open(&store, &mut make, &ann, 0, 2).await;
    let running: Vec<_> = (0..10)
        .map(|_| {
            let (store, id) = (store.clone(), session.id);
            tokio::spawn(async move { store.end_session(id).await.unwrap() })
        })
        .collect();
    let mut ended = 0;
    for task in running {
        ended += u32::from(task.await.unwrap());
    }
    assert_eq!(ended, 1);
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    assert_eq!(store.sessions_by_ids(&[session.id], at(1)).await.unwrap(), []);
    assert!(store.identity(&TokenHash([2; 32])).await.unwrap().is_some());
}

pub(crate) async fn are_revoked_with_their_entry(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let mut of_ann = Vec::new();
    for n in 0..4 {
        of_ann.push(open(&store, &mut make, &ann, i64::from(n), n).await);
    }
    let of_bob = open(&store, &mut make, &bob, 5, 9).await;
    let left = |user: UserId| {
        let store = store.clone();
        async move { store.sessions_of_users(&[user], at(10)).await.unwrap().len() }
    };
    let before = audited(&store).await;

    // Somebody else's, and one that is not there: nothing happens, and nothing is said to have happened.
    let nobodys = SessionId::from_uuid(make.uuid());
    for id in [of_bob.id, nobodys] {
        let entry = make.entry(acme.id);
        let ended = store.revoke_sessions(ann.id, WhichSessions::One(id), &entry).await;
        assert_eq!(ended.unwrap(), 0);
    }
    assert_eq!((audited(&store).await, left(bob.id).await), (before, 1));

    let entry = make.entry(acme.id);
    let one = WhichSessions::One(of_ann[1].id);
    assert_eq!(store.revoke_sessions(ann.id, one, &entry).await.unwrap(), 1);
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);

    let entry = make.entry(acme.id);
    let others = WhichSessions::AllBut(Some(of_ann[0].id));
    assert_eq!(store.revoke_sessions(ann.id, others, &entry).await.unwrap(), 2);
    assert!(store.identity(&token(0)).await.unwrap().is_some());

    let entry = make.entry(acme.id);
    let all = WhichSessions::AllBut(None);
    assert_eq!(store.revoke_sessions(ann.id, all, &entry).await.unwrap(), 1);
    assert_eq!((left(ann.id).await, left(bob.id).await), (0, 1));
    assert_eq!(audited(&store).await, before + 3);
}

pub(crate) async fn are_opened_for_somebody_else(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let own = make.sign_in(&ann, 1, token(1));
    store.record_login(&own).await.unwrap();
    let before = audited(&store).await;

    let mut record = make.sign_in(&ann, 5, token(2));
    record.event.method = LoginMethod::Impersonation;
    let mut opened = record.opened.take().unwrap();
    let entry = make.entry(acme.id);
    store
        .open_impersonation(&opened, &record.event, &entry, &[])
        .await
        .unwrap();

    let identity = store.session_identity(opened.session.id).await.unwrap().unwrap();
    assert_eq!(identity, store.identity(&token(2)).await.unwrap().unwrap());
    assert_eq!((&identity.session, &identity.account), (&opened.session, &acme));
    // It is in the history, and no sign-in of the user's own.
    assert_eq!(identity.user.last_login, Some(own.event));
    let recent = store.recent_login_events(&[ann.id], 1, at(0)).await.unwrap();
    assert_eq!(recent[&ann.id], [record.event.clone()]);
    check_listed(&store, &ann).await;
    assert_eq!(reload(&store, &ann).await.revision, ann.revision);
    assert_eq!(audited(&store).await, before + 1);

    // Of a user who was changed in between, nothing is opened.
    opened.user_revision += 1;
    opened.session.id = SessionId::from_uuid(make.uuid());
    opened.token_hash = token(3);
    record.event.id = LoginEventId::from_uuid(make.uuid());
    let entry = make.entry(acme.id);
    let refused = store.open_impersonation(&opened, &record.event, &entry, &[]).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current }) if current == ann.revision),
        "{refused:?}"
    );
    assert_eq!(store.session_identity(opened.session.id).await.unwrap(), None);
    assert_eq!(audited(&store).await, before + 1);
}
