//! What a request should not depend on: how far down a page is, and who asks.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::load::Sample;
use crate::site::{Site, graphql};
use crate::table::{Row, Target};

/// A page whose rows cost little besides being found.
const USERS: &str = "query($first: Int!, $after: String) { users(first: $first, after: $after) \
                     { nodes { id login } pageInfo { hasPreviousPage endCursor } } }";
/// Users of a page: with 10,000 there are 1,000 pages.
const FEW: usize = 10;
/// Users of a page on the way to the last one.
const MANY: usize = 200;

/// The last page of the account against its first one, over each store.
pub fn paging(bench: &Bench) -> Vec<Row> {
    let pages = bench.size().users_each() / FEW;
    let row = |store: &str, site: &Site| {
        let page = |after: Option<String>| {
            let variables = json!({ "first": FEW, "after": after });
            site.ask(USERS, &variables, |answer| is_full(&answer["data"]["users"]))
        };
        let last = page(Some(cursor(site, (pages - 1) * FEW)));
        let times = bench.rotate_loops(vec![("last page", last), ("first page", page(None))], Sample::mean);
        let name = format!("paging, page {pages}, {store}");
        Row::against(&name, "ms", times[0], ("page 1", times[1]), Target::RatioAtMost(1.2))
    };
    vec![row("MongoDB", bench.mongo()), row("embedded", bench.sqlite())]
}

/// The cursor of the n-th user.
fn cursor(site: &Site, mut n: usize) -> String {
    let mut cursor = Value::Null;
    while n > 0 {
        let first = n.min(MANY);
        let mut data = site.data(&site.token, USERS, &json!({ "first": first, "after": cursor }));
        cursor = data["users"]["pageInfo"]["endCursor"].take();
        n -= first;
    }
    cursor.as_str().expect("there are so many users").to_owned()
}

fn is_full(users: &Value) -> bool {
    users["nodes"].as_array().is_some_and(|nodes| nodes.len() == FEW)
}

/// The same question with a token and without one, where the store is another process.
pub fn auth(bench: &Bench) -> Vec<Row> {
    const VIEWER: &str = "{ viewer { user { id } } }";
    let site = bench.mongo();
    let with = site.ask(VIEWER, &json!({}), |answer| {
        answer["data"]["viewer"]["user"]["id"].is_string()
    });
    let without = graphql(site.address(), VIEWER, &json!({}), |answer| {
        answer["data"]["viewer"].is_null()
    });
    let times = bench.rotate_loops(vec![("authenticated", with), ("nobody", without)], Sample::mean);
    let target = Target::RatioAtMost(1.1);
    vec![Row::against(
        "auth",
        "ms",
        times[0],
        ("unauthenticated", times[1]),
        target,
    )]
}
