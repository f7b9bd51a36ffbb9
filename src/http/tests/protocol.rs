//! GraphQL over HTTP: methods, media types, statuses, uploads.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::fake::TestServer;

const NEWER: &str = "application/graphql-response+json";

/// A multipart request with a file of five bytes at `variables.f`.
pub(super) fn upload(server: &TestServer, query: &str, variables: Value) -> RequestBuilder {
    let operations = json!({ "query": query, "variables": variables });
    parts(
        server,
        &[
            ("name=\"operations\"", &operations.to_string()),
            ("name=\"map\"", r#"{"0":["variables.f"]}"#),
            ("name=\"0\"; filename=\"a.txt\"", "hello"),
        ],
    )
}

fn parts(server: &TestServer, parts: &[(&str, &str)]) -> RequestBuilder {
    let mut body: String = parts
        .iter()
        .map(|(head, text)| format!("--line\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n"))
        .collect();
    body.push_str("--line--\r\n");
    server
        .request("POST", "/graphql")
        .header("content-type", "multipart/form-data; boundary=line")
        .body(body)
}

async fn status_and_body(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_answer_comes_in_the_form_that_is_asked_for() {
    let server = TestServer::start();
    for (accept, expected) in [
        (NEWER, "application/graphql-response+json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
    ] {
        let response = server.ask("{ who }").header("accept", accept).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], expected, "{accept}");
        assert_eq!(response.text().await.unwrap(), r#"{"data":{"who":"nobody"}}"#);
    }
    let (status, body) = status_and_body(server.ask("{ who }").header("accept", "text/html")).await;
    assert_eq!(
        (status, &body["errors"][0]["extensions"]["code"]),
        (406, &json!("BAD_REQUEST"))
    );
}

#[tokio::test]
async fn the_status_tells_how_it_went_in_the_newer_form_only() {
    let server = TestServer::start();
    for (query, newer, has_data) in [
        ("{ who }", 200, true),
        ("{ fails }", 200, true), // a non-null field: `data` is null, but it was executed
        ("{ who nothing }", 400, false),
        ("{", 400, false),
        ("query a { who } query b { who }", 400, false),
    ] {
        let (status, body) = status_and_body(server.ask(query).header("accept", NEWER)).await;
        assert_eq!(
            (status, body.get("data").is_some()),
            (newer, has_data),
            "{query} {body}"
        );
        let (status, body) = status_and_body(server.ask(query).header("accept", "application/json")).await;
        assert_eq!((status, body.get("data").is_some()), (200, has_data), "{query} {body}");
    }
}

#[tokio::test]
async fn what_is_no_graphql_request_is_refused() {
    let server = TestServer::start();
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"[{"query":"{who}"}]"#,
        r#"{"query":1}"#,
        r#"{"query":"{who}","variables":[]}"#,
    ] {
        for accept in [NEWER, "application/json"] {
            let request = server.ask("").header("accept", accept).body(body);
            let (status, body) = status_and_body(request).await;
            assert_eq!(
                (status, &body["errors"][0]["extensions"]["code"]),
                (400, &json!("BAD_REQUEST")),
                "{body}"
            );
            assert_eq!(body.get("data"), None);
        }
    }
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
    ] {
        let request = server
            .request("POST", "/graphql")
            .header("content-type", content_type)
            .body(r#"{"query":"{who}"}"#);
        assert_eq!(status_and_body(request).await.0, 415, "{content_type}");
    }
    let untyped = server.request("POST", "/graphql").body(r#"{"query":"{who}"}"#);
    assert_eq!(status_and_body(untyped).await.0, 415);
}

#[tokio::test]
async fn get_is_for_queries() {
    let server = TestServer::start();
    let get = |query: &str| {
        let text: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        server.request(
            "GET",
            &format!("/graphql?query={text}&variables=%7B%22t%22%3A%22x%22%7D&operationName=q"),
        )
    };
    let (status, body) = status_and_body(get("query q($t: String!) { echo(text: $t) }")).await;
    assert_eq!((status, body), (200, json!({ "data": { "echo": "x" } })));
    assert_eq!(
        status_and_body(get("mutation m { count(afterMs: 0) } query q { who }"))
            .await
            .0,
        200
    );

    for query in ["mutation q { count(afterMs: 0) }", "subscription q { a }"] {
        let response = get(query).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"POST".parse().unwrap())
        );
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }
    assert_eq!(server.backend.counted.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(status_and_body(server.request("GET", "/graphql")).await.0, 400);
}

#[tokio::test]
async fn other_methods_are_told_what_would_do() {
    let server = TestServer::start();
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "BREW"] {
        let response = server.request(method, "/graphql").send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "GET, POST, OPTIONS", "{method}");
    }
}

#[tokio::test]
async fn a_refusal_for_too_many_attempts_says_how_long_to_wait() {
    let server = TestServer::start();
    let response = server.ask("mutation { tooOften }").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (200, &"2".parse().unwrap())
    );
}

#[tokio::test]
async fn files_come_as_multipart() {
    let server = TestServer::start();
    let same = |request: RequestBuilder| request.header("sec-fetch-site", "same-origin");
    let query = "mutation($f: Upload!) { upload(file: $f) }";
    let (status, body) = status_and_body(same(upload(&server, query, json!({ "f": null })))).await;
    assert_eq!((status, body), (200, json!({ "data": { "upload": 5 } })));

    let operations = json!({ "query": query, "variables": { "f": null } }).to_string();
    let batch = format!("[{operations}]");
    let map = r#"{"0":["variables.f"]}"#;
    let cases: &[&[(&str, &str)]] = &[
        &[],
        &[("name=\"operations\"", &operations)],
        &[("name=\"map\"", map)],
        &[("name=\"operations\"", &operations), ("name=\"map\"", map)],
        &[("name=\"operations\"", &operations), ("name=\"map\"", "[]")],
        &[("name=\"operations\"", "{}"), ("name=\"map\"", "{}")],
        &[("name=\"operations\"", "{"), ("name=\"map\"", "{}")],
        &[
            ("name=\"operations\"", &batch),
            ("name=\"map\"", map),
            ("name=\"0\"; filename=\"a\"", "x"),
        ],
    ];
    for case in cases {
        let (status, body) = status_and_body(same(parts(&server, case))).await;
        assert_eq!(
            (status, &body["errors"][0]["extensions"]["code"]),
            (400, &json!("BAD_REQUEST")),
            "{case:?}"
        );
    }
    let unbounded = server
        .request("POST", "/graphql")
        .header("content-type", "multipart/form-data")
        .body("x");
    assert_eq!(status_and_body(same(unbounded)).await.0, 400);
}
