//! A database of its own for a test, and servers of its own for those that break them.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::doc;
use tempfile::TempDir;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::super::MongoStore;
use crate::domain::clock::{Entropy, SystemEntropy};
use crate::store::Store;

/// A database that goes with the test.
pub(super) struct TestDatabase {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) client: Client,
}

impl TestDatabase {
    /// A new, empty database on the server that `tests/run` started.
    pub(super) async fn new() -> Self {
        let server = std::env::var("DOORWARD_TEST_MONGODB").expect(
            "DOORWARD_TEST_MONGODB must be the URL of a MongoDB replica set, without a database: run tests/run, which \
             starts one",
        );
        Self::on(&server).await
    }

    /// A new, empty database on a server.
    pub(super) async fn on(server: &str) -> Self {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random).unwrap();
        let name = format!("doorward-test-{:016x}", u64::from_be_bytes(random));
        let (hosts, options) = server.split_once('?').unwrap_or((server, ""));
        let url = format!("{}/{name}?{options}", hosts.trim_end_matches('/'));
        let client = Client::with_uri_str(&url).await.unwrap();
        Self { url, name, client }
    }

    /// A store on it.
    pub(super) async fn store(&self) -> MongoStore {
        MongoStore::connect(&self.url.as_str().into()).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let database = self.client.database(&self.name);
        // The server may be gone by now, and the database with it.
        let dropping = async { tokio::time::timeout(Duration::from_secs(10), async { database.drop().await }).await };
        tokio::task::block_in_place(|| drop(tokio::runtime::Handle::current().block_on(dropping)));
    }
}

/// A fresh store, and what drops its database.
pub(super) async fn open() -> (TestDatabase, Arc<dyn Store>) {
    let database = TestDatabase::new().await;
    let store = database.store().await;
    (database, Arc::new(store))
}

/// A server of the test's own.
pub(super) struct Server {
    child: Child,
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a server without a replica set.
    pub(super) async fn standalone() -> Self {
        Self::start(&[]).await
    }

    /// Starts a replica set of one node that can be told to fail.
    pub(super) async fn replica_set() -> Self {
        let server = Self::start(&["--replSet", "rs0", "--setParameter", "enableTestCommands=1"]).await;
        let member = doc! { "_id": 0, "host": format!("127.0.0.1:{}", server.port) };
        let settings = doc! { "electionTimeoutMillis": 1000 };
        let configuration = doc! { "_id": "rs0", "members": [member], "settings": settings };
        server.admin(doc! { "replSetInitiate": configuration }).await;
        server
    }

    async fn start(arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let child = spawn(&directory, port, &arguments);
        let server = Self {
            child,
            directory,
            port,
            arguments,
        };
        server.admin(doc! { "ping": 1 }).await;
        server
    }

    /// Its URL, without a database.
    pub(super) fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }

    /// Runs a command on this very server as soon as it listens.
    pub(super) async fn admin(&self, command: mongodb::bson::Document) {
        let url = format!("{}/?directConnection=true&serverSelectionTimeoutMS=20000", self.url());
        let client = Client::with_uri_str(url).await.unwrap();
        client.database("admin").run_command(command).await.unwrap();
    }

    /// Ends it without warning.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Self::kill`].
    pub(super) fn restart(&mut self) {
        self.child = spawn(&self.directory, self.port, &self.arguments);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &TempDir, port: u16, arguments: &[String]) -> Child {
    let program = std::env::var("DOORWARD_TEST_MONGOD")
        .expect("DOORWARD_TEST_MONGOD must be the path of a mongod: run tests/run, which installs one");
    let path = directory.path();
    Command::new(program)
        .args(["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25"])
        .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
        .args(["--port", &port.to_string()])
        .arg("--dbpath")
        .arg(path)
        .arg("--unixSocketPrefix")
        .arg(path)
        .arg("--logpath")
        .arg(path.join("log"))
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many round trips to the database `work` takes, by the events that they leave.
pub(super) async fn round_trips<T>(work: impl Future<Output = T>) -> (T, usize) {
    let counted = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Count(Arc::clone(&counted)));
    let value = work.with_subscriber(subscriber).await;
    (value, counted.load(Ordering::SeqCst))
}

struct Count(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "doorward::store" {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Tries until it works, for at most 20 s.
pub(super) async fn eventually<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
