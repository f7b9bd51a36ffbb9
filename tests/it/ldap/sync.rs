//! A whole directory read into an account.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use doorward::config::{DirectoryConfig, Provision};
use doorward::service::{SyncChangeKind, SyncPlan, SyncProgress, SyncReport};
use serde_json::{Value, json};

use super::{Company, is_signed_in, look, mapping, names};
use crate::support::gateway::{Backend, on_both_stores, user_errors};
use crate::support::slapd::{PASSWORD, PEOPLE, READER, SUFFIX, SlapdOptions};

on_both_stores!(
    alone;
    ten_thousand_people_come_once_and_go_only_when_that_is_meant,
    whoever_is_gone_is_disabled_and_comes_back,
    nothing_is_done_in_a_dry_run_or_by_who_may_not,
    only_existing_users_are_touched_without_leave_to_make_more,
);

const PLAN: SyncPlan = SyncPlan {
    dry_run: false,
    max_disable_percent: 10,
};

async fn sync(company: &Company, plan: SyncPlan) -> SyncReport {
    let caller = company.gateway.services.command_line();
    let progress = std::sync::Arc::new(SyncProgress::default());
    caller
        .sync_directory(Some(Some(company.acme.id)), plan, progress)
        .await
        .unwrap()
}

fn counts(report: &SyncReport) -> (u64, u64, u64, u64) {
    (report.added, report.updated, report.disabled, report.unchanged)
}

fn just_in_time(section: &mut DirectoryConfig) {
    section.provision = Provision::JustInTime;
    section.base = vec![format!("ou=crowd,{SUFFIX}")];
}

/// So many people in a place of their own, and a group that every tenth is in.
fn crowd(size: usize) -> String {
    let mut ldif = format!("dn: ou=crowd,{SUFFIX}\nobjectClass: organizationalUnit\nou: crowd\n\n");
    for i in 0..size {
        let _ = write!(
            ldif,
            "dn: uid=p{i:05},ou=crowd,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: p{i:05}\ncn: Person {i}\nsn: Sample {i}\n\
             givenName: Given\nmail: p{i:05}@example.org\nuserPassword: {PASSWORD}\n\n"
        );
    }
    let _ = write!(
        ldif,
        "dn: cn=tenth,ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: tenth\n"
    );
    for i in (0..size).step_by(10) {
        let _ = writeln!(ldif, "member: uid=p{i:05},ou=crowd,{SUFFIX}");
    }
    ldif + "\n"
}

/// Takes people `from..to` out of the directory.
fn remove(company: &Company, people: std::ops::Range<usize>) {
    let gone: String = people
        .map(|i| format!("dn: uid=p{i:05},ou=crowd,{SUFFIX}\nchangetype: delete\n\n"))
        .collect();
    company.slapd.modify(&gone);
}

async fn ten_thousand_people_come_once_and_go_only_when_that_is_meant(backend: Backend) {
    const PEOPLE: usize = 10_000;
    // By itself OpenLDAP shows five hundred, page by page too.
    let limit =
        format!("limits dn.exact=\"{READER}\" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited\n");
    let options = SlapdOptions {
        extra_ldif: crowd(PEOPLE),
        extra_conf: limit,
        ..SlapdOptions::default()
    };
    let company = Company::start_with(backend, options, |section| {
        just_in_time(section);
        section.mappings = vec![mapping(
            json!({ "group": format!("cn=tenth,ou=groups,{SUFFIX}"), "roles": ["Tenth"] }),
        )];
    })
    .await;
    company.gateway.role(&company.acme, "Tenth", &[]).await;
    let master = company.master().await;

    let began = Instant::now();
    let first = sync(&company, PLAN).await;
    assert_eq!(counts(&first), (PEOPLE as u64, 0, 0, 0), "{:?}", first.stopped);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let tenth = first
        .changes
        .iter()
        .filter(|change| change.gained == ["Tenth", "Main"])
        .count();
    assert_eq!((first.changes.len(), tenth), (PEOPLE, PEOPLE / 10));
    assert_eq!(names(&look(&master, "p00010").await["roles"]), ["Tenth"]);
    assert_eq!(look(&master, "p00010").await["email"], json!("p00010@example.org"));
    company.sign_in("p09999").await;

    let second = sync(&company, PLAN).await;
    assert_eq!(counts(&second), (0, 0, 0, PEOPLE as u64));
    assert_eq!(second.changes, []);

    // A fifth is more than a tenth.
    remove(&company, 0..PEOPLE / 5);
    let stopped = sync(&company, PLAN).await;
    assert_eq!(counts(&stopped), (0, 0, 0, 0));
    let why = stopped.stopped.unwrap();
    assert!(
        why.contains("2000 of 10000") && why.contains("maxDisablePercent"),
        "{why}"
    );
    assert_eq!(stopped.changes.len(), 2000, "who it would have been");
    assert_eq!(look(&master, "p00000").await["status"], json!("ACTIVE"));
    let confirmed = SyncPlan {
        max_disable_percent: 20,
        ..PLAN
    };
    let meant = sync(&company, confirmed).await;
    assert_eq!(counts(&meant), (0, 0, 2000, 8000), "{:?}", meant.stopped);
    assert_eq!(look(&master, "p00000").await["disabledBy"], json!("DIRECTORY"));

    // Nobody left at all is taken for a mistake, whatever is said.
    remove(&company, PEOPLE / 5..PEOPLE);
    let whatever = SyncPlan {
        max_disable_percent: 100,
        ..PLAN
    };
    let emptied = sync(&company, whatever).await;
    assert_eq!(counts(&emptied), (0, 0, 0, 0));
    assert!(emptied.stopped.unwrap().contains("nobody at all"));
    assert_eq!(look(&master, "p09999").await["status"], json!("ACTIVE"));
}

async fn whoever_is_gone_is_disabled_and_comes_back(backend: Backend) {
    let options = SlapdOptions {
        extra_ldif: crowd(30),
        ..SlapdOptions::default()
    };
    let company = Company::start_with(backend, options, just_in_time).await;
    let master = company.master().await;
    sync(&company, PLAN).await;
    let (gone, stays) = (company.sign_in("p00000").await, company.sign_in("p00001").await);
    company.slapd.modify(&format!(
        "dn: uid=p00000,ou=crowd,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=p00000\ndeleteoldrdn: 0\nnewsuperior: ou=others,{SUFFIX}\n"
    ));
    company.slapd.modify(&format!(
        "dn: uid=p00001,ou=crowd,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n"
    ));
    let report = sync(&company, PLAN).await;
    assert_eq!(counts(&report), (0, 1, 1, 28), "fewer than five always may go");
    let change = |login: &str| report.changes.iter().find(|c| c.login == login).map(|c| c.kind);
    assert_eq!(change("p00000"), Some(SyncChangeKind::Disabled));
    assert_eq!(change("renamed"), Some(SyncChangeKind::Updated));
    assert!(!is_signed_in(&gone).await && is_signed_in(&stays).await);
    assert_eq!(look(&master, "p00001").await, Value::Null);

    company.slapd.modify(&format!(
        "dn: uid=p00000,ou=others,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=p00000\ndeleteoldrdn: 0\nnewsuperior: ou=crowd,{SUFFIX}\n"
    ));
    let report = sync(&company, PLAN).await;
    assert_eq!(counts(&report), (0, 1, 0, 29));
    assert_eq!(report.changes[0].kind, SyncChangeKind::Enabled);
    company.sign_in("p00000").await;
    let log = "{ auditLog(filter: { action: \"syncDirectory\" }, first: 1) { nodes { actor targetName changes { field after } } } }";
    let entry = master.data(log).await["auditLog"]["nodes"][0].clone();
    assert_eq!(
        (&entry["actor"], &entry["targetName"]),
        (&json!("command line"), &json!("p00000@acme"))
    );
    assert!(
        entry["changes"]
            .as_array()
            .unwrap()
            .contains(&json!({ "field": "status", "after": "ACTIVE" })),
        "{entry}"
    );
}

async fn nothing_is_done_in_a_dry_run_or_by_who_may_not(backend: Backend) {
    let options = SlapdOptions {
        extra_ldif: crowd(3),
        ..SlapdOptions::default()
    };
    let mut company = Company::start_with(backend, options, just_in_time).await;
    let syncer = company.gateway.role(&company.acme, "Syncer", &["directory:sync"]).await;
    company
        .gateway
        .user_with(&company.acme, "clerk", |new| new.roles = vec![Some(syncer)])
        .await;
    company.gateway.user(&company.acme, "plain").await;
    let other = company.gateway.account("other").await;
    company.gateway.master(&other, "stranger").await;
    {
        let master = company.master().await;
        let fields = "report { added updated disabled unchanged stopped changes { login kind gained lost } }";
        let dry = master.mutate("syncDirectory", json!({}), fields).await;
        assert_eq!(dry["report"]["added"], json!(3), "{dry}");
        assert_eq!(dry["report"]["changes"][0]["gained"], json!(["Main"]));
        assert_eq!(look(&master, "p00000").await, Value::Null, "a dry run is the default");
        let clerk = company.gateway.sign_in("clerk@acme").await;
        let done = clerk.mutate("syncDirectory", json!({ "dryRun": false }), fields).await;
        assert_eq!(done["report"]["added"], json!(3), "{done}");
        assert_eq!(look(&master, "p00000").await["login"], json!("p00000"));

        let query = "mutation { syncDirectory(input: {}) { report { added } userErrors { code } } }";
        assert_eq!(
            company.gateway.sign_in("plain@acme").await.error(query).await,
            "FORBIDDEN"
        );
        assert_eq!(company.gateway.nobody().error(query).await, "UNAUTHENTICATED");
        let stranger = company.gateway.sign_in("stranger@other").await;
        let account = master.data("{ viewer { account { id } } }").await["viewer"]["account"]["id"].clone();
        let hidden = stranger
            .mutate("syncDirectory", json!({ "account": account }), "report { added }")
            .await;
        assert_eq!(user_errors(&hidden), ["NOT_FOUND account"]);
        let off = stranger.mutate("syncDirectory", json!({}), "report { added }").await;
        assert_eq!(user_errors(&off), ["LDAP_OFF account"]);
        let input = json!({ "maxDisablePercent": 101 });
        let wrong = master.mutate("syncDirectory", input, "report { added }").await;
        assert_eq!(user_errors(&wrong), ["INVALID maxDisablePercent"]);
    }
    company.slapd.stop();
    let boss = company.gateway.sign_in("boss@acme").await;
    let away = boss
        .mutate("syncDirectory", json!({ "dryRun": false }), "report { added }")
        .await;
    assert_eq!(user_errors(&away), ["DIRECTORY_UNAVAILABLE"]);
    assert_eq!(look(&boss, "p00000").await["status"], json!("ACTIVE"));
}

async fn only_existing_users_are_touched_without_leave_to_make_more(backend: Backend) {
    let company = Company::start(backend).await;
    let master = company.master().await;
    company.ldap_user("member").await;
    company.gateway.user(&company.acme, "comma").await;
    let report = sync(&company, PLAN).await;
    assert_eq!(counts(&report), (0, 1, 0, 0), "{report:?}");
    let dn = look(&master, "member").await["directoryLink"]["dn"].clone();
    assert_eq!(dn, json!(format!("uid=member,{PEOPLE}")), "linked by the login");
    assert_eq!(
        look(&master, "comma").await["directoryLink"],
        Value::Null,
        "a local user never is"
    );
}
