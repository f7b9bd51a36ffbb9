//! Bulk loads.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::super::{MongoStore, indexes};
use super::support::TestDatabase;
use crate::store::contract::sample::Maker;
use crate::store::{AccountStore, Load, NewPerson, Upkeep};

/// How many of the indexes for lists there are.
async fn late_indexes(database: &TestDatabase) -> usize {
    let users = database.client.database(&database.name).collection::<Document>("users");
    let there: Vec<_> = users.list_indexes().await.unwrap().try_collect().await.unwrap();
    let names = there.into_iter().filter_map(|index| index.options?.name);
    names.filter(|name| indexes::LATE.contains(&name.as_str())).count()
}

async fn checked(store: &MongoStore) {
    let steps = store.check().await;
    assert!(steps.iter().all(|step| step.outcome.is_ok()), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_one_makes_the_indexes_for_lists_at_its_end() {
    let database = TestDatabase::new().await;
    let store = database.store().await;
    let all = indexes::LATE.len();
    assert_eq!(late_indexes(&database).await, all);
    for load in [Load::People, Load::History] {
        store.begin_load(load).await.unwrap();
        assert_eq!(late_indexes(&database).await, 0);
        store.begin_load(load).await.unwrap(); // another process, at the same time
        store.end_load(load).await.unwrap();
        checked(&store).await;
    }

    // One that is cut off leaves them to the next start.
    store.begin_load(Load::People).await.unwrap();
    checked(&database.store().await).await;

    // Where there are more users, they are kept up.
    let mut make = Maker::default();
    let acme = make.account("acme");
    let entry = make.entry(acme.id);
    let main = make.main_group(acme.id);
    store.create_account(&acme, &main, &entry).await.unwrap();
    let people: Vec<NewPerson> = (0..1_000)
        .map(|n| NewPerson {
            user: make.user(acme.id, &format!("user{n}")),
            password: None,
            events: Vec::new(),
        })
        .collect();
    store.insert_people(&people).await.unwrap();
    store.begin_load(Load::People).await.unwrap();
    assert_eq!(late_indexes(&database).await, all);
    let there = database.client.database(&database.name).collection::<Document>("users");
    assert_eq!(there.count_documents(doc! {}).await.unwrap(), 1_000);
}
