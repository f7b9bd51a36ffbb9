//! API tokens.

use std::sync::Arc;

use super::sample::{Maker, at, audited, token};
use crate::domain::account::Account;
use crate::domain::ids::{ApiTokenId, GroupId, UserId};
use crate::domain::token::ApiToken;
use crate::store::{Retention, Store, StoreError, Unique};

pub(super) fn made(make: &mut Maker, account: &Account, name: &str, seconds: i64) -> ApiToken {
    ApiToken {
        id: ApiTokenId::from_uuid(make.uuid()),
        account: account.id,
        name: name.to_owned(),
        roles: Vec::new(),
        groups: vec![GroupId::from_uuid(make.uuid())],
        created_by: Some(UserId::from_uuid(make.uuid())),
        created_at: at(seconds),
        last_used_at: None,
        expires_at: Some(at(86_400)),
        revoked_at: None,
    }
}

pub(crate) async fn are_read_with_account_and_roles(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let (role, entry) = (make.role(acme.id, "Reports"), make.entry(acme.id));
    store.create_role(&role, &entry).await.unwrap();
    let gone = make.role(acme.id, "Gone");
    let mut one = made(&mut make, &acme, "Nightly « reports » 張", 1);
    one.roles = vec![gone.id, role.id];
    let two = ApiToken {
        created_by: None,
        expires_at: None,
        groups: Vec::new(),
        ..made(&mut make, &acme, "two", 2)
    };
    let before = audited(&store).await;
    for (n, each) in [(1, &one), (2, &two)] {
        let entry = make.entry(acme.id);
        store.create_token(each, &token(n), &entry).await.unwrap();
    }
    assert_eq!(audited(&store).await, before + 2);
    let found = store
        .token_identities(&[token(2), token(9), token(1), token(2)])
        .await
        .unwrap();
    let tokens: Vec<Option<&ApiToken>> = found.iter().map(|f| f.as_ref().map(|i| &i.token)).collect();
    assert_eq!(tokens, [Some(&two), None, Some(&one), Some(&two)]);
    let identity = found[2].as_ref().unwrap();
    assert_eq!((&identity.account, &identity.roles[..]), (&acme, &[role][..]));
    assert_eq!(store.tokens_by_ids(&[one.id]).await.unwrap(), [one.clone()]);

    let blue = make.stored_account(&store, "blue").await;
    let listed = store.tokens_of_accounts(&[blue.id, acme.id]).await.unwrap();
    assert_eq!(listed, [two, one], "newest first");
    assert_eq!(store.token_identities(&[]).await.unwrap(), []);
}

pub(crate) async fn have_unique_names_until_revoked(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let blue = make.stored_account(&store, "blue").await;
    let first = made(&mut make, &acme, "Reports", 1);
    let entry = make.entry(acme.id);
    store.create_token(&first, &token(1), &entry).await.unwrap();
    let elsewhere = made(&mut make, &blue, "reports", 1);
    let entry = make.entry(blue.id);
    store.create_token(&elsewhere, &token(2), &entry).await.unwrap();
    let before = audited(&store).await;

    let second = made(&mut make, &acme, "REPORTS", 2);
    let entry = make.entry(acme.id);
    let refused = store.create_token(&second, &token(3), &entry).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::TokenName))),
        "{refused:?}"
    );
    assert_eq!(audited(&store).await, before);

    let entry = make.entry(acme.id);
    store.revoke_token(first.id, at(50), &entry).await.unwrap();
    let found = store.token_identities(&[token(1)]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().token.revoked_at, Some(at(50)));
    let entry = make.entry(acme.id);
    let again = store.revoke_token(first.id, at(51), &entry).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
    let nobody = ApiTokenId::from_uuid(make.uuid());
    let missing = store.revoke_token(nobody, at(51), &entry).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
    let entry = make.entry(acme.id);
    store.create_token(&second, &token(3), &entry).await.unwrap();
    assert_eq!(audited(&store).await, before + 2);
}

pub(crate) async fn are_touched_forwards_only_and_purged(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let lasting = ApiToken {
        expires_at: None,
        ..made(&mut make, &acme, "lasting", 1)
    };
    let over = made(&mut make, &acme, "over", 1);
    let revoked = ApiToken {
        expires_at: None,
        ..made(&mut make, &acme, "revoked", 1)
    };
    for (n, each) in [(1, &lasting), (2, &over), (3, &revoked)] {
        let entry = make.entry(acme.id);
        store.create_token(each, &token(n), &entry).await.unwrap();
    }
    let entry = make.entry(acme.id);
    store.revoke_token(revoked.id, at(90_000), &entry).await.unwrap();
    for (seconds, used) in [(60, 60), (30, 60), (90, 90)] {
        store.touch_token(lasting.id, at(seconds)).await.unwrap();
        let found = store.tokens_by_ids(&[lasting.id]).await.unwrap();
        assert_eq!(found[0].last_used_at, Some(at(used)));
    }
    for (audit_before, left) in [(86_400, 3), (86_401, 2), (90_000, 2), (90_001, 1)] {
        let retention = Retention {
            now: at(0),
            history_before: at(-1000),
            audit_before: at(audit_before),
            mail_before: at(0),
            links_before: at(0),
        };
        store.purge(&retention).await.unwrap();
        let tokens = store.tokens_of_accounts(&[acme.id]).await.unwrap();
        assert_eq!(tokens.len(), left, "{audit_before}");
    }
    // With the account go all of them.
    let system = make.stored_account(&store, "system").await;
    let entry = make.entry(system.id);
    store.delete_account(acme.id, at(100_000), &entry).await.unwrap();
    assert_eq!(store.token_identities(&[token(1)]).await.unwrap(), [None]);
    store.clear_deleted(at(100_000)).await.unwrap();
    assert_eq!(store.tokens_by_ids(&[lasting.id]).await.unwrap(), []);
}
