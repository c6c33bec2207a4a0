use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::{Meta, PackError, guard, schema};

/// Checks a pack from end to end: the structure of the file, of the tables and of the index, that the index says what
/// the text says, that the counts are right, and that it answers a query. Takes about as long as building it.
///
/// Safe on files from anywhere: the schema is not trusted, and must be exactly that of a pack.
///
/// # Errors
///
/// [`PackError::Io`] when it cannot be read, [`PackError::NotAPack`], [`PackError::NewerFormat`],
/// [`PackError::Corrupt`].
pub fn verify(path: &Path) -> Result<Meta, PackError> {
    let connection = guard::open(path)?;
    let meta = guard::check_layout(&connection)?;
    check_structure(&connection)?;
    check_index(&connection)?;
    check_counts(&connection, &meta)?;
    check_query(&connection, &meta)?;
    Ok(meta)
}

/// `quick_check` covers the b-trees, and asks FTS5 whether its index is well formed.
fn check_structure(connection: &Connection) -> Result<(), PackError> {
    let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(PackError::Corrupt(found))
    }
}

/// FTS5 compares index and text only when it may write, so it gets a temporary copy of the index, over a temporary view of
/// the text: the pack itself stays read-only.
fn check_index(connection: &Connection) -> Result<(), PackError> {
    // The copy is filled by writing its shadow tables. The pack's own are read-only whatever the mode.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    match schema::check_copy_of_index(connection) {
        Err(PackError::Database(error)) => Err(PackError::Corrupt(format!("its index: {error}"))),
        checked => checked,
    }
}

fn check_counts(connection: &Connection, meta: &Meta) -> Result<(), PackError> {
    let count = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
    };
    let found = [
        ("pages", count("SELECT count(*) FROM pages")?, meta.pages),
        ("passages", count("SELECT count(*) FROM passages")?, meta.passages),
        (
            "passages by page",
            count("SELECT coalesce(sum(passages), 0) FROM pages")?,
            meta.passages,
        ),
        (
            "rows of the index",
            count("SELECT count(*) FROM search_docsize")?,
            meta.passages,
        ),
        (
            "stray passages",
            count(
                "SELECT count(*) FROM passages WHERE page_id != id >> 12 OR NOT EXISTS (SELECT 1 FROM pages WHERE pages.id = page_id)",
            )?,
            0,
        ),
    ];
    match found.into_iter().find(|(_, found, expected)| found != expected) {
        Some((what, found, expected)) => Err(PackError::Corrupt(format!(
            "{what}: {found}, should be {expected}"
        ))),
        None => Ok(()),
    }
}

/// A query as a search server sends it must give an answer.
fn check_query(connection: &Connection, meta: &Meta) -> Result<(), PackError> {
    let sql =
        "SELECT count(*) FROM (SELECT rowid FROM search WHERE search MATCH 'a*' ORDER BY rank LIMIT 10)";
    let matches: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if matches.cast_unsigned() > meta.passages {
        return Err(PackError::Corrupt(
            "a query finds more passages than there are".to_owned(),
        ));
    }
    Ok(())
}
