//! Everything around `/graphql`: health, headers, CORS, TLS, the log.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::super::{HttpError, Tls};
use super::fake::TestServer;

#[tokio::test]
async fn health_is_told() {
    let server = TestServer::start();
    let live = server.request("GET", "/healthz").send().await.unwrap();
    assert_eq!(
        (live.status().as_u16(), live.text().await.unwrap().as_str()),
        (200, "ok")
    );

    let directories = json!([{
        "name": "corp", "servers": [{ "url": "ldaps://dc1.example.org", "isHealthy": false }]
    }]);
    let ready = server.request("GET", "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(
        ready.json::<Value>().await.unwrap(),
        json!({ "status": "ready", "store": { "isHealthy": true }, "directories": directories })
    );
    for flag in [&server.backend.is_away, &server.backend.is_mute] {
        flag.store(true, Ordering::SeqCst);
        let ready = server.request("GET", "/readyz").send().await.unwrap();
        assert_eq!(ready.status(), 503);
        let body = ready.text().await.unwrap();
        assert!(!body.contains("10.1.2.3"), "{body}");
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({ "status": "unavailable", "store": { "isHealthy": false }, "directories": directories })
        );
        assert_eq!(server.request("GET", "/healthz").send().await.unwrap().status(), 200);
        flag.store(false, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_in_check() {
    let server = TestServer::start();
    for (path, status) in [
        ("/", 307),
        ("/healthz", 200),
        ("/nothing", 404),
        ("/graphql", 400),
        ("/metrics", 200),
    ] {
        let response = server.request("GET", path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["x-request-id"].len(), 16, "{path}");
        assert!(headers.contains_key("content-security-policy"), "{path}");
    }
    let home = server.request("GET", "/").send().await.unwrap();
    assert_eq!(home.headers()["location"], "/graphiql");
    assert_eq!(server.request("POST", "/healthz").send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn scripts_of_the_origins_that_are_allowed_may_call_without_the_cookie() {
    let server = TestServer::start_with(|s| s.allowed_origins = vec!["https://app.example.org".to_owned()], None);
    for (origin, allowed) in [
        ("https://app.example.org", true),
        ("https://app.example.org.evil.test", false),
        ("http://app.example.org", false),
        ("null", false),
    ] {
        let preflight = server
            .request("OPTIONS", "/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await
            .unwrap();
        let actual = server.ask("{ who }").header("origin", origin).send().await.unwrap();
        for response in [&preflight, &actual] {
            let echoed = response.headers().get("access-control-allow-origin");
            assert_eq!(echoed.map(|v| v.to_str().unwrap()), allowed.then_some(origin));
            assert_eq!(response.headers().get("access-control-allow-credentials"), None);
        }
        assert!(preflight.status().is_success());
        assert_eq!(actual.status(), 200);
    }
}

fn pem(folder: &std::path::Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn https_is_spoken_when_there_is_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = pem(folder.path(), "cert.pem", &pair.cert.pem());
    let key = pem(folder.path(), "key.pem", &pair.signing_key.serialize_pem());
    let server = TestServer::start_with(|_| {}, Some(Tls::from_files(&certificate, &key).unwrap()));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = server.address;
    let text = tokio::task::spawn_blocking(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, TcpStream::connect(address).unwrap());
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let text = text.await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok"), "{text}");
    server.stop().await.unwrap();
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let generate = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (one, other) = (generate(), generate());
    let certificate = pem(folder.path(), "cert.pem", &one.cert.pem());
    let key = pem(folder.path(), "key.pem", &one.signing_key.serialize_pem());
    let wrong = pem(folder.path(), "other.pem", &other.signing_key.serialize_pem());
    let empty = pem(folder.path(), "empty.pem", "");
    let absent = folder.path().join("absent.pem");

    let error = |certificate, key| Tls::from_files(certificate, key).unwrap_err();
    for (found, expected) in [
        (
            error(&absent, &key),
            ["absent.pem", "http.tls_certificate", "readable PEM file"],
        ),
        (
            error(&certificate, &absent),
            ["absent.pem", "http.tls_key", "readable PEM file"],
        ),
        (
            error(&empty, &key),
            ["empty.pem", "http.tls_certificate", "no certificate"],
        ),
        (error(&key, &key), ["key.pem", "http.tls_certificate", "no certificate"]),
        (
            error(&certificate, &certificate),
            ["cert.pem", "http.tls_key", "no private key"],
        ),
        (
            error(&certificate, &wrong),
            ["cert.pem", "other.pem", "cannot be used together"],
        ),
    ] {
        let text = found.to_string();
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    }
    assert!(matches!(error(&certificate, &wrong), HttpError::Pair { .. }));
}

/// What was logged.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One thread, so that everything is logged where the subscriber is set.
#[tokio::test(flavor = "current_thread")]
async fn the_log_has_a_line_for_a_request_and_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = TestServer::start();
    let (token, _) = server.sign_in();
    let query = "{ echo(text: \"hunter2hunter2\") }";
    let id = {
        let request = server.ask(query).bearer_auth(&token).header("x-request-id", "forged");
        let response = request
            .header("cookie", format!("doorward_session={token}"))
            .send()
            .await
            .unwrap();
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    let path = "/graphql?query={echo(text:\"hunter2hunter2\")}";
    assert_eq!(server.request("GET", path).send().await.unwrap().status(), 200);
    server.stop().await.unwrap();

    let text = log.text();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("doorward::http")).collect();
    let line = ours.iter().find(|line| line.contains(&id)).unwrap();
    for part in [
        "method=POST",
        "path=\"/graphql\"",
        "client=127.0.0.1",
        "status=200",
        "milliseconds=",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(
        ours.iter().filter(|line| line.contains("answered")).count(),
        2,
        "{ours:#?}"
    );
    for secret in [token.as_str(), "hunter2", "forged"] {
        assert!(!ours.iter().any(|line| line.contains(secret)), "{secret} in {ours:#?}");
    }
}
