use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row};

use crate::changes::{Change, Comparison, RowCounts};
use crate::deadline::Clock;
use crate::merge::{self, NO_ROWS, Plan, Side, Walk, is_among};
use crate::open;
use crate::schema::{self, Shape};
use crate::value::{QueryError, message};

/// Memory for pages, and for each sorting, of either database.
const CACHE_BYTES: u64 = 32 << 20;

/// A table as either database has it.
pub(crate) struct Both {
    pub(crate) name: String,
    pub(crate) old: Option<Shape>,
    pub(crate) new: Option<Shape>,
}

impl Both {
    /// How to walk through its rows by rowid, their values by place, where every database that has the table has rowids.
    pub(crate) fn plan_by_rowid(&self) -> Option<Plan> {
        let sql = |shape: &Option<Shape>| {
            let Some(shape) = shape else {
                return Some(NO_ROWS.to_owned());
            };
            let (table, rowid) = (open::quoted(&shape.name), shape.rowid()?);
            Some(format!("SELECT {rowid}, * FROM main.{table} ORDER BY {rowid}"))
        };
        let key = vec!["rowid".to_owned()];
        Some(Plan {
            by: Comparison::Key(key.clone()),
            key,
            narrowing: None,
            walk: Walk {
                key: 1,
                old: sql(&self.old)?,
                new: sql(&self.new)?,
            },
        })
    }

    /// The names of the rowid in both, where both have one and it is not the key.
    fn rowids_beside_key(&self) -> Option<(&'static str, &'static str)> {
        let (old, new) = (self.old.as_ref()?, self.new.as_ref()?);
        if old.is_keyed_by_rowid && new.is_keyed_by_rowid {
            return None;
        }
        Some((old.rowid()?, new.rowid()?))
    }

    /// The columns of either that count.
    fn columns(&self, ignored: &[String]) -> Vec<String> {
        let shapes = [&self.new, &self.old].into_iter().flatten();
        let mut columns: Vec<String> = Vec::new();
        for column in shapes.flat_map(|shape| &shape.columns) {
            if !is_among(column, ignored) && !is_among(column, &columns) {
                columns.push(column.clone());
            }
        }
        columns
    }
}

/// One of two databases.
pub(crate) struct Version {
    pub(crate) connection: Connection,
    clock: Clock,
    is_utf8: bool,
}

impl Version {
    fn open(path: Option<&Path>) -> rusqlite::Result<Self> {
        let mut connection = match path {
            Some(path) => open::for_reading(path, CACHE_BYTES)?,
            None => Connection::open_in_memory()?,
        };
        open::accept_any_order(&connection)?;
        let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
        let is_utf8 = encoding == "UTF-8";
        if !is_utf8 {
            merge::add_utf8_order(&connection)?;
        }
        Ok(Self {
            clock: Clock::watch(&mut connection)?,
            connection,
            is_utf8,
        })
    }

    pub(crate) fn count(&self, shape: Option<&Shape>) -> rusqlite::Result<u64> {
        shape.map_or(Ok(0), |shape| shape.count(&self.connection))
    }

    /// A statement over a table that may be missing.
    fn statement(
        &self,
        shape: Option<&Shape>,
        columns: &[String],
        write: impl FnOnce(&Side<'_>) -> String,
    ) -> String {
        let is_utf8 = self.is_utf8;
        shape.map_or(NO_ROWS.into(), |shape| {
            write(&Side {
                shape,
                is_utf8,
                columns,
            })
        })
    }

    /// What can tell the rows of a table apart, in the order of preference.
    fn sound_keys(&self, shape: &Shape, columns: &[String]) -> rusqlite::Result<Vec<Vec<String>>> {
        let mut keys = vec![shape.key.clone()];
        keys.extend(schema::unique_indexes(&self.connection, &shape.name)?);
        keys.retain(|key| !key.is_empty() && key.iter().all(|name| is_among(name, columns)));
        let mut sound = Vec::new();
        for key in keys {
            if !self.has_null(&shape.name, &key)? {
                sound.push(key);
            }
        }
        Ok(sound)
    }

    /// A unique index, and even a primary key, lets any number of rows have NULL.
    fn has_null(&self, table: &str, key: &[String]) -> rusqlite::Result<bool> {
        let test = |name: &String| format!("{} IS NULL", open::quoted(name));
        let tests: Vec<String> = key.iter().map(test).collect();
        let (table, tests) = (open::quoted(table), tests.join(" OR "));
        let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{table} WHERE {tests})");
        self.connection.query_row(&sql, [], |row| row.get(0))
    }
}

/// Two databases that are compared.
pub(crate) struct Pair {
    pub(crate) old: Version,
    pub(crate) new: Version,
}

impl Pair {
    pub(crate) fn open(old: Option<&Path>, new: &Path) -> Result<Self, QueryError> {
        let open = |path| Version::open(path).map_err(|error| QueryError::Unreadable(message(&error)));
        Ok(Self {
            old: open(old)?,
            new: open(Some(new))?,
        })
    }

    pub(crate) fn work<T>(
        &self,
        time: Duration,
        work: impl FnOnce() -> rusqlite::Result<T>,
    ) -> Result<T, QueryError> {
        let (mut old, mut new) = (self.old.clock.allow(time), self.new.clock.allow(time));
        let done = old.run(|| new.run(work));
        done.map_err(|error| QueryError::of(&error, time))
    }

    /// The tables of both, by name; SQLite does not regard case.
    pub(crate) fn tables(&self) -> rusqlite::Result<Vec<Both>> {
        let fold = |shapes: Vec<Shape>| -> BTreeMap<String, Shape> {
            let folded = |shape: Shape| (shape.name.to_ascii_lowercase(), shape);
            shapes.into_iter().map(folded).collect()
        };
        let mut old = fold(schema::tables(&self.old.connection)?);
        let mut new = fold(schema::tables(&self.new.connection)?);
        let names: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
        let both = |name: String| {
            let (old, new) = (old.remove(&name), new.remove(&name));
            let shape = new.as_ref().or(old.as_ref());
            let name = shape.map_or(name, |shape| shape.name.clone());
            Both { name, old, new }
        };
        Ok(names.into_iter().map(both).collect())
    }

    /// How to compare a table by key, or as whole rows.
    pub(crate) fn plan(&self, table: &Both, ignored: &[String]) -> rusqlite::Result<Plan> {
        let columns = table.columns(ignored);
        let mut keys = Vec::new();
        for (version, shape) in [(&self.new, &table.new), (&self.old, &table.old)] {
            if let Some(shape) = shape {
                keys.push(version.sound_keys(shape, &columns)?);
            }
        }
        let common = merge::common_key(&keys);
        let by = common.clone().map_or(Comparison::WholeRows, Comparison::Key);
        let key = common.unwrap_or_else(|| columns.clone());
        let old =
            |write: &dyn Fn(&Side<'_>) -> String| self.old.statement(table.old.as_ref(), &columns, write);
        let new =
            |write: &dyn Fn(&Side<'_>) -> String| self.new.statement(table.new.as_ref(), &columns, write);
        let rowids = table.rowids_beside_key();
        Ok(Plan {
            narrowing: rowids.map(|(of_old, of_new)| Walk {
                key: 1,
                old: old(&|side| side.by_rowid(of_old)),
                new: new(&|side| side.by_rowid(of_new)),
            }),
            walk: Walk {
                key: key.len(),
                old: old(&|side| side.by_key(&key, rowids.map(|(of_old, _)| of_old))),
                new: new(&|side| side.by_key(&key, rowids.map(|(_, of_new)| of_new))),
            },
            by,
            key,
        })
    }

    /// Tells `each` of every row that changed, in the order of the keys, until it returns `false`.
    pub(crate) fn compare(
        &self,
        plan: &Plan,
        each: impl FnMut(Change, &Row<'_>) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<RowCounts> {
        let (old, new) = (&self.old.connection, &self.new.connection);
        let same = match &plan.narrowing {
            Some(by_rowid) => merge::narrow(old, new, by_rowid)?,
            None => 0,
        };
        let mut counts = merge::walk(old, new, &plan.walk, each)?;
        counts.unchanged += same;
        Ok(counts)
    }
}
