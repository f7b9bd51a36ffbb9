//! JSON that is written once: the answer's own bytes, in place of a tree of values that is written afterwards.

use async_graphql::Value;
use async_graphql::resolver_utils::EnumType;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use crate::graphql::node_id::{self, NodeId};
use crate::graphql::scalars::write_time;

/// JSON (RFC 8259) that is being written.
#[derive(Debug, Default)]
pub struct Json(Vec<u8>);

impl Json {
    /// A writer of about that many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was written, to stand as it is where async-graphql takes a value: the API has no binary values of its own.
    pub(super) fn into_value(self) -> Value {
        Value::Binary(Bytes::from(self.0))
    }

    /// A string, number, truth value or null.
    #[expect(
        clippy::expect_used,
        reason = "none of them fails to serialize, nor a vector to take it"
    )]
    pub(super) fn scalar(&mut self, scalar: impl Serialize) {
        serde_json::to_writer(&mut self.0, &scalar).expect("a scalar as JSON");
    }

    /// A moment.
    pub(super) fn time(&mut self, at: Option<Timestamp>) {
        match at {
            Some(at) => write_time(at, &mut self.0),
            None => self.null(),
        }
    }

    /// A global identifier.
    pub(super) fn id<T: NodeId>(&mut self, id: T) {
        node_id::write(id, &mut self.0);
    }

    /// An item of an enumeration by its name in the schema.
    pub(super) fn item<T: EnumType>(&mut self, item: Option<T>) {
        let named = item.and_then(|item| T::items().iter().find(|known| known.value == item));
        self.scalar(named.map(|known| known.name));
    }

    pub(super) fn null(&mut self) {
        self.raw(b"null");
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A list, each entry by `write`.
    pub(super) fn list<T>(&mut self, entries: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.0.push(b'[');
        for (n, entry) in entries.into_iter().enumerate() {
            if n > 0 {
                self.0.push(b',');
            }
            write(self, entry);
        }
        self.0.push(b']');
    }

    /// A value of async-graphql's, with all that was written before in its place.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Binary(written) => self.raw(written),
            Value::List(entries) => self.list(entries, Self::value),
            Value::Object(fields) => {
                self.0.push(b'{');
                for (n, (key, field)) in fields.iter().enumerate() {
                    if n > 0 {
                        self.0.push(b',');
                    }
                    self.scalar(key.as_str());
                    self.0.push(b':');
                    self.value(field);
                }
                self.0.push(b'}');
            }
            Value::String(text) => self.scalar(text),
            Value::Enum(name) => self.scalar(name.as_str()),
            Value::Number(number) => self.scalar(number),
            Value::Boolean(is) => self.scalar(is),
            Value::Null => self.null(),
        }
    }
}

/// An answer as JSON; without `data` when nothing was executed.
///
/// # Errors
/// When an error or an extension cannot be written, which none of ours is.
pub(in crate::graphql) fn answer(response: &async_graphql::Response, executed: bool) -> serde_json::Result<Vec<u8>> {
    let mut json = Json::default();
    let mut separator: &[u8] = b"{";
    if !response.errors.is_empty() {
        json.raw(b"{\"errors\":");
        serde_json::to_writer(&mut json.0, &response.errors)?;
        separator = b",";
    }
    if executed {
        json.raw(separator);
        json.raw(b"\"data\":");
        json.value(&response.data);
        separator = b",";
    }
    if !response.extensions.is_empty() {
        json.raw(separator);
        json.raw(b"\"extensions\":");
        serde_json::to_writer(&mut json.0, &response.extensions)?;
        separator = b",";
    }
    json.raw(if separator == b"{" { b"{}" } else { b"}" });
    Ok(json.0)
}

#[cfg(test)]
mod tests {
    use async_graphql::{Name, Response, ServerError, value};

    use super::*;

    fn response(data: Value) -> Response {
        Response::new(data)
    }

    #[test]
    fn an_answer_is_what_the_library_would_write() {
        let item = Value::Enum(Name::new("SUCCESS"));
        let data = value!({
            "text": "quote \" backslash \\ line\n \u{0} é 🦀",
            "a \"key\"": [1, -2.5, 1e300, true, null, [], {}],
            "item": item,
            "nested": { "of": [{ "x": "" }] },
        });
        let mut failed = response(value!({ "viewer": null }));
        failed.errors = vec![ServerError::new("no \"way\"", None)];
        failed.extensions.insert("took".to_owned(), Value::from(3));
        for whole in [response(data), response(Value::Null), failed] {
            let ours: serde_json::Value = serde_json::from_slice(&answer(&whole, true).unwrap()).unwrap();
            assert_eq!(ours, serde_json::to_value(&whole).unwrap());
        }
        let mut refused = response(Value::Null);
        assert_eq!(answer(&refused, false).unwrap(), b"{}");
        refused.errors = vec![ServerError::new("no", None)];
        assert_eq!(answer(&refused, false).unwrap(), br#"{"errors":[{"message":"no"}]}"#);
    }

    #[test]
    fn what_was_written_stands_as_it_is() {
        let mut json = Json::default();
        json.list([Some("a\"b"), None], Json::scalar);
        let data = Value::Object([(Name::new("list"), json.into_value())].into_iter().collect());
        assert_eq!(
            answer(&response(data), true).unwrap(),
            br#"{"data":{"list":["a\"b",null]}}"#
        );
    }
}
