//! What choosing has to know, from the database.

use std::collections::{HashMap, HashSet};

use model::{RunId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::PRESENCE;
use super::choose::{Capacity, HOST_GAP, Held, Queue, Reservation, Waiting};
use crate::columns::{instant, millis, signed, unsigned};
use crate::database::RegistryError;

/// Who waits and who has a place; none where this worker is full, which needs no look at those that wait.
pub(super) fn queue(
    transaction: &Transaction<'_>,
    worker: &str,
    capacity: Capacity,
    now: Timestamp,
) -> Result<Option<Queue>, RegistryError> {
    let (here, elsewhere) = held(transaction, worker)?;
    let used: u64 = here.iter().map(|held| held.memory_mib).sum();
    let slots = usize::try_from(capacity.slots).unwrap_or(usize::MAX);
    if used >= capacity.memory_mib || here.len() >= slots {
        return Ok(None);
    }
    Ok(Some(Queue {
        waiting: waiting(transaction, worker, now)?,
        here,
        elsewhere,
        host_starts: host_starts(transaction, now)?,
        places: places(transaction)?,
    }))
}

fn held(transaction: &Transaction<'_>, worker: &str) -> Result<(Vec<Held>, Vec<Held>), RegistryError> {
    let mut statement = transaction
        .prepare_cached("SELECT worker, owner, memory_mib, hosts FROM runs WHERE lease_until IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let held = Held {
            owner: row.get(1)?,
            memory_mib: unsigned(row.get(2)?),
            hosts: hosts(row, 3)?,
        };
        let its_worker: Option<&str> = row.get_ref(0)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        match its_worker == Some(worker) {
            true => here.push(held),
            false => elsewhere.push(held),
        }
    }
    Ok((here, elsewhere))
}

fn waiting(
    transaction: &Transaction<'_>,
    worker: &str,
    now: Timestamp,
) -> Result<Vec<Waiting>, RegistryError> {
    let present = present(transaction, now)?;
    let reservation = |by: Option<&str>| match by {
        Some(by) if by == worker => Reservation::Here,
        Some(by) if present.contains(by) => Reservation::Elsewhere,
        _ => Reservation::None,
    };
    let mut statement = transaction.prepare_cached(
        "SELECT id, owner, is_awaited, queued_at, memory_mib, hosts, reserved_by FROM runs
         WHERE phase = 'queued' AND (not_before IS NULL OR not_before <= ?1) ORDER BY queued_at, id",
    )?;
    let mut rows = statement.query([millis(now)])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        let by = row.get_ref(6)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        waiting.push(Waiting {
            run: RunId(unsigned(row.get(0)?)),
            owner: row.get(1)?,
            is_awaited: row.get::<_, i64>(2)? != 0,
            queued_at: instant(row.get(3)?),
            memory_mib: unsigned(row.get(4)?),
            hosts: hosts(row, 5)?,
            reservation: reservation(by),
        });
    }
    Ok(waiting)
}

/// A worker that is gone keeps nothing for anybody.
fn present(transaction: &Transaction<'_>, now: Timestamp) -> Result<HashSet<String>, RegistryError> {
    let mut statement = transaction.prepare_cached("SELECT name FROM workers WHERE seen_at >= ?1")?;
    let names = statement.query_map([millis(now.before(PRESENCE))], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn host_starts(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> Result<HashMap<String, Timestamp>, RegistryError> {
    let mut statement = transaction.prepare_cached("SELECT host, at FROM host_starts WHERE at > ?1")?;
    let starts = statement.query_map([millis(now.before(HOST_GAP))], |row| {
        Ok((row.get(0)?, instant(row.get(1)?)))
    })?;
    Ok(starts.collect::<Result<_, _>>()?)
}

fn places(transaction: &Transaction<'_>) -> Result<u64, RegistryError> {
    let places: Option<i64> = transaction
        .prepare_cached("SELECT last FROM counters WHERE kind = 'lease'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(places.map_or(0, unsigned))
}

/// Notes that a run with a place talks to its hosts from now on.
pub(super) fn note_start(
    transaction: &Transaction<'_>,
    run: RunId,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let hosts: String = transaction
        .prepare_cached("SELECT hosts FROM runs WHERE id = ?1")?
        .query_row([signed(run.0)], |row| row.get(0))?;
    let mut statement = transaction
        .prepare_cached("INSERT INTO host_starts (host, at) VALUES (?1, ?2) ON CONFLICT (host) DO UPDATE SET at = excluded.at")?;
    for host in hosts.split_whitespace() {
        statement.execute(params![host, millis(now)])?;
    }
    Ok(())
}

fn hosts(row: &Row<'_>, column: usize) -> Result<Vec<String>, RegistryError> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}
