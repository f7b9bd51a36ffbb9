//! What the page costs at least: one query, whose documents are written as JSON straight away. Roles and groups are in
//! memory; there is no GraphQL and nobody signs in.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Router, serve as serve_http};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, deserialize_from_slice, doc};
use mongodb::options::FindOptions;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use tokio::net::TcpListener;

use crate::data;

/// Serves until it is killed.
pub fn serve(url: &str, address: SocketAddr) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let database = data::database(url).await;
        let accounts = database.collection::<Document>("accounts");
        let account = accounts.find_one(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let limit = Arc::new(Limit {
            account: account.expect("there are accounts").get_object_id("_id").unwrap(),
            users: database.collection("kept"),
            roles: named(&database, "roles").await,
            groups: named(&database, "groups").await,
        });
        let app = Router::new().route("/graphql", post(page)).with_state(limit);
        serve_http(TcpListener::bind(address).await.unwrap(), app)
            .await
            .unwrap();
    });
}

struct Limit {
    account: ObjectId,
    users: Collection<Document>,
    roles: HashMap<ObjectId, Named>,
    groups: HashMap<ObjectId, Named>,
}

/// A role or a group.
#[derive(Serialize, Deserialize)]
struct Named {
    #[serde(rename(deserialize = "_id"), serialize_with = "hex")]
    id: ObjectId,
    name: String,
}

/// A user as stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    #[serde(rename = "_id")]
    id: ObjectId,
    login: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    phone: &'a str,
    language: &'a str,
    is_ldap: bool,
    is_master: bool,
    roles: Vec<ObjectId>,
    groups: Vec<ObjectId>,
    #[serde(borrow)]
    last: Vec<SignIn<'a>>,
}

/// A sign-in as stored and as answered.
#[derive(Serialize, Deserialize)]
struct SignIn<'a> {
    #[serde(serialize_with = "rfc3339")]
    at: DateTime,
    outcome: &'a str,
    browser: &'a str,
    ip: &'a str,
    #[serde(borrow)]
    location: Place<'a>,
}

#[derive(Serialize, Deserialize)]
struct Place<'a> {
    country: &'a str,
    city: &'a str,
}

/// What is answered.
#[derive(Serialize)]
struct Edge<'a> {
    cursor: &'a str,
    node: Node<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node<'a> {
    #[serde(serialize_with = "hex")]
    id: ObjectId,
    login: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    phone: &'a str,
    language: &'a str,
    is_ldap: bool,
    is_master: bool,
    roles: Vec<&'a Named>,
    groups: Vec<&'a Named>,
    login_history: History<'a>,
}

#[derive(Serialize)]
struct History<'a> {
    edges: Vec<HistoryEdge<'a>>,
}

#[derive(Serialize)]
struct HistoryEdge<'a> {
    node: SignIn<'a>,
}

/// All that is read of the question.
#[derive(Deserialize)]
struct Question {
    variables: Variables,
}

#[derive(Deserialize)]
struct Variables {
    first: u32,
}

/// The page: each document is written as it comes.
async fn page(State(limit): State<Arc<Limit>>, body: Bytes) -> impl IntoResponse {
    let Question { variables } = serde_json::from_slice(&body).unwrap();
    let first = variables.first;
    // One more tells whether there is a next page; all of them come with the first batch.
    let options = FindOptions::builder()
        .sort(doc! { "login": 1 })
        .limit(i64::from(first) + 1)
        .batch_size(first + 2)
        .build();
    let found = limit
        .users
        .find(doc! { "account": limit.account })
        .with_options(options);
    let mut found = found.await.unwrap();
    let mut out = Vec::with_capacity(64 * 1024);
    out.extend_from_slice(br#"{"data":{"users":{"edges":["#);
    let (mut count, mut has_next_page, mut end_cursor) = (0, false, String::new());
    while found.advance().await.unwrap() {
        if count == first {
            has_next_page = true;
            break;
        }
        let user: User<'_> = deserialize_from_slice(found.current().as_bytes()).unwrap();
        if count > 0 {
            out.push(b',');
        }
        user.login.clone_into(&mut end_cursor);
        serde_json::to_writer(&mut out, &limit.edge(user)).unwrap();
        count += 1;
    }
    out.extend_from_slice(br#"],"pageInfo":"#);
    let info = json!({ "hasNextPage": has_next_page, "endCursor": end_cursor });
    serde_json::to_writer(&mut out, &info).unwrap();
    out.extend_from_slice(b"}}}");
    ([(CONTENT_TYPE, "application/json")], out)
}

impl Limit {
    fn edge<'a>(&'a self, user: User<'a>) -> Edge<'a> {
        let events = user.last.into_iter().map(|node| HistoryEdge { node });
        Edge {
            cursor: user.login,
            node: Node {
                id: user.id,
                login: user.login,
                first_name: user.first_name,
                last_name: user.last_name,
                email: user.email,
                phone: user.phone,
                language: user.language,
                is_ldap: user.is_ldap,
                is_master: user.is_master,
                roles: user.roles.iter().filter_map(|id| self.roles.get(id)).collect(),
                groups: user.groups.iter().filter_map(|id| self.groups.get(id)).collect(),
                login_history: History {
                    edges: events.collect(),
                },
            },
        }
    }
}

/// A collection by id.
async fn named(database: &Database, collection: &str) -> HashMap<ObjectId, Named> {
    let mut all = HashMap::new();
    let mut found = database.collection::<Named>(collection).find(doc! {}).await.unwrap();
    while found.advance().await.unwrap() {
        let named: Named = found.deserialize_current().unwrap();
        all.insert(named.id, named);
    }
    all
}

fn hex<S: Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id.to_hex())
}

fn rfc3339<S: Serializer>(at: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.try_to_rfc3339_string().map_err(serde::ser::Error::custom)?)
}
