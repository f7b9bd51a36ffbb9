//! The outbox: what is in it, and who takes what out of it.

use std::collections::HashSet;
use std::sync::Arc;

use super::outbox::{claim, in_hand, matters, one_of_each, stored};
use super::sample::{Maker, at, audited};
use crate::domain::ids::MailId;
use crate::domain::mail::{Mail, MailContent, MailFilter, MailState};
use crate::domain::page::{PageRequest, Position, SortKey, Take};
use crate::domain::user::Email;
use crate::store::{MailOutcome, Retention, Store, StoreError};

pub(crate) async fn read_back_whole(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mut mails = Vec::new();
    for (seconds, matter) in (0..).zip(matters()) {
        let mail = make.keyed_mail(&ann, seconds, &format!("$key.{seconds}"));
        mails.push(Mail {
            content: MailContent { matter, ..mail.content },
            ..mail
        });
    }
    mails.push(Mail {
        state: MailState::Sent,
        attempts: 3,
        last_error: Some("451 try again".to_owned()),
        next_attempt_at: None,
        sent_at: Some(at(70)),
        ..make.mail(&ann, 60)
    });
    assert_eq!(store.queue_mails(&mails, None).await.unwrap(), mails.len() as u64);
    assert_eq!(stored(&store, &mails.iter().collect::<Vec<_>>()).await, mails);
    let unknown = MailId::from_uuid(make.uuid());
    assert_eq!(
        store.mails_by_ids(&[unknown, mails[3].id]).await.unwrap(),
        [mails[3].clone()]
    );
    assert_eq!(store.mails_by_ids(&[]).await.unwrap(), []);
    assert_eq!(store.queue_mails(&[], None).await.unwrap(), 0);

    let (entry, before) = (make.entry(acme.id), audited(&store).await);
    assert_eq!(store.queue_mails(&[], Some(&entry)).await.unwrap(), 0);
    assert_eq!(audited(&store).await, before + 1);
    // An entry is written once: the mail goes with it, or not at all.
    let late = make.mail(&ann, 80);
    store
        .queue_mails(std::slice::from_ref(&late), Some(&entry))
        .await
        .unwrap_err();
    assert_eq!(store.mails_by_ids(&[late.id]).await.unwrap(), []);
}

pub(crate) async fn are_kept_once_by_their_key(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let (ann, zoe) = (make.user(acme.id, "ann"), make.user(blue.id, "zoe"));
    let first = make.keyed_mail(&ann, 1, "alert:1");
    let again = make.keyed_mail(&ann, 2, "alert:1");
    let other = make.keyed_mail(&ann, 3, "alert:2");
    let free = [make.mail(&ann, 4), make.mail(&ann, 5)];
    let batch = [first.clone(), again, other.clone(), free[0].clone(), free[1].clone()];
    assert_eq!(store.queue_mails(&batch, None).await.unwrap(), 4);
    let late = [make.keyed_mail(&ann, 6, "alert:2"), make.keyed_mail(&zoe, 7, "alert:2")];
    assert_eq!(
        store.queue_mails(&late, None).await.unwrap(),
        1,
        "another account's key is another"
    );
    let mut all: Vec<Mail> = batch.to_vec();
    all.extend(late.clone());
    let kept = stored(&store, &all.iter().collect::<Vec<_>>()).await;
    let expected = [&first, &other, &free[0], &free[1], &late[1]];
    assert_eq!(kept.iter().collect::<Vec<_>>(), expected);

    // Several at once, each with a mail that no other has.
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let mails = [make.keyed_mail(&ann, 10 + n, "race"), make.mail(&ann, 30 + n)];
            let store = store.clone();
            tokio::spawn(async move { store.queue_mails(&mails, None).await.unwrap() })
        })
        .collect();
    let mut queued = 0;
    for task in tasks {
        queued += task.await.unwrap();
    }
    assert_eq!(queued, 8 + 1);
}

pub(crate) async fn are_claimed_when_they_are_due(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mails: Vec<Mail> = [30, 10, 20, 40].map(|seconds| make.mail(&ann, seconds)).into();
    store.queue_mails(&mails, None).await.unwrap();
    let holder = make.uuid();
    assert_eq!(claim(&store, holder, 9, 100, 10).await, []);
    assert_eq!(claim(&store, holder, 40, 100, 0).await, []);
    // The longest due first, and the last moment counts.
    let expected = [in_hand(&mails[1], 1), in_hand(&mails[2], 1)];
    assert_eq!(claim(&store, holder, 30, 100, 2).await, expected);
    assert_eq!(claim(&store, holder, 30, 100, 2).await, [in_hand(&mails[0], 1)]);
    assert_eq!(claim(&store, holder, 39, 100, 2).await, []);
    assert_eq!(
        stored(&store, &[&mails[1], &mails[3]]).await,
        [expected[0].clone(), mails[3].clone()]
    );
}

/// Not of the suite, as it takes another's hand at the stored content: `rewrite` puts any text in its place.
pub(crate) async fn are_set_aside_when_they_cannot_be_read(
    store: &Arc<dyn Store>,
    rewrite: impl AsyncFn(MailId, &str),
) {
    let mut make = Maker::default();
    let acme = make.stored_account(store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mails: Vec<Mail> = (0..4).map(|seconds| make.mail(&ann, seconds)).collect();
    store.queue_mails(&mails, None).await.unwrap();
    let content = serde_json::to_string(&mails[1].content).unwrap();
    // As a later version might write it, and as nobody would.
    rewrite(mails[1].id, &content.replace("password_changed", "teleported")).await;
    rewrite(mails[2].id, "{").await;
    let holder = make.uuid();
    let expected = [in_hand(&mails[0], 1), in_hand(&mails[3], 1)];
    assert_eq!(claim(store, holder, 10, 100, 4).await, expected);
    assert_eq!(
        claim(store, holder, 1000, 1100, 4).await.len(),
        2,
        "they are due no more"
    );
    assert_eq!(store.mail_counts().await.unwrap()[&MailState::Failed], 2);
    // Once it can be read, it says why it was not sent, and it can be.
    rewrite(mails[1].id, &content).await;
    let found = stored(store, &[&mails[1]]).await;
    assert_eq!((found[0].state, found[0].next_attempt_at), (MailState::Failed, None));
    let reason = found[0].last_error.as_deref().unwrap();
    assert!(
        reason.contains("cannot be read") && reason.contains("teleported"),
        "{reason}"
    );
    store.retry_mail(mails[1].id, &make.entry(acme.id)).await.unwrap();
    assert_eq!(claim(store, holder, 2000, 2100, 4).await.len(), 3);
}

pub(crate) async fn are_claimed_by_one_of_many(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mails: Vec<Mail> = (0..60).map(|seconds| make.mail(&ann, seconds)).collect();
    store.queue_mails(&mails, None).await.unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, holder) = (store.clone(), make.uuid());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = claim(&store, holder, 100, 200, 7).await;
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed);
                }
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for task in tasks {
        claimed.extend(task.await.unwrap());
    }
    assert!(
        claimed
            .iter()
            .all(|mail| mail.attempts == 1 && mail.state == MailState::Sending)
    );
    let ids: HashSet<MailId> = claimed.iter().map(|mail| mail.id).collect();
    assert_eq!((claimed.len(), ids.len()), (60, 60), "each went to one");
}

pub(crate) async fn go_to_another_after_the_lease(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mail = make.mail(&ann, 0);
    store.queue_mails(std::slice::from_ref(&mail), None).await.unwrap();
    let [one, two] = [(); 2].map(|()| make.uuid());
    assert_eq!(claim(&store, one, 0, 60, 10).await, [in_hand(&mail, 1)]);
    assert_eq!(claim(&store, two, 59, 120, 10).await, []);
    assert!(
        !store
            .settle_mail(mail.id, two, &MailOutcome::Sent, at(59))
            .await
            .unwrap()
    );
    assert_eq!(claim(&store, two, 60, 120, 10).await, [in_hand(&mail, 2)]);
    assert!(
        !store
            .settle_mail(mail.id, one, &MailOutcome::Sent, at(61))
            .await
            .unwrap()
    );
    assert_eq!(stored(&store, &[&mail]).await, [in_hand(&mail, 2)]);
    // It is late, but nobody took it over.
    assert!(
        store
            .settle_mail(mail.id, two, &MailOutcome::Sent, at(130))
            .await
            .unwrap()
    );
    assert!(
        !store
            .settle_mail(mail.id, two, &MailOutcome::Sent, at(131))
            .await
            .unwrap()
    );
    let sent = stored(&store, &[&mail]).await.remove(0);
    assert_eq!((sent.state, sent.sent_at), (MailState::Sent, Some(at(130))));
    assert_eq!(claim(&store, one, 1000, 2000, 10).await, []);
    let unknown = MailId::from_uuid(make.uuid());
    assert!(
        !store
            .settle_mail(unknown, one, &MailOutcome::Sent, at(1))
            .await
            .unwrap()
    );
}

pub(crate) async fn are_settled_as_they_came_out(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let holder = make.uuid();
    let error = || "451 4.3.2 $later".to_owned();
    let (again, never) = (at(500), None);
    for (outcome, state, attempts, next) in [
        (MailOutcome::Sent, MailState::Sent, 2, never),
        (
            MailOutcome::Retry {
                at: again,
                error: error(),
            },
            MailState::Queued,
            2,
            Some(again),
        ),
        (
            MailOutcome::Untried {
                at: again,
                error: error(),
            },
            MailState::Queued,
            1,
            Some(again),
        ),
        (MailOutcome::Failed { error: error() }, MailState::Failed, 2, never),
        (MailOutcome::Dropped { error: error() }, MailState::Dropped, 2, never),
    ] {
        let mail = make.mail(&ann, 0);
        store.queue_mails(std::slice::from_ref(&mail), None).await.unwrap();
        claim(&store, holder, 0, 60, 1).await;
        let retry = MailOutcome::Retry {
            at: at(5),
            error: "421".to_owned(),
        };
        assert!(store.settle_mail(mail.id, holder, &retry, at(1)).await.unwrap());
        assert_eq!(claim(&store, holder, 4, 60, 1).await, []);
        let claimed = claim(&store, holder, 5, 60, 1).await;
        assert_eq!(claimed[0].last_error.as_deref(), Some("421"));
        assert!(store.settle_mail(mail.id, holder, &outcome, at(7)).await.unwrap());
        let sent = outcome == MailOutcome::Sent;
        let expected = Mail {
            state,
            attempts,
            next_attempt_at: next,
            last_error: (!sent).then(error),
            sent_at: sent.then(|| at(7)),
            ..mail.clone()
        };
        assert_eq!(stored(&store, &[&mail]).await, [expected]);
    }
    // Those that wait again, and no other, are due when they say.
    assert_eq!(claim(&store, holder, 499, 900, 10).await, []);
    assert_eq!(claim(&store, holder, 500, 900, 10).await.len(), 2);
}

pub(crate) async fn are_retried_and_dropped_by_hand(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let before = audited(&store).await;
    let (mut retried, mut dropped) = (0, 0);
    for mail in one_of_each(&store, &mut make, &ann).await {
        let outcome = store.retry_mail(mail.id, &make.entry_at(acme.id, 100)).await;
        if [MailState::Sending, MailState::Sent].contains(&mail.state) {
            assert!(matches!(outcome, Err(StoreError::NotFound)), "{outcome:?}");
            assert_eq!(stored(&store, &[&mail]).await, [mail]);
            continue;
        }
        let queued = Mail {
            state: MailState::Queued,
            attempts: 0,
            last_error: None,
            next_attempt_at: Some(at(100)),
            ..mail.clone()
        };
        assert_eq!(outcome.unwrap(), queued);
        assert_eq!(stored(&store, &[&mail]).await, [queued]);
        retried += 1;
    }
    for mail in one_of_each(&store, &mut make, &ann).await {
        let outcome = store.drop_mail(mail.id, &make.entry_at(acme.id, 100)).await;
        if ![MailState::Queued, MailState::Failed].contains(&mail.state) {
            assert!(matches!(outcome, Err(StoreError::NotFound)), "{outcome:?}");
            assert_eq!(stored(&store, &[&mail]).await, [mail]);
            continue;
        }
        let gone = Mail {
            state: MailState::Dropped,
            last_error: Some("dropped by command line".to_owned()),
            next_attempt_at: None,
            ..mail.clone()
        };
        assert_eq!(outcome.unwrap(), gone);
        assert_eq!(stored(&store, &[&mail]).await, [gone]);
        dropped += 1;
    }
    let unknown = MailId::from_uuid(make.uuid());
    let refused = store.retry_mail(unknown, &make.entry(acme.id)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    let refused = store.drop_mail(unknown, &make.entry(acme.id)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!((retried, dropped), (3, 2));
    assert_eq!(audited(&store).await, before + 5);
    // What was retried is due; what was dropped never is.
    assert_eq!(claim(&store, make.uuid(), 100, 200, 20).await.len(), 3);
}

pub(crate) async fn are_listed_newest_first(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let mut mails = Vec::new();
    for n in 0..30 {
        let seconds = make.pick(&[1, 2, 3, 4]);
        let state = make.pick(&MailState::ALL);
        let to = make.pick(&["Ann@Example.org", "ann@example.org", "an@example.org"]);
        mails.push(Mail {
            state,
            to: Email::parse(to).unwrap(),
            next_attempt_at: (state == MailState::Queued).then(|| at(n)),
            ..make.mail(&ann, seconds)
        });
    }
    store.queue_mails(&mails, None).await.unwrap();
    mails.sort_by_key(|mail| std::cmp::Reverse((mail.created_at, mail.id)));

    let mut filters = Vec::new();
    for state in [None, Some(MailState::Queued), Some(MailState::Failed)] {
        for to in [None, Some("ann@example.org"), Some("a"), Some("Ann@Example.org")] {
            let to = to.map(str::to_owned);
            filters.push(MailFilter { state, to });
        }
    }
    let expected: Vec<Vec<Mail>> = filters
        .iter()
        .map(|filter| {
            let matches = |mail: &&Mail| {
                filter.state.is_none_or(|state| state == mail.state)
                    && filter.to.as_ref().is_none_or(|to| *to == mail.to.folded())
            };
            mails.iter().filter(matches).cloned().collect()
        })
        .collect();
    assert!(expected[1].len() > 10 && expected[2].is_empty() && expected[3].is_empty());
    let counts: Vec<u64> = expected.iter().map(|list| list.len() as u64).collect();
    assert_eq!(store.count_mails(&filters).await.unwrap(), counts);
    let pages = store.mails(&filters, &PageRequest::first(5)).await.unwrap();
    for (page, list) in pages.iter().zip(&expected) {
        assert_eq!(page.items, list[..list.len().min(5)]);
        assert_eq!(page.has_more, list.len() > 5);
    }
    // On from the fifth, and back again.
    let place = |mail: &Mail| {
        Some(Position {
            key: SortKey::Time(Some(mail.created_at)),
            id: mail.id.as_uuid(),
        })
    };
    let on = PageRequest {
        after: place(&mails[4]),
        ..PageRequest::first(7)
    };
    let page = store.mails(&filters[..1], &on).await.unwrap().remove(0);
    assert_eq!((page.items.as_slice(), page.has_more), (&mails[5..12], true));
    let back = PageRequest {
        take: Take::Last,
        before: place(&mails[5]),
        ..PageRequest::first(7)
    };
    let page = store.mails(&filters[..1], &back).await.unwrap().remove(0);
    assert_eq!((page.items.as_slice(), page.has_more), (&mails[..5], false));

    let counted = store.mail_counts().await.unwrap();
    for state in MailState::COUNTED {
        let count = mails.iter().filter(|mail| mail.state == state).count() as u64;
        assert_eq!(counted.get(&state).copied(), Some(count), "{state:?}");
    }
}

pub(crate) async fn are_purged_when_they_are_over(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.user(acme.id, "ann");
    let old = one_of_each(&store, &mut make, &ann).await;
    let new = make.mail(&ann, 50);
    let new = Mail {
        state: MailState::Sent,
        next_attempt_at: None,
        ..new
    };
    store.queue_mails(std::slice::from_ref(&new), None).await.unwrap();
    let retention = Retention {
        now: at(100),
        history_before: at(-1000),
        audit_before: at(-1000),
        mail_before: at(50),
        links_before: at(-1000),
    };
    assert_eq!(store.purge(&retention).await.unwrap(), 3);
    let mut all: Vec<&Mail> = old.iter().collect();
    all.push(&new);
    let left = stored(&store, &all).await;
    assert_eq!(left, [old[0].clone(), old[1].clone(), new], "what is on its way stays");
    assert_eq!(store.purge(&retention).await.unwrap(), 0);
}
