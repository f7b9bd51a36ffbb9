//! What is wrong with a configuration, collected so that all of it is said at once.

use std::fmt;

/// Where a key was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A line of the file, counted from 1.
    Line(String, usize),
    /// A line and column of the file, both counted from 1: what is wrong with its syntax.
    Column(String, usize, usize),
    /// The file as a whole.
    File(String),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{file}:{line}"),
            Self::Column(file, line, column) => write!(f, "{file}:{line}:{column}"),
            Self::File(file) => f.write_str(file),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// The position of a key: its names from the section down; an element of a list by its number.
pub(super) type Path = Vec<String>;

/// `section.key` as a [`Path`]; for keys without a name that the user chose.
pub(super) fn path_of(dotted: &str) -> Path {
    dotted.split('.').map(str::to_owned).collect()
}

/// A [`Path`] as it is written: `http.trusted_proxies[1]`.
pub(super) fn dotted(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        if !text.is_empty() && part.parse::<usize>().is_ok() {
            text.push_str(&format!("[{part}]"));
        } else {
            text.push_str(if text.is_empty() { "" } else { "." });
            text.push_str(part);
        }
    }
    text
}

/// One thing that is wrong. Displays as one line: place, key, what was found, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) place: Option<Place>,
    pub(super) path: Path,
    pub(super) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: ")?,
            None => f.write_str("configuration: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{} ", dotted(&self.path))?;
        }
        f.write_str(&self.text)
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem with `section.key`; `text` goes on from the key: `is …; it should be …`.
    pub fn add(&mut self, key: &str, text: impl Into<String>) {
        self.add_at(path_of(key), text);
    }

    /// As [`Problems::add`], for a key below a name that the user chose. What already has a problem gets no second one:
    /// its value was replaced by the default.
    pub(super) fn add_at(&mut self, path: Path, text: impl Into<String>) {
        if !self.touch(&path) {
            self.push(Problem {
                place: None,
                path,
                text: text.into(),
            });
        }
    }

    /// Adds what a directory says about itself: `directories.NAME.KEY: what is wrong`.
    pub(super) fn add_directory(&mut self, name: &str, message: &str) {
        let table = format!("directories.{name}");
        let mut path = vec!["directories".to_owned(), name.to_owned()];
        let below = message.strip_prefix(&table).and_then(|rest| rest.split_once(": "));
        let Some((key, text)) = below else {
            return self.add_at(path, message);
        };
        let parts = key.split(['.', '[', ']']).filter(|part| !part.is_empty());
        path.extend(parts.map(str::to_owned));
        self.add_at(path, text);
    }

    /// Whether a problem was found with a key or something in it.
    pub(super) fn touch(&self, path: &[String]) -> bool {
        self.0.iter().any(|p| p.path.starts_with(path))
    }

    pub(super) fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Whether nothing was found in a section so far. Rules that compare keys ask first: one that could not be read
    /// has its default now, and complaining about that would mislead.
    #[must_use]
    pub fn none_in(&self, section: &str) -> bool {
        !self
            .0
            .iter()
            .any(|p| p.path.first().is_some_and(|first| first == section))
    }

    /// Adds a problem unless `value` is above zero.
    pub(super) fn above_zero(&mut self, key: &str, value: usize) {
        if value == 0 {
            self.add(key, "is 0; it should be at least 1");
        }
    }

    /// Adds a problem unless `path` is a file.
    pub(super) fn file_exists(&mut self, key: &str, path: Option<&std::path::Path>) {
        if let Some(path) = path.filter(|path| !path.is_file()) {
            self.add(
                key,
                format!("is {path:?}, where there is no file; relative paths start at the working directory"),
            );
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives every problem without a place the one that `locate` knows.
    pub(super) fn locate(&mut self, locate: impl Fn(&[String]) -> Option<Place>) {
        for problem in self.0.iter_mut().filter(|p| p.place.is_none()) {
            problem.place = locate(&problem.path);
        }
    }

    /// The error that says all of it, in the order of the file.
    pub(super) fn into_error(mut self) -> ConfigError {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        ConfigError { problems: self.0 }
    }
}

/// The configuration cannot be used; displays every [`Problem`], one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// What is wrong; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}
