//! Counters that move with the items, in the same transaction.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};

use super::names::Names;
use super::natural;
use super::row::{Numbers, state_number, state_of};
use crate::records::{Counts, ItemState, Scope};

/// What an item counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) numbers: Numbers,
    pub(super) state: ItemState,
    pub(super) is_new: bool,
}

/// The changes of one transaction, summed up.
#[derive(Default)]
pub(super) struct Deltas {
    states: HashMap<(i64, i64, i64), (i64, i64)>,
    scopes: HashMap<(i64, i64, i64), (i64, i64)>,
}

impl Deltas {
    pub(super) fn replace(&mut self, before: Option<Counted>, after: Counted) {
        if before == Some(after) {
            return;
        }
        if let Some(before) = before {
            self.add(before, -1);
        }
        self.add(after, 1);
    }

    pub(super) fn remove(&mut self, counted: Counted) {
        self.add(counted, -1);
    }

    fn add(&mut self, counted: Counted, by: i64) {
        let Numbers { source, scope, crawl } = counted.numbers;
        let (items, new) = self
            .states
            .entry((source, crawl, state_number(counted.state)))
            .or_default();
        *items += by;
        *new += by * i64::from(counted.is_new);
        let (items, open) = self.scopes.entry((source, crawl, scope)).or_default();
        *items += by;
        *open += by * i64::from(counted.state.is_open());
    }

    pub(super) fn store(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        store(transaction, "state_counts", "state", "new", self.states)?;
        store(transaction, "scope_counts", "scope", "open", self.scopes)
    }
}

/// Counters that reach zero go, so that a table holds only what exists.
fn store(
    transaction: &Transaction<'_>,
    table: &str,
    key: &str,
    part: &str,
    deltas: HashMap<(i64, i64, i64), (i64, i64)>,
) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(&format!(
        "INSERT INTO {table} (source, crawl, {key}, items, {part}) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET items = items + excluded.items, {part} = {part} + excluded.{part}"
    ))?;
    let mut drop_empty = transaction.prepare_cached(&format!(
        "DELETE FROM {table} WHERE source = ?1 AND crawl = ?2 AND {key} = ?3 AND items = 0"
    ))?;
    for ((source, crawl, key), (items, part)) in deltas {
        if (items, part) == (0, 0) {
            continue;
        }
        add.execute([source, crawl, key, items, part])?;
        if items < 0 {
            drop_empty.execute([source, crawl, key])?;
        }
    }
    Ok(())
}

pub(super) fn counts(connection: &Connection, source: i64, crawl: Option<i64>) -> rusqlite::Result<Counts> {
    let mut select = connection.prepare_cached(
        "SELECT state, SUM(items), SUM(new) FROM state_counts
         WHERE source = ?1 AND (?2 IS NULL OR crawl = ?2) GROUP BY state",
    )?;
    let rows = select.query_map(params![source, crawl], |row| {
        Ok((
            state_of(0, row.get(0)?)?,
            (natural(row.get(1)?), natural(row.get(2)?)),
        ))
    })?;
    Ok(Counts {
        by_state: rows.collect::<rusqlite::Result<_>>()?,
    })
}

pub(super) fn scopes(
    connection: &Connection,
    names: &mut Names,
    source: i64,
    crawl: i64,
) -> rusqlite::Result<Vec<(Scope, u64, u64)>> {
    let mut select = connection
        .prepare_cached("SELECT scope, items, open FROM scope_counts WHERE source = ?1 AND crawl = ?2")?;
    let rows: Vec<(i64, i64, i64)> = select
        .query_map([source, crawl], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let named = |(scope, items, open)| Ok((names.text(connection, scope)?, natural(items), natural(open)));
    let mut scopes: Vec<(Scope, u64, u64)> = rows.into_iter().map(named).collect::<rusqlite::Result<_>>()?;
    scopes.sort();
    Ok(scopes)
}
