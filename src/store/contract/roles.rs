//! Roles.

use super::sample::{at, grant, reload};
use crate::domain::grant::GrantTarget;
use crate::domain::ids::RoleId;
use crate::domain::query::UserFilter;
use crate::domain::role::{Permission, Role};
use crate::domain::user::User;

super::named::named_cases! {
    Role, RoleId, role, create_role, roles_by_ids, roles, count_roles, insert_roles, role_position, Unique::RoleName
}

pub(crate) async fn are_updated_at_their_revision(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let (role, entry) = (make.role(acme.id, "Support"), make.entry(acme.id));
    store.create_role(&role, &entry).await.unwrap();
    let (other, entry) = (make.role(acme.id, "Sales"), make.entry(acme.id));
    store.create_role(&other, &entry).await.unwrap();
    let before = audited(&store).await;

    let changed = Role {
        name: "Helpdesk".to_owned(),
        description: "Who answers".to_owned(),
        permissions: vec![Permission::parse("tickets:read").unwrap()],
        updated_at: at(50),
        revision: 2,
        ..role.clone()
    };
    let entry = make.entry(acme.id);
    store.update_role(&changed, 1, &entry).await.unwrap();
    assert_eq!(
        store.roles_by_ids(&[role.id]).await.unwrap(),
        std::slice::from_ref(&changed)
    );

    let entry = make.entry(acme.id);
    let stale = store.update_role(&role, 1, &entry).await;
    assert!(matches!(stale, Err(StoreError::Conflict { current: 2 })), "{stale:?}");
    let taken = Role {
        name: "SALES".to_owned(),
        ..changed.clone()
    };
    let refused = store.update_role(&taken, 2, &entry).await;
    assert!(
        matches!(refused, Err(StoreError::Taken(Unique::RoleName))),
        "{refused:?}"
    );
    let nobody = make.role(acme.id, "Nobody");
    let missing = store.update_role(&nobody, 1, &entry).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
    assert_eq!(store.roles_by_ids(&[role.id]).await.unwrap(), [changed]);
    assert_eq!(audited(&store).await, before + 1);
}

pub(crate) async fn are_taken_from_their_holders(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let mut roles = Vec::new();
    for name in ["Support", "Sales"] {
        let (role, entry) = (make.role(acme.id, name), make.entry(acme.id));
        store.create_role(&role, &entry).await.unwrap();
        roles.push(role);
    }
    let with = |granted: &[&Role]| granted.iter().map(|r| grant(GrantTarget::Role(r.id))).collect();
    let both = User {
        grants: with(&[&roles[0], &roles[1]]),
        ..make.user(acme.id, "both")
    };
    let one = User {
        grants: with(&[&roles[1]]),
        ..make.master(acme.id, "one")
    };
    make.store_user(&store, &both).await;
    make.store_user(&store, &one).await;
    let before = audited(&store).await;

    let entry = make.entry(acme.id);
    store.delete_role(&roles[0], at(70), &entry).await.unwrap();
    let found = reload(&store, &both).await;
    assert_eq!(found.roles(), [roles[1].id]);
    assert_eq!((found.revision, found.updated_at), (2, at(70)));
    assert_eq!(reload(&store, &one).await, one, "whoever did not hold it is as before");
    assert_eq!(store.roles_by_ids(&[roles[0].id]).await.unwrap(), []);
    let holders = |role: &Role| UserFilter {
        role: Some(role.id),
        ..UserFilter::default()
    };
    let counts = store.count_users(&[holders(&roles[0]), holders(&roles[1])]).await;
    assert_eq!(counts.unwrap(), [0, 2]);
    assert_eq!(audited(&store).await, before + 1);

    let entry = make.entry(acme.id);
    let again = store.delete_role(&roles[0], at(71), &entry).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
    assert_eq!(audited(&store).await, before + 1);
}
