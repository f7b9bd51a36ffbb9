//! A private authority's certificate, over real TLS.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::config::MailServer;

/// A mail server with TLS from the first byte, for as many connections as come; the PEM of its certificate.
fn server() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut lines = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            let mut answer = "220 localhost ESMTP";
            loop {
                if write!(lines.get_mut(), "{answer}\r\n").is_err() {
                    break; // it did not like the certificate
                }
                let mut line = String::new();
                // Lines of the message's body get no answer.
                while lines.read_line(&mut line).is_ok_and(|read| read > 0)
                    && answer.starts_with("354")
                    && line != ".\r\n"
                {
                    line.clear();
                }
                answer = match line.trim_end() {
                    "" => break,
                    "DATA" => "354 go on",
                    _ => "250 ok",
                };
            }
        }
    });
    (address, made.cert.pem())
}

fn config(host: &str, port: u16, ca_file: Option<PathBuf>) -> MailConfig {
    MailConfig {
        server: Some(MailServer::parse(&format!("smtps://{host}:{port}")).unwrap()),
        ca_file,
        ..MailConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_certificate_of_the_authority_for_that_name_is_trusted() {
    let (address, pem) = server();
    let folder = Folder::with(&[]);
    let ca = folder.write("ca.pem", pem.as_bytes());
    let sample = queued(built_in(), samples::sample("alert", Language::En).unwrap());
    let parts = rendered(built_in(), &sample);
    let letter = message(&sample.mail, &parts, &MailConfig::default(), "localhost").unwrap();

    let right = config("localhost", address.port(), Some(ca.clone()));
    Sender::new(&right).await.unwrap().send(&letter).await.unwrap();
    let found = check(&right).await.unwrap().unwrap();
    assert!(found.ends_with(", TLS"), "{found}");

    for wrong in [
        config("localhost", address.port(), None),
        config("127.0.0.1", address.port(), Some(ca)),
    ] {
        let error = Sender::new(&wrong).await.unwrap().send(&letter).await.unwrap_err();
        assert!(
            matches!(&error, SendError::Unreachable { reason } if reason.contains("certificate")),
            "{error:?}"
        );
        let told = check(&wrong).await.unwrap_err().to_string();
        assert!(told.contains("check mail.ca_file and the name in mail.url"), "{told}");
    }
    let empty = folder.write("empty.pem", b"nothing");
    let error = Sender::new(&config("localhost", address.port(), Some(empty)))
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Tls { .. }), "{error}");
}
