//! Links that set a password: they work once, and what ends them says so and changes nothing.

use std::time::Duration;

use doorward::domain::account::Account;
use doorward::domain::user::User;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use super::post::{Post, change_password, id, redeem, secret};
use crate::support::gateway::{Asker, Backend, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    a_link_signs_in_once,
    a_link_ends_sessions_and_locks,
    a_link_for_somebody_new_leaves_no_notice,
    what_is_no_link_says_so,
    a_link_expires,
    a_later_link_takes_its_place,
    a_reset_of_anybodys_leaves_an_administrators_link,
    another_address_ends_a_link,
    any_other_password_ends_a_link,
    a_disabled_user_and_a_frozen_account_stay_out,
    a_password_that_will_not_do_leaves_the_link,
    one_link_is_used_once_however_many_try,
);

const NEW: &str = "violet-Anchor-38-meadow";
const OTHER: &str = "gravel-Lantern-57-orbit";
const GONE: [&str; 1] = ["EXPIRED_LINK token"];

/// `acme` with its master and `ann`, who signed in before.
struct Scene<'a> {
    post: &'a Post,
    acme: Account,
    owner: Asker<'a>,
    ann: User,
}

impl<'a> Scene<'a> {
    async fn new(post: &'a Post) -> Self {
        let acme = post
            .gateway
            .account_with("acme", |new| {
                new.password_policy.lockout_threshold = 3;
                new.password_policy.history = 2;
            })
            .await;
        post.gateway.master(&acme, "owner").await;
        let owner = post.gateway.sign_in("owner@acme").await;
        let ann = post.reader(&acme, "ann").await;
        Self { post, acme, owner, ann }
    }

    /// A link of a fresh access mail.
    async fn link(&self) -> String {
        let sent = self
            .owner
            .mutate("sendAccessEmail", json!({ "id": id(&self.ann) }), "user { id }")
            .await;
        assert_eq!(user_errors(&sent), [""; 0]);
        secret(&self.post.only().await)
    }

    /// The same by `requestPasswordReset`.
    async fn reset_link(&self) -> String {
        let input = json!({ "login": "ann@acme" });
        let asked = self
            .post
            .gateway
            .nobody()
            .mutate("requestPasswordReset", input, "accepted")
            .await;
        assert_eq!(asked["accepted"], json!(true));
        secret(&self.post.only().await)
    }

    /// Everything about ann that a link could change.
    async fn state(&self) -> Value {
        let query = format!(
            "{{ user(id: \"{}\") {{ revision passwordChangedAt mustChangePassword status sessions {{ id }} }} auditLog(filter: {{targetId: \"{}\"}}) {{ totalCount }} }}",
            id(&self.ann),
            id(&self.ann)
        );
        self.owner.data(&query).await
    }

    /// The link is refused like that, and nothing is changed.
    async fn is_refused(&self, link: &str, errors: &[&str]) {
        let before = self.state().await;
        let refused = redeem(&self.post.gateway, link, NEW).await;
        assert_eq!(user_errors(&refused), errors, "{refused:#}");
        assert_eq!(
            (&refused["token"], &refused["user"], &refused["session"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(self.state().await, before);
        self.post.none().await;
    }
}

async fn a_link_signs_in_once(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    for is_reset in [false, true] {
        let (link, password) = if is_reset {
            (scene.reset_link().await, OTHER)
        } else {
            (scene.link().await, NEW)
        };
        let done = redeem(&post.gateway, &link, password).await;
        assert_eq!(user_errors(&done), [""; 0]);
        assert_eq!(
            done["user"],
            json!({ "login": "ann", "mustChangePassword": false, "lastLogin": { "method": "LINK", "outcome": "SUCCESS" } })
        );
        assert_eq!(done["session"], json!({ "isCurrent": true }));
        let me = post.gateway.with_token(done["token"].as_str().unwrap());
        let viewer = me
            .data("{ viewer { user { login loginHistory(first: 1) { nodes { method outcome attemptedLogin ip } } } } }")
            .await;
        assert_eq!(
            viewer["viewer"]["user"],
            json!({ "login": "ann", "loginHistory": { "nodes": [
                { "method": "LINK", "outcome": "SUCCESS", "attemptedLogin": "ann@acme", "ip": "127.0.0.1" }] } })
        );
        let audit = format!(
            "{{ auditLog(first: 1, filter: {{targetId: \"{}\"}}) {{ nodes {{ action actor changes {{ field before after }} }} }} }}",
            id(&scene.ann)
        );
        let entry = scene.owner.data(&audit).await["auditLog"]["nodes"][0].clone();
        assert_eq!(
            (&entry["action"], &entry["actor"]),
            (&json!("resetPassword"), &json!("ann@acme"))
        );
        assert!(
            !entry.to_string().contains(password) && !entry.to_string().contains(&link),
            "{entry}"
        );
        // The user had a password, and is told.
        let notice = post.only().await;
        assert_eq!(notice.subject(), "Your password for Doorward was changed");
        assert_eq!(post.gateway.refusal("ann@acme", PASSWORD).await, "WRONG_CREDENTIALS");
        post.gateway.sign_in_as("ann@acme", password).await;
        scene.is_refused(&link, &GONE).await;
    }
}

async fn a_link_ends_sessions_and_locks(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let before = post.gateway.sign_in("ann@acme").await;
    let link = scene.link().await;
    for _ in 0..3 {
        post.gateway.refusal("ann@acme", "wrong").await;
    }
    assert_eq!(post.gateway.refusal("ann@acme", PASSWORD).await, "LOCKED");
    assert_eq!(post.only().await.subject(), "Too many wrong passwords for ann@acme");
    let done = redeem(&post.gateway, &link, NEW).await;
    assert_eq!(user_errors(&done), [""; 0]);
    // The lock is gone with the failures, and so are the other sessions.
    post.gateway.sign_in_as("ann@acme", NEW).await;
    assert_eq!(
        before.error("{ viewer { user { id } } user(id: \"x\") { id } }").await,
        "UNAUTHENTICATED"
    );
    let me = post.gateway.with_token(done["token"].as_str().unwrap());
    assert_eq!(
        me.data("{ viewer { user { login } } }").await["viewer"]["user"]["login"],
        json!("ann")
    );
}

async fn a_link_for_somebody_new_leaves_no_notice(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let input = json!({ "login": "bob", "email": "bob@example.org", "sendAccessEmail": true });
    let made = scene.owner.mutate("createUser", input, "user { hasPassword }").await;
    assert_eq!(made["user"]["hasPassword"], json!(false), "{made:#}");
    let link = secret(&post.only().await);
    assert_eq!(user_errors(&redeem(&post.gateway, &link, NEW).await), [""; 0]);
    post.none().await;
    post.gateway.sign_in_as("bob@acme", NEW).await;
}

async fn what_is_no_link_says_so(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let link = scene.link().await;
    let last = if link.ends_with('A') { 'B' } else { 'A' };
    let mut tampered = link.clone();
    tampered.replace_range(10..11, if &link[10..11] == "x" { "y" } else { "x" });
    for wrong in [
        String::new(),
        "x".repeat(100_000),
        link[..link.len() - 1].to_owned(),
        format!("{link}{last}"),
        link.replace("dwl_", "dws_"),
        link.to_uppercase(),
        tampered,
        scene.owner.token.clone().unwrap(),
    ] {
        scene.is_refused(&wrong, &GONE).await;
    }
    // The link is no token of a session, either.
    assert_eq!(
        post.gateway.with_token(&link).error("{ users { totalCount } }").await,
        "UNAUTHENTICATED"
    );
    assert_eq!(user_errors(&redeem(&post.gateway, &link, NEW).await), [""; 0]);
}

async fn a_link_expires(backend: Backend) {
    let post = Post::start_with(backend, |config| {
        config.mail.access_link = Duration::from_secs(3600);
        config.mail.reset_link = Duration::from_secs(600);
    })
    .await;
    let scene = Scene::new(&post).await;
    let link = scene.link().await;
    post.gateway.wait(Duration::from_secs(3600));
    scene.is_refused(&link, &GONE).await;
    let link = scene.reset_link().await;
    post.gateway.wait(Duration::from_secs(600));
    scene.is_refused(&link, &GONE).await;
    // Up to then they work.
    let link = scene.link().await;
    post.gateway.wait(Duration::from_secs(3590));
    assert_eq!(user_errors(&redeem(&post.gateway, &link, NEW).await), [""; 0]);
}

async fn a_later_link_takes_its_place(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let first = scene.link().await;
    let second = scene.link().await;
    assert_ne!(first, second);
    scene.is_refused(&first, &GONE).await;
    let third = scene.reset_link().await;
    assert_eq!(user_errors(&redeem(&post.gateway, &third, NEW).await), [""; 0]);
    assert_eq!(post.only().await.subject(), "Your password for Doorward was changed");
    for link in [&first, &second, &third] {
        scene.is_refused(link, &GONE).await;
    }
}

async fn a_reset_of_anybodys_leaves_an_administrators_link(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let access = scene.link().await;
    let first = scene.reset_link().await;
    let second = scene.reset_link().await;
    scene.is_refused(&first, &GONE).await;
    assert_eq!(user_errors(&redeem(&post.gateway, &access, NEW).await), [""; 0]);
    assert_eq!(post.only().await.subject(), "Your password for Doorward was changed");
    scene.is_refused(&second, &GONE).await;
}

async fn another_address_ends_a_link(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let (access, reset) = (scene.link().await, scene.reset_link().await);
    let change = json!({ "id": id(&scene.ann), "email": "ann.elsewhere@example.org" });
    let changed = scene.owner.mutate("updateUser", change, "user { id }").await;
    assert_eq!(user_errors(&changed), [""; 0]);
    assert_eq!(post.only().await.envelope.to, ["ann@example.org"]);
    for link in [&access, &reset] {
        scene.is_refused(link, &GONE).await;
    }
    // One that goes to where the user is now works.
    let link = scene.link().await;
    assert_eq!(user_errors(&redeem(&post.gateway, &link, NEW).await), [""; 0]);
}

async fn any_other_password_ends_a_link(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let me = post.gateway.sign_in("ann@acme").await;
    let (access, reset) = (scene.link().await, scene.reset_link().await);
    assert_eq!(user_errors(&change_password(&me, PASSWORD, OTHER).await), [""; 0]);
    post.only().await;
    for link in [&access, &reset] {
        scene.is_refused(link, &GONE).await;
    }
    let link = scene.link().await;
    let input = json!({ "id": id(&scene.ann), "password": "copper-Thistle-64-meadow" });
    assert_eq!(
        user_errors(&scene.owner.mutate("setUserPassword", input, "user { id }").await),
        [""; 0]
    );
    post.only().await;
    scene.is_refused(&link, &GONE).await;
}

async fn a_disabled_user_and_a_frozen_account_stay_out(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    post.gateway.master(&post.gateway.system().await, "root").await;
    let root = post.gateway.sign_in("root@system").await;
    let link = scene.link().await;
    let ann = json!({ "id": id(&scene.ann) });
    let acme = json!({ "id": node_id::encode(scene.acme.id).to_string() });

    scene.owner.mutate("disableUser", ann.clone(), "user { id }").await;
    scene.is_refused(&link, &["DISABLED"]).await;
    let sent = scene.owner.mutate("sendAccessEmail", ann.clone(), "user { id }").await;
    assert_eq!(user_errors(&sent), ["DISABLED"]);
    scene.owner.mutate("enableUser", ann.clone(), "user { id }").await;

    assert_eq!(
        user_errors(&root.mutate("freezeAccount", acme.clone(), "account { id }").await),
        [""; 0]
    );
    let refused = redeem(&post.gateway, &link, NEW).await;
    assert_eq!(user_errors(&refused), ["ACCOUNT_FROZEN"]);
    assert_eq!(refused["token"], Value::Null);
    root.mutate("activateAccount", acme, "account { id }").await;

    // Who was kept out is in the history.
    let query = format!(
        "{{ user(id: \"{}\") {{ loginHistory(first: 2) {{ nodes {{ method outcome }} }} }} }}",
        id(&scene.ann)
    );
    let seen = root.data(&query).await;
    assert_eq!(
        seen["user"]["loginHistory"]["nodes"],
        json!([{ "method": "LINK", "outcome": "ACCOUNT_FROZEN" }, { "method": "LINK", "outcome": "DISABLED" }])
    );
    // Neither of them ended the link.
    assert_eq!(user_errors(&redeem(&post.gateway, &link, NEW).await), [""; 0]);
}

async fn a_password_that_will_not_do_leaves_the_link(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let link = scene.link().await;
    let before = scene.state().await;
    for (password, error) in [
        ("short", "WEAK_PASSWORD newPassword"),
        ("", "WEAK_PASSWORD newPassword"),
        ("ann-ann-ann-ann", "WEAK_PASSWORD newPassword"),
        (PASSWORD, "REUSED_PASSWORD newPassword"),
    ] {
        let refused = redeem(&post.gateway, &link, password).await;
        let errors = user_errors(&refused);
        assert!(
            !errors.is_empty() && errors.iter().all(|found| found == error),
            "{password:?}: {refused:#}"
        );
        assert_eq!(refused["token"], Value::Null);
    }
    assert_eq!(scene.state().await, before);
    assert_eq!(user_errors(&redeem(&post.gateway, &link, NEW).await), [""; 0]);
}

async fn one_link_is_used_once_however_many_try(backend: Backend) {
    let post = Post::start(backend).await;
    let scene = Scene::new(&post).await;
    let link = scene.link().await;
    let tries = (0..6).map(|n| {
        let (gateway, link) = (&post.gateway, &link);
        async move { redeem(gateway, link, &format!("{NEW}-{n}")).await }
    });
    let results = futures_util::future::join_all(tries).await;
    let (done, refused): (Vec<&Value>, Vec<&Value>) = results.iter().partition(|r| r["token"].is_string());
    assert_eq!((done.len(), refused.len()), (1, 5), "{results:#?}");
    for one in refused {
        assert_eq!(user_errors(one), GONE);
    }
    post.only().await;
}
