//! Grants: of what is there, whatever is deleted at the same moment.

use std::sync::Arc;

use super::sample::{Maker, at, grant, reload};
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::group::Group;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::store::{Store, StoreError};

pub(crate) async fn of_what_is_gone_are_left_out(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let main = store.main_group(acme.id).await.unwrap().unwrap();
    let (role, group) = (
        make.stored_role(&store, &acme, "Support").await,
        make.stored_group(&store, &acme, "EMEA").await,
    );
    let blue = make.stored_account(&store, "blue").await;
    let foreign = make.stored_role(&store, &blue, "Foreign").await;
    let gone_role = make.role(acme.id, "Gone");
    let gone_group = make.group(acme.id, "Gone");
    let grants = |targets: &[GrantTarget]| targets.iter().map(|t| grant(*t)).collect::<Vec<_>>();
    let partly = grants(&[
        GrantTarget::Role(gone_role.id),
        GrantTarget::Role(role.id),
        GrantTarget::Role(foreign.id),
        GrantTarget::Master,
        GrantTarget::Group(group.id),
        GrantTarget::Group(gone_group.id),
    ]);
    let kept = grants(&[
        GrantTarget::Role(role.id),
        GrantTarget::Master,
        GrantTarget::Group(group.id),
    ]);
    let wholly = grants(&[GrantTarget::Group(gone_group.id), GrantTarget::Role(gone_role.id)]);
    let fallen_back = |at| Grant {
        source: GrantSource::Default,
        granted_at: at,
        ..grant(GrantTarget::Group(main.id))
    };

    let created = User {
        grants: partly.clone(),
        ..make.user(acme.id, "created")
    };
    make.store_user(&store, &created).await;
    assert_eq!(reload(&store, &created).await.grants, kept);
    let fallen = User {
        grants: wholly.clone(),
        ..make.user(acme.id, "fallen")
    };
    make.store_user(&store, &fallen).await;
    assert_eq!(reload(&store, &fallen).await.grants, [fallen_back(at(0))]);
    let alone = make.stored_user(&store, &acme, "alone").await;
    assert_eq!(
        reload(&store, &alone).await.grants,
        [],
        "whoever had no group is given none"
    );

    let update = async |make: &mut Maker, user: &User, grants: &[Grant]| {
        let changed = User {
            grants: grants.to_vec(),
            updated_at: at(9),
            revision: user.revision + 1,
            ..user.clone()
        };
        store
            .update_user(&changed, user.revision, &make.entry(acme.id), &[])
            .await
            .unwrap();
        reload(&store, user).await
    };
    let updated = update(&mut make, &alone, &partly).await;
    assert_eq!(updated.grants, kept);
    let updated = update(&mut make, &updated, &wholly).await;
    assert_eq!(updated.grants, [fallen_back(at(9))]);
}

/// A user who is granted both, at the same moment as others and as both are deleted.
async fn granted(store: Arc<dyn Store>, user: User, is_new: bool, mut make: Maker) {
    let entry = make.entry(user.account);
    let outcome = if is_new {
        store.create_user(&user, None, &entry, &[]).await
    } else {
        store.update_user(&user, user.revision - 1, &entry, &[]).await
    };
    outcome.unwrap();
}

pub(crate) async fn race_with_the_end_of_what_they_give(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let main = store.main_group(acme.id).await.unwrap().unwrap();
    for round in 0..6 {
        let role: Role = make.stored_role(&store, &acme, &format!("Role {round}")).await;
        let group: Group = make.stored_group(&store, &acme, &format!("Group {round}")).await;
        let grants = vec![grant(GrantTarget::Role(role.id)), grant(GrantTarget::Group(group.id))];
        let mut users = Vec::new();
        for n in 0..6 {
            let user = make.user(acme.id, &format!("user-{round}-{n}"));
            let is_new = n % 2 == 0;
            if !is_new {
                make.store_user(&store, &user).await;
            }
            let changed = User {
                grants: grants.clone(),
                revision: user.revision + i64::from(!is_new),
                ..user
            };
            users.push((changed, is_new));
        }
        let mut racers = Vec::new();
        for (n, (user, is_new)) in users.iter().enumerate() {
            if n == 3 {
                let (store, role, group) = (Arc::clone(&store), role.clone(), group.clone());
                let (one, other) = (make.entry(acme.id), make.entry(acme.id));
                racers.push(tokio::spawn(async move {
                    let (role, group) = tokio::join!(
                        store.delete_role(&role, at(70), &one),
                        store.delete_group(&group, at(70), &other)
                    );
                    role.unwrap();
                    group.unwrap();
                }));
            }
            let own = make.apart();
            racers.push(tokio::spawn(granted(Arc::clone(&store), user.clone(), *is_new, own)));
        }
        for racer in racers {
            racer.await.unwrap();
        }
        for (user, _) in users {
            let after = reload(&store, &user).await;
            assert_eq!(
                (after.roles(), after.groups()),
                (vec![], vec![main.id]),
                "{}",
                after.login
            );
        }
        let again = store.delete_role(&role, at(71), &make.entry(acme.id)).await;
        assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
    }
}
