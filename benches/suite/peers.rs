//! The programs that the page is compared to, each a process of its own over the peers' database.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::load::Ask;
use crate::site::{self, DASHBOARD, PAGE};
use crate::support::free_port;

/// Node.js reads several hundred files first.
const START: Duration = Duration::from_secs(60);
/// Where the peers' code is; Cargo starts benchmarks in the package's folder.
const FOLDER: &str = "benches/peers";

/// A program that runs; it is killed with the value.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    address: SocketAddr,
    /// Where it answers.
    path: &'static str,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Whether Node.js and the peers' packages are here.
pub fn have_node() -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    node.is_ok_and(|status| status.success()) && Path::new(FOLDER).join("node_modules").is_dir()
}

/// The one-query program.
pub fn limit(database: &str) -> Peer {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["limit", database, &address.to_string()]);
    Peer::start(command, address, "/graphql")
}

/// Apollo Server.
pub fn apollo(database: &str) -> Peer {
    node("apollo.mjs", database, "/")
}

/// Mercurius with graphql-jit.
pub fn mercurius(database: &str) -> Peer {
    node("mercurius.mjs", database, "/graphql")
}

fn node(program: &str, database: &str, path: &'static str) -> Peer {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new("node");
    command
        .arg(Path::new(FOLDER).join(program))
        // Both do more work for developers without it.
        .env("NODE_ENV", "production")
        .env("MONGO", database)
        .env("PORT", address.port().to_string());
    Peer::start(command, address, path)
}

impl Peer {
    /// Starts it and waits until it listens; what it complains of is seen.
    fn start(mut command: Command, address: SocketAddr, path: &'static str) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut peer = Self { child, address, path };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            let ended = peer.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{command:?} does not listen"
            );
            thread::sleep(Duration::from_millis(20));
        }
        peer
    }

    /// The dashboard page. A place is a text here.
    pub fn page(&self) -> Ask {
        let query = DASHBOARD.replace("location { country city }", "location");
        assert_ne!(query, DASHBOARD);
        Ask {
            path: self.path,
            ..site::graphql(self.address, &query, &json!({ "first": PAGE }), site::is_page)
        }
    }
}
