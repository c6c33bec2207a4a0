//! Clean-up in short transactions, so that appends never wait for long.

use model::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::topics::{self, Found};
use super::{SqliteEngine, integer};
use crate::port::LogError;

/// Records that one transaction looks at.
const STEP: i64 = 2_000;

/// What one step did.
struct Step {
    gone: u64,
    done: bool,
}

pub(super) fn clean_up(engine: &SqliteEngine, now: Timestamp) -> Result<u64, LogError> {
    let topics = engine.read_with(topics::find_all)?;
    topics.iter().map(|found| clean_topic(engine, found, now)).sum()
}

fn clean_topic(engine: &SqliteEngine, found: &Found, now: Timestamp) -> Result<u64, LogError> {
    let mut gone = 0;
    for number in 0..found.topic.partitions {
        let log = found.log(number);
        if let Some(age) = found.topic.cleanup.retention() {
            let cutoff = integer(now.before(age).as_millis());
            gone += repeat(engine, |transaction| drop_old(transaction, log, cutoff))?;
        }
        if let Some(age) = found.topic.cleanup.tombstones() {
            let cutoff = integer(now.before(age).as_millis());
            gone += repeat(engine, |transaction| compact(transaction, log))?;
            gone += repeat(engine, |transaction| drop_tombstones(transaction, log, cutoff))?;
        }
    }
    Ok(gone)
}

fn repeat(
    engine: &SqliteEngine,
    step: impl Fn(&Transaction<'_>) -> rusqlite::Result<Step>,
) -> Result<u64, LogError> {
    let mut gone = 0;
    loop {
        let Step { gone: more, done } = engine.write_with(&step)?;
        gone += more;
        if done {
            return Ok(gone);
        }
    }
}

/// Drops the oldest records up to the first that is young enough.
fn drop_old(transaction: &Transaction<'_>, log: i64, cutoff: i64) -> rusqlite::Result<Step> {
    let oldest: Vec<(i64, i64)> = transaction
        .prepare_cached("SELECT offset, appended_at FROM records WHERE log = ?1 ORDER BY offset LIMIT ?2")?
        .query_map([log, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let young = oldest
        .iter()
        .find(|(_, appended_at)| *appended_at > cutoff)
        .map(|(offset, _)| *offset);
    let more = oldest.len() as i64 == STEP;
    let low = match (young, oldest.last()) {
        (Some(offset), _) => Some(offset),
        (None, Some((last, _))) if more => Some(last + 1),
        _ => None,
    };
    let low = low.map_or_else(|| high(transaction, log), Ok)?;
    let gone = transaction
        .prepare_cached("DELETE FROM records WHERE log = ?1 AND offset < ?2")?
        .execute([log, low])?;
    transaction
        .prepare_cached("UPDATE logs SET low = ?2 WHERE log = ?1 AND low < ?2")?
        .execute([log, low])?;
    Ok(Step {
        gone: gone as u64,
        done: young.is_some() || !more,
    })
}

fn high(transaction: &Transaction<'_>, log: i64) -> rusqlite::Result<i64> {
    let high = transaction
        .prepare_cached("SELECT high FROM logs WHERE log = ?1")?
        .query_row([log], |row| row.get(0))
        .optional()?;
    Ok(high.unwrap_or(0))
}

/// Goes on where the last compaction ended: each newer record removes the older ones of its key. Left to itself,
/// SQLite would search the range of offsets for the key.
fn compact(transaction: &Transaction<'_>, log: i64) -> rusqlite::Result<Step> {
    let dirty: Vec<(i64, String)> = transaction
        .prepare_cached(
            "SELECT offset, key FROM records WHERE log = ?1
             AND offset >= (SELECT clean FROM logs WHERE log = ?1) ORDER BY offset LIMIT ?2",
        )?
        .query_map([log, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let Some((last, _)) = dirty.last() else {
        return Ok(Step { gone: 0, done: true });
    };
    let mut older = transaction.prepare_cached(
        "DELETE FROM records INDEXED BY records_by_key WHERE log = ?1 AND key = ?2 AND offset < ?3",
    )?;
    let mut gone = 0;
    for (offset, key) in &dirty {
        gone += older.execute(params![log, key, offset])? as u64;
    }
    transaction
        .prepare_cached("UPDATE logs SET clean = ?2 WHERE log = ?1")?
        .execute([log, last + 1])?;
    Ok(Step {
        gone,
        done: (dirty.len() as i64) < STEP,
    })
}

/// Only compacted ones go: nothing older of their key is left that they hide.
fn drop_tombstones(transaction: &Transaction<'_>, log: i64, cutoff: i64) -> rusqlite::Result<Step> {
    let gone = transaction
        .prepare_cached(
            "DELETE FROM records WHERE log = ?1 AND offset IN (
                 SELECT offset FROM records WHERE log = ?1 AND value IS NULL AND appended_at <= ?2
                 AND offset < (SELECT clean FROM logs WHERE log = ?1) LIMIT ?3)",
        )?
        .execute([log, cutoff, STEP])? as i64;
    Ok(Step {
        gone: gone.unsigned_abs(),
        done: gone < STEP,
    })
}
