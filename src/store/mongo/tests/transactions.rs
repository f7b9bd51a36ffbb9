//! What a transaction sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::Client;
use mongodb::bson::{Document, doc};

use super::support::open;
use crate::domain::role::Role;
use crate::store::contract::sample::Maker;

/// With a snapshot "without holes" in place of the newest one, a third of the tries fails.
const TRIES: i64 = 30;

/// Transactions of 6 MB each, whose places in the oplog are taken long before they are written.
async fn write_much(client: Client, database: String, is_over: Arc<AtomicBool>) {
    let noise = client.database(&database).collection::<Document>("noise");
    let row = doc! { "text": "x".repeat(20_000) };
    while !is_over.load(Ordering::Relaxed) {
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        noise.insert_many(vec![&row; 300]).session(&mut session).await.unwrap();
        session.commit_transaction().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_sees_what_was_read_before_it() {
    let (database, store) = open().await;
    database
        .client
        .database(&database.name)
        .create_collection("noise")
        .await
        .unwrap();
    let mut make = Maker::default();
    let acme = make.stored_account(&store, "acme").await;
    let role = make.stored_role(&store, &acme, "Support").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (client, name) = (database.client.clone(), database.name.clone());
            tokio::spawn(write_much(client, name, Arc::clone(&is_over)))
        })
        .collect();

    let revised = |revision| Role {
        revision,
        ..role.clone()
    };
    for revision in (1..).step_by(2).take(usize::try_from(TRIES).unwrap()) {
        let entry = make.entry(acme.id);
        let (changing, changed) = (Arc::clone(&store), revised(revision + 1));
        let change = tokio::spawn(async move { changing.update_role(&changed, revision, &entry).await });
        // Seen as soon as it is written, before it is acknowledged.
        while store.roles_by_ids(&[role.id]).await.unwrap()[0].revision == revision {}
        let entry = make.entry(acme.id);
        store
            .update_role(&revised(revision + 2), revision + 1, &entry)
            .await
            .unwrap();
        change.await.unwrap().unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
}
