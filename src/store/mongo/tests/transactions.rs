//! What a transaction sees.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, doc};

use super::super::MongoStore;
use super::support::{Server, TestDatabase, eventually};
use crate::domain::role::Role;
use crate::store::Store;
use crate::store::contract::sample::Maker;

/// Lets an insertion into `noise` hang with its place in the oplog taken: what is written after it has a hole before it.
const HOLE: &str = "hangAfterCollectionInserts";
/// A change that does not see what was read is refused at once; one that does waits for the hole to be filled.
const LONG_ENOUGH: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn a_change_sees_what_was_read_before_it() {
    let server = Server::replica_set().await;
    let database = TestDatabase::on(&server.url()).await;
    let store: Arc<dyn Store> =
        Arc::new(eventually(|| async { MongoStore::connect(&database.url.as_str().into()).await }).await);
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let role = make.stored_role(&store, &acme, "Support").await;
    let noise = database.client.database(&database.name).collection::<Document>("noise");
    noise.insert_one(doc! {}).await.unwrap();

    let of_noise = doc! { "collectionNS": format!("{}.noise", database.name) };
    server
        .admin(doc! { "configureFailPoint": HOLE, "mode": "alwaysOn", "data": of_noise })
        .await;
    let hanging = tokio::spawn(async move { noise.insert_one(doc! {}).await });
    server
        .admin(doc! { "waitForFailPoint": HOLE, "timesEntered": 1, "maxTimeMS": 10_000 })
        .await;

    let mut change = |revision| {
        let revised = Role {
            revision: revision + 1,
            ..role.clone()
        };
        let (store, entry) = (Arc::clone(&store), make.entry(acme.id));
        tokio::spawn(async move { store.update_role(&revised, revision, &entry).await })
    };
    let first = change(1);
    // Seen as soon as it is written, before it is acknowledged.
    eventually(|| async {
        let revision = store.roles_by_ids(&[role.id]).await.unwrap()[0].revision;
        if revision == 2 { Ok(()) } else { Err(revision) }
    })
    .await;
    let second = change(2);
    tokio::time::sleep(LONG_ENOUGH).await;
    assert!(!hanging.is_finished(), "there is no hole");
    assert!(!first.is_finished(), "a change with a hole before it was acknowledged");

    server.admin(doc! { "configureFailPoint": HOLE, "mode": "off" }).await;
    hanging.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}
