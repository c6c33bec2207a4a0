use model::{ItemId, SourceId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Transaction, params};

use super::counters::{Counted, Deltas};
use super::names::Names;
use super::row::{self, COLUMNS, Numbers};
use super::{integer, natural};
use crate::port::{DueQuery, Written};
use crate::records::{Item, Revision, Scope};

/// The states of the partial indexes `due` and `due_of_scope`, written as there so that SQLite sees that they apply.
const WAITING: &str = "state IN (0, 4)";
/// Items of a source that is deleted which go at a time, so that others can write meanwhile.
const REMOVED_AT_A_TIME: usize = 10_000;

pub(super) fn get(
    connection: &Connection,
    names: &mut Names,
    source: &SourceId,
    ids: &[ItemId],
) -> rusqlite::Result<Vec<Option<Item>>> {
    let Some(source) = names.find(connection, source.as_str())? else {
        return Ok(vec![None; ids.len()]);
    };
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM items WHERE source = ?1 AND id = ?2"
    ))?;
    let mut get = |id: &ItemId| {
        select
            .query_row(params![source, id.as_str()], |row| {
                row::read(connection, names, row)
            })
            .optional()
    };
    ids.iter().map(&mut get).collect()
}

pub(super) fn put(
    transaction: &Transaction<'_>,
    names: &mut Names,
    items: &[Item],
) -> rusqlite::Result<Vec<Written>> {
    let mut writer = Writer {
        find: transaction.prepare_cached(FIND)?,
        insert: transaction.prepare_cached(&insert_sql())?,
        update: transaction.prepare_cached(&update_sql())?,
        deltas: Deltas::default(),
    };
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        let numbers = Numbers {
            source: names.number(transaction, item.source.as_str())?,
            scope: names.number(transaction, &item.scope)?,
            crawl: names.number(transaction, item.crawl.as_str())?,
        };
        written.push(writer.write(item, numbers)?);
    }
    let Writer {
        find,
        insert,
        update,
        deltas,
    } = writer;
    drop((find, insert, update));
    deltas.store(transaction)?;
    Ok(written)
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    names: &mut Names,
    items: &[Item],
) -> rusqlite::Result<Vec<Written>> {
    let mut find = transaction.prepare_cached(FIND)?;
    let mut delete = transaction.prepare_cached("DELETE FROM items WHERE row = ?1")?;
    let mut deltas = Deltas::default();
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        let source = names.number(transaction, item.source.as_str())?;
        let stored = stored(&mut find, item, source)?;
        written.push(match stored {
            Some(stored) if stored.revision == item.revision => {
                delete.execute([stored.row])?;
                deltas.remove(stored.counted);
                Written::Done(stored.revision)
            }
            stored => Written::Conflict(stored.map_or(Revision::NEW, |stored| stored.revision)),
        });
    }
    drop((find, delete));
    deltas.store(transaction)?;
    Ok(written)
}

/// Removes some items of a source; answers whether there may be more.
pub(super) fn remove_some(transaction: &Transaction<'_>, source: i64) -> rusqlite::Result<bool> {
    let mut delete = transaction.prepare_cached(
        "DELETE FROM items WHERE row IN (SELECT row FROM items WHERE source = ?1 LIMIT ?2)
         RETURNING scope, crawl, state, first_seen_at = seen_crawl_at",
    )?;
    let removed = delete
        .query_map(params![source, integer(REMOVED_AT_A_TIME as u64)], |row| {
            counted(row, 0, source)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_some = !removed.is_empty();
    let mut deltas = Deltas::default();
    for counted in removed {
        deltas.remove(counted);
    }
    deltas.store(transaction)?;
    Ok(is_some)
}

/// From the columns scope, crawl, state and whether it is new, from that column on.
fn counted(row: &Row<'_>, first: usize, source: i64) -> rusqlite::Result<Counted> {
    let numbers = Numbers {
        source,
        scope: row.get(first)?,
        crawl: row.get(first + 1)?,
    };
    Ok(Counted {
        numbers,
        state: row::state_of(first + 2, row.get(first + 2)?)?,
        is_new: row.get(first + 3)?,
    })
}

const FIND: &str = "SELECT row, revision, scope, crawl, state, first_seen_at = seen_crawl_at FROM items
     WHERE source = ?1 AND id = ?2";

fn insert_sql() -> String {
    let parameters: Vec<String> = (1..=COLUMNS.split(',').count())
        .map(|number| format!("?{number}"))
        .collect();
    format!(
        "INSERT INTO items ({COLUMNS}) VALUES ({}) ON CONFLICT (source, id) DO NOTHING",
        parameters.join(", ")
    )
}

/// Source and id, the first two columns, never change.
fn update_sql() -> String {
    let columns: Vec<&str> = COLUMNS.split(',').map(str::trim).collect();
    let set = |(at, column): (usize, &&str)| format!("{column} = ?{}", at + 1);
    let sets: Vec<String> = columns.iter().enumerate().skip(2).map(set).collect();
    format!(
        "UPDATE items SET {} WHERE row = ?{}",
        sets.join(", "),
        columns.len() + 1
    )
}

/// What is stored of an item, as far as a write must know it.
struct Stored {
    row: i64,
    revision: Revision,
    counted: Counted,
}

struct Writer<'a> {
    find: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    deltas: Deltas,
}

impl Writer<'_> {
    /// Most writes of new items succeed, so they are tried without looking first.
    fn write(&mut self, item: &Item, numbers: Numbers) -> rusqlite::Result<Written> {
        let counted = Counted {
            numbers,
            state: item.state,
            is_new: item.is_new(),
        };
        if item.revision == Revision::NEW {
            let revision = Revision(1);
            row::bind(&mut self.insert, item, numbers, revision)?;
            if self.insert.raw_execute()? == 1 {
                self.deltas.replace(None, counted);
                return Ok(Written::Done(revision));
            }
        }
        let Some(stored) = stored(&mut self.find, item, numbers.source)? else {
            return Ok(Written::Conflict(Revision::NEW));
        };
        if stored.revision != item.revision {
            return Ok(Written::Conflict(stored.revision));
        }
        let revision = Revision(stored.revision.0 + 1);
        row::bind_update(&mut self.update, item, numbers, revision, stored.row)?;
        self.update.raw_execute()?;
        self.deltas.replace(Some(stored.counted), counted);
        Ok(Written::Done(revision))
    }
}

fn stored(find: &mut CachedStatement<'_>, item: &Item, source: i64) -> rusqlite::Result<Option<Stored>> {
    let stored = |row: &Row<'_>| {
        Ok(Stored {
            row: row.get(0)?,
            revision: Revision(natural(row.get(1)?)),
            counted: counted(row, 2, source)?,
        })
    };
    find.query_row(params![source, item.id.as_str()], stored)
        .optional()
}

/// Which items wait: those of one source and crawl, and maybe of one scope, by number.
struct Waiting {
    source: i64,
    crawl: i64,
    scope: Option<i64>,
}

impl Waiting {
    /// None where one of the names was never written, so that nothing can wait.
    fn find(
        connection: &Connection,
        names: &mut Names,
        source: &str,
        crawl: &str,
        scope: Option<&Scope>,
    ) -> rusqlite::Result<Option<Self>> {
        let (Some(source), Some(crawl)) = (names.find(connection, source)?, names.find(connection, crawl)?)
        else {
            return Ok(None);
        };
        let Some(scope) = scope else {
            return Ok(Some(Self {
                source,
                crawl,
                scope: None,
            }));
        };
        let scope = names.find(connection, scope)?;
        Ok(scope.map(|scope| Self {
            source,
            crawl,
            scope: Some(scope),
        }))
    }

    fn condition(&self) -> String {
        let scope = if self.scope.is_some() {
            "scope = ?3"
        } else {
            "?3 IS NULL"
        };
        format!("source = ?1 AND crawl = ?2 AND {scope} AND {WAITING}")
    }
}

pub(super) fn due(
    connection: &Connection,
    names: &mut Names,
    query: &DueQuery<'_>,
) -> rusqlite::Result<Vec<Item>> {
    let waiting = Waiting::find(
        connection,
        names,
        query.source.as_str(),
        query.crawl.as_str(),
        query.scope,
    )?;
    let Some(waiting) = waiting else {
        return Ok(Vec::new());
    };
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM items WHERE {} AND next_attempt_at <= ?4 ORDER BY next_attempt_at LIMIT ?5",
        waiting.condition()
    ))?;
    let Waiting { source, crawl, scope } = waiting;
    let limit = integer(query.limit as u64);
    let rows = select.query_map(
        params![source, crawl, scope, row::millis(query.now), limit],
        |row| row::read(connection, names, row),
    )?;
    rows.collect()
}

pub(super) fn next_due(
    connection: &Connection,
    names: &mut Names,
    source: &str,
    crawl: &str,
    scope: Option<&Scope>,
) -> rusqlite::Result<Option<Timestamp>> {
    let Some(waiting) = Waiting::find(connection, names, source, crawl, scope)? else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT next_attempt_at FROM items WHERE {} ORDER BY next_attempt_at LIMIT 1",
        waiting.condition()
    );
    let Waiting { source, crawl, scope } = waiting;
    let next: Option<i64> = connection
        .prepare_cached(&sql)?
        .query_row(params![source, crawl, scope], |row| row.get(0))
        .optional()?;
    Ok(next.map(row::timestamp))
}
