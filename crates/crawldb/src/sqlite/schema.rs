use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

/// The version of the tables below, kept in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 1;

/// Sources, crawls and scopes repeat in every item, so items name them by a number from `names`. `url` is null where
/// it equals the item id; `rare` holds as JSON what few items have. Most indexes are partial: an item that nobody
/// waits for is in the unique index alone.
///
/// `state_counts` and `scope_counts` are kept by the transactions that write items and always equal a recount.
const TABLES: &str = "
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);
CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE crawls (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX crawls_of_source ON crawls (source, started_at);
CREATE INDEX crawls_by_start ON crawls (started_at);
CREATE TABLE items (
    row INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    id TEXT NOT NULL,
    url TEXT,
    scope INTEGER NOT NULL,
    crawl INTEGER NOT NULL,
    state INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    configuration INTEGER NOT NULL,
    seen_crawl_at INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_updated INTEGER,
    next_attempt_at INTEGER NOT NULL,
    lease_owner TEXT,
    lease_epoch INTEGER,
    lease_until INTEGER,
    epoch INTEGER NOT NULL,
    retry_count INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    checksum BLOB,
    disposition TEXT,
    content TEXT,
    extract TEXT,
    etag TEXT,
    last_modified TEXT,
    parent TEXT,
    depth INTEGER NOT NULL,
    rare TEXT
);
CREATE UNIQUE INDEX items_by_id ON items (source, id);
CREATE INDEX due ON items (source, crawl, next_attempt_at) WHERE state IN (0, 4);
CREATE INDEX due_of_scope ON items (source, crawl, scope, next_attempt_at) WHERE state IN (0, 4);
CREATE INDEX leased ON items (source, lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX unusual ON items (source, state, id) WHERE state BETWEEN 5 AND 7;
CREATE TABLE state_counts (
    source INTEGER NOT NULL,
    crawl INTEGER NOT NULL,
    state INTEGER NOT NULL,
    items INTEGER NOT NULL,
    new INTEGER NOT NULL,
    PRIMARY KEY (source, crawl, state)
) WITHOUT ROWID;
CREATE TABLE scope_counts (
    source INTEGER NOT NULL,
    crawl INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    items INTEGER NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (source, crawl, scope)
) WITHOUT ROWID;
";

/// Sets the connection up and makes the tables where there are none; answers the version that it found or made.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Survives the death of the process; after a power cut the last commits may be missing, never half there.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -131_072)?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
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
