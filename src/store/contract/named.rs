//! What holds for roles and groups alike.

/// The cases for one of them: how it is made, stored, found and listed, and what its name is to be unique as.
macro_rules! named_cases {
    ($kind:ty, $id:ty, $make:ident, $create:ident, $by_ids:ident, $list:ident, $count:ident, $insert:ident, $position:ident, $unique:path) => {
        use std::sync::Arc;

        use super::model::{check_pages, sort};
        use super::sample::{Maker, audited};
        use crate::domain::page::PageRequest;
        use crate::domain::query::{Direction, NamedFilter, $position};
        use crate::domain::text::fold;
        use crate::store::{Store, StoreError, Unique};

        pub(crate) async fn have_unique_folded_names(store: Arc<dyn Store>) {
            let mut make = Maker::default();
            let acme = make.stored_account(&store, "acme").await;
            let blue = make.stored_account(&store, "blue").await;
            for account in [acme.id, blue.id] {
                let (object, entry) = (make.$make(account, "Écriture 100%"), make.entry(account));
                store.$create(&object, &entry).await.unwrap();
            }
            let before = audited(&store).await;
            let (second, entry) = (make.$make(acme.id, "ÉCRITURE 100%"), make.entry(acme.id));
            let refused = store.$create(&second, &entry).await;
            assert!(matches!(refused, Err(StoreError::Taken($unique))), "{refused:?}");
            assert_eq!(store.$by_ids(&[second.id]).await.unwrap(), []);
            assert_eq!(audited(&store).await, before);
        }

        pub(crate) async fn race_for_a_name(store: Arc<dyn Store>) {
            let mut make = Maker::default();
            let acme = make.stored_account(&store, "acme").await;
            let before = audited(&store).await;
            let racers: Vec<_> = (0..20)
                .map(|_| {
                    let (object, entry) = (make.$make(acme.id, "Contested"), make.entry(acme.id));
                    let store = store.clone();
                    tokio::spawn(async move { store.$create(&object, &entry).await })
                })
                .collect();
            let mut made = 0;
            for racer in racers {
                match racer.await.unwrap() {
                    Ok(()) => made += 1,
                    Err(StoreError::Taken($unique)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(made, 1);
            assert_eq!(audited(&store).await, before + 1);
        }

        pub(crate) async fn are_found_by_id(store: Arc<dyn Store>) {
            let mut make = Maker::default();
            let acme = make.stored_account(&store, "acme").await;
            let mut made = Vec::new();
            for name in ["First 'one'", "Second \\ %_ 張 😀"] {
                let (object, entry) = (make.$make(acme.id, name), make.entry(acme.id));
                store.$create(&object, &entry).await.unwrap();
                made.push(object);
            }
            let nobody = <$id>::from_uuid(make.uuid());
            let mut found = store.$by_ids(&[made[1].id, nobody, made[0].id]).await.unwrap();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(found, made);
            assert_eq!(store.$by_ids(&[]).await.unwrap(), []);
        }

        pub(crate) async fn are_listed_filtered_and_paged(store: Arc<dyn Store>) {
            let mut make = Maker::default();
            let acme = make.stored_account(&store, "acme").await;
            let blue = make.stored_account(&store, "blue").await;
            // The accounts' own Main groups are in the lists of groups.
            let mut all = store
                .$list(&[NamedFilter::default()], &PageRequest::first(200))
                .await
                .unwrap()
                .remove(0)
                .items;
            let stems = [
                "Admins",
                "admins_",
                "a%",
                "a_b",
                "A.*",
                "O'Neil",
                "back\\slash",
                "Éditeurs",
                "張",
                "😀",
                "Ж",
            ];
            for n in 0..20 {
                let name = format!("{}{}", make.pick(&stems), n / 2);
                // Ties between the accounts: the same name in each.
                for account in [acme.id, blue.id] {
                    let object = make.$make(account, &format!("{name}-{}", n % 2));
                    let entry = make.entry(account);
                    store.$create(&object, &entry).await.unwrap();
                    all.push(object);
                }
            }
            let searches = [
                None,
                Some(""),
                Some("a"),
                Some("admins"),
                Some("a%"),
                Some("a_"),
                Some("%"),
                Some("_"),
                Some(".*"),
                Some("a.*"),
                Some("o'"),
                Some("back\\"),
                Some("é"),
                Some("張"),
                Some("😀"),
                Some("\u{10FFFF}"),
                Some("ж"),
            ];
            let filters: Vec<_> = [None, Some(acme.id), Some(blue.id)]
                .into_iter()
                .flat_map(|account| {
                    searches.map(|s| NamedFilter {
                        account,
                        search: s.map(str::to_owned),
                    })
                })
                .collect();
            let pages = store.$list(&filters, &PageRequest::first(200)).await.unwrap();
            let counts = store.$count(&filters).await.unwrap();
            assert_eq!((pages.len(), counts.len()), (filters.len(), filters.len()));
            let direction = Direction::Asc;
            let expected = |filter: &NamedFilter| {
                let matches = |object: &&$kind| {
                    filter.account.is_none_or(|a| a == object.account)
                        && filter
                            .search
                            .as_ref()
                            .is_none_or(|s| fold(&object.name).starts_with(s))
                };
                let mut objects: Vec<_> = all.iter().filter(matches).cloned().collect();
                sort(&mut objects, $position, direction);
                objects
            };
            for ((filter, page), count) in filters.iter().zip(pages).zip(counts) {
                let expected = expected(filter);
                assert_eq!(count, expected.len() as u64, "{filter:?}");
                assert_eq!(page.items, expected, "{filter:?}");
            }
            for account in [None, Some(acme.id)] {
                let filter = NamedFilter {
                    account,
                    search: None,
                };
                check_pages(&expected(&filter), direction, $position, async |request| {
                    store
                        .$list(std::slice::from_ref(&filter), &request)
                        .await
                        .unwrap()
                        .remove(0)
                })
                .await;
            }
        }

        pub(crate) async fn are_inserted_in_bulk_or_not_at_all(store: Arc<dyn Store>) {
            let mut make = Maker::default();
            let acme = make.stored_account(&store, "acme").await;
            let before = audited(&store).await;
            let all: Vec<_> = (0..50)
                .map(|n| make.$make(acme.id, &format!("Bulk {n:02}")))
                .collect();
            store.$insert(&all).await.unwrap();
            let filter = NamedFilter {
                account: Some(acme.id),
                search: Some("bulk".to_owned()),
            };
            let found = store
                .$list(std::slice::from_ref(&filter), &PageRequest::first(200))
                .await
                .unwrap()
                .remove(0);
            assert_eq!(found.items, all);
            let more = [
                make.$make(acme.id, "Bulk new"),
                make.$make(acme.id, "BULK 07"),
                make.$make(acme.id, "Bulk newer"),
            ];
            let refused = store.$insert(&more).await;
            assert!(matches!(refused, Err(StoreError::Taken($unique))), "{refused:?}");
            assert_eq!(store.$count(&[filter]).await.unwrap(), [50]);
            store.$insert(&[]).await.unwrap();
            assert_eq!(audited(&store).await, before);
        }
    };
}
pub(super) use named_cases;
