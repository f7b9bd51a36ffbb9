//! TLS, failing over, and what happens when a server misbehaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::config::DirectoryConfig;
use doorward::directory::{Authentication, DirectoryError, LookUp, Refusal};

use super::{TIMEOUT, config, directory, refusal, sign_in, slapd, success, template, unavailable};
use crate::support::slapd::{PASSWORD, PEOPLE, READER, Slapd, SlapdOptions, free_port};
use crate::support::wire::{Action, Listener};

#[tokio::test]
async fn both_kinds_of_tls_work_with_a_private_authority() {
    let slapd = slapd();
    for (url, start_tls) in [(slapd.url(), true), (slapd.ldaps_url(), false)] {
        let config = DirectoryConfig {
            start_tls,
            allow_plaintext: false,
            ca_file: Some(slapd.ca_file()),
            ..config(std::slice::from_ref(&url))
        };
        let directory = directory(&config);
        success(&directory, "member").await;
        assert_eq!(refusal(&directory, "member", "wrong").await, Refusal::WrongPassword);
    }
    assert!(slapd.log().contains("STARTTLS") && slapd.log().contains("TLS established"));
}

#[tokio::test]
async fn an_untrusted_certificate_is_an_error_that_says_so() {
    let (slapd, other) = (slapd(), slapd());
    for (url, start_tls) in [(slapd.url(), true), (slapd.ldaps_url(), false)] {
        let config = DirectoryConfig {
            start_tls,
            ca_file: Some(other.ca_file()),
            ..config(std::slice::from_ref(&url))
        };
        let error = unavailable(&directory(&config), "member").await.to_string();
        assert!(
            error.contains("no TLS") && error.contains("ca_file") && error.contains(&url),
            "{error}"
        );
    }
    assert_eq!(slapd.binds(""), 0);
}

#[tokio::test]
async fn a_failed_starttls_is_not_replaced_by_clear_text() {
    let other = slapd();
    let slapd = Slapd::start(SlapdOptions {
        without_tls: true,
        ..SlapdOptions::default()
    });
    let config = DirectoryConfig {
        start_tls: true,
        ca_file: Some(other.ca_file()),
        ..config(&[slapd.url()])
    };
    let error = unavailable(&directory(&config), "member").await.to_string();
    assert!(error.contains("no TLS"), "{error}");
    let template = DirectoryConfig {
        start_tls: true,
        ca_file: Some(other.ca_file()),
        ..template(&[slapd.url()], &format!("uid={{login}},{PEOPLE}"))
    };
    unavailable(&directory(&template), "member").await;
    assert_eq!((slapd.binds(""), slapd.searches("")), (0, 0));
}

#[tokio::test]
async fn a_wrong_password_is_one_failed_bind_whatever_the_number_of_servers() {
    let (first, second, third) = (slapd(), slapd(), slapd());
    let servers = [first.url(), second.url(), third.url()];
    let by_search = directory(&config(&servers));
    match sign_in(&by_search, "member", "wrong").await {
        Authentication::Refused {
            reason: Refusal::WrongPassword,
            detail,
        } => {
            assert_eq!(detail.as_deref(), Some("result 49"));
        }
        other => panic!("{other:?}"),
    }
    let by_template = directory(&template(&servers, &format!("uid={{login}},{PEOPLE}")));
    assert_eq!(refusal(&by_template, "o'brien", "wrong").await, Refusal::WrongPassword);
    let failed = |slapd: &Slapd| slapd.bind_results(49);
    assert_eq!((failed(&first), failed(&second), failed(&third)), (2, 0, 0));
    assert_eq!((first.binds("uid=member"), first.binds("uid=o'brien")), (1, 1));
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_does_not_answer() {
    let slapd = slapd();
    let (silent, closing) = (Listener::silent().await, Listener::closing().await);
    let garbage = Listener::answering(vec![0xff; 64]).await;
    let refused = format!("127.0.0.1:{}", free_port());
    let user_dn = format!("uid={{login}},{PEOPLE}");
    for dead in [format!("ldap://{refused}"), silent.url(), closing.url(), garbage.url()] {
        let servers = [dead.clone(), slapd.url()];
        for config in [config(&servers), template(&servers, &user_dn)] {
            let directory = directory(&config);
            let began = Instant::now();
            success(&directory, "member").await;
            assert!(began.elapsed() < TIMEOUT * 2, "{dead}");
            let health = directory.servers();
            assert!(
                !health[0].is_healthy && health[0].last_error.is_some() && health[1].is_healthy,
                "{dead}"
            );
            // The healthy one is kept: nobody waits for the dead one again.
            let began = Instant::now();
            success(&directory, "member").await;
            assert!(began.elapsed() < TIMEOUT, "{dead}");
        }
    }
    for dead in [
        format!("ldaps://{refused}"),
        silent.ldaps_url(),
        closing.ldaps_url(),
        garbage.ldaps_url(),
    ] {
        let config = DirectoryConfig {
            ca_file: Some(slapd.ca_file()),
            ..config(&[dead.clone(), slapd.ldaps_url()])
        };
        success(&directory(&config), "member").await;
    }
}

#[tokio::test]
async fn one_server_with_another_certificate_does_not_stop_the_others() {
    let (slapd, other) = (slapd(), slapd());
    let config = DirectoryConfig {
        ca_file: Some(slapd.ca_file()),
        allow_plaintext: false,
        ..config(&[other.ldaps_url(), slapd.ldaps_url()])
    };
    success(&directory(&config), "member").await;
    assert_eq!(other.binds(""), 0);
}

#[tokio::test]
async fn every_server_away_takes_one_timeout_each_and_is_no_refusal() {
    let (one, two) = (Listener::silent().await, Listener::silent().await);
    let directory = directory(&config(&[one.url(), two.url()]));
    let began = Instant::now();
    let error = unavailable(&directory, "member").await.to_string();
    assert!(began.elapsed() < TIMEOUT * 2 + Duration::from_millis(500));
    assert!(error.contains(&one.url()) && error.contains(&two.url()), "{error}");
    assert!(matches!(
        directory.look_up("member").await,
        LookUp::Unknown(DirectoryError::NoServer { .. })
    ));
}

/// Whether a piece of clear LDAP is the bind of somebody under [`PEOPLE`].
fn is_user_bind(piece: &[u8]) -> bool {
    let has = |needle: &[u8]| piece.windows(needle.len()).any(|w| w == needle);
    has(PEOPLE.as_bytes()) && has(PASSWORD.as_bytes())
}

#[tokio::test]
async fn a_bind_without_an_answer_is_not_sent_to_anybody_else() {
    let (first, second) = (slapd(), slapd());
    for action in [Action::Mute, Action::Close] {
        let rule = move |piece: &[u8]| if is_user_bind(piece) { action } else { Action::Forward };
        let proxy = Listener::proxy(first.address(), rule).await;
        let servers = [proxy.url(), second.url()];
        for config in [config(&servers), template(&servers, &format!("uid={{login}},{PEOPLE}"))] {
            let directory = directory(&config);
            let began = Instant::now();
            let error = unavailable(&directory, "member").await;
            assert!(matches!(error, DirectoryError::AfterBind(_)), "{error}");
            assert!(began.elapsed() < TIMEOUT + Duration::from_millis(500));
            assert_eq!(second.binds(PEOPLE), 0);
            assert!(!directory.servers()[0].is_healthy);
        }
    }
}

#[tokio::test]
async fn garbage_is_unavailable_and_breaks_nothing() {
    let answers: [&[u8]; 9] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0x00; 32],
        &[0xff; 300],
        // An empty message; one with only an id; a bind answer without content, with half a result, with text that is
        // no text; an answer to a search where a bind was asked; a control that is none.
        &[0x30, 0],
        &[0x30, 3, 2, 1, 1],
        &[0x30, 5, 2, 1, 1, 0x61, 0],
        &[0x30, 8, 2, 1, 1, 0x61, 3, 0x0a, 1, 0],
        &[0x30, 13, 2, 1, 1, 0x61, 8, 0x0a, 1, 0, 4, 1, 0xff, 4, 0],
        &[0x30, 16, 2, 1, 1, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0, 0xa0, 2, 0x04, 0],
    ];
    for answer in answers {
        let fake = Listener::answering(answer.to_vec()).await;
        for config in [
            config(&[fake.url()]),
            template(&[fake.url()], &format!("uid={{login}},{PEOPLE}")),
        ] {
            let directory = directory(&DirectoryConfig {
                timeout: Duration::from_millis(300),
                ..config
            });
            unavailable(&directory, "member").await;
            assert!(!directory.servers()[0].is_healthy);
        }
    }
}

#[tokio::test]
async fn an_idle_connection_that_died_costs_no_sign_in() {
    let mut slapd = slapd();
    let proxy = Listener::proxy(slapd.address(), |_| Action::Forward).await;
    let directory = directory(&DirectoryConfig {
        timeout: TIMEOUT * 2,
        ..config(&[proxy.url()])
    });
    success(&directory, "member").await;
    // Closed: the server was restarted.
    slapd.restart();
    success(&directory, "member").await;
    // Forgotten by a firewall: nothing comes back any more, and nobody says so.
    proxy.freeze_open_connections();
    tokio::time::sleep(Duration::from_millis(5500)).await;
    let began = Instant::now();
    success(&directory, "member").await;
    assert!(began.elapsed() < TIMEOUT * 2);
}

#[tokio::test]
async fn the_first_server_takes_its_place_again() {
    let (mut first, second) = (slapd(), slapd());
    let timeout = Duration::from_millis(700);
    let directory = directory(&DirectoryConfig {
        timeout,
        ..config(&[first.url(), second.url()])
    });
    first.stop();
    success(&directory, "member").await;
    assert!(!directory.servers()[0].is_healthy);
    first.restart();
    let deadline = Instant::now() + Duration::from_secs(20);
    while first.binds("uid=member") == 0 {
        assert!(Instant::now() < deadline, "the first server is not used again");
        success(&directory, "member").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(directory.servers()[0].is_healthy);
}

#[tokio::test]
async fn a_burst_of_sign_ins_shares_the_service_connection_and_never_a_bind() {
    let slapd = slapd();
    let directory = Arc::new(directory(&DirectoryConfig {
        timeout: Duration::from_secs(20),
        ..config(&[slapd.url()])
    }));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..40 {
        let directory = Arc::clone(&directory);
        tasks.spawn(async move {
            let (login, password) = if i % 2 == 0 {
                ("member", PASSWORD)
            } else {
                ("comma", "wrong")
            };
            (i % 2 == 0, sign_in(&directory, login, password).await)
        });
    }
    let mut locked = 0;
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            (true, Authentication::Success { person, .. }) => {
                assert_eq!(person.attributes.login.as_deref(), Some("member"))
            }
            (
                false,
                Authentication::Refused {
                    reason: Refusal::WrongPassword,
                    ..
                },
            ) => {}
            (
                false,
                Authentication::Refused {
                    reason: Refusal::Locked,
                    ..
                },
            ) => locked += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(locked > 0, "the directory's own lock-out is heard");
    assert!((1..=4).contains(&slapd.binds(READER)), "a few connections serve all");
    assert_eq!(slapd.binds("uid=member"), 20);
}
