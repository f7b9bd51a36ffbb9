//! Documents that come again and again: dashboards ask the same thing every few seconds, and reading the question takes
//! longer than answering it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Request;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use sha2::{Digest as _, Sha256};

/// Longer queries are parsed each time.
const LONGEST: usize = 16 * 1024;
/// The most text of queries that is kept parsed, in bytes; a parsed query takes some ten times its text.
const MOST_TEXT: usize = 1024 * 1024;
/// The most requests that are known to be valid.
const MOST_VALID: usize = 10_000;

/// Queries that were parsed before. When there are too many, all of them are forgotten.
#[derive(Debug, Default)]
pub struct Parsed(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    text: usize,
    documents: HashMap<String, Arc<ExecutableDocument>>,
}

impl Parsed {
    /// Parses the request's query, or takes what the same text was parsed to before. What cannot be parsed is left to
    /// whoever asks the request for its document.
    pub fn parse(&self, request: &mut Request) {
        if request.query.len() > LONGEST {
            return;
        }
        // Nothing that is written under the lock can be left half done.
        let known = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.documents.get(&request.query).map(Arc::clone)
        };
        if let Some(document) = known {
            request.set_parsed_query(ExecutableDocument::clone(&document));
            return;
        }
        let Ok(document) = request.parsed_query() else {
            return;
        };
        let document = Arc::new(document.clone());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.text + request.query.len() > MOST_TEXT {
            *kept = Kept::default();
        }
        kept.text += request.query.len();
        kept.documents.insert(request.query.clone(), document);
    }
}

/// Whether lists of the API may have to be merged with others under the same key, or stand where a selection says less than
/// its words: then they are no matter for [`written`](super::written).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Repeats {
    /// Some list that is in no other one.
    pub(super) above: bool,
    /// Some list within another one.
    pub(super) below: bool,
}

/// The fields that can be written as a whole.
const LISTS: [&str; 4] = ["users", "roles", "groups", "loginHistory"];
/// The schema's only type that others are kinds of.
const INTERFACE: &str = "Node";
/// Selections that are looked at before a document counts as repeating itself: as many as a request may have.
const MOST_SELECTIONS: usize = 10_000;

/// What stands under one key.
#[derive(Default)]
struct Together<'a> {
    sets: Vec<&'a SelectionSet>,
    is_list: bool,
}

impl Repeats {
    pub(super) fn of(document: &ExecutableDocument) -> Self {
        let everywhere = Self {
            above: true,
            below: true,
        };
        let mut repeats = Self::default();
        let mut left = MOST_SELECTIONS;
        let operations = document.operations.iter();
        let mut objects: Vec<(Vec<&SelectionSet>, bool)> = operations
            .map(|(_, operation)| (vec![&operation.node.selection_set.node], false))
            .collect();
        while let Some((sets, within)) = objects.pop() {
            let mut fields: HashMap<&str, Together<'_>> = HashMap::new();
            let mut parts: Vec<(&SelectionSet, bool)> = sets.into_iter().map(|set| (set, false)).collect();
            while let Some((part, of_interface)) = parts.pop() {
                for selection in &part.items {
                    let Some(fewer) = left.checked_sub(1) else {
                        return everywhere;
                    };
                    left = fewer;
                    let (condition, selected) = match &selection.node {
                        Selection::Field(field) => {
                            let field = &field.node;
                            let selected = &field.selection_set.node;
                            if !selected.items.is_empty() {
                                let together = fields.entry(field.response_key().node.as_str()).or_default();
                                together.is_list |= LISTS.contains(&field.name.node.as_str());
                                together.sets.push(selected);
                            }
                            continue;
                        }
                        Selection::InlineFragment(fragment) => {
                            let fragment = &fragment.node;
                            (fragment.type_condition.as_ref(), &fragment.selection_set.node)
                        }
                        Selection::FragmentSpread(fragment) => {
                            let Some(definition) = document.fragments.get(&fragment.node.fragment_name.node) else {
                                return everywhere;
                            };
                            (
                                Some(&definition.node.type_condition),
                                &definition.node.selection_set.node,
                            )
                        }
                    };
                    // What is selected of one kind within the interface is none of another kind's, but is not told from it.
                    if of_interface {
                        return everywhere;
                    }
                    parts.push((
                        selected,
                        condition.is_some_and(|condition| condition.node.on.node == INTERFACE),
                    ));
                }
            }
            for Together { sets, is_list } in fields.into_values() {
                let twice = is_list && sets.len() > 1;
                repeats.above |= twice && !within;
                repeats.below |= twice && within;
                objects.push((sets, within || is_list));
            }
        }
        repeats
    }
}

/// Names a request: its query, which of its operations is meant, and its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RequestKey([u8; 32]);

impl RequestKey {
    /// `None` for a request with files, which are not in its variables.
    pub(super) fn of(request: &Request) -> Option<Self> {
        if !request.uploads.is_empty() {
            return None;
        }
        let variables = serde_json::to_vec(&request.variables).ok()?;
        let mut digest = Sha256::new();
        for part in [
            request.query.as_bytes(),
            request.operation_name.as_deref().unwrap_or_default().as_bytes(),
            &variables,
        ] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Some(Self(digest.finalize().into()))
    }
}

/// Requests that were found valid against the schema: that they are so does not change. When there are too many, all of
/// them are forgotten.
#[derive(Debug, Default)]
pub(super) struct Valid(Mutex<HashSet<RequestKey>>);

impl Valid {
    pub(super) fn has(&self, key: &RequestKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    pub(super) fn add(&self, key: RequestKey) {
        let mut valid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if valid.len() >= MOST_VALID {
            valid.clear();
        }
        valid.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Variables;

    #[test]
    fn a_query_is_parsed_once_and_forgotten_with_all_others() {
        let parsed = Parsed::default();
        let known = || parsed.0.lock().unwrap().documents.len();
        for _ in 0..2 {
            let mut request = Request::new("{ viewer { isMaster } }");
            parsed.parse(&mut request);
            assert_eq!(request.parsed_query().unwrap().operations.iter().count(), 1);
            assert_eq!(known(), 1);
        }
        parsed.parse(&mut Request::new("{ viewer {"));
        parsed.parse(&mut Request::new(format!("{{ viewer }} #{}", "x".repeat(LONGEST))));
        assert_eq!(known(), 1, "neither what cannot be parsed nor what is too long");
        let mut most = 1;
        for n in 0..200 {
            parsed.parse(&mut Request::new(format!(
                "{{ viewer }} #{n}{}",
                "x".repeat(LONGEST / 2)
            )));
            most = most.max(known());
        }
        assert!(most < MOST_TEXT / (LONGEST / 2) + 2 && known() < most, "{most}");
    }

    /// A list of another name would not be noticed where it stands twice under one key.
    #[test]
    fn the_schema_has_no_other_lists_that_are_written_as_a_whole() {
        let sdl = crate::graphql::Api::sdl();
        let straight = ["User", "Role", "Group", "LoginEvent"].map(|kind| format!("{kind}Connection"));
        let mut lists: Vec<&str> = sdl
            .lines()
            .filter_map(|line| line.trim().rsplit_once(": "))
            .filter(|(_, kind)| straight.iter().any(|straight| kind.trim_end_matches('!') == straight))
            .filter_map(|(field, _)| field.split('(').next())
            .collect();
        lists.sort_unstable();
        lists.dedup();
        let mut known = LISTS;
        known.sort_unstable();
        assert_eq!(lists, known);
        let interfaces: Vec<&str> = sdl.lines().filter_map(|line| line.strip_prefix("interface ")).collect();
        assert_eq!(interfaces, [format!("{INTERFACE} {{")]);
        assert!(!sdl.lines().any(|line| line.starts_with("union ")));
    }

    #[test]
    fn lists_that_stand_twice_under_one_key_are_noticed() {
        let repeats = |query: &str| {
            let found = Repeats::of(Request::new(query).parsed_query().unwrap());
            (found.above, found.below)
        };
        let nowhere = (false, false);
        let above = (true, false);
        let below = (false, true);
        let everywhere = (true, true);
        for (query, expected) in [
            (
                "{ viewer { isMaster isMaster } users { nodes { id } } roles { nodes { id } } }",
                nowhere,
            ),
            ("{ a: users { nodes { id } } b: users { nodes { id } } }", nowhere),
            ("{ users { nodes { id } } users { nodes { login } } }", above),
            ("{ a { users { nodes { id } } } a { roles { nodes { id } } } }", nowhere),
            ("{ a { users { nodes { id } } } a { users { totalCount } } }", above),
            (
                "{ a { id } ...F users { nodes { id } } } fragment F on Query { a { name } }",
                nowhere,
            ),
            (
                "{ ...F ... { ...G } } fragment F on Query { users { id } } fragment G on Query { users { id } }",
                above,
            ),
            ("{ ...F ...F } fragment F on Query { users { totalCount } }", above),
            ("{ users { nodes { id } nodes { groups { id } } } }", nowhere),
            (
                "{ users { nodes { groups { id } ...F } } } fragment F on User { groups { name } }",
                below,
            ),
            ("{ groups { nodes { id ... on Node { id } } } }", nowhere),
            (
                "{ groups { nodes { ... on Node { ... on Role { label: name } } } } }",
                everywhere,
            ),
            (
                "{ groups { nodes { ...F } } } fragment F on Node { ... { id } }",
                everywhere,
            ),
            // No valid document, but it must come to an end.
            ("{ ...F } fragment F on Query { a { ...F } ...F }", everywhere),
        ] {
            assert_eq!(repeats(query), expected, "{query}");
        }
    }

    #[test]
    fn a_request_is_another_when_anything_of_it_is() {
        let request = |query: &str, operation: &str, first: i32| {
            let variables = Variables::from_json(serde_json::json!({ "first": first }));
            Request::new(query).operation_name(operation).variables(variables)
        };
        let key = |query: &str, operation: &str, first: i32| RequestKey::of(&request(query, operation, first)).unwrap();
        let valid = Valid::default();
        valid.add(key("a", "b", 1));
        assert!(valid.has(&key("a", "b", 1)));
        for other in [key("a", "b", 2), key("a", "", 1), key("ab", "", 1), key("b", "a", 1)] {
            assert!(!valid.has(&other));
        }
    }
}
