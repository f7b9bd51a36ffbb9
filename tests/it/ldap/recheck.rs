//! Those who are signed in are looked up again; who fell out is signed out, and an outage signs nobody out.

use std::time::Duration;

use doorward::config::DirectoryConfig;
use serde_json::json;

use super::{Company, is_signed_in, look, mapping, names, until};
use crate::support::gateway::{Backend, on_both_stores};
use crate::support::mongod::fresh_database;
use crate::support::process::{Doorward, graphql_as};
use crate::support::slapd::{PASSWORD, PEOPLE, READER, READER_PASSWORD, SUFFIX, Slapd, SlapdOptions};

on_both_stores!(
    alone;
    whoever_leaves_the_required_group_is_signed_out_and_comes_back_with_it,
    changes_of_groups_and_names_come_without_a_sign_in,
    an_outage_signs_nobody_out_before_its_time,
    a_missing_base_is_no_absence,
    without_a_service_account_sessions_end_after_recheck,
    whoever_left_is_refused_within_recheck_and_one_timeout,
);

const RECHECK: Duration = Duration::from_secs(60);

fn quickly(section: &mut DirectoryConfig) {
    section.recheck = RECHECK;
    section.timeout = Duration::from_secs(2);
}

/// The worker looks every eighth of `recheck` in real time, which these tests would wait for; so the interval is short, and the
/// clock, which only says who is due, is moved.
fn soon(section: &mut DirectoryConfig) {
    quickly(section);
    section.recheck = Duration::from_secs(1);
}

async fn whoever_leaves_the_required_group_is_signed_out_and_comes_back_with_it(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        soon(section);
        section.filter = format!("(&(uid={{login}})(memberOf=cn=staff,ou=groups,{SUFFIX}))");
    })
    .await;
    company.ldap_user("member").await;
    company.ldap_user("comma").await;
    let master = company.master().await;
    let (member, other) = (company.sign_in("member").await, company.sign_in("comma").await);
    company.slapd.modify(&format!(
        "dn: cn=staff,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\nmember: uid=member,{PEOPLE}\n"
    ));
    company.gateway.wait(Duration::from_secs(1));
    until("the session ends", async || !is_signed_in(&member).await).await;
    assert!(is_signed_in(&other).await, "who is still there is not");
    let user = look(&master, "member").await;
    assert_eq!(
        (&user["status"], &user["disabledBy"]),
        (&json!("DISABLED"), &json!("DIRECTORY"))
    );
    let log = "{ auditLog(filter: { action: \"recheckUser\" }) { nodes { actor targetName } } }";
    let entry = json!([{ "actor": "directory corp", "targetName": "member@acme" }]);
    assert_eq!(master.data(log).await["auditLog"]["nodes"], entry);
    assert_eq!(
        company.refusal("member").await,
        "WRONG_CREDENTIALS",
        "not in the required group"
    );

    company.slapd.modify(&format!(
        "dn: cn=staff,ou=groups,{SUFFIX}\nchangetype: modify\nadd: member\nmember: uid=member,{PEOPLE}\n"
    ));
    company.sign_in("member").await;
    assert_eq!(
        look(&master, "member").await["status"],
        json!("ACTIVE"),
        "what the directory disabled it enables"
    );

    // Whom a person disabled the directory does not enable.
    let id = json!({ "id": look(&master, "member").await["id"] });
    master.mutate("disableUser", id, "user { id }").await;
    assert_eq!(company.refusal("member").await, "DISABLED");
}

async fn changes_of_groups_and_names_come_without_a_sign_in(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        soon(section);
        section.mappings = vec![mapping(
            json!({ "group": format!("cn=admins,ou=groups,{SUFFIX}"), "roles": ["Support"] }),
        )];
    })
    .await;
    company.gateway.role(&company.acme, "Support", &["users:read"]).await;
    company.ldap_user("member").await;
    let master = company.master().await;
    let member = company.sign_in("member").await;
    assert_eq!(names(&look(&master, "member").await["roles"]), ["Support"]);
    company
        .slapd
        .modify(&format!("dn: cn=admins,ou=groups,{SUFFIX}\nchangetype: delete\n"));
    company.slapd.modify(&format!(
        "dn: uid=member,{PEOPLE}\nchangetype: modify\nreplace: sn\nsn: Renamed\n"
    ));
    company.gateway.wait(Duration::from_secs(1));
    until("the role goes", async || {
        names(&look(&master, "member").await["roles"]).is_empty()
    })
    .await;
    assert_eq!(look(&master, "member").await["lastName"], json!("Renamed"));
    let viewer = member.data("{ viewer { permissions } }").await;
    assert_eq!(
        viewer["viewer"]["permissions"],
        json!([]),
        "the session goes on with what is left"
    );
}

async fn an_outage_signs_nobody_out_before_its_time(backend: Backend) {
    let mut company = Company::start_with(backend, SlapdOptions::default(), |section| {
        soon(section);
        section.outage_grace = Duration::from_secs(3600);
    })
    .await;
    company.ldap_user("member").await;
    let token = company.sign_in("member").await.token.clone().unwrap();
    company.slapd.stop();
    // The grace begins when the directory first does not answer.
    company.gateway.wait(Duration::from_secs(2));
    let is_away = async || !company.gateway.services.directories["corp"].servers()[0].is_healthy;
    until("that is noticed", is_away).await;
    company.gateway.wait(Duration::from_secs(1800));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        is_signed_in(&company.gateway.with_token(&token)).await,
        "half of the grace"
    );
    company.gateway.wait(Duration::from_secs(1801));
    let asker = company.gateway.with_token(&token);
    until("the grace is over", async || !is_signed_in(&asker).await).await;
    let login = "member".to_owned().try_into().unwrap();
    let user = company
        .gateway
        .services
        .store
        .user_by_login(company.acme.id, &login)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        user.status,
        doorward::domain::user::UserStatus::Active,
        "nobody is disabled by an outage"
    );
    company.slapd.restart();
    company.sign_in("member").await;
}

async fn a_missing_base_is_no_absence(backend: Backend) {
    // The base is there at the sign-in, and gone afterwards: everybody with it.
    let other = format!("dn: ou=branch,{SUFFIX}\nobjectClass: organizationalUnit\nou: branch\n\n");
    let somebody = crate::support::slapd::person(&format!("uid=remote,ou=branch,{SUFFIX}"), "remote", "");
    let options = SlapdOptions {
        extra_ldif: other + &somebody,
        ..SlapdOptions::default()
    };
    let company = Company::start_with(backend, options, |section| {
        soon(section);
        section.base = vec![format!("ou=branch,{SUFFIX}")];
    })
    .await;
    company.ldap_user("remote").await;
    let remote = company.sign_in("remote").await;
    company.slapd.modify(&format!(
        "dn: uid=remote,ou=branch,{SUFFIX}\nchangetype: delete\n\ndn: ou=branch,{SUFFIX}\nchangetype: delete\n"
    ));
    company.gateway.wait(Duration::from_secs(2));
    let searches = company.slapd.searches("entryUUID=");
    until("it was asked", async || {
        company.slapd.searches("entryUUID=") > searches + 1
    })
    .await;
    assert!(is_signed_in(&remote).await);
}

async fn without_a_service_account_sessions_end_after_recheck(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        quickly(section);
        section.user_dn = Some(format!("uid={{login}},{PEOPLE}"));
        (section.bind_dn, section.bind_password) = (None, None);
    })
    .await;
    company.ldap_user("member").await;
    let member = company.sign_in("member").await;
    company.gateway.wait(RECHECK - Duration::from_secs(1));
    assert!(is_signed_in(&member).await);
    company.gateway.wait(Duration::from_secs(2));
    assert!(!is_signed_in(&member).await);
}

/// With a real clock and real processes, two of them over one MongoDB, the first of which is killed.
async fn whoever_left_is_refused_within_recheck_and_one_timeout(backend: Backend) {
    tokio::task::spawn_blocking(move || {
        const RECHECK: Duration = Duration::from_secs(4);
        const TIMEOUT: Duration = Duration::from_secs(1);
        let slapd = Slapd::start(SlapdOptions::default());
        let database = (backend == Backend::Mongo).then(fresh_database);
        let doorward = match &database {
            Some(database) => Doorward::over(&database.url),
            None => Doorward::new(),
        };
        let section = format!(
            "[directories.corp]\nservers = [\"{}\"]\nallow_plaintext = true\nbind_dn = \"{READER}\"\nbind_password = \"{READER_PASSWORD}\"\n\
             base = [\"{PEOPLE}\"]\nfilter = \"(&(uid={{login}})(memberOf=cn=staff,ou=groups,{SUFFIX}))\"\nrecheck = \"4s\"\ntimeout = \"1s\"\n",
            slapd.url()
        );
        std::fs::write(doorward.folder().join("doorward.toml"), section).unwrap();
        doorward.run(&["account", "create", "acme", "--directory", "corp"]).succeeds();
        doorward.run(&["user", "create", "member@acme", "--ldap"]).succeeds();
        let (first, second) = (doorward.serve(&["serve"]), doorward.serve(&["serve"]));
        let sign_in = json!({ "query": "mutation($p: String!) { signIn(input: {login: \"member@acme\", password: $p}) { token } }",
            "variables": { "p": PASSWORD } });
        let payload = graphql_as(first.address, None, &sign_in).unwrap();
        let token = payload["data"]["signIn"]["token"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned();
        let ask = json!({ "query": "{ viewer { user { login } } }" });
        let is_in = |server: &crate::support::process::Serving| {
            graphql_as(server.address, Some(&token), &ask)
                .is_some_and(|answer| answer["data"]["viewer"]["user"]["login"] == "member")
        };
        assert!(is_in(&second));
        // Whoever is looking just now, the other takes over.
        drop(first);
        slapd.modify(&format!(
            "dn: cn=staff,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\nmember: uid=member,{PEOPLE}\n"
        ));
        let began = std::time::Instant::now();
        while is_in(&second) {
            assert!(began.elapsed() < RECHECK + TIMEOUT + Duration::from_secs(1), "{:?}", began.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
    })
    .await
    .unwrap();
}
