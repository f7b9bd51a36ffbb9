//! Pages of a long list, by keyset: a cursor names the place after (or before) one entry, so that entries which come or
//! go elsewhere never shift a page.

use jiff::Timestamp;
use uuid::Uuid;

/// The value that a list is ordered by, of one entry. `None` comes last, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// Folded text, compared by code point.
    Text(Option<String>),
    /// A moment.
    Time(Option<Timestamp>),
}

impl SortKey {
    /// Has the entry no value?
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Text(None) | Self::Time(None))
    }
}

/// The place of one entry in an ordered list: its key, and its id, which breaks ties.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// What the list is ordered by.
    pub key: SortKey,
    /// The entry's identifier.
    pub id: Uuid,
}

/// Which end of the list a page is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Take {
    /// The first entries after `after` (and before `before`).
    First,
    /// The last entries before `before` (and after `after`); still listed in the list's own order.
    Last,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// The most entries, 0 to 200.
    pub limit: usize,
    /// From which end.
    pub take: Take,
    /// Only entries after this place.
    pub after: Option<Position>,
    /// Only entries before this place.
    pub before: Option<Position>,
}

impl PageRequest {
    /// The most entries of one page.
    pub const MAX: usize = 200;
    /// The entries of a page when nothing is said.
    pub const DEFAULT: usize = 20;

    /// The first `limit` entries.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self {
            limit,
            take: Take::First,
            after: None,
            before: None,
        }
    }
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries, in the list's order.
    pub items: Vec<T>,
    /// There is more in the direction that was taken.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// A page of nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            items: Vec::new(),
            has_more: false,
        }
    }

    /// Makes a page of up to `limit + 1` entries that were read in the direction of `take`.
    #[must_use]
    pub fn from_read(mut items: Vec<T>, request: &PageRequest) -> Self {
        let has_more = items.len() > request.limit;
        items.truncate(request.limit);
        if request.take == Take::Last {
            items.reverse();
        }
        Self { items, has_more }
    }

    /// The same page of something else.
    #[must_use]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            has_more: self.has_more,
        }
    }

    /// The same page of something else, if there is one of each entry.
    ///
    /// # Errors
    /// The first one of `f`.
    pub fn try_map<U, E>(self, f: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            items: self.items.into_iter().map(f).collect::<Result<_, _>>()?,
            has_more: self.has_more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_read_from_the_end_is_turned_round() {
        let request = PageRequest {
            take: Take::Last,
            ..PageRequest::first(2)
        };
        assert_eq!(
            Page::from_read(vec![3, 2, 1], &request),
            Page {
                items: vec![2, 3],
                has_more: true
            }
        );
        assert_eq!(
            Page::from_read(vec![1, 2], &PageRequest::first(2)),
            Page {
                items: vec![1, 2],
                has_more: false
            }
        );
        assert_eq!(
            Page::from_read(vec![1], &PageRequest::first(0)),
            Page {
                items: vec![],
                has_more: true
            }
        );
    }
}
