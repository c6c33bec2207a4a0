//! The log in one SQLite file. One connection per handle; the file's own lock keeps processes apart.

mod cleaning;
mod failure;
mod members;
mod schema;
mod topics;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use model::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::engine::{Beat, Engine};
use crate::place::partition_of;
use crate::port::{Assignment, LogError, NewRecord, Partition, Position, Record, Topic, Watermarks};
use crate::sqlite::topics::Found;

pub(crate) struct SqliteEngine {
    path: PathBuf,
    connection: Mutex<Connection>,
    writes: AtomicU64,
}

impl SqliteEngine {
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        if let Some(folder) = path.parent() {
            let explain = |error: std::io::Error| {
                let reason = format!("the folder cannot be made: {error}");
                failure::store(path, reason, Some(Box::new(error)))
            };
            std::fs::create_dir_all(folder).map_err(explain)?;
        }
        let explain = |error| failure::explain(path, error);
        let mut connection = Connection::open(path).map_err(explain)?;
        let version = schema::prepare(&mut connection).map_err(explain)?;
        if version != schema::VERSION {
            let reason = format!(
                "the file has format {version}, this program knows {}; upgrade Haul, or move the file away",
                schema::VERSION
            );
            return Err(failure::store(path, reason, None));
        }
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(connection),
            writes: AtomicU64::new(0),
        })
    }

    /// Removes the members of all groups: those that are alive must join again.
    pub(crate) fn forget_members(&self) -> Result<(), LogError> {
        self.write_with(|transaction| transaction.execute("DELETE FROM members", []).map(|_| ()))
    }

    fn read_with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LogError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&connection).map_err(|error| failure::explain(&self.path, error))
    }

    /// One transaction: committed where `write` succeeds, else nothing of it happened.
    fn write_with<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transact = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = write(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        let answer = transact().map_err(|error| failure::explain(&self.path, error))?;
        self.writes.fetch_add(1, Ordering::Release);
        Ok(answer)
    }

    fn found(&self, topic: &str) -> Result<Found, LogError> {
        let found = self.read_with(|connection| topics::find(connection, topic))?;
        found.ok_or_else(|| LogError::NoTopic(topic.to_owned()))
    }
}

impl Engine for SqliteEngine {
    fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        if let Some(existing) = self.read_with(|connection| topics::find(connection, &topic.name))? {
            return topic.check_same(&existing.topic);
        }
        let existing = self.write_with(|transaction| topics::create(transaction, topic))?;
        topic.check_same(&existing)
    }

    fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.read_with(topics::list)
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.write_with(|transaction| topics::delete(transaction, name))
    }

    fn append(&self, topic: &str, records: &[NewRecord], now: Timestamp) -> Result<Vec<Position>, LogError> {
        let positions = self.write_with(|transaction| match topics::find(transaction, topic)? {
            Some(found) => append(transaction, &found, records, now).map(Some),
            None => Ok(None),
        })?;
        positions.ok_or_else(|| LogError::NoTopic(topic.to_owned()))
    }

    fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        let log = self.found(&partition.topic)?.log(partition.number);
        self.read_with(|connection| read(connection, partition, log, from, max))
    }

    fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        let found = self.found(topic)?;
        self.read_with(|connection| topics::watermarks(connection, &found))
    }

    fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        cleaning::clean_up(self, now)
    }

    fn stamp(&self) -> Result<u64, LogError> {
        let own = self.writes.load(Ordering::Acquire);
        // SQLite's counter of what other connections committed.
        let others: i64 = self.read_with(|connection| {
            connection
                .prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get(0))
        })?;
        Ok(own.wrapping_add(natural(others) << 32))
    }

    fn layout(&self) -> Result<u64, LogError> {
        let version = self.read_with(|connection| {
            connection
                .prepare_cached("SELECT version FROM layout")?
                .query_row([], |row| row.get(0))
        })?;
        Ok(natural(version))
    }

    fn heartbeat(&self, beat: &Beat<'_>) -> Result<Assignment, LogError> {
        self.write_with(|transaction| members::heartbeat(transaction, beat))
    }

    fn leave(&self, group: &str, member: &str) -> Result<(), LogError> {
        self.write_with(|transaction| members::leave(transaction, group, member))
    }

    fn members(&self, group: &str, now: Timestamp) -> Result<Vec<String>, LogError> {
        let members = self.read_with(|connection| members::living(connection, group, now))?;
        Ok(members.into_keys().collect())
    }

    fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        let found = self.found(topic)?;
        self.read_with(|connection| members::committed(connection, group, &found))
    }

    fn commit(&self, group: &str, member: &str, partition: &Partition, next: u64) -> Result<(), LogError> {
        let found = self.found(&partition.topic)?;
        let taken = self
            .write_with(|transaction| members::commit(transaction, group, member, partition, &found, next))?;
        if taken {
            Ok(())
        } else {
            Err(LogError::NotAssigned(partition.clone()))
        }
    }
}

fn append(
    transaction: &Transaction<'_>,
    found: &Found,
    records: &[NewRecord],
    now: Timestamp,
) -> rusqlite::Result<Vec<Position>> {
    let mut highs = topics::Highs::default();
    let mut insert = transaction.prepare_cached(
        "INSERT INTO records (log, offset, appended_at, key, scope, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut positions = Vec::with_capacity(records.len());
    for record in records {
        let number = partition_of(&record.scope, found.topic.partitions);
        let log = found.log(number);
        let offset = highs.next(transaction, log)?;
        let value = record.value.as_deref();
        insert.execute(params![
            log,
            offset,
            integer(now.as_millis()),
            record.key,
            record.scope,
            value
        ])?;
        let partition = Partition {
            topic: found.topic.name.clone(),
            number,
        };
        positions.push(Position {
            partition,
            offset: natural(offset),
        });
    }
    highs.store(transaction)?;
    Ok(positions)
}

fn read(
    connection: &Connection,
    partition: &Partition,
    log: i64,
    from: u64,
    max: usize,
) -> rusqlite::Result<Vec<Record>> {
    let mut select = connection.prepare_cached(
        "SELECT offset, appended_at, key, scope, value FROM records WHERE log = ?1 AND offset >= ?2
         ORDER BY offset LIMIT ?3",
    )?;
    let rows = select.query_map(params![log, integer(from), integer(max as u64)], |row| {
        Ok(Record {
            position: Position {
                partition: partition.clone(),
                offset: natural(row.get(0)?),
            },
            appended_at: Timestamp::from_millis(natural(row.get(1)?)),
            key: row.get(2)?,
            scope: row.get(3)?,
            value: row.get::<_, Option<Vec<u8>>>(4)?.map(Bytes::from),
        })
    })?;
    rows.collect()
}

/// SQLite's integers have a sign: numbers beyond 2^63 - 1 stay at that.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn natural(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
