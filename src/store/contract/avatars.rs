//! Pictures of users.

use std::sync::Arc;

use super::sample::{Maker, at, audited, reload};
use crate::domain::avatar::{Avatar, AvatarKind};
use crate::domain::ids::AvatarId;
use crate::domain::user::User;
use crate::store::{Store, StoreError};

pub(super) fn picture(make: &mut Maker, user: &User, kind: AvatarKind) -> Avatar {
    Avatar {
        id: AvatarId::from_uuid(make.uuid()),
        account: user.account,
        user: user.id,
        kind,
        bytes: (0..=255).collect(),
    }
}

pub(crate) async fn are_set_replaced_and_taken_away(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let (first, second) = (
        picture(&mut make, &ann, AvatarKind::Jpeg),
        picture(&mut make, &ann, AvatarKind::Png),
    );
    let before = audited(&store).await;
    let entry = make.entry(acme.id);
    store.set_avatar(ann.id, 1, Some(&first), at(50), &entry).await.unwrap();
    let found = reload(&store, &ann).await;
    assert_eq!(
        (found.avatar, found.revision, found.updated_at),
        (Some(first.id), 2, at(50))
    );
    assert_eq!(store.avatar(first.id).await.unwrap(), Some(first.clone()));

    let entry = make.entry(acme.id);
    let stale = store.set_avatar(ann.id, 1, Some(&second), at(51), &entry).await;
    assert!(matches!(stale, Err(StoreError::Conflict { current: 2 })), "{stale:?}");
    assert_eq!(store.avatar(second.id).await.unwrap(), None);
    store
        .set_avatar(ann.id, 2, Some(&second), at(52), &entry)
        .await
        .unwrap();
    assert_eq!(store.avatar(first.id).await.unwrap(), None, "the old one is gone");

    // Replacing the user does not bring an old picture back.
    let renamed = User {
        first_name: "Ann".to_owned(),
        avatar: Some(first.id),
        revision: 4,
        ..found
    };
    let entry = make.entry(acme.id);
    store.update_user(&renamed, 3, &entry, &[]).await.unwrap();
    assert_eq!(reload(&store, &ann).await.avatar, Some(second.id));

    let entry = make.entry(acme.id);
    store.set_avatar(ann.id, 4, None, at(53), &entry).await.unwrap();
    assert_eq!(reload(&store, &ann).await.avatar, None);
    assert_eq!(store.avatar(second.id).await.unwrap(), None);
    assert_eq!(audited(&store).await, before + 4);
}

pub(crate) async fn go_with_their_user(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    let own = picture(&mut make, &ann, AvatarKind::Jpeg);
    let entry = make.entry(acme.id);
    store.set_avatar(ann.id, 1, Some(&own), at(50), &entry).await.unwrap();
    let entry = make.entry(acme.id);
    store.delete_user(ann.id, 2, &entry).await.unwrap();
    assert_eq!(store.avatar(own.id).await.unwrap(), None);
    let entry = make.entry(acme.id);
    let missing = store.set_avatar(ann.id, 2, Some(&own), at(51), &entry).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
}
