//! Loading many documents at once.

use std::cmp::Reverse;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use serde::Serialize;

use super::documents::{EventDocument, Id, PasswordDocument, Recent, UserDocument, array};
use super::transaction::{INTENT_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::ids::UserId;
use crate::domain::login_event::LoginEvent;
use crate::store::history::RECENT;
use crate::store::{NewPerson, Result, StoreError, Unique};

/// How many documents go in one command; the driver also splits what is over 48 MB.
const CHUNK: usize = 1_000;
/// How many commands are under way at once: one is written while the next one is encoded.
const AT_ONCE: usize = 3;

impl MongoStore {
    /// Adds documents under new ids: all of them, or none.
    pub(super) async fn load<D>(&self, collection: &Collection<D>, documents: &[D], id: fn(&D) -> Id) -> Result<()>
    where
        D: Serialize + Send + Sync,
    {
        let ids: Vec<Id> = documents.iter().map(id).collect();
        self.expect_new(collection, &ids).await?;
        let outcome = insert(collection, documents).await;
        if outcome.is_err() {
            self.remove(collection, "_id", &ids).await?;
        }
        outcome
    }

    /// Adds people with their sign-ins: all of them, or none.
    pub(super) async fn load_people(&self, people: &[NewPerson]) -> Result<()> {
        let ids: Vec<UserId> = people.iter().map(|person| person.user.id).collect();
        self.expect_new(&self.users, &ids).await?;
        let (users, events) = documents(people)?;
        let outcome = async {
            insert(&self.users, &users).await?;
            insert(&self.login_events, &events).await
        }
        .await;
        if outcome.is_err() {
            // The users are new, so every sign-in of theirs is.
            self.remove(&self.login_events, "user", &ids).await?;
            self.remove(&self.users, "_id", &ids).await?;
        }
        outcome
    }

    /// Makes sure that taking these ids back would take back nothing but what is being added.
    async fn expect_new<D, I>(&self, collection: &Collection<D>, ids: &[I]) -> Result<()>
    where
        D: Send + Sync,
        I: Copy + Into<Id>,
    {
        for chunk in ids.chunks(CHUNK) {
            round_trip("find");
            let documents = collection.clone_with_type::<Document>();
            let finding = documents
                .find_one(doc! { "_id": { "$in": array(chunk) } })
                .projection(doc! { "_id": 1 });
            if bounded(INTENT_LIMIT, async { Ok(finding.await?) }).await?.is_some() {
                return Err(StoreError::Taken(Unique::UserLogin));
            }
        }
        Ok(())
    }

    async fn remove<D, I>(&self, collection: &Collection<D>, field: &str, ids: &[I]) -> Result<()>
    where
        D: Send + Sync,
        I: Copy + Into<Id>,
    {
        for chunk in ids.chunks(CHUNK) {
            round_trip("delete");
            let removing = collection.delete_many(doc! { field: { "$in": array(chunk) } });
            bounded(INTENT_LIMIT, async { Ok(removing.await.map(drop)?) }).await?;
        }
        Ok(())
    }
}

/// The documents of people, and those of their sign-ins.
fn documents(people: &[NewPerson]) -> Result<(Vec<UserDocument>, Vec<EventDocument>)> {
    let mut users = Vec::with_capacity(people.len());
    let mut events = Vec::new();
    for person in people {
        let mut user = UserDocument::from(&person.user);
        user.password = person.password.as_ref().map(PasswordDocument::from);
        let mut newest: Vec<&LoginEvent> = person.events.iter().collect();
        newest.sort_by_key(|event| Reverse((event.at, event.id)));
        user.recent = Recent::of(newest.into_iter().take(RECENT))?;
        users.push(user);
        events.extend(person.events.iter().map(EventDocument::from));
    }
    Ok((users, events))
}

/// Inserts in chunks, in no particular order.
async fn insert<D: Serialize + Send + Sync>(collection: &Collection<D>, documents: &[D]) -> Result<()> {
    let chunks: Vec<BoxFuture<'_, Result<()>>> = documents.chunks(CHUNK).map(|c| insert_chunk(collection, c)).collect();
    stream::iter(chunks).buffer_unordered(AT_ONCE).try_collect().await
}

fn insert_chunk<'a, D: Serialize + Send + Sync>(
    collection: &'a Collection<D>,
    chunk: &'a [D],
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        round_trip("insert");
        let inserting = collection.insert_many(chunk).ordered(false);
        bounded(INTENT_LIMIT, async { Ok(inserting.await.map(drop)?) }).await
    })
}
