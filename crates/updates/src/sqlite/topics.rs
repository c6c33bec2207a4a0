use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::schema::LOGS_PER_TOPIC;
use super::{integer, natural};
use crate::port::{Cleanup, Topic, Watermarks};

/// A topic and the number of its first log.
pub(super) struct Found {
    first_log: i64,
    pub(super) topic: Topic,
}

impl Found {
    pub(super) fn log(&self, number: u32) -> i64 {
        self.first_log + i64::from(number)
    }

    /// The logs of the topic, one past the last excluded.
    fn logs(&self) -> (i64, i64) {
        (self.first_log, self.log(self.topic.partitions))
    }
}

const SELECT: &str = "SELECT id, name, partitions, retention_ms, tombstones_ms FROM topics";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Found> {
    let age = |millis: Option<i64>| millis.map(|millis| Duration::from_millis(natural(millis)));
    let cleanup = match (age(row.get(3)?), age(row.get(4)?)) {
        (Some(retention), Some(tombstones)) => Cleanup::CompactDelete {
            retention,
            tombstones,
        },
        (None, Some(tombstones)) => Cleanup::Compact { tombstones },
        (retention, None) => Cleanup::Delete {
            retention: retention.unwrap_or(Duration::MAX),
        },
    };
    let topic = Topic {
        name: row.get(1)?,
        partitions: row.get(2)?,
        cleanup,
    };
    Ok(Found {
        first_log: row.get::<_, i64>(0)? * LOGS_PER_TOPIC,
        topic,
    })
}

pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE name = ?1"))?
        .query_row([name], from_row)
        .optional()
}

pub(super) fn find_all(connection: &Connection) -> rusqlite::Result<Vec<Found>> {
    connection
        .prepare_cached(&format!("{SELECT} ORDER BY name"))?
        .query_map([], from_row)?
        .collect()
}

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Topic>> {
    Ok(find_all(connection)?
        .into_iter()
        .map(|found| found.topic)
        .collect())
}

/// Creates the topic unless another process was faster; answers what is there now.
pub(super) fn create(transaction: &Transaction<'_>, topic: &Topic) -> rusqlite::Result<Topic> {
    if let Some(found) = find(transaction, &topic.name)? {
        return Ok(found.topic);
    }
    let millis = |age: Option<Duration>| age.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    transaction.execute(
        "INSERT INTO topics (name, partitions, retention_ms, tombstones_ms) VALUES (?1, ?2, ?3, ?4)",
        params![
            topic.name,
            topic.partitions,
            millis(topic.cleanup.retention()),
            millis(topic.cleanup.tombstones())
        ],
    )?;
    let first_log = transaction.last_insert_rowid() * LOGS_PER_TOPIC;
    let mut insert = transaction.prepare_cached("INSERT INTO logs (log) VALUES (?1)")?;
    for number in 0..topic.partitions {
        insert.execute([first_log + i64::from(number)])?;
    }
    change_layout(transaction)?;
    Ok(topic.clone())
}

pub(super) fn delete(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let Some(found) = find(transaction, name)? else {
        return Ok(());
    };
    let (first, end) = found.logs();
    for table in ["records", "logs", "offsets"] {
        transaction.execute(
            &format!("DELETE FROM {table} WHERE log >= ?1 AND log < ?2"),
            [first, end],
        )?;
    }
    transaction.execute("DELETE FROM topics WHERE name = ?1", [name])?;
    change_layout(transaction)
}

/// Tells every member that assignments may have changed.
pub(super) fn change_layout(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("UPDATE layout SET version = version + 1", [])?;
    Ok(())
}

pub(super) fn watermarks(connection: &Connection, found: &Found) -> rusqlite::Result<Vec<Watermarks>> {
    let (first, end) = found.logs();
    connection
        .prepare_cached("SELECT low, high FROM logs WHERE log >= ?1 AND log < ?2 ORDER BY log")?
        .query_map([first, end], |row| {
            Ok(Watermarks {
                low: natural(row.get(0)?),
                high: natural(row.get(1)?),
            })
        })?
        .collect()
}

/// The next offsets of the logs that one append writes to, read and stored once.
#[derive(Default)]
pub(super) struct Highs(BTreeMap<i64, i64>);

impl Highs {
    pub(super) fn next(&mut self, transaction: &Transaction<'_>, log: i64) -> rusqlite::Result<i64> {
        let high = match self.0.get(&log) {
            Some(high) => *high,
            None => transaction
                .prepare_cached("SELECT high FROM logs WHERE log = ?1")?
                .query_row([log], |row| row.get(0))?,
        };
        self.0.insert(log, high + 1);
        Ok(high)
    }

    pub(super) fn store(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut update = transaction.prepare_cached("UPDATE logs SET high = ?2 WHERE log = ?1")?;
        self.0
            .into_iter()
            .try_for_each(|(log, high)| update.execute([log, high]).map(drop))
    }
}

/// The offsets committed in a topic by log.
pub(super) fn offsets(
    connection: &Connection,
    group: &str,
    found: &Found,
) -> rusqlite::Result<BTreeMap<i64, i64>> {
    let (first, end) = found.logs();
    connection
        .prepare_cached("SELECT log, next FROM offsets WHERE in_group = ?1 AND log >= ?2 AND log < ?3")?
        .query_map(params![group, first, end], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

pub(super) fn store_offset(
    transaction: &Transaction<'_>,
    group: &str,
    log: i64,
    next: u64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO offsets (in_group, log, next) VALUES (?1, ?2, ?3)")?
        .execute(params![group, log, integer(next)])?;
    Ok(())
}
