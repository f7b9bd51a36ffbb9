//! Imports point one way, and each library is named in the one layer that wraps it. The rules are data at the top.
//! Strings and comments do not count; groups, `self`, `super`, nested modules, macro calls and code for tests do.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use lexer::Token;

mod lexer;

/// The layers from left to right. A layer may import what is left of its group; those in one group do not know each other.
const LAYERS: &[&[&str]] = &[
    &["domain"],
    &["config"],
    &["access", "origin"],
    &["store", "directory", "mail"],
    &["auth"],
    &["service"],
    &["graphql"],
    &["http"],
    &["app"],
    &["cli"],
];

/// What `main.rs` may name of the library: it is the door, not a room.
const MAIN_USES: &[&str] = &["app", "cli", "config"];

/// Which files may name a path, whether a library or a module of ours (`crate::…`): those whose name starts so.
const OWNERS: &[(&str, &[&str])] = &[
    ("rustix", &["auth/threads.rs"]),
    ("rusqlite", &["store/sqlite"]),
    ("rusqlite_migration", &["store/sqlite"]),
    ("deadpool_sqlite", &["store/sqlite"]),
    ("mongodb", &["store/mongo"]),
    ("bson", &["store/mongo"]),
    ("ldap3", &["directory", "config/directories"]),
    ("lettre", &["mail", "config/mail.rs"]),
    ("email_encoding", &["mail"]),
    ("minijinja", &["mail", "http"]),
    ("anyhow", &["main.rs", "cli"]),
    ("crate::store::sqlite", &["app.rs", "store/sqlite", "store/contract"]),
    ("crate::store::mongo", &["app.rs", "store/mongo", "store/contract"]),
];

#[test]
fn imports_point_left_and_libraries_stay_in_their_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > LAYERS.len(), "the sources are in {}", root.display());
    let violations: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let source = fs::read_to_string(file).unwrap();
            check(file.strip_prefix(&root).unwrap().to_str().unwrap(), &source)
        })
        .map(|violation| violation.to_string())
        .collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// Every rule that `source` breaks as the file `file`, a path below `src/`.
fn check(file: &str, source: &str) -> BTreeSet<Violation> {
    let mut rules = Vec::new();
    let layer = file.split(['/', '.']).next().unwrap();
    if !matches!(file, "lib.rs" | "main.rs") && rank(layer).is_none() {
        rules.push((1, format!("`{layer}` is no layer: it is one of {}", arrows())));
    }
    for (path, line) in paths(file, source) {
        rules.extend(broken_arrow(file, layer, &path).map(|rule| (line, rule)));
        rules.extend(foreign_library(file, &path).map(|rule| (line, rule)));
    }
    rules
        .into_iter()
        .map(|(line, rule)| Violation {
            file: file.to_owned(),
            line,
            rule,
        })
        .collect()
}

fn broken_arrow(file: &str, layer: &str, path: &[String]) -> Option<String> {
    let (root, used) = (path.first()?.as_str(), path.get(1).map_or("*", String::as_str));
    match (file, root) {
        ("main.rs", "doorward") if !MAIN_USES.contains(&used) => Some(format!(
            "main.rs uses `doorward::{used}`: it may use {}",
            MAIN_USES.join(", ")
        )),
        ("main.rs", "crate") => Some("main.rs has no modules of its own: it uses `doorward::…`".to_owned()),
        ("lib.rs", "crate") => Some(format!("lib.rs imports `{used}`: it only declares the layers")),
        ("lib.rs" | "main.rs", _) => None,
        (_, "crate") if used == layer => None,
        (_, "crate") => match (rank(layer), rank(used)) {
            (_, None) => Some(format!("`crate::{used}` is in no layer: it is one of {}", arrows())),
            (Some(own), Some(other)) if other < own => None,
            (own, other) if own == other => Some(format!(
                "`{layer}` imports `{used}`: layers beside each other do not know each other: {}",
                arrows()
            )),
            _ => Some(format!(
                "`{layer}` imports `{used}`: imports point left in {}",
                arrows()
            )),
        },
        _ => None,
    }
}

fn foreign_library(file: &str, path: &[String]) -> Option<String> {
    let (name, owners) = OWNERS
        .iter()
        .find(|(name, _)| name.split("::").eq(path.iter().take(name.split("::").count())))?;
    // `store/mongo` owns store/mongo.rs and store/mongo/…, but not store/mongoose.rs.
    let owned = |owner: &&str| {
        file.strip_prefix(*owner)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    };
    (!owners.iter().any(owned)).then(|| format!("`{name}` is named only in {}", owners.join(", ")))
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|group| group.contains(&layer))
}

fn arrows() -> String {
    let group = |names: &&[&str]| {
        if names.len() == 1 {
            names[0].to_owned()
        } else {
            format!("{{{}}}", names.join(", "))
        }
    };
    LAYERS.iter().map(group).collect::<Vec<_>>().join(" <- ")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every path of more than one segment, or after `use`, with its line; `self` and `super` become `crate::…`.
fn paths(file: &str, source: &str) -> Vec<(Vec<String>, usize)> {
    let tokens = lexer::tokens(source).unwrap_or_else(|| panic!("src/{file}: a bracket or a literal is not closed"));
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(module.last().unwrap().as_str(), "mod" | "lib" | "main") {
        module.pop();
    }
    let mut found = Vec::new();
    walk(&tokens, &module, &mut found);
    found
}

fn walk(mut tokens: &[Token], module: &[String], found: &mut Vec<(Vec<String>, usize)>) {
    while let Some((token, rest)) = tokens.split_first() {
        tokens = match (token, rest) {
            (Token::Name(keyword, _), [Token::Name(name, _), Token::Group(inner), rest @ ..]) if keyword == "mod" => {
                let inline: Vec<String> = module.iter().chain([name]).cloned().collect();
                walk(inner, &inline, found);
                rest
            }
            (Token::Name(keyword, _), rest) if keyword == "use" => tree(rest, &[], module, true, found),
            (Token::Name(..), _) => tree(tokens, &[], module, false, found),
            (Token::Group(inner), rest) => {
                walk(inner, module, found);
                rest
            }
            (Token::Sign(_) | Token::Separator | Token::Literal, rest) => rest,
        };
    }
}

/// Reads one path, or with `grouped` a whole tree such as `crate::{a, b::{c, d}}`, adds every path in it, and returns
/// what comes after it.
fn tree<'a>(
    tokens: &'a [Token],
    prefix: &[String],
    module: &[String],
    grouped: bool,
    found: &mut Vec<(Vec<String>, usize)>,
) -> &'a [Token] {
    let (mut path, mut line) = (prefix.to_vec(), 0);
    let mut rest = tokens.strip_prefix(&[Token::Separator]).unwrap_or(tokens);
    loop {
        rest = match rest {
            [Token::Name(name, at), after @ ..] => {
                path.push(name.clone());
                line = *at;
                after
            }
            [Token::Group(branches), after @ ..] if grouped => {
                for branch in branches
                    .split(|token| *token == Token::Sign(','))
                    .filter(|branch| !branch.is_empty())
                {
                    tree(branch, &path, module, true, found);
                }
                return after;
            }
            [Token::Sign('*'), after @ ..] if grouped => after,
            _ => break,
        };
        match rest {
            [Token::Separator, after @ ..] => rest = after,
            _ => break,
        }
    }
    if path.len() > 1 || grouped {
        found.push((absolute(&path, module), line));
    }
    rest
}

/// The path from the root of the crate, when it starts at `self` or `super`.
fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let up = path
        .iter()
        .take_while(|segment| matches!(segment.as_str(), "self" | "super"))
        .count();
    if up == 0 {
        return path.to_vec();
    }
    let levels = path[..up].iter().filter(|segment| *segment == "super").count();
    let base = &module[..module.len().saturating_sub(levels)];
    std::iter::once("crate".to_owned())
        .chain(base.iter().cloned())
        .chain(path[up..].iter().cloned())
        .collect()
}

fn lines(file: &str, source: &str) -> Vec<usize> {
    check(file, source)
        .into_iter()
        .map(|violation| violation.line)
        .collect()
}

#[test]
fn an_arrow_to_the_right_or_sideways_is_found_with_its_line() {
    let found = check("domain/user.rs", "//! A user.\n\nuse crate::store::Store;\n");
    let violation = found.first().unwrap().to_string();
    assert!(
        violation.starts_with("src/domain/user.rs:3: `domain` imports `store`: imports point left"),
        "{violation}"
    );

    assert_eq!(
        lines("access/mod.rs", "use crate::origin::Client;"),
        [1],
        "beside each other"
    );
    assert_eq!(
        lines("store/mod.rs", "use crate::mail::Mailer;"),
        [1],
        "beside each other"
    );
    assert_eq!(lines("app.rs", "use crate::cli::Args;"), [1]);
    assert_eq!(
        lines("service/users.rs", "fn f() -> u8 {\n    crate::graphql::f()\n}"),
        [2],
        "inline"
    );
    assert_eq!(
        lines("auth/mod.rs", "type A = Vec<crate::http::Router>;"),
        [1],
        "inside of a type"
    );
    assert_eq!(
        lines("auth/mod.rs", "#[derive(crate::http::Derive)]\nstruct A;"),
        [1],
        "in an attribute"
    );
    assert_eq!(
        lines("auth/mod.rs", "fn f() {\n m!(x, crate::http::f())\n}"),
        [2],
        "in a macro call"
    );
    assert_eq!(
        lines("auth/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::app::App;\n}"),
        [3],
        "in tests"
    );
    assert_eq!(lines("config/mod.rs", "use crate::*;"), [1], "everything");
    assert_eq!(lines("util/mod.rs", ""), [1], "a folder that is no layer");
    assert_eq!(lines("auth/mod.rs", "use crate::util::f;"), [1], "a layer that is none");
    assert_eq!(lines("lib.rs", "pub mod domain;\npub use crate::app::App;"), [2]);
}

#[test]
fn every_branch_of_a_group_counts() {
    let source = "use crate::{\n    domain::{ids::UserId, clock::Clock},\n    service::{self, users},\n    http,\n};";
    assert_eq!(lines("auth/local.rs", source), [3, 4]);
    assert_eq!(lines("auth/local.rs", "use {crate::domain::ids, crate::cli};"), [1]);
}

#[test]
fn self_and_super_count_as_what_they_name() {
    assert_eq!(lines("auth/mod.rs", "use super::http::Router;"), [1]);
    assert_eq!(lines("auth/local.rs", "use super::super::http::Router;"), [1]);
    assert_eq!(
        lines(
            "auth/local.rs",
            "mod tests {\n    use super::super::super::http::Router;\n}"
        ),
        [2]
    );
    assert_eq!(
        lines(
            "auth/local.rs",
            "mod tests { use super::*; use super::super::Outcome; use self::x::Y; }"
        ),
        [0_usize; 0]
    );
    assert_eq!(
        lines("store/users.rs", "use super::mongo::Users;"),
        [1],
        "a backend, by a relative path"
    );
}

#[test]
fn arrows_to_the_left_are_free() {
    let source = "use crate::{access, config::Config, directory, domain, mail::Mailer, origin, store};\n\
                  use crate::auth::{Authenticator, *};\n\
                  pub(crate) fn f() { crate::domain::g(); let mongodb = 1; self::h(mongodb) }";
    assert_eq!(lines("auth/mod.rs", source), [0_usize; 0]);
    assert_eq!(lines("main.rs", "use doorward::{cli, config::Config};"), [0_usize; 0]);
    assert_eq!(
        lines("main.rs", "use doorward::store;\nfn main() { doorward::domain::f() }"),
        [1, 2]
    );
}

#[test]
fn comments_and_strings_do_not_count() {
    let source =
        "/// See [`crate::http`].\n// use crate::http;\nconst A: &str = \"use crate::http;\"; /* mongodb::Client */";
    assert_eq!(lines("domain/mod.rs", source), [0_usize; 0]);
}

#[test]
fn a_library_is_named_in_its_own_layer_only() {
    for (file, good, source) in [
        ("store/sqlite/users.rs", true, "use rusqlite::params;"),
        ("store/contract.rs", false, "use rusqlite::params;"),
        ("app.rs", false, "fn f() { deadpool_sqlite::Pool::new() }"),
        ("store/mongo/mod.rs", true, "use mongodb::bson::doc;"),
        ("store/mongoose.rs", false, "use ::mongodb::Client;"),
        ("service/mod.rs", false, "use mongodb;"),
        ("service/mod.rs", false, "use {std::fmt, bson as b};"),
        ("service/mod.rs", true, "use crate::domain::mongodb::Kind;"),
        ("directory/tls.rs", true, "use ldap3::Ldap;"),
        ("auth/ldap.rs", false, "use ldap3::Ldap;"),
        ("mail/smtp.rs", true, "use lettre::Message;"),
        ("config/mail.rs", true, "use lettre::Address;"),
        ("config/store.rs", false, "use lettre::Address;"),
        ("cli/user.rs", true, "use anyhow::Context;"),
        ("main.rs", true, "fn main() -> anyhow::Result<()> { Ok(()) }"),
        ("http/mod.rs", false, "fn f() -> anyhow::Result<()> { Ok(()) }"),
        ("app.rs", true, "use crate::store::{mongo::Mongo, sqlite::Sqlite};"),
        ("store/sqlite/users.rs", false, "use crate::store::mongo;"),
        ("store/contract.rs", true, "use crate::store::sqlite;"),
        ("service/mod.rs", false, "use crate::store::{Store, sqlite};"),
    ] {
        assert_eq!(check(file, source).is_empty(), good, "{file}: {source}");
    }
}
