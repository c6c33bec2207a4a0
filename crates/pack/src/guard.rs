//! How a file that somebody else may have made is opened.
//!
//! A database can carry code of its own: triggers, views, expressions in its schema. SQLite is told not to trust any of
//! it, and nothing is read from tables before the schema has been found to be exactly ours.

use std::fmt::Write;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::{APPLICATION_ID, FORMAT_VERSION, Meta, PackError, schema};

/// The longest value that any table of a pack holds, in bytes, with room to spare.
const MAX_VALUE_BYTES: i32 = 16 << 20;

/// A read-only connection that trusts nothing in the file.
pub(crate) fn open(path: &Path) -> Result<Connection, PackError> {
    let path = std::fs::canonicalize(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(&path), flags)?;
    distrust(&connection)?;
    Ok(connection)
}

/// Nobody changes a finished pack, so SQLite need not look for a journal or take a lock.
fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?mode=ro&immutable=1"
}

fn distrust(connection: &Connection) -> Result<(), PackError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

/// Checks that the file is a pack of a known format, with the tables and index settings of that format and no others.
pub(crate) fn check_layout(connection: &Connection) -> Result<Meta, PackError> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != i64::from(APPLICATION_ID) {
        return Err(PackError::NotAPack("it lacks the mark of a pack".to_owned()));
    }
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match u32::try_from(version) {
        Ok(FORMAT_VERSION) => {}
        Ok(found) if found > FORMAT_VERSION => {
            return Err(PackError::NewerFormat {
                found,
                supported: FORMAT_VERSION,
            });
        }
        _ => {
            return Err(PackError::NotAPack(format!(
                "it says that its format is {version}"
            )));
        }
    }
    let ours = Connection::open_in_memory()?;
    schema::create(&ours)?;
    if schema::layout(connection)? != schema::layout(&ours)? {
        return Err(PackError::Corrupt(
            "its tables are not those of a pack".to_owned(),
        ));
    }
    if schema::index_settings(connection)? != schema::index_settings(&ours)? {
        return Err(PackError::Corrupt(
            "the settings of its index are not those of a pack".to_owned(),
        ));
    }
    Meta::read(connection)
}
