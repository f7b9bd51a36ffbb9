//! Which mails somebody gets: each kind is set and read by itself.

use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores, user_errors};

on_both_stores!(each_kind_is_changed_by_itself, each_kind_is_given_to_a_new_user);

const KINDS: [&str; 7] = [
    "limitsExhausted",
    "subscriberComplaints",
    "hardBounces",
    "softBounces",
    "dailyReports",
    "weeklyReports",
    "securityNotices",
];

/// The settings of that user of `acme`.
async fn settings(asker: &Asker<'_>, login: &str) -> Value {
    let query = format!(
        "{{ user(login: \"{login}@acme\") {{ notifications {{ email {} }} }} }}",
        KINDS.join(" ")
    );
    asker.data(&query).await["user"]["notifications"].clone()
}

/// The same settings with one kind turned round.
fn turned(settings: &Value, kind: &str) -> Value {
    let mut settings = settings.clone();
    let was = settings[kind].as_bool().unwrap();
    settings[kind] = json!(!was);
    settings
}

async fn each_kind_is_changed_by_itself(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let ann = gateway.user(&acme, "ann").await;
    gateway.master(&acme, "owner").await;
    let (owner, me) = (gateway.sign_in("owner@acme").await, gateway.sign_in("ann@acme").await);
    let id = node_id::encode(ann.id).to_string();
    // There and back, by others and by oneself.
    for round in 0..4 {
        for kind in KINDS {
            let expected = turned(&settings(&me, "ann").await, kind);
            let change = json!({ kind: expected[kind] });
            let payload = if round % 2 == 0 {
                let input = json!({ "id": id, "notifications": change });
                owner.mutate("updateUser", input, "user { id }").await
            } else {
                let input = json!({ "notifications": change });
                me.mutate("updateMyProfile", input, "user { id }").await
            };
            assert_eq!(user_errors(&payload), [""; 0]);
            assert_eq!(settings(&me, "ann").await, expected, "{kind}");
        }
    }
    let before = settings(&me, "ann").await;
    for email in [json!("alerts@example.org"), Value::Null] {
        let input = json!({ "id": id, "notifications": { "email": email } });
        owner.mutate("updateUser", input, "user { id }").await;
        let mut expected = before.clone();
        expected["email"] = email;
        assert_eq!(settings(&me, "ann").await, expected);
    }
}

async fn each_kind_is_given_to_a_new_user(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let usual = settings(&owner, "owner").await;
    for (n, kind) in KINDS.into_iter().enumerate() {
        let (login, expected) = (format!("user{n}"), turned(&usual, kind));
        let input = json!({ "login": login, "notifications": { kind: expected[kind] } });
        let payload = owner.mutate("createUser", input, "user { id }").await;
        assert_eq!(user_errors(&payload), [""; 0]);
        assert_eq!(settings(&owner, &login).await, expected, "{kind}");
    }
}
