//! What is told to whoever administers: which step fails, and nothing that is not theirs.

use doorward::config::{DirectoryConfig, Provision};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Company, mapping};
use crate::support::gateway::{Asker, Backend, on_both_stores, user_errors};
use crate::support::slapd::{PEOPLE, SUFFIX, Slapd, SlapdOptions};

on_both_stores!(
    each_mistake_is_found_at_its_step,
    who_somebody_is_and_what_they_would_get_is_told,
    only_who_administers_is_told_and_operators_alone_in_the_servers_words,
    a_directory_is_checked_step_by_step,
);

async fn explain(master: &Asker<'_>, login: &str) -> Value {
    let query = "query($login: String!) { explainLogin(login: $login) { wouldSucceed steps { name outcome detail durationMs } } }";
    master
        .data_with(query, json!({ "login": format!("{login}@acme") }))
        .await["explainLogin"]
        .clone()
}

/// The first step that failed: its name without the server, and its detail.
fn failed(explanation: &Value) -> Option<(String, String)> {
    let steps = explanation["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["outcome"] == "FAILED")?;
    let name = step["name"].as_str().unwrap();
    let name = name.split(" at ldap").next().unwrap_or(name);
    Some((name.to_owned(), step["detail"].as_str().unwrap().to_owned()))
}

async fn each_mistake_is_found_at_its_step(backend: Backend) {
    let stranger = Slapd::start(SlapdOptions::default());
    type Change<'a> = Box<dyn Fn(&mut DirectoryConfig, &Slapd) + 'a>;
    let cases: Vec<(&str, &str, &str, Change<'_>)> = vec![
        (
            "TLS",
            "ca_file",
            "member",
            Box::new(|section, slapd| {
                section.servers = vec![slapd.ldaps_url()];
                section.ca_file = Some(stranger.ca_file());
            }),
        ),
        (
            "service bind",
            "49",
            "member",
            Box::new(|section, _| section.bind_password = Some(SecretString::from("wrong"))),
        ),
        (
            "search",
            "32",
            "member",
            Box::new(|section, _| section.base = vec![format!("ou=missing,{SUFFIX}")]),
        ),
        (
            "outside of the filter",
            "the filter does not find it",
            "member",
            Box::new(|section, _| section.filter = "(&(objectClass=device)(uid={login}))".to_owned()),
        ),
        ("search", "more than one", "twin", Box::new(|_, _| {})),
        ("search", "found nobody", "absent", Box::new(|_, _| {})),
        ("status in the directory", "disabled", "locked", Box::new(|_, _| {})),
        (
            "grants",
            "none of the person's",
            "member",
            Box::new(|section, _| {
                let group = format!("cn=nobodys,ou=groups,{SUFFIX}");
                section.mappings = vec![mapping(json!({ "group": group, "master": true, "account": "acme" }))];
            }),
        ),
    ];
    for (name, detail, login, change) in cases {
        let slapd = Slapd::start(SlapdOptions::default());
        let mut section = super::section(&slapd);
        change(&mut section, &slapd);
        let company = Company::over(backend, slapd, section).await;
        company.ldap_user(login).await;
        company.gateway.master(&company.gateway.system().await, "root").await;
        let operator = company.gateway.sign_in("root@system").await;
        let explanation = explain(&operator, login).await;
        let all: Vec<(String, String)> = explanation["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["outcome"] == "FAILED")
            .map(|step| {
                let name = step["name"].as_str().unwrap();
                let name = name.split(" at ldap").next().unwrap_or(name);
                (name.to_owned(), step["detail"].as_str().unwrap().to_owned())
            })
            .collect();
        assert!(
            all.iter().any(|(n, d)| n == name && d.contains(detail)),
            "{name}: {explanation:#}"
        );
        let expected = json!(name == "grants");
        assert_eq!(explanation["wouldSucceed"], expected, "{name}: {explanation:#}");
        assert_eq!(company.slapd.binds(PEOPLE), 0, "never a bind as the person");
    }
}

async fn who_somebody_is_and_what_they_would_get_is_told(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        section.mappings = vec![mapping(
            json!({ "group": format!("cn=admins,ou=groups,{SUFFIX}"), "roles": ["Support", "Lost"] }),
        )];
    })
    .await;
    company.gateway.role(&company.acme, "Support", &[]).await;
    company.ldap_user("member").await;
    let master = company.master().await;
    let explanation = explain(&master, "member").await;
    assert_eq!(explanation["wouldSucceed"], json!(true), "{explanation:#}");
    let detail = |explanation: &Value, name: &str| {
        let steps = explanation["steps"].as_array().unwrap();
        let step = steps
            .iter()
            .find(|step| step["name"].as_str().unwrap().starts_with(name));
        step.unwrap_or_else(|| panic!("no step {name}: {explanation:#}"))["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(detail(&explanation, "filter").contains("(uid=member)"));
    assert!(detail(&explanation, "search").contains("uid=member"));
    assert!(detail(&explanation, "groups").contains("in 2 groups"));
    assert!(detail(&explanation, "identity").contains("would be linked"));
    assert!(detail(&explanation, "mappings").contains("the role Lost"));
    let grants = detail(&explanation, "grants");
    assert!(grants.contains("the role Support by cn=admins"), "{grants}");
    assert!(
        explanation["steps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["durationMs"].as_f64().unwrap() >= 0.0)
    );

    company.sign_in("member").await;
    assert!(detail(&explain(&master, "member").await, "identity").contains("is linked"));
    let unknown = explain(&master, "comma").await;
    assert_eq!(unknown["wouldSucceed"], json!(false));
    assert!(detail(&unknown, "provision").contains("just_in_time"));
    let local = explain(&master, "boss").await;
    assert_eq!((&local["wouldSucceed"], failed(&local)), (&json!(true), None));
    let searches = company.slapd.searches("uid=boss");
    assert_eq!(searches, 0, "a local user never touches the directory");
    // A hostile login is nobody, and is no syntax.
    let hostile = explain(&master, "*)(uid=*").await;
    assert_eq!(hostile["wouldSucceed"], json!(false));
    assert!(detail(&hostile, "filter").contains("\\2a\\29\\28uid=\\2a"));

    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        section.provision = Provision::JustInTime;
    })
    .await;
    let master = company.master().await;
    let new = explain(&master, "member").await;
    assert_eq!(new["wouldSucceed"], json!(true), "{new:#}");
    assert!(detail(&new, "provision").contains("would be made"));
}

async fn only_who_administers_is_told_and_operators_alone_in_the_servers_words(backend: Backend) {
    let company = Company::start_with(backend, SlapdOptions::default(), |section| {
        section.bind_password = Some(SecretString::from("wrong"));
    })
    .await;
    company.ldap_user("member").await;
    let master = company.master().await;
    let (_, told) = failed(&explain(&master, "member").await).unwrap();
    assert!(told.contains("an operator sees the reason"), "{told}");
    company.gateway.master(&company.gateway.system().await, "root").await;
    let operator = company.gateway.sign_in("root@system").await;
    let (_, told) = failed(&explain(&operator, "member").await).unwrap();
    assert!(told.contains("49"), "{told}");

    let other = company.gateway.account("other").await;
    company.gateway.master(&other, "stranger").await;
    company.gateway.user_with(&company.acme, "plain", |_| {}).await;
    let stranger = company.gateway.sign_in("stranger@other").await;
    assert_eq!(
        explain(&stranger, "member").await,
        Value::Null,
        "what you may not see does not exist"
    );
    let query = "{ explainLogin(login: \"member@acme\") { wouldSucceed } }";
    assert_eq!(
        company.gateway.sign_in("plain@acme").await.error(query).await,
        "FORBIDDEN"
    );
    assert_eq!(company.gateway.nobody().error(query).await, "UNAUTHENTICATED");
}

async fn a_directory_is_checked_step_by_step(backend: Backend) {
    let company = Company::start(backend).await;
    let master = company.master().await;
    let fields = "explanation { wouldSucceed steps { name outcome detail } }";
    let checked = master.mutate("checkDirectory", json!({ "name": "corp" }), fields).await;
    assert_eq!(checked["explanation"]["wouldSucceed"], json!(true), "{checked:#}");
    let steps = checked["explanation"]["steps"].as_array().unwrap();
    let names: Vec<&str> = steps
        .iter()
        .map(|step| step["name"].as_str().unwrap().split(" at ").next().unwrap())
        .collect();
    assert_eq!(names, ["connect", "TLS", "service bind", "base", "search"]);
    let hidden = master
        .mutate("checkDirectory", json!({ "name": "other" }), fields)
        .await;
    assert_eq!(user_errors(&hidden), ["NOT_FOUND name"]);
    let other = company.gateway.account("other").await;
    company.gateway.master(&other, "stranger").await;
    let stranger = company.gateway.sign_in("stranger@other").await;
    let hidden = stranger
        .mutate("checkDirectory", json!({ "name": "corp" }), fields)
        .await;
    assert_eq!(user_errors(&hidden), ["NOT_FOUND name"]);
    let metrics = reqwest::get(format!("{}/metrics", company.gateway.url))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let up = format!(
        "doorward_directory_server_up{{directory=\"corp\",server=\"{}\"}} 1",
        company.slapd.url()
    );
    assert!(metrics.contains(&up), "{metrics}");
    assert!(
        metrics.contains("doorward_sign_ins_total{outcome=\"success\",method=\"local\"}"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
}
