//! Two tables in the same order, walked through together.

use std::cmp::Ordering;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row};

use crate::changes::{Change, Comparison, RowCounts};
use crate::open::quoted;
use crate::schema::Shape;

/// How the rows of a table are told apart and compared.
pub(crate) struct Plan {
    pub(crate) by: Comparison,
    /// The names of the columns that rows are told apart by.
    pub(crate) key: Vec<String>,
    /// A first walk by rowid, which leaves only the rows that are not the same in every value to the second. Most runs change little and leave the
    /// rowids alone, and rows lie in the order of their rowids.
    pub(crate) narrowing: Option<Walk>,
    pub(crate) walk: Walk,
}

/// Two statements whose rows come in the same order.
pub(crate) struct Walk {
    /// How many columns make this order; they are the first ones.
    pub(crate) key: usize,
    /// The statement for the old database, [`NO_ROWS`] where it has no such table.
    pub(crate) old: String,
    pub(crate) new: String,
}

/// What stands for a table that a database does not have.
pub(crate) const NO_ROWS: &str = "SELECT NULL LIMIT 0";

/// The first key of the first list that every other one has, too.
pub(crate) fn common_key(lists: &[Vec<Vec<String>>]) -> Option<Vec<String>> {
    let (first, others) = lists.split_first()?;
    let has = |list: &Vec<Vec<String>>, key: &[String]| list.iter().any(|other| is_same_set(other, key));
    let key = first
        .iter()
        .find(|key| others.iter().all(|list| has(list, key)))?;
    Some(key.clone())
}

fn is_same_set(one: &[String], other: &[String]) -> bool {
    let covers = |one: &[String], other: &[String]| other.iter().all(|name| is_among(name, one));
    covers(one, other) && covers(other, one)
}

/// A table as one of the databases has it, to be walked through.
pub(crate) struct Side<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) is_utf8: bool,
    /// The columns of the comparison, whether this table has them or not.
    pub(crate) columns: &'a [String],
}

impl Side<'_> {
    /// All columns of all rows by rowid.
    pub(crate) fn by_rowid(&self, rowid: &str) -> String {
        let columns = self.columns.iter().map(|name| self.column(name));
        let selected: Vec<String> = std::iter::once(rowid.to_owned()).chain(columns).collect();
        let (selected, table) = (selected.join(", "), quoted(&self.shape.name));
        format!("SELECT {selected} FROM main.{table} ORDER BY {rowid}")
    }

    /// All columns, those of the key first, in the order of the key by type and bytes; of all rows, or of those that the first walk left.
    pub(crate) fn by_key(&self, key: &[String], left: Option<&str>) -> String {
        let rest = self.columns.iter().filter(|name| !is_among(name, key));
        let mut selected: Vec<String> = key.iter().chain(rest).map(|name| self.column(name)).collect();
        if selected.is_empty() {
            selected.push("NULL".into());
        }
        let own = key.iter().filter(|name| self.has(name));
        let order: Vec<String> = own.map(|name| self.term(name)).collect();
        let by = if order.is_empty() { "" } else { "ORDER BY" };
        let left = left.map_or(String::new(), |rowid| {
            format!("WHERE {rowid} IN (SELECT id FROM temp.residue)")
        });
        let (selected, table, order) = (selected.join(", "), quoted(&self.shape.name), order.join(", "));
        format!("SELECT {selected} FROM main.{table} {left} {by} {order}")
    }

    fn has(&self, name: &str) -> bool {
        is_among(name, &self.shape.columns)
    }

    fn column(&self, name: &str) -> String {
        if self.has(name) {
            quoted(name)
        } else {
            "NULL".into()
        }
    }

    /// `BINARY` compares the bytes of the database's own encoding; ours are those of UTF-8. Where rows lie in another order than that of the key, `+` keeps
    /// SQLite from looking for each of them through an index: sorting takes half as long.
    fn term(&self, name: &str) -> String {
        let name = quoted(name);
        if !self.is_utf8 {
            return format!("typeof({name}) = 'blob', utf8_bytes({name})");
        }
        let lies_otherwise = self.shape.has_rowid && !self.shape.is_keyed_by_rowid;
        let plus = if lies_otherwise { "+" } else { "" };
        format!("{plus}{name} COLLATE BINARY")
    }
}

/// Whether this is the name of one of the columns; SQLite does not regard case.
pub(crate) fn is_among(name: &str, names: &[String]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// For databases in UTF-16: texts as the bytes of UTF-8.
pub(crate) fn add_utf8_order(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function("utf8_bytes", 1, flags, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Text(bytes) => ToSqlOutput::Owned(Value::Blob(bytes.to_vec())),
            other => ToSqlOutput::Owned(other.try_into()?),
        })
    })
}

/// Notes the rowids of the rows that are not the same in both, and counts those that are.
pub(crate) fn narrow(old: &Connection, new: &Connection, by_rowid: &Walk) -> rusqlite::Result<u64> {
    for connection in [old, new] {
        connection.execute_batch(
            "DROP TABLE IF EXISTS temp.residue; CREATE TEMP TABLE residue(id INTEGER PRIMARY KEY)",
        )?;
    }
    let sql = "INSERT INTO temp.residue VALUES (?1)";
    let (mut left, mut right) = (old.prepare(sql)?, new.prepare(sql)?);
    let counts = walk(old, new, by_rowid, |change, row| {
        let id: i64 = row.get(0)?;
        if change != Change::Added {
            left.execute([id])?;
        }
        if change != Change::Removed {
            right.execute([id])?;
        }
        Ok(true)
    })?;
    Ok(counts.unchanged)
}

/// Walks through both in the order of their first columns, and tells `each` of every row that changed until it returns `false`.
pub(crate) fn walk(
    old: &Connection,
    new: &Connection,
    walk: &Walk,
    mut each: impl FnMut(Change, &Row<'_>) -> rusqlite::Result<bool>,
) -> rusqlite::Result<RowCounts> {
    let (mut old, mut new) = (old.prepare(&walk.old)?, new.prepare(&walk.new)?);
    let widths = (old.column_count(), new.column_count());
    let (mut old, mut new) = (old.raw_query(), new.raw_query());
    let (mut left, mut right) = (old.next()?, new.next()?);
    let mut counts = RowCounts::default();
    loop {
        let order = match (left, right) {
            (None, None) => return Ok(counts),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => order_of(left, right, walk.key)?,
        };
        let found = match (order, left, right) {
            (Ordering::Less, Some(left), _) => Some((Change::Removed, left)),
            (Ordering::Greater, _, Some(right)) => Some((Change::Added, right)),
            (_, Some(left), Some(right)) if !is_same(left, right, walk.key, widths)? => {
                Some((Change::Changed, right))
            }
            _ => None,
        };
        counts.count(found.map(|(change, _)| change));
        if let Some((change, row)) = found
            && !each(change, row)?
        {
            return Ok(counts);
        }
        if order.is_le() {
            left = old.next()?;
        }
        if order.is_ge() {
            right = new.next()?;
        }
    }
}

impl RowCounts {
    fn count(&mut self, change: Option<Change>) {
        let rows = match change {
            Some(Change::Added) => &mut self.added,
            Some(Change::Removed) => &mut self.removed,
            Some(Change::Changed) => &mut self.changed,
            None => &mut self.unchanged,
        };
        *rows += 1;
    }
}

/// The order of the first `columns` values.
fn order_of(left: &Row<'_>, right: &Row<'_>, columns: usize) -> rusqlite::Result<Ordering> {
    for column in 0..columns {
        let order = by_type_and_bytes(left.get_ref(column)?, right.get_ref(column)?);
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

/// Whether the values behind the key are the same.
fn is_same(left: &Row<'_>, right: &Row<'_>, key: usize, widths: (usize, usize)) -> rusqlite::Result<bool> {
    if widths.0 != widths.1 {
        return Ok(false);
    }
    for column in key..widths.0 {
        if by_type_and_bytes(left.get_ref(column)?, right.get_ref(column)?).is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// SQLite's order of values under `BINARY`: NULL, numbers, texts, blobs.
fn by_type_and_bytes(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    match (left, right) {
        (ValueRef::Integer(left), ValueRef::Integer(right)) => left.cmp(&right),
        (ValueRef::Real(left), ValueRef::Real(right)) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
        (ValueRef::Integer(left), ValueRef::Real(right)) => whole_and_real(left, right),
        (ValueRef::Real(left), ValueRef::Integer(right)) => whole_and_real(right, left).reverse(),
        (ValueRef::Text(left), ValueRef::Text(right)) | (ValueRef::Blob(left), ValueRef::Blob(right)) => {
            left.cmp(right)
        }
        (left, right) => rank(left).cmp(&rank(right)),
    }
}

fn rank(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 1,
        ValueRef::Text(_) => 2,
        ValueRef::Blob(_) => 3,
    }
}

/// Exact, although not every whole number is a real one.
fn whole_and_real(whole: i64, real: f64) -> Ordering {
    // 2^63, above every whole number.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if real >= BOUND {
        return Ordering::Less;
    }
    if real < -BOUND {
        return Ordering::Greater;
    }
    let fraction = real - real.trunc();
    whole
        .cmp(&(real.trunc() as i64))
        .then(0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal))
}
