//! The binary with a mail server, and its operators, for tests whose processes are killed or whose mail server is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::process::{Doorward, graphql_as, try_token};
use crate::support::smtp::{MailServer, PASSWORD};

/// Who operates the gateway.
const OPERATOR: &str = "root@system";
const OPERATORS_PASSWORD: &str = "plaited harbour 94 velvet";
/// The longest that one attempt takes. A mail in hand of a process that is killed is free again five seconds
/// later. Two busy cores may take seconds for what else takes none.
const TIMEOUT: &str = "4s";

/// Has the binary send to that server, impatiently; makes the operator and the account `acme`.
pub fn prepare(doorward: &mut Doorward, server: &MailServer) {
    doorward.set("DOORWARD_MAIL__URL", &server.url());
    doorward.set("DOORWARD_MAIL__PASSWORD", PASSWORD);
    doorward.set("DOORWARD_MAIL__CA_FILE", server.ca_file().to_str().unwrap());
    doorward.set("DOORWARD_MAIL__TIMEOUT", TIMEOUT);
    doorward.set("DOORWARD_MAIL__RETRY_FIRST", "200ms");
    doorward.set("DOORWARD_MAIL__RETRY_LONGEST", "1s");
    let create = ["user", "create", OPERATOR, "--master", "--password-stdin"];
    doorward.run_with_input(&create, OPERATORS_PASSWORD).succeeds();
    doorward.run(&["account", "create", "acme"]).succeeds();
}

/// Somebody with a token, at one of the gateways.
#[derive(Debug, Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub token: String,
}

impl Client {
    /// The operator.
    pub fn operator(address: SocketAddr) -> Self {
        let token = try_token(address, OPERATOR, OPERATORS_PASSWORD).expect("the operator gets in");
        Self { address, token }
    }

    /// The answer's data; `None` when the gateway went away first.
    fn try_ask(&self, query: &str, variables: Value) -> Option<Value> {
        let body = json!({ "query": query, "variables": variables });
        let mut answer = graphql_as(self.address, Some(&self.token), &body)?;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        Some(answer["data"].take())
    }

    fn ask(&self, query: &str, variables: Value) -> Value {
        self.try_ask(query, variables).expect("the gateway is there")
    }

    /// A mutation's payload without user errors; `None` when the gateway went away first.
    pub fn try_change(&self, mutation: &str, fields: &str, input: Value) -> Option<Value> {
        let kind = format!("{}{}", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($i: {kind}Input!) {{ {mutation}(input: $i) {{ {fields} userErrors {{ code path message }} }} }}"
        );
        let payload = self.try_ask(&query, json!({ "i": input }))?[mutation].take();
        assert_eq!(payload["userErrors"], json!([]), "{mutation}: {payload}");
        Some(payload)
    }

    pub fn change(&self, mutation: &str, fields: &str, input: Value) -> Value {
        self.try_change(mutation, fields, input).expect("the gateway is there")
    }

    /// The whole of a list.
    pub fn all(&self, list: &str, fields: &str) -> Vec<Value> {
        let query = format!(
            "query($after: String) {{ {list}(first: 200, after: $after) {{ nodes {{ {fields} }}
                pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let (mut found, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = self.ask(&query, json!({ "after": after }))[list].take();
            found.extend(page["nodes"].as_array().unwrap().clone());
            if page["pageInfo"]["hasNextPage"] == json!(false) {
                return found;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }

    /// The account `acme`.
    pub fn acme(&self) -> Value {
        self.ask("{ account(name: \"acme\") { id } }", json!({}))["account"]["id"].take()
    }

    /// Waits until no mail waits or is in hand: until there are no more than have reached an end, where a mail stays.
    /// Counted in that order, so that none is overlooked that goes from one state to another between two counts.
    pub fn wait_until_all_is_sent(&self, limit: Duration) {
        let ended = "{ sent: mailQueue(filter: { state: SENT }, first: 1) { totalCount }
            failed: mailQueue(filter: { state: FAILED }, first: 1) { totalCount }
            dropped: mailQueue(filter: { state: DROPPED }, first: 1) { totalCount } }";
        let all = "{ all: mailQueue(first: 1) { totalCount }
            queued: mailQueue(filter: { state: QUEUED }, first: 1) { nodes { lastError } } }";
        let deadline = Instant::now() + limit;
        loop {
            let (ended, all) = (self.ask(ended, json!({})), self.ask(all, json!({})));
            let count = |list: &Value| list["totalCount"].as_u64().unwrap();
            let at_an_end: u64 = ["sent", "failed", "dropped"]
                .map(|state| count(&ended[state]))
                .iter()
                .sum();
            if at_an_end == count(&all["all"]) {
                return;
            }
            assert!(Instant::now() < deadline, "{ended:#} of {all:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A string in JSON.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}
