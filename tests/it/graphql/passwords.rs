//! Passwords that are given: what they must be like, what they cost, and how often the old one may be guessed.

use doorward::domain::user::User;
use doorward::graphql::node_id;
use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, PASSWORD, on_both_stores, user_errors};

on_both_stores!(
    passwords_made_of_names_are_weak,
    nobody_gives_an_earlier_password_again,
    a_hash_costs_as_much_at_creation,
    guesses_of_the_current_password_are_limited,
);

const NEW: &str = "violet-Anchor-38-meadow";

fn id(user: &User) -> Value {
    json!(node_id::encode(user.id).to_string())
}

async fn errors(asker: &Asker<'_>, mutation: &str, input: Value) -> Vec<String> {
    user_errors(&asker.mutate(mutation, input, "user { id }").await)
}

async fn passwords_made_of_names_are_weak(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |new| new.title = Some("Brzeczyk & Vandelay".to_owned()))
        .await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let person = json!({ "login": "quixotl.zubrowka", "firstName": "Ngozika-Xanthe", "lastName": "Okonkwo Mbeki",
        "email": "wojtek.kwiatek@fjordland.example" });
    let created = owner.mutate("createUser", person.clone(), "user { id }").await;
    for made_of in [
        "zubrowkaquixotl",
        "xanthengozika",
        "mbekiokonkwo",
        "vandelaybrzeczyk",
        "fjordlandkwiatek",
        "QuixotlVandelay",
    ] {
        let mut new = person.clone();
        (new["login"], new["password"]) = (json!("quixotl.zubrowka.2"), json!(made_of));
        assert_eq!(
            errors(&owner, "createUser", new).await,
            ["WEAK_PASSWORD password"],
            "{made_of}"
        );
        let input = json!({ "id": created["user"]["id"], "password": made_of });
        assert_eq!(
            errors(&owner, "setUserPassword", input).await,
            ["WEAK_PASSWORD password"],
            "{made_of}"
        );
    }
    // To somebody else these are but words.
    let other = json!({ "login": "other", "password": "zubrowkaquixotl" });
    assert_eq!(errors(&owner, "createUser", other).await, [""; 0]);
}

async fn nobody_gives_an_earlier_password_again(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |new| new.password_policy.history = 1)
        .await;
    gateway.master(&acme, "owner").await;
    let ann = gateway.user(&acme, "ann").await;
    let owner = gateway.sign_in("owner@acme").await;
    let give = async |password: &str| {
        errors(
            &owner,
            "setUserPassword",
            json!({ "id": id(&ann), "password": password }),
        )
        .await
    };
    assert_eq!(
        give(PASSWORD).await,
        ["REUSED_PASSWORD password"],
        "the one that is there"
    );
    gateway.sign_in("ann@acme").await;
    assert_eq!(give(NEW).await, [""; 0]);
    assert_eq!(give(PASSWORD).await, ["REUSED_PASSWORD password"], "the one before");
    assert_eq!(give("orange-Kettle-57-harbour").await, [""; 0]);
    assert_eq!(give(PASSWORD).await, [""; 0], "it is remembered no longer");
    gateway.sign_in_as("ann@acme", PASSWORD).await;
}

async fn a_hash_costs_as_much_at_creation(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    let owner = gateway.sign_in("owner@acme").await;
    let twelve = |more: &str| {
        let one = |n| format!("m{n}: createUser(input: {{login: \"u{n}\"{more}}}) {{ user {{ login }} }} ");
        format!("mutation {{ {} }}", (0..12).map(one).collect::<String>())
    };
    assert_eq!(owner.error(&twelve(", password: \"x\"")).await, "BAD_REQUEST");
    let made = owner.data(&twelve("")).await;
    assert_eq!(made["m11"]["user"]["login"], "u11");
}

async fn guesses_of_the_current_password_are_limited(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.user(&acme, "ann").await;
    let ann = gateway.sign_in("ann@acme").await;
    let query = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) {
        userErrors { code path retryAfterSeconds } } }";
    let guess = async |current: &str| {
        let variables = json!({ "input": { "currentPassword": current, "newPassword": NEW } });
        let request = gateway
            .post("/graphql")
            .bearer_auth(ann.token.as_deref().unwrap())
            .json(&json!({ "query": query, "variables": variables }));
        let response = request.send().await.unwrap();
        let header = response.headers().get("retry-after");
        let header = header.map(|seconds| seconds.to_str().unwrap().parse::<u64>().unwrap());
        let answer: Value = response.json().await.unwrap();
        (header, answer["data"]["changePassword"].clone())
    };
    for _ in 0..10 {
        let (header, payload) = guess("wrong").await;
        assert_eq!(user_errors(&payload), ["WRONG_CREDENTIALS currentPassword"]);
        assert_eq!(header, None);
    }
    let (header, payload) = guess(PASSWORD).await;
    assert_eq!(user_errors(&payload), ["RATE_LIMITED"]);
    let seconds = payload["userErrors"][0]["retryAfterSeconds"].as_u64();
    assert!((1..=60).contains(&seconds.unwrap()), "{payload}");
    assert_eq!(header, seconds);
    gateway.wait(std::time::Duration::from_secs(60));
    let (_, payload) = guess(PASSWORD).await;
    assert_eq!(user_errors(&payload), [""; 0]);
}
