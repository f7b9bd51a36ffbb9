//! Sign-ins counted for plots.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::{Asker, Backend, Gateway, on_both_stores};

on_both_stores!(
    sign_ins_are_counted_by_the_hour_and_the_day,
    each_plot_is_checked_and_guarded
);

async fn plot(asker: &Asker<'_>, from: &str, to: &str, bucket: &str) -> Value {
    let query = "query($from: DateTime!, $to: DateTime!, $bucket: StatsBucket!) { account {
        loginStats(from: $from, to: $to, bucket: $bucket) { start succeeded failed uniqueUsers } } }";
    asker
        .ask(query, json!({ "from": from, "to": to, "bucket": bucket }))
        .await
}

async fn sign_ins_are_counted_by_the_hour_and_the_day(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway
        .account_with("acme", |new| new.time_zone = Some("Asia/Kolkata".to_owned()))
        .await;
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "ann").await;
    // To the next half hour of UTC, with which an hour begins there.
    let into = u64::try_from((gateway.now().as_second() - 1800).rem_euclid(3600)).unwrap();
    gateway.wait(Duration::from_secs(3600 - into));
    let start = jiff::Timestamp::from_second(gateway.now().as_second()).unwrap();
    gateway.sign_in("ann@acme").await;
    gateway.sign_in("ann@acme").await;
    gateway.refusal("ann@acme", "wrong").await;
    gateway.refusal("nobody@acme", "wrong").await;
    gateway.wait(Duration::from_secs(7200));
    let owner = gateway.sign_in("owner@acme").await;

    let later = |hours: i64| (start + jiff::SignedDuration::from_hours(hours)).to_string();
    let answer = plot(&owner, &later(0), &later(3), "HOUR").await;
    let bars = answer["data"]["account"]["loginStats"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:#}"));
    let counts: Vec<Value> = bars
        .iter()
        .map(|b| json!([b["succeeded"], b["failed"], b["uniqueUsers"]]))
        .collect();
    assert_eq!(counts, [json!([2, 2, 1]), json!([0, 0, 0]), json!([1, 0, 1])]);
    assert_eq!(bars[0]["start"], json!(format!("{start:.3}")));

    let answer = plot(&owner, &later(-48), &later(48), "DAY").await;
    let bars = answer["data"]["account"]["loginStats"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:#}"));
    let total: i64 = bars.iter().map(|b| b["succeeded"].as_i64().unwrap()).sum();
    assert_eq!((total, bars.len()), (3, 5), "{bars:?}");
    for bar in bars {
        let start = bar["start"].as_str().unwrap();
        assert!(start.ends_with("T18:30:00.000Z"), "midnight there: {start}");
    }
}

async fn each_plot_is_checked_and_guarded(backend: Backend) {
    let gateway = Gateway::start(backend).await;
    let acme = gateway.account("acme").await;
    gateway.master(&acme, "owner").await;
    gateway.user(&acme, "plain").await;
    let owner = gateway.sign_in("owner@acme").await;
    for (from, to) in [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ] {
        let answer = plot(&owner, from, to, "HOUR").await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"],
            json!("BAD_REQUEST"),
            "{answer:#}"
        );
    }
    let plain = gateway.sign_in("plain@acme").await;
    let answer = plot(&plain, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "DAY").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], json!("FORBIDDEN"));
    assert_eq!(answer["data"]["account"]["loginStats"], Value::Null);
}
