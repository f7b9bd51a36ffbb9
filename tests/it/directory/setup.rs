//! What an operator gets wrong, and how they are told.

use std::sync::Arc;
use std::time::Duration;

use doorward::config::DirectoryConfig;
use doorward::directory::{CheckOutcome, Directory};
use doorward::domain::clock::SystemClock;
use secrecy::SecretString;

use super::{config, directory, slapd, template, unavailable};
use crate::support::slapd::{PEOPLE, SUFFIX, free_port};

#[tokio::test]
async fn a_refused_service_account_is_no_refusal_of_the_person() {
    let (first, second) = (slapd(), slapd());
    let config = DirectoryConfig {
        bind_password: Some(SecretString::from("wrong")),
        ..config(&[first.url(), second.url()])
    };
    let directory = directory(&config);
    let error = unavailable(&directory, "member").await.to_string();
    assert!(error.contains("bind_dn") && error.contains("49"), "{error}");
    assert_eq!(
        (first.bind_results(49), second.bind_results(49)),
        (1, 0),
        "not a reason to try it elsewhere"
    );
    for _ in 0..5 {
        unavailable(&directory, "member").await;
    }
    assert!(
        first.bind_results(49) <= 1 && second.bind_results(49) <= 1,
        "sign-ins must not lock bind_dn"
    );
}

#[tokio::test]
async fn check_names_the_step_that_fails() {
    let outcomes = |steps: Vec<doorward::directory::CheckStep>| -> Vec<_> {
        steps
            .into_iter()
            .map(|step| (step.name, step.outcome, step.detail))
            .collect()
    };
    let first_failed = |steps: &[(&'static str, CheckOutcome, String)]| {
        steps
            .iter()
            .find(|s| s.1 == CheckOutcome::Failed)
            .map(|s| (s.0, s.2.clone()))
    };
    let (slapd, other) = (slapd(), slapd());
    let good = DirectoryConfig {
        ca_file: Some(slapd.ca_file()),
        ..config(&[slapd.ldaps_url(), slapd.url()])
    };
    let steps = outcomes(directory(&good).check().await);
    let names: Vec<_> = steps.iter().map(|s| s.0).collect();
    assert_eq!(names[..5], ["connect", "TLS", "service bind", "base", "search"]);
    assert_eq!((names.len(), first_failed(&steps)), (10, None));
    let skipped = steps.iter().filter(|s| s.1 == CheckOutcome::Skipped).count();
    assert_eq!(skipped, 1, "TLS at the server in clear");

    let away = format!("ldap://127.0.0.1:{}", free_port());
    let wrong = |change: &dyn Fn(&mut DirectoryConfig)| {
        let mut config = good.clone();
        change(&mut config);
        directory(&config)
    };
    let cases: [(&str, &str, Directory); 5] = [
        ("connect", "no connection", wrong(&|c| c.servers = vec![away.clone()])),
        ("TLS", "ca_file", wrong(&|c| c.ca_file = Some(other.ca_file()))),
        (
            "service bind",
            "49",
            wrong(&|c| c.bind_password = Some(SecretString::from("wrong"))),
        ),
        ("base", "32", wrong(&|c| c.base = vec![format!("ou=missing,{SUFFIX}")])),
        (
            "search",
            "{login}",
            wrong(&|c| c.filter = "(|(uid={login})(uid=member))".to_owned()),
        ),
    ];
    for (name, text, directory) in cases {
        let steps = outcomes(directory.check().await);
        let (failed, detail) = first_failed(&steps).unwrap();
        assert!(failed == name && detail.contains(text), "{name}: {failed}: {detail}");
        assert_eq!(steps.len() % 5, 0);
    }
    let steps = outcomes(
        directory(&template(&[slapd.url()], &format!("uid={{login}},{PEOPLE}")))
            .check()
            .await,
    );
    assert_eq!(first_failed(&steps), None);
    assert_eq!(steps.iter().filter(|s| s.1 == CheckOutcome::Skipped).count(), 3);
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_key() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    let missing = dir.path().join("missing.pem");
    let base = config(&["ldaps://ldap.example.org".to_owned()]);
    let cases = [
        (
            "directories.corp.ca_file",
            DirectoryConfig {
                ca_file: Some(missing.clone()),
                ..base.clone()
            },
        ),
        (
            "directories.corp.ca_file",
            DirectoryConfig {
                ca_file: Some(empty.clone()),
                ..base.clone()
            },
        ),
        (
            "directories.corp.client_certificate",
            DirectoryConfig {
                client_certificate: Some(empty.clone()),
                client_key: Some(missing),
                ..base.clone()
            },
        ),
        (
            "directories.corp.bind_password_file",
            DirectoryConfig {
                bind_password: None,
                bind_password_file: Some(dir.path().join("none")),
                ..base.clone()
            },
        ),
        (
            "directories.corp.timeout",
            DirectoryConfig {
                timeout: Duration::ZERO,
                ..base
            },
        ),
    ];
    for (key, config) in cases {
        let error = Directory::new("corp", &config, Arc::new(SystemClock))
            .unwrap_err()
            .to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
}
