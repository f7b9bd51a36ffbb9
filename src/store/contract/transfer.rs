//! Records are moved whole: what is read of one store is what another one is given.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::date;
use uuid::Uuid;

use crate::domain::avatar::{Avatar, AvatarKind};
use crate::domain::credentials::{Credentials, PasswordChange};
use crate::domain::grant::GrantTarget;
use crate::domain::ids::{ApiTokenId, AvatarId};
use crate::domain::link::LinkState;
use crate::domain::login_event::LoginOutcome;
use crate::domain::mail::{Mail, ReportKind, Subscription};
use crate::domain::token::ApiToken;
use crate::domain::user::{DirectoryLink, DisabledBy, Email, User, UserStatus};
use crate::store::contract::history::{check_listed, listed_as_in_history};
use crate::store::contract::outbox::link;
use crate::store::contract::sample::{Maker, at, audited, full_origin, grant, password, reload, token};
use crate::store::transfer::{Kind, Record, StoredUser};
use crate::store::{MailClaim, MailOutcome, Minted, ReportMark, Store, StoreError, Unique};

/// A store with something of each kind, everything optional filled in somewhere.
async fn filled(make: &mut Maker, store: &Arc<dyn Store>) {
    let acme = make.stored_account(store, "acme").await;
    let role = make.stored_role(store, &acme, "Support").await;
    let group = make.stored_group(store, &acme, "EMEA").await;
    let full = User {
        first_name: "Ann".to_owned(),
        last_name: "Ünal".to_owned(),
        email: Some(Email::parse("Ann@Example.org").unwrap()),
        phone: Some("+442071838750".to_owned()),
        status: UserStatus::Disabled,
        disabled_by: Some(DisabledBy::Directory),
        locked_until: Some(at(900)),
        password_expires_at: Some(at(901)),
        must_change_password: true,
        directory_link: Some(DirectoryLink {
            directory: "corp".to_owned(),
            dn: "uid=ann,dc=example,dc=org".to_owned(),
            external_id: "42".to_owned(),
            last_checked_at: at(5),
            picture: Some("00".to_owned()),
        }),
        grants: vec![
            grant(GrantTarget::Role(role.id)),
            grant(GrantTarget::Group(group.id)),
            grant(GrantTarget::Master),
        ],
        ..make.user(acme.id, "ann")
    };
    make.store_user(store, &full).await;
    let bob = User {
        email: Some(Email::parse("bob@example.org").unwrap()),
        ..make.user(acme.id, "bob")
    };
    make.store_user(store, &bob).await;
    let change = PasswordChange {
        hash: password("second"),
        changed_at: at(7),
        must_change: false,
        keep_history: 3,
    };
    let entry = make.entry(acme.id);
    store.set_password(bob.id, 1, &change, None, &entry, &[]).await.unwrap();
    for (user, revision, kind) in [(&full, 1, AvatarKind::Png), (&bob, 2, AvatarKind::Jpeg)] {
        let avatar = Avatar {
            id: AvatarId::from_uuid(make.uuid()),
            account: acme.id,
            user: user.id,
            kind,
            bytes: vec![0, 255, 7],
        };
        let entry = make.entry(acme.id);
        store
            .set_avatar(user.id, revision, Some(&avatar), at(9), &entry)
            .await
            .unwrap();
    }
    let bob = reload(store, &bob).await;
    store.record_login(&make.sign_in(&bob, 20, token(1))).await.unwrap();
    let mut refusal = make.refusal(&bob, 30, crate::store::Failures::Unchanged);
    refusal.event.origin = full_origin();
    refusal.event.detail = Some("why".to_owned());
    store.record_login(&refusal).await.unwrap();
    for (n, revoked_at) in [(1, None), (2, Some(at(40)))] {
        let made = ApiToken {
            id: ApiTokenId::from_uuid(make.uuid()),
            account: acme.id,
            name: "Nightly".to_owned(),
            roles: vec![role.id],
            groups: vec![group.id],
            created_by: Some(bob.id),
            created_at: at(3),
            last_used_at: revoked_at,
            expires_at: Some(at(50)),
            revoked_at,
        };
        let entry = make.entry(acme.id);
        store.create_token(&made, &token(10 + n), &entry).await.unwrap();
        if let (1, id) = (n, made.id) {
            // A revoked token's name is free again.
            let entry = make.entry(acme.id);
            store.revoke_token(id, at(41), &entry).await.unwrap();
        }
    }
    with_mails(make, store, &bob).await;
}

/// Mails in each state of a journey, their links, and reports of two accounts.
async fn with_mails(make: &mut Maker, store: &Arc<dyn Store>, user: &User) {
    let mut mails: Vec<Mail> = (0..4).map(|n| make.mail(user, n)).collect();
    mails[0].key = Some("once".to_owned());
    store.queue_mails(&mails, None).await.unwrap();
    let claim = MailClaim {
        holder: make.uuid(),
        now: at(60),
        until: at(120),
        limit: 3,
    };
    let claimed = store.claim_mails(&claim).await.unwrap();
    let outcomes = [
        MailOutcome::Sent,
        MailOutcome::Retry {
            at: at(90),
            error: "451".to_owned(),
        },
    ];
    for (mail, outcome) in claimed.iter().zip(outcomes) {
        assert!(
            store
                .settle_mail(mail.id, claim.holder, &outcome, at(61))
                .await
                .unwrap()
        );
    }
    let user = reload(store, user).await;
    for (mail, n) in mails.iter().zip(20..) {
        let minted = store.mint_link(&link(&user, mail, n, 62)).await.unwrap();
        assert_eq!(minted, Minted::Stored);
    }
    let other = make.stored_account(store, "other").await;
    for (account, kind, day) in [
        (user.account, ReportKind::Daily, 3),
        (user.account, ReportKind::Weekly, 2),
        (other.id, ReportKind::Weekly, 9),
    ] {
        let mark = ReportMark {
            account,
            kind,
            first_day: date(2026, 3, day),
        };
        assert!(store.file_report(&mark, &[]).await.unwrap());
    }
}

async fn all(store: &Arc<dyn Store>, kind: Kind) -> Vec<Record> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan(kind, after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { return found };
        after = Some(last.id());
        found.extend(page);
    }
}

async fn everything(store: &Arc<dyn Store>) -> Vec<Vec<Record>> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        found.push(all(store, kind).await);
    }
    found
}

pub(crate) async fn are_scanned_in_the_order_of_their_ids(store: Arc<dyn Store>) {
    filled(&mut Maker::default(), &store).await;
    for kind in Kind::ALL {
        let records = all(&store, kind).await;
        assert!(!records.is_empty(), "{kind:?}: nothing of it is tried");
        let ids: Vec<Uuid> = records.iter().map(Record::id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{kind:?}: {ids:?}");
        assert!(records.iter().all(|record| record.kind() == kind));
        assert_eq!(store.estimate(kind).await.unwrap(), records.len() as u64, "{kind:?}");
        assert_eq!(store.scan(kind, ids.last().copied(), 5).await.unwrap(), []);
        let digests: BTreeSet<[u8; 32]> = records.iter().map(|record| record.digest().unwrap()).collect();
        assert_eq!(digests.len(), records.len());
    }
}

pub(crate) async fn are_written_as_they_were_read(store: Arc<dyn Store>) {
    filled(&mut Maker::default(), &store).await;
    let before = everything(&store).await;
    for (kind, records) in Kind::ALL.into_iter().zip(&before).rev() {
        let ids: Vec<Uuid> = records.iter().map(Record::id).collect();
        store.remove(kind, &ids).await.unwrap();
        store.remove(kind, &ids).await.unwrap();
        assert_eq!(all(&store, kind).await, []);
    }
    for _ in 0..2 {
        for records in &before {
            store.put(records).await.unwrap();
        }
        assert_eq!(everything(&store).await, before);
    }
    let Some(Record::User(ann)) = before[3]
        .iter()
        .find(|r| matches!(r, Record::User(u) if u.user.is_master()))
    else {
        panic!("there is a master");
    };
    let found = store.users_by_ids(&[ann.user.id]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&ann.user));
    assert!(
        store.identity(&token(1)).await.unwrap().is_some(),
        "whoever was signed in still is"
    );
    assert!(store.avatar(ann.user.avatar.unwrap()).await.unwrap().is_some());
    assert!(store.token_identities(&[token(12)]).await.unwrap()[0].is_some());
    // The mail that was in hand comes to somebody else when its lease is over, and not before.
    for (now, due) in [(at(119), 2), (at(120), 1)] {
        let claim = MailClaim {
            holder: Uuid::from_u128(8),
            now,
            until: at(999),
            limit: 9,
        };
        assert_eq!(store.claim_mails(&claim).await.unwrap().len(), due, "{now}");
    }
    let found = store.find_link(&token(23)).await.unwrap().unwrap();
    assert_eq!(found.link.state(at(63), &found.user), LinkState::Valid);
    let again = ReportMark {
        account: found.user.account,
        kind: ReportKind::Daily,
        first_day: date(2026, 3, 3),
    };
    assert!(!store.file_report(&again, &[]).await.unwrap(), "it was filed");
    let subscribers = store
        .subscribers(found.user.account, Subscription::Security, None, 9)
        .await
        .unwrap();
    assert_eq!(subscribers, [found.user], "who asked for notices is found");
}

pub(crate) async fn replace_those_with_the_same_id(store: Arc<dyn Store>) {
    filled(&mut Maker::default(), &store).await;
    let before = everything(&store).await;
    let mut after = before.clone();
    for record in after.iter_mut().flatten() {
        match record {
            Record::Account(account) => account.title.push('!'),
            Record::Role(role) => role.permissions.clear(),
            Record::Group(group) => group.description.push('!'),
            Record::User(stored) => {
                stored.user.first_name.push('!');
                stored.user.revision += 1;
                stored.user.locked_until = Some(at(77));
                stored.user.last_login = None;
                stored.user.grants.truncate(1);
                stored.credentials = Credentials {
                    hash: Some(password("third")),
                    history: vec![password("fourth")],
                };
            }
            Record::Avatar(avatar) => avatar.bytes.push(1),
            Record::Session(stored) => stored.session.last_seen_at = at(78),
            Record::ApiToken(stored) => stored.token.last_used_at = Some(at(79)),
            Record::LoginEvent(event) => event.attempts += 1,
            Record::AuditEntry(entry) => entry.actor.push('!'),
            Record::Mail(stored) => stored.mail.attempts += 1,
            Record::Link(link) => link.superseded_at = Some(at(80)),
            Record::Reports(filed) => {
                filed.first_days.pop_first();
                filed.first_days.insert(ReportKind::Daily, date(2026, 3, 1));
            }
        }
    }
    // What refers to the others stays while they are replaced.
    for records in after.iter().rev() {
        store.put(records).await.unwrap();
    }
    assert_eq!(everything(&store).await, after);
}

fn stored(user: &User) -> Record {
    Record::User(Box::new(StoredUser {
        user: user.clone(),
        credentials: Credentials {
            hash: user.has_password.then(|| password("first")),
            history: vec![password("zero")],
        },
    }))
}

pub(crate) async fn are_created_with_their_audit_entries_or_not_at_all(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let main = store.main_group(acme.id).await.unwrap().unwrap();
    make.stored_user(&store, &acme, "ann").await;
    let (role, gone, group) = (
        make.role(acme.id, "Support"),
        make.role(acme.id, "Gone"),
        make.group(acme.id, "Gone"),
    );
    let bob = User {
        grants: vec![
            grant(GrantTarget::Role(role.id)),
            grant(GrantTarget::Role(gone.id)),
            grant(GrantTarget::Group(group.id)),
        ],
        ..make.user(acme.id, "bob")
    };
    let logged = audited(&store).await;
    let entries = [make.entry(acme.id), make.entry(acme.id)];
    let second_ann = make.user(acme.id, "ann");
    let refused = store.create(&[stored(&bob), stored(&second_ann)], &entries).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::UserLogin))),
        "{refused:?}"
    );
    assert_eq!(store.user_by_login(acme.id, &bob.login).await.unwrap(), None);
    assert_eq!(audited(&store).await, logged);

    let event = make.event(&bob, 5, LoginOutcome::Success);
    let records = [
        Record::Role(role.clone()),
        stored(&bob),
        Record::LoginEvent(Box::new(event.clone())),
    ];
    store.create(&records, &entries).await.unwrap();
    assert_eq!(audited(&store).await, logged + 2);
    let kept = reload(&store, &bob).await;
    assert_eq!(
        (kept.roles(), kept.groups()),
        (vec![role.id], vec![main.id]),
        "what is gone is not granted"
    );
    let credentials = store.credentials(bob.id).await.unwrap().unwrap();
    assert_eq!(credentials.history, [password("zero")]);
    // A sign-in that is there stays as it is.
    store
        .create(&[Record::LoginEvent(Box::new(event.clone()))], &[])
        .await
        .unwrap();
    assert_eq!(store.login_events_by_ids(&[event.id]).await.unwrap(), [event]);
}

pub(crate) async fn find_users_by_id_and_by_login(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, other) = (
        make.stored_account(&store, "acme").await,
        make.stored_account(&store, "other").await,
    );
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &acme, "bob").await;
    let namesake = make.stored_user(&store, &other, "ann").await;
    let logins = [(acme.id, ann.login.clone()), (other.id, bob.login.clone())];
    let ids = [ann.id, namesake.id, crate::domain::ids::UserId::from_uuid(Uuid::nil())];
    let mut found = store.stored_users(&ids, &logins).await.unwrap();
    found.sort_by_key(|stored| stored.user.id != ann.id);
    let users: Vec<&User> = found.iter().map(|stored| &stored.user).collect();
    assert_eq!(users, [&ann, &namesake]);
    assert_eq!(found[0].credentials.hash, Some(password("first")));
    assert_eq!(store.stored_users(&[], &[]).await.unwrap(), []);
}

pub(crate) async fn let_users_follow_their_history(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let (ann, bob, eve) = (
        make.stored_user(&store, &acme, "ann").await,
        make.stored_user(&store, &acme, "bob").await,
        make.stored_user(&store, &acme, "eve").await,
    );
    let mut events: Vec<_> = (0..15).map(|n| make.event(&ann, n, LoginOutcome::Success)).collect();
    // Everything recent was refused.
    events.extend((0..12).map(|n| make.event(&bob, 100 + n, LoginOutcome::WrongPassword)));
    events.push(make.event(&bob, 50, LoginOutcome::Success));
    let records: Vec<Record> = events.iter().map(|e| Record::LoginEvent(Box::new(e.clone()))).collect();
    store.put(&records).await.unwrap();
    let users = [ann.id, bob.id, eve.id];
    for _ in 0..2 {
        store.settle_logins(&users).await.unwrap();
        let recent = store.recent_login_events(&users, 10, at(-1000)).await.unwrap();
        let times: Vec<_> = recent[&ann.id].iter().map(|event| event.at).collect();
        let expected: Vec<_> = (5..15).rev().map(at).collect();
        assert_eq!(times, expected);
        assert_eq!(recent[&bob.id].len(), 10);
        assert!(!recent.contains_key(&eve.id));
        check_listed(&store, &ann).await;
        check_listed(&store, &bob).await;
    }
    let (now_ann, now_bob) = (reload(&store, &ann).await, reload(&store, &bob).await);
    assert_eq!(now_ann.last_login.as_ref().map(|event| event.at), Some(at(14)));
    assert_eq!(now_bob.last_login.as_ref().map(|event| event.at), Some(at(50)));
    assert_eq!(
        (now_ann.revision, reload(&store, &eve).await.last_login),
        (ann.revision, None)
    );
    // An older one never takes the place of a newer one.
    let sign_in = make.sign_in(&now_ann, 500, token(1));
    store.record_login(&sign_in).await.unwrap();
    store
        .remove(Kind::LoginEvents, &[sign_in.event.id.as_uuid()])
        .await
        .unwrap();
    store.settle_logins(&users).await.unwrap();
    assert_eq!(reload(&store, &ann).await.last_login, Some(sign_in.event));
    // What is gone takes nobody's place among the newest.
    for limit in [1, 10] {
        let recent = store.recent_login_events(&users, limit, at(-1000)).await.unwrap();
        let times: Vec<_> = recent[&ann.id].iter().map(|event| event.at).collect();
        let newest: Vec<_> = (0..15).rev().take(limit).map(at).collect();
        assert_eq!(times, newest);
    }
    check_listed(&store, &ann).await;
    let of_bob = events.iter().filter(|event| event.user == Some(bob.id));
    let of_bob: Vec<Uuid> = of_bob.map(|event| event.id.as_uuid()).collect();
    store.remove(Kind::LoginEvents, &of_bob).await.unwrap();
    store.settle_logins(&users).await.unwrap();
    assert_eq!(listed_as_in_history(&store, &bob).await, []);
    assert_eq!(reload(&store, &bob).await.last_login, now_bob.last_login);
}
