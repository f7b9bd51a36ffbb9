//! The LDAP client against a real Active Directory (Samba).

use std::time::Duration;

use doorward::config::DirectoryConfig;
use doorward::directory::{Authentication, CheckOutcome, Directory, LookUp, Person, Refusal};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::{directory, sign_in, slapd};
use crate::support::active_directory::{ActiveDirectory, DOMAIN, NETBIOS, PASSWORD, SUFFIX, User};

const BY_LOGIN: &str = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={login}))";

/// Search then bind over LDAPS; what a test is about, it changes.
fn config(ad: &ActiveDirectory) -> DirectoryConfig {
    let json = serde_json::json!({
        "servers": [ad.ldaps_url()], "ca_file": ad.ca_file(), "base": [SUFFIX], "filter": BY_LOGIN,
        "bind_dn": ad.reader().upn(), "bind_password": PASSWORD,
        // One server for all tests, and twenty new connections a second at best.
        "timeout": "30s",
    });
    serde_json::from_value(json).unwrap()
}

/// Bind straight by a template, without a service account.
fn template(ad: &ActiveDirectory, user_dn: &str) -> DirectoryConfig {
    DirectoryConfig {
        user_dn: Some(user_dn.to_owned()),
        bind_dn: None,
        bind_password: None,
        ..config(ad)
    }
}

/// By a search, and by each kind of template.
fn every_way(ad: &ActiveDirectory) -> Vec<Directory> {
    let by_principal_name = format!("(&(objectClass=user)(userPrincipalName={{login}}@{DOMAIN}))");
    let configs = [
        config(ad),
        DirectoryConfig {
            filter: by_principal_name.clone(),
            ..config(ad)
        },
        template(ad, &format!("{{login}}@{DOMAIN}")),
        DirectoryConfig {
            filter: by_principal_name,
            ..template(ad, &format!("{NETBIOS}\\{{login}}"))
        },
        // The entries of these tests are not called by their logins.
        DirectoryConfig {
            filter: "(&(objectClass=user)(cn={login}))".to_owned(),
            base: vec![ad.ou().to_owned()],
            ..template(ad, &format!("CN={{login}},{}", ad.ou()))
        },
    ];
    configs.iter().map(directory).collect()
}

/// How each of [`every_way`] calls somebody.
fn logins(user: &User) -> [&str; 5] {
    let name = user.dn.strip_prefix("CN=").unwrap().split_once(',').unwrap().0;
    [&user.login, &user.login, &user.login, &user.login, name]
}

async fn person(directory: &Directory, login: &str) -> Person {
    match sign_in(directory, login, PASSWORD).await {
        Authentication::Success { person, .. } => *person,
        other => panic!("{login}: {other:?}"),
    }
}

/// Those of the person's groups that the test made, in order: everybody is in Domain Users too.
fn groups(ad: &ActiveDirectory, person: &Person) -> Vec<String> {
    let mut groups = person.groups.clone();
    groups.retain(|group| group.ends_with(ad.ou()));
    groups.sort();
    groups
}

/// The reason and the detail.
async fn refused(directory: &Directory, login: &str, password: &str) -> (Refusal, String) {
    match sign_in(directory, login, password).await {
        Authentication::Refused { reason, detail } => (reason, detail.unwrap_or_default()),
        other => panic!("{login:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_person_signs_in_in_every_way() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    for (attribute, value) in [
        ("givenName", "Zo\u{eb}"),
        ("sn", "Sample"),
        ("telephoneNumber", "+49 30 1234"),
        ("preferredLanguage", "de"),
    ] {
        ad.set(&member.dn, attribute, &[value]);
    }
    let its_groups = [ad.group("admins"), ad.group("staff, all")];
    for group in &its_groups {
        ad.add_members(group, &[&member.dn]);
    }
    for (directory, login) in every_way(&ad).iter().zip(logins(&member)) {
        let person = person(directory, login).await;
        assert_eq!(person.dn, member.dn);
        assert_eq!(person.external_id, Some(ad.object_guid(&member)));
        assert_eq!(groups(&ad, &person), its_groups);
        let a = &person.attributes;
        assert_eq!(a.login.as_deref(), Some(&*member.login));
        assert_eq!(
            (a.first_name.as_deref(), a.last_name.as_deref()),
            (Some("Zo\u{eb}"), Some("Sample"))
        );
        assert_eq!(a.email, Some(member.upn()), "without mail, the principal name");
        assert_eq!(
            (a.phone.as_deref(), a.language.as_deref()),
            (Some("+49 30 1234"), Some("de"))
        );
    }
    assert_eq!(ad.failed_binds(&member), 0);
}

#[tokio::test]
async fn capitals_are_no_other_person() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    for (directory, login) in every_way(&ad).iter().zip(logins(&member)) {
        assert_eq!(person(directory, &login.to_uppercase()).await.dn, member.dn);
    }
}

#[tokio::test]
async fn the_id_stays_with_the_person() {
    let ad = ActiveDirectory::new();
    let directory = directory(&config(&ad));
    let mut member = ad.user("member");
    let group = ad.group("admins");
    ad.add_members(&group, &[&member.dn]);
    let before = person(&directory, &member.login).await;
    let elsewhere = ad.inner_ou("elsewhere");

    ad.rename(&mut member, "Smith, \"Jo\" (ops) *");
    let renamed = person(&directory, &member.login).await;
    assert_eq!(renamed.dn, member.dn);
    ad.move_to(&mut member, &elsewhere);
    let moved = person(&directory, &member.login).await;
    assert_eq!(moved.dn, member.dn);
    let old_login = member.login.clone();
    ad.change_login(&mut member, "jo");
    let called = person(&directory, &member.login).await;
    assert_eq!(refused(&directory, &old_login, PASSWORD).await.0, Refusal::UnknownUser);

    for after in [renamed, moved, called] {
        assert_ne!(after.dn, before.dn);
        assert_eq!(after.external_id, before.external_id);
        assert_eq!(groups(&ad, &after), std::slice::from_ref(&group));
    }
    ad.remove_members(&group, &[&member.dn]);
    assert!(groups(&ad, &person(&directory, &member.login).await).is_empty());
    // Whoever comes after under the same login is somebody else.
    ad.delete(&member.dn);
    assert_eq!(
        refused(&directory, &member.login, PASSWORD).await.0,
        Refusal::UnknownUser
    );
    let successor = ad.user_in(&elsewhere, "jo");
    assert_eq!(successor.login, member.login);
    assert_ne!(
        person(&directory, &successor.login).await.external_id,
        before.external_id
    );
}

#[tokio::test]
async fn every_reason_of_the_domain_is_heard() {
    type Change = fn(&ActiveDirectory, &User);
    let cases: [(&str, Refusal, Change); 7] = [
        ("530", Refusal::NotAllowed, ActiveDirectory::forbid_all_hours),
        ("531", Refusal::NotAllowed, ActiveDirectory::forbid_this_workstation),
        ("532", Refusal::PasswordExpired, ActiveDirectory::expire_password),
        ("533", Refusal::Disabled, ActiveDirectory::disable),
        ("701", Refusal::Disabled, ActiveDirectory::expire_account),
        (
            "773",
            Refusal::PasswordMustChange,
            ActiveDirectory::must_change_password,
        ),
        ("775", Refusal::Locked, ActiveDirectory::lock),
    ];
    let ad = ActiveDirectory::new();
    let ways = every_way(&ad);
    for (sub_code, reason, change) in cases {
        let user = ad.user(&format!("user{sub_code}"));
        person(&ways[0], &user.login).await;
        change(&ad, &user);
        for (directory, login) in ways.iter().zip(logins(&user)) {
            assert_eq!(
                refused(directory, login, PASSWORD).await,
                (reason, format!("result 49, data {sub_code}"))
            );
        }
        // Only a right password brings the reason to light; a lock-out alone holds for every password.
        let (reason, detail) = refused(&ways[0], &user.login, "wrong").await;
        if sub_code == "775" {
            assert_eq!((reason, &*detail), (Refusal::Locked, "result 49, data 775"));
        } else {
            assert_eq!(
                (reason, &*detail),
                (Refusal::WrongPassword, "result 49, data 52e"),
                "{sub_code}"
            );
        }
    }
    let enabled = ad.user("enabled");
    ad.disable(&enabled);
    ad.enable(&enabled);
    person(&ways[0], &enabled.login).await;
}

#[tokio::test]
async fn one_wrong_password_is_one_failed_bind() {
    let ad = ActiveDirectory::new();
    let two_servers = |config: DirectoryConfig| DirectoryConfig {
        servers: vec![ad.ldaps_url(), ad.catalogue_url()],
        ..config
    };
    let by_template = template(&ad, &format!("{{login}}@{DOMAIN}"));
    let configs = [
        config(&ad),
        by_template.clone(),
        two_servers(config(&ad)),
        two_servers(by_template),
    ];
    for (i, config) in configs.iter().enumerate() {
        let user = ad.user(&format!("user{i}"));
        let directory = directory(config);
        assert_eq!(
            refused(&directory, &user.login, "wrong").await,
            (Refusal::WrongPassword, "result 49, data 52e".to_owned())
        );
        assert_eq!(ad.failed_binds(&user), 1, "{i}");
        assert_eq!(refused(&directory, &user.login, "").await.0, Refusal::WrongPassword);
        assert_eq!(ad.failed_binds(&user), 1, "an empty password is not sent");
        person(&directory, &user.login).await;
        assert_eq!(ad.failed_binds(&user), 0, "the right one is, and ends the count");
    }
}

#[tokio::test]
async fn without_tls_the_domain_is_unavailable_and_counts_nothing() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    let in_clear = |config: DirectoryConfig| DirectoryConfig {
        servers: vec![ad.url()],
        allow_plaintext: true,
        ..config
    };
    for config in [config(&ad), template(&ad, &format!("{{login}}@{DOMAIN}"))] {
        let directory = directory(&in_clear(config));
        for password in [PASSWORD, "wrong"] {
            match sign_in(&directory, &member.login, password).await {
                Authentication::Unavailable(error) => assert!(error.to_string().contains("result 8 "), "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((ad.failed_binds(&member), ad.failed_binds(ad.reader())), (0, 0));
}

#[tokio::test]
async fn starttls_is_as_good_as_ldaps() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    let upgraded = |config: DirectoryConfig| DirectoryConfig {
        servers: vec![ad.url()],
        start_tls: true,
        ..config
    };
    for config in [config(&ad), template(&ad, &format!("{{login}}@{DOMAIN}"))] {
        let directory = directory(&upgraded(config));
        assert_eq!(person(&directory, &member.login).await.dn, member.dn);
        assert_eq!(
            refused(&directory, &member.login, "wrong").await.0,
            Refusal::WrongPassword
        );
    }
}

#[tokio::test]
async fn check_goes_through_and_names_the_step_that_fails() {
    let ad = ActiveDirectory::new();
    let folder = tempfile::tempdir().unwrap();
    let wrong_ca = folder.path().join("ca.pem");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&KeyPair::generate().unwrap()).unwrap();
    std::fs::write(&wrong_ca, authority.pem()).unwrap();

    let good = config(&ad);
    let wrong = |change: &dyn Fn(&mut DirectoryConfig)| {
        let mut config = good.clone();
        change(&mut config);
        config
    };
    let cases = [
        (None, good.clone()),
        (Some(("TLS", "ca_file")), wrong(&|c| c.ca_file = Some(wrong_ca.clone()))),
        (
            Some(("service bind", "data 52e")),
            wrong(&|c| c.bind_password = Some("wrong".into())),
        ),
        (
            Some(("base", "result 32 ")),
            wrong(&|c| c.base = vec![format!("OU=missing,{SUFFIX}")]),
        ),
    ];
    for (expected, config) in cases {
        let steps = directory(&config).check().await;
        let failed = steps.iter().find(|step| step.outcome == CheckOutcome::Failed);
        match (expected, failed) {
            (None, None) => {}
            (Some((name, text)), Some(step)) => {
                assert!(step.name == name && step.detail.contains(text), "{steps:?}");
            }
            _ => panic!("{steps:?}"),
        }
    }
}

#[tokio::test]
async fn a_look_up_tells_absent_from_unknown() {
    let ad = ActiveDirectory::new();
    let found = directory(&config(&ad));
    let member = ad.user("member");
    match found.look_up(&member.login).await {
        LookUp::Found(person) => assert_eq!(person.external_id, Some(ad.object_guid(&member))),
        other => panic!("{other:?}"),
    }
    ad.delete(&member.dn);
    assert!(matches!(found.look_up(&member.login).await, LookUp::Absent));
    let missing = directory(&DirectoryConfig {
        base: vec![format!("OU=missing,{SUFFIX}")],
        ..config(&ad)
    });
    assert!(matches!(missing.look_up(&member.login).await, LookUp::Unknown(_)));
    // Without an account the domain does not let anybody search: that is no answer about the person either.
    let anonymous = directory(&DirectoryConfig {
        bind_dn: None,
        bind_password: None,
        ..config(&ad)
    });
    assert!(matches!(anonymous.look_up(&member.login).await, LookUp::Unknown(_)));
}

#[tokio::test]
async fn hostile_logins_are_nobody_and_count_for_nobody() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    let login = &member.login;
    let hostile = [
        "*".to_owned(),
        format!("{login}*"),
        format!("{login})(objectClass=*"),
        format!("*)(|(sAMAccountName={login}"),
        format!("{login}\\"),
        format!("{NETBIOS}\\{login}"),
        format!("{login}@{DOMAIN}"),
        format!("{login},{}", ad.ou()),
        format!("member+sAMAccountName={login}"),
        member.dn.clone(),
        format!("<GUID={}>", ad.object_guid(&member)),
        "{login}".to_owned(),
        " ".to_owned(),
        "#".to_owned(),
    ];
    for directory in every_way(&ad) {
        for login in &hostile {
            let (reason, _) = refused(&directory, login, PASSWORD).await;
            // Samba does not tell a wrong name from a wrong password.
            assert!(
                matches!(reason, Refusal::UnknownUser | Refusal::WrongPassword),
                "{login:?}: {reason:?}"
            );
        }
    }
    assert_eq!(ad.failed_binds(&member), 0);
}

#[tokio::test]
async fn a_person_out_of_the_filter_or_the_base_does_not_get_in() {
    let ad = ActiveDirectory::new();
    let (member, outsider) = (ad.user("member"), ad.user("outsider"));
    let (inner, group) = (ad.inner_ou("inner"), ad.group("staff"));
    ad.add_members(&group, &[&member.dn]);
    let narrow = format!("(&(objectClass=user)(sAMAccountName={{login}})(memberOf={group}))");
    for config in [config(&ad), template(&ad, &format!("{{login}}@{DOMAIN}"))] {
        let filtered = directory(&DirectoryConfig {
            filter: narrow.clone(),
            ..config.clone()
        });
        assert_eq!(person(&filtered, &member.login).await.dn, member.dn);
        assert_eq!(
            refused(&filtered, &outsider.login, PASSWORD).await.0,
            Refusal::UnknownUser
        );
        let elsewhere = directory(&DirectoryConfig {
            base: vec![inner.clone()],
            ..config
        });
        assert_eq!(
            refused(&elsewhere, &member.login, PASSWORD).await.0,
            Refusal::UnknownUser
        );
    }
}

#[tokio::test]
async fn a_domain_that_is_away_is_not_the_end_of_another_server() {
    let ad = ActiveDirectory::new();
    let member = ad.user("member");
    let mut away = slapd();
    let servers = vec![away.ldaps_url(), ad.ldaps_url()];
    away.stop();
    let directory = directory(&DirectoryConfig {
        servers,
        timeout: Duration::from_secs(20),
        ..config(&ad)
    });
    assert_eq!(
        refused(&directory, &member.login, "wrong").await.0,
        Refusal::WrongPassword
    );
    assert_eq!(ad.failed_binds(&member), 1);
    person(&directory, &member.login).await;
}
