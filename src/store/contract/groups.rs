//! Groups.

use super::sample::{at, grant, reload};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::group::Group;
use crate::domain::ids::GroupId;
use crate::domain::user::User;

super::named::named_cases! {
    Group, GroupId, group, create_group, groups_by_ids, groups, count_groups, insert_groups, group_position, Unique::GroupName
}

pub(crate) async fn are_updated_at_their_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let (group, entry) = (make.group(acme.id, "EMEA"), make.entry(acme.id));
    store.create_group(&group, &entry).await.unwrap();
    let before = audited(&store).await;
    let changed = Group {
        name: "Europe".to_owned(),
        description: "What Europe sees".to_owned(),
        updated_at: at(50),
        revision: 2,
        ..group.clone()
    };
    let entry = make.entry(acme.id);
    store.update_group(&changed, 1, &entry).await.unwrap();
    assert_eq!(
        store.groups_by_ids(&[group.id]).await.unwrap(),
        std::slice::from_ref(&changed)
    );

    let entry = make.entry(acme.id);
    let stale = store.update_group(&group, 1, &entry).await;
    assert!(matches!(stale, Err(StoreError::Conflict { current: 2 })), "{stale:?}");
    let taken = Group {
        name: "MAIN".to_owned(),
        ..changed.clone()
    };
    let refused = store.update_group(&taken, 2, &entry).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::GroupName))),
        "{refused:?}"
    );
    assert_eq!(store.groups_by_ids(&[group.id]).await.unwrap(), [changed]);
    assert_eq!(audited(&store).await, before + 1);
}

pub(crate) async fn leave_their_members_to_the_main_group(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let main = store.main_group(acme.id).await.unwrap().unwrap();
    let mut groups = Vec::new();
    for name in ["EMEA", "APAC"] {
        let (group, entry) = (make.group(acme.id, name), make.entry(acme.id));
        store.create_group(&group, &entry).await.unwrap();
        groups.push(group);
    }
    let with = |joined: &[&Group]| joined.iter().map(|g| grant(GrantTarget::Group(g.id))).collect();
    let both = User {
        grants: with(&[&groups[0], &groups[1]]),
        ..make.user(acme.id, "both")
    };
    let only = User {
        grants: [grant(GrantTarget::Master), grant(GrantTarget::Group(groups[0].id))].into(),
        ..make.user(acme.id, "only")
    };
    let other = User {
        grants: with(&[&groups[1]]),
        ..make.user(acme.id, "other")
    };
    for user in [&both, &only, &other] {
        make.store_user(&store, user).await;
    }
    let before = audited(&store).await;

    let entry = make.entry(acme.id);
    store.delete_group(&groups[0], at(70), &entry).await.unwrap();
    assert_eq!(reload(&store, &both).await.groups(), [groups[1].id]);
    assert_eq!(
        reload(&store, &other).await,
        other,
        "whoever was not in it is as before"
    );
    let fallen = reload(&store, &only).await;
    assert_eq!((fallen.revision, fallen.updated_at), (2, at(70)));
    assert!(fallen.is_master());
    let back = Grant {
        source: GrantSource::Default,
        granted_at: at(70),
        ..grant(GrantTarget::Group(main.id))
    };
    assert_eq!(fallen.grants[1..], [back]);
    assert_eq!(store.groups_by_ids(&[groups[0].id]).await.unwrap(), []);
    assert_eq!(audited(&store).await, before + 1);

    for gone in [&groups[0], &main] {
        let entry = make.entry(acme.id);
        let refused = store.delete_group(gone, at(71), &entry).await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    }
    assert!(store.main_group(acme.id).await.unwrap().is_some());
    assert_eq!(audited(&store).await, before + 1);
}
