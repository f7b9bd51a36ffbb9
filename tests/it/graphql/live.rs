//! Sign-ins as they happen: who is told of which, and for how long.

use std::time::{Duration, Instant};

use doorward::domain::account::AccountStatus;
use doorward::domain::user::UserStatus;
use doorward::graphql::node_id;
use doorward::service::UserChanges;
use serde_json::{Value, json};

use crate::support::gateway::{Backend, Gateway, PASSWORD, on_both_stores};
use crate::support::mongod::PrivateMongod;
use crate::support::process::{self, Doorward};
use crate::support::socket::{Heard, Socket};

on_both_stores!(
    a_master_is_told_of_every_sign_in_of_the_account,
    users_are_told_of_their_own_unless_they_read_the_history,
    operators_are_told_of_every_account_or_of_one,
    filters_mean_what_they_mean_in_the_history,
    nobody_and_those_who_must_change_their_password_are_refused,
    a_bearer_beats_the_cookie_and_a_wrong_one_is_refused,
    the_cookie_works_from_our_own_pages_only,
    sockets_end_with_the_session,
    sockets_end_when_their_people_may_not_be_here,
    lost_rights_count_at_once,
    a_token_is_told_of_what_its_roles_show_until_it_is_revoked,
    being_told_is_a_use_of_the_session,
    sign_ins_at_another_process_are_told_of,
);

const SIGN_INS: &str = "subscription($filter: LoginEventFilter) {
    loginEvents(filter: $filter) { attemptedLogin outcome method ip detail user { login } } }";

/// Subscribes as that person, as `a`.
async fn follow(gateway: &Gateway, token: Option<&str>, filter: Value) -> Socket {
    let mut socket = Socket::open(&gateway.url, token).await;
    socket.subscribe("a", SIGN_INS, json!({ "filter": filter })).await;
    socket
}

/// Who tried to sign in, by the next event.
async fn login(socket: &mut Socket) -> String {
    let data = socket.event("a").await;
    data["loginEvents"]["attemptedLogin"].as_str().unwrap().to_owned()
}

/// How it ended, when that took no more than two seconds since then.
async fn end_in_time(socket: &mut Socket, since: Instant) -> u16 {
    let code = socket.end().await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    code
}

async fn a_master_is_told_of_every_sign_in_of_the_account(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    gateway.master(&acme, "owner").await;
    gateway.master(&blue, "boss").await;
    gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await.token.unwrap();
    let boss = gateway.sign_in("boss@blue").await.token.unwrap();
    let mut of_acme = follow(&gateway, Some(&owner), Value::Null).await;
    let mut of_blue = follow(&gateway, Some(&boss), Value::Null).await;

    gateway.sign_in("ann@acme").await;
    gateway.refusal("ann@acme", "not the password").await;
    gateway.refusal("nobody@acme", "not the password").await;
    let ann = json!({ "login": "ann" });
    for (outcome, user) in [
        ("SUCCESS", &ann),
        ("WRONG_PASSWORD", &ann),
        ("UNKNOWN_USER", &Value::Null),
    ] {
        let event = of_acme.event("a").await["loginEvents"].clone();
        assert_eq!((&event["outcome"], &event["user"]), (&json!(outcome), user), "{event}");
        assert_eq!((&event["ip"], &event["method"]), (&json!("127.0.0.1"), &json!("LOCAL")));
    }
    of_acme.is_silent().await;
    of_blue.is_silent().await;
    gateway.refusal("boss@blue", "not the password").await;
    assert_eq!(login(&mut of_blue).await, "boss@blue");
    of_acme.is_silent().await;

    // One that was ended is told no more, and its name is free again.
    of_acme.say(json!({ "type": "complete", "id": "a" })).await;
    assert_eq!(
        of_acme.next().await,
        Heard::Said(json!({ "type": "complete", "id": "a" }))
    );
    gateway.sign_in("ann@acme").await;
    of_acme.is_silent().await;
    of_acme.subscribe("a", SIGN_INS, json!({})).await;
    gateway.sign_in("ann@acme").await;
    assert_eq!(login(&mut of_acme).await, "ann@acme");
}

async fn users_are_told_of_their_own_unless_they_read_the_history(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let role = gateway.role(&acme, "Readers", &["history:read"]).await;
    gateway.user(&acme, "ann").await;
    gateway.user(&acme, "bob").await;
    gateway
        .user_with(&acme, "reader", |new| new.roles = vec![Some(role)])
        .await;
    let ann = gateway.sign_in("ann@acme").await.token.unwrap();
    let reader = gateway.sign_in("reader@acme").await.token.unwrap();
    let mut of_ann = follow(&gateway, Some(&ann), Value::Null).await;
    let mut of_all = follow(&gateway, Some(&reader), Value::Null).await;
    gateway.sign_in("bob@acme").await;
    gateway.refusal("nobody@acme", "not the password").await;
    gateway.refusal("ann@acme", "not the password").await;
    assert_eq!(login(&mut of_ann).await, "ann@acme");
    of_ann.is_silent().await;
    for expected in ["bob@acme", "nobody@acme", "ann@acme"] {
        assert_eq!(login(&mut of_all).await, expected);
    }
}

async fn operators_are_told_of_every_account_or_of_one(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let system = gateway.system().await;
    gateway.master(&system, "root").await;
    let (acme, blue) = (gateway.account("acme").await, gateway.account("blue").await);
    gateway.user(&acme, "ann").await;
    gateway.user(&blue, "bob").await;
    let root = gateway.sign_in("root@system").await;
    let query = "{ account(name: \"blue\") { id } }";
    let id = root.data(query).await["account"]["id"].clone();
    let token = root.token.as_deref();
    let mut of_all = follow(&gateway, token, Value::Null).await;
    let mut of_blue = follow(&gateway, token, json!({ "account": id })).await;
    gateway.sign_in("ann@acme").await;
    gateway.sign_in("bob@blue").await;
    gateway.refusal("x@nowhere", "not the password").await;
    for expected in ["ann@acme", "bob@blue", "x@nowhere"] {
        assert_eq!(login(&mut of_all).await, expected);
    }
    assert_eq!(login(&mut of_blue).await, "bob@blue");
    of_blue.is_silent().await;

    // Somebody else's account is as one that does not exist.
    let ann = gateway.sign_in("ann@acme").await.token.unwrap();
    let mut foreign = follow(&gateway, Some(&ann), json!({ "account": id })).await;
    gateway.sign_in("bob@blue").await;
    gateway.sign_in("ann@acme").await;
    foreign.is_silent().await;
}

async fn filters_mean_what_they_mean_in_the_history(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "ann").await;
    gateway.user(&acme, "bob").await;
    let owner = gateway.sign_in("owner@acme").await;
    let id = owner.data("{ user(login: \"ann@acme\") { id } }").await["user"]["id"].clone();
    let soon = gateway.now() + Duration::from_secs(60);
    let filters = [
        json!({ "user": id }),
        json!({ "outcomes": ["WRONG_PASSWORD", "UNKNOWN_USER"] }),
        json!({ "outcomes": [] }),
        json!({ "methods": ["LOCAL"], "ip": "127.0.0.1" }),
        json!({ "methods": ["LDAP"] }),
        json!({ "ip": "192.0.2.1" }),
        json!({ "ip": "no address" }),
        json!({ "user": "no id" }),
        json!({ "since": gateway.now().to_string(), "until": soon.to_string() }),
        json!({ "since": soon.to_string() }),
        json!({ "until": gateway.now().to_string() }),
        json!({ "user": id, "outcomes": ["SUCCESS"] }),
    ];
    // What was there before is not told of, so what is found in the history counts from here.
    let begins = gateway.now() + Duration::from_millis(1);
    let mut socket = Socket::open(&gateway.url, owner.token.as_deref()).await;
    for (n, filter) in filters.iter().enumerate() {
        socket
            .subscribe(&n.to_string(), SIGN_INS, json!({ "filter": filter }))
            .await;
    }
    gateway.sign_in("ann@acme").await;
    gateway.refusal("ann@acme", "not the password").await;
    gateway.sign_in("bob@acme").await;
    gateway.refusal("nobody@acme", "not the password").await;

    let mut told = vec![Vec::new(); filters.len()];
    while let Some(Heard::Said(message)) = socket.within(Duration::from_secs(2)).await {
        assert_eq!(message["type"], "next", "{message:#}");
        let n: usize = message["id"].as_str().unwrap().parse().unwrap();
        let event = &message["payload"]["data"]["loginEvents"];
        told[n].push((event["attemptedLogin"].clone(), event["outcome"].clone()));
    }
    assert_eq!(
        told.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 2, 0, 4, 0, 0, 0, 0, 4, 0, 0, 1]
    );
    for (filter, told) in filters.iter().zip(told) {
        let query = "query($filter: LoginEventFilter) { loginHistory(first: 50, filter: $filter) { nodes { attemptedLogin outcome at } } }";
        let data = owner.data_with(query, json!({ "filter": filter })).await;
        let mut found: Vec<_> = data["loginHistory"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() >= begins)
            .map(|e| (e["attemptedLogin"].clone(), e["outcome"].clone()))
            .collect();
        found.reverse();
        assert_eq!(told, found, "{filter}");
    }
}

async fn nobody_and_those_who_must_change_their_password_are_refused(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway
        .user_with(&acme, "new", |new| new.must_change_password = true)
        .await;
    let mut nobody = Socket::open(&gateway.url, None).await;
    let subscribe = |query: &str| json!({ "type": "subscribe", "id": "a", "payload": { "query": query } });
    let plain = "subscription { loginEvents { id } }";
    nobody.say(subscribe(plain)).await;
    assert_eq!(nobody.refusal("a").await, json!({ "code": "UNAUTHENTICATED" }));

    let token = gateway.try_sign_in("new@acme", PASSWORD).await["token"].clone();
    let mut new = Socket::open(&gateway.url, token.as_str()).await;
    new.say(subscribe(plain)).await;
    let refused = new.refusal("a").await;
    assert_eq!(
        refused,
        json!({ "code": "FORBIDDEN", "reason": "MUST_CHANGE_PASSWORD" })
    );

    // Only subscriptions, one field each, and within the limits of every query.
    let deep = format!(
        "subscription {{ loginEvents {{ {} id {} }} }}",
        "user { loginHistory { nodes { ".repeat(6),
        "} } }".repeat(6)
    );
    for query in [
        "{ viewer { isMaster } }",
        "mutation { signOut { done } }",
        "subscription { a: loginEvents { id } b: loginEvents { id } }",
        "subscription { ...F } fragment F on Subscription { loginEvents { id } }",
        "subscription { loginEvents { nothing } }",
        "subscription { loginEvents { id }",
        &deep,
    ] {
        nobody.say(subscribe(query)).await;
        assert_eq!(nobody.refusal("a").await["code"], "BAD_REQUEST", "{query}");
    }
}

async fn a_bearer_beats_the_cookie_and_a_wrong_one_is_refused(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    gateway.user(&acme, "bob").await;
    let ann = gateway.sign_in("ann@acme").await.token.unwrap();
    let bob = gateway.sign_in("bob@acme").await.token.unwrap();
    let cookie = format!("doorward_session={ann}");
    let bearer = format!("Bearer {bob}");
    let ack = Heard::Said(json!({ "type": "connection_ack" }));

    // In the message, in whatever case its name is, and in the request's header.
    for name in ["Authorization", "authorization"] {
        let mut socket = Socket::connect(&gateway.url, &[("cookie", &cookie)]).await.unwrap();
        assert_eq!(socket.init(json!({ name: bearer })).await, ack);
        socket.subscribe("a", SIGN_INS, json!({})).await;
        gateway.refusal("ann@acme", "not the password").await;
        gateway.refusal("bob@acme", "not the password").await;
        assert_eq!(login(&mut socket).await, "bob@acme");
    }
    let headers = [("cookie", cookie.as_str()), ("authorization", &bearer)];
    let mut socket = Socket::connect(&gateway.url, &headers).await.unwrap();
    assert_eq!(socket.init(Value::Null).await, ack);
    socket.subscribe("a", SIGN_INS, json!({})).await;
    gateway.refusal("bob@acme", "not the password").await;
    assert_eq!(login(&mut socket).await, "bob@acme");

    let unknown = format!("Bearer dws_{}", "A".repeat(43));
    for wrong in [
        json!("Bearer x"),
        json!(bob),
        json!(""),
        json!(7),
        json!(null),
        json!(unknown),
    ] {
        let mut socket = Socket::connect(&gateway.url, &[("cookie", &cookie)]).await.unwrap();
        let refused = socket.init(json!({ "Authorization": wrong })).await;
        assert_eq!(refused, Heard::Closed(4403), "{wrong}");
    }
    let refused = Socket::connect(&gateway.url, &[("authorization", &unknown)]).await;
    assert_eq!(refused.unwrap_err(), 401);
}

async fn the_cookie_works_from_our_own_pages_only(backend: Backend) {
    let gateway = Gateway::start_with(backend, |c| {
        c.http.allowed_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let token = gateway.sign_in("ann@acme").await.token.unwrap();
    let cookie = format!("doorward_session={token}");
    for (origin, is_ann) in [
        (None, true),
        (Some(gateway.url.as_str()), true),
        (Some("https://app.example.org"), false),
    ] {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let mut socket = Socket::connect(&gateway.url, &headers).await.unwrap();
        socket.init(Value::Null).await;
        if is_ann {
            socket.subscribe("a", SIGN_INS, json!({})).await;
            gateway.refusal("ann@acme", "not the password").await;
            assert_eq!(login(&mut socket).await, "ann@acme");
        } else {
            socket
                .say(json!({ "type": "subscribe", "id": "a", "payload": { "query": SIGN_INS } }))
                .await;
            assert_eq!(socket.refusal("a").await["code"], "UNAUTHENTICATED", "{origin:?}");
        }
    }
    for foreign in [
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let refused = Socket::connect(&gateway.url, &[("cookie", &cookie), foreign]).await;
        assert_eq!(refused.unwrap_err(), 403, "{foreign:?}");
    }
    // A cookie that opens nothing is as none.
    let stale = format!("doorward_session=dws_{}", "A".repeat(43));
    let mut socket = Socket::connect(&gateway.url, &[("cookie", &stale)]).await.unwrap();
    assert_eq!(
        socket.init(Value::Null).await,
        Heard::Said(json!({ "type": "connection_ack" }))
    );
    let old = [("sec-websocket-protocol", "graphql-ws")];
    assert_eq!(Socket::connect(&gateway.url, &old).await.unwrap_err(), 400);
}

async fn a_token_is_told_of_what_its_roles_show_until_it_is_revoked(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let reader = node_id::encode(gateway.role(&acme, "Reader", &["history:read"]).await).to_string();
    let owner = gateway.sign_in("owner@acme").await;
    let mint = async |name: &str, roles: Value| {
        let input = json!({ "name": name, "roles": roles });
        let payload = owner.mutate("createApiToken", input, "secret apiToken { id }").await;
        let secret = payload["secret"]
            .as_str()
            .unwrap_or_else(|| panic!("{payload}"))
            .to_owned();
        (payload["apiToken"]["id"].clone(), secret)
    };
    let (id, sees) = mint("sees", json!([reader])).await;
    let (_, bare) = mint("bare", json!([])).await;
    let mut of_all = follow(&gateway, Some(&sees), Value::Null).await;
    let mut of_none = follow(&gateway, Some(&bare), Value::Null).await;
    gateway.sign_in("owner@acme").await;
    assert_eq!(login(&mut of_all).await, "owner@acme");
    of_none.is_silent().await;

    let since = Instant::now();
    owner
        .mutate("revokeApiToken", json!({ "id": id }), "apiToken { id }")
        .await;
    assert_eq!(end_in_time(&mut of_all, since).await, 4403);
    gateway.sign_in("owner@acme").await;
    of_none.is_silent().await;
}

/// A second gateway over the same store, as another process would be.
async fn beside(backend: Backend) -> (Gateway, Gateway) {
    let mut url = None;
    let first = Gateway::start_with(backend, |c| url = Some(c.store.url.clone())).await;
    let second = Gateway::start_with(backend, |c| c.store.url = url.unwrap()).await;
    (first, second)
}

async fn sockets_end_with_the_session(backend: Backend) {
    let (gateway, other) = beside(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    for at_another in [false, true] {
        let ann = gateway.sign_in("ann@acme").await.token.unwrap();
        let stays = gateway.sign_in("ann@acme").await.token.unwrap();
        let mut quiet = Socket::open(&gateway.url, Some(&ann)).await;
        let mut busy = follow(&gateway, Some(&ann), Value::Null).await;
        let mut staying = follow(&gateway, Some(&stays), Value::Null).await;
        let by = if at_another { &other } else { &gateway };
        by.with_token(&ann).data("mutation { signOut { done } }").await;
        let since = Instant::now();
        assert_eq!(end_in_time(&mut quiet, since).await, 4403);
        assert_eq!(end_in_time(&mut busy, since).await, 4403);
        gateway.refusal("ann@acme", "not the password").await;
        assert_eq!(login(&mut staying).await, "ann@acme");
    }
    // A session that is over by itself.
    let ann = gateway.sign_in("ann@acme").await.token.unwrap();
    let mut socket = follow(&gateway, Some(&ann), Value::Null).await;
    gateway.wait(Duration::from_secs(13 * 3600));
    assert_eq!(end_in_time(&mut socket, Instant::now()).await, 4403);
}

async fn sockets_end_when_their_people_may_not_be_here(backend: Backend) {
    let (gateway, other) = beside(backend).await;
    let acme = gateway.account("acme").await;
    let [ann, bob, eve] = [
        gateway.user(&acme, "ann").await,
        gateway.user(&acme, "bob").await,
        gateway.user(&acme, "eve").await,
    ];
    let mut sockets = Vec::new();
    for user in [&ann, &bob, &eve] {
        let token = gateway.sign_in(&format!("{}@acme", user.login)).await.token.unwrap();
        sockets.push(follow(&gateway, Some(&token), Value::Null).await);
    }
    let shell = other.services.command_line();
    let users = shell.write_users().unwrap();
    users.set_status(ann.id, UserStatus::Disabled).await.unwrap();
    assert_eq!(end_in_time(&mut sockets[0], Instant::now()).await, 4403);
    users.delete(bob.id).await.unwrap();
    assert_eq!(end_in_time(&mut sockets[1], Instant::now()).await, 4403);
    let accounts = shell.write_accounts().unwrap();
    accounts.set_status(acme.id, AccountStatus::Frozen).await.unwrap();
    assert_eq!(end_in_time(&mut sockets[2], Instant::now()).await, 4403);
}

async fn lost_rights_count_at_once(backend: Backend) {
    let (gateway, other) = beside(backend).await;
    let acme = gateway.account("acme").await;
    let role = gateway.role(&acme, "Readers", &["history:read"]).await;
    gateway.user(&acme, "ann").await;
    let reader = gateway
        .user_with(&acme, "reader", |new| new.roles = vec![Some(role)])
        .await;
    let token = gateway.sign_in("reader@acme").await.token.unwrap();
    let mut socket = follow(&gateway, Some(&token), Value::Null).await;
    gateway.sign_in("ann@acme").await;
    assert_eq!(login(&mut socket).await, "ann@acme");

    let shell = other.services.command_line();
    let users = shell.write_users().unwrap();
    let none = UserChanges {
        roles: Some(Vec::new()),
        ..UserChanges::default()
    };
    users.update(reader.id, none).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    gateway.sign_in("ann@acme").await;
    gateway.refusal("reader@acme", "not the password").await;
    assert_eq!(login(&mut socket).await, "reader@acme", "one's own only");

    // Whoever must change the password is told nothing more.
    let must = UserChanges {
        must_change_password: Some(true),
        ..UserChanges::default()
    };
    users.update(reader.id, must).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    gateway.refusal("reader@acme", "not the password").await;
    assert_eq!(socket.refusal("a").await["reason"], "MUST_CHANGE_PASSWORD");
}

async fn being_told_is_a_use_of_the_session(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let (listens, rests) = (
        gateway.sign_in("ann@acme").await.token.unwrap(),
        gateway.sign_in("ann@acme").await.token.unwrap(),
    );
    let mut listening = follow(&gateway, Some(&listens), Value::Null).await;
    let mut resting = Socket::open(&gateway.url, Some(&rests)).await;
    for _ in 0..2 {
        gateway.wait(Duration::from_secs(70 * 60)); // the idle time is two hours
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    assert_eq!(resting.end().await, 4403);
    gateway.refusal("ann@acme", "not the password").await;
    assert_eq!(login(&mut listening).await, "ann@acme");
}

async fn sign_ins_at_another_process_are_told_of(backend: Backend) {
    let (gateway, other) = beside(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await.token.unwrap();
    let mut here = follow(&gateway, Some(&owner), Value::Null).await;
    let mut there = follow(&other, Some(&owner), Value::Null).await;
    for (n, by) in [&other, &gateway, &other, &other].into_iter().enumerate() {
        by.refusal(&format!("ann{n}@acme"), "not the password").await;
    }
    for socket in [&mut here, &mut there] {
        for n in 0..4 {
            assert_eq!(login(socket).await, format!("ann{n}@acme"));
        }
        socket.is_silent().await;
    }
}

/// The protocol's codes.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_closes_the_socket() {
    let gateway = Gateway::start_with(Backend::Sqlite, |c| c.limits.body_bytes = 64 * 1024).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let token = gateway.sign_in("ann@acme").await.token.unwrap();
    let subscribe = json!({ "type": "subscribe", "id": "a", "payload": { "query": SIGN_INS } });

    let mut early = Socket::connect(&gateway.url, &[]).await.unwrap();
    early.say(subscribe.clone()).await;
    assert_eq!(early.end().await, 4401);
    let open = || Socket::open(&gateway.url, Some(&token));
    let mut twice = open().await;
    twice.say(json!({ "type": "connection_init" })).await;
    assert_eq!(twice.end().await, 4429);
    let mut double = open().await;
    double.say(subscribe.clone()).await;
    double.say(subscribe.clone()).await;
    assert_eq!(double.end().await, 4409);
    for bad in [
        "{",
        "[]",
        "{\"type\": \"start\", \"id\": \"a\", \"payload\": {\"query\": \"x\"}}",
        "{\"type\": \"subscribe\", \"id\": \"a\"}",
        "{\"type\": \"subscribe\", \"id\": \"a\", \"payload\": 7}",
    ] {
        let mut socket = open().await;
        socket.say_text(bad).await;
        assert_eq!(socket.end().await, 4400, "{bad}");
    }
    let mut large = open().await;
    large.say_text(&" ".repeat(65 * 1024)).await;
    assert!(matches!(large.end().await, 1002 | 1006 | 1009));

    // Thirty-two at a time; one more is refused, and there is room again when one ends.
    let mut many = open().await;
    for n in 0..33 {
        let payload = json!({ "query": "subscription { loginEvents { id } }" });
        many.say(json!({ "type": "subscribe", "id": n.to_string(), "payload": payload }))
            .await;
    }
    assert_eq!(many.refusal("32").await["code"], "BAD_REQUEST");
    many.say(json!({ "type": "complete", "id": "7" })).await;
    assert_eq!(many.next().await, Heard::Said(json!({ "type": "complete", "id": "7" })));
    many.subscribe("32", "subscription { loginEvents { id } }", json!({}))
        .await;
    many.is_silent().await;

    // Whoever says nothing is not waited for; in the meantime the rest of the server is of no concern.
    let mut silent = Socket::connect(&gateway.url, &[]).await.unwrap();
    let since = Instant::now();
    assert_eq!(silent.end().await, 4408);
    assert!(since.elapsed() > Duration::from_secs(9), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_outlive_a_restart_of_the_store() {
    let mut mongod = PrivateMongod::start(true).await;
    let url = mongod.url().replace("/?", "/doorward?");
    let gateway = Gateway::start_with(Backend::Mongo, |c| c.store.url = url.parse().unwrap()).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let ann = gateway.sign_in("ann@acme").await.token.unwrap();
    let mut socket = follow(&gateway, Some(&ann), Value::Null).await;
    mongod.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    mongod.restart().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while gateway.try_sign_in("ann@acme", "not the password").await["userErrors"].is_null() {
        assert!(Instant::now() < deadline, "nobody can sign in");
    }
    assert_eq!(login(&mut socket).await, "ann@acme");
    gateway.with_token(&ann).data("mutation { signOut { done } }").await;
    assert_eq!(end_in_time(&mut socket, Instant::now()).await, 4403);
}

/// Two servers on one file, the command line beside them, and the end of it all.
#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_file() {
    let doorward = Doorward::new();
    let (here, there) = (doorward.serve(&["serve"]), doorward.serve(&["serve"]));
    doorward.run(&["account", "create", "acme"]).succeeds();
    for login in ["ann@acme", "bob@acme"] {
        let args = ["user", "create", login, "--password-stdin"];
        doorward.run_with_input(&args, process::PASSWORD).succeeds();
    }
    let password = process::PASSWORD.trim();
    let (address, elsewhere) = (here.address, there.address);
    let token = move |login: &'static str| process::token(address, login, password);
    let url = format!("http://{address}");
    let mut sockets = Vec::new();
    for login in ["ann@acme", "bob@acme"] {
        let token = tokio::task::spawn_blocking(move || token(login)).await.unwrap();
        let mut socket = Socket::open(&url, Some(&token)).await;
        socket.subscribe("a", SIGN_INS, json!({})).await;
        sockets.push(socket);
    }
    let mut bob = sockets.pop().unwrap();
    let mut ann = sockets.pop().unwrap();
    tokio::task::spawn_blocking(move || process::token(elsewhere, "ann@acme", password))
        .await
        .unwrap();
    assert_eq!(login(&mut ann).await, "ann@acme");
    bob.is_silent().await;

    let disabling = tokio::task::spawn_blocking(move || {
        doorward.run(&["user", "disable", "ann@acme"]).succeeds();
        (doorward, Instant::now())
    });
    let (_doorward, since) = disabling.await.unwrap();
    assert_eq!(end_in_time(&mut ann, since).await, 4403);

    // A stop closes what is open, and does not wait for it.
    let since = Instant::now();
    let stopping = tokio::task::spawn_blocking(move || here.stop("-TERM"));
    assert_eq!(bob.end().await, 1001);
    let (code, stderr) = stopping.await.unwrap();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}
