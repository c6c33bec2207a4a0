use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::{Meta, PackError, guard, schema};

/// Checks a pack from end to end: the structure of the file, of the tables and of the index, that the index says what
/// the text says, that the counts are right, and that it answers a query. SQLite reads all of the text again for that,
/// which takes longer than building the pack did: do it once, before a pack is published, or when something is wrong.
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
    check_all_but_text(&connection, &meta)?;
    check_index(&connection)?;
    Ok(meta)
}

/// As [`verify`], without comparing the index with the text: enough for a pack that was verified before it was
/// published and whose checksum is right, and as safe on files from anywhere.
///
/// # Errors
///
/// As [`verify`].
pub fn check(path: &Path) -> Result<Meta, PackError> {
    let connection = guard::open(path)?;
    let meta = guard::check_layout(&connection)?;
    check_all_but_text(&connection, &meta)?;
    Ok(meta)
}

fn check_all_but_text(connection: &Connection, meta: &Meta) -> Result<(), PackError> {
    check_structure(connection)?;
    check_paths(connection)?;
    check_counts(connection, meta)?;
    check_query(connection, meta)
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

/// FTS5 checks that every row of `search_idx` leads to the right leaf, and not that each leaf on which a term begins has a
/// row. A leaf with terms has a footer, so it is longer than its header says that its body is.
fn check_paths(connection: &Connection) -> Result<(), PackError> {
    let leaves = count(
        connection,
        "SELECT count(*) FROM search_data WHERE id >= 1 << 37 AND (id >> 36) & 1 = 0
           AND hex(substr(block, 3, 2)) != printf('%04X', length(block))",
    )?;
    let found = count(
        connection,
        "SELECT count(DISTINCT segid << 31 | pgno >> 1) FROM search_idx",
    )?;
    if found == leaves {
        return Ok(());
    }
    Err(PackError::Corrupt(format!(
        "the index leads to {found} of its {leaves} leaves"
    )))
}

fn count(connection: &Connection, sql: &str) -> Result<u64, PackError> {
    let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

fn check_counts(connection: &Connection, meta: &Meta) -> Result<(), PackError> {
    let expected = [
        ("pages", "SELECT count(*) FROM pages", meta.pages),
        ("passages", "SELECT count(*) FROM passages", meta.passages),
        (
            "passages by page",
            "SELECT coalesce(sum(passages), 0) FROM pages",
            meta.passages,
        ),
        (
            "rows of the index",
            "SELECT count(*) FROM search_docsize",
            meta.passages,
        ),
        (
            "passages without their page",
            "SELECT count(*) FROM passages
             WHERE page_id != id >> 12 OR NOT EXISTS (SELECT 1 FROM pages WHERE pages.id = page_id)",
            0,
        ),
    ];
    for (what, sql, expected) in expected {
        let found = count(connection, sql)?;
        if found != expected {
            return Err(PackError::Corrupt(format!(
                "{what}: {found}, should be {expected}"
            )));
        }
    }
    Ok(())
}

/// A query as a search server sends it must give an answer.
fn check_query(connection: &Connection, meta: &Meta) -> Result<(), PackError> {
    let sql =
        "SELECT count(*) FROM (SELECT rowid FROM search WHERE search MATCH 'a*' ORDER BY rank LIMIT 10)";
    if count(connection, sql)? > meta.passages {
        return Err(PackError::Corrupt(
            "a query finds more passages than there are".to_owned(),
        ));
    }
    Ok(())
}
