//! Pages by keyset: the conditions and orders that take one page out of a list, each of them answered by an index.
//!
//! A list whose key may be missing is read as two segments, the entries with a key and then those without, whichever way
//! the keys run: so the nulls come last in both directions and each segment still follows its index.
//!
//! **Filters.** Read in its order, a list that is filtered costs as many rows as lie before the page is full: few when many
//! pass, all of them when hardly any does. Where an index names all that can pass (its [`Finder`]), and they are few, those
//! are sorted instead. When all finders find many, the order is followed for so many steps, and only then is whatever the
//! narrowest of them finds sorted after all, unless it is a large part of the table: it may lie together at the far end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::domain::page::{Page, PageRequest, Position, SortKey, Take};
use crate::domain::query::Direction;
use crate::store::Result;
use crate::store::sqlite::rows::{Columns, all};

/// What a list is ordered by: a column, and the table's `id` behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// The column of the key.
    pub key: &'static str,
    /// Whether entries may have none.
    pub nullable: bool,
    /// Up or down.
    pub direction: Direction,
}

/// So many rows are found by an index and sorted in a few milliseconds.
const FEW: i64 = 2_000;
/// Finders are compared up to so many rows, at least.
const MANY: i64 = 100_000;
/// What an order was followed for in vain is sorted if it is less than one in so many rows of the table: each costs a few
/// times what following it does.
const SORTED_PART: i64 = 4;
/// How long an order is followed before what a filter finds is sorted instead, in steps of SQLite's machine: tens of
/// thousands of rows, or about 50 ms.
const PATIENCE: i32 = 1_000_000;

/// The rowids, as `found`, of all that can meet one of the conditions: what any of some statements gives by an index.
#[derive(Debug, Clone)]
struct Finder {
    any: Vec<String>,
    /// Of all the statements, in their order.
    values: Vec<Value>,
}

impl Finder {
    /// How many are found, counted up to `most`. Who is found by several statements counts several times, as telling them
    /// apart would mean to find everything first.
    fn count(&self, connection: &Connection, most: i64) -> Result<i64> {
        let any = self.any.join(" UNION ALL ");
        let values = self.values.iter().cloned().chain([Value::Integer(most)]);
        let mut statement =
            connection.prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 FROM ({any}) LIMIT ?)"))?;
        Ok(statement.query_row(params_from_iter(values), |row| row.get(0))?)
    }

    /// What is found in the table, each once; the join is a CROSS one because its sides are not exchanged then.
    fn among(&self, table: &'static str) -> String {
        let any = self.any.join(" UNION ");
        format!("({any}) CROSS JOIN {table} ON {table}.rowid = found")
    }
}

/// Conditions that all hold, made of constants and bound values.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
    finders: Vec<Finder>,
}

impl Conditions {
    /// One more condition with the values of its `?`s.
    pub(super) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// One more condition with one value, when there is that value.
    pub(super) fn and_some(&mut self, condition: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(condition, [value.into()]);
        }
    }

    /// One of the columns begins with `prefix`. Not LIKE, which folds ASCII, knows wildcards and leaves the index.
    pub(super) fn and_prefix(&mut self, columns: &[&str], prefix: &str) {
        let any: Vec<String> = columns.iter().map(|column| begins(column, prefix)).collect();
        let values = columns.iter().flat_map(|_| beginning(prefix));
        self.and(&format!("({})", any.join(" OR ")), values);
    }

    /// Indexes name all that can meet one of the conditions: each of `any` gives rowids as `found`.
    pub(super) fn found_by(&mut self, any: Vec<String>, values: Vec<Value>) {
        self.finders.push(Finder { any, values });
    }

    /// A finder that finds few.
    fn narrow(&self, connection: &Connection) -> Result<Option<&Finder>> {
        self.narrowest(connection, FEW + 1)
    }

    /// The finder that finds the fewest, or the first one that finds few; none when all find `most`.
    fn narrowest(&self, connection: &Connection, most: i64) -> Result<Option<&Finder>> {
        let (mut narrowest, mut fewest) = (None, most);
        for finder in &self.finders {
            let count = finder.count(connection, fewest)?;
            if count < fewest {
                (narrowest, fewest) = (Some(finder), count);
            }
            if fewest <= FEW {
                break;
            }
        }
        Ok(narrowest)
    }

    /// The narrowest finder, if following an order further may cost more than sorting what that finds.
    fn worth_sorting(&self, connection: &Connection, table: &'static str) -> Result<Option<&Finder>> {
        // About how many rows there are, or were, at no cost.
        let mut statement = connection.prepare_cached(&format!("SELECT ifnull(max(rowid), 0) FROM {table}"))?;
        let rows: i64 = statement.query_row([], |row| row.get(0))?;
        self.narrowest(connection, MANY.max(rows / SORTED_PART))
    }

    /// How many rows of the table meet the conditions.
    pub(super) fn count(&self, connection: &Connection, table: &'static str) -> Result<u64> {
        let finder = self.narrowest(connection, MANY)?;
        let from = finder.map_or_else(|| table.to_owned(), |finder| finder.among(table));
        let found = finder.map_or(&[][..], |finder| &finder.values);
        let sql = format!("SELECT count(*) FROM {from}{}", self.sql);
        let mut statement = connection.prepare_cached(&sql)?;
        let count: i64 = statement.query_row(params_from_iter(found.iter().chain(&self.values)), |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

/// The condition that a column begins with `prefix`; its values are those of [`beginning`].
pub(super) fn begins(column: &str, prefix: &str) -> String {
    match after_prefix(prefix) {
        Some(_) => format!("({column} >= ? AND {column} < ?)"),
        None => format!("{column} >= ?"),
    }
}

/// The first text with a prefix, and the first one after all of them, if there is one.
pub(super) fn beginning(prefix: &str) -> impl Iterator<Item = Value> + use<> {
    [Some(prefix.to_owned()), after_prefix(prefix)]
        .into_iter()
        .flatten()
        .map(Value::Text)
}

/// The least text that is greater than everything that begins with `prefix`; `None` when there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Ranges of characters step over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn value(key: &SortKey) -> Value {
    match key {
        SortKey::Text(Some(text)) => Value::Text(text.clone()),
        SortKey::Time(Some(at)) => Value::Integer(at.as_millisecond()),
        SortKey::Text(None) | SortKey::Time(None) => Value::Null,
    }
}

/// Narrows a segment by one end of the page; says whether anything can be left in it.
///
/// `after` is whether the entries wanted come after the position in the list.
fn narrow(conditions: &mut Conditions, order: Order, nulls: bool, position: &Position, after: bool) -> bool {
    let op = if after == (order.direction == Direction::Asc) {
        '>'
    } else {
        '<'
    };
    let id = Value::Blob(position.id.as_bytes().to_vec());
    match (nulls, position.key.is_null()) {
        (true, true) => conditions.and(&format!("id {op} ?"), [id]),
        // As row values, which one range of the index answers.
        (false, false) => conditions.and(&format!("({}, id) {op} (?, ?)", order.key), [value(&position.key), id]),
        // Everything without a key comes after everything with one.
        (nulls, _) => return nulls == after,
    }
    true
}

/// One of the statements that give a page when read one after the other until there is enough.
#[derive(Debug)]
struct Segment {
    columns: &'static str,
    table: &'static str,
    conditions: Conditions,
    by: String,
}

impl Segment {
    /// Follows the order's index. The last value is how many are wanted.
    fn in_order(&self, wanted: usize) -> (String, Vec<Value>) {
        let Self { columns, table, by, .. } = self;
        let sql = format!(
            "SELECT {columns} FROM {table}{} ORDER BY {by} LIMIT ?",
            self.conditions.sql
        );
        let mut values = self.conditions.values.clone();
        values.push(stored(wanted));
        (sql, values)
    }

    /// Sorts what a finder finds: first their keys alone, as most of the rows are not wanted.
    fn sorted(&self, finder: &Finder, wanted: usize) -> (String, Vec<Value>) {
        let Self { columns, table, by, .. } = self;
        let sql = format!(
            "SELECT {columns} FROM {table} WHERE rowid IN (SELECT {table}.rowid FROM {}{} ORDER BY {by} LIMIT ?) ORDER BY {by}",
            finder.among(table),
            self.conditions.sql,
        );
        let mut values = finder.values.clone();
        values.extend_from_slice(&self.conditions.values);
        values.push(stored(wanted));
        (sql, values)
    }
}

fn stored(wanted: usize) -> Value {
    Value::Integer(i64::try_from(wanted).unwrap_or(i64::MAX))
}

/// The segments of a page.
fn segments(
    columns: &'static str,
    table: &'static str,
    conditions: &Conditions,
    order: Order,
    request: &PageRequest,
) -> Vec<Segment> {
    let ascending = (order.direction == Direction::Asc) == (request.take == Take::First);
    let way = if ascending { "ASC" } else { "DESC" };
    let nulls_too = [false, true];
    let mut wanted = nulls_too[..if order.nullable { 2 } else { 1 }].to_vec();
    if request.take == Take::Last {
        wanted.reverse();
    }
    let mut segments = Vec::new();
    for nulls in wanted {
        let mut conditions = conditions.clone();
        if order.nullable {
            let is = if nulls { "IS NULL" } else { "IS NOT NULL" };
            conditions.and(&format!("{} {is}", order.key), []);
        }
        let after = request
            .after
            .as_ref()
            .is_none_or(|p| narrow(&mut conditions, order, nulls, p, true));
        let before = request
            .before
            .as_ref()
            .is_none_or(|p| narrow(&mut conditions, order, nulls, p, false));
        if after && before {
            let by = if nulls {
                format!("id {way}")
            } else {
                format!("{} {way}, id {way}", order.key)
            };
            segments.push(Segment {
                columns,
                table,
                conditions,
                by,
            });
        }
    }
    segments
}

/// Reads a page of those rows of the table that meet the conditions.
pub(super) fn page<T>(
    connection: &Connection,
    columns: &'static str,
    table: &'static str,
    conditions: &Conditions,
    order: Order,
    request: &PageRequest,
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Page<T>> {
    let enough = request.limit + 1;
    let mut items = Vec::new();
    let narrow = conditions.narrow(connection)?;
    for segment in segments(columns, table, conditions, order, request) {
        if items.len() == enough {
            break;
        }
        let missing = enough - items.len();
        let rows = |(sql, values): (String, Vec<Value>)| all(connection, &sql, params_from_iter(values), &read);
        let found = match narrow {
            Some(finder) => rows(segment.sorted(finder, missing))?,
            None if conditions.finders.is_empty() => rows(segment.in_order(missing))?,
            None => match patiently(connection, || rows(segment.in_order(missing)))? {
                Some(found) => found,
                None => match conditions.worth_sorting(connection, table)? {
                    Some(finder) => rows(segment.sorted(finder, missing))?,
                    None => rows(segment.in_order(missing))?,
                },
            },
        };
        items.extend(found);
    }
    Ok(Page::from_read(items, request))
}

/// What reading gives unless it takes more than [`PATIENCE`].
fn patiently<T>(connection: &Connection, reading: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    connection.progress_handler(
        PATIENCE,
        Some(move || {
            over.store(true, Ordering::Relaxed);
            true
        }),
    )?;
    let read = reading();
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match read {
        Err(_) if is_over.load(Ordering::Relaxed) => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// How SQLite would answer the segments of a page.
    pub(in crate::store::sqlite) fn plans(
        connection: &Connection,
        columns: &'static str,
        table: &'static str,
        conditions: &Conditions,
        order: Order,
        request: &PageRequest,
    ) -> Vec<String> {
        let mut plans = Vec::new();
        for segment in segments(columns, table, conditions, order, request) {
            let (sql, values) = segment.in_order(21);
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement
                .query_map(params_from_iter(values), |row| row.get::<_, String>(3))
                .unwrap();
            plans.push(steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; "));
        }
        plans
    }

    /// How SQLite would find what the finders of some conditions find, step by step.
    pub(in crate::store::sqlite) fn finders(connection: &Connection, conditions: &Conditions) -> Vec<Vec<String>> {
        let steps = |finder: &Finder| {
            let mut statement = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {}", finder.any.join(" UNION ")))
                .unwrap();
            let steps = statement
                .query_map(params_from_iter(&finder.values), |row| row.get::<_, String>(3))
                .unwrap();
            steps.collect::<rusqlite::Result<_>>().unwrap()
        };
        conditions.finders.iter().map(steps).collect()
    }

    #[test]
    fn what_follows_a_prefix_is_the_next_text() {
        assert_eq!(after_prefix("ab").unwrap(), "ac");
        assert_eq!(after_prefix("a\u{10FFFF}").unwrap(), "b");
        assert_eq!(after_prefix("\u{D7FF}").unwrap(), "\u{E000}");
        assert_eq!(after_prefix("\u{10FFFF}"), None);
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn a_page_wholly_among_the_nulls_reads_only_those() {
        let order = Order {
            key: "email_fold",
            nullable: true,
            direction: Direction::Desc,
        };
        let request = PageRequest {
            after: Some(Position {
                key: SortKey::Text(None),
                id: uuid::Uuid::max(),
            }),
            ..PageRequest::first(5)
        };
        let segments = segments("1", "users", &Conditions::default(), order, &request);
        let [segment] = segments.as_slice() else {
            panic!("{segments:?}");
        };
        let (sql, values) = segment.in_order(6);
        assert_eq!(
            sql,
            "SELECT 1 FROM users WHERE email_fold IS NULL AND id < ? ORDER BY id DESC LIMIT ?"
        );
        assert_eq!(values.len(), 2);
    }

    const BY_KEY: Order = Order {
        key: "key",
        nullable: false,
        direction: Direction::Asc,
    };

    /// 240,000 things in the order of their keys, with a kind of which there is an index: 600 are rare, 24,000 spread evenly,
    /// 3,000 last.
    fn things() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE things (id BLOB NOT NULL PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL) STRICT; \
                 CREATE INDEX things_key ON things (key, id); \
                 CREATE INDEX things_kind ON things (kind); \
                 WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 239999) \
                 INSERT INTO things SELECT CAST(printf('%016d', (i * 7919) % 240000) AS BLOB), \
                   printf('%06d', (i * 7919) % 240000), CASE WHEN (i * 7919) % 400 = 3 THEN 'rare' \
                     WHEN (i * 7919) % 10 = 1 THEN 'spread' WHEN (i * 7919) % 240000 >= 237000 THEN 'last' ELSE 'other' END \
                   FROM n",
            )
            .unwrap();
        connection
    }

    fn of_kind(kind: &str) -> Conditions {
        let kind = || [Value::Text(kind.to_owned())];
        let mut conditions = Conditions::default();
        // The plus keeps the index for the finder.
        conditions.and("+kind = ?", kind());
        let sql = "SELECT rowid AS found FROM things WHERE kind = ?".to_owned();
        conditions.found_by(vec![sql], kind().to_vec());
        conditions
    }

    fn text(row: &mut Columns<'_>) -> Result<String> {
        row.get()
    }

    /// What an order is followed for, and what is sorted, makes no difference to what is found.
    #[test]
    fn a_filter_gives_the_same_page_however_it_is_found() {
        let connection = things();
        let request = PageRequest::first(50);
        for (kind, is_narrow, is_near) in [("rare", true, true), ("spread", false, true), ("last", false, false)] {
            let conditions = of_kind(kind);
            assert_eq!(conditions.narrow(&connection).unwrap().is_some(), is_narrow, "{kind}");
            let [segment] = &segments("key", "things", &conditions, BY_KEY, &request)[..] else {
                panic!("one segment, as every key is there");
            };
            let (sql, values) = segment.in_order(51);
            let read = || all(&connection, &sql, params_from_iter(&values), text);
            let followed = patiently(&connection, read).unwrap();
            assert_eq!(followed.is_some(), is_near, "{kind}");
            let expected = read().unwrap();
            let page = page(&connection, "key", "things", &conditions, BY_KEY, &request, text).unwrap();
            assert_eq!((page.items.len(), page.has_more), (50, true), "{kind}");
            assert_eq!(page.items, expected[..50], "{kind}");
            let finder = conditions.worth_sorting(&connection, "things").unwrap().unwrap();
            let (sql, values) = segment.sorted(finder, 51);
            assert_eq!(
                all(&connection, &sql, params_from_iter(values), text).unwrap(),
                expected,
                "{kind}"
            );
        }
        assert_eq!(of_kind("rare").count(&connection, "things").unwrap(), 600);
        assert_eq!(of_kind("spread").count(&connection, "things").unwrap(), 24_000);

        // Of so many it depends on how many there are.
        let others = of_kind("other");
        assert_eq!(others.count(&connection, "things").unwrap(), 212_707);
        assert!(others.worth_sorting(&connection, "things").unwrap().is_none());
        let far = "INSERT INTO things (rowid, id, key, kind) VALUES (1000000, x'00', '', 'far')";
        connection.execute(far, []).unwrap();
        assert!(others.worth_sorting(&connection, "things").unwrap().is_some());
    }
}
