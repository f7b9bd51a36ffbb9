//! The reading side: who sees what, pages, filters, identifiers.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores};

on_both_stores!(
    what_you_may_not_see_does_not_exist,
    nobody_reads_nothing,
    every_field_of_every_type_answers,
    pages_go_forwards_and_backwards,
    page_arguments_that_make_no_sense_are_refused,
    filters_and_orders_hold,
    anything_is_found_by_its_identifier,
    operators_see_every_account,
    a_history_reader_sees_what_others_tried,
    queries_are_bounded,
);

/// acme with a master, a plain user, a reader of users and one of the history; and another account.
async fn house(backend: Backend) -> Gateway {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    let reads_users = gateway.role(&acme, "Readers", &["users:read"]).await;
    let reads_history = gateway
        .role(&acme, "Auditors", &["users:read", "history:read", "audit:read"])
        .await;
    let emea = gateway.group(&acme, "EMEA").await;
    gateway.master(&acme, "owner").await;
    gateway
        .user_with(&acme, "plain", |new| {
            (new.first_name, new.last_name) = ("Анна".to_owned(), "Петрова".to_owned());
            new.email = Some("Plain@Example.org".to_owned());
            new.phone = Some("+44 20 7183 8750".to_owned());
            new.groups = vec![Some(emea)];
        })
        .await;
    gateway
        .user_with(&acme, "reader", |new| new.roles = vec![Some(reads_users)])
        .await;
    gateway
        .user_with(&acme, "auditor", |new| new.roles = vec![Some(reads_history)])
        .await;
    let other = gateway.account("other").await;
    gateway.master(&other, "stranger").await;
    gateway
}

fn strings<'a>(nodes: &'a Value, field: &str) -> Vec<&'a str> {
    nodes
        .as_array()
        .unwrap_or_else(|| panic!("{nodes}"))
        .iter()
        .map(|n| n[field].as_str().unwrap())
        .collect()
}

async fn id_of(asker: &Asker<'_>, login: &str) -> String {
    let data = asker
        .data_with("query($l: String!) { user(login: $l) { id } }", json!({ "l": login }))
        .await;
    data["user"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no {login}: {data}"))
        .to_owned()
}

async fn what_you_may_not_see_does_not_exist(backend: Backend) {
    let gateway = house(backend).await;
    let (plain, reader, owner, stranger) = (
        gateway.sign_in("plain@acme").await,
        gateway.sign_in("reader@acme").await,
        gateway.sign_in("owner@acme").await,
        gateway.sign_in("stranger@other").await,
    );
    let owner_id = id_of(&owner, "owner@acme").await;
    let all = "{ users { totalCount nodes { login } } account { users { totalCount nodes { login } } } }";
    let seen = plain.data(all).await;
    assert_eq!(
        seen["users"],
        json!({ "totalCount": 1, "nodes": [{ "login": "plain" }] })
    );
    assert_eq!(seen["account"]["users"], seen["users"]);
    let seen = reader.data(all).await;
    assert_eq!(
        strings(&seen["users"]["nodes"], "login"),
        ["auditor", "owner", "plain", "reader"]
    );
    assert_eq!(seen["users"]["totalCount"], 4);

    for asker in [&plain, &stranger] {
        let query = "query($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } user(id: $id) { id } }";
        let data = asker.data_with(query, json!({ "id": owner_id })).await;
        assert_eq!(data, json!({ "node": null, "nodes": [null], "user": null }));
        let data = asker.data("{ user(login: \"owner@acme\") { id } }").await;
        assert_eq!(data["user"], Value::Null);
    }
    let data = stranger
        .data("{ account(name: \"acme\") { id } roles { totalCount } groups { nodes { name isMain } } }")
        .await;
    assert_eq!(
        data,
        json!({ "account": null, "roles": { "totalCount": 0 }, "groups": { "nodes": [{ "name": "Main", "isMain": true }] } })
    );
    // A filter for what one does not see finds nothing, whatever it is.
    let acme = owner.data("{ account { id } }").await["account"]["id"].clone();
    let filtered = "query($a: ID!) { users(filter: {account: $a}) { totalCount nodes { id } } }";
    assert_eq!(
        stranger.data_with(filtered, json!({ "a": acme })).await["users"],
        json!({ "totalCount": 0, "nodes": [] })
    );
    assert_eq!(
        owner.data_with(filtered, json!({ "a": owner_id })).await["users"]["totalCount"],
        0,
        "no account's id"
    );

    // Others' sign-ins and sessions take permissions of their own; a refusal takes nothing else with it.
    let query =
        "{ user(login: \"owner@acme\") { login loginHistory { totalCount } sessions { id } lastLogin { at } } }";
    let answer = reader.ask(query, json!({})).await;
    assert_eq!(
        answer["data"]["user"],
        json!({ "login": "owner", "loginHistory": null, "sessions": null, "lastLogin": null })
    );
    let codes: Vec<&str> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["extensions"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["FORBIDDEN"; 3]);
    for sifted in [
        "orderBy: {field: LAST_LOGIN}",
        "filter: {neverSignedIn: true}",
        "filter: {lastLoginBefore: \"2026-01-01T00:00:00Z\"}",
    ] {
        assert_eq!(
            reader.error(&format!("{{ users({sifted}) {{ totalCount }} }}")).await,
            "FORBIDDEN",
            "{sifted}"
        );
        plain.data(&format!("{{ users({sifted}) {{ totalCount }} }}")).await;
    }
    assert_eq!(plain.error("{ auditLog { totalCount } }").await, "FORBIDDEN");
    assert_eq!(owner.error("{ accounts { totalCount } }").await, "FORBIDDEN");
    owner
        .data("{ auditLog { totalCount } user(login: \"plain@acme\") { sessions { ip } lastLogin { ip } } }")
        .await;
}

async fn nobody_reads_nothing(backend: Backend) {
    let gateway = house(backend).await;
    let nobody = gateway.nobody();
    assert_eq!(
        nobody.data("{ viewer { isMaster } __typename }").await,
        json!({ "viewer": null, "__typename": "Query" })
    );
    for query in [
        "{ users { totalCount } }",
        "{ roles { totalCount } }",
        "{ groups { totalCount } }",
        "{ loginHistory { totalCount } }",
        "{ auditLog { totalCount } }",
        "{ accounts { totalCount } }",
        "{ account { name } }",
        "{ user(login: \"owner@acme\") { id } }",
        "{ node(id: \"VQ\") { id } }",
        "{ nodes(ids: []) { id } }",
        "mutation { createUser(input: {login: \"x\"}) { user { id } } }",
        "mutation { createAccount(input: {name: \"x\"}) { account { id } } }",
        "mutation { createRole(input: {name: \"x\", permissions: []}) { role { id } } }",
        "mutation { createGroup(input: {name: \"x\"}) { group { id } } }",
        "mutation { updateUser(input: {id: \"x\"}) { user { id } } }",
    ] {
        assert_eq!(nobody.error(query).await, "UNAUTHENTICATED", "{query}");
    }
}

async fn every_field_of_every_type_answers(backend: Backend) {
    let gateway = house(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let data = owner
        .data(
            "{ viewer { apiToken { id } session { id createdAt lastSeenAt expiresAt ip browser location { country } impersonator { id } impersonatorName isCurrent user { login } } account { name } }
               account { id name title status timeZone defaultLanguage directory { name servers { url isHealthy } usedBy } directoryOnly
                 passwordPolicy { minLength minStrength maxAgeDays history lockoutThreshold lockoutMinutes }
                 createdAt updatedAt revision apiTokens { id name }
                 loginStats(from: \"2026-01-01T00:00:00Z\", to: \"2026-02-01T00:00:00Z\", bucket: DAY) { start succeeded failed uniqueUsers }
                 roles { nodes { name permissions users { nodes { login } } } } groups(filter: {search: \"em\"}) { nodes { name account { name } users { totalCount } } }
                 loginHistory { totalCount } auditLog { totalCount nodes { id at actor actorUser { login } impersonator { id } impersonatorName ip action targetType targetId targetName changes { field before after } } } }
               user(login: \"plain@acme\") { id account { name } login qualifiedLogin firstName lastName email language phone avatarUrl small: avatarUrl(size: 32) status disabledBy lockedUntil
                 notifications { email limitsExhausted subscriberComplaints hardBounces softBounces dailyReports weeklyReports securityNotices }
                 mustChangePassword hasPassword passwordChangedAt passwordExpiresAt isMaster isLdap directoryLink { dn } roles { id } groups { id name isMain description revision createdAt updatedAt }
                 grants { role { name } group { name } master source directoryGroupDn grantedBy { login } grantedAt }
                 lastLogin { id } loginHistory { pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id } } } sessions { id } createdAt updatedAt revision } }",
        )
        .await;
    let plain = &data["user"];
    assert_eq!(
        (
            &plain["firstName"],
            &plain["lastName"],
            &plain["email"],
            &plain["phone"]
        ),
        (
            &json!("Анна"),
            &json!("Петрова"),
            &json!("Plain@Example.org"),
            &json!("+442071838750")
        )
    );
    assert_eq!(plain["grants"][0]["group"]["name"], "EMEA");
    assert_eq!(
        (&plain["grants"][0]["source"], &plain["grants"][0]["grantedBy"]),
        (&json!("MANUAL"), &Value::Null)
    );
    assert_eq!(plain["lastLogin"], Value::Null);
    let account = &data["account"];
    assert_eq!(
        (&account["status"], &account["timeZone"], &account["directory"]),
        (&json!("ACTIVE"), &json!("UTC"), &Value::Null)
    );
    assert_eq!(account["passwordPolicy"]["minLength"], 12);
    assert_eq!(account["roles"]["nodes"][0]["name"], "Auditors");
    assert_eq!(
        account["roles"]["nodes"][0]["users"]["nodes"],
        json!([{ "login": "auditor" }])
    );
    assert_eq!(
        account["groups"]["nodes"],
        json!([{ "name": "EMEA", "account": { "name": "acme" }, "users": { "totalCount": 1 } }])
    );
    let created = account["auditLog"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["targetName"] == "plain@acme")
        .unwrap();
    assert_eq!(
        (&created["action"], &created["actor"]),
        (&json!("createUser"), &json!("command line"))
    );
    assert!(
        created["changes"]
            .as_array()
            .unwrap()
            .contains(&json!({ "field": "password", "before": null, "after": "changed" }))
    );
    assert!(!data.to_string().contains("argon2"), "no hash anywhere");
}

async fn pages_go_forwards_and_backwards(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "u00").await;
    for i in 1..23 {
        gateway
            .user_with(&acme, &format!("u{i:02}"), |new| {
                new.password = None;
                // Some share an address, some have none: ties and nulls.
                new.email = (i % 3 != 0).then(|| format!("mail{}@example.org", i % 4));
            })
            .await;
    }
    let me = gateway.sign_in("u00@acme").await;
    for order in [
        "{field: LOGIN}",
        "{field: LOGIN, direction: DESC}",
        "{field: EMAIL}",
        "{field: EMAIL, direction: DESC}",
        "{field: LAST_LOGIN}",
        "{field: LAST_NAME}",
        "{field: CREATED_AT, direction: DESC}",
    ] {
        let whole = me
            .data(&format!(
                "{{ users(orderBy: {order}, first: 200) {{ totalCount nodes {{ login email }} }} }}"
            ))
            .await;
        assert_eq!(whole["users"]["totalCount"], 23);
        let whole = strings(&whole["users"]["nodes"], "login")
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        for (size, cursor, end, more) in [
            ("first", "after", "endCursor", "hasNextPage"),
            ("last", "before", "startCursor", "hasPreviousPage"),
        ] {
            let mut seen: Vec<String> = Vec::new();
            let mut at = Value::Null;
            loop {
                let query = format!(
                    "query($at: String) {{ users(orderBy: {order}, {size}: 5, {cursor}: $at) {{ nodes {{ login }} pageInfo {{ {end} {more} }} }} }}"
                );
                let data = me.data_with(&query, json!({ "at": at })).await;
                let page: Vec<String> = strings(&data["users"]["nodes"], "login")
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                seen = if size == "first" {
                    [seen, page].concat()
                } else {
                    [page, seen].concat()
                };
                at = data["users"]["pageInfo"][end].clone();
                if data["users"]["pageInfo"][more] == json!(false) {
                    break;
                }
                assert!(seen.len() < 30, "{order} {size} goes round in circles");
            }
            assert_eq!(seen, whole, "{order} {size}");
        }
        if order.contains("EMAIL") {
            let data = me
                .data(&format!(
                    "{{ users(orderBy: {order}, last: 8) {{ nodes {{ email }} }} }}"
                ))
                .await;
            let emails = data["users"]["nodes"].as_array().unwrap();
            assert!(
                emails.iter().all(|n| n["email"].is_null()),
                "nulls come last in {order}: {emails:?}"
            );
        }
    }
    let data = me
        .data("{ users(first: 0) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }")
        .await;
    assert_eq!(data["users"]["nodes"], json!([]));
    assert_eq!(data["users"]["totalCount"], 23);
    let data = me
        .data("{ users { nodes { id } pageInfo { hasNextPage hasPreviousPage } } }")
        .await;
    assert_eq!(
        data["users"]["nodes"].as_array().unwrap().len(),
        20,
        "a page without a size"
    );
    assert_eq!(
        data["users"]["pageInfo"],
        json!({ "hasNextPage": true, "hasPreviousPage": false })
    );
}

async fn page_arguments_that_make_no_sense_are_refused(backend: Backend) {
    let gateway = house(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let by_login =
        owner.data("{ users(first: 1) { pageInfo { endCursor } } }").await["users"]["pageInfo"]["endCursor"].clone();
    let by_login = by_login.as_str().unwrap();
    for arguments in [
        "first: 1, last: 1".to_owned(),
        "first: -1".to_owned(),
        "last: -1".to_owned(),
        "first: 201".to_owned(),
        "last: 201".to_owned(),
        "after: \"\"".to_owned(),
        "after: \"nonsense\"".to_owned(),
        "before: \"AAAA\"".to_owned(),
        format!("orderBy: {{field: EMAIL}}, after: \"{by_login}\""),
        format!("orderBy: {{field: LOGIN, direction: DESC}}, after: \"{by_login}\""),
        "first: \"ten\"".to_owned(),
        "first: 99999999999".to_owned(),
        "filter: {email: 5}".to_owned(),
        "filter: {status: SLEEPY}".to_owned(),
        "filter: {unknown: 1}".to_owned(),
        "filter: {createdAfter: \"yesterday\"}".to_owned(),
        format!("filter: {{search: \"{}\"}}", "x".repeat(255)),
        "nonsense: 1".to_owned(),
    ] {
        assert_eq!(
            owner.error(&format!("{{ users({arguments}) {{ totalCount }} }}")).await,
            "BAD_REQUEST",
            "{arguments}"
        );
    }
    assert_eq!(
        owner
            .error(&format!("{{ roles(after: \"{by_login}\") {{ totalCount }} }}"))
            .await,
        "BAD_REQUEST"
    );
    assert_eq!(owner.error("{ user { id } }").await, "BAD_REQUEST");
    let both = "{ account(id: \"x\", name: \"acme\") { id } }";
    assert_eq!(owner.error(both).await, "BAD_REQUEST");
    let ids = vec!["\"x\""; 201].join(",");
    assert_eq!(
        owner.error(&format!("{{ nodes(ids: [{ids}]) {{ id }} }}")).await,
        "BAD_REQUEST"
    );
}

async fn filters_and_orders_hold(backend: Backend) {
    let gateway = house(backend).await;
    gateway.wait(Duration::from_secs(5));
    let now = format!("{:.3}", gateway.now());
    let owner = gateway.sign_in("owner@acme").await;
    let role = owner
        .data("{ roles(filter: {search: \"AUD\"}) { nodes { id } } }")
        .await["roles"]["nodes"][0]["id"]
        .clone();
    let group = owner
        .data("{ groups(filter: {search: \"emea\"}) { nodes { id } } }")
        .await["groups"]["nodes"][0]["id"]
        .clone();
    for (filter, expected) in [
        ("{search: \"PLA\"}".to_owned(), vec!["plain"]),
        ("{search: \"анн\"}".to_owned(), vec!["plain"]),
        ("{search: \"петр\"}".to_owned(), vec!["plain"]),
        ("{search: \"plain@ex\"}".to_owned(), vec!["plain"]),
        ("{search: \"lain\"}".to_owned(), vec![]),
        ("{search: \"%\"}".to_owned(), vec![]),
        ("{search: \".*\"}".to_owned(), vec![]),
        (
            "{search: \"  \"}".to_owned(),
            vec!["auditor", "owner", "plain", "reader"],
        ),
        ("{login: \"OWNER\"}".to_owned(), vec!["owner"]),
        ("{login: \"own\"}".to_owned(), vec![]),
        ("{email: \"PLAIN@example.ORG\"}".to_owned(), vec!["plain"]),
        ("{isMaster: true}".to_owned(), vec!["owner"]),
        (
            "{isMaster: false, language: EN}".to_owned(),
            vec!["auditor", "plain", "reader"],
        ),
        ("{language: RU}".to_owned(), vec![]),
        ("{isLdap: true}".to_owned(), vec![]),
        (
            "{isLocked: false, status: ACTIVE}".to_owned(),
            vec!["auditor", "owner", "plain", "reader"],
        ),
        ("{status: DISABLED}".to_owned(), vec![]),
        (format!("{{role: {role}}}"), vec!["auditor"]),
        (format!("{{group: {group}}}"), vec!["plain"]),
        (format!("{{role: {group}}}"), vec![]),
        ("{group: \"nonsense\"}".to_owned(), vec![]),
        (format!("{{createdAfter: \"{now}\"}}"), vec![]),
        (
            "{createdAfter: \"2020-01-01T00:00:00Z\", neverSignedIn: false}".to_owned(),
            vec!["owner"],
        ),
        ("{neverSignedIn: true}".to_owned(), vec!["auditor", "plain", "reader"]),
        (format!("{{lastLoginBefore: \"{now}\"}}"), vec![]),
        ("{lastLoginBefore: \"2100-01-01T00:00:00Z\"}".to_owned(), vec!["owner"]),
    ] {
        let data = owner
            .data(&format!(
                "{{ users(filter: {filter}) {{ totalCount nodes {{ login }} }} }}"
            ))
            .await;
        assert_eq!(strings(&data["users"]["nodes"], "login"), expected, "{filter}");
        assert_eq!(data["users"]["totalCount"], expected.len(), "{filter}");
    }
    let data = owner
        .data("{ users(orderBy: {field: LAST_LOGIN, direction: DESC}, first: 1) { nodes { login } } }")
        .await;
    assert_eq!(strings(&data["users"]["nodes"], "login"), ["owner"]);

    gateway.refusal("plain@acme", "wrong").await;
    for (filter, expected) in [
        ("{outcomes: [WRONG_PASSWORD]}".to_owned(), 1),
        ("{outcomes: [SUCCESS, WRONG_PASSWORD]}".to_owned(), 2),
        ("{outcomes: []}".to_owned(), 0),
        ("{methods: [LDAP]}".to_owned(), 0),
        ("{methods: [LOCAL], ip: \"127.0.0.1\"}".to_owned(), 2),
        ("{ip: \"::ffff:127.0.0.1\"}".to_owned(), 2),
        ("{ip: \"203.0.113.9\"}".to_owned(), 0),
        ("{ip: \"nonsense\"}".to_owned(), 0),
        (format!("{{since: \"{now}\"}}"), 2),
        (format!("{{until: \"{now}\"}}"), 0),
        (format!("{{user: \"{}\"}}", id_of(&owner, "plain@acme").await), 1),
    ] {
        let data = owner
            .data(&format!(
                "{{ loginHistory(filter: {filter}) {{ totalCount nodes {{ id }} }} }}"
            ))
            .await;
        assert_eq!(data["loginHistory"]["totalCount"], expected, "{filter}");
        assert_eq!(
            data["loginHistory"]["nodes"].as_array().unwrap().len(),
            expected,
            "{filter}"
        );
    }
    for (filter, expected) in [
        ("{action: \"createRole\"}", 2),
        ("{targetType: \"Group\"}", 1),
        ("{targetType: \"Nonsense\"}", 0),
        ("{actor: \"x\"}", 0),
    ] {
        let data = owner
            .data(&format!("{{ auditLog(filter: {filter}) {{ totalCount }} }}"))
            .await;
        assert_eq!(data["auditLog"]["totalCount"], expected, "{filter}");
    }
}

async fn anything_is_found_by_its_identifier(backend: Backend) {
    let gateway = house(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let data = owner
        .data(
            "{ account { id } viewer { session { id } user { id lastLogin { id } } }
               roles(first: 1) { nodes { id } } groups(first: 1) { nodes { id } } }",
        )
        .await;
    let ids = json!([
        data["account"]["id"],
        data["viewer"]["user"]["id"],
        data["roles"]["nodes"][0]["id"],
        data["groups"]["nodes"][0]["id"],
        data["viewer"]["user"]["lastLogin"]["id"],
        data["viewer"]["session"]["id"],
        "nonsense",
        "",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([b'U'; 17]),
    ]);
    let query =
        "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on User { login } ... on Account { name } } }";
    let found = owner.data_with(query, json!({ "ids": ids })).await;
    let kinds: Vec<Option<&str>> = found["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["__typename"].as_str())
        .collect();
    let expected = ["Account", "User", "Role", "Group", "LoginEvent", "Session"].map(Some);
    assert_eq!(kinds, [&expected[..], &[None, None, None]].concat());
    for (node, id) in found["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .zip(ids.as_array().unwrap())
        .take(6)
    {
        assert_eq!(&node["id"], id);
        let one = owner
            .data_with("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id }))
            .await;
        assert_eq!(&one["node"]["id"], id);
    }
}

async fn operators_see_every_account(backend: Backend) {
    let gateway = house(backend).await;
    let system = gateway.system().await;
    gateway.master(&system, "root").await;
    let root = gateway.sign_in("root@system").await;
    let data = root
        .data(
            "{ accounts { totalCount nodes { name users { totalCount nodes { login } } roles { totalCount } } }
               down: accounts(orderBy: {field: NAME, direction: DESC}, first: 1) { nodes { name } pageInfo { hasNextPage } }
               some: accounts(filter: {search: \"ac\", status: ACTIVE}) { nodes { name } }
               account(name: \"acme\") { id } users { totalCount } user(login: \"plain@acme\") { login } }",
        )
        .await;
    assert_eq!(strings(&data["accounts"]["nodes"], "name"), ["acme", "other", "system"]);
    assert_eq!(data["accounts"]["totalCount"], 3);
    assert_eq!(
        strings(&data["accounts"]["nodes"][1]["users"]["nodes"], "login"),
        ["stranger"]
    );
    assert_eq!(data["accounts"]["nodes"][0]["users"]["totalCount"], 4);
    assert_eq!(
        data["down"],
        json!({ "nodes": [{ "name": "system" }], "pageInfo": { "hasNextPage": true } })
    );
    assert_eq!(strings(&data["some"]["nodes"], "name"), ["acme"]);
    assert_eq!(data["users"]["totalCount"], 6);
    let of_acme = root
        .data_with(
            "query($a: ID) { users(filter: {account: $a}) { totalCount } }",
            json!({ "a": data["account"]["id"] }),
        )
        .await;
    assert_eq!(of_acme["users"]["totalCount"], 4);
}

async fn a_history_reader_sees_what_others_tried(backend: Backend) {
    let gateway = house(backend).await;
    gateway.refusal("ghost@acme", "wrong").await;
    gateway.refusal("ghost@nowhere", "wrong").await;
    let (auditor, plain) = (
        gateway.sign_in("auditor@acme").await,
        gateway.sign_in("plain@acme").await,
    );
    let query = "{ loginHistory { nodes { attemptedLogin user { login } outcome } } }";
    let data = auditor.data(query).await;
    let logins = strings(&data["loginHistory"]["nodes"], "attemptedLogin");
    assert_eq!(logins, ["plain@acme", "auditor@acme", "ghost@acme"]);
    assert_eq!(data["loginHistory"]["nodes"][2]["user"], Value::Null);
    let data = plain.data(query).await;
    assert_eq!(
        strings(&data["loginHistory"]["nodes"], "attemptedLogin"),
        ["plain@acme"],
        "their own"
    );
    assert_eq!(
        gateway.try_sign_in("plain@acme", PASSWORD).await["userErrors"],
        json!([])
    );
}

async fn queries_are_bounded(backend: Backend) {
    let gateway = house(backend).await;
    let owner = gateway.sign_in("owner@acme").await;
    let mut deep = "login".to_owned();
    for _ in 0..10 {
        deep = format!("account {{ users {{ nodes {{ {deep} }} }} }}");
    }
    assert_eq!(
        owner.error(&format!("{{ viewer {{ user {{ {deep} }} }} }}")).await,
        "BAD_REQUEST",
        "depth"
    );
    let wide = "{ users(first: 200) { nodes { account { users(first: 200) { nodes { login } } } } } }";
    assert_eq!(owner.error(wide).await, "BAD_REQUEST", "complexity");
    let mut bomb = "{ ...F0 } fragment F40 on Query { __typename }".to_owned();
    for i in 0..40 {
        bomb.push_str(&format!(" fragment F{i} on Query {{ ...F{n} ...F{n} }}", n = i + 1));
    }
    assert_eq!(
        gateway.nobody().error(&bomb).await,
        "BAD_REQUEST",
        "fragments in fragments"
    );
    let dashboard = include_str!("../../../benches/dashboard.graphql");
    owner.data_with(dashboard, json!({ "first": 200 })).await;
    owner.data_with(include_str!("introspection.graphql"), json!({})).await;
}
