//! Pages of users, authenticated.

use serde_json::json;

use crate::bench::Bench;
use crate::load::Sample;
use crate::peers;
use crate::site::PAGE;
use crate::table::{Row, Target};

/// What lldap's own page of users shows.
const LLDAP_PAGE: &str = "query($first: Int!) { users(first: $first) { nodes \
                          { id email firstName lastName createdAt groups { id name } } } }";

/// The dashboard page over MongoDB, against everything that it is compared to.
pub fn mongo(bench: &Bench) -> Vec<Row> {
    let ours = bench.mongo().page();
    let limit = peers::limit(bench.peers());
    let mut sides = vec![("Doorward", ours), ("one query", limit.page())];
    let node = peers::have_node().then(|| {
        let database = bench.peers_with_sign_ins();
        (peers::apollo(database), peers::mercurius(database))
    });
    if let Some((apollo, mercurius)) = &node {
        sides.push(("Apollo", apollo.page()));
        sides.push(("Mercurius+jit", mercurius.page()));
    }
    let rates = bench.rotate_loops(sides, Sample::rate);
    let against = |n: usize, theirs: &str, least: f64| match rates.get(n) {
        Some(rate) => {
            let target = Target::RatioAtLeast(least);
            Row::against("page-mongo", "req/s", rates[0], (theirs, *rate), target)
        }
        None => Row::alone(
            "page-mongo",
            "req/s",
            rates[0],
            Target::NotCompared("npm ci in benches/peers"),
        ),
    };
    vec![
        against(1, "one query", 0.75),
        against(2, "Apollo", 12.0),
        against(3, "Mercurius+jit", 6.0),
    ]
}

/// The same over the embedded store, against MongoDB.
pub fn sqlite(bench: &Bench) -> Vec<Row> {
    let sides = vec![("embedded", bench.sqlite().page()), ("MongoDB", bench.mongo().page())];
    let rates = bench.rotate_loops(sides, Sample::rate);
    let target = Target::RatioAtLeast(1.0);
    vec![Row::against(
        "page-sqlite",
        "req/s",
        rates[0],
        ("MongoDB", rates[1]),
        target,
    )]
}

/// lldap's page.
pub fn lldap(bench: &Bench) -> Vec<Row> {
    let ask = bench.sqlite().ask(LLDAP_PAGE, &json!({ "first": PAGE }), |answer| {
        answer["data"]["users"]["nodes"]
            .as_array()
            .is_some_and(|users| users.len() == PAGE)
    });
    let rates = bench.rotate_loops(vec![("embedded", ask)], Sample::rate);
    let target = Target::NotCompared("lldap is not in the run");
    vec![Row::alone("lldap-page", "req/s", rates[0], target)]
}
