//! The layout of format 1, in one place.

use rusqlite::Connection;

use crate::PackError;

/// `PRAGMA application_id` of every pack: the bytes `HAUL`.
pub const APPLICATION_ID: u32 = 0x4841_554c;

/// The format that this crate writes, and the newest that it reads: `PRAGMA user_version`.
pub const FORMAT_VERSION: u32 = 1;

/// The lower bits of a passage's id: its ordinal in its page. The upper bits are the id of the page.
pub const ORDINAL_BITS: u32 = 12;

// Every passage of a page has an ordinal of its own.
const _: () = assert!(extract::MAX_PASSAGES <= 1 << ORDINAL_BITS);

/// The id of the page that a passage, which is a row of the index, belongs to.
pub fn page_of(passage: i64) -> i64 {
    passage >> ORDINAL_BITS
}

/// The columns of the index, in order.
pub(crate) const COLUMNS: usize = 4;

/// How much a word counts in the title, heading, text and extra terms: what `ORDER BY rank` uses.
const RANK: &str = "bm25(8.0, 4.0, 1.0, 0.5)";

const TABLES: &str = "
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pages(
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  item TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  language TEXT,
  content_type TEXT NOT NULL,
  checksum TEXT NOT NULL,
  published_at INTEGER,
  modified_at INTEGER,
  fetched_at INTEGER NOT NULL,
  passages INTEGER NOT NULL,
  truncated INTEGER NOT NULL
);
CREATE TABLE passages(
  id INTEGER PRIMARY KEY,
  page_id INTEGER NOT NULL REFERENCES pages(id),
  heading TEXT NOT NULL,
  anchor TEXT,
  pdf_page INTEGER,
  text TEXT NOT NULL,
  terms TEXT NOT NULL
);
CREATE TABLE words(word TEXT PRIMARY KEY, passages INTEGER NOT NULL) WITHOUT ROWID;
";

/// A view of what is indexed, and an index over it.
fn index(view: &str, index: &str) -> String {
    let name = view.rsplit('.').next().unwrap_or(view);
    format!(
        "CREATE VIEW {view} AS
  SELECT passages.id AS id, pages.title AS title, passages.heading AS heading, passages.text AS text,
    passages.terms AS terms
  FROM passages JOIN pages ON pages.id = passages.page_id;
CREATE VIRTUAL TABLE {index} USING fts5(
  title, heading, text, terms,
  content = '{name}', content_rowid = 'id',
  tokenize = 'porter unicode61 remove_diacritics 2'
);"
    )
}

/// Copies the index of an open pack into the temporary table `checked`, and makes FTS5 compare the copy with the text.
pub(crate) fn check_copy_of_index(connection: &Connection) -> Result<(), PackError> {
    connection.execute_batch(&index("temp.checked_documents", "temp.checked"))?;
    connection.execute_batch(
        "DELETE FROM temp.checked_data;
         INSERT INTO temp.checked_data SELECT * FROM main.search_data;
         INSERT INTO temp.checked_idx SELECT * FROM main.search_idx;
         INSERT INTO temp.checked_docsize SELECT * FROM main.search_docsize;",
    )?;
    connection.execute(
        "INSERT INTO temp.checked(checked, rank) VALUES('integrity-check', 1)",
        [],
    )?;
    Ok(connection.execute_batch("DROP TABLE temp.checked; DROP VIEW temp.checked_documents")?)
}

/// Creates the empty tables in an empty database.
pub(crate) fn create(connection: &Connection) -> Result<(), PackError> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", FORMAT_VERSION)?;
    connection.execute_batch(TABLES)?;
    connection.execute_batch(&index("documents", "search"))?;
    connection.execute("INSERT INTO search(search, rank) VALUES('rank', ?1)", [RANK])?;
    Ok(())
}

/// Everything that decides how a pack's tables behave, in a fixed order: two packs with the same layout are read alike.
pub(crate) fn layout(connection: &Connection) -> Result<Vec<[String; 4]>, PackError> {
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM main.sqlite_schema ORDER BY type, name, tbl_name",
    )?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    Ok(rows.take(100).collect::<Result<_, _>>()?)
}

/// The settings of the index, as FTS5 keeps them.
pub(crate) fn index_settings(connection: &Connection) -> Result<Vec<(String, String)>, PackError> {
    let mut statement =
        connection.prepare("SELECT k, CAST(v AS TEXT) FROM main.search_config ORDER BY k LIMIT 100")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
