//! Who signs in with a password of their own and who with the directory's, and what goes with a change of that.

use doorward::domain::account::Account;
use doorward::domain::audit::{AuditEntry, TargetType};
use doorward::domain::grant::{Grant, GrantSource, GrantTarget};
use doorward::domain::ids::AuditEntryId;
use doorward::domain::user::{DirectoryLink, User};
use doorward::graphql::node_id;
use doorward::store::Store;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores, user_errors};
use crate::support::slapd::{self, PEOPLE, READER, READER_PASSWORD, Slapd, SlapdOptions};

on_both_stores!(
    whoever_goes_over_to_the_directory_signs_in_anew,
    whoever_leaves_the_directory_keeps_nothing_of_it,
    an_account_of_its_directory_only_ends_local_sessions,
    an_account_of_its_directory_only_has_a_master_who_gets_in,
);

async fn gateway_with(backend: Backend, slapd: &Slapd) -> Gateway {
    let corp = json!({ "servers": [slapd.url()], "allow_plaintext": true, "base": [PEOPLE], "bind_dn": READER,
        "bind_password": READER_PASSWORD, "min_refusal": "0s" });
    let corp = serde_json::from_value(corp).unwrap();
    Gateway::start_with(backend, |config| {
        config.directories.insert("corp".to_owned(), corp);
    })
    .await
}

async fn of_corp(gateway: &Gateway, name: &str) -> Account {
    gateway
        .account_with(name, |new| new.directory = Some("corp".to_owned()))
        .await
}

fn id(user: &User) -> Value {
    json!(node_id::encode(user.id).to_string())
}

async fn is_in(asker: &Asker<'_>) -> bool {
    let answer = asker.ask("{ viewer { user { login } } }", json!({})).await;
    answer.get("errors").is_none()
}

async fn update(asker: &Asker<'_>, input: Value) -> Value {
    let fields = "user { isLdap hasPassword isMaster directoryLink { dn } passwordExpiresAt
        roles { name } groups { name } grants { source } }";
    let payload = asker.mutate("updateUser", input, fields).await;
    assert_eq!(user_errors(&payload), [""; 0]);
    payload["user"].clone()
}

async fn whoever_goes_over_to_the_directory_signs_in_anew(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let gateway = gateway_with(backend, &slapd).await;
    let acme = of_corp(&gateway, "acme").await;
    gateway.master(&acme, "owner").await;
    let member = gateway.user(&acme, "member").await;
    let owner = gateway.sign_in("owner@acme").await;
    let local = gateway.sign_in("member@acme").await;
    // What has nothing to do with it ends nothing.
    update(&owner, json!({ "id": id(&member), "isLdap": false, "firstName": "M" })).await;
    assert!(is_in(&local).await);
    update(&owner, json!({ "id": id(&member), "isLdap": true })).await;
    assert!(!is_in(&local).await);
    let by_directory = gateway.sign_in_as("member@acme", slapd::PASSWORD).await;
    assert!(is_in(&by_directory).await && is_in(&owner).await);
}

async fn whoever_leaves_the_directory_keeps_nothing_of_it(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let gateway = gateway_with(backend, &slapd).await;
    let acme = of_corp(&gateway, "acme").await;
    gateway.master(&acme, "owner").await;
    let (by_hand, mapped) = (
        gateway.role(&acme, "By hand", &[]).await,
        gateway.role(&acme, "Mapped", &[]).await,
    );
    let group = gateway.group(&acme, "EMEA").await;
    let member = gateway
        .user_with(&acme, "member", |new| {
            (new.is_ldap, new.password, new.roles) = (true, None, vec![Some(by_hand)]);
        })
        .await;
    let session = gateway.sign_in_as("member@acme", slapd::PASSWORD).await;
    // As a look into the directory would leave it.
    let store: &dyn Store = gateway.services.store.as_ref();
    let mut synced = store.users_by_ids(&[member.id]).await.unwrap().remove(0);
    let of_directory = [
        GrantTarget::Role(mapped),
        GrantTarget::Group(group),
        GrantTarget::Master,
    ];
    synced.grants.retain(|g| g.source != GrantSource::Default);
    synced.grants.extend(of_directory.map(|target| Grant {
        target,
        source: GrantSource::Directory,
        directory_group_dn: Some("cn=staff".to_owned()),
        granted_by: None,
        granted_at: gateway.now(),
    }));
    synced.directory_link = Some(DirectoryLink {
        directory: "corp".to_owned(),
        dn: format!("uid=member,{PEOPLE}"),
        external_id: "5f7c9a4e".to_owned(),
        last_checked_at: gateway.now(),
        picture: None,
    });
    let ends = gateway.now();
    synced.password_expires_at = Some(ends);
    let before = synced.revision;
    synced.revision += 1;
    let (clock, entropy) = (gateway.services.clock.as_ref(), gateway.services.entropy.as_ref());
    let entry = AuditEntry {
        id: AuditEntryId::generate(clock, entropy).unwrap(),
        account: acme.id,
        at: gateway.now(),
        actor: "directory corp".to_owned(),
        actor_user: None,
        impersonator: None,
        ip: None,
        action: "syncDirectory".to_owned(),
        target_type: TargetType::User,
        target_id: member.id.as_uuid(),
        target_name: "member@acme".to_owned(),
        changes: Vec::new(),
    };
    store.update_user(&synced, before, &entry, &[]).await.unwrap();

    let owner = gateway.sign_in("owner@acme").await;
    let left = update(&owner, json!({ "id": id(&member), "isLdap": false })).await;
    assert_eq!(
        left,
        json!({ "isLdap": false, "hasPassword": false, "isMaster": false, "directoryLink": null,
            "passwordExpiresAt": null, "roles": [{ "name": "By hand" }], "groups": [{ "name": "Main" }],
            "grants": [{ "source": "MANUAL" }, { "source": "DEFAULT" }] })
    );
    assert!(!is_in(&session).await);
    let log = owner
        .data("{ auditLog(first: 1) { nodes { action changes { field before after } } } }")
        .await;
    let dn = format!("uid=member,{PEOPLE} in corp");
    assert_eq!(
        log["auditLog"]["nodes"][0],
        json!({ "action": "updateUser", "changes": [
            { "field": "isLdap", "before": "true", "after": "false" },
            { "field": "directoryLink", "before": dn, "after": null },
            { "field": "passwordExpiresAt", "before": ends.to_string(), "after": null },
            { "field": "isMaster", "before": "true", "after": "false" },
            { "field": "roles", "before": "By hand, Mapped", "after": "By hand" },
            { "field": "groups", "before": "EMEA", "after": "Main" },
        ] })
    );
}

async fn set_directory_only(asker: &Asker<'_>, account: &Account, only: bool) -> Vec<String> {
    let input = json!({ "id": node_id::encode(account.id).to_string(), "directoryOnly": only });
    user_errors(&asker.mutate("updateAccount", input, "account { directoryOnly }").await)
}

async fn an_account_of_its_directory_only_ends_local_sessions(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let gateway = gateway_with(backend, &slapd).await;
    let acme = of_corp(&gateway, "acme").await;
    let local = gateway.user(&acme, "local").await;
    gateway
        .user_with(&acme, "member", |new| (new.is_ldap, new.password) = (true, None))
        .await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    let of_local = gateway.sign_in("local@acme").await;
    let of_member = gateway.sign_in_as("member@acme", slapd::PASSWORD).await;
    assert_eq!(set_directory_only(&root, &acme, true).await, [""; 0]);
    assert!(!is_in(&of_local).await);
    assert!(is_in(&of_member).await && is_in(&root).await);

    // Nor does one live that was opened in that very moment; acting for somebody takes no password of theirs.
    let late = late_session(&gateway, &local).await;
    assert!(!is_in(&gateway.with_token(&late)).await);
    let input = json!({ "id": id(&local), "reason": "x" });
    let payload = root.mutate("impersonateUser", input, "token").await;
    assert!(is_in(&gateway.with_token(payload["token"].as_str().unwrap())).await);
    assert_eq!(set_directory_only(&root, &acme, false).await, [""; 0]);
    gateway.sign_in("local@acme").await;
}

/// The token of a session that the store holds, however it came there.
async fn late_session(gateway: &Gateway, user: &User) -> String {
    use doorward::auth::SessionSecret;
    use doorward::domain::ids::{LoginEventId, SessionId};
    use doorward::domain::login_event::{EventOrigin, LoginEvent, LoginMethod, LoginOutcome};
    use doorward::domain::session::Session;
    use doorward::store::{Failures, LoginRecord, OpenedSession};

    let services = &gateway.services;
    let (clock, entropy) = (services.clock.as_ref(), services.entropy.as_ref());
    let secret = SessionSecret::generate(entropy).unwrap();
    let origin = EventOrigin {
        ip: "127.0.0.1".parse().unwrap(),
        location: None,
        browser: None,
        operating_system: None,
        device: None,
        user_agent: None,
    };
    let now = gateway.now();
    let session = Session {
        id: SessionId::generate(clock, entropy).unwrap(),
        account: user.account,
        user: user.id,
        created_at: now,
        last_seen_at: now,
        expires_at: now + std::time::Duration::from_secs(3600),
        origin: origin.clone(),
        impersonation: None,
    };
    let event = LoginEvent {
        id: LoginEventId::generate(clock, entropy).unwrap(),
        account: user.account,
        user: Some(user.id),
        at: now,
        attempted_login: "local@acme".to_owned(),
        outcome: LoginOutcome::Success,
        method: LoginMethod::Local,
        origin,
        detail: None,
        attempts: 1,
        impersonator: None,
    };
    let record = LoginRecord {
        event,
        opened: Some(OpenedSession {
            session,
            token_hash: secret.hash(),
            user_revision: user.revision,
            rehashed: None,
        }),
        failures: Failures::Unchanged,
        released: Vec::new(),
        mails: Vec::new(),
        on_lock: None,
    };
    services.store.record_login(&record).await.unwrap();
    secret.expose().to_owned()
}

async fn an_account_of_its_directory_only_has_a_master_who_gets_in(backend: Backend) {
    let slapd = Slapd::start(SlapdOptions::default());
    let gateway = gateway_with(backend, &slapd).await;
    let acme = of_corp(&gateway, "acme").await;
    let owner = gateway.master(&acme, "owner").await;
    gateway.master(&gateway.system().await, "root").await;
    let root = gateway.sign_in("root@system").await;
    assert_eq!(
        set_directory_only(&root, &acme, true).await,
        ["LAST_MASTER directoryOnly"]
    );
    let member = gateway
        .user_with(&acme, "member", |new| {
            (new.is_ldap, new.password, new.is_master) = (true, None, true);
        })
        .await;
    assert_eq!(set_directory_only(&root, &acme, true).await, [""; 0]);
    let payload = root
        .mutate("disableUser", json!({ "id": id(&member) }), "user { id }")
        .await;
    assert_eq!(user_errors(&payload), ["LAST_MASTER"]);
    let payload = root
        .mutate("deleteUser", json!({ "id": id(&owner) }), "deletedId")
        .await;
    assert_eq!(user_errors(&payload), [""; 0]);
}
