//! People of a real Active Directory (Samba) in a whole gateway.

use std::time::Duration;

use doorward::config::DirectoryConfig;
use serde_json::json;

use super::{Company, is_signed_in, look, mapping, names, until};
use crate::support::active_directory::{ActiveDirectory, DOMAIN, PASSWORD, SUFFIX, User};
use crate::support::gateway::{Backend, Gateway, on_both_stores};
use crate::support::slapd::{Slapd, SlapdOptions};

on_both_stores!(
    both_names_sign_in_and_every_reason_reaches_history_and_client,
    nested_and_primary_groups_grant,
    who_is_renamed_and_moved_stays_the_same_user,
    who_leaves_the_group_or_is_disabled_is_signed_out,
    a_domain_is_read_as_a_whole,
);

/// One server for all tests, and twenty new connections a second at best.
const TIMEOUT: Duration = Duration::from_secs(30);

fn section(ad: &ActiveDirectory) -> DirectoryConfig {
    let json = json!({
        "servers": [ad.ldaps_url()], "ca_file": ad.ca_file(), "base": [ad.ou()],
        "filter": format!("(&(objectClass=user)(|(sAMAccountName={{login}})(userPrincipalName={{login}}@{DOMAIN})(userPrincipalName={{login}})))"),
        "attributes": { "login": ["sAMAccountName", "userPrincipalName"] },
        "bind_dn": ad.reader().upn(), "bind_password": PASSWORD,
    });
    DirectoryConfig {
        timeout: TIMEOUT,
        min_refusal: Duration::ZERO,
        max_failures: 0,
        ..serde_json::from_value(json).unwrap()
    }
}

/// A gateway over the domain; the other directory only comes with it.
async fn company(backend: Backend, ad: &ActiveDirectory, change: impl FnOnce(&mut DirectoryConfig)) -> Company {
    let mut section = section(ad);
    change(&mut section);
    Company::over(backend, Slapd::start(SlapdOptions::default()), section).await
}

async fn try_sign_in(gateway: &Gateway, login: &str) -> serde_json::Value {
    gateway.try_sign_in(&format!("{login}@acme"), PASSWORD).await
}

async fn sign_in(company: &Company, user: &User) -> String {
    let payload = try_sign_in(&company.gateway, &user.login).await;
    let token = payload["token"].as_str();
    token.unwrap_or_else(|| panic!("{}: {payload}", user.login)).to_owned()
}

async fn both_names_sign_in_and_every_reason_reaches_history_and_client(backend: Backend) {
    let ad = ActiveDirectory::new();
    let company = company(backend, &ad, |_| {}).await;
    let master = company.master().await;
    let member = ad.user("member");
    company.ldap_user(&member.login).await;
    sign_in(&company, &member).await;
    let by_principal = try_sign_in(&company.gateway, &member.upn()).await;
    assert_eq!(
        by_principal["user"]["login"],
        json!(member.login),
        "the same user by the other name: {by_principal}"
    );
    let user = look(&master, &member.login).await;
    assert_eq!(user["directoryLink"]["externalId"], json!(ad.object_guid(&member)));
    assert!(
        user["passwordExpiresAt"].is_string(),
        "the domain's passwords last 42 days: {user}"
    );

    type Change = fn(&ActiveDirectory, &User);
    let reasons: [(&str, &str, &str, Change); 7] = [
        (
            "530",
            "NOT_ALLOWED",
            "WRONG_CREDENTIALS",
            ActiveDirectory::forbid_all_hours,
        ),
        (
            "531",
            "NOT_ALLOWED",
            "WRONG_CREDENTIALS",
            ActiveDirectory::forbid_this_workstation,
        ),
        (
            "532",
            "PASSWORD_EXPIRED",
            "PASSWORD_EXPIRED",
            ActiveDirectory::expire_password,
        ),
        ("533", "DISABLED", "DISABLED", ActiveDirectory::disable),
        ("701", "DISABLED", "DISABLED", ActiveDirectory::expire_account),
        (
            "773",
            "PASSWORD_MUST_CHANGE",
            "PASSWORD_MUST_CHANGE",
            ActiveDirectory::must_change_password,
        ),
        ("775", "LOCKED", "WRONG_CREDENTIALS", ActiveDirectory::lock),
    ];
    for (sub_code, outcome, code, change) in reasons {
        let somebody = ad.user(&format!("some{sub_code}"));
        company.ldap_user(&somebody.login).await;
        change(&ad, &somebody);
        let payload = try_sign_in(&company.gateway, &somebody.login).await;
        assert_eq!(payload["userErrors"][0]["code"], json!(code), "{sub_code}: {payload}");
        let (heard, detail) = company.last_attempt(&master).await;
        assert_eq!(heard, outcome, "{sub_code}");
        assert!(detail.unwrap().contains(sub_code), "{sub_code}");
    }
    let wrong = company
        .gateway
        .refusal(&format!("{}@acme", member.login), "wrong")
        .await;
    assert_eq!(wrong, "WRONG_CREDENTIALS");
    let (heard, detail) = company.last_attempt(&master).await;
    assert!(heard == "WRONG_PASSWORD" && detail.unwrap().contains("52e"));
    assert_eq!(ad.failed_binds(&member), 1, "one wrong password, one failed bind");
}

async fn nested_and_primary_groups_grant(backend: Backend) {
    let ad = ActiveDirectory::new();
    let (team, unit, all, primary) = (
        ad.group("team, one"),
        ad.group("unit"),
        ad.group("all"),
        ad.group("first"),
    );
    let member = ad.user("member");
    ad.add_members(&team, &[&member.dn]);
    ad.add_members(&unit, &[&team]);
    ad.add_members(&all, &[&unit]);
    ad.set_primary_group(&member, &primary);
    let mappings = vec![
        mapping(json!({ "group": all, "roles": ["Nested"] })),
        mapping(json!({ "group": primary, "roles": ["Primary"] })),
        mapping(json!({ "group": format!("CN=Domain Users,CN=Users,{SUFFIX}"), "roles": ["Everybody"] })),
    ];
    for (nested, expected) in [(true, vec!["Nested", "Primary"]), (false, vec!["Primary"])] {
        let company = company(backend, &ad, |section| {
            section.mappings = mappings.clone();
            section.nested_groups = nested;
        })
        .await;
        for role in ["Nested", "Primary", "Everybody"] {
            company.gateway.role(&company.acme, role, &[]).await;
        }
        company.ldap_user(&member.login).await;
        let master = company.master().await;
        sign_in(&company, &member).await;
        let user = look(&master, &member.login).await;
        let mut roles = names(&user["roles"]);
        // Who has another primary group is in Domain Users as in any other.
        roles.retain(|role| *role != "Everybody");
        assert_eq!(roles, expected, "nested_groups = {nested}");
    }
}

async fn who_is_renamed_and_moved_stays_the_same_user(backend: Backend) {
    let ad = ActiveDirectory::new();
    let company = company(backend, &ad, |_| {}).await;
    let master = company.master().await;
    let mut member = ad.user("member");
    company.ldap_user(&member.login).await;
    let token = sign_in(&company, &member).await;
    let before = look(&master, &member.login).await;
    let branch = ad.inner_ou("branch");
    ad.rename(&mut member, "married, name");
    ad.move_to(&mut member, &branch);
    ad.change_login(&mut member, "married");
    sign_in(&company, &member).await;
    let after = look(&master, &member.login).await;
    assert_eq!(after["id"], before["id"]);
    assert_eq!(
        after["directoryLink"]["externalId"],
        before["directoryLink"]["externalId"]
    );
    assert_ne!(after["directoryLink"]["dn"], before["directoryLink"]["dn"]);
    assert!(is_signed_in(&company.gateway.with_token(&token)).await);
}

async fn who_leaves_the_group_or_is_disabled_is_signed_out(backend: Backend) {
    let ad = ActiveDirectory::new();
    let staff = ad.group("staff");
    let (gone, disabled, stays) = (ad.user("gone"), ad.user("off"), ad.user("stays"));
    ad.add_members(&staff, &[&gone.dn, &disabled.dn, &stays.dn]);
    let company = company(backend, &ad, |section| {
        section.filter = format!("(&(objectClass=user)(memberOf={staff})(sAMAccountName={{login}}))");
        section.recheck = Duration::from_secs(1);
    })
    .await;
    let master = company.master().await;
    let mut tokens = Vec::new();
    for user in [&gone, &disabled, &stays] {
        company.ldap_user(&user.login).await;
        tokens.push(sign_in(&company, user).await);
    }
    ad.remove_members(&staff, &[&gone.dn]);
    ad.disable(&disabled);
    company.gateway.wait(Duration::from_secs(1));
    for token in &tokens[..2] {
        let asker = company.gateway.with_token(token);
        until("the session ends", async || !is_signed_in(&asker).await).await;
    }
    assert!(is_signed_in(&company.gateway.with_token(&tokens[2])).await);
    for user in [&gone, &disabled] {
        assert_eq!(look(&master, &user.login).await["disabledBy"], json!("DIRECTORY"));
    }
    ad.enable(&disabled);
    sign_in(&company, &disabled).await;
}

async fn a_domain_is_read_as_a_whole(backend: Backend) {
    let ad = ActiveDirectory::new();
    let (inner, outer) = (ad.group("inner"), ad.group("outer"));
    ad.add_members(&outer, &[&inner]);
    let people: Vec<User> = (0..6).map(|i| ad.user(&format!("p{i}"))).collect();
    ad.add_members(&inner, &[&people[0].dn]);
    ad.disable(&people[5]);
    let company = company(backend, &ad, |section| {
        section.filter = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={login}))".to_owned();
        section.provision = doorward::config::Provision::JustInTime;
        section.mappings = vec![mapping(json!({ "group": outer, "roles": ["Outer"] }))];
    })
    .await;
    company.gateway.role(&company.acme, "Outer", &[]).await;
    let master = company.master().await;
    let input = json!({ "dryRun": false });
    let fields = "report { added updated disabled unchanged stopped }";
    let synced = master.mutate("syncDirectory", input.clone(), fields).await;
    // Five people and the reader; whom the domain lets nobody in as is not made.
    assert_eq!(synced["report"]["added"], json!(6), "{synced}");
    assert_eq!(
        names(&look(&master, &people[0].login).await["roles"]),
        ["Outer"],
        "through the inner group"
    );
    assert_eq!(look(&master, &people[5].login).await, serde_json::Value::Null);
    let again = master.mutate("syncDirectory", input, fields).await;
    let expected = json!({ "added": 0, "updated": 0, "disabled": 0, "unchanged": 6, "stopped": null });
    assert_eq!(again["report"], expected);
}
