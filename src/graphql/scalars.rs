//! Scalars of our own.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use crate::domain::clock::truncate_to_millis;

/// A moment: RFC 3339, in UTC, with milliseconds. Any offset is taken in inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

#[Scalar]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        match text.parse::<Timestamp>() {
            Ok(at) => Ok(Self(truncate_to_millis(at))),
            Err(_) => Err(InputValueError::custom(format!(
                "{text:?} is no moment; write RFC 3339 such as 2026-03-01T10:00:00.000Z"
            ))),
        }
    }

    fn to_value(&self) -> Value {
        time(self.0)
    }
}

/// How moments are answered.
const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// A moment as it is answered.
pub(super) fn time(at: Timestamp) -> Value {
    Value::String(MILLISECONDS.timestamp_to_string(&at))
}

/// The same as JSON.
pub(super) fn write_time(at: Timestamp, json: &mut Vec<u8>) {
    json.push(b'"');
    // Nothing in it needs to be escaped, and a vector takes everything.
    let _ = MILLISECONDS.print_timestamp(&at, &mut *json);
    json.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_milliseconds() {
        let parse = |text: &str| DateTime::parse(Value::String(text.to_owned()));
        for (given, written) in [
            ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z"),
            ("2026-03-01T12:00:00.5+02:00", "2026-03-01T10:00:00.500Z"),
            ("2026-03-01T10:00:00.123456Z", "2026-03-01T10:00:00.123Z"),
        ] {
            let at = parse(given).unwrap();
            assert_eq!(at.to_value(), Value::String(written.to_owned()));
            let mut json = Vec::new();
            write_time(at.0, &mut json);
            assert_eq!(json, format!("\"{written}\"").into_bytes());
        }
        for bad in [
            "",
            "yesterday",
            "2026-03-01",
            "2026-13-01T10:00:00Z",
            "2026-03-01T10:00:00",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(DateTime::parse(Value::from(5)).is_err());
    }
}
