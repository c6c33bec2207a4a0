//! The pack file: one searchable SQLite database of one host.
//!
//! A pack holds the text of the pages of a host and a full-text index over it. Any SQLite with FTS5 reads and searches it
//! (`sqlite3`, Datasette); no function or tokenizer of ours is needed. A pack is written once, as a whole, and
//! never changed: [`Writer`] makes one, [`verify`] and [`check`] look whether one is whole, [`Pack`] reads one.
//!
//! # The file
//!
//! `PRAGMA application_id` is [`APPLICATION_ID`] (`HAUL`), `PRAGMA user_version` is [`FORMAT_VERSION`].
//!
//! | table | rows |
//! |---|---|
//! | `pages` | one per page: address, source, title, language, dates (milliseconds since 1970) |
//! | `passages` | the text of the pages; `id` is `page << 12 \| ordinal` |
//! | `documents` | a view: the passages with the titles of their pages, as they are indexed |
//! | `search` | the FTS5 index over `documents`: `title`, `heading`, `text`, `terms` |
//! | `words` | the commonest words of the text and the number of passages that have them, for "did you mean" |
//! | `meta` | what [`Meta`] says, by name |
//!
//! The index is tokenized by `porter unicode61 remove_diacritics 2`: diacritics are folded and English words are
//! stemmed. The column `terms` adds what that misses: stems of words in other languages and pairs of CJK
//! characters ([`terms`]).
//!
//! ```
//! use model::{Checksum, Host, ItemId, PageUrl, SourceId, Timestamp};
//! use pack::{Pack, Page, Writer, WriterOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("example.gov.pack");
//! let built_at = Timestamp::from_millis(1_700_000_000_000);
//! let mut writer = Writer::create(&path, &WriterOptions::new(Host::new("example.gov")?, built_at))?;
//! writer.add(&Page {
//!     url: PageUrl::parse("https://example.gov/")?,
//!     source: SourceId::new("example.gov")?,
//!     item: ItemId::new("https://example.gov/")?,
//!     checksum: Checksum::of(b"<title>Hello</title><p>Tides and moons"),
//!     fetched_at: built_at,
//!     extract: extract::Extract {
//!         title: "Hello".into(),
//!         passages: vec![extract::Passage { text: "Tides and moons".into(), ..Default::default() }],
//!         ..Default::default()
//!     },
//! })?;
//! let summary = writer.finish()?;
//! assert_eq!((summary.pages, summary.passages), (1, 1));
//!
//! let pack = Pack::open(&path)?;
//! let title: String = pack.connection().query_row(
//!     "SELECT title FROM search WHERE search MATCH 'hello moon'", [], |row| row.get(0))?;
//! assert_eq!(title, "Hello");
//! # Ok(())
//! # }
//! ```

mod content;
mod error;
mod guard;
mod index;
mod meta;
mod page;
mod reader;
mod schema;
pub mod terms;
mod tokenizer;
mod verify;
mod writer;

pub use crate::error::PackError;
pub use crate::meta::{Meta, SourceDigest};
pub use crate::page::Page;
pub use crate::reader::Pack;
pub use crate::schema::{APPLICATION_ID, FORMAT_VERSION, ORDINAL_BITS, page_of};
pub use crate::tokenizer::{Token, Tokenizer};
pub use crate::verify::{check, verify};
pub use crate::writer::{Summary, Writer, WriterOptions};
