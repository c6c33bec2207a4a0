use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::Row;

use crate::merge::Plan;
use crate::pair::Pair;
use crate::value::{QueryError, Value};

/// How rows are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns whose values do not count, of any table, without regard to case.
    pub ignore_columns: Vec<String>,
    /// How long it may take.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ignore_columns: Vec::new(),
            time: Duration::from_secs(600),
        }
    }
}

/// Rows of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows whose key is new.
    pub added: u64,
    /// Rows whose key is gone.
    pub removed: u64,
    /// Rows whose key stayed and whose values did not.
    pub changed: u64,
    /// Rows that stayed as they were.
    pub unchanged: u64,
}

/// By what rows of a table were told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// These columns, whose values are never NULL: the declared primary key (`INTEGER PRIMARY KEY`, too), or the first unique index, that both databases
    /// have.
    Key(Vec<String>),
    /// The whole row, as a multiset: nothing counts as changed.
    WholeRows,
}

/// How one table changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// By what rows were told apart.
    pub by: Comparison,
    /// How many.
    pub rows: RowCounts,
}

/// How a database changed: every table of either.
pub type Compared = BTreeMap<String, Difference>;

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other values.
    Changed,
}

/// Compares two databases (`old` may be missing: everything is new), in memory that does not grow with the rows.
///
/// Values are the same where SQLite's `IS` with `COLLATE BINARY` says so: 1 is 1.0 and not '1', NULL is NULL. A column that only one of them has is NULL
/// in the other.
///
/// # Errors
///
/// When a file cannot be opened, is damaged, or the time is over.
pub fn compare(old: Option<&Path>, new: &Path, options: &Options) -> Result<Compared, QueryError> {
    let pair = Pair::open(old, new)?;
    pair.work(options.time, || {
        let mut compared = Compared::new();
        for table in pair.tables()? {
            let plan = pair.plan(&table, &options.ignore_columns)?;
            let rows = match (&table.old, &table.new) {
                (Some(_), Some(_)) => pair.compare(&plan, |_, _| Ok(true))?,
                (old, new) => RowCounts {
                    removed: pair.old.count(old.as_ref())?,
                    added: pair.new.count(new.as_ref())?,
                    ..RowCounts::default()
                },
            };
            compared.insert(table.name, Difference { by: plan.by, rows });
        }
        Ok(compared)
    })
}

/// The numbers of morph: rows by rowid, their values by place, over all tables (a row that was replaced counts as removed and added). Tables without
/// rowids count by key. It may take `time`.
///
/// # Errors
///
/// As [`compare`].
pub fn rowid_counts(old: Option<&Path>, new: &Path, time: Duration) -> Result<RowCounts, QueryError> {
    let pair = Pair::open(old, new)?;
    pair.work(time, || {
        let mut all = RowCounts::default();
        for table in pair.tables()? {
            let plan = match table.plan_by_rowid() {
                Some(plan) => plan,
                None => pair.plan(&table, &[])?,
            };
            let rows = pair.compare(&plan, |_, _| Ok(true))?;
            all.added += rows.added;
            all.removed += rows.removed;
            all.changed += rows.changed;
            all.unchanged += rows.unchanged;
        }
        Ok(all)
    })
}

/// A row that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedRow<'a> {
    /// Its table.
    pub table: &'a str,
    /// What became of it.
    pub change: Change,
    /// The columns of its key with their values; the whole row, where the table has no key.
    pub key: Vec<(String, Value<'a>)>,
}

/// Tells `each` of every row that changed, tables by name and rows in the order of their keys, until it returns `false`.
///
/// # Errors
///
/// As [`compare`].
pub fn changed_keys(
    old: Option<&Path>,
    new: &Path,
    options: &Options,
    mut each: impl FnMut(ChangedRow<'_>) -> bool,
) -> Result<(), QueryError> {
    let pair = Pair::open(old, new)?;
    pair.work(options.time, || {
        for table in pair.tables()? {
            let plan = pair.plan(&table, &options.ignore_columns)?;
            let mut goes_on = true;
            pair.compare(&plan, |change, row| {
                goes_on = each(ChangedRow {
                    table: &table.name,
                    change,
                    key: key(&plan, row),
                });
                Ok(goes_on)
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    })
}

fn key<'a>(plan: &Plan, row: &'a Row<'_>) -> Vec<(String, Value<'a>)> {
    let named = plan.key.iter().enumerate().map(|(at, name)| {
        let value = row.get_ref(at).map_or(Value::Null, Value::from);
        (name.clone(), value)
    });
    named.collect()
}
