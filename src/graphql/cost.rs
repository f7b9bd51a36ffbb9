//! How large a document is once its fragments are put in: asked before anything walks through it that way.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Request, ServerError};

use crate::graphql::error::Code;

/// The most selections of one document, fragments counted as often as they are used.
const MAX_SELECTIONS: usize = 10_000;

/// Why the request is too large to be looked at; `None` when it is not, or cannot be parsed (which is said elsewhere).
///
/// The library's own limits count along the expanded document, which a kilobyte of fragments in fragments makes as large as
/// one likes: here each fragment is counted once.
pub(super) fn refusal(request: &mut Request) -> Option<ServerError> {
    let document = request.parsed_query().ok()?;
    let mut sizes = Sizes {
        document,
        known: HashMap::new(),
    };
    let total = document
        .operations
        .iter()
        .map(|(_, operation)| sizes.of(&operation.node.selection_set.node))
        .fold(0, usize::saturating_add);
    if total <= MAX_SELECTIONS {
        return None;
    }
    let mut error = ServerError::new(
        format!("the query selects over {MAX_SELECTIONS} fields; ask for less"),
        None,
    );
    error
        .extensions
        .get_or_insert_with(Default::default)
        .set("code", Code::BadRequest.as_str());
    Some(error)
}

struct Sizes<'a> {
    document: &'a ExecutableDocument,
    /// `None`: being counted; a fragment within itself is refused by the validation.
    known: HashMap<&'a Name, Option<usize>>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, set: &'a SelectionSet) -> usize {
        set.items
            .iter()
            .map(|item| self.of_item(&item.node))
            .fold(0, usize::saturating_add)
    }

    fn of_item(&mut self, item: &'a Selection) -> usize {
        let within = match item {
            Selection::Field(field) => self.of(&field.node.selection_set.node),
            Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node),
        };
        within.saturating_add(1)
    }

    fn of_fragment(&mut self, name: &'a Name) -> usize {
        if let Some(known) = self.known.get(name) {
            return known.unwrap_or(0);
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            return 0;
        };
        self.known.insert(name, None);
        let size = self.of(&fragment.node.selection_set.node);
        self.known.insert(name, Some(size));
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(query: &str) -> bool {
        refusal(&mut Request::new(query)).is_some()
    }

    #[test]
    fn fragments_in_fragments_are_counted_without_being_put_in() {
        let mut bomb = "{ ...F0 } fragment F60 on Query { __typename }".to_owned();
        for i in 0..60 {
            bomb.push_str(&format!(" fragment F{i} on Query {{ ...F{n} ...F{n} }}", n = i + 1));
        }
        assert!(is_refused(&bomb));
        let wide = format!(
            "{{ {} }} fragment F on Query {{ {} }}",
            "...F ".repeat(200),
            "a ".repeat(200)
        );
        assert!(is_refused(&wide));
    }

    #[test]
    fn ordinary_documents_pass_and_circles_end() {
        assert!(!is_refused(
            "{ ...F ...F } fragment F on Query { viewer { isMaster } ...G } fragment G on Query { __typename }"
        ));
        assert!(!is_refused("{ ...F } fragment F on Query { ...F }"));
        assert!(!is_refused("{ ...Missing }"));
        assert!(!is_refused("{ not closed"));
    }
}
