//! The server as a process: its first start, its port, its end.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use crate::support::free_port;
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, Outcome, Serving, get, sign_in};

fn password_in(stderr: &str) -> Option<&str> {
    stderr
        .lines()
        .find_map(|line| line.trim().strip_prefix("Password:"))
        .map(str::trim)
}

#[test]
fn the_first_start_shows_a_password_once() {
    let doorward = Doorward::new();
    let mut serving = doorward.serve(&[]);
    serving.wait_until(|s| password_in(s.stderr()).is_some());
    let shown = serving.stderr().to_owned();
    assert!(
        shown.contains("root@system") && shown.contains(&format!("http://{}/graphiql", serving.address)),
        "{shown}"
    );
    let password = password_in(&shown).unwrap();
    assert_eq!(sign_in(serving.address, "root@system", password), [""; 0]);
    assert_eq!(
        sign_in(serving.address, "root@system", "something else"),
        ["WRONG_CREDENTIALS"]
    );
    let root = doorward.run(&["user", "show", "root@system", "--json"]).json();
    assert_eq!(
        (&root["mustChangePassword"], &root["isMaster"]),
        (&true.into(), &true.into())
    );
    let (code, stderr) = serving.stop("-TERM");
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stderr.matches(password).count(), 1, "also not in the log: {stderr}");

    let mut again = doorward.serve(&["serve"]);
    again.wait_until(|s| s.stderr().contains("serving"));
    assert_eq!(password_in(again.stderr()), None);
    assert_eq!(again.stop("-INT").0, Some(0));
}

#[test]
fn of_two_first_starts_at_once_one_shows_a_password() {
    two_at_once(&Doorward::new());
}

#[test]
fn of_two_first_starts_at_once_over_mongodb_one_shows_a_password() {
    let database = fresh_database();
    two_at_once(&Doorward::over(&database.url));
}

fn two_at_once(doorward: &Doorward) {
    let mut servers: Vec<Serving> = thread::scope(|scope| {
        let starting: Vec<_> = (0..2).map(|_| scope.spawn(|| doorward.serve(&["serve"]))).collect();
        starting.into_iter().map(|server| server.join().unwrap()).collect()
    });
    for server in &mut servers {
        server.wait_until(|s| s.stderr().contains("serving"));
    }
    let shown: Vec<String> = servers
        .iter_mut()
        .filter_map(|s| password_in(s.stderr()).map(str::to_owned))
        .collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    for server in &servers {
        assert_eq!(sign_in(server.address, "root@system", &shown[0]), [""; 0]);
    }
    for server in servers {
        assert_eq!(server.stop("-TERM").0, Some(0));
    }
}

#[test]
fn a_port_in_use_is_one_line_and_wastes_no_password() {
    let doorward = Doorward::new();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    for args in [&["serve"][..], &["demo"]] {
        let outcome: Outcome = doorward.with("DOORWARD_HTTP__LISTEN", &address).run(args);
        assert_eq!(outcome.code, Some(1));
        let told =
            format!("doorward: {address} is in use; set http.listen or DOORWARD_HTTP__LISTEN to another address\n");
        assert_eq!(outcome.stderr, told, "{args:?}");
    }
    let mut serving = doorward.serve(&["serve"]);
    serving.wait_until(|s| password_in(s.stderr()).is_some());
}

#[test]
fn health_is_that_of_the_server() {
    let doorward = Doorward::new();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listen = address.to_string();
    let nobody = doorward
        .with("DOORWARD_HTTP__LISTEN", &listen)
        .run(&["health"])
        .fails(1);
    assert!(
        nobody.starts_with(&format!("doorward: nothing answers at {address}: ")),
        "{nobody}"
    );
    let serving = doorward.serve_at(&["serve"], address);
    assert_eq!(
        doorward
            .with("DOORWARD_HTTP__LISTEN", &listen)
            .run(&["health"])
            .succeeds(),
        ""
    );
    let everywhere = format!("0.0.0.0:{}", address.port());
    doorward
        .with("DOORWARD_HTTP__LISTEN", &everywhere)
        .run(&["health"])
        .succeeds();
    assert!(get(serving.address, "/readyz").unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn health_knows_the_servers_own_certificate() {
    let doorward = Doorward::new();
    let own = rcgen::generate_simple_self_signed(vec!["door.example.org".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["door.example.org".to_owned()]).unwrap();
    let write = |name: &str, text: &str| std::fs::write(doorward.folder().join(name), text).unwrap();
    write("own.pem", &own.cert.pem());
    write("own.key", &own.signing_key.serialize_pem());
    write("other.pem", &other.cert.pem());
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut child = doorward
        .command(&["serve"])
        .env("DOORWARD_HTTP__LISTEN", &listen)
        .env("DOORWARD_HTTP__TLS_CERTIFICATE", "own.pem")
        .env("DOORWARD_HTTP__TLS_KEY", "own.key")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let health = |certificate| {
        doorward
            .with("DOORWARD_HTTP__LISTEN", &listen)
            .with("DOORWARD_HTTP__TLS_CERTIFICATE", certificate)
            .with("DOORWARD_HTTP__TLS_KEY", "own.key")
            .run(&["health"])
    };
    let healthy = (0..500).any(|_| {
        thread::sleep(std::time::Duration::from_millis(20));
        health("own.pem").code == Some(0)
    });
    let stranger = health("other.pem");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(healthy);
    assert_eq!(stranger.code, Some(1), "another server's certificate is not accepted");
}

#[test]
fn logs_are_json_when_asked_for() {
    let doorward = Doorward::new();
    let mut serving = doorward.serve(&["serve", "--log-format", "json", "--log", "info"]);
    serving.wait_until(|s| s.stderr().contains("\"level\":\"INFO\""));
    let (_, stderr) = serving.stop("-TERM");
    let events: Vec<serde_json::Value> = stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events
            .iter()
            .any(|event| event["message"].as_str().is_some_and(|m| m.starts_with("serving"))),
        "{stderr}"
    );
    assert!(!stderr.contains('\u{1b}'), "no colours into a pipe");
}
