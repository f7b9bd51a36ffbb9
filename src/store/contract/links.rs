//! Links that set a password.

use std::sync::Arc;

use super::history::check_listed;
use super::outbox::{change, link, stored};
use super::sample::{MINUTE, Maker, at, audited, key, password, reload, token};
use crate::domain::account::Account;
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AuditEntryId, LoginEventId, SessionId};
use crate::domain::link::AccessLink;
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::domain::mail::{LinkKind, Mail};
use crate::domain::user::{User, UserStatus};
use crate::store::{
    FailureCount, Failures, FoundLink, Minted, OpenedSession, Redemption, Retention, Store, StoreError,
};

/// Using the link `n` for a user, at a second; the session has the secret `n + 100`.
fn redemption(make: &mut Maker, user: &User, n: u8, seconds: i64) -> Redemption {
    let mut event = make.event(user, seconds, LoginOutcome::Success);
    event.method = LoginMethod::Link;
    Redemption {
        hash: token(n),
        at: at(seconds),
        change: change("new", seconds),
        opened: OpenedSession {
            session: make.session(user, seconds),
            token_hash: token(n + 100),
            user_revision: user.revision,
            rehashed: None,
        },
        event,
        cleared: Vec::new(),
        audit: make.entry_at(user.account, seconds),
        mails: Vec::new(),
    }
}

/// The stored link.
async fn found(store: &Arc<dyn Store>, n: u8) -> AccessLink {
    store.find_link(&token(n)).await.unwrap().unwrap().link
}

async fn ann(store: &Arc<dyn Store>, make: &mut Maker) -> (Account, User) {
    let acme = make.stored_account(store, "acme").await;
    let ann = make.stored_reader(store, &acme, "ann").await;
    (acme, ann)
}

/// Minting this link comes to that.
async fn mint(store: &Arc<dyn Store>, link: &AccessLink, expected: Minted) {
    assert_eq!(store.mint_link(link).await.unwrap(), expected);
}

pub(crate) async fn are_found_with_what_using_them_takes(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, ann) = ann(&store, &mut make).await;
    let bob = User {
        has_password: false,
        password_changed_at: None,
        ..make.reader(acme.id, "bob")
    };
    make.store_user(&store, &bob).await;
    for (user, n, hash) in [(&ann, 1, Some(password("first"))), (&bob, 2, None)] {
        let minted = link(user, &make.mail(user, 1), n, 10);
        mint(&store, &minted, Minted::Stored).await;
        let expected = FoundLink {
            link: minted,
            user: user.clone(),
            credentials: Credentials {
                hash,
                history: Vec::new(),
            },
            account: acme.clone(),
        };
        assert_eq!(store.find_link(&token(n)).await.unwrap(), Some(expected));
    }
    assert_eq!(store.find_link(&token(3)).await.unwrap(), None);
}

pub(crate) async fn take_the_place_of_those_of_earlier_mails(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, ann) = ann(&store, &mut make).await;
    let bob = make.stored_reader(&store, &acme, "bob").await;
    let [first, second, third] = [1, 2, 3].map(|seconds| make.mail(&ann, seconds));
    mint(&store, &link(&bob, &make.mail(&bob, 0), 9, 5), Minted::Stored).await;
    mint(&store, &link(&ann, &second, 1, 10), Minted::Stored).await;
    // The same mail once more: either link may be the one that arrived.
    mint(&store, &link(&ann, &second, 2, 11), Minted::Stored).await;
    assert_eq!(found(&store, 1).await.superseded_at, None);
    // An earlier mail that was held up.
    mint(&store, &link(&ann, &first, 3, 12), Minted::Superseded).await;
    assert_eq!(store.find_link(&token(3)).await.unwrap(), None);
    mint(&store, &link(&ann, &third, 4, 13), Minted::Stored).await;
    for n in [1, 2] {
        assert_eq!(found(&store, n).await.superseded_at, Some(at(13)));
        let refused = store.redeem_link(&redemption(&mut make, &ann, n, 20)).await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
    assert_eq!(found(&store, 4).await.superseded_at, None);
    assert_eq!(found(&store, 9).await.superseded_at, None, "another's link stays");
    mint(&store, &link(&ann, &second, 5, 14), Minted::Superseded).await;
    assert_eq!(reload(&store, &ann).await, ann, "none of it shows");
}

pub(crate) async fn that_anybody_asked_for_end_none_of_an_administrators(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (_, ann) = ann(&store, &mut make).await;
    let mails: Vec<Mail> = (0..6).map(|seconds| make.mail(&ann, seconds)).collect();
    let access = |mail: usize, n| link(&ann, &mails[mail], n, 10 + i64::from(n));
    let reset = |mail: usize, n| AccessLink {
        kind: LinkKind::Reset,
        ..access(mail, n)
    };
    mint(&store, &access(1, 1), Minted::Stored).await;
    mint(&store, &reset(2, 2), Minted::Stored).await;
    assert_eq!(found(&store, 1).await.superseded_at, None);
    // The next of its own kind does end it, whichever comes first.
    mint(&store, &reset(3, 3), Minted::Stored).await;
    assert_eq!(found(&store, 2).await.superseded_at, Some(at(13)));
    mint(&store, &reset(2, 4), Minted::Superseded).await;
    assert_eq!(found(&store, 1).await.superseded_at, None);
    // An administrator's ends both, of the mails before its own; one that was held up is no worse for a reset.
    mint(&store, &access(0, 5), Minted::Superseded).await;
    mint(&store, &reset(5, 6), Minted::Stored).await;
    mint(&store, &access(4, 7), Minted::Stored).await;
    for (n, superseded) in [(1, Some(at(17))), (3, Some(at(16))), (6, None), (7, None)] {
        assert_eq!(found(&store, n).await.superseded_at, superseded, "{n}");
    }
    mint(&store, &reset(3, 8), Minted::Superseded).await;
    // Using either ends the other: the password is another one then.
    store.redeem_link(&redemption(&mut make, &ann, 7, 30)).await.unwrap();
    let ann = reload(&store, &ann).await;
    let refused = store.redeem_link(&redemption(&mut make, &ann, 6, 31)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
}

pub(crate) async fn race_for_the_latest_mail(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (_, ann) = ann(&store, &mut make).await;
    let mails: Vec<Mail> = (0..6).map(|seconds| make.mail(&ann, seconds)).collect();
    let tasks: Vec<_> = (1..)
        .zip(&mails)
        .map(|(n, mail)| {
            let (store, link) = (store.clone(), link(&ann, mail, n, 10));
            tokio::spawn(async move { store.mint_link(&link).await.unwrap() })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    assert_eq!(outcomes[5], Minted::Stored);
    for (n, outcome) in (1..).zip(&outcomes[..5]) {
        let link = store.find_link(&token(n)).await.unwrap().map(|found| found.link);
        match outcome {
            Minted::Stored => assert!(link.unwrap().superseded_at.is_some(), "{n}: {outcomes:?}"),
            other => assert_eq!((*other, link), (Minted::Superseded, None)),
        }
    }
    assert_eq!(found(&store, 6).await.superseded_at, None);
}

pub(crate) async fn are_of_no_use_to_some(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, ann) = ann(&store, &mut make).await;
    let mail = make.mail(&ann, 1);
    // The password was set since, or there was none, or there is none any more.
    for password_changed_at in [None, Some(at(-1))] {
        let stale = AccessLink {
            password_changed_at,
            ..link(&ann, &mail, 1, 10)
        };
        mint(&store, &stale, Minted::PasswordChanged).await;
    }
    let refused = [
        User {
            status: UserStatus::Disabled,
            ..make.user(acme.id, "off")
        },
        User {
            is_ldap: true,
            has_password: false,
            password_changed_at: None,
            ..make.user(acme.id, "ldap")
        },
    ];
    for user in &refused {
        make.store_user(&store, user).await;
        mint(&store, &link(user, &make.mail(user, 1), 1, 10), Minted::NoUse).await;
    }
    let moved = AccessLink {
        to: "ann@elsewhere.example.org".to_owned(),
        ..link(&ann, &mail, 1, 10)
    };
    mint(&store, &moved, Minted::AddressChanged).await;
    let nobody = make.user(acme.id, "nobody");
    mint(&store, &link(&nobody, &make.mail(&nobody, 1), 1, 10), Minted::NoUse).await;
    assert_eq!(store.find_link(&token(1)).await.unwrap(), None);
}

pub(crate) async fn are_redeemed_with_everything(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, ann) = ann(&store, &mut make).await;
    let (own, others) = (key(acme.id, 1, Some(5)), key(acme.id, 2, None));
    let counts = [own, others].map(|key| FailureCount {
        key,
        threshold: 1,
        window: MINUTE,
        locks_user: true,
    });
    let locked = make.refusal(&ann, 8, Failures::Count(counts.into()));
    store.record_login(&locked).await.unwrap();
    store.record_login(&make.sign_in(&ann, 9, token(50))).await.unwrap();
    let (mail, earlier) = (make.mail(&ann, 2), make.mail(&ann, 1));
    mint(&store, &link(&ann, &earlier, 1, 10), Minted::Stored).await;
    mint(&store, &link(&ann, &mail, 2, 11), Minted::Stored).await;
    mint(&store, &link(&ann, &mail, 3, 12), Minted::Stored).await;
    let before = (audited(&store).await, reload(&store, &ann).await);
    assert!(before.1.locked_until.is_some());

    let told = make.mail(&ann, 20);
    let redemption = Redemption {
        // From every network, whichever the key names.
        cleared: vec![key(acme.id, 1, None)],
        mails: vec![told.clone()],
        ..redemption(&mut make, &ann, 2, 20)
    };
    store.redeem_link(&redemption).await.unwrap();
    let expected = User {
        password_changed_at: Some(at(20)),
        last_login: Some(redemption.event.clone()),
        locked_until: None,
        updated_at: at(20),
        revision: 2,
        ..before.1
    };
    assert_eq!(reload(&store, &ann).await, expected);
    let credentials = store.credentials(ann.id).await.unwrap().unwrap();
    assert_eq!(credentials.hash, Some(password("new")));
    assert_eq!(credentials.history, [password("first")]);
    assert_eq!(store.identity(&token(50)).await.unwrap(), None, "other sessions end");
    let identity = store.identity(&token(102)).await.unwrap().unwrap();
    assert_eq!(
        (identity.session, identity.user),
        (redemption.opened.session.clone(), expected)
    );
    let recent = store.recent_login_events(&[ann.id], 1, at(0)).await.unwrap();
    let event = std::slice::from_ref(&redemption.event);
    assert_eq!(recent[&ann.id], event);
    check_listed(&store, &ann).await;
    assert_eq!(store.login_events_by_ids(&[redemption.event.id]).await.unwrap(), event);
    let locks = store.locks(&[own, others], at(20)).await.unwrap();
    assert_eq!((locks[0], locks[1].is_some()), (None, true));
    assert_eq!(audited(&store).await, before.0 + 1);
    assert_eq!(stored(&store, &[&told]).await, [told]);
    // All of the mail are used, and the earlier one's is what it was.
    let links = [found(&store, 1).await, found(&store, 2).await, found(&store, 3).await];
    assert_eq!(links.map(|link| link.used_at), [None, Some(at(20)), Some(at(20))]);
}

pub(crate) async fn are_redeemed_once_of_two(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (_, ann) = ann(&store, &mut make).await;
    let mail = make.mail(&ann, 1);
    mint(&store, &link(&ann, &mail, 1, 10), Minted::Stored).await;
    mint(&store, &link(&ann, &mail, 2, 10), Minted::Stored).await;
    let before = audited(&store).await;
    let tasks: Vec<_> = [1, 2, 1, 2, 1, 2]
        .into_iter()
        .zip(100..)
        .map(|(n, secret)| {
            let mut redemption = redemption(&mut make, &ann, n, 20);
            redemption.opened.token_hash = token(secret);
            let store = store.clone();
            tokio::spawn(async move { store.redeem_link(&redemption).await })
        })
        .collect();
    let mut redeemed = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => redeemed += 1,
            Err(refused) => assert!(matches!(refused, StoreError::NotFound), "{refused:?}"),
        }
    }
    assert_eq!((redeemed, audited(&store).await), (1, before + 1));
    assert_eq!(store.sessions_of_users(&[ann.id], at(0)).await.unwrap().len(), 1);
    assert_eq!(reload(&store, &ann).await.revision, 2);
}

pub(crate) async fn are_refused_when_they_do_not_work(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, ann) = ann(&store, &mut make).await;
    let bob = make.stored_reader(&store, &acme, "bob").await;
    mint(&store, &link(&ann, &make.mail(&ann, 1), 1, 10), Minted::Stored).await;
    mint(&store, &link(&bob, &make.mail(&bob, 1), 2, 10), Minted::Stored).await;
    store
        .set_password(bob.id, 1, &change("b", 15), None, &make.entry(acme.id), &[])
        .await
        .unwrap();
    let bob = reload(&store, &bob).await;
    let before = (audited(&store).await, store.credentials(ann.id).await.unwrap());
    // Expired, of another password, and none at all.
    let mail = make.mail(&ann, 30);
    for (user, n, seconds) in [(&ann, 1, 10 + 3600), (&bob, 2, 20), (&ann, 3, 20)] {
        let redemption = Redemption {
            mails: vec![mail.clone()],
            ..redemption(&mut make, user, n, seconds)
        };
        let refused = store.redeem_link(&redemption).await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{n}: {refused:?}");
    }
    let mut stale = Redemption {
        mails: vec![mail.clone()],
        ..redemption(&mut make, &ann, 1, 20)
    };
    stale.opened.user_revision = 7;
    let refused = store.redeem_link(&stale).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 1 })),
        "{refused:?}"
    );
    assert_eq!(
        (audited(&store).await, store.credentials(ann.id).await.unwrap()),
        before
    );
    assert_eq!(store.sessions_of_users(&[ann.id, bob.id], at(0)).await.unwrap(), []);
    assert_eq!(stored(&store, &[&mail]).await, []);
    assert_eq!(found(&store, 1).await.used_at, None);

    // It works until its last millisecond, and once.
    let mut last = redemption(&mut make, &ann, 1, 10 + 3600);
    last.at = last.at.checked_sub(jiff::SignedDuration::from_millis(1)).unwrap();
    store.redeem_link(&last).await.unwrap();
    last.opened.user_revision = 2;
    last.opened.session.id = SessionId::from_uuid(make.uuid());
    last.event.id = LoginEventId::from_uuid(make.uuid());
    last.audit.id = AuditEntryId::from_uuid(make.uuid());
    let refused = store.redeem_link(&last).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
}

pub(crate) async fn end_with_the_address_and_the_way_in(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let without_password = |user: User| User {
        has_password: false,
        password_changed_at: None,
        ..user
    };
    let [ann, bob] = ["ann", "bob"].map(|login| without_password(make.reader(acme.id, login)));
    for (user, n) in [(&ann, 1), (&bob, 2)] {
        make.store_user(&store, user).await;
        mint(&store, &link(user, &make.mail(user, 1), n, 10), Minted::Stored).await;
    }
    // There and back, with no password before or after: nothing else tells what happened in between.
    for (revision, is_ldap) in [(2, true), (3, false)] {
        let turned = User {
            is_ldap,
            revision,
            ..ann.clone()
        };
        let entry = make.entry_at(acme.id, 12);
        store.update_user(&turned, revision - 1, &entry, &[]).await.unwrap();
    }
    let moved = User {
        email: None,
        revision: 2,
        ..bob.clone()
    };
    store.update_user(&moved, 1, &make.entry(acme.id), &[]).await.unwrap();
    for (user, n) in [(&ann, 1), (&bob, 2)] {
        let user = reload(&store, user).await;
        let refused = store.redeem_link(&redemption(&mut make, &user, n, 20)).await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{n}: {refused:?}");
    }
    assert_eq!(found(&store, 1).await.superseded_at, Some(at(12)));
}

pub(crate) async fn are_purged_when_they_are_long_over(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, ann) = ann(&store, &mut make).await;
    let bob = make.stored_reader(&store, &acme, "bob").await;
    mint(&store, &link(&ann, &make.mail(&ann, 1), 1, 10), Minted::Stored).await;
    mint(&store, &link(&bob, &make.mail(&bob, 1), 2, 11), Minted::Stored).await;
    let retention = Retention {
        now: at(5000),
        history_before: at(-1000),
        audit_before: at(-1000),
        mail_before: at(-1000),
        links_before: at(11 + 3600),
    };
    assert_eq!(store.purge(&retention).await.unwrap(), 1);
    assert_eq!(store.find_link(&token(1)).await.unwrap(), None);
    assert_eq!(found(&store, 2).await.expires_at, at(11 + 3600));
}
