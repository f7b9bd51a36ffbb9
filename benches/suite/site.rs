//! The gateway under test: filled with made-up people, served as it is by default, and signed in to.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::load::Ask;
use crate::support::process::{Doorward, Serving, graphql_as, token};

/// Everybody's.
pub const PASSWORD: &str = "plaited harbour 94 velvet";
/// The page that everything is about.
pub const DASHBOARD: &str = include_str!("../dashboard.graphql");
/// Users of a page.
pub const PAGE: usize = 50;
/// How many people sign in, in turn.
const PEOPLE: usize = 24;

/// How much is made up: 50 roles and 50 groups an account besides.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub accounts: usize,
    /// In all.
    pub users: usize,
    /// Each user's sign-ins.
    pub sign_ins: usize,
}

impl Size {
    /// The users of one account.
    pub fn users_each(self) -> usize {
        self.users / self.accounts
    }
}

/// What `doorward seed` says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seeded {
    pub sign_ins: f64,
    pub seconds: f64,
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Site {
    // Ends before its folder goes.
    serving: Serving,
    _doorward: Doorward,
    /// How filling it went.
    pub seeded: Seeded,
    /// Of the master of the first account.
    pub token: String,
    /// Sign-ins of people of the second account: those on the first one's page stay as they are.
    sign_ins: Vec<String>,
}

/// A gateway that is configured as by default, but lets everybody sign in as often as they like.
pub fn doorward(store: Option<&str>) -> Doorward {
    let mut doorward = store.map_or_else(Doorward::new, Doorward::over);
    for (name, value) in [
        ("DOORWARD_PASSWORD__MEMORY_KIB", "19456"),
        ("DOORWARD_PASSWORD__ITERATIONS", "2"),
        ("DOORWARD_LIMITS__MIN_REFUSAL", "100ms"),
        ("DOORWARD_LIMITS__SIGN_IN_PER_ADDRESS", "0"),
        ("DOORWARD_LIMITS__SIGN_IN_PER_LOGIN", "0"),
    ] {
        doorward.set(name, value);
    }
    doorward
}

/// Fills an empty store.
pub fn seed(doorward: &Doorward, size: Size) -> Seeded {
    let Size {
        accounts,
        users,
        sign_ins,
    } = size;
    let [accounts, users, sign_ins] = [accounts, users, sign_ins].map(|number| number.to_string());
    let arguments = [
        "seed",
        "--json",
        "--password-stdin",
        "--accounts",
        &accounts,
        "--users",
        &users,
        "--logins-per-user",
        &sign_ins,
    ];
    let report = doorward.run_with_input(&arguments, PASSWORD).json();
    serde_json::from_value(report).unwrap()
}

impl Site {
    /// Over a fresh store: the embedded one, or the one of that URL.
    pub fn new(store: Option<&str>, size: Size) -> Self {
        eprintln!(
            "    {} users, {} sign-ins each, into {}",
            size.users,
            size.sign_ins,
            store_name(store)
        );
        let doorward = doorward(store);
        let seeded = seed(&doorward, size);
        let serving = doorward.serve(&["serve"]);
        let address = serving.address;
        let token_of = |login: &str| token(address, login, PASSWORD);
        let mut site = Self {
            token: token_of("owner@acct000"),
            sign_ins: Vec::new(),
            serving,
            _doorward: doorward,
            seeded,
        };
        site.prepare_people(&token_of("owner@acct001"));
        site
    }

    /// Turns lock-out off where people sign in, and finds some who can.
    fn prepare_people(&mut self, owner: &str) {
        let query = "{ viewer { account { id } } users(filter: {isLdap: false, status: ACTIVE}, first: 100) \
                     { nodes { qualifiedLogin } } }";
        let data = self.data(owner, query, &json!({}));
        let logins = data["users"]["nodes"].as_array().unwrap().iter();
        let logins = logins.map(|user| user["qualifiedLogin"].as_str().unwrap());
        self.sign_ins = logins
            .filter(|login| !login.starts_with("owner@"))
            .take(PEOPLE)
            .map(sign_in)
            .collect();
        assert_eq!(self.sign_ins.len(), PEOPLE);
        let query = "mutation($input: UpdateAccountInput!) \
                     { updateAccount(input: $input) { account { id } userErrors { code } } }";
        let input = json!({ "id": data["viewer"]["account"]["id"], "passwordPolicy": { "lockoutThreshold": 0 } });
        let data = self.data(owner, query, &json!({ "input": input }));
        assert!(data["updateAccount"]["account"].is_object(), "{data}");
    }

    /// What one question comes to.
    pub fn data(&self, token: &str, query: &str, variables: &Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let mut answer = graphql_as(self.address(), Some(token), &body).expect("an answer");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].take()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.serving.child.id()
    }

    /// A question of the first account's master.
    pub fn ask(&self, query: &str, variables: &Value, right: fn(&Value) -> bool) -> Ask {
        Ask {
            token: Some(self.token.clone()),
            ..graphql(self.address(), query, variables, right)
        }
    }

    /// The dashboard page.
    pub fn page(&self) -> Ask {
        self.ask(DASHBOARD, &json!({ "first": PAGE }), is_page)
    }

    /// Local sign-ins of several people.
    pub fn sign_ins(&self) -> Ask {
        sign_ins(self.address(), &self.sign_ins)
    }
}

fn store_name(store: Option<&str>) -> &'static str {
    store.map_or("the embedded store", |_| "MongoDB")
}

/// A question of nobody's.
pub fn graphql(address: SocketAddr, query: &str, variables: &Value, right: fn(&Value) -> bool) -> Ask {
    let body = json!({ "query": query, "variables": variables });
    Ask {
        address,
        path: "/graphql",
        token: None,
        bodies: vec![body.to_string().into()],
        right,
    }
}

/// Whether an answer holds a whole page: all users, and five sign-ins with each.
pub fn is_page(answer: &Value) -> bool {
    let users = &answer["data"]["users"];
    let edges = users["edges"].as_array();
    users["pageInfo"]["hasNextPage"] == true
        && edges.is_some_and(|edges| {
            edges.len() == PAGE
                && edges.iter().all(|edge| {
                    let events = edge["node"]["loginHistory"]["edges"].as_array();
                    // The one whose token asks has signed in once more; the page still ends at five.
                    events.is_some_and(|events| events.len() == 5)
                })
        })
}

/// The body of a sign-in.
pub fn sign_in(login: &str) -> String {
    sign_in_with(login, PASSWORD)
}

/// The same with another password.
pub fn sign_in_with(login: &str, password: &str) -> String {
    let query = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code } } }";
    let input = json!({ "login": login, "password": password });
    json!({ "query": query, "variables": { "input": input } }).to_string()
}

/// Sign-ins with these bodies in turn.
pub fn sign_ins(address: SocketAddr, bodies: &[String]) -> Ask {
    Ask {
        address,
        path: "/graphql",
        token: None,
        bodies: bodies.iter().cloned().map(Into::into).collect(),
        right: |answer| answer["data"]["signIn"]["token"].is_string(),
    }
}
