//! The full-text index of a pack, read without the query engine of FTS5.
//!
//! FTS5 scores every match anew for every query, at some microseconds each, so common words are slow. What lies in its
//! tables is a plain inverted index: of each term, the passages that contain it and where. Reading it directly costs
//! some nanoseconds per match. The format is described at the top of `fts5_index.c` of SQLite and has been the same since
//! 2015; version 4 is read here, and a test compares what is read with what `fts5vocab` says.
//!
//! - `search_data` holds numbered blocks. Block 10 lists the segments; a pack has one, since it is written once.
//! - A segment is a series of leaf pages: terms in order, each with its list of rows and positions, which may go on over
//!   the following pages. A page begins with the offsets (16 bits each) of the first row that begins on the page before any
//!   term and of the footer. The footer lists the offsets of the terms.
//! - `search_idx` leads from a term to the page where it may begin.

use rusqlite::{Connection, OptionalExtension};

use crate::SearchError;

const STRUCTURE_BLOCK: i64 = 10;
const FORMAT: i64 = 4;
/// Every term of the main index begins with this byte.
const MAIN: u8 = b'0';
const HEADER_BYTES: usize = 4;
const SEGMENT_SHIFT: u32 = 37;

/// Which terms to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Terms<'a> {
    /// This one.
    Is(&'a str),
    /// All that begin so, at most [`MAX_PREFIX_TERMS`].
    BeginWith(&'a str),
}

/// Terms that one prefix stands for, at most; those that come later in the alphabet are left out.
pub(crate) const MAX_PREFIX_TERMS: usize = 20_000;

/// What is called for every row of a term: its id and its encoded [`positions`].
pub(crate) type OnRow<'a> = &'a mut dyn FnMut(i64, &[u8]);

/// The index of one open pack.
pub(crate) struct Index {
    segments: Vec<Segment>,
}

struct Segment {
    id: i64,
    first_leaf: i64,
    last_leaf: i64,
}

impl Index {
    /// Reads the list of segments.
    pub(crate) fn open(connection: &Connection) -> Result<Self, SearchError> {
        let version = connection.query_row("SELECT v FROM search_config WHERE k = 'version'", [], |row| {
            row.get(0)
        });
        if version.optional()? != Some(FORMAT) {
            return Err(damaged("its index has another format than the supported one"));
        }
        let sql = "SELECT block FROM search_data WHERE id = ?1";
        let structure: Vec<u8> = connection.query_row(sql, [STRUCTURE_BLOCK], |row| row.get(0))?;
        let segments = read_structure(&structure).ok_or_else(|| damaged("its list of index segments"))?;
        Ok(Self { segments })
    }

    /// Calls `on_row` for every row of every term meant; rows of one term come in order (in each segment). Stops early where
    /// `go_on`, which is asked before every page, says so.
    pub(crate) fn rows(
        &self,
        connection: &Connection,
        terms: &Terms<'_>,
        go_on: &dyn Fn() -> Result<(), SearchError>,
        on_row: OnRow<'_>,
    ) -> Result<(), SearchError> {
        for segment in &self.segments {
            let reader = Reader {
                connection,
                segment,
                go_on,
            };
            reader.rows(terms, on_row)?;
        }
        Ok(())
    }

    /// Whether rows of one term may come out of order, for there are several segments.
    pub(crate) fn is_split(&self) -> bool {
        self.segments.len() > 1
    }
}

fn read_structure(block: &[u8]) -> Option<Vec<Segment>> {
    // The first four bytes only tell FTS5 whether somebody else changed the index.
    let mut bytes = Bytes { bytes: block, at: 4 };
    let levels = bytes.varint()?;
    let _segments = bytes.varint()?;
    let _writes = bytes.varint()?;
    let mut segments = Vec::new();
    for _ in 0..levels {
        let _merging = bytes.varint()?;
        for _ in 0..bytes.varint()? {
            let mut number = || i64::try_from(bytes.varint()?).ok();
            let (id, first_leaf, last_leaf) = (number()?, number()?, number()?);
            segments.push(Segment {
                id,
                first_leaf,
                last_leaf,
            });
        }
    }
    Some(segments)
}

/// Reads one segment for one look-up.
struct Reader<'a> {
    connection: &'a Connection,
    segment: &'a Segment,
    go_on: &'a dyn Fn() -> Result<(), SearchError>,
}

impl Reader<'_> {
    fn rows(&self, terms: &Terms<'_>, on_row: OnRow<'_>) -> Result<(), SearchError> {
        let (Terms::Is(sought) | Terms::BeginWith(sought)) = terms;
        let key: Vec<u8> = [&[MAIN], sought.as_bytes()].concat();
        let mut number = self.first_leaf(&key)?;
        let mut found = 0;
        while let Some(leaf) = self.leaf(number)? {
            let mut term = Vec::new();
            for at in 0..leaf.terms.len() {
                let list = leaf
                    .read_term(at, &mut term)
                    .ok_or_else(|| damaged("a term of its index"))?;
                let wanted = match terms {
                    Terms::Is(_) => term == key,
                    Terms::BeginWith(_) => term.starts_with(&key),
                };
                if wanted {
                    self.list(&leaf, number, list)?
                        .each(on_row)
                        .ok_or_else(|| damaged("a list of its index"))?;
                    found += 1;
                } else if term > key {
                    return Ok(());
                }
                if found == MAX_PREFIX_TERMS || (found > 0 && matches!(terms, Terms::Is(_))) {
                    return Ok(());
                }
            }
            number += 1;
        }
        Ok(())
    }

    /// The last page that begins with a term up to `key`.
    fn first_leaf(&self, key: &[u8]) -> Result<i64, SearchError> {
        let sql = "SELECT pgno FROM search_idx WHERE segid = ?1 AND term <= ?2 ORDER BY term DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found: Option<i64> = statement
            .query_row((self.segment.id, key), |row| row.get(0))
            .optional()?;
        // The lowest bit says whether the page has an index of its rows.
        Ok(found.map_or(0, |page| page >> 1).max(self.segment.first_leaf))
    }

    /// A page by number; none behind the last.
    fn leaf(&self, number: i64) -> Result<Option<Leaf>, SearchError> {
        if number > self.segment.last_leaf {
            return Ok(None);
        }
        (self.go_on)()?;
        let mut statement = self
            .connection
            .prepare_cached("SELECT block FROM search_data WHERE id = ?1")?;
        let id = self.segment.id.wrapping_shl(SEGMENT_SHIFT).wrapping_add(number);
        let block: Option<Vec<u8>> = statement.query_row([id], |row| row.get(0)).optional()?;
        let leaf = block
            .and_then(Leaf::new)
            .ok_or_else(|| damaged("a page of its index"))?;
        Ok(Some(leaf))
    }

    /// The whole list that begins on `leaf`, put together over pages.
    fn list(&self, leaf: &Leaf, number: i64, part: std::ops::Range<usize>) -> Result<List, SearchError> {
        let goes_on = part.end == leaf.footer;
        let mut list = List {
            bytes: leaf.block.get(part).unwrap_or_default().to_vec(),
            restarts: Vec::new(),
        };
        let mut number = number;
        let mut goes_on = goes_on;
        while goes_on {
            number += 1;
            let Some(next) = self.leaf(number)? else { break };
            goes_on = next.terms.is_empty();
            list.append(&next);
        }
        Ok(list)
    }
}

/// One page of a segment.
struct Leaf {
    block: Vec<u8>,
    /// Where the first row begins that belongs to a term of an earlier page; 0 for none.
    first_row: usize,
    footer: usize,
    /// Where each term begins.
    terms: Vec<usize>,
}

impl Leaf {
    fn new(block: Vec<u8>) -> Option<Self> {
        let &[a, b, c, d, ..] = block.as_slice() else {
            return None;
        };
        let (first_row, footer) = (
            u16::from_be_bytes([a, b]).into(),
            u16::from_be_bytes([c, d]).into(),
        );
        if footer < HEADER_BYTES || footer > block.len() {
            return None;
        }
        let mut terms = Vec::new();
        let mut offsets = Bytes {
            bytes: &block,
            at: footer,
        };
        let mut at = 0_usize;
        while offsets.at < block.len() {
            at = at.checked_add(usize::try_from(offsets.varint()?).ok()?)?;
            if at < HEADER_BYTES || at >= footer || terms.last().is_some_and(|last| at <= *last) {
                return None;
            }
            terms.push(at);
        }
        Some(Self {
            block,
            first_row,
            footer,
            terms,
        })
    }

    /// Turns `term` from the term before into the term `number`, and says where its list is.
    fn read_term(&self, number: usize, term: &mut Vec<u8>) -> Option<std::ops::Range<usize>> {
        let mut bytes = Bytes {
            bytes: &self.block,
            at: *self.terms.get(number)?,
        };
        let shared = if number == 0 {
            0
        } else {
            usize::try_from(bytes.varint()?).ok()?
        };
        let rest = usize::try_from(bytes.varint()?).ok()?;
        let end = bytes.at.checked_add(rest)?;
        if shared > term.len() {
            return None;
        }
        term.truncate(shared);
        term.extend_from_slice(self.block.get(bytes.at..end)?);
        let list_end = self.terms.get(number + 1).copied().unwrap_or(self.footer);
        (end <= list_end).then_some(end..list_end)
    }
}

/// The rows of a term with their positions.
struct List {
    bytes: Vec<u8>,
    /// Where a row begins whose id is written out instead of as the difference to the one before.
    restarts: Vec<usize>,
}

impl List {
    fn append(&mut self, leaf: &Leaf) {
        let end = leaf.terms.first().copied().unwrap_or(leaf.footer);
        if (HEADER_BYTES..end).contains(&leaf.first_row) {
            self.restarts
                .push(self.bytes.len() + leaf.first_row - HEADER_BYTES);
        }
        self.bytes
            .extend_from_slice(leaf.block.get(HEADER_BYTES..end).unwrap_or_default());
    }

    fn each(&self, on_row: OnRow<'_>) -> Option<()> {
        let mut bytes = Bytes {
            bytes: &self.bytes,
            at: 0,
        };
        let mut restarts = self.restarts.iter().peekable();
        let mut row = 0_i64;
        while bytes.at < self.bytes.len() {
            if restarts.next_if(|restart| **restart <= bytes.at).is_some() {
                row = 0;
            }
            row = row.wrapping_add(bytes.varint()?.cast_signed());
            // The lowest bit would mark a deleted row, which a pack that is written once has not.
            let length = usize::try_from(bytes.varint()? >> 1).ok()?;
            let end = bytes.at.checked_add(length)?;
            on_row(row, self.bytes.get(bytes.at..end)?);
            bytes.at = end;
        }
        Some(())
    }
}

/// The places of a row: column and number of the word in it, from 0, in order. Ends at damage.
pub(crate) fn positions(encoded: &[u8]) -> Positions<'_> {
    Positions {
        bytes: Bytes {
            bytes: encoded,
            at: 0,
        },
        column: 0,
        word: 0,
    }
}

/// See [`positions`].
pub(crate) struct Positions<'a> {
    bytes: Bytes<'a>,
    column: usize,
    word: u64,
}

impl Iterator for Positions<'_> {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.at >= self.bytes.bytes.len() {
            return None;
        }
        let mut step = self.bytes.varint()?;
        if step == 1 {
            self.column = usize::try_from(self.bytes.varint()?).ok()?;
            self.word = 0;
            step = self.bytes.varint()?;
        }
        self.word = self.word.checked_add(step.checked_sub(2)?)?;
        Some((self.column, self.word))
    }
}

/// Bytes that are read from the front.
struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    /// SQLite's variable-length integer: seven bits a byte, high ones first, the ninth byte whole.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for _ in 0..8 {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value = (value << 7) | u64::from(byte & 0x7f);
            if byte < 0x80 {
                return Some(value);
            }
        }
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some((value << 8) | u64::from(byte))
    }
}

/// The sizes of the columns of a row, in words, as the table `search_docsize` holds them.
pub(crate) fn column_sizes(encoded: &[u8]) -> impl Iterator<Item = u64> {
    let mut bytes = Bytes {
        bytes: encoded,
        at: 0,
    };
    std::iter::from_fn(move || bytes.varint())
}

fn damaged(what: &str) -> SearchError {
    SearchError::Pack(pack::PackError::Corrupt(what.to_owned()))
}

#[cfg(test)]
mod tests;
