//! Published packs in, answers out.
//!
//! A [`Library`] holds the current pack of every host. It learns of new packs from the update log ([`Library::run`]), fetches them
//! from the archive, verifies them, and puts each in the place of the one before; a query uses the packs that were current
//! when it began, to its end. A file goes when it is not current any more and its last reader is done.
//!
//! [`Library::search`] answers a [`Request`] with an [`Answer`]: pages, not passages, all of them counted, best first, each with
//! a snippet and the address of its section. What people type is read by [`Query::parse`], which knows no errors.
//!
//! ```
//! use search::{Clause, Filter, Query};
//!
//! let query = Query::parse("\"high tide\" tables -moon type:pdf");
//! assert_eq!(query.groups, [[Clause::Phrase("high tide".into())], [Clause::Word("tables".into())]]);
//! assert_eq!(query.excluded, [Clause::Word("moon".into())]);
//! assert_eq!(query.filters, [Filter::Type("pdf".into())]);
//! ```
//!
//! # How a page matches, and how well
//!
//! - A page must have every word somewhere, in whichever passages; a phrase inside one title, heading or text. A
//!   word matches in any of its forms: as FTS5 stems English, and by the stems and CJK pairs that a pack holds for the other
//!   languages ([`pack::terms`]).
//! - A passage is worth the BM25 of its words, with the weights of titles and headings that a pack's own `rank` has. The best
//!   passage speaks for its page. Pages with all words in one passage come before those where they are spread.
//! - The score grows with how much of the title the words are, up to fourfold; a page that is called exactly so (the
//!   name of the site behind it does not count) comes first.
//! - Over several packs, the rarity of a word is counted over all of them, so scores compare; only what an average
//!   length is remains each pack's own.
//!
//! # Why it does not ask FTS5
//!
//! `ORDER BY rank` costs microseconds per matching row, so queries with common words would be slow. A pack
//! never changes, and the lists of an FTS5 index are simple, so they are read directly: some ten nanoseconds per match, nothing is
//! precomputed, and no text that somebody typed ever becomes SQL or a `MATCH` expression. The tables of texts are touched
//! for the rows that are shown. A test compares what is read with what
//! FTS5 itself says of indexes that it wrote.
//!
//! # Limits
//!
//! A query has [`MAX_QUERY_BYTES`] and [`MAX_CLAUSES`], an answer [`MAX_PER_PAGE`] results and [`MAX_RESULTS`] in reach; a query
//! has a time limit, and so many run at a time; so many packs are open ([`LibraryOptions`]).

mod answer;
mod answering;
mod error;
mod file;
mod files;
mod filter;
mod index;
mod layout;
mod library;
mod metrics;
mod parse;
mod postings;
mod query;
mod ranking;
mod refresh;
mod searcher;
mod shelf;
mod snippet;
mod wording;

pub use crate::answer::{Answer, Hit, MAX_PER_PAGE, MAX_RESULTS, Request};
pub use crate::error::{RefreshError, SearchError};
pub use crate::file::search_file;
pub use crate::library::{Library, LibraryOptions};
pub use crate::metrics::Metrics;
pub use crate::query::{Clause, Filter, MAX_CLAUSES, MAX_QUERY_BYTES, Query};
pub use crate::refresh::Refreshed;
pub use crate::snippet::{Highlighted, SNIPPET_BYTES};
