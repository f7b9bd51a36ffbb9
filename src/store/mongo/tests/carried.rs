//! The sign-ins that users carry.

use std::sync::Arc;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};

use super::support::TestDatabase;
use crate::domain::clock::{Clock as _, SystemClock, truncate_to_millis};
use crate::domain::login_event::LoginOutcome;
use crate::domain::page::PageRequest;
use crate::domain::query::{UserFilter, UserOrder};
use crate::domain::user::User;
use crate::store::contract::history::listed_as_in_history;
use crate::store::contract::sample::{Maker, token};
use crate::store::transfer::{Kind, Record};
use crate::store::{Flood, Newest, Store};

async fn with_ann() -> (TestDatabase, Arc<dyn Store>, Maker, User) {
    let database = TestDatabase::new().await;
    let store: Arc<dyn Store> = Arc::new(database.store().await);
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let ann = make.stored_user(&store, &acme, "ann").await;
    (database, store, make, ann)
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_earlier_versions_stay_among_new_ones() {
    let (database, store, mut make, ann) = with_ann().await;
    let flood = Flood {
        event: make.event(&ann, 5, LoginOutcome::RateLimited),
    };
    store.record_flood(&flood).await.unwrap();
    store.record_login(&make.sign_in(&ann, 7, token(1))).await.unwrap();
    assert_eq!(listed_as_in_history(&store, &ann).await.len(), 2);

    let collection = |name: &str| database.client.database(&database.name).collection::<Document>(name);
    let history = collection("login_events");
    let newest_first = history.find(doc! {}).sort(doc! { "at": -1 });
    let whole: Vec<Document> = newest_first.await.unwrap().try_collect().await.unwrap();
    let change = doc! { "$set": { "recent": whole } };
    collection("users").update_many(doc! {}, change).await.unwrap();
    assert_eq!(listed_as_in_history(&store, &ann).await.len(), 2);

    store.record_flood(&flood).await.unwrap();
    store.record_login(&make.sign_in(&ann, 6, token(2))).await.unwrap();
    for _ in 0..2 {
        let listed = listed_as_in_history(&store, &ann).await;
        let attempts: Vec<u32> = listed.iter().map(|event| event.attempts).collect();
        assert_eq!(attempts, [1, 1, 2]);
        store.settle_logins(&[ann.id]).await.unwrap();
    }
}

/// A sign-in that is carried and was not in the history yet when that was read.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_while_a_history_settles_stays_with_its_user() {
    let (_database, store, mut make, ann) = with_ann().await;
    let mut sign_in = make.sign_in(&ann, 0, token(1));
    sign_in.event.at = truncate_to_millis(SystemClock.now());
    store.record_login(&sign_in).await.unwrap();
    let hidden = [sign_in.event.id.as_uuid()];
    store.remove(Kind::LoginEvents, &hidden).await.unwrap();
    store.settle_logins(&[ann.id]).await.unwrap();
    let older = make.event(&ann, 7, LoginOutcome::WrongPassword);
    let came_in = [Record::LoginEvent(Box::new(older.clone()))];
    store.put(&came_in).await.unwrap();
    store.settle_logins(&[ann.id]).await.unwrap();

    let everybody = [UserFilter::default()];
    let newest = Newest {
        limit: 5,
        not_before: Timestamp::MIN,
        details: false,
        last_login: false,
    };
    let (order, page) = (UserOrder::DEFAULT, PageRequest::first(5));
    let mut pages = store.users_with_logins(&everybody, order, &page, newest).await.unwrap();
    let (_, events) = pages.remove(0).items.remove(0);
    let carried: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(carried, [sign_in.event.id, older.id]);
}
