//! Reading a GraphQL request out of a body or a query string (GraphQL over HTTP, draft of June 2025, "Request").

use std::borrow::Cow;
use std::time::Duration;

use async_graphql::http::MultipartOptions;
use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{ParseRequestError, Request, Variables};
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::io::Cursor;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// How much of a body that is too long is still read, in multiples of what is allowed: a client that is cut off while it
/// sends never gets to see why.
const DRAINED: usize = 4;

/// Reads the whole body.
///
/// # Errors
/// 413 when it is longer than `limit` bytes, 408 when it is not there within `time`, 400 when it breaks off.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, limit: usize, time: Duration) -> Result<Bytes, Refusal> {
    let announced: Option<usize> = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let too_large = announced.is_some_and(|length| length > limit);
    if too_large && headers.contains_key(EXPECT) {
        return Err(Refusal::too_large(limit)); // the client waits for a word before it sends
    }
    tokio::time::timeout(time, collect(body, announced, limit))
        .await
        .unwrap_or_else(|_| {
            Err(Refusal::bad(
                StatusCode::REQUEST_TIMEOUT,
                "the request's body did not come in time",
            ))
        })
}

async fn collect(body: Body, announced: Option<usize>, limit: usize) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut read = 0_usize;
    let mut whole = BytesMut::with_capacity(announced.unwrap_or_default().min(limit));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::bad_request("the request's body broke off"))?;
        read = read.saturating_add(chunk.len());
        if read <= limit {
            whole.extend_from_slice(&chunk);
        } else if read > limit.saturating_mul(DRAINED) {
            break;
        }
    }
    if read > limit {
        return Err(Refusal::too_large(limit));
    }
    Ok(whole.freeze())
}

impl Refusal {
    fn too_large(limit: usize) -> Self {
        Self::bad(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request's body is longer than {limit} bytes"),
        )
    }
}

/// A request out of a JSON body.
///
/// # Errors
/// 400 with what is wrong.
pub(super) fn from_json(body: &[u8]) -> Result<Request, Refusal> {
    let value = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the request's body should be JSON: {error}")))?;
    match value {
        Value::Object(members) => from_members(members),
        Value::Array(_) => Err(batch()),
        _ => Err(Refusal::bad_request(
            "the request's body should be a JSON object with a query",
        )),
    }
}

fn batch() -> Refusal {
    Refusal::bad_request("batches are not taken; send one request at a time")
}

/// A request out of the query string of a GET. What is there but empty counts as absent, but for the query.
///
/// # Errors
/// 400 with what is wrong.
pub(super) fn from_query_string(text: &str) -> Result<Request, Refusal> {
    let mut members = Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let value = match name.as_ref() {
            "query" => Value::String(value.into_owned()),
            "operationName" | "variables" | "extensions" if value.is_empty() => continue,
            "operationName" => Value::String(value.into_owned()),
            "variables" | "extensions" => serde_json::from_str(&value)
                .map_err(|error| Refusal::bad_request(format!("{name} should be JSON: {error}")))?,
            _ => continue,
        };
        if members.insert(name.clone().into_owned(), value).is_some() {
            return Err(Refusal::bad_request(format!("{name} is given more than once")));
        }
    }
    from_members(members)
}

fn from_members(mut members: Map<String, Value>) -> Result<Request, Refusal> {
    let query = match members.remove("query") {
        Some(Value::String(query)) if !query.trim().is_empty() => query,
        Some(Value::String(_) | Value::Null) | None => {
            return Err(Refusal::bad_request("the request should have a query"));
        }
        Some(_) => return Err(Refusal::bad_request("query should be a string")),
    };
    let mut request = Request::new(query);
    request.operation_name = match members.remove("operationName") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(Refusal::bad_request("operationName should be a string or null")),
    };
    if let Some(variables) = object(&mut members, "variables")? {
        request.variables = Variables::from_json(Value::Object(variables));
    }
    // Nothing here knows any extension; the specification has unknown ones ignored.
    object(&mut members, "extensions")?;
    Ok(request)
}

fn object(members: &mut Map<String, Value>, name: &'static str) -> Result<Option<Map<String, Value>>, Refusal> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Refusal::bad_request(format!("{name} should be a JSON object or null"))),
    }
}

/// A request with files: the GraphQL multipart request specification. `content_type` carries the boundary.
///
/// # Errors
/// 400 with what is wrong; 413 for a part over `limit` bytes.
pub(super) async fn from_multipart(content_type: &str, body: Bytes, limit: usize) -> Result<Request, Refusal> {
    let options = MultipartOptions::default().max_file_size(limit).max_num_files(1);
    let request = async_graphql::http::receive_body(Some(content_type), Cursor::new(body), options)
        .await
        .map_err(|error| match error {
            ParseRequestError::PayloadTooLarge => Refusal::too_large(limit),
            ParseRequestError::UnsupportedBatch => batch(),
            ParseRequestError::MissingOperatorsPart => "the multipart body should have a part \"operations\"".into(),
            ParseRequestError::MissingMapPart => "the multipart body should have a part \"map\"".into(),
            ParseRequestError::MissingFiles => "\"map\" names a file that the multipart body does not have".into(),
            ParseRequestError::InvalidFilesMap(_) => {
                "\"map\" should be a JSON object of file names to lists of paths".into()
            }
            ParseRequestError::InvalidRequest(_) => "\"operations\" should be a JSON object with a query".into(),
            // The type may grow.
            _ => "the body should be a multipart form, as its Content-Type says".into(),
        })?;
    if request.query.trim().is_empty() {
        return Err(Refusal::bad_request("the request should have a query"));
    }
    Ok(request)
}

impl From<&'static str> for Refusal {
    /// 400.
    fn from(message: &'static str) -> Self {
        Self::bad_request(Cow::Borrowed(message))
    }
}

/// The kind of the operation that would run; `None` when the document does not say, so that nothing can run.
///
/// The parsed document stays in the request and is not parsed again.
pub(super) fn operation(request: &mut Request) -> Option<OperationType> {
    let name = request.operation_name.clone();
    let document = request.parsed_query().ok()?;
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation.node.ty),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name.as_str()).map(|o| o.node.ty),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next().map(|o| o.node.ty),
        (DocumentOperations::Multiple(_), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_wrong_type_are_refused() {
        let good = [
            r#"{"query":"{a}"}"#,
            r#"{"query":"{a}","operationName":null,"variables":null,"extensions":null}"#,
            r#"{"query":"{a}","operationName":"q","variables":{"x":[1]},"extensions":{"y":{}},"other":1}"#,
        ];
        for body in good {
            assert!(from_json(body.as_bytes()).is_ok(), "{body}");
        }
        let bad = [
            "",
            "{",
            "null",
            "\"{a}\"",
            "[]",
            r#"[{"query":"{a}"}]"#,
            "{}",
            r#"{"query":null}"#,
            r#"{"query":""}"#,
            r#"{"query":" "}"#,
            r#"{"query":1}"#,
            r#"{"query":["{a}"]}"#,
            r#"{"query":"{a}","operationName":1}"#,
            r#"{"query":"{a}","variables":"x"}"#,
            r#"{"query":"{a}","variables":[]}"#,
            r#"{"query":"{a}","extensions":0}"#,
            r#"{"query":"{a}"} {}"#,
        ];
        for body in bad {
            assert!(from_json(body.as_bytes()).is_err(), "{body}");
        }
        assert!(from_json(b"{\"query\":\"{a}\xff\"}").is_err(), "not UTF-8");
        assert!(from_json("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn the_query_string_is_read_alike() {
        let request =
            from_query_string("query=query+q%7Ba%7D&variables=%7B%22x%22%3A1%7D&operationName=q&z=1").unwrap();
        assert_eq!(request.query, "query q{a}");
        assert_eq!(request.operation_name.as_deref(), Some("q"));
        assert_eq!(request.variables.len(), 1);
        assert!(from_query_string("query={a}&variables=&operationName=&extensions=").is_ok());
        assert!(from_query_string("query={a}&variables=null").is_ok());
        for bad in [
            "",
            "query=",
            "query={a}&query={b}",
            "query={a}&variables=x",
            "query={a}&variables=[]",
            "query={a}&extensions=1",
            "variables={}",
        ] {
            assert!(from_query_string(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_operation_that_would_run() {
        let of = |query: &str, name: Option<&str>| {
            let mut request = Request::new(query);
            request.operation_name = name.map(str::to_owned);
            operation(&mut request)
        };
        let two = "query q { a } mutation m { b }";
        assert_eq!(of("{ a }", None), Some(OperationType::Query));
        assert_eq!(of("mutation { a }", None), Some(OperationType::Mutation));
        assert_eq!(of("mutation m { a }", None), Some(OperationType::Mutation));
        assert_eq!(of("mutation m { a }", Some("m")), Some(OperationType::Mutation));
        assert_eq!(of("subscription { a }", None), Some(OperationType::Subscription));
        assert_eq!(of(two, Some("q")), Some(OperationType::Query));
        assert_eq!(of(two, Some("m")), Some(OperationType::Mutation));
        assert_eq!(of(two, Some("x")), None);
        assert_eq!(of(two, None), None);
        assert_eq!(of("{", None), None);
    }

    #[test]
    fn a_deeply_nested_query_does_no_harm() {
        for (open, close) in [("{a", "}"), ("[", "]"), ("(a:{b:", "})")] {
            let mut request = Request::new(format!("{{a(x:{}1{})}}", open.repeat(500_000), close.repeat(500_000)));
            assert_eq!(operation(&mut request), None);
        }
        let mut request = Request::new("{a".repeat(1_000_000));
        assert_eq!(operation(&mut request), None);
    }
}
