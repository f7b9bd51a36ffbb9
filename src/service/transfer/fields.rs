//! The fields of a line: taken one by one, so that everything that is wrong with a line is told at once.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::clock::truncate_to_millis;
use crate::domain::text::TextError;

/// Names are alike from here on (Jaro–Winkler).
const ALIKE: f64 = 0.75;
/// Moments of this product's objects lie between 1970 and 2200.
const LATEST_SECOND: i64 = 7_258_118_400;

/// The name that is most like a wrong one, as the end of the sentence that says so.
pub(super) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let alike = names.into_iter().map(|name| (strsim::jaro_winkler(wrong, name), name));
    let best = alike
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}

/// The beginning of a text that somebody gave, in quotes.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return format!("{text:?}");
    }
    format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
}

/// What a value is, for those who expected another.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What there is in a line, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Fields {
    map: Map<String, Value>,
    /// Before the name of a field: that of the object that it is in.
    within: String,
    known: Vec<&'static str>,
    problems: Vec<String>,
}

impl Fields {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self {
            map,
            within: String::new(),
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes what is wrong.
    pub(super) fn wrong(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    fn wrong_field(&mut self, name: &str, what: &str) {
        self.problems.push(format!("{}{name} {what}", self.within));
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name)
    }

    /// A value of one type, which is read by `read`; `Some(None)` when it is null.
    fn nullable<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Value::Null => Some(None),
            value => match read(value) {
                Ok(value) => Some(Some(value)),
                Err(other) => {
                    self.wrong_field(name, &format!("is {}; it should be {expected}", kind_of(&other)));
                    None
                }
            },
        }
    }

    /// As [`Self::nullable`], for what has no null.
    fn present<T>(&mut self, name: &'static str, value: Option<Option<T>>) -> Option<T> {
        if let Some(None) = value {
            self.wrong_field(name, "must not be null");
        }
        value.flatten()
    }

    fn nullable_text(&mut self, name: &'static str) -> Option<Option<String>> {
        self.nullable(name, "a text", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A text as it is.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.nullable_text(name);
        self.present(name, value)
    }

    /// A text that is read by one of the domain's parsers.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, TextError>,
    ) -> Option<T> {
        let text = self.text(name)?;
        self.read(name, parse(&text))
    }

    /// As [`Self::parsed`]; null or an empty text is none.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, TextError>,
    ) -> Option<Option<T>> {
        match self.nullable_text(name)?.filter(|text| !text.trim().is_empty()) {
            None => Some(None),
            Some(text) => self.read(name, parse(&text)).map(Some),
        }
    }

    fn read<T>(&mut self, name: &str, result: Result<T, TextError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong_field(name, &error.to_string());
                None
            }
        }
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.nullable(name, "true or false", |value| value.as_bool().ok_or(value));
        self.present(name, value)
    }

    /// A whole number from 0 on; `Some(None)` when it is null.
    pub(super) fn nullable_number(&mut self, name: &'static str) -> Option<Option<u32>> {
        let read = |value: Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or(value);
        match self.take(name)? {
            Value::Null => Some(None),
            value => match read(value) {
                Ok(number) => Some(Some(number)),
                Err(other) => {
                    let what = match &other {
                        Value::Number(number) => format!("is {number}; it should be a whole number up to {}", u32::MAX),
                        other => format!("is {}; it should be a whole number", kind_of(other)),
                    };
                    self.wrong_field(name, &what);
                    None
                }
            },
        }
    }

    /// Degrees; null is none.
    pub(super) fn degrees(&mut self, name: &'static str, most: f64) -> Option<f64> {
        let value = self
            .nullable(name, "a number", |value| value.as_f64().ok_or(value))
            .flatten()?;
        if value.abs() > most {
            self.wrong_field(name, &format!("is {value}; it should be between -{most} and {most}"));
            return None;
        }
        Some(value)
    }

    /// A whole number from 0 on.
    pub(super) fn number(&mut self, name: &'static str) -> Option<u32> {
        let value = self.nullable_number(name);
        self.present(name, value)
    }

    /// One of a few words.
    pub(super) fn word<T: DeserializeOwned>(&mut self, name: &'static str, words: &[&str]) -> Option<T> {
        let text = self.text(name)?;
        self.one_of(name, text, words)
    }

    /// As [`Self::word`]; null is none.
    pub(super) fn optional_word<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        words: &[&str],
    ) -> Option<Option<T>> {
        match self.nullable_text(name)? {
            None => Some(None),
            Some(text) => self.one_of(name, text, words).map(Some),
        }
    }

    fn one_of<T: DeserializeOwned>(&mut self, name: &str, text: String, words: &[&str]) -> Option<T> {
        let is_known = words.contains(&text.as_str());
        let found = is_known
            .then(|| serde_json::from_value(Value::String(text.clone())).ok())
            .flatten();
        if found.is_none() {
            self.wrong_field(
                name,
                &format!("is {}; it should be {}", quoted(&text), words.join(" or ")),
            );
        }
        found
    }

    /// A moment, `2026-03-01T10:00:00Z`; `Some(None)` when it is null.
    pub(super) fn nullable_time(&mut self, name: &'static str) -> Option<Option<Timestamp>> {
        let Some(text) = self.nullable_text(name)? else {
            return Some(None);
        };
        let read: Option<Timestamp> = text.trim().parse().ok();
        match read.filter(|at| (0..LATEST_SECOND).contains(&at.as_second())) {
            Some(at) => Some(Some(truncate_to_millis(at))),
            None => {
                let what = format!(
                    "is {}; it should be a moment between 1970 and 2200 such as 2026-03-01T10:00:00Z",
                    quoted(&text)
                );
                self.wrong_field(name, &what);
                None
            }
        }
    }

    /// A moment.
    pub(super) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let value = self.nullable_time(name);
        self.present(name, value)
    }

    /// An identifier.
    pub(super) fn id(&mut self, name: &'static str) -> Option<Uuid> {
        let text = self.nullable_text(name)??;
        let read = Uuid::parse_str(text.trim())
            .ok()
            .filter(|id| !id.is_nil() && !id.is_max());
        if read.is_none() {
            let what = format!("is {}; it should be a UUID", quoted(&text));
            self.wrong_field(name, &what);
        }
        read
    }

    /// A list.
    fn list(&mut self, name: &'static str) -> Option<Vec<Value>> {
        let value = self.nullable(name, "a list", |value| match value {
            Value::Array(list) => Ok(list),
            other => Err(other),
        });
        self.present(name, value)
    }

    /// A list of texts, at most `max`.
    pub(super) fn texts(&mut self, name: &'static str, max: usize) -> Option<Vec<String>> {
        let list = self.list(name)?;
        if list.len() > max {
            self.wrong_field(name, &format!("holds {}; {max} is the most", list.len()));
            return None;
        }
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            match value {
                Value::String(text) => texts.push(text),
                other => {
                    self.wrong_field(name, &format!("holds {}; it should hold texts", kind_of(&other)));
                    return None;
                }
            }
        }
        Some(texts)
    }

    /// An object, whose fields are read by `read`; `Some(None)` when it is null.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        let map = self.nullable(name, "an object", |value| match value {
            Value::Object(map) => Ok(map),
            other => Err(other),
        })?;
        match map {
            None => Some(None),
            Some(map) => self.inside(format!("{name}."), map, read).map(Some),
        }
    }

    /// A list of objects, at most `max`.
    pub(super) fn objects<T>(
        &mut self,
        name: &'static str,
        max: usize,
        read: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.list(name)?;
        if list.len() > max {
            self.wrong_field(name, &format!("holds {}; {max} is the most", list.len()));
            return None;
        }
        let mut objects = Vec::with_capacity(list.len());
        for value in list {
            match value {
                Value::Object(map) => objects.extend(self.inside(format!("{name}."), map, &read)),
                other => {
                    self.wrong_field(name, &format!("holds {}; it should hold objects", kind_of(&other)));
                    return None;
                }
            }
        }
        Some(objects)
    }

    fn inside<T>(
        &mut self,
        within: String,
        map: Map<String, Value>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let mut inner = Self {
            within,
            ..Self::new(map)
        };
        let value = read(&mut inner);
        inner.note_unknown();
        self.problems.append(&mut inner.problems);
        value
    }

    fn note_unknown(&mut self) {
        for name in std::mem::take(&mut self.map).keys() {
            let hint = nearest(name, self.known.iter().copied());
            self.problems
                .push(format!("{}{} is not a field of it{hint}", self.within, quoted(name)));
        }
    }

    /// Notes that a field is missing, unless it is there and something else is wrong with it.
    pub(super) fn required<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        let told = format!("{}{name} ", self.within);
        if value.is_none() && !self.problems.iter().any(|problem| problem.starts_with(&told)) {
            self.wrong_field(name, "is missing");
        }
        value
    }

    /// Nothing when nothing is wrong; fields that nobody asked for are.
    pub(super) fn check(mut self) -> Result<(), String> {
        self.note_unknown();
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(self.problems.join("; "))
        }
    }
}
