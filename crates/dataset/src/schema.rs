use rusqlite::Connection;

use crate::open::quoted;

/// A table, for people who look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Its primary key's columns.
    pub key: Vec<String>,
    /// Its rows.
    pub rows: u64,
}

/// What a table is made of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) name: String,
    /// Its columns in order, with those that are computed.
    pub(crate) columns: Vec<String>,
    /// The columns of its primary key, in the key's order.
    pub(crate) key: Vec<String>,
    pub(crate) has_rowid: bool,
    /// Whether the primary key is another name of the rowid.
    pub(crate) is_keyed_by_rowid: bool,
}

/// The names by which SQL knows a row's number, where no column has taken them.
const ROWIDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

impl Shape {
    /// The name of the row's number, where there is one.
    pub(crate) fn rowid(&self) -> Option<&'static str> {
        let is_taken = |name: &&str| {
            self.columns
                .iter()
                .any(|column| column.eq_ignore_ascii_case(name))
        };
        ROWIDS.into_iter().find(|name| self.has_rowid && !is_taken(name))
    }

    pub(crate) fn count(&self, connection: &Connection) -> rusqlite::Result<u64> {
        let sql = format!("SELECT count(*) FROM main.{}", quoted(&self.name));
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }
}

/// The ordinary tables by name: no views, nothing virtual nor what holds its data, nothing of SQLite's own.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<Vec<Shape>> {
    let sql = "SELECT l.name, l.wr FROM pragma_table_list AS l \
        WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY l.name";
    let mut statement = connection.prepare(sql)?;
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    tables
        .map(|table| {
            let (name, without_rowid): (String, bool) = table?;
            shape(connection, name, !without_rowid)
        })
        .collect()
}

/// A column: its name, its place in the primary key from 1, and its declared type.
type Info = (String, u32, String);

fn shape(connection: &Connection, name: String, has_rowid: bool) -> rusqlite::Result<Shape> {
    let sql = "SELECT name, pk, type FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1";
    let mut statement = connection.prepare(sql)?;
    let columns = statement.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let columns: Vec<Info> = columns.collect::<rusqlite::Result<_>>()?;
    let mut key: Vec<&Info> = columns.iter().filter(|(_, place, _)| *place > 0).collect();
    key.sort_by_key(|(_, place, _)| *place);
    let is_integer = matches!(key[..], [(_, _, declared)] if declared.eq_ignore_ascii_case("INTEGER"));
    Ok(Shape {
        name,
        key: key.into_iter().map(|(name, ..)| name.clone()).collect(),
        columns: columns.into_iter().map(|(name, ..)| name).collect(),
        has_rowid,
        is_keyed_by_rowid: has_rowid && is_integer,
    })
}

/// The columns of each unique index that covers every row and computes nothing, the oldest index first.
pub(crate) fn unique_indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let sql = "SELECT name FROM pragma_index_list(?1, 'main') \
        WHERE \"unique\" AND NOT partial AND origin <> 'pk' ORDER BY seq DESC";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([table], |row| row.get(0))?;
    let mut indexes = Vec::new();
    for name in names {
        let name: String = name?;
        let mut statement =
            connection.prepare("SELECT name FROM pragma_index_info(?1, 'main') ORDER BY seqno")?;
        let columns = statement.query_map([name], |row| row.get(0))?;
        let columns: Vec<Option<String>> = columns.collect::<rusqlite::Result<_>>()?;
        indexes.extend(columns.into_iter().collect::<Option<Vec<String>>>());
    }
    Ok(indexes)
}
