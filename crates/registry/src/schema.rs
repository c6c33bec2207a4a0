//! The tables, as SQL that SQLite and PostgreSQL understand alike.
//!
//! Names of people and scrapers are kept twice: as they were written, and as a key in small letters, by which they are found and referred
//! to. Numbers that people see come from `counters` and are never given twice, even after the row is gone. Instants are
//! milliseconds since 1970, settings and endings are JSON. Integers are `BIGINT`, because PostgreSQL's `INTEGER` is too small for an instant.

use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::database::RegistryError;

/// What each format adds to the one before; the first is format 1.
static FORMATS: [&[&str]; 2] = [
    &[
        include_str!("schema/people.sql"),
        include_str!("schema/runs.sql"),
        include_str!("schema/belongings.sql"),
    ],
    &[include_str!("schema/second.sql")],
];

/// Sets the connection up and brings the tables to the newest format, in one transaction.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), RegistryError> {
    connection.busy_timeout(Duration::from_secs(10))?;
    missing_formats(connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A run that is said to be over stays over after a power cut: its data is in force, its webhooks were called.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrate(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn migrate(transaction: &Transaction<'_>) -> Result<(), RegistryError> {
    let missing = missing_formats(transaction)?;
    if missing.is_empty() {
        return Ok(());
    }
    for statements in missing.iter().flat_map(|format| format.iter()) {
        transaction.execute_batch(statements)?;
    }
    let newest = i64::try_from(FORMATS.len()).unwrap_or(i64::MAX);
    transaction.execute("DELETE FROM format", [])?;
    transaction.execute("INSERT INTO format (version) VALUES (?1)", [newest])?;
    Ok(())
}

/// What the file lacks to have the newest format. Refuses other programs' files and those of a newer Haul, and changes nothing.
fn missing_formats(connection: &Connection) -> Result<&'static [&'static [&'static str]], RegistryError> {
    let found = format(connection)?;
    FORMATS.get(found..).ok_or_else(|| {
        RegistryError::Invalid(format!(
            "the registry has format {found}, and this Haul knows {}; use a newer Haul",
            FORMATS.len()
        ))
    })
}

/// The format that the file has; 0 where it is empty.
fn format(connection: &Connection) -> Result<usize, RegistryError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    let version: rusqlite::Result<i64> =
        connection.query_row("SELECT version FROM format", [], |row| row.get(0));
    version
        .ok()
        .and_then(|version| usize::try_from(version).ok())
        .filter(|version| *version > 0)
        .ok_or_else(|| {
            RegistryError::Invalid("the file is a database, but no registry; name another file".to_owned())
        })
}
