//! Who somebody is: by the directory's own id, whatever they are called.

use doorward::config::Provision;
use serde_json::{Value, json};

use super::{Company, is_signed_in, look};
use crate::support::gateway::{Backend, on_both_stores, user_errors};
use crate::support::slapd::{PEOPLE, SUFFIX, SlapdOptions, person};

on_both_stores!(
    the_first_sign_in_links_and_reads_the_person,
    a_renamed_person_stays_the_same_user,
    another_person_under_the_same_login_waits_for_an_administrator,
    the_first_sign_in_makes_a_user_where_it_may,
    nobody_is_made_by_a_wrong_password_or_without_leave,
    a_local_user_is_never_linked,
    pictures_are_taken_over_once,
    an_entry_without_an_id_lets_nobody_in,
);

async fn the_first_sign_in_links_and_reads_the_person(backend: Backend) {
    let company = Company::start(backend).await;
    let made = company.ldap_user("member").await;
    let master = company.master().await;
    let member = company.sign_in("member").await;
    let user = look(&master, "member").await;
    assert_eq!(
        (&user["firstName"], &user["lastName"]),
        (&json!("Given"), &json!("Sample"))
    );
    assert_eq!(
        (&user["email"], &user["language"]),
        (&json!("member@example.org"), &json!("EN"))
    );
    let link = &user["directoryLink"];
    assert_eq!(
        (&link["directory"], &link["dn"]),
        (&json!("corp"), &json!(format!("uid=member,{PEOPLE}")))
    );
    assert_eq!(
        link["externalId"].as_str().map(str::len),
        Some(36),
        "an entryUUID: {link}"
    );
    assert_eq!(user["revision"], json!(made.revision + 1));

    let log = "{ auditLog(filter: { action: \"refreshUser\" }) { nodes { actor targetName changes { field before after } } } }";
    let entries = master.data(log).await["auditLog"]["nodes"].clone();
    assert_eq!(entries.as_array().map(Vec::len), Some(1), "{entries}");
    assert_eq!(entries[0]["actor"], json!("directory corp"));
    assert_eq!(entries[0]["targetName"], json!("member@acme"));
    let change = json!({ "field": "email", "before": null, "after": "member@example.org" });
    assert!(entries[0]["changes"].as_array().unwrap().contains(&change), "{entries}");

    company.sign_in("member").await;
    let again = look(&master, "member").await;
    assert_eq!(again["revision"], user["revision"], "nothing new, nothing changed");
    assert!(again["directoryLink"]["lastCheckedAt"].as_str() > link["lastCheckedAt"].as_str());
    company.slapd.modify(&format!(
        "dn: uid=member,{PEOPLE}\nchangetype: modify\nreplace: mail\nmail: new@example.org\n-\nreplace: preferredLanguage\n\
         preferredLanguage: ru-RU, en;q=0.5\n"
    ));
    company.sign_in("member").await;
    let changed = look(&master, "member").await;
    assert_eq!(
        (&changed["email"], &changed["language"]),
        (&json!("new@example.org"), &json!("RU"))
    );
    assert!(
        is_signed_in(&member).await,
        "what changes about a person ends no session"
    );
}

async fn a_renamed_person_stays_the_same_user(backend: Backend) {
    let company = Company::start(backend).await;
    let made = company.ldap_user("member").await;
    let master = company.master().await;
    let session = company.sign_in("member").await;
    company.slapd.modify(&format!(
        "dn: uid=member,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=married\ndeleteoldrdn: 1\nnewsuperior: ou=people,{SUFFIX}\n"
    ));
    assert_eq!(company.refusal("member").await, "WRONG_CREDENTIALS");
    let renamed = company.sign_in("married").await;
    let id = renamed.data("{ viewer { user { id login } } }").await["viewer"]["user"].clone();
    assert_eq!(id["login"], json!("married"));
    let user = look(&master, "married").await;
    assert_eq!(user["id"], id["id"]);
    assert_eq!(user["directoryLink"]["dn"], json!(format!("uid=married,{PEOPLE}")));
    let again = company.gateway.services.store.users_by_ids(&[made.id]).await.unwrap();
    assert_eq!(again[0].login.as_str(), "married", "the very same user");
    assert!(is_signed_in(&session).await, "who was signed in still is");
    assert_eq!(look(&master, "member").await, Value::Null);
}

async fn another_person_under_the_same_login_waits_for_an_administrator(backend: Backend) {
    let company = Company::start(backend).await;
    company.ldap_user("member").await;
    let master = company.master().await;
    let before = company.sign_in("member").await;
    let user = look(&master, "member").await;
    company
        .slapd
        .modify(&format!("dn: uid=member,{PEOPLE}\nchangetype: delete\n"));
    company.slapd.add(&person(
        &format!("uid=member,{PEOPLE}"),
        "member",
        "mail: successor@example.org\n",
    ));

    assert_eq!(company.refusal("member").await, "WRONG_CREDENTIALS");
    let (outcome, detail) = company.last_attempt(&master).await;
    assert_eq!(outcome, "NOT_ALLOWED");
    assert!(detail.unwrap().contains("relinkUser"));
    assert_eq!(
        look(&master, "member").await["email"],
        json!("member@example.org"),
        "nothing was taken over"
    );

    let input = json!({ "id": user["id"] });
    let relink = "mutation($input: RelinkUserInput!) { relinkUser(input: $input) { user { id } } }";
    let variables = json!({ "input": input });
    assert_eq!(
        before.error_with(relink, variables).await,
        "FORBIDDEN",
        "not by oneself"
    );
    let relinked = master
        .mutate("relinkUser", input, "user { id email directoryLink { externalId } }")
        .await;
    assert_eq!(user_errors(&relinked), [""; 0]);
    assert_eq!(relinked["user"]["email"], json!("successor@example.org"));
    assert_ne!(
        relinked["user"]["directoryLink"]["externalId"],
        user["directoryLink"]["externalId"]
    );
    assert!(!is_signed_in(&before).await, "whoever it was is signed out");
    company.sign_in("member").await;
}

async fn the_first_sign_in_makes_a_user_where_it_may(backend: Backend) {
    let jit = |section: &mut doorward::config::DirectoryConfig| section.provision = Provision::JustInTime;
    let company = Company::start_with(backend, SlapdOptions::default(), jit).await;
    let master = company.master().await;
    let member = company.sign_in("member").await;
    let user = look(&master, "member").await;
    assert_eq!(
        (&user["isLdap"], &user["email"]),
        (&json!(true), &json!("member@example.org"))
    );
    assert_eq!(super::names(&user["groups"]), ["Main"]);
    assert_eq!(user["directoryLink"]["directory"], json!("corp"));
    let history = member
        .data("{ loginHistory { nodes { outcome user { login } } } }")
        .await;
    let expected = json!([{ "outcome": "SUCCESS", "user": { "login": "member" } }]);
    assert_eq!(history["loginHistory"]["nodes"], expected);
    let log = "{ auditLog(filter: { action: \"createUser\" }, first: 1) { nodes { actor targetName } } }";
    let entry = json!({ "actor": "directory corp", "targetName": "member@acme" });
    assert_eq!(master.data(log).await["auditLog"]["nodes"][0], entry);

    // Many first sign-ins of one person at once make one user.
    let sign_ins = (0..8).map(|_| {
        company
            .gateway
            .try_sign_in("o'brien@acme", crate::support::slapd::PASSWORD)
    });
    let payloads = futures_util::future::join_all(sign_ins).await;
    assert!(payloads.iter().all(|p| p["token"].is_string()), "{payloads:?}");
    let found = master
        .data("{ users(filter: { search: \"o'brien\" }) { totalCount } }")
        .await;
    assert_eq!(found["users"]["totalCount"], json!(1));
}

async fn nobody_is_made_by_a_wrong_password_or_without_leave(backend: Backend) {
    let company = Company::start(backend).await;
    let master = company.master().await;
    assert_eq!(company.refusal("member").await, "WRONG_CREDENTIALS");
    let (outcome, detail) = company.last_attempt(&master).await;
    assert_eq!(
        (outcome.as_str(), detail.as_deref()),
        ("UNKNOWN_USER", Some("the directory has this person; no user here does"))
    );
    assert_eq!(
        company.slapd.binds("uid=member"),
        0,
        "a password is not tried on who may not sign in"
    );

    let jit = |section: &mut doorward::config::DirectoryConfig| section.provision = Provision::JustInTime;
    let company = Company::start_with(backend, SlapdOptions::default(), jit).await;
    let master = company.master().await;
    assert_eq!(
        company.gateway.refusal("member@acme", "wrong").await,
        "WRONG_CREDENTIALS"
    );
    assert_eq!(company.last_attempt(&master).await.0, "WRONG_PASSWORD");
    assert_eq!(company.refusal("stranger").await, "WRONG_CREDENTIALS");
    assert_eq!(company.last_attempt(&master).await.0, "UNKNOWN_USER");
    assert_eq!(company.refusal("twin").await, "WRONG_CREDENTIALS");
    assert_eq!(company.last_attempt(&master).await.0, "NOT_ALLOWED");
    assert_eq!(look(&master, "member").await, Value::Null);
}

async fn a_local_user_is_never_linked(backend: Backend) {
    let jit = |section: &mut doorward::config::DirectoryConfig| section.provision = Provision::JustInTime;
    let company = Company::start_with(backend, SlapdOptions::default(), jit).await;
    let master = company.master().await;
    company.gateway.user(&company.acme, "member").await;
    assert_eq!(
        company.refusal("member").await,
        "WRONG_CREDENTIALS",
        "not with the directory's password"
    );
    company.gateway.sign_in("member@acme").await;
    let user = look(&master, "member").await;
    assert_eq!((&user["isLdap"], &user["directoryLink"]), (&json!(false), &Value::Null));
    assert_eq!(
        (company.slapd.binds("uid=member"), company.slapd.searches("uid=member")),
        (0, 0)
    );
}

/// The smallest picture there is.
fn png(red: u8) -> String {
    use base64::Engine as _;
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(2, 2, image::Rgb([red, 0, 0]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    base64::engine::general_purpose::STANDARD.encode(bytes.into_inner())
}

async fn pictures_are_taken_over_once(backend: Backend) {
    let company = Company::start(backend).await;
    company.ldap_user("member").await;
    let master = company.master().await;
    let set = |picture: &str| {
        company.slapd.modify(&format!(
            "dn: uid=member,{PEOPLE}\nchangetype: modify\nreplace: jpegPhoto\njpegPhoto:: {picture}\n"
        ));
    };
    set(&png(200));
    company.sign_in("member").await;
    super::until("the picture is there", async || {
        look(&master, "member").await["avatarUrl"].is_string()
    })
    .await;
    let noted = async || {
        let login = "member".to_owned().try_into().unwrap();
        let user = company
            .gateway
            .services
            .store
            .user_by_login(company.acme.id, &login)
            .await;
        user.unwrap().unwrap().directory_link.unwrap().picture
    };
    super::until("it is noted", async || noted().await.is_some()).await;
    let first = look(&master, "member").await;
    // What was chosen here stays, as long as the directory has no new one.
    let id = json!({ "id": first["id"], "image": null });
    master.mutate("setAvatar", id, "user { id }").await;
    company.sign_in("member").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(look(&master, "member").await["avatarUrl"], Value::Null);
    set(&png(100));
    company.sign_in("member").await;
    super::until("the new one is there", async || {
        look(&master, "member").await["avatarUrl"].is_string()
    })
    .await;
    // What is no picture harms nobody.
    set("bm8gcGljdHVyZQ==");
    company.sign_in("member").await;
}

async fn an_entry_without_an_id_lets_nobody_in(backend: Backend) {
    let strange = |section: &mut doorward::config::DirectoryConfig| {
        section.attributes.id = vec!["nsUniqueId".to_owned()];
    };
    let company = Company::start_with(backend, SlapdOptions::default(), strange).await;
    company.ldap_user("member").await;
    let master = company.master().await;
    assert_eq!(company.refusal("member").await, "WRONG_CREDENTIALS");
    let (outcome, detail) = company.last_attempt(&master).await;
    assert_eq!(outcome, "NOT_ALLOWED");
    assert!(detail.unwrap().contains("attributes.id"));
}
