//! Pages by keyset as conditions of MongoDB.
//!
//! An order is `key, _id`, both in one direction, and whatever has no key comes last **in either direction**. MongoDB
//! puts nulls first when it sorts upwards, so a list whose key may be missing is read as two segments, the valued and
//! the null ones, each of which an index can deliver as it stands.

use mongodb::bson::{Bson, DateTime, Document, doc};

use super::documents::{At, Id};
use crate::domain::page::{PageRequest, Position, SortKey, Take};
use crate::domain::query::Direction;

/// What a list is ordered by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// The key's field.
    pub(super) field: &'static str,
    /// Up or down.
    pub(super) direction: Direction,
    /// May the key be missing, and what is it otherwise?
    pub(super) nullable: Option<Kind>,
    /// Is the key unique in an account? Then a list of one account needs no tie-breaker.
    pub(super) unique_in_account: bool,
}

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Folded text.
    Text,
    /// A moment.
    Time,
}

/// Newest first, as the history and the log are.
pub(super) const NEWEST_FIRST: Order = Order {
    field: "at",
    direction: Direction::Desc,
    nullable: None,
    unique_in_account: false,
};

/// By folded name, as roles and groups are.
pub(super) const BY_NAME: Order = Order {
    field: "name_fold",
    direction: Direction::Asc,
    nullable: None,
    unique_in_account: true,
};

/// A part of a list in which either every entry has a key or none has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    /// Those with a key.
    Valued,
    /// Those without.
    Null,
}

impl Order {
    /// The segments in the order in which a page from this end passes through them.
    pub(super) fn segments(self, take: Take) -> &'static [Segment] {
        match (self.nullable, take) {
            (None, _) => &[Segment::Valued],
            (Some(_), Take::First) => &[Segment::Valued, Segment::Null],
            (Some(_), Take::Last) => &[Segment::Null, Segment::Valued],
        }
    }

    /// What an entry of this segment must fulfil to be on the page; `None` when none of it can be.
    pub(super) fn conditions(self, segment: Segment, page: &PageRequest) -> Option<Vec<Document>> {
        let onwards = self.direction;
        let backwards = reverse(onwards);
        let mut conditions = Vec::new();
        match segment {
            Segment::Valued => {
                if let Some(kind) = self.nullable {
                    // A comparison holds for values of its own type only, which leaves the nulls out.
                    let least: Bson = match kind {
                        Kind::Text => "".into(),
                        Kind::Time => DateTime::MIN.into(),
                    };
                    conditions.push(doc! { self.field: { "$gte": least } });
                }
                if let Some(after) = &page.after {
                    // After an entry without a key come only such.
                    conditions.push(self.beyond(value(after)?, after, onwards));
                }
                if let Some((before, key)) = page.before.as_ref().and_then(|b| Some((b, value(b)?))) {
                    conditions.push(self.beyond(key, before, backwards));
                }
            }
            Segment::Null => {
                conditions.push(doc! { self.field: null });
                if let Some(after) = page.after.as_ref().filter(|a| a.key.is_null()) {
                    conditions.push(doc! { "_id": { past(onwards): Id::from(after.id) } });
                }
                if let Some(before) = &page.before {
                    if !before.key.is_null() {
                        return None;
                    }
                    conditions.push(doc! { "_id": { past(backwards): Id::from(before.id) } });
                }
            }
        }
        Some(conditions)
    }

    /// How a page from this end is sorted while it is read. `in_account`: the list is one account's.
    pub(super) fn sort(self, segment: Segment, take: Take, in_account: bool) -> Document {
        let direction = match take {
            Take::First => self.direction,
            Take::Last => reverse(self.direction),
        };
        let way = match direction {
            Direction::Asc => 1,
            Direction::Desc => -1,
        };
        match segment {
            Segment::Valued if self.unique_in_account && in_account => doc! { self.field: way },
            Segment::Valued => doc! { self.field: way, "_id": way },
            Segment::Null => doc! { "_id": way },
        }
    }

    /// Past `(key, id)` in a direction. The first condition gives the index its bounds, the second is checked on its keys.
    fn beyond(self, key: Bson, position: &Position, direction: Direction) -> Document {
        let (past, from) = (past(direction), from(direction));
        let id = Id::from(position.id);
        doc! { "$and": [
            { self.field: { from: key.clone() } },
            { "$or": [{ self.field: { past: key } }, { "_id": { past: id } }] },
        ] }
    }
}

fn value(position: &Position) -> Option<Bson> {
    match &position.key {
        SortKey::Text(text) => text.clone().map(Bson::String),
        SortKey::Time(at) => at.map(|at| At(at).into()),
    }
}

fn reverse(direction: Direction) -> Direction {
    match direction {
        Direction::Asc => Direction::Desc,
        Direction::Desc => Direction::Asc,
    }
}

fn past(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "$gt",
        Direction::Desc => "$lt",
    }
}

fn from(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "$gte",
        Direction::Desc => "$lte",
    }
}
