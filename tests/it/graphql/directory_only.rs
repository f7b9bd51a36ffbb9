//! Passwords that are the directory's: nothing is changed about them here, and where an account takes no others, no local one
//! opens anything.

use doorward::config::Config;
use doorward::domain::account::Account;
use doorward::domain::login_event::LoginOutcome;
use doorward::domain::query::LoginEventFilter;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

on_both_stores!(
    a_directory_users_password_is_not_changed_here,
    a_right_local_password_opens_nothing,
    nobody_gets_or_changes_a_local_password,
    operators_keep_their_way_in,
);

const NEW: &str = "violet-Anchor-38-meadow";

/// A directory there, or one that is never asked.
fn corp(config: &mut Config, url: &str) {
    let section = json!({ "servers": [url], "allow_plaintext": true, "base": [PEOPLE], "bind_dn": READER,
        "bind_password": READER_PASSWORD, "min_refusal": "0s" });
    let section = serde_json::from_value(section).unwrap();
    config.directories.insert("corp".to_owned(), section);
}

const NOWHERE: &str = "ldap://ldap.invalid";

/// Makes the account one that takes passwords of its directory only, with a master who has one there.
async fn make_directory_only(gateway: &Gateway, root: &Asker<'_>, account: &Account) {
    let id = node_id::encode(account.id).to_string();
    let input = json!({ "id": id, "directory": "corp" });
    root.mutate("updateAccount", input, "account { id }").await;
    let boss = |new: &mut doorward::service::NewUser| {
        (new.password, new.is_ldap, new.is_master) = (None, true, true);
    };
    gateway.user_with(account, "ldap-boss", boss).await;
    let input = json!({ "id": id, "directoryOnly": true });
    let payload = root.mutate("updateAccount", input, "account { directoryOnly }").await;
    assert_eq!(payload["account"], json!({ "directoryOnly": true }), "{payload:#}");
}

async fn root(gateway: &Gateway) -> Asker<'_> {
    gateway.master(&gateway.system().await, "root").await;
    gateway.sign_in("root@system").await
}

/// What a change of one's own password comes to.
async fn change_password(asker: &Asker<'_>, current: &str) -> Vec<String> {
    let input = json!({ "currentPassword": current, "newPassword": NEW });
    user_errors(&asker.mutate("changePassword", input, "user { id }").await)
}

/// The outcome of the last attempt in the account.
async fn outcome(gateway: &Gateway, account: &Account) -> LoginOutcome {
    let filter = LoginEventFilter {
        account: Some(account.id),
        ..LoginEventFilter::default()
    };
    let page = doorward::domain::page::PageRequest::first(1);
    let pages = gateway.services.store.login_events(&[filter], &page).await;
    pages.unwrap().remove(0).items.remove(0).outcome
}

async fn a_directory_users_password_is_not_changed_here(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let gateway = Gateway::start_with(backend, |config| corp(config, &slapd.url())).await;
    let acme = gateway
        .account_with("acme", |new| new.directory = Some("corp".to_owned()))
        .await;
    let member = gateway
        .user_with(&acme, "member", |new| (new.is_ldap, new.password) = (true, None))
        .await;
    gateway.master(&acme, "owner").await;
    let payload = gateway.try_sign_in("member@acme", slapd::PASSWORD).await;
    let me = gateway.with_token(payload["token"].as_str().unwrap());
    assert_eq!(change_password(&me, slapd::PASSWORD).await, ["IS_LDAP"]);

    let owner = gateway.sign_in("owner@acme").await;
    let id = node_id::encode(member.id).to_string();
    let input = json!({ "id": id, "mustChangePassword": true });
    let payload = owner.mutate("updateUser", input, "user { id }").await;
    assert_eq!(user_errors(&payload), ["IS_LDAP mustChangePassword"]);
    let payload = gateway.try_sign_in("member@acme", slapd::PASSWORD).await;
    assert_eq!(payload["mustChangePassword"], json!(false), "{payload:#}");
}

async fn a_right_local_password_opens_nothing(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| corp(config, NOWHERE)).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.sign_in("owner@acme").await;
    make_directory_only(&gateway, &root(&gateway).await, &acme).await;
    for (password, expected) in [
        ("wrong", LoginOutcome::WrongPassword),
        (PASSWORD, LoginOutcome::NotAllowed),
    ] {
        let refusal = gateway.refusal("owner@acme", password).await;
        assert_eq!(refusal, "WRONG_CREDENTIALS", "nobody learns that it was right");
        assert_eq!(outcome(&gateway, &acme).await, expected);
    }
}

async fn nobody_gets_or_changes_a_local_password(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| corp(config, NOWHERE)).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let root = root(&gateway).await;
    make_directory_only(&gateway, &root, &acme).await;
    let gone = owner.error("{ account { name } }").await;
    assert_eq!(gone, "UNAUTHENTICATED", "what was opened with a local password ends");
    let create = async |login: &str, password: Value| {
        let account = node_id::encode(acme.id).to_string();
        let input = json!({ "account": account, "login": login, "password": password });
        user_errors(&root.mutate("createUser", input, "user { id }").await)
    };
    assert_eq!(create("new", json!(NEW)).await, ["DIRECTORY_ONLY password"]);
    assert_eq!(create("new", Value::Null).await, [""; 0]);
}

async fn operators_keep_their_way_in(backend: Backend) {
    let gateway = Gateway::start_with(backend, |config| corp(config, NOWHERE)).await;
    let system = gateway.system().await;
    make_directory_only(&gateway, &root(&gateway).await, &system).await;
    // The directory is away, and a local password is what is left.
    let root = gateway.sign_in("root@system").await;
    assert_eq!(change_password(&root, PASSWORD).await, [""; 0]);
    let payload = gateway.try_sign_in("root@system", NEW).await;
    let root = gateway.with_token(payload["token"].as_str().unwrap());
    let input = json!({ "login": "second", "isMaster": true, "password": PASSWORD });
    let payload = root.mutate("createUser", input, "user { hasPassword }").await;
    assert_eq!(payload["user"], json!({ "hasPassword": true }), "{payload:#}");
}
