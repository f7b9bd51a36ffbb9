//! The first contact: what the URL says, whether the server can do transactions, and what to do when it cannot.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Database};
use secrecy::{ExposeSecret, SecretString};

use super::error::text;
use super::transaction::bounded;
use super::{MongoStore, indexes, report, round_trip};
use crate::store::{Result, StoreError};

/// For how long a server is looked for, unless the URL says otherwise.
const SERVER_SELECTION: Duration = Duration::from_secs(5);
/// The most connections to each server, unless the URL says otherwise: a page or a sign-in holds one for milliseconds.
const POOL: u32 = 64;
/// The first contact with everything that it makes. Building an index on a large collection can take this long.
const START_LIMIT: Duration = Duration::from_secs(600);

/// The server's codes for "who are you?" and "you may not".
const AUTHENTICATION_FAILED: i32 = 18;
const UNAUTHORIZED: i32 = 13;
/// The server's code for an index that a collection cannot have: of those wanted here, a unique one beside its shard key.
const CANNOT_CREATE_INDEX: i32 = 67;

/// What a right URL looks like.
const EXAMPLE: &str =
    "mongodb://USER:PASSWORD@h1,h2,h3/doorward?replicaSet=rs0 (characters such as @ : / in them percent-encoded)";

/// How long a single host that is asked directly may take.
const DIRECT_LIMIT: Duration = Duration::from_secs(2);

impl MongoStore {
    /// Connects, makes the indexes that are missing, and brings documents of earlier versions up to date; several processes
    /// may do so at once.
    ///
    /// The URL's path names the database. A server is looked for during 5 s unless `serverSelectionTimeoutMS` says
    /// otherwise; writes wait for a majority's journal, and reads go to the primary, whatever the URL says.
    ///
    /// # Errors
    /// [`StoreError::Setup`] when URL, user or kind of server will not do, before anything is written;
    /// [`StoreError::Unavailable`] when no server answers. Each in one line that names the hosts and what to do, never the
    /// password.
    pub async fn connect(url: &SecretString) -> Result<Self> {
        let hosts = hosts(url.expose_secret());
        let (client, database) = open(url, &hosts).await?;
        let work = async {
            let hello = match hello(&client).await {
                Ok(hello) => hello,
                // With replicaSet= in the URL the driver ignores a server that is in none, and sees nobody.
                Err(error) => match ask_directly(url).await {
                    Some(hello) if deployment(&hello).is_err() => hello,
                    _ => return Err(explain(&error, &hosts)),
                },
            };
            if let Err(wrong) = deployment(&hello) {
                return Err(StoreError::Setup(format!("{hosts}: {wrong}")));
            }
            indexes::create(&database).await.map_err(|e| explain(&e, &hosts))?;
            let store = Self::new(client.clone(), database);
            report::backfill(&store.users).await.map_err(|e| explain(&e, &hosts))?;
            Ok(store)
        };
        bounded(START_LIMIT, work).await
    }
}

/// What the URL's first host says about itself, whether or not it is in the URL's replica set.
async fn ask_directly(url: &SecretString) -> Option<Document> {
    let mut options = ClientOptions::parse(url.expose_secret()).await.ok()?;
    options.hosts.truncate(1);
    options.repl_set_name = None;
    options.direct_connection = Some(true);
    options.server_selection_timeout = Some(DIRECT_LIMIT);
    options.connect_timeout = Some(DIRECT_LIMIT);
    hello(&Client::with_options(options).ok()?).await.ok()
}

/// The client and its database, before anything is sent.
async fn open(url: &SecretString, hosts: &str) -> Result<(Client, Database)> {
    let mut options = ClientOptions::parse(url.expose_secret())
        .await
        .map_err(|e| unreadable(&e, hosts))?;
    let Some(name) = options.default_database.clone() else {
        return Err(StoreError::Setup(format!(
            "the store's URL for {hosts} names no database; write one after the hosts: {EXAMPLE}"
        )));
    };
    options.app_name.get_or_insert_with(|| "doorward".to_owned());
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
    options.connect_timeout.get_or_insert(SERVER_SELECTION);
    options.max_pool_size.get_or_insert(POOL);
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.write_concern = Some(durable());
    let client = Client::with_options(options).map_err(|e| unreadable(&e, hosts))?;
    let database = client.database(&name);
    Ok((client, database))
}

/// A majority has it in its journal.
fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

/// What the server says about itself.
pub(super) async fn hello(client: &Client) -> std::result::Result<Document, Error> {
    round_trip("hello");
    client.database("admin").run_command(doc! { "hello": 1 }).await
}

/// What kind of deployment it is, in words; or why it will not do, and what would.
pub(super) fn deployment(hello: &Document) -> std::result::Result<String, String> {
    if let Ok(name) = hello.get_str("setName") {
        return Ok(format!("the replica set {name}"));
    }
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return Ok("a sharded cluster".to_owned());
    }
    Err(
        "this is a standalone MongoDB server, but Doorward needs transactions, which only a replica set (one node is \
         enough) or a sharded cluster has. Start mongod with --replSet rs0, run rs.initiate() once in mongosh, and start \
         Doorward again; the data stays"
            .to_owned(),
    )
}

/// The hosts of a URL, without user and password: whatever comes before the last `@` might belong to them.
fn hosts(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let hosts = rest.split(['/', '?']).next().unwrap_or_default();
    if hosts.is_empty() {
        "MongoDB".to_owned()
    } else {
        hosts.to_owned()
    }
}

/// A URL that the driver does not take. Its own words may quote any part of the URL, so they are not repeated unless
/// they are about the network.
fn unreadable(error: &Error, hosts: &str) -> StoreError {
    StoreError::Setup(match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => format!(
            "the servers of {hosts} cannot be found: {}; check the name and that DNS answers here, or list the servers: \
             mongodb://h1,h2,h3/…",
            text(error)
        ),
        ErrorKind::InvalidTlsConfig { message, .. } => {
            format!("the TLS settings for {hosts} cannot be used: {message}")
        }
        _ => format!("the store's URL for {hosts} cannot be used; it must look like {EXAMPLE}"),
    })
}

/// What is wrong with the first contact, and what to do.
pub(super) fn explain(error: &Error, hosts: &str) -> StoreError {
    let code = match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => Some(AUTHENTICATION_FAILED),
        ErrorKind::Command(e) => Some(e.code),
        _ => None,
    };
    let said = text(error);
    match code {
        Some(AUTHENTICATION_FAILED) => StoreError::Setup(format!(
            "{hosts} refuses the URL's user: {said}; check user, password and authSource (the database that the user was \
             made in) in the store's URL"
        )),
        Some(UNAUTHORIZED) => StoreError::Setup(format!(
            "{hosts} does not let the URL's user do this: {said}; name a user in the store's URL and grant it readWrite on \
             the database"
        )),
        Some(CANNOT_CREATE_INDEX) => StoreError::Setup(format!(
            "{hosts} cannot make an index: {said}; where the collection is sharded, give it the shard key of Doorward's              README by reshardCollection, such as {{account: 1}} for users"
        )),
        _ if said.contains("RsGhost") => StoreError::Setup(format!(
            "{hosts} was started with --replSet but is in no replica set yet: run rs.initiate() once in mongosh"
        )),
        _ => StoreError::Unavailable(format!(
            "{hosts} did not answer as a MongoDB primary: {said}; check the hosts and ports in the store's URL, that mongod \
             runs there, and replicaSet= and tls= in the URL"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_never_hold_the_password() {
        for (url, named) in [
            ("mongodb://h1:27017,h2/doorward?replicaSet=rs0", "h1:27017,h2"),
            ("mongodb://zoe:secret@h1/doorward", "h1"),
            ("mongodb://zoe:se/cr@et@h1/doorward", "h1"),
            ("mongodb+srv://cluster.example.org", "cluster.example.org"),
            ("mongodb://zoe:secret@", "MongoDB"),
        ] {
            assert_eq!(hosts(url), named);
        }
    }

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for url in [
            "mongodb://zoe:se/cr:et@h1:27017/doorward",
            "mongodb://zoe:secret@h1:27017",
            "mongodb://zoe:secret@h1:notaport/doorward",
            "mongodb://zoe:secret@h1/doorward?replicaSet",
            "mongodb://zoe:secret@h1/doorward?tls=true&tlsCAFile=/nonexistent/secret-free.pem",
        ] {
            let error = MongoStore::connect(&url.into()).await.unwrap_err();
            let said = error.to_string();
            assert!(
                matches!(error, StoreError::Setup(_) | StoreError::Unavailable(_)),
                "{said}"
            );
            assert!(said.contains("h1"), "{said}");
            assert!(
                !said.contains("secret@") && !said.contains("cr:et") && !said.contains("zoe"),
                "{said}"
            );
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn only_sets_and_clusters_will_do() {
        assert_eq!(deployment(&doc! { "setName": "rs0" }).unwrap(), "the replica set rs0");
        assert_eq!(deployment(&doc! { "msg": "isdbgrid" }).unwrap(), "a sharded cluster");
        assert!(
            deployment(&doc! { "isWritablePrimary": true })
                .unwrap_err()
                .contains("rs.initiate()")
        );
    }
}
