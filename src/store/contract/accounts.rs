//! Accounts.

use std::sync::Arc;

use super::model::{account_matches, check_pages, sort};
use super::sample::{Maker, at, audited, reload, token};
use crate::domain::account::{Account, AccountName, AccountStatus, Language};
use crate::domain::ids::AccountId;
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::domain::page::PageRequest;
use crate::domain::password::PasswordPolicy;
use crate::domain::query::{AccountFilter, AccountOrder, AccountOrderField, AuditFilter, Direction, LoginEventFilter};
use crate::domain::user::User;
use crate::store::{Failures, LoginRecord, Store, StoreError, Unique};

pub(crate) async fn come_with_their_main_group(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let account = Account {
        title: "Société « ACME » 張 😀 'quoted'".to_owned(),
        directory: Some("corp".to_owned()),
        directory_only: true,
        default_language: Language::Ru,
        status: AccountStatus::Frozen,
        password_policy: PasswordPolicy {
            max_age_days: Some(90),
            min_length: 20,
            ..PasswordPolicy::default()
        },
        updated_at: at(5),
        revision: 3,
        ..make.account("acme")
    };
    let main = make.main_group(account.id);
    let entry = make.entry(account.id);
    store.create_account(&account, &main, &entry).await.unwrap();
    assert_eq!(
        store.accounts_by_ids(&[account.id]).await.unwrap(),
        std::slice::from_ref(&account)
    );
    assert_eq!(store.main_group(account.id).await.unwrap(), Some(main));
    assert_eq!(audited(&store).await, 1);
}

pub(crate) async fn have_unique_names(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    make.stored_account(&store, "acme").await;
    let second = make.account("acme");
    let main = make.main_group(second.id);
    let entry = make.entry(second.id);
    let refused = store.create_account(&second, &main, &entry).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::AccountName))),
        "{refused:?}"
    );
    assert_eq!(store.main_group(second.id).await.unwrap(), None);
    assert_eq!(audited(&store).await, 1);
}

pub(crate) async fn race_for_a_name(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let racers: Vec<_> = (0..20)
        .map(|_| {
            let account = make.account("acme");
            let main = make.main_group(account.id);
            let entry = make.entry(account.id);
            let store = store.clone();
            tokio::spawn(async move { store.create_account(&account, &main, &entry).await })
        })
        .collect();
    let mut made = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => made += 1,
            Err(StoreError::Taken(Unique::AccountName)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(store.count_accounts(&AccountFilter::default()).await.unwrap(), 1);
    assert_eq!(audited(&store).await, 1);
}

pub(crate) async fn are_found_by_id_and_name(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let nobody = AccountId::from_uuid(make.uuid());
    let mut found = store.accounts_by_ids(&[blue.id, nobody, acme.id]).await.unwrap();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found, [acme.clone(), blue]);
    assert_eq!(store.accounts_by_ids(&[]).await.unwrap(), []);
    assert_eq!(store.account_by_name(&acme.name).await.unwrap(), Some(acme));
    let absent = AccountName::parse("acm").unwrap();
    assert_eq!(store.account_by_name(&absent).await.unwrap(), None);
    assert_eq!(store.main_group(nobody).await.unwrap(), None);
}

pub(crate) async fn are_updated_at_their_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let account = make.stored_account(&store, "acme").await;
    let changed = Account {
        title: "Another".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        default_language: Language::Ru,
        directory: Some("corp".to_owned()),
        directory_only: true,
        password_policy: PasswordPolicy {
            history: 24,
            ..account.password_policy
        },
        updated_at: at(9),
        revision: 2,
        ..account.clone()
    };
    let entry = make.entry(account.id);
    store.update_account(&changed, 1, &entry).await.unwrap();
    assert_eq!(
        store.accounts_by_ids(&[account.id]).await.unwrap(),
        std::slice::from_ref(&changed)
    );

    let stale = Account {
        title: "Too late".to_owned(),
        ..changed.clone()
    };
    let entry = make.entry(account.id);
    let refused = store.update_account(&stale, 1, &entry).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: 2 })),
        "{refused:?}"
    );
    assert_eq!(store.accounts_by_ids(&[account.id]).await.unwrap(), [changed]);

    let absent = make.account("absent");
    let entry = make.entry(absent.id);
    let refused = store.update_account(&absent, 1, &entry).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(audited(&store).await, 2);
}

pub(crate) async fn keep_name_and_creation_when_updated(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let account = make.stored_account(&store, "acme").await;
    let changed = Account {
        name: AccountName::parse("other").unwrap(),
        created_at: at(500),
        title: "Changed".to_owned(),
        revision: 2,
        ..account.clone()
    };
    let entry = make.entry(account.id);
    store.update_account(&changed, 1, &entry).await.unwrap();
    let expected = Account {
        name: account.name.clone(),
        created_at: account.created_at,
        ..changed
    };
    assert_eq!(store.accounts_by_ids(&[account.id]).await.unwrap(), [expected]);
}

pub(crate) async fn lose_sessions_when_frozen(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let bob = make.stored_user(&store, &blue, "bob").await;
    for (user, n) in [(&ann, 1), (&bob, 2)] {
        let record = make.sign_in(user, 10, token(n));
        store.record_login(&record).await.unwrap();
    }
    let entry = make.entry(acme.id);
    let retitled = Account {
        title: "Still active".to_owned(),
        revision: 2,
        ..acme
    };
    store.update_account(&retitled, 1, &entry).await.unwrap();
    assert!(store.identity(&token(1)).await.unwrap().is_some());

    let frozen = Account {
        status: AccountStatus::Frozen,
        revision: 3,
        ..retitled
    };
    let entry = make.entry(frozen.id);
    store.update_account(&frozen, 2, &entry).await.unwrap();
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    assert!(store.identity(&token(2)).await.unwrap().is_some());
    assert!(reload(&store, &ann).await.last_login.is_some(), "the history stays");

    // One that was opened in the moment of the freeze does not come to life when it is over.
    let record = make.sign_in(&ann, 20, token(3));
    store.record_login(&record).await.unwrap();
    let active = Account {
        status: AccountStatus::Active,
        revision: 4,
        ..frozen
    };
    let entry = make.entry(active.id);
    store.update_account(&active, 3, &entry).await.unwrap();
    assert_eq!(store.identity(&token(3)).await.unwrap(), None);
    assert!(store.identity(&token(2)).await.unwrap().is_some());
}

/// Accounts with ties in the time of creation.
async fn population(store: &Arc<dyn Store>, make: &mut Maker) -> Vec<Account> {
    let mut all = Vec::new();
    let titles = [
        "",
        "100% Mail",
        "A_b",
        "Ab",
        "École",
        "ÉCOLE 2",
        "back\\slash",
        "O'Neil",
        ".*",
        "Ж",
        "張",
        "😀",
    ];
    for n in 0..24_i64 {
        let name = format!("{}-{n}", make.pick(&["acme", "blue", "a-b", "ab"]));
        let account = Account {
            title: make.pick(&titles).to_owned(),
            status: make.pick(&[AccountStatus::Active, AccountStatus::Frozen]),
            created_at: at(n / 5),
            ..make.account(&name)
        };
        let main = make.main_group(account.id);
        let entry = make.entry(account.id);
        store.create_account(&account, &main, &entry).await.unwrap();
        all.push(account);
    }
    all
}

pub(crate) async fn are_listed_filtered_and_paged(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let all = population(&store, &mut make).await;
    let statuses = [None, Some(AccountStatus::Active), Some(AccountStatus::Frozen)];
    for field in [AccountOrderField::Name, AccountOrderField::CreatedAt] {
        for direction in [Direction::Asc, Direction::Desc] {
            let order = AccountOrder { field, direction };
            for status in statuses {
                let filter = AccountFilter {
                    status,
                    ..AccountFilter::default()
                };
                let mut sorted: Vec<_> = all.iter().filter(|a| account_matches(&filter, a)).cloned().collect();
                sort(&mut sorted, |a| order.position(a), direction);
                check_pages(
                    &sorted,
                    direction,
                    |a| order.position(a),
                    async |request| store.accounts(&filter, order, &request).await.unwrap(),
                )
                .await;
                assert_eq!(store.count_accounts(&filter).await.unwrap(), sorted.len() as u64);
            }
        }
    }
}

pub(crate) async fn find_search_prefixes_literally(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let all = population(&store, &mut make).await;
    let order = AccountOrder {
        field: AccountOrderField::Name,
        direction: Direction::Asc,
    };
    let mut hits = 0;
    for search in [
        "",
        "a",
        "ab",
        "a_",
        "a-",
        "100%",
        "%",
        "_",
        ".",
        ".*",
        "back\\",
        "o'",
        "éc",
        "ж",
        "張",
        "😀",
        "\u{10FFFF}",
        "e",
    ] {
        for status in [None, Some(AccountStatus::Active)] {
            let filter = AccountFilter {
                search: Some(search.to_owned()),
                status,
                ..AccountFilter::default()
            };
            let mut expected: Vec<_> = all.iter().filter(|a| account_matches(&filter, a)).cloned().collect();
            sort(&mut expected, |a| order.position(a), Direction::Asc);
            let found = store.accounts(&filter, order, &PageRequest::first(200)).await.unwrap();
            assert_eq!(found.items, expected, "{search:?}");
            assert_eq!(store.count_accounts(&filter).await.unwrap(), expected.len() as u64);
            hits += expected.len();
        }
    }
    assert!(hits > 60, "only {hits}");
}

pub(crate) async fn are_deleted_with_everything(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let mut kept = Vec::new();
    for (account, n) in [(&acme, 1), (&blue, 2)] {
        let (role, entry) = (make.role(account.id, "Support"), make.entry(account.id));
        store.create_role(&role, &entry).await.unwrap();
        let ann = make.stored_master(&store, account, "ann").await;
        let record = make.sign_in(&ann, n, token(u8::try_from(n).unwrap()));
        store.record_login(&record).await.unwrap();
        kept.push((role, ann));
    }
    let log = |account: AccountId| AuditFilter {
        account: Some(account),
        ..AuditFilter::default()
    };
    let history = |account: AccountId| LoginEventFilter {
        account: Some(account),
        ..LoginEventFilter::default()
    };
    let before = store.count_audit_entries(&[log(blue.id)]).await.unwrap()[0];

    let entry = make.entry(blue.id);
    store.delete_account(acme.id, at(100), &entry).await.unwrap();
    // At once: nobody gets in, and the name is free.
    assert_eq!(store.identity(&token(1)).await.unwrap(), None);
    assert!(store.candidate(&acme.name, None).await.unwrap().is_none());
    assert_eq!(store.accounts_by_ids(&[acme.id]).await.unwrap(), []);
    let again = make.stored_account(&store, "acme").await;
    assert_ne!(again.id, acme.id);

    store.clear_deleted(at(101)).await.unwrap();
    let (role, ann) = &kept[0];
    assert_eq!(store.roles_by_ids(&[role.id]).await.unwrap(), []);
    assert_eq!(store.users_by_ids(&[ann.id]).await.unwrap(), []);
    assert_eq!(store.main_group(acme.id).await.unwrap(), None);
    let counts = store.count_login_events(&[history(acme.id), history(blue.id)]).await;
    assert_eq!(counts.unwrap(), [0, 1]);
    let counts = store.count_audit_entries(&[log(acme.id), log(blue.id)]).await;
    assert_eq!(counts.unwrap(), [0, before + 1]);
    // The other account is as it was.
    let (role, ann) = &kept[1];
    assert_eq!(
        store.roles_by_ids(&[role.id]).await.unwrap(),
        std::slice::from_ref(role)
    );
    assert_eq!(store.users_by_ids(&[ann.id]).await.unwrap().len(), 1);
    assert!(store.identity(&token(2)).await.unwrap().is_some());

    // What was being written in that moment goes too, for an hour.
    let late = LoginEvent {
        account: acme.id,
        user: None,
        ..make.event(ann, 102, LoginOutcome::UnknownUser)
    };
    let late = LoginRecord {
        event: late,
        opened: None,
        failures: Failures::Unchanged,
        released: Vec::new(),
        mails: Vec::new(),
        on_lock: None,
    };
    store.record_login(&late).await.unwrap();
    assert_eq!(store.clear_deleted(at(100 + 3599)).await.unwrap(), 1);
    assert_eq!(store.count_login_events(&[history(acme.id)]).await.unwrap(), [0]);
    assert_eq!(store.clear_deleted(at(100 + 3600)).await.unwrap(), 0);

    let entry = make.entry(blue.id);
    let missing = store.delete_account(acme.id, at(103), &entry).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
    assert_eq!(store.count_audit_entries(&[log(blue.id)]).await.unwrap(), [before + 1]);
}

pub(crate) async fn lose_local_sessions_when_they_refuse_local_passwords(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let (acme, blue) = (
        make.stored_account(&store, "acme").await,
        make.stored_account(&store, "blue").await,
    );
    let system = make.stored_account(&store, "system").await;
    let local = make.stored_user(&store, &acme, "local").await;
    let idle = make.stored_user(&store, &acme, "idle").await;
    let ldap = User {
        is_ldap: true,
        has_password: false,
        password_changed_at: None,
        ..make.user(acme.id, "ldap")
    };
    make.store_user(&store, &ldap).await;
    let stranger = make.stored_user(&store, &blue, "local").await;
    let operator = make.stored_user(&store, &system, "root").await;
    for (n, user) in [&local, &local, &ldap, &stranger, &operator].into_iter().enumerate() {
        let record = make.sign_in(user, 10, token(u8::try_from(n).unwrap()));
        store.record_login(&record).await.unwrap();
    }
    let signed_in = async || {
        let tokens: Vec<_> = (0..6).map(token).collect();
        let found = store.identities(&tokens).await.unwrap();
        found.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    let only = |account: &Account, directory_only, revision| Account {
        directory: Some("corp".to_owned()),
        directory_only,
        revision,
        ..account.clone()
    };
    for (account, directory_only, revision) in [(&acme, false, 2), (&system, true, 2)] {
        let changed = only(account, directory_only, revision);
        store
            .update_account(&changed, revision - 1, &make.entry(account.id))
            .await
            .unwrap();
    }
    assert_eq!(signed_in().await, [true, true, true, true, true, false]);
    store
        .update_account(&only(&acme, true, 3), 2, &make.entry(acme.id))
        .await
        .unwrap();
    assert_eq!(signed_in().await, [false, false, true, true, true, false]);

    // One that came in at the very moment goes with the next change.
    let late = make.sign_in(&idle, 11, token(5));
    store.record_login(&late).await.unwrap();
    store
        .update_account(&only(&acme, true, 4), 3, &make.entry(acme.id))
        .await
        .unwrap();
    assert_eq!(signed_in().await, [false, false, true, true, true, false]);
}
