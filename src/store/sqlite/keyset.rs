//! Pages by keyset: the conditions and orders that take one page out of a list, each of them answered by an index.
//!
//! A list whose key may be missing is read as two segments, the entries with a key and then those without, whichever way
//! the keys run: so the nulls come last in both directions and each segment still follows its index.

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

/// Conditions that all hold, made of constants and bound values.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
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
    pub(super) fn and_prefix(&mut self, columns: &[&'static str], prefix: &str) {
        let next = after_prefix(prefix);
        let mut any = Vec::new();
        let mut values = Vec::new();
        for column in columns {
            values.push(Value::Text(prefix.to_owned()));
            match &next {
                Some(next) => {
                    values.push(Value::Text(next.clone()));
                    any.push(format!("({column} >= ? AND {column} < ?)"));
                }
                None => any.push(format!("{column} >= ?")),
            }
        }
        self.and(&format!("({})", any.join(" OR ")), values);
    }

    /// How many rows of the table meet the conditions.
    pub(super) fn count(&self, connection: &Connection, table: &'static str) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {table}{}", self.sql);
        let mut statement = connection.prepare_cached(&sql)?;
        let count: i64 = statement.query_row(params_from_iter(&self.values), |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
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

/// The statements that give a page when read one after the other until there is enough.
fn segments(
    columns: &'static str,
    table: &'static str,
    conditions: &Conditions,
    order: Order,
    request: &PageRequest,
) -> Vec<(String, Vec<Value>)> {
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
            segments.push((
                format!("SELECT {columns} FROM {table}{} ORDER BY {by} LIMIT ?", conditions.sql),
                conditions.values,
            ));
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
    for (sql, mut values) in segments(columns, table, conditions, order, request) {
        if items.len() == enough {
            break;
        }
        let missing = enough - items.len();
        values.push(Value::Integer(i64::try_from(missing).unwrap_or(i64::MAX)));
        items.extend(all(connection, &sql, params_from_iter(values), &read)?);
    }
    Ok(Page::from_read(items, request))
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
        for (sql, mut values) in segments(columns, table, conditions, order, request) {
            values.push(Value::Integer(21));
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement
                .query_map(params_from_iter(values), |row| row.get::<_, String>(3))
                .unwrap();
            plans.push(steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; "));
        }
        plans
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
        let [(sql, values)] = segments.as_slice() else {
            panic!("{segments:?}");
        };
        assert_eq!(
            sql,
            "SELECT 1 FROM users WHERE email_fold IS NULL AND id < ? ORDER BY id DESC LIMIT ?"
        );
        assert_eq!(values.len(), 1);
    }
}
