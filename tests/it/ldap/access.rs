//! What groups of the directory grant, and how long.

use serde_json::{Value, json};

use super::{Company, look, mapping, names};
use crate::support::gateway::{Backend, on_both_stores};
use crate::support::slapd::{PEOPLE, SUFFIX, SlapdOptions};

on_both_stores!(
    groups_grant_roles_groups_and_mastership,
    what_was_granted_by_hand_stays,
    groups_within_groups_count_through_three_levels_and_a_circle,
);

fn group(name: &str, members: &[String]) -> String {
    let members: String = members.iter().map(|dn| format!("member: {dn}\n")).collect();
    format!("dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n{members}\n")
}

async fn groups_grant_roles_groups_and_mastership(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        section.mappings = vec![
            mapping(json!({ "group": format!("CN=Admins, OU=Groups, {SUFFIX}"), "roles": ["support"] })),
            mapping(
                json!({ "group": format!("cn=staff,ou=groups,{SUFFIX}"), "groups": ["EMEA"], "roles": ["missing"] }),
            ),
            mapping(json!({ "group": format!("cn=staff,ou=groups,{SUFFIX}"), "account": "acme", "master": true })),
            mapping(
                json!({ "group": format!("cn=staff,ou=groups,{SUFFIX}"), "account": "other", "roles": ["Support"] }),
            ),
            mapping(json!({ "group": "*", "roles": ["Everybody"] })),
        ];
    })
    .await;
    for name in ["Support", "Everybody", "Support2"] {
        company.gateway.role(&company.acme, name, &["users:read"]).await;
    }
    company.gateway.group(&company.acme, "EMEA").await;
    company.ldap_user("member").await;
    company.ldap_user("comma").await;
    let master = company.master().await;
    let member = company.sign_in("member").await;
    let user = look(&master, "member").await;
    assert_eq!(names(&user["roles"]), ["Support", "Everybody"]);
    assert_eq!(
        names(&user["groups"]),
        ["EMEA"],
        "who is in another group is not in Main"
    );
    assert_eq!(user["isMaster"], json!(true));
    let by_admins = user["grants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["role"]["name"] == "Support")
        .unwrap();
    assert_eq!(by_admins["source"], json!("DIRECTORY"));
    assert_eq!(
        by_admins["directoryGroupDn"],
        json!(format!("cn=admins,ou=groups,{SUFFIX}"))
    );
    let viewer = member.data("{ viewer { isMaster permissions } }").await["viewer"].clone();
    assert_eq!(viewer["isMaster"], json!(true), "from this very session on");

    // Out of one group: what only it granted goes, and the rest stays.
    company.slapd.modify(&format!(
        "dn: cn=staff,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\nmember: uid=member,{PEOPLE}\n"
    ));
    company.sign_in("member").await;
    let user = look(&master, "member").await;
    assert_eq!(
        (names(&user["roles"]), names(&user["groups"])),
        (vec!["Support", "Everybody"], vec!["Main"])
    );
    assert_eq!(user["isMaster"], json!(false));
    let log =
        "{ auditLog(filter: { action: \"refreshUser\" }, first: 1) { nodes { changes { field before after } } } }";
    let changes = master.data(log).await["auditLog"]["nodes"][0]["changes"].clone();
    let changes = changes.as_array().unwrap();
    assert!(
        changes.contains(&json!({ "field": "groups", "before": "EMEA", "after": "Main" })),
        "{changes:?}"
    );
    assert!(
        changes.iter().any(|change| change["field"] == "isMaster"),
        "{changes:?}"
    );

    company.sign_in("comma").await;
    assert_eq!(
        names(&look(&master, "comma").await["groups"]),
        ["EMEA"],
        "a DN with a comma finds its groups"
    );
}

async fn what_was_granted_by_hand_stays(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        section.mappings = vec![mapping(
            json!({ "group": format!("cn=admins,ou=groups,{SUFFIX}"), "roles": ["Support"] }),
        )];
    })
    .await;
    company.gateway.role(&company.acme, "Support", &[]).await;
    let editor = company.gateway.role(&company.acme, "Editor", &[]).await;
    let emea = company.gateway.group(&company.acme, "EMEA").await;
    let by_hand = |new: &mut doorward::service::NewUser| {
        (new.password, new.is_ldap) = (None, true);
        (new.roles, new.groups) = (vec![Some(editor)], vec![Some(emea)]);
    };
    company.gateway.user_with(&company.acme, "member", by_hand).await;
    let master = company.master().await;
    company.sign_in("member").await;
    let user = look(&master, "member").await;
    assert_eq!(
        (names(&user["roles"]), names(&user["groups"])),
        (vec!["Editor", "Support"], vec!["EMEA"])
    );

    // An administrator's own change leaves the directory's grants alone, and the other way round.
    let input = json!({ "id": user["id"], "roles": [] });
    master.mutate("updateUser", input, "user { id }").await;
    assert_eq!(names(&look(&master, "member").await["roles"]), ["Support"]);
    company
        .slapd
        .modify(&format!("dn: cn=admins,ou=groups,{SUFFIX}\nchangetype: delete\n"));
    company.sign_in("member").await;
    let user = look(&master, "member").await;
    assert_eq!((names(&user["roles"]), names(&user["groups"])), (vec![], vec!["EMEA"]));
    assert_eq!(user["grants"].as_array().map(Vec::len), Some(1));
    let sources: Vec<&Value> = user["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| &g["source"])
        .collect();
    assert_eq!(sources, [&json!("MANUAL")]);
}

async fn groups_within_groups_count_through_three_levels_and_a_circle(backend: Backend) {
    let dn = |name: &str| format!("cn={name},ou=groups,{SUFFIX}");
    let ldif = [
        group("team", &[format!("uid=member,{PEOPLE}"), dn("all")]),
        group("unit", &[dn("team")]),
        group("all", &[dn("unit")]),
    ];
    for (nested, roles) in [(true, vec!["Support"]), (false, vec![])] {
        let options = SlapdOptions {
            extra_ldif: ldif.concat(),
            ..SlapdOptions::default()
        };
        let company = Company::start_with(backend, options, |section| {
            section.nested_groups = nested;
            section.groups.from = doorward::config::GroupSource::Search;
            section.groups.base = vec![format!("ou=groups,{SUFFIX}")];
            section.mappings = vec![mapping(json!({ "group": dn("all"), "roles": ["Support"] }))];
        })
        .await;
        company.gateway.role(&company.acme, "Support", &[]).await;
        company.ldap_user("member").await;
        let master = company.master().await;
        company.sign_in("member").await;
        assert_eq!(
            names(&look(&master, "member").await["roles"]),
            roles,
            "nested_groups = {nested}"
        );
    }
}
