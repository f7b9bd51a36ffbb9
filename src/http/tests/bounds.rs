//! What a slow, large, hanging or vanishing request may cost, and the end of the server.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fake::TestServer;

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap()
}

#[tokio::test]
async fn a_body_has_a_largest_size() {
    let server = TestServer::start_with(|s| s.body_bytes = 2048, None);
    let fits = format!("{{ echo(text: \"{}\") }}", "x".repeat(1500));
    assert_eq!(server.ask(&fits).send().await.unwrap().status(), 200);
    // What is a little too long is read away, so that the client gets to see the answer.
    for size in [2048, 7000] {
        let response = server.ask(&"x".repeat(size)).send().await.unwrap();
        assert_eq!(response.status(), 413, "{size}");
        assert_eq!(code(&response.json().await.unwrap()), "BAD_REQUEST");
    }
    // What is far too long is cut off, maybe while the client still sends.
    if let Ok(response) = server.ask(&"x".repeat(5_000_000)).send().await {
        assert_eq!(response.status(), 413);
    }
    // One whose length is not announced.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n0\r\n\r\n", "x".repeat(4096));
    stream.write_all((head.to_owned() + &chunk).as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 413"));
    // A client that asks first is told before it sends.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
                Content-Length: 9999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 413"));
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer));
    let length = read.await.expect("an answer in time").unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = TestServer::start_with(|s| s.body_time = Duration::from_millis(200), None);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"que";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = TestServer::start();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"POST /graphql HTTP/1.1\r\nHost:").await.unwrap();
    let started = Instant::now();
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest));
        closed.await.expect("closed by the server").unwrap();
    }
    assert!(started.elapsed() >= Duration::from_secs(9), "it has its time");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let server = TestServer::start_with(|s| s.answer_time = Duration::from_millis(200), None);
    for query in ["{ never }", "mutation { count(afterMs: 1000) }"] {
        let response = server.ask(query).send().await.unwrap();
        assert_eq!(response.status(), 503);
        let answer: Value = response.json().await.unwrap();
        assert_eq!((code(&answer), answer.get("data")), ("UNAVAILABLE", None));
    }
    assert_eq!(server.backend.counted.load(Ordering::SeqCst), 0);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        server.backend.counted.load(Ordering::SeqCst),
        1,
        "a mutation runs to its end"
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_a_mutation() {
    let server = TestServer::start();
    let request = server
        .ask("mutation { count(afterMs: 400) }")
        .timeout(Duration::from_millis(100));
    assert!(request.send().await.unwrap_err().is_timeout());
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(server.backend.counted.load(Ordering::SeqCst), 1);
    let answer: Value = server.ask("{ who }").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["who"], "nobody");
}

#[tokio::test]
async fn a_panic_tells_nothing() {
    let server = TestServer::start();
    for query in ["{ panics }", "mutation { panics }"] {
        let response = server.ask(query).send().await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let text = response.text().await.unwrap();
        assert!(text.contains("INTERNAL") && !text.contains("secret"), "{text}");
    }
    assert_eq!(server.ask("{ who }").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn at_the_end_requests_under_way_are_answered_and_nothing_new_is_taken() {
    let mut server = TestServer::start();
    let idle = TcpStream::connect(server.address).await.unwrap();
    let request = server.ask("mutation { count(afterMs: 600) }");
    let under_way = tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.begin_to_stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "the listener is closed"
    );
    let started = Instant::now();
    server.stop().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "connections that rest do not hold it up"
    );
    assert_eq!(under_way.await.unwrap(), r#"{"data":{"count":1}}"#);
    drop(idle);
}
