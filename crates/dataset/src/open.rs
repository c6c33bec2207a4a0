use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

/// What stands for itself in the path of a `file:` address.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');

/// As much as SQLite maps at all; what lies behind it is read.
const MAX_MAPPED_BYTES: u32 = 0x7fff_0000;

/// Limits on what any statement may be made of. SQLite's defaults are for programs that trust themselves.
const LIMITS: [(Limit, i32); 5] = [
    (Limit::SQLITE_LIMIT_VDBE_OP, 5_000_000),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Limits on what a question may be made of. A schema may be made of more: its views are the scraper's.
const QUESTION_LIMITS: [(Limit, i32); 4] = [
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
];

/// Opens a database that nobody writes to, and reads its header and schema.
pub(crate) fn for_reading(path: &Path, cache_bytes: u64) -> rusqlite::Result<Connection> {
    let path = percent_encode(path.as_os_str().as_bytes(), PATH);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{path}?mode=ro&immutable=1"), flags)?;
    harden(&connection, cache_bytes)?;
    // Nobody makes the file shorter, so its pages can be read where the kernel has them.
    connection.execute_batch(&format!("PRAGMA mmap_size={MAX_MAPPED_BYTES}"))?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Puts limits on what comes from now on, which is questions.
pub(crate) fn limit_questions(connection: &Connection) -> rusqlite::Result<()> {
    set(connection, &QUESTION_LIMITS)
}

/// Lets what only looks at every row do so where a key has an order that only the scraper knows.
pub(crate) fn accept_any_order(connection: &Connection) -> rusqlite::Result<()> {
    connection.collation_needed(|connection, name| connection.create_collation(name, Ord::cmp))
}

/// Opens a copy that somebody else wrote, to be recovered. No other process may see the wal-index, so it stays in memory.
pub(crate) fn for_recovery(path: &Path, cache_bytes: u64) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    harden(&connection, cache_bytes)?;
    accept_any_order(&connection)?;
    connection.execute_batch("PRAGMA locking_mode=EXCLUSIVE")?;
    Ok(connection)
}

/// What a schema says is not obeyed, and what a page says is checked.
fn harden(connection: &Connection, cache_bytes: u64) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    set(connection, &LIMITS)?;
    let cache_kib = cache_bytes >> 10;
    connection.execute_batch(&format!(
        "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=FILE; PRAGMA cache_size=-{cache_kib}"
    ))
}

fn set(connection: &Connection, limits: &[(Limit, i32)]) -> rusqlite::Result<()> {
    for (limit, value) in limits {
        connection.set_limit(*limit, *value)?;
    }
    Ok(())
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
