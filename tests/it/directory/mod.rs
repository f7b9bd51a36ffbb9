//! The LDAP client against real slapd servers and a real Active Directory, and against servers that misbehave.

mod active_directory;
mod setup;
mod sign_in;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use doorward::config::DirectoryConfig;
use doorward::directory::{Authentication, Directory, DirectoryError, Person, Refusal};
use doorward::domain::clock::SystemClock;
use secrecy::SecretString;

use crate::support::slapd::{PASSWORD, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

/// Long enough for a busy machine, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Search then bind in clear; what a test is about, it changes.
fn config(servers: &[String]) -> DirectoryConfig {
    let json = serde_json::json!({
        "servers": servers, "allow_plaintext": true, "base": [PEOPLE],
        "bind_dn": READER, "bind_password": READER_PASSWORD,
    });
    DirectoryConfig {
        timeout: TIMEOUT,
        ..serde_json::from_value(json).unwrap()
    }
}

/// Bind straight by a template, without a service account.
fn template(servers: &[String], user_dn: &str) -> DirectoryConfig {
    DirectoryConfig {
        user_dn: Some(user_dn.to_owned()),
        bind_dn: None,
        bind_password: None,
        ..config(servers)
    }
}

fn directory(config: &DirectoryConfig) -> Directory {
    Directory::new("corp", config, Arc::new(SystemClock)).unwrap()
}

fn slapd() -> Slapd {
    Slapd::start(SlapdOptions::default())
}

async fn sign_in(directory: &Directory, login: &str, password: &str) -> Authentication {
    directory.authenticate(login, &SecretString::from(password)).await
}

async fn success(directory: &Directory, login: &str) -> Person {
    match sign_in(directory, login, PASSWORD).await {
        Authentication::Success { person, .. } => *person,
        other => panic!("{login}: {other:?}"),
    }
}

async fn refusal(directory: &Directory, login: &str, password: &str) -> Refusal {
    match sign_in(directory, login, password).await {
        Authentication::Refused { reason, .. } => reason,
        other => panic!("{login:?}: {other:?}"),
    }
}

async fn unavailable(directory: &Directory, login: &str) -> DirectoryError {
    match sign_in(directory, login, PASSWORD).await {
        Authentication::Unavailable(error) => error,
        other => panic!("{login}: {other:?}"),
    }
}
