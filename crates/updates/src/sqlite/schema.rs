use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

/// The version of the tables below, kept in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 1;

/// `log` is a partition: the id of its topic times [`LOGS_PER_TOPIC`], plus its number. `next` and `high` are the
/// offsets that come next, `clean` the one up to which a partition is compacted.
const TABLES: &str = "
CREATE TABLE topics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    retention_ms INTEGER,
    tombstones_ms INTEGER
);
CREATE TABLE logs (
    log INTEGER PRIMARY KEY,
    low INTEGER NOT NULL DEFAULT 0,
    high INTEGER NOT NULL DEFAULT 0,
    clean INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE records (
    log INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    appended_at INTEGER NOT NULL,
    key TEXT NOT NULL,
    scope TEXT NOT NULL,
    value BLOB,
    PRIMARY KEY (log, offset)
) WITHOUT ROWID;
CREATE INDEX records_by_key ON records (log, key);
CREATE INDEX tombstones ON records (log, appended_at) WHERE value IS NULL;
CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    fingerprint TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE members (
    in_group TEXT NOT NULL,
    id TEXT NOT NULL,
    subscription TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (in_group, id)
) WITHOUT ROWID;
CREATE TABLE offsets (
    in_group TEXT NOT NULL,
    log INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (in_group, log)
) WITHOUT ROWID;
CREATE TABLE layout (version INTEGER NOT NULL);
INSERT INTO layout VALUES (0);
";

/// Room for the partitions of a topic in the numbers of logs.
pub(super) const LOGS_PER_TOPIC: i64 = crate::limits::MAX_PARTITIONS as i64;

/// Sets the connection up and makes the tables where there are none; answers the version that it found or made.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Survives the death of the process; after a power cut the last commits may be missing, never half there.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != 0 {
        return Ok(version);
    }
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(VERSION)
}
