//! From layers to a [`Config`], with everything that is wrong on the way.
//!
//! Deserialising stops at the first error. So the key at fault is noted and taken out, and reading starts again, until
//! nothing is wrong with what is left.

use std::collections::BTreeSet;

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::Config;
use super::files::secret_files;
use super::layers::{Layers, variable};
use super::problems::{Path, Place, Problem, Problems, dotted};

/// Reads the configuration; keys that cannot be used have their default in it and are in `problems`.
pub(super) fn read(layers: &mut Layers, problems: &mut Problems) -> Config {
    let mut filled = BTreeSet::new();
    loop {
        let errors = match layers.figment().extract::<Config>() {
            Ok(config) => return config,
            Err(errors) => errors,
        };
        let mut settled = false;
        for error in errors {
            settled |= settle(layers, &error.path, &error.kind, &mut filled, problems);
        }
        if !settled {
            // Nothing to take out: the defaults themselves, which the tests read.
            return Config::default();
        }
    }
}

/// Notes one error and changes the layers so that it does not come again; false when they have no part in it.
fn settle(
    layers: &mut Layers,
    path: &[String],
    kind: &Kind,
    filled: &mut BTreeSet<Path>,
    problems: &mut Problems,
) -> bool {
    if filled.contains(path) {
        // Noted as missing, and no list as was guessed: give up the table.
        return path.split_last().is_some_and(|(_, table)| layers.remove(table));
    }
    let mut text = match kind {
        Kind::UnknownField(name, known) => unknown(layers, path, name, known),
        Kind::MissingField(name) => {
            let missing = [path, &[name.to_string()]].concat();
            let original = layers.original(path);
            let place = layers.place(&original);
            let key = [original.as_slice(), &[name.to_string()]].concat();
            if !problems.touch(&key) {
                problems.push(Problem {
                    place,
                    path: key,
                    text: "is missing; it has no default".to_owned(),
                });
            }
            // An empty list is what most keys without a default take; so what else is wrong comes out too.
            filled.insert(missing.clone());
            return layers.fill(&missing, Value::from(Vec::<Value>::new())) || layers.remove(path);
        }
        kind => describe(kind),
    };
    if let Kind::InvalidType(Actual::Str(_), expected) = kind {
        match layers.reread(path, expected.contains("sequence")) {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => text = format!("is not readable as TOML: {error}"),
        }
    }
    let original = layers.original(path);
    let place = layers.place(&original);
    problems.push(Problem {
        place,
        path: original,
        text,
    });
    layers.remove(path)
}

/// What was found and what would be right.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, expected) => {
            let expected_words = words(expected);
            // Only where a number or a yes or no is wanted is the text shown: elsewhere it may be a secret.
            let plain = expected_words.starts_with("a whole number") || expected_words == "true or false";
            let found = match found {
                Actual::Str(text) if plain => format!("{text:?}"),
                found => sort_of(found).to_owned(),
            };
            format!("is {found}; it should be {expected_words}")
        }
        Kind::InvalidValue(found, expected) => {
            let found = match found {
                Actual::Str(text) => format!("{text:?}"),
                Actual::Unsigned(number) => number.to_string(),
                Actual::Signed(number) => number.to_string(),
                Actual::Float(number) => number.to_string(),
                found => sort_of(found).to_owned(),
            };
            format!("is {found}; it should be {}", words(expected))
        }
        Kind::UnknownVariant(found, known) => {
            let known: Vec<_> = known.iter().map(|name| format!("{name:?}")).collect();
            format!("is {found:?}; it should be {}", known.join(" or "))
        }
        Kind::Message(text) => text.clone(),
        other => format!("cannot be used: {other}"),
    }
}

/// The name that TOML's readers know for a type.
fn sort_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a whole number",
        Actual::Float(_) => "a number with a fraction, or too large",
        Actual::Str(_) | Actual::Char(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}

/// What a deserialiser expects, in words.
fn words(expected: &str) -> String {
    let up_to = |max: u64| format!("a whole number from 0 to {max}");
    match expected {
        "u16" => up_to(u64::from(u16::MAX)),
        "u32" => up_to(u64::from(u32::MAX)),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "a duration" => "a duration, such as \"30s\", \"12h\" or \"400d\"".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other if other.starts_with("enum ") => "text".to_owned(),
        other => other.to_owned(),
    }
}

/// An unknown key, with its nearest neighbour.
fn unknown(layers: &Layers, path: &[String], name: &str, known: &[&str]) -> String {
    let table = path.split_last().map_or(&[][..], |(_, table)| table);
    let section = matches!(layers.get(path), Some(Value::Dict(..)));
    let here: Vec<Path> = known
        .iter()
        .map(ToString::to_string)
        .chain(secret_files(table))
        .map(|known| [table, &[known]].concat())
        .collect();
    let likeness = |key: &Path| {
        key.last()
            .map_or(0.0, |last| strsim::normalized_damerau_levenshtein(last, name))
    };
    let nearest = |keys: Vec<Path>| keys.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));

    let mut guess = nearest(here);
    if guess.as_ref().is_none_or(|key| likeness(key) < 0.6) && !section {
        // Nothing like it here: perhaps it is in the wrong section.
        let elsewhere = fields(&[]).into_iter().flat_map(|section| {
            let keys = fields(std::slice::from_ref(&section));
            keys.into_iter().map(move |key| vec![section.clone(), key])
        });
        guess = nearest(elsewhere.collect()).filter(|key| likeness(key) > 0.8).or(guess);
    }
    let what = if section { "section" } else { "key" };
    let Some(guess) = guess else {
        return format!("is not a {what}");
    };
    let by_variable = matches!(layers.place(path), Some(Place::Variable(_)));
    let variable = if by_variable {
        format!(" ({})", variable(&guess))
    } else {
        String::new()
    };
    format!("is not a {what}; did you mean {}{variable}?", dotted(&guess))
}

/// The names that a table takes, asked from the types themselves: by a key that cannot be.
pub(super) fn fields(table: &[String]) -> Vec<String> {
    let probe = Dict::from([(String::new(), Value::from(true))]);
    let probe = table
        .iter()
        .rev()
        .fold(probe, |inner, name| Dict::from([(name.clone(), Value::from(inner))]));
    match Figment::from(Serialized::defaults(probe))
        .extract::<Config>()
        .map_err(|error| error.kind)
    {
        Err(Kind::UnknownField(_, known)) => known.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}
