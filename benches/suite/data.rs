//! The peers' data: as much as `doorward seed` makes, in the shape that they want.
//!
//! Twice, as the one-query program keeps the last sign-ins with the user: `users` and `logins` are what Apollo and
//! Mercurius read, `kept` is what that one reads.

use std::time::Duration;

use fastrand::Rng;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Collection, Database, IndexModel};

use crate::site::Size;

/// The same number makes the same data, but for the ids.
const SEED: u64 = 42;
/// Documents of one call.
const BATCH: usize = 10_000;
/// Sign-ins that a user's document keeps.
const KEPT: usize = 5;
/// Roles and groups of an account.
const NAMED: usize = 50;
/// 2026-11-01, before which everybody signed in.
const NOW: i64 = 1_793_491_200_000;

/// Everything but the collection of sign-ins.
pub async fn load(url: &str, size: Size) {
    let database = database(url).await;
    let mut rng = Rng::with_seed(SEED);
    for account in 0..size.accounts {
        let id = ObjectId::new();
        let named = |name: &str| -> Vec<Document> {
            (0..NAMED)
                .map(|n| doc! { "_id": ObjectId::new(), "account": id, "name": format!("{name}{n}") })
                .collect()
        };
        let (roles, groups) = (named("role"), named("group"));
        insert(
            &database,
            "accounts",
            vec![doc! { "_id": id, "name": format!("acct{account:03}") }],
        )
        .await;
        let (mut users, mut kept) = (Batch::new(&database, "users"), Batch::new(&database, "kept"));
        for n in 0..size.users_each() {
            let user = user(id, account, n, &roles, &groups, &mut rng);
            let mut keeping = user.clone();
            keeping.insert("last", last_sign_ins(size.sign_ins, &mut rng));
            users.push(user).await;
            kept.push(keeping).await;
        }
        users.end().await;
        kept.end().await;
        insert(&database, "roles", roles).await;
        insert(&database, "groups", groups).await;
    }
    for collection in ["users", "kept"] {
        index(&database, collection, doc! { "account": 1, "login": 1 }).await;
    }
}

/// The collection of sign-ins.
pub async fn load_sign_ins(url: &str, size: Size) {
    let database = database(url).await;
    let mut rng = Rng::with_seed(SEED);
    let mut events = Batch::new(&database, "logins");
    let mut users = database.collection::<Document>("users").find(doc! {}).await.unwrap();
    while users.advance().await.unwrap() {
        let user = users.current().get_object_id("_id").unwrap();
        for _ in 0..size.sign_ins {
            let mut event = sign_in(&mut rng);
            event.insert("user", user);
            event.insert("location", "Berlin, DE");
            events.push(event).await;
        }
    }
    events.end().await;
    index(&database, "logins", doc! { "user": 1, "at": -1 }).await;
}

fn user(account: ObjectId, of: usize, n: usize, roles: &[Document], groups: &[Document], rng: &mut Rng) -> Document {
    let language = if rng.bool() { "en" } else { "ru" };
    doc! {
        "_id": ObjectId::new(), "account": account, "login": format!("user{n:06}"), "firstName": format!("First{n}"),
        "lastName": format!("Last{n}"), "email": format!("user{n}@acct{of}.example"), "phone": format!("+15550{n:06}"),
        "language": language, "isLdap": n.is_multiple_of(4), "isMaster": n.is_multiple_of(100),
        "roles": some(roles, 3, rng), "groups": some(groups, 2, rng),
    }
}

/// The ids of some of them.
fn some(named: &[Document], count: usize, rng: &mut Rng) -> Vec<Bson> {
    let chosen = rng.choose_multiple(named, count).into_iter();
    chosen.map(|document| document["_id"].clone()).collect()
}

fn sign_in(rng: &mut Rng) -> Document {
    let ago = Duration::from_secs(60 * rng.u64(..500_000));
    let at = DateTime::from_millis(NOW - i64::try_from(ago.as_millis()).unwrap());
    doc! {
        "_id": ObjectId::new(), "at": at, "outcome": "SUCCESS", "browser": "Firefox 140",
        "ip": format!("203.0.113.{}", rng.u8(..)),
    }
}

/// The newest of so many, with the place as Doorward gives it.
fn last_sign_ins(count: usize, rng: &mut Rng) -> Vec<Document> {
    let mut events: Vec<Document> = std::iter::repeat_with(|| sign_in(rng)).take(count).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.get_datetime("at").unwrap().timestamp_millis()));
    events.truncate(KEPT);
    for event in &mut events {
        event.insert("location", doc! { "country": "Germany", "city": "Berlin" });
    }
    events
}

/// Documents that are written many at once.
struct Batch {
    collection: Collection<Document>,
    documents: Vec<Document>,
}

impl Batch {
    fn new(database: &Database, collection: &str) -> Self {
        Self {
            collection: database.collection(collection),
            documents: Vec::new(),
        }
    }

    async fn push(&mut self, document: Document) {
        self.documents.push(document);
        if self.documents.len() == BATCH {
            let full = std::mem::take(&mut self.documents);
            self.collection.insert_many(full).ordered(false).await.unwrap();
        }
    }

    async fn end(self) {
        if !self.documents.is_empty() {
            self.collection
                .insert_many(self.documents)
                .ordered(false)
                .await
                .unwrap();
        }
    }
}

async fn insert(database: &Database, collection: &str, documents: Vec<Document>) {
    let collection = database.collection::<Document>(collection);
    collection.insert_many(documents).await.unwrap();
}

async fn index(database: &Database, collection: &str, keys: Document) {
    let index = IndexModel::builder().keys(keys).build();
    let collection = database.collection::<Document>(collection);
    collection.create_index(index).await.unwrap();
}

/// The database of a URL.
pub async fn database(url: &str) -> Database {
    let client = Client::with_uri_str(url).await.unwrap();
    client.default_database().expect("the URL names a database")
}
