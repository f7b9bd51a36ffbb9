//! Who signs in, who does not, and what is read about them.

use std::time::Duration;

use doorward::config::{DirectoryConfig, GroupSource};
use doorward::directory::{Authentication, DirectoryError, LookUp, PasswordExpiry, Refusal};
use doorward::domain::clock::{Clock, SystemClock};

use super::{config, directory, refusal, sign_in, slapd, success, template};
use crate::support::slapd::{PASSWORD, PEOPLE, READER, SUFFIX, Slapd, SlapdOptions, person};

#[tokio::test]
async fn a_person_signs_in_and_is_read() {
    let slapd = slapd();
    let directory = directory(&config(&[slapd.url()]));
    let member = success(&directory, "member").await;
    assert_eq!(member.dn, format!("uid=member,{PEOPLE}"));
    assert_eq!(member.external_id.as_deref().map(str::len), Some(36));
    let a = &member.attributes;
    assert_eq!(a.login.as_deref(), Some("member"));
    assert_eq!(
        (a.first_name.as_deref(), a.last_name.as_deref()),
        (Some("Given"), Some("Sample"))
    );
    assert_eq!(a.email.as_deref(), Some("member@example.org"));
    assert_eq!(
        (a.phone.as_deref(), a.language.as_deref()),
        (Some("+49 30 1234"), Some("de"))
    );
    let mut groups = member.groups;
    groups.sort();
    assert_eq!(
        groups,
        [
            format!("cn=admins,ou=groups,{SUFFIX}"),
            format!("cn=staff,ou=groups,{SUFFIX}")
        ]
    );
    assert_eq!(
        success(&directory, "o'brien").await.attributes.login.as_deref(),
        Some("o'brien")
    );
    let health = &directory.servers()[0];
    assert!(health.is_healthy && health.last_error.is_none() && health.last_checked_at.is_some());
    assert_eq!(slapd.binds(READER), 1, "one service connection is shared");
}

#[tokio::test]
async fn an_empty_password_never_reaches_a_server() {
    let slapd = slapd();
    for config in [
        config(&[slapd.url()]),
        template(&[slapd.url()], &format!("uid={{login}},{PEOPLE}")),
    ] {
        assert_eq!(refusal(&directory(&config), "member", "").await, Refusal::WrongPassword);
    }
    assert_eq!((slapd.binds(""), slapd.searches("")), (0, 0));
}

#[tokio::test]
async fn nobody_and_two_are_both_refused() {
    let slapd = slapd();
    let directory = directory(&config(&[slapd.url()]));
    assert_eq!(refusal(&directory, "stranger", PASSWORD).await, Refusal::UnknownUser);
    assert_eq!(refusal(&directory, "", PASSWORD).await, Refusal::UnknownUser);
    assert_eq!(refusal(&directory, "twin", PASSWORD).await, Refusal::NotAllowed);
    assert_eq!(slapd.binds(PEOPLE), 0);
}

#[tokio::test]
async fn a_size_limit_of_the_server_does_not_make_two_people_one() {
    let conf = "sizelimit 1\n".to_owned();
    let slapd = Slapd::start(SlapdOptions {
        extra_conf: conf,
        ..SlapdOptions::default()
    });
    let directory = directory(&config(&[slapd.url()]));
    assert_eq!(refusal(&directory, "twin", PASSWORD).await, Refusal::NotAllowed);
    success(&directory, "member").await;
}

#[tokio::test]
async fn hostile_logins_are_nobody() {
    let slapd = slapd();
    let long = "x".repeat(1024);
    let hostile = [
        "*",
        "m*",
        "member*",
        ")(uid=*",
        "*)(uid=*))(|(uid=*",
        "member)(&)",
        "\\",
        "\\2a",
        "member\\",
        "a\0",
        "member\0",
        "\0member",
        &long,
        "member,ou=people",
        "member+cn=member",
        "#x",
        "=",
        " ",
        "\"",
        "<>;",
        "{login}",
        "{dn}",
        "cn=reader,dc=example,dc=org",
        "\u{202e}member",
        "\r\nmember",
    ];
    let by_search = directory(&config(&[slapd.url()]));
    let by_template = directory(&template(&[slapd.url()], &format!("uid={{login}},{PEOPLE}")));
    for login in hostile {
        assert_eq!(
            refusal(&by_search, login, PASSWORD).await,
            Refusal::UnknownUser,
            "{login:?}"
        );
        let reason = refusal(&by_template, login, PASSWORD).await;
        // slapd does not tell a wrong name from a wrong password.
        assert!(
            matches!(reason, Refusal::WrongPassword | Refusal::UnknownUser),
            "{login:?}: {reason:?}"
        );
    }
}

#[tokio::test]
async fn every_legal_dn_signs_in_and_finds_its_groups() {
    use base64::Engine as _;
    // Everybody with a name that takes escaping, as RFC 4514 writes it.
    let names = [
        ("comma", "cn=Smith\\, Jo"),
        ("plus", "cn=plus\\+plus"),
        ("quote", "cn=\\\"quoted\\\""),
        ("backslash", "cn=back\\\\slash"),
        ("brackets", "cn=round (brackets) *"),
        ("leading", "cn=\\ leading"),
        ("hash", "cn=\\#hash=equals"),
        ("zo\u{eb}", "cn=Zo\u{eb} \u{41b}\u{435}\u{432}"),
        ("multi", "cn=one+sn=two"),
        ("a,a", "uid=a\\2ca"),
    ];
    let mut group = format!("dn: cn=named,ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: named\n");
    for (_, name) in names {
        let member = base64::engine::general_purpose::STANDARD.encode(format!("{name},{PEOPLE}"));
        group += &format!("member:: {member}\n");
    }
    let slapd = Slapd::start(SlapdOptions {
        extra_ldif: group + "\n",
        ..SlapdOptions::default()
    });
    let by_entry = config(&[slapd.url()]);
    let mut by_search = by_entry.clone();
    by_search.groups.from = GroupSource::Search;
    by_search.groups.base = vec![format!("ou=groups,{SUFFIX}")];
    for config in [by_entry, by_search] {
        let directory = directory(&config);
        for (login, _) in names {
            let mut groups = success(&directory, login).await.groups;
            groups.sort();
            let mut expected = vec![format!("cn=named,ou=groups,{SUFFIX}")];
            if login == "comma" {
                expected.push(format!("cn=staff,ou=groups,{SUFFIX}"));
            }
            assert_eq!(groups, expected, "{login}");
        }
    }
}

#[tokio::test]
async fn many_groups_come_page_by_page() {
    let mut ldif = String::new();
    for i in 0..1100 {
        ldif += &format!(
            "dn: cn=g{i},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: g{i}\nmember: uid=o'brien,{PEOPLE}\n\n"
        );
    }
    let limit = "limits dn.exact=\"cn=reader,dc=example,dc=org\" size.soft=500 size.hard=500 size.prtotal=unlimited\n";
    let slapd = Slapd::start(SlapdOptions {
        extra_ldif: ldif,
        extra_conf: limit.to_owned(),
        ..SlapdOptions::default()
    });
    let mut config = config(&[slapd.url()]);
    config.groups.from = GroupSource::Search;
    config.groups.base = vec![format!("ou=groups,{SUFFIX}")];
    // How long a busy machine takes for three pages is not what this is about.
    config.timeout = Duration::from_secs(30);
    assert_eq!(success(&directory(&config), "o'brien").await.groups.len(), 1100);
}

#[tokio::test]
async fn a_dn_template_escapes_and_reads_the_person_with_their_own_connection() {
    let slapd = slapd();
    let directory = directory(&template(&[slapd.url()], &format!("uid={{login}},{PEOPLE}")));
    let member = success(&directory, "member").await;
    assert_eq!((member.groups.len(), member.external_id.is_some()), (2, true));
    assert_eq!(
        success(&directory, "a,a").await.attributes.login.as_deref(),
        Some("a,a")
    );
    assert_eq!(slapd.binds(READER), 0);
    match directory.look_up("member").await {
        LookUp::Unknown(DirectoryError::NoLookUp { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_filter_holds_for_a_template_too() {
    let slapd = slapd();
    let mut narrow = template(&[slapd.url()], &format!("uid={{login}},{PEOPLE}"));
    narrow.filter = "(&(uid={login})(mail=*))".to_owned();
    let narrow = directory(&narrow);
    success(&narrow, "member").await;
    assert_eq!(refusal(&narrow, "a,a", PASSWORD).await, Refusal::UnknownUser);
    // The right password of one entry must not sign in as the other entry that the filter finds.
    let crossed = directory(&template(&[slapd.url()], &format!("uid={{login}},ou=others,{SUFFIX}")));
    assert_eq!(refusal(&crossed, "impostor", PASSWORD).await, Refusal::UnknownUser);
    assert_eq!(slapd.bind_results(0), 3);
}

#[tokio::test]
async fn a_principal_name_template_refuses_what_would_change_its_meaning() {
    let slapd = slapd();
    let directory = directory(&template(&[slapd.url()], "{login}@corp.example"));
    for login in ["a@b", "CORP\\a", "a\0", "a\n"] {
        assert_eq!(
            refusal(&directory, login, PASSWORD).await,
            Refusal::UnknownUser,
            "{login:?}"
        );
    }
    assert_eq!(slapd.binds(""), 0);
    // slapd takes DNs only: the name arrives as it should, and is refused as no DN.
    assert_eq!(refusal(&directory, "member", PASSWORD).await, Refusal::UnknownUser);
}

#[tokio::test]
async fn the_password_policy_is_heard() {
    let slapd = slapd();
    let directory = directory(&config(&[slapd.url()]));
    assert_eq!(refusal(&directory, "locked", PASSWORD).await, Refusal::Locked);
    assert_eq!(
        refusal(&directory, "reset", PASSWORD).await,
        Refusal::PasswordMustChange
    );
    assert_eq!(refusal(&directory, "reset", "wrong").await, Refusal::WrongPassword);
    assert_eq!(refusal(&directory, "expired", PASSWORD).await, Refusal::PasswordExpired);
    let PasswordExpiry::At(expires_at) = success(&directory, "warned").await.password_expiry else {
        panic!("the directory warns");
    };
    assert!(expires_at > SystemClock.now());
    assert_eq!(
        success(&directory, "member").await.password_expiry,
        PasswordExpiry::Never
    );
    for _ in 0..3 {
        assert_eq!(refusal(&directory, "o'brien", "wrong").await, Refusal::WrongPassword);
    }
    assert_eq!(refusal(&directory, "o'brien", PASSWORD).await, Refusal::Locked);
}

#[tokio::test]
async fn a_look_up_tells_absent_from_unknown() {
    let mut slapd = slapd();
    let directory_with = |base: &str| {
        directory(&DirectoryConfig {
            base: vec![PEOPLE.to_owned(), base.to_owned()],
            ..config(&[slapd.url()])
        })
    };
    let good = directory_with(&format!("ou=others,{SUFFIX}"));
    match good.look_up("member").await {
        LookUp::Found(person) => assert_eq!(person.groups.len(), 2),
        other => panic!("{other:?}"),
    }
    assert!(matches!(good.look_up("stranger").await, LookUp::Absent));
    assert!(matches!(good.look_up("twin").await, LookUp::Ambiguous));
    let overlapping = directory_with(SUFFIX);
    assert!(
        matches!(overlapping.look_up("member").await, LookUp::Found(_)),
        "one entry seen twice is one"
    );
    for base in [
        format!("ou=missing,{SUFFIX}"),
        format!("ou=hidden,{SUFFIX}"),
        "dc=elsewhere,dc=test".to_owned(),
    ] {
        let directory = directory_with(&base);
        assert!(
            matches!(
                directory.look_up("stranger").await,
                LookUp::Unknown(DirectoryError::Answer { .. })
            ),
            "{base}"
        );
        assert!(
            matches!(
                sign_in(&directory, "stranger", PASSWORD).await,
                Authentication::Unavailable(_)
            ),
            "{base}"
        );
    }
    slapd.stop();
    assert!(matches!(
        good.look_up("stranger").await,
        LookUp::Unknown(DirectoryError::NoServer { .. })
    ));
    assert_eq!(slapd.binds("uid="), 0);
}

#[tokio::test]
async fn an_anonymous_search_works_where_the_directory_permits_it() {
    let ldif = person(&format!("uid=open,ou=others,{SUFFIX}"), "open", "");
    let slapd = Slapd::start(SlapdOptions {
        extra_ldif: ldif,
        is_public: true,
        ..SlapdOptions::default()
    });
    let config = DirectoryConfig {
        bind_dn: None,
        bind_password: None,
        base: vec![SUFFIX.to_owned()],
        ..config(&[slapd.url()])
    };
    let directory = directory(&config);
    success(&directory, "open").await;
    assert!(matches!(directory.look_up("stranger").await, LookUp::Absent));
    assert_eq!(slapd.binds(READER), 0);
}
