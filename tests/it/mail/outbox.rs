//! The outbox in operators' hands: `mailQueue`, `retryMail` and `dropMail`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::post::{Post, id, redeem, secret};
use crate::support::gateway::{Asker, Backend, on_both_stores, user_errors};
use crate::support::smtp::{Behaviour, Stage};

on_both_stores!(
    the_outbox_is_listed_and_filtered,
    a_mail_that_was_refused_is_sent_again,
    a_mail_that_waits_is_dropped_and_sent_after_all,
    a_mail_in_hand_is_left_alone,
    a_dropped_access_mail_makes_no_second_link,
    the_outbox_is_for_operators,
);

const FIELDS: &str = "id to subject state attempts lastError createdAt nextAttemptAt sentAt";

/// `acme` with a master, somebody with an address for each of these logins, and an operator.
struct Scene<'a> {
    owner: Asker<'a>,
    root: Asker<'a>,
    people: Vec<String>,
}

impl<'a> Scene<'a> {
    async fn new(post: &'a Post, logins: &[&str]) -> Self {
        let acme = post.gateway.account("acme").await;
        post.gateway.master(&acme, "owner").await;
        post.gateway.master(&post.gateway.system().await, "root").await;
        let mut people = Vec::new();
        for login in logins {
            people.push(id(&post.reader(&acme, login).await));
        }
        Self {
            owner: post.gateway.sign_in("owner@acme").await,
            root: post.gateway.sign_in("root@system").await,
            people,
        }
    }

    /// Queues an access mail for the person of that number.
    async fn send(&self, person: usize) {
        let sent = self
            .owner
            .mutate("sendAccessEmail", json!({ "id": self.people[person] }), "user { id }")
            .await;
        assert_eq!(user_errors(&sent), [""; 0]);
    }

    /// The outbox, newest first.
    async fn queue(&self, filter: &str) -> Vec<Value> {
        let query = format!("{{ mailQueue(filter: {{{filter}}}) {{ totalCount nodes {{ {FIELDS} }} }} }}");
        let found = self.root.data(&query).await["mailQueue"].clone();
        let nodes = found["nodes"].as_array().unwrap().clone();
        assert_eq!(found["totalCount"], json!(nodes.len()));
        nodes
    }

    /// Waits until the newest mail is in that state and was tried that often, and gives it.
    async fn newest_is(&self, state: &str, attempts: u64) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let newest = self.queue("").await.remove(0);
            if newest["state"] == json!(state) && newest["attempts"] == json!(attempts) {
                return newest;
            }
            assert!(Instant::now() < deadline, "{newest:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn change(&self, name: &str, mail: &Value) -> Value {
        self.root
            .mutate(name, json!({ "id": mail["id"] }), &format!("mail {{ {FIELDS} }}"))
            .await
    }
}

fn moment(value: &Value) -> jiff::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

async fn the_outbox_is_listed_and_filtered(backend: Backend) {
    let post = Post::start(backend).await;
    post.server.behave(&[Behaviour::Reject("gone")]);
    let scene = Scene::new(&post, &["ann", "bob", "gone", "cai", "dan"]).await;
    for person in 0..5 {
        scene.send(person).await;
    }
    post.settled().await;
    let to = |mails: &[Value]| -> Vec<String> {
        let address = |mail: &Value| {
            mail["to"]
                .as_str()
                .unwrap()
                .strip_suffix("@example.org")
                .unwrap()
                .to_owned()
        };
        mails.iter().map(address).collect()
    };
    let all = scene.queue("").await;
    assert_eq!(to(&all), ["dan", "cai", "gone", "bob", "ann"]);
    let sent = scene.queue("state: SENT").await;
    assert_eq!(to(&sent), ["dan", "cai", "bob", "ann"]);
    for mail in &sent {
        assert_eq!(
            (
                &mail["subject"],
                &mail["attempts"],
                &mail["lastError"],
                &mail["nextAttemptAt"]
            ),
            (
                &json!("Set your password for Doorward"),
                &json!(1),
                &Value::Null,
                &Value::Null
            )
        );
        assert!(moment(&mail["sentAt"]) >= moment(&mail["createdAt"]), "{mail:#}");
    }
    let failed = scene.queue("state: FAILED").await;
    assert_eq!(to(&failed), ["gone"]);
    assert!(
        failed[0]["lastError"].as_str().unwrap().starts_with("550"),
        "{failed:#?}"
    );
    assert_eq!(
        (&failed[0]["sentAt"], &failed[0]["nextAttemptAt"]),
        (&Value::Null, &Value::Null)
    );
    for state in ["QUEUED", "SENDING", "DROPPED"] {
        assert_eq!(scene.queue(&format!("state: {state}")).await, [Value::Null; 0]);
    }
    // An address is found however it is written, and only whole.
    assert_eq!(to(&scene.queue("to: \"BOB@Example.org\"").await), ["bob"]);
    assert_eq!(to(&scene.queue("to: \"gone@example.org\", state: SENT").await), [""; 0]);
    assert_eq!(to(&scene.queue("to: \"bob\"").await), [""; 0]);

    // Pages, there and back.
    let page = async |arguments: &str| {
        let query = format!(
            "{{ mailQueue({arguments}) {{ totalCount nodes {{ to }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        let found = scene.root.data(&query).await["mailQueue"].clone();
        assert_eq!(found["totalCount"], json!(5));
        (to(found["nodes"].as_array().unwrap()), found["pageInfo"].clone())
    };
    let (first, info) = page("first: 2").await;
    assert_eq!(
        (first, &info["hasNextPage"]),
        (vec!["dan".to_owned(), "cai".to_owned()], &json!(true))
    );
    let (second, info) = page(&format!("first: 2, after: {}", info["endCursor"])).await;
    assert_eq!(
        (second, &info["hasNextPage"]),
        (vec!["gone".to_owned(), "bob".to_owned()], &json!(true))
    );
    let (third, rest) = page(&format!("first: 2, after: {}", info["endCursor"])).await;
    assert_eq!((third, &rest["hasNextPage"]), (vec!["ann".to_owned()], &json!(false)));
    let (back, info) = page(&format!("last: 2, before: {}", rest["startCursor"])).await;
    assert_eq!(
        (back, &info["hasPreviousPage"]),
        (vec!["gone".to_owned(), "bob".to_owned()], &json!(true))
    );

    // A mail is a node.
    let query = format!(
        "{{ node(id: {}) {{ id ... on Mail {{ to state }} }} }}",
        failed[0]["id"]
    );
    let node = scene.root.data(&query).await;
    assert_eq!(
        node["node"],
        json!({ "id": failed[0]["id"], "to": "gone@example.org", "state": "FAILED" })
    );
}

async fn a_mail_that_was_refused_is_sent_again(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post, &["ann"]).await;
    post.server.behave(&[Behaviour::Reject("ann@")]);
    scene.send(0).await;
    let failed = scene.newest_is("FAILED", 1).await;
    // It may be put aside, once.
    let dropped = scene.change("dropMail", &failed).await;
    assert_eq!(
        (user_errors(&dropped), &dropped["mail"]["state"]),
        (vec![], &json!("DROPPED"))
    );
    assert_eq!(
        user_errors(&scene.change("dropMail", &failed).await),
        ["NOT_ALLOWED id"]
    );
    post.server.behave(&[]);
    let again = scene.change("retryMail", &failed).await;
    assert_eq!(user_errors(&again), [""; 0]);
    assert_eq!(
        (
            &again["mail"]["state"],
            &again["mail"]["attempts"],
            &again["mail"]["lastError"]
        ),
        (&json!("QUEUED"), &json!(0), &Value::Null)
    );
    let sent = scene.newest_is("SENT", 1).await;
    assert_eq!(sent["id"], failed["id"]);
    let mail = post.only().await;
    let done = redeem(&post.gateway, &secret(&mail), "violet-Anchor-38-meadow").await;
    assert_eq!(user_errors(&done), [""; 0]);
    for name in ["retryMail", "dropMail"] {
        assert_eq!(
            user_errors(&scene.change(name, &sent).await),
            ["NOT_ALLOWED id"],
            "{name}"
        );
    }
    // Who did it is in the log of the reader's account, once.
    let query = "{ auditLog(filter: {action: \"retryMail\"}) { nodes { actor targetType targetId targetName changes { field before } } } }";
    let log = scene.owner.data(query).await;
    assert_eq!(
        log["auditLog"]["nodes"],
        json!([{ "actor": "root@system", "targetType": "Mail", "targetId": sent["id"],
            "targetName": "Set your password for Doorward",
            "changes": [{ "field": "to", "before": "ann@example.org" }] }])
    );
}

async fn a_mail_that_waits_is_dropped_and_sent_after_all(backend: Backend) {
    // Long enough that nothing is due by itself meanwhile, however slow the machine is.
    let post = Post::start_with(backend, |config| {
        config.mail.retry_first = Duration::from_secs(600);
    })
    .await;
    let scene = Scene::new(&post, &["ann"]).await;
    post.server.behave(&[Behaviour::Defer(Stage::Recipient)]);
    scene.send(0).await;
    let waiting = scene.newest_is("QUEUED", 1).await;
    assert!(waiting["lastError"].as_str().unwrap().starts_with("451"), "{waiting:#}");
    let pause = moment(&waiting["nextAttemptAt"]).duration_since(moment(&waiting["createdAt"]));
    // The first pause is that of the configuration and up to a quarter more.
    assert!((600..=780).contains(&pause.as_secs()), "{waiting:#}");
    // Who will not wait has it tried at once.
    assert_eq!(user_errors(&scene.change("retryMail", &waiting).await), [""; 0]);
    scene.newest_is("QUEUED", 1).await;
    let dropped = scene.change("dropMail", &waiting).await;
    assert_eq!(user_errors(&dropped), [""; 0]);
    assert_eq!(
        (&dropped["mail"]["state"], &dropped["mail"]["nextAttemptAt"]),
        (&json!("DROPPED"), &Value::Null)
    );
    post.server.behave(&[]);
    post.gateway.wait(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_millis(1500)).await; // longer than the outbox ever rests
    post.none().await;
    assert_eq!(user_errors(&scene.change("retryMail", &waiting).await), [""; 0]);
    scene.newest_is("SENT", 1).await;
    post.only().await;
    let query = "{ auditLog(filter: {action: \"dropMail\"}) { totalCount nodes { actor targetId } } }";
    let log = scene.owner.data(query).await;
    assert_eq!(
        log["auditLog"],
        json!({ "totalCount": 1, "nodes": [{ "actor": "root@system", "targetId": waiting["id"] }] })
    );
}

async fn a_mail_in_hand_is_left_alone(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post, &["ann"]).await;
    post.server.behave(&[Behaviour::Hang(Stage::Body)]);
    scene.send(0).await;
    let sending = scene.newest_is("SENDING", 1).await;
    for name in ["retryMail", "dropMail"] {
        assert_eq!(
            user_errors(&scene.change(name, &sending).await),
            ["NOT_ALLOWED id"],
            "{name}"
        );
    }
    assert_eq!(scene.queue("state: SENDING").await.len(), 1);
    let log = scene.owner.data("{ auditLog(first: 1) { nodes { action } } }").await;
    assert_eq!(
        log["auditLog"]["nodes"][0]["action"],
        json!("sendAccessEmail"),
        "what was refused is not in the log"
    );
}

async fn a_dropped_access_mail_makes_no_second_link(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post, &["ann"]).await;
    post.server.behave(&[Behaviour::Reject("ann@")]);
    scene.send(0).await;
    let old = scene.newest_is("FAILED", 1).await;
    post.server.behave(&[]);
    scene.send(0).await;
    let link = secret(&post.only().await);
    // The older one would end the newer one's link: it is dropped instead, and says why.
    assert_eq!(user_errors(&scene.change("retryMail", &old).await), [""; 0]);
    post.none().await;
    let found = scene.queue("state: DROPPED").await;
    assert_eq!((found.len(), &found[0]["id"]), (1, &old["id"]));
    assert_eq!(found[0]["lastError"], json!("a later link was sent"));
    let done = redeem(&post.gateway, &link, "violet-Anchor-38-meadow").await;
    assert_eq!(user_errors(&done), [""; 0]);
}

async fn the_outbox_is_for_operators(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post, &["ann"]).await;
    post.server.behave(&[Behaviour::Reject("ann@")]);
    scene.send(0).await;
    let mail = scene.newest_is("FAILED", 1).await;
    let mail_id = &mail["id"];
    let documents = [
        "{ mailQueue { totalCount } }".to_owned(),
        format!("mutation {{ retryMail(input: {{id: {mail_id}}}) {{ mail {{ id }} }} }}"),
        format!("mutation {{ dropMail(input: {{id: {mail_id}}}) {{ mail {{ id }} }} }}"),
    ];
    for document in &documents {
        assert_eq!(scene.owner.error(document).await, "FORBIDDEN", "{document}");
        assert_eq!(
            post.gateway.nobody().error(document).await,
            "UNAUTHENTICATED",
            "{document}"
        );
    }
    let node = scene.owner.data(&format!("{{ node(id: {mail_id}) {{ id }} }}")).await;
    assert_eq!(node["node"], Value::Null);
    assert_eq!(scene.newest_is("FAILED", 1).await, mail);
    // For operators, what is not there is not found.
    for wrong in [json!("x"), json!(scene.people[0])] {
        for name in ["retryMail", "dropMail"] {
            let refused = scene.root.mutate(name, json!({ "id": wrong }), "mail { id }").await;
            assert_eq!(user_errors(&refused), ["NOT_FOUND id"], "{name} {wrong}");
        }
    }
}
