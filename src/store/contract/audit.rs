//! The audit log.

use std::sync::Arc;
use std::time::Duration;

use super::avatars::picture;
use super::model::{check_pages, entry_matches, sort};
use super::sample::{Maker, at, key, password, token};
use super::tokens;
use crate::domain::account::Account;
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::avatar::AvatarKind;
use crate::domain::credentials::PasswordChange;
use crate::domain::group::Group;
use crate::domain::ids::{AuditEntryId, UserId};
use crate::domain::login_event::{Impersonator, LoginMethod};
use crate::domain::page::PageRequest;
use crate::domain::query::{AuditFilter, Direction, audit_position};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::store::{FailureCount, Failures, LoginRecord, OpenedSession, Store, WhichSessions};

async fn all(store: &Arc<dyn Store>) -> Vec<AuditEntry> {
    let page = store
        .audit_entries(&[AuditFilter::default()], &PageRequest::first(200))
        .await
        .unwrap()
        .remove(0);
    assert!(!page.has_more);
    page.items
}

pub(crate) async fn reads_back_whole(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let user = make.user(acme.id, "ann");
    let change = |field: &str, before: Option<&str>, after: Option<&str>| FieldChange {
        field: field.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let full = AuditEntry {
        actor: "Zoë 😀@acme".to_owned(),
        actor_user: Some(UserId::from_uuid(make.uuid())),
        impersonator: Some(Impersonator {
            user: UserId::from_uuid(make.uuid()),
            name: "root@system".to_owned(),
        }),
        ip: Some("2001:db8::7".parse().unwrap()),
        changes: vec![
            change("lastName", None, Some("O'Neil \\ \"%_")),
            change("email", Some(""), None),
        ],
        ..make.entry_at(acme.id, 10)
    };
    store.create_user(&user, None, &full, &[]).await.unwrap();
    let empty = AuditEntry {
        changes: Vec::new(),
        ..make.entry_at(acme.id, 20)
    };
    store.delete_user(user.id, 1, &empty).await.unwrap();
    assert_eq!(all(&store).await[..2], [empty, full]);
}

/// Sixty entries of two accounts, with ties in time.
async fn population(store: &Arc<dyn Store>, make: &mut Maker) -> Vec<AuditEntry> {
    let acme = make.stored_account(store, "acme").await;
    let blue = make.stored_account(store, "blue").await;
    let actors: Vec<_> = (0..3).map(|_| UserId::from_uuid(make.uuid())).collect();
    let targets: Vec<_> = (0..4).map(|_| make.uuid()).collect();
    for n in 0..60 {
        let account = make.pick(&[acme.id, blue.id]);
        let role = make.role(account, &format!("Role {n}"));
        let entry = AuditEntry {
            actor_user: make.pick(&[None, Some(actors[0]), Some(actors[1])]),
            // Whoever acted in somebody's name is not the actor.
            impersonator: make.pick(&[
                None,
                Some(Impersonator {
                    user: actors[2],
                    name: "root@system".to_owned(),
                }),
            ]),
            action: make
                .pick(&["createUser", "createUsers", "deleteUser", "CREATEUSER"])
                .to_owned(),
            target_type: make.pick(&[
                TargetType::Account,
                TargetType::User,
                TargetType::Role,
                TargetType::Group,
                TargetType::ApiToken,
                TargetType::Mail,
            ]),
            target_id: make.pick(&targets),
            ..make.entry_at(account, n / 5)
        };
        store.create_role(&role, &entry).await.unwrap();
    }
    all(store).await
}

pub(crate) async fn is_found_by_id(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    make.stored_user(&store, &acme, "ann").await;
    let written = all(&store).await;
    assert_eq!(written.len(), 2);
    let mut ids: Vec<AuditEntryId> = written.iter().map(|e| e.id).collect();
    ids.push(AuditEntryId::from_uuid(make.uuid()));
    let mut found = store.audit_entries_by_ids(&ids).await.unwrap();
    found.sort_by_key(|e| ids.iter().position(|id| *id == e.id));
    assert_eq!(found, written);
    assert_eq!(store.audit_entries_by_ids(&[]).await.unwrap(), []);
}

pub(crate) async fn is_filtered_and_paged(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let found = population(&store, &mut make).await;
    let mut sorted = found.clone();
    sort(&mut sorted, audit_position, Direction::Desc);
    assert_eq!(found, sorted);
    assert_eq!(sorted.len(), 62);
    let one = sorted
        .iter()
        .find(|e| e.actor_user.is_some() && e.impersonator.is_some())
        .unwrap();
    let none = AuditFilter::default;
    let single = [
        none(),
        AuditFilter {
            account: Some(one.account),
            ..none()
        },
        AuditFilter {
            actor: one.actor_user,
            ..none()
        },
        AuditFilter {
            actor: one.impersonator.as_ref().map(|i| i.user),
            ..none()
        },
        AuditFilter {
            action: Some("createUser".to_owned()),
            ..none()
        },
        AuditFilter {
            action: Some("create".to_owned()),
            ..none()
        },
        AuditFilter {
            target_type: Some(TargetType::Role),
            ..none()
        },
        AuditFilter {
            target_id: Some(one.target_id),
            ..none()
        },
        AuditFilter {
            target_id: Some(uuid::Uuid::max()),
            ..none()
        },
        AuditFilter {
            since: Some(at(4)),
            ..none()
        },
        AuditFilter {
            until: Some(at(9)),
            ..none()
        },
    ];
    let mut filters = single.to_vec();
    for (n, a) in single.iter().enumerate() {
        filters.extend(single[n + 1..].iter().cloned().map(|b| AuditFilter {
            account: a.account.or(b.account),
            actor: a.actor.or(b.actor),
            action: a.action.clone().or(b.action),
            target_type: a.target_type.or(b.target_type),
            target_id: a.target_id.or(b.target_id),
            since: a.since.or(b.since),
            until: a.until.or(b.until),
        }));
    }
    let pages = store.audit_entries(&filters, &PageRequest::first(200)).await.unwrap();
    let counts = store.count_audit_entries(&filters).await.unwrap();
    assert_eq!((pages.len(), counts.len()), (filters.len(), filters.len()));
    for ((filter, page), count) in filters.iter().zip(pages).zip(counts) {
        let expected: Vec<_> = sorted.iter().filter(|e| entry_matches(filter, e)).cloned().collect();
        assert_eq!(count, expected.len() as u64, "{filter:?}");
        assert_eq!(page.items, expected, "{filter:?}");
    }
    for filter in [
        none(),
        AuditFilter {
            account: Some(one.account),
            ..none()
        },
    ] {
        let expected: Vec<_> = sorted.iter().filter(|e| entry_matches(&filter, e)).cloned().collect();
        check_pages(&expected, Direction::Desc, audit_position, async |request| {
            store
                .audit_entries(std::slice::from_ref(&filter), &request)
                .await
                .unwrap()
                .remove(0)
        })
        .await;
    }
}

/// A session in which somebody else acts for that user.
fn impersonation(make: &mut Maker, user: &User) -> (LoginRecord, OpenedSession) {
    let mut record = make.sign_in(user, 10, token(2));
    record.event.method = LoginMethod::Impersonation;
    let opened = record.opened.take().unwrap();
    (record, opened)
}

pub(crate) async fn takes_its_entry_with_each_change(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.account("acme");
    let mut written: Vec<AuditEntryId> = Vec::new();
    let mut seconds = 0;
    let mut entry = |make: &mut Maker| {
        seconds += 1;
        let entry = make.entry_at(acme.id, seconds);
        written.insert(0, entry.id);
        entry
    };
    let main = make.main_group(acme.id);
    store.create_account(&acme, &main, &entry(&mut make)).await.unwrap();
    let acme = Account {
        revision: 2,
        ..acme.clone()
    };
    store.update_account(&acme, 1, &entry(&mut make)).await.unwrap();
    let first = make.master(acme.id, "first");
    assert!(
        store
            .create_first_user(&first, &password("x"), &entry(&mut make))
            .await
            .unwrap()
    );
    let ann = make.user(acme.id, "ann");
    store.create_user(&ann, None, &entry(&mut make), &[]).await.unwrap();
    let ann = User { revision: 2, ..ann };
    store.update_user(&ann, 1, &entry(&mut make), &[]).await.unwrap();
    let change = PasswordChange {
        hash: password("y"),
        changed_at: at(9),
        must_change: false,
        keep_history: 1,
    };
    store
        .set_password(ann.id, 2, &change, None, &entry(&mut make), &[])
        .await
        .unwrap();
    let count = FailureCount {
        key: key(acme.id, 1, None),
        threshold: 1,
        window: Duration::from_secs(3600),
        locks_user: true,
    };
    let locking = make.refusal(&ann, 0, Failures::Count(vec![count]));
    store.record_login(&locking).await.unwrap();
    store
        .unlock_user(ann.id, &[key(acme.id, 1, None)], &entry(&mut make))
        .await
        .unwrap();
    let ann = User { revision: 3, ..ann };
    let avatar = picture(&mut make, &ann, AvatarKind::Png);
    for (revision, avatar) in [(3, Some(&avatar)), (4, None)] {
        store
            .set_avatar(ann.id, revision, avatar, at(9), &entry(&mut make))
            .await
            .unwrap();
    }
    let ann = User { revision: 5, ..ann };
    let own = make.sign_in(&ann, 9, token(1));
    store.record_login(&own).await.unwrap();
    let (record, opened) = impersonation(&mut make, &ann);
    store
        .open_impersonation(&opened, &record.event, &entry(&mut make), &[])
        .await
        .unwrap();
    let ended = store
        .revoke_sessions(ann.id, WhichSessions::AllBut(None), &entry(&mut make))
        .await;
    assert_eq!(ended.unwrap(), 2);
    store.delete_user(ann.id, 5, &entry(&mut make)).await.unwrap();

    let (role, group) = (make.role(acme.id, "Role"), make.group(acme.id, "Group"));
    store.create_role(&role, &entry(&mut make)).await.unwrap();
    store.create_group(&group, &entry(&mut make)).await.unwrap();
    let (role, group) = (Role { revision: 2, ..role }, Group { revision: 2, ..group });
    store.update_role(&role, 1, &entry(&mut make)).await.unwrap();
    store.update_group(&group, 1, &entry(&mut make)).await.unwrap();
    store.delete_role(&role, at(9), &entry(&mut make)).await.unwrap();
    store.delete_group(&group, at(9), &entry(&mut make)).await.unwrap();
    let reports = tokens::made(&mut make, &acme, "reports", 9);
    store
        .create_token(&reports, &token(3), &entry(&mut make))
        .await
        .unwrap();
    store.revoke_token(reports.id, at(9), &entry(&mut make)).await.unwrap();

    // An account's own log goes with it: the entry for its end stands elsewhere.
    let blue = make.account("blue");
    let main = make.main_group(blue.id);
    store.create_account(&blue, &main, &entry(&mut make)).await.unwrap();
    store.delete_account(blue.id, at(9), &entry(&mut make)).await.unwrap();
    let found: Vec<_> = all(&store).await.iter().map(|e| e.id).collect();
    assert_eq!(found, written);
}

pub(crate) async fn takes_none_of_a_failed_change(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_master(&store, &acme, "ann").await;
    let role = make.role(acme.id, "Role");
    let (group, main) = (make.group(acme.id, "Group"), store.main_group(acme.id).await.unwrap());
    let reports = tokens::made(&mut make, &acme, "reports", 9);
    let old = tokens::made(&mut make, &acme, "old", 9);
    for n in 0..5 {
        let entry = make.entry(acme.id);
        let done = match n {
            0 => store.create_role(&role, &entry).await,
            1 => store.create_group(&group, &entry).await,
            2 => store.create_token(&reports, &token(1), &entry).await,
            3 => store.create_token(&old, &token(2), &entry).await,
            _ => store.revoke_token(old.id, at(9), &entry).await,
        };
        done.unwrap();
    }
    let before = all(&store).await;

    let entry = make.entry_at(acme.id, 99);
    let again = make.account("acme");
    let (mains, user, other) = (
        make.main_group(again.id),
        make.user(acme.id, "ann"),
        make.role(acme.id, "ROLE"),
    );
    let change = PasswordChange {
        hash: password("y"),
        changed_at: at(9),
        must_change: false,
        keep_history: 1,
    };
    assert!(store.create_account(&again, &mains, &entry).await.is_err());
    assert!(store.update_account(&acme, 5, &entry).await.is_err());
    assert!(store.create_user(&user, None, &entry, &[]).await.is_err());
    assert!(!store.create_first_user(&user, &password("x"), &entry).await.unwrap());
    assert!(store.update_user(&ann, 5, &entry, &[]).await.is_err());
    assert!(store.set_password(ann.id, 5, &change, None, &entry, &[]).await.is_err());
    assert!(
        store
            .unlock_user(user.id, &[key(acme.id, 1, None)], &entry)
            .await
            .is_err()
    );
    assert!(store.delete_user(ann.id, 1, &entry).await.is_err());
    assert!(store.create_role(&other, &entry).await.is_err());
    assert!(store.update_role(&role, 5, &entry).await.is_err());
    assert!(store.delete_role(&other, at(9), &entry).await.is_err());
    let second = make.group(acme.id, "main");
    assert!(store.create_group(&second, &entry).await.is_err());
    assert!(store.update_group(&group, 5, &entry).await.is_err());
    assert!(store.delete_group(&second, at(9), &entry).await.is_err());
    assert!(store.delete_group(&main.unwrap(), at(9), &entry).await.is_err());
    let double = tokens::made(&mut make, &acme, "REPORTS", 9);
    assert!(store.create_token(&double, &token(3), &entry).await.is_err());
    assert!(store.revoke_token(old.id, at(10), &entry).await.is_err());
    let avatar = picture(&mut make, &ann, AvatarKind::Png);
    assert!(store.set_avatar(ann.id, 5, Some(&avatar), at(9), &entry).await.is_err());
    let none = store.revoke_sessions(ann.id, WhichSessions::AllBut(None), &entry).await;
    assert_eq!(none.unwrap(), 0, "nobody has signed in");
    let (record, opened) = impersonation(&mut make, &User { revision: 5, ..ann });
    assert!(
        store
            .open_impersonation(&opened, &record.event, &entry, &[])
            .await
            .is_err()
    );
    assert!(store.delete_account(again.id, at(9), &entry).await.is_err());
    assert_eq!(all(&store).await, before);
}
