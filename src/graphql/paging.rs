//! Relay's connections: arguments, cursors, and the one connection type of all lists.

use std::borrow::Cow;

use async_graphql::{Context, Object, OutputType, SimpleObject, TypeName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::page::{Page, PageRequest, Position, SortKey, Take};
use crate::graphql::context::RequestState;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::CountKey;

/// Names a list and its order, so that a cursor of another is told from one of this.
pub type OrderTag = u8;

/// What a connection lists.
pub trait Listed: OutputType {
    /// The object's name in the schema.
    const NAME: &'static str;
    /// Where it stands in the list of that order.
    fn position(&self, tag: OrderTag) -> Position;
}

/// `first`, `after`, `last` and `before`, as they were given.
#[derive(Debug, Clone, Default)]
pub struct PageArguments {
    /// The most entries from the beginning.
    pub first: Option<i32>,
    /// Only entries after this one.
    pub after: Option<String>,
    /// The most entries from the end.
    pub last: Option<i32>,
    /// Only entries before this one.
    pub before: Option<String>,
}

impl PageArguments {
    /// Reads them for a list of that order.
    ///
    /// # Errors
    /// BAD_REQUEST that says what would be right.
    pub fn read(&self, tag: OrderTag) -> ApiResult<PageRequest> {
        let (take, limit) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(ApiError::bad_request("give first or last, not both")),
            (None, Some(last)) => (Take::Last, size("last", last)?),
            (Some(first), None) => (Take::First, size("first", first)?),
            (None, None) => (Take::First, PageRequest::DEFAULT),
        };
        let position = |name: &str, cursor: &Option<String>| match cursor {
            None => Ok(None),
            Some(cursor) => match decode_cursor(cursor, tag) {
                Some(position) => Ok(Some(position)),
                None => Err(ApiError::bad_request(format!(
                    "{name} is no cursor of this list in this order; take endCursor or startCursor of a page of it"
                ))),
            },
        };
        Ok(PageRequest {
            limit,
            take,
            after: position("after", &self.after)?,
            before: position("before", &self.before)?,
        })
    }
}

fn size(name: &str, given: i32) -> ApiResult<usize> {
    match usize::try_from(given) {
        Ok(size) if size <= PageRequest::MAX => Ok(size),
        _ => Err(ApiError::bad_request(format!(
            "{name} is {given}; it takes 0 to {}",
            PageRequest::MAX
        ))),
    }
}

/// How many entries a page can have, for the cost of a query.
#[must_use]
pub fn page_cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let size = first.or(last).map_or(PageRequest::DEFAULT, |n| {
        usize::try_from(n).unwrap_or(0).min(PageRequest::MAX)
    });
    size.saturating_mul(child).saturating_add(1)
}

const NULL: u8 = 1;
const TIME: u8 = 2;

/// A cursor: the order, the kind of the key, its value, the id. It shows nothing that the entry itself does not.
#[must_use]
pub fn encode_cursor(tag: OrderTag, position: &Position) -> String {
    let mut bytes = vec![tag];
    match &position.key {
        SortKey::Text(text) => {
            bytes.push(if text.is_none() { NULL } else { 0 });
            bytes.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
        }
        SortKey::Time(at) => {
            bytes.push(TIME | if at.is_none() { NULL } else { 0 });
            bytes.extend(at.iter().flat_map(|at| at.as_millisecond().to_be_bytes()));
        }
    }
    bytes.extend_from_slice(position.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode_cursor(cursor: &str, tag: OrderTag) -> Option<Position> {
    // The longest key is a folded address or name, which folding can lengthen.
    if cursor.len() > 4096 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (found, rest) = bytes.split_first()?;
    let (kind, rest) = rest.split_first()?;
    let (key, id) = rest.split_at_checked(rest.len().checked_sub(16)?)?;
    let key = match *kind {
        0 => SortKey::Text(Some(std::str::from_utf8(key).ok()?.to_owned())),
        NULL if key.is_empty() => SortKey::Text(None),
        TIME => SortKey::Time(Some(
            Timestamp::from_millisecond(i64::from_be_bytes(key.try_into().ok()?)).ok()?,
        )),
        kind if kind == TIME | NULL && key.is_empty() => SortKey::Time(None),
        _ => return None,
    };
    (*found == tag).then_some(Position {
        key,
        id: Uuid::from_slice(id).ok()?,
    })
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Default, SimpleObject)]
pub struct PageInfo {
    /// More entries follow.
    pub(super) has_next_page: bool,
    /// More entries come before.
    pub(super) has_previous_page: bool,
    /// The first entry's cursor.
    pub(super) start_cursor: Option<String>,
    /// The last entry's cursor.
    pub(super) end_cursor: Option<String>,
}

/// An entry with its place.
#[derive(Debug)]
pub struct Edge<T> {
    tag: OrderTag,
    node: T,
}

impl<T: Listed> Edge<T> {
    /// Its cursor.
    pub(super) fn place(&self) -> String {
        encode_cursor(self.tag, &self.node.position(self.tag))
    }

    pub(super) fn entry(&self) -> &T {
        &self.node
    }
}

impl<T: Listed> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::NAME).into()
    }
}

/// An entry of a list with its place in it.
#[Object(name_type)]
impl<T: Listed> Edge<T> {
    /// Names the place after this entry.
    async fn cursor(&self) -> String {
        self.place()
    }

    /// The entry.
    async fn node(&self) -> &T {
        &self.node
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    has_next: bool,
    has_previous: bool,
    /// `None`: the filter can find nothing.
    total: Option<CountKey>,
}

impl<T: Listed> Connection<T> {
    /// A connection of that page.
    #[must_use]
    pub fn new(page: Page<T>, request: &PageRequest, tag: OrderTag, total: Option<CountKey>) -> Self {
        Self {
            edges: page.items.into_iter().map(|node| Edge { tag, node }).collect(),
            has_next: if request.take == Take::First {
                page.has_more
            } else {
                request.before.is_some()
            },
            has_previous: if request.take == Take::Last {
                page.has_more
            } else {
                request.after.is_some()
            },
            total,
        }
    }

    /// Of a filter that can find nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            edges: Vec::new(),
            has_next: false,
            has_previous: false,
            total: None,
        }
    }

    pub(super) fn listed(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// Where the page stands.
    pub(super) fn place(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(Edge::place),
            end_cursor: self.edges.last().map(Edge::place),
        }
    }

    /// How many entries the whole list has.
    pub(super) async fn count(&self, state: &RequestState) -> ApiResult<u64> {
        match &self.total {
            None => Ok(0),
            Some(key) => state.loaders.count(key.clone()).await,
        }
    }
}

impl<T: Listed> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::NAME).into()
    }
}

/// A page of a list.
#[Object(name_type)]
impl<T: Listed> Connection<T> {
    /// The entries with their places.
    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// The entries.
    async fn nodes(&self) -> Vec<&T> {
        self.edges.iter().map(|e| &e.node).collect()
    }

    /// Where the page stands.
    async fn page_info(&self) -> PageInfo {
        self.place()
    }

    /// How many entries the whole list has; counted only when it is asked for.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        self.count(RequestState::of(ctx)?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(first: Option<i32>, last: Option<i32>, after: Option<String>) -> PageArguments {
        PageArguments {
            first,
            last,
            after,
            before: None,
        }
    }

    #[test]
    fn a_cursor_names_its_place_and_its_order() {
        let id = Uuid::from_u128(7);
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        for key in [
            SortKey::Text(Some("ann".to_owned())),
            SortKey::Text(Some(String::new())),
            SortKey::Text(None),
            SortKey::Time(Some(at)),
            SortKey::Time(None),
        ] {
            let position = Position { key, id };
            let cursor = encode_cursor(3, &position);
            assert_eq!(decode_cursor(&cursor, 3), Some(position));
            assert_eq!(decode_cursor(&cursor, 4), None, "another order");
            assert_eq!(decode_cursor(&cursor[1..], 3), None);
        }
        for bad in ["", "x", "AwA", "!!!", "пусто", &"A".repeat(5000)] {
            assert_eq!(decode_cursor(bad, 3), None, "{bad}");
        }
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_and_never_cut() {
        assert_eq!(arguments(None, None, None).read(0).unwrap().limit, 20);
        assert_eq!(arguments(Some(0), None, None).read(0).unwrap().limit, 0);
        assert_eq!(arguments(None, Some(200), None).read(0).unwrap().take, Take::Last);
        for bad in [
            arguments(Some(1), Some(1), None),
            arguments(Some(-1), None, None),
            arguments(None, Some(201), None),
            arguments(Some(1), None, Some("nonsense".to_owned())),
        ] {
            assert!(bad.read(0).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_cost_of_a_page_is_its_size_times_its_entry() {
        assert_eq!(page_cost(Some(50), None, 10), 501);
        assert_eq!(page_cost(None, None, 10), 201);
        assert_eq!(page_cost(Some(i32::MAX), None, 1), 201);
        assert_eq!(page_cost(Some(-5), None, 1), 1);
    }
}
