//! Lists of users: filters, orders, pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::model::{check_pages, user_matches, walk};
use super::people::{expected, filters, orders, population};
use super::sample::{Maker, at};
use crate::domain::page::{PageRequest, Position, SortKey, Take};
use crate::domain::query::{Direction, UserFilter, UserOrder, UserOrderField};
use crate::domain::user::{Email, User};
use crate::store::Store;

pub(crate) async fn agree_with_the_model_in_every_order(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let population = population(&store, &mut make).await;
    let filters = filters(&population);
    for order in orders() {
        for some in filters.chunks(50) {
            let pages = store.users(some, order, &PageRequest::first(200)).await.unwrap();
            assert_eq!(pages.len(), some.len());
            for (filter, page) in some.iter().zip(pages) {
                assert_eq!(page.items, expected(&population, filter, order), "{filter:?} {order:?}");
                assert!(!page.has_more);
            }
        }
    }
}

pub(crate) async fn count_like_the_model(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let population = population(&store, &mut make).await;
    let filters = filters(&population);
    let counts = store.count_users(&filters).await.unwrap();
    let expected: Vec<_> = filters
        .iter()
        .map(|f| population.users.iter().filter(|u| user_matches(f, u)).count() as u64)
        .collect();
    assert_eq!(counts, expected);
    assert!(
        counts.iter().filter(|c| **c > 0).count() > filters.len() / 3,
        "too few filters meet anybody"
    );
    assert_eq!(store.count_users(&[]).await.unwrap(), [0; 0]);
}

pub(crate) async fn are_paged_in_every_order(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let population = population(&store, &mut make).await;
    let filters = [
        UserFilter::default(),
        UserFilter {
            account: Some(population.accounts[0]),
            is_ldap: Some(false),
            ..UserFilter::default()
        },
    ];
    for order in orders() {
        for filter in &filters {
            let sorted = expected(&population, filter, order);
            check_pages(
                &sorted,
                order.direction,
                |u| order.position(u),
                async |request| {
                    let mut pages = store
                        .users(std::slice::from_ref(filter), order, &request)
                        .await
                        .unwrap();
                    assert_eq!(pages.len(), 1);
                    pages.remove(0)
                },
            )
            .await;
        }
    }
    // Places that no entry has: without a key, and beyond either end.
    let order = UserOrder {
        field: UserOrderField::Email,
        direction: Direction::Desc,
    };
    let sorted = expected(&population, &filters[0], order);
    for key in [
        None,
        Some(String::new()),
        Some("\u{10FFFF}".to_owned()),
        Some("m".to_owned()),
    ] {
        for id in [uuid::Uuid::nil(), uuid::Uuid::max()] {
            let place = Some(Position {
                key: SortKey::Text(key.clone()),
                id,
            });
            for request in [
                PageRequest {
                    after: place.clone(),
                    ..PageRequest::first(5)
                },
                PageRequest {
                    before: place.clone(),
                    take: Take::Last,
                    ..PageRequest::first(5)
                },
            ] {
                let found = store.users(&filters[..1], order, &request).await.unwrap().remove(0);
                let expected = super::model::page(&sorted, |u| order.position(u), order.direction, &request);
                assert_eq!(found, expected, "{request:?}");
            }
        }
    }
}

pub(crate) async fn are_paged_under_concurrent_inserts(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let population = population(&store, &mut make).await;
    let account = population.accounts[0];
    let running = Arc::new(AtomicBool::new(true));
    let inserting = {
        let (store, running) = (store.clone(), running.clone());
        tokio::spawn(async move {
            let mut added = 0;
            while running.load(Ordering::SeqCst) && added < 1000 {
                added += 1;
                let stem = make.pick(&["a", "m", "z", "張"]);
                let user = User {
                    last_name: make.pick(&["", "Smith", "Zz"]).to_owned(),
                    email: make.pick(&[None, Some(Email::parse("shared@example.org").unwrap())]),
                    created_at: at(added % 9),
                    ..make.user(account, &format!("{stem}-new{added}"))
                };
                make.store_user(&store, &user).await;
            }
            added
        })
    };
    let filter = [UserFilter {
        account: Some(account),
        ..UserFilter::default()
    }];
    for order in orders() {
        for take in [Take::First, Take::Last] {
            let walked = walk(
                take,
                3,
                |u| order.position(u),
                async |request| store.users(&filter, order, &request).await.unwrap().remove(0),
            )
            .await;
            let from_the_start: Vec<_> = walked.into_iter().filter(|u| population.users.contains(u)).collect();
            assert_eq!(
                from_the_start,
                expected(&population, &filter[0], order),
                "{order:?} {take:?}"
            );
        }
    }
    running.store(false, Ordering::SeqCst);
    assert!(inserting.await.unwrap() > 0);
}

pub(crate) async fn find_search_prefixes_literally(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let population = population(&store, &mut make).await;
    let searches = [
        "",
        "a",
        "a%",
        "a_",
        "a_b",
        "%",
        "_",
        ".",
        ".*",
        "dot.*",
        "^a",
        "o'",
        "'",
        "back\\",
        "\\",
        "zoë",
        "zoe",
        "ann",
        "än",
        "ö",
        "ö\\",
        "иван",
        "ив",
        "張",
        "😀",
        "😀 s",
        "100%",
        "under_",
        "shared@",
        "ab@corp",
        "zed+",
        "\u{10FFFF}",
        "\u{D7FF}",
        "(",
        "$",
    ];
    let filters: Vec<_> = searches
        .iter()
        .flat_map(|search| {
            let search = UserFilter {
                search: Some((*search).to_owned()),
                ..UserFilter::default()
            };
            let of_one = UserFilter {
                account: Some(population.accounts[1]),
                ..search.clone()
            };
            [search, of_one]
        })
        .collect();
    let mut hits = 0;
    for order in orders() {
        let pages = store.users(&filters, order, &PageRequest::first(200)).await.unwrap();
        for (filter, page) in filters.iter().zip(pages) {
            assert_eq!(page.items, expected(&population, filter, order), "{filter:?} {order:?}");
            hits += page.items.len();
        }
    }
    assert!(hits > 1000, "only {hits}");
    let counts = store.count_users(&filters).await.unwrap();
    for (filter, count) in filters.iter().zip(counts) {
        assert_eq!(
            count,
            expected(&population, filter, UserOrder::DEFAULT).len() as u64,
            "{filter:?}"
        );
    }
}

pub(crate) async fn answer_each_filter_with_its_own_page(store: Arc<dyn Store>) {
    let mut make = Maker::default();
    let population = population(&store, &mut make).await;
    let of = |n: usize| UserFilter {
        account: Some(population.accounts[n]),
        ..UserFilter::default()
    };
    let nobody = UserFilter {
        login: Some("nobody".to_owned()),
        ..of(0)
    };
    let filters = [of(1), nobody, of(0), of(1)];
    let order = UserOrder::DEFAULT;
    let sorted = expected(&population, &of(1), order);
    let request = PageRequest {
        after: Some(order.position(&sorted[4])),
        ..PageRequest::first(4)
    };
    let pages = store.users(&filters, order, &request).await.unwrap();
    assert_eq!(pages.len(), 4);
    for (filter, found) in filters.iter().zip(&pages) {
        let sorted = expected(&population, filter, order);
        let expected = super::model::page(&sorted, |u| order.position(u), order.direction, &request);
        assert_eq!(found, &expected, "{filter:?}");
    }
    assert!(pages[0].has_more && !pages[1].has_more);
    assert_eq!(store.users(&[], order, &request).await.unwrap(), []);
}
