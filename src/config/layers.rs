//! The file and the environment as trees of values that remember where each key was given.

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml::de::{DeTable, DeValue, Error as TomlError};

use super::problems::{Path, Place, Problem, Problems};

/// What every key's variable begins with.
pub(super) const PREFIX: &str = "DOORWARD_";

/// The name of the variable for a key.
pub(super) fn variable(path: &[String]) -> String {
    format!("{PREFIX}{}", path.join("__").to_uppercase())
}

/// One source of keys.
pub(super) struct Layer {
    name: &'static str,
    values: Value,
    places: BTreeMap<Path, Place>,
    /// Numbers of the list elements that were taken out, by list: the rest keeps its numbers in messages.
    gone: BTreeMap<Path, BTreeSet<usize>>,
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.as_dict().cloned().unwrap_or_default()))
    }
}

impl Layer {
    fn new(name: &'static str) -> Self {
        let values = Value::Dict(Tag::Default, Dict::new());
        Self {
            name,
            values,
            places: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Reads TOML. Errors of syntax come with line and column, never with the text: it may hold a secret.
    fn file(&mut self, file: &str, text: &str, problems: &mut Problems) {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|&b| b == b'\n').count();
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let column = 1 + text
                .get(..at)
                .map_or(0, |before| before.chars().rev().take_while(|&c| c != '\n').count());
            let place = Some(Place::Column(file.to_owned(), line(at), column));
            let text = format!("this is not TOML: {}", one_line(error));
            problems.push(Problem {
                place,
                path: Vec::new(),
                text,
            });
        }
        let mut read = |path: &Path, at: usize| {
            self.places.insert(path.clone(), Place::Line(file.to_owned(), line(at)));
        };
        self.values = from_table(table.get_ref(), &mut Vec::new(), &mut read);
    }

    /// Takes the variables that are keys: `DOORWARD_`, then names with two underscores between them.
    fn environment(&mut self, variables: BTreeMap<String, String>, problems: &mut Problems) {
        for (name, text) in variables {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else {
                continue;
            };
            let path: Path = key.split("__").map(str::to_lowercase).collect();
            self.places.insert(path.clone(), Place::Variable(name.clone()));
            if !self.set(&path, Value::from(text)) {
                let text = "and a variable for a part of it are both given; keep one of them".to_owned();
                problems.push(Problem {
                    place: Some(Place::Variable(name)),
                    path,
                    text,
                });
            }
        }
    }

    pub(super) fn get(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&self.values, |value, part| match value {
            Value::Dict(_, dict) => dict.get(part),
            Value::Array(_, list) => list.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    fn get_mut(&mut self, path: &[String]) -> Option<&mut Value> {
        path.iter().try_fold(&mut self.values, |value, part| match value {
            Value::Dict(_, dict) => dict.get_mut(part),
            Value::Array(_, list) => list.get_mut(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Sets a key, with the tables above it; false when one of those is something else.
    fn set(&mut self, path: &[String], value: Value) -> bool {
        let Some((last, tables)) = path.split_last() else {
            return false;
        };
        let mut at = &mut self.values;
        for part in tables {
            let Value::Dict(_, dict) = at else { return false };
            at = dict
                .entry(part.clone())
                .or_insert_with(|| Value::Dict(Tag::Default, Dict::new()));
        }
        let Value::Dict(_, dict) = at else { return false };
        dict.insert(last.clone(), value);
        true
    }

    fn remove(&mut self, path: &[String]) -> Option<Value> {
        let (last, parent) = path.split_last()?;
        let number = self.original(path).last().and_then(|n| n.parse().ok());
        let list = self.original(parent);
        match self.get_mut(parent)? {
            Value::Dict(_, dict) => dict.remove(last),
            Value::Array(_, elements) => {
                let index = last.parse::<usize>().ok().filter(|&i| i < elements.len())?;
                let element = elements.remove(index);
                self.gone.entry(list).or_default().extend::<Option<usize>>(number);
                Some(element)
            }
            _ => None,
        }
    }

    /// The path as it was before elements were taken out of lists.
    fn original(&self, path: &[String]) -> Path {
        let mut original = Path::new();
        for part in path {
            let number = self.gone.get(&original).zip(part.parse::<usize>().ok());
            original.push(number.map_or_else(
                || part.clone(),
                |(gone, n)| {
                    gone.iter()
                        .fold(n, |n, &gone| if gone <= n { n + 1 } else { n })
                        .to_string()
                },
            ));
        }
        original
    }

    /// Where a key was given; for a table in the environment, the first variable in it.
    fn place(&self, original: &[String]) -> Option<Place> {
        let exact = || self.places.get(original).cloned();
        let below = || {
            let mut rest = self.places.range(original.to_vec()..);
            rest.next()
                .filter(|(path, _)| path.starts_with(original))
                .map(|(_, place)| place.clone())
        };
        exact().or_else(below)
    }
}

/// The file below the environment.
pub(super) struct Layers {
    file: Layer,
    environment: Layer,
    file_name: Option<String>,
}

impl Layers {
    /// Reads the file (its name as messages show it, its text) and the variables.
    pub(super) fn new(
        file: Option<(String, String)>,
        variables: BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let (mut lower, mut upper) = (Layer::new("file"), Layer::new("environment"));
        if let Some((name, text)) = &file {
            lower.file(name, text, problems);
        }
        upper.environment(variables, problems);
        Self {
            file: lower,
            environment: upper,
            file_name: file.map(|(name, _)| name),
        }
    }

    pub(super) fn figment(&self) -> Figment {
        Figment::from(&self.file).merge(&self.environment)
    }

    /// The layer whose value counts at `path`.
    fn owner(&mut self, path: &[String]) -> Option<&mut Layer> {
        match (self.environment.get(path), self.file.get(path)) {
            (Some(Value::Dict(..)), Some(Value::Dict(..))) | (None, Some(_)) => Some(&mut self.file),
            (Some(_), _) => Some(&mut self.environment),
            (None, None) => None,
        }
    }

    pub(super) fn get(&self, path: &[String]) -> Option<&Value> {
        self.environment.get(path).or_else(|| self.file.get(path))
    }

    /// The names below a table, from both layers.
    pub(super) fn names(&self, path: &[String]) -> BTreeSet<String> {
        let dicts = [&self.file, &self.environment].map(|layer| layer.get(path).and_then(Value::as_dict));
        dicts
            .into_iter()
            .flatten()
            .flat_map(|dict| dict.keys().cloned())
            .collect()
    }

    /// Takes a key out of the layer where it counts; false when there is none.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        self.owner(path).and_then(|layer| layer.remove(path)).is_some()
    }

    /// Puts `value` where `from` was given.
    pub(super) fn replace(&mut self, from: &[String], to: &[String], value: Value) {
        let Some(layer) = self.owner(from) else { return };
        layer.remove(from);
        if let Some(place) = layer.places.get(from).cloned() {
            layer.places.insert(to.to_vec(), place);
        }
        layer.set(to, value);
    }

    /// Fills in a key that is missing, beside what is given.
    pub(super) fn fill(&mut self, path: &[String], value: Value) -> bool {
        let Some((last, parent)) = path.split_last() else {
            return false;
        };
        match self.owner(parent).and_then(|layer| layer.get_mut(parent)) {
            Some(Value::Dict(_, dict)) => dict.insert(last.clone(), value).is_none(),
            _ => false,
        }
    }

    /// A variable is text until its key turns out to want something else; then it is read as TOML, or for a list as
    /// elements with commas between them. Gives what was wrong with its TOML, or whether there is another reading.
    pub(super) fn reread(&mut self, path: &[String], wants_list: bool) -> Result<bool, String> {
        let Some(Value::String(_, text)) = self.environment.get(path) else {
            return Ok(false);
        };
        let text = text.trim().to_owned();
        let value = match DeValue::parse(&text) {
            Ok(value) if !value.get_ref().is_str() => from_value(value.get_ref(), &mut path.to_vec(), &mut |_, _| {}),
            Err(error) if text.starts_with(['[', '{']) => return Err(one_line(&error)),
            _ if wants_list => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::from(parts.map(|part| Value::from(part.to_owned())).collect::<Vec<_>>())
            }
            _ => return Ok(false),
        };
        // Where a list is wanted and one number or date was found, it is the only element, as text.
        let value = match value {
            Value::Array(..) | Value::Dict(..) => value,
            _ if wants_list => Value::from(vec![Value::from(text)]),
            Value::String(..) => return Ok(false),
            value => value,
        };
        if let Some(found) = self.environment.get_mut(path) {
            *found = value;
        }
        Ok(true)
    }

    /// The path as it was before [`Layers::remove`].
    pub(super) fn original(&mut self, path: &[String]) -> Path {
        self.owner(path)
            .map_or_else(|| path.to_vec(), |layer| layer.original(path))
    }

    /// Where the key at an original path was given, or else the nearest table around it, or else the file.
    pub(super) fn place(&self, original: &[String]) -> Option<Place> {
        for end in (1..=original.len()).rev() {
            let path = original.get(..end).unwrap_or_default();
            let exact = self.environment.places.get(path).cloned();
            let place = exact
                .or_else(|| self.file.place(path))
                .or_else(|| self.environment.place(path));
            if place.is_some() {
                return place;
            }
        }
        self.file_name.clone().map(Place::File)
    }
}

fn one_line(error: &TomlError) -> String {
    error.message().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Turns a table into a value, and tells `read` where in the text each key begins.
fn from_table(table: &DeTable<'_>, path: &mut Path, read: &mut dyn FnMut(&Path, usize)) -> Value {
    let mut dict = Dict::new();
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        read(path, key.span().start);
        dict.insert(key.get_ref().to_string(), from_value(value.get_ref(), path, read));
        path.pop();
    }
    Value::from(dict)
}

fn from_value(value: &DeValue<'_>, path: &mut Path, read: &mut dyn FnMut(&Path, usize)) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.to_string()),
        // Numbers too large for 64 bits go on as floating point, which no key takes.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::from(f64::INFINITY), Value::from),
        DeValue::Float(number) => Value::from(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(is) => Value::from(*is),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Array(elements) => {
            let mut list = Vec::new();
            for (i, element) in elements.iter().enumerate() {
                path.push(i.to_string());
                read(path, element.span().start);
                list.push(from_value(element.get_ref(), path, read));
                path.pop();
            }
            Value::from(list)
        }
        DeValue::Table(table) => from_table(table, path, read),
    }
}
