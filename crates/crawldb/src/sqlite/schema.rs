use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::migration;

/// The version of the tables below, kept in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 2;

/// Format 1.
///
/// Sources, crawls and scopes repeat in every item, so items name them by a number from `names`. `url` is null where
/// it equals the item id; `rare` holds as JSON what few items have.
///
/// `state_counts` and `scope_counts` are kept by the transactions that write items and always equal a recount.
const FORMAT_1: &str = "
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

/// What format 2 adds. The indexes are partial: what a crawl has still to do is in `due`, `due_of_scope` or `leased`, what
/// it has done is in `listed`, and what few items are is in `unusual`, too. Unchanged items are in neither: they are most
/// of what there is, and would make every crawl a tenth slower.
///
/// A document with one reference, of the item whose id is its URL, is a row of columns; any other one has its references
/// as JSON in `record` and null in those columns. `document_counts` is kept by the transactions that write documents.
const FORMAT_2: &str = "
DROP INDEX unusual;
CREATE INDEX unusual ON items (source, state, id) WHERE state >= 4;
CREATE INDEX listed ON items (source, crawl, state, id) WHERE state = 2 OR state >= 4;
CREATE TABLE configurations (
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (source, number)
) WITHOUT ROWID;
CREATE TABLE intents (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE TABLE index_in_force (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL
);
CREATE TABLE documents (
    index_name INTEGER NOT NULL,
    url TEXT NOT NULL,
    revision INTEGER NOT NULL,
    alive INTEGER NOT NULL,
    source INTEGER,
    version INTEGER,
    item_revision INTEGER,
    last_updated INTEGER,
    checksum BLOB,
    extract TEXT,
    record TEXT,
    PRIMARY KEY (index_name, url)
) WITHOUT ROWID;
CREATE TABLE document_counts (
    index_name INTEGER PRIMARY KEY,
    alive INTEGER NOT NULL
);
";

/// Sets the connection up and brings the file to the newest format, in one transaction; answers the version that the
/// file has then, which is greater than [`VERSION`] where a newer program wrote it.
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
    if version >= VERSION {
        return Ok(version);
    }
    if version == 0 {
        transaction.execute_batch(FORMAT_1)?;
    }
    transaction.execute_batch(FORMAT_2)?;
    migration::keep_content_of_format_1(&transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(VERSION)
}
