//! Real MongoDB servers: the replica set that the whole suite shares, and private ones that a test may kill.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::{Client, error};
use tempfile::TempDir;

use super::{free_port, variable};

const REPLICA_SET: &str = "rs";

/// Long enough for two busy cores; a healthy server is up after about a second.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A test's server needs no more; the default takes half of the memory.
const CACHE_GB: f64 = 0.25;

/// The URL, without a database, of the replica set that all tests share.
///
/// # Panics
/// When `DOORWARD_TEST_MONGODB` is not set.
pub fn shared_url() -> String {
    variable("DOORWARD_TEST_MONGODB")
}

/// A database of its own on the shared replica set. Nothing is in it, and it is dropped with the value.
pub fn fresh_database() -> TestDatabase {
    let shared = shared_url();
    let name = format!("doorward_test_{}", ObjectId::new());
    TestDatabase {
        url: with_database(&shared, &name),
        name,
    }
}

/// See [`fresh_database`].
#[derive(Debug)]
pub struct TestDatabase {
    /// The replica set's URL with this database in it, as `[store] url` takes it.
    pub url: String,
    /// The database's name alone.
    pub name: String,
}

impl Drop for TestDatabase {
    /// On a thread and runtime of its own: a value may end inside a runtime, which cannot be blocked on, or outside.
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { Client::with_uri_str(url).await?.database(&name).drop().await })
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            // A failing test says why by itself; a second panic while it unwinds would hide that.
            result if thread::panicking() => eprintln!("the database {} stays behind: {result:?}", self.name),
            result => panic!("the database {} could not be dropped: {result:?}", self.name),
        }
    }
}

/// A MongoDB server of one test's own, on a free port and in a folder of its own; it ends with the value.
#[derive(Debug)]
pub struct PrivateMongod {
    folder: TempDir,
    replica_set: bool,
    cache_gb: f64,
    port: u16,
    server: Option<Child>,
}

impl PrivateMongod {
    /// Starts a server and waits until it takes writes: a replica set of one node, or a standalone server.
    ///
    /// # Panics
    /// When `DOORWARD_TEST_MONGOD` does not name the server's binary, or it does not come up.
    pub async fn start(replica_set: bool) -> Self {
        Self::start_with_cache(replica_set, CACHE_GB).await
    }

    /// The same with a cache of so many gigabytes, for what measures.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with_cache(replica_set: bool, cache_gb: f64) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mongod-")
            .tempdir()
            .expect("a temporary folder");
        let mut mongod = Self {
            folder,
            replica_set,
            cache_gb,
            port: 0,
            server: None,
        };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            mongod.port = free_port();
            mongod.spawn();
            if mongod.is_up(deadline).await {
                break;
            }
            // It ended at once: another process took the port in between.
            assert!(Instant::now() < deadline, "mongod does not start:\n{}", mongod.log());
        }
        if replica_set {
            mongod.initiate().await;
        }
        mongod.wait_until_writable(deadline).await;
        mongod
    }

    /// The server's URL, without a database.
    pub fn url(&self) -> String {
        let Self { port, .. } = self;
        if self.replica_set {
            format!("mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}")
        } else {
            format!("mongodb://127.0.0.1:{port}/")
        }
    }

    /// Ends the server as a crash would (SIGKILL); its data stay.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Both fail only for a process that was waited for already, and this is the only place that waits for good.
            server.kill().expect("the server is our own");
            server.wait().expect("the server is our own");
        }
    }

    /// Starts the server again on its port and its data, after [`kill`](Self::kill) or out of a run, and waits until it
    /// takes writes.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&mut self) {
        self.kill();
        self.spawn();
        let deadline = Instant::now() + START_LIMIT;
        assert!(
            self.is_up(deadline).await,
            "mongod does not start again:\n{}",
            self.log()
        );
        self.wait_until_writable(deadline).await;
    }

    fn spawn(&mut self) {
        let mut command = Command::new(variable("DOORWARD_TEST_MONGOD"));
        command
            .arg("--dbpath")
            .arg(self.folder.path())
            .arg("--logpath")
            .arg(self.log_path())
            .args([
                "--logappend",
                "--port",
                &self.port.to_string(),
                "--bind_ip",
                "127.0.0.1",
                "--nounixsocket",
            ])
            .args(["--wiredTigerCacheSizeGB", &self.cache_gb.to_string()])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(["--setParameter", "enableTestCommands=1"])
            // Dropped databases keep their files that long.
            .args(["--setParameter", "minSnapshotHistoryWindowInSeconds=5"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if self.replica_set {
            command.args(["--replSet", REPLICA_SET]);
        }
        self.server = Some(
            command
                .spawn()
                .expect("DOORWARD_TEST_MONGOD names a mongod that runs here"),
        );
    }

    /// Whether the server answers before the deadline; false as soon as it has ended.
    async fn is_up(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() && self.runs() {
                return true;
            }
            if !self.runs() {
                self.server = None;
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    fn runs(&mut self) -> bool {
        self.server
            .as_mut()
            .is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    async fn initiate(&self) {
        let member = doc! { "_id": 0, "host": format!("127.0.0.1:{}", self.port) };
        let config = doc! { "_id": REPLICA_SET, "members": [member] };
        self.admin(doc! { "replSetInitiate": config })
            .await
            .expect("a new server takes its first configuration");
    }

    async fn wait_until_writable(&self, deadline: Instant) {
        loop {
            let hello = self.admin(doc! { "hello": 1 }).await;
            if hello
                .as_ref()
                .is_ok_and(|hello| matches!(hello.get_bool("isWritablePrimary"), Ok(true)))
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "mongod takes no writes: {hello:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a command on this very node, whatever its state.
    async fn admin(&self, command: Document) -> error::Result<Document> {
        let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port);
        Client::with_uri_str(url)
            .await?
            .database("admin")
            .run_command(command)
            .await
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    /// The end of the server's log, for a message.
    fn log(&self) -> String {
        tail(&self.log_path(), 20).unwrap_or_else(|e| format!("(no log: {e})"))
    }
}

impl Drop for PrivateMongod {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Puts a database into a URL that has none. With a database a URL's user is looked for there, so it keeps `admin`.
fn with_database(url: &str, name: &str) -> String {
    let (rest, options) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, hosts) = rest
        .split_once("://")
        .expect("DOORWARD_TEST_MONGODB is a mongodb:// URL");
    let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
    assert!(
        !hosts.contains('/'),
        "DOORWARD_TEST_MONGODB names a database: leave it out, every test makes its own"
    );
    let mut options: Vec<&str> = options.split('&').filter(|option| !option.is_empty()).collect();
    if hosts.contains('@') && !options.iter().any(|option| option.starts_with("authSource=")) {
        options.push("authSource=admin");
    }
    let question = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{hosts}/{name}{question}{}", options.join("&"))
}

fn tail(path: &Path, lines: usize) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

#[test]
fn a_database_goes_into_every_form_of_url() {
    for (url, expected) in [
        ("mongodb://127.0.0.1:27017", "mongodb://127.0.0.1:27017/t"),
        ("mongodb://127.0.0.1:27017/", "mongodb://127.0.0.1:27017/t"),
        ("mongodb://a:1,b:2/?replicaSet=rs", "mongodb://a:1,b:2/t?replicaSet=rs"),
        ("mongodb://a:1?replicaSet=rs", "mongodb://a:1/t?replicaSet=rs"),
        (
            "mongodb://u:p@a/?tls=true",
            "mongodb://u:p@a/t?tls=true&authSource=admin",
        ),
        ("mongodb://u:p@a/?authSource=x", "mongodb://u:p@a/t?authSource=x"),
    ] {
        assert_eq!(with_database(url, "t"), expected);
    }
}
