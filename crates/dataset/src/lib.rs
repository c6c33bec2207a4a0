//! The SQLite database that a run leaves: taken in, compared, asked.
//!
//! The file was written by somebody who may mean harm: it may be a link, a FIFO, no database at all, or one whose schema runs something. [`collect`]
//! makes a clean copy of it, with what its `-wal` or `-journal` holds, or says why not. [`compare`] counts how rows changed, by key. [`Reader`] answers
//! questions in SQL that cannot write, attach, load, or last.
//!
//! What SQLite is given to do is always bounded: a [deadline](ReaderLimits::time) that its own progress handler watches, the size of values, the size
//! and depth of statements, the memory of caches. What is left: sorting more than fits its cache goes to unnamed files in the folder for temporary files
//! (`SQLITE_TMPDIR`), as much as fits the time; and a single function call is not interrupted, so the lengths of its arguments are bounded instead.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("data.sqlite");
//! # rusqlite::Connection::open(&path)?.execute_batch("CREATE TABLE data(name, pages); INSERT INTO data VALUES('DS-82', 6)")?;
//! use dataset::{Question, Reader, ReaderLimits, Value};
//!
//! let reader = Reader::open(&path, ReaderLimits::default())?;
//! let pages = reader.ask(&Question::new("SELECT pages FROM data WHERE name = 'DS-82'"), |rows| {
//!     let row = rows.next_row()?;
//!     Ok(row.map(|row| row.value(0).into_owned()))
//! })?;
//! assert_eq!(pages, Some(Value::Integer(6)));
//! # Ok(())
//! # }
//! ```

mod changes;
mod collect;
mod costly;
mod deadline;
mod journal;
mod merge;
mod open;
mod page;
mod pair;
mod permit;
mod reader;
mod schema;
mod value;

pub use crate::changes::{
    Change, ChangedRow, Compared, Comparison, Difference, Options as CompareOptions, RowCounts, changed_keys,
    compare, rowid_counts,
};
pub use crate::collect::{CollectLimits, Collected, Rejected, collect};
pub use crate::page::Page;
pub use crate::reader::{Column, Question, Reader, ReaderLimits, Row, Rows};
pub use crate::schema::Table;
pub use crate::value::{QueryError, Value};
