//! The full-text index, built outside of SQLite and stored in the form in which FTS5 keeps it.
//!
//! FTS5 inverts a text one word at a time, in one thread, and merges what it wrote over and over. A pack is written
//! once, so we invert large blocks of it in several threads ([`inversion`]), merge the blocks once ([`merge`]) and store
//! the result as the one segment that FTS5 would have ended up with ([`segment`]). Words are what the tokenizer
//! of SQLite says they are: it is asked once for every distinct run of letters ([`dictionary`]). Afterwards FTS5 cannot
//! tell the difference; its own integrity check compares every word with the text.
//!
//! The format is that of the tables `%_data`, `%_idx` and `%_docsize`, as the comment at the top of SQLite's
//! `fts5_index.c` describes it; files of this format are read by every SQLite since 3.9 (2015).

mod block;
mod dictionary;
mod doclist_index;
mod inversion;
mod merge;
mod runs;
mod segment;
mod tables;
mod varint;
mod words;
mod workers;

#[cfg(test)]
mod tests;

use crate::index::block::Block;
pub(crate) use crate::index::block::Row;
use crate::index::inversion::InvertedBlock;
use crate::index::tables::Tables;
use crate::index::workers::Workers;

use std::num::NonZeroUsize;

use rusqlite::Connection;

use crate::PackError;

/// How the index is built; no choice changes what it finds.
#[derive(Clone, Debug)]
pub(crate) struct IndexOptions {
    /// Threads that invert text.
    pub(crate) threads: NonZeroUsize,
    /// Bytes of text that are inverted in one go, at most 8 MiB. Larger blocks mean fewer to merge, smaller ones stay in the
    /// processor's cache.
    pub(crate) block_bytes: usize,
    /// Bytes of inverted text to hold in memory before a segment is written.
    pub(crate) memory_bytes: usize,
    /// Size of a leaf page of the index, in bytes; what FTS5 calls `pgsz`.
    pub(crate) leaf_bytes: usize,
}

/// Collects rows, in ascending order of their ids, and writes the index over them.
pub(crate) struct Indexer {
    options: IndexOptions,
    block: Block,
    workers: Workers,
    inverted: Vec<InvertedBlock>,
    tables: Tables,
}

impl Indexer {
    /// An index without rows.
    pub(crate) fn new(options: IndexOptions) -> Result<Self, PackError> {
        let workers = Workers::start(options.threads)?;
        let tables = Tables::new(options.leaf_bytes);
        Ok(Self {
            options,
            block: Block::default(),
            workers,
            inverted: Vec::new(),
            tables,
        })
    }

    /// Adds a row; `id` is greater than all before.
    pub(crate) fn add(&mut self, row: &Row<'_>, connection: &Connection) -> Result<(), PackError> {
        self.block.push(row);
        if !self.block.is_full(self.options.block_bytes) {
            return Ok(());
        }
        self.workers.invert(std::mem::take(&mut self.block))?;
        self.inverted.extend(self.workers.ready());
        let held: usize = self.inverted.iter().map(InvertedBlock::bytes).sum();
        if held < self.options.memory_bytes {
            return Ok(());
        }
        self.write_segment(connection)
    }

    /// Writes what is left of the index, and the table `words`.
    pub(crate) fn finish(mut self, connection: &Connection) -> Result<(), PackError> {
        self.workers.invert(std::mem::take(&mut self.block))?;
        let (last, words) = self.workers.finish()?;
        self.inverted.extend(last);
        if !self.inverted.is_empty() {
            self.tables
                .write_segment(std::mem::take(&mut self.inverted), connection)?;
        }
        self.tables.write_totals(connection)?;
        words.write(connection)
    }

    fn write_segment(&mut self, connection: &Connection) -> Result<(), PackError> {
        self.tables
            .write_segment(std::mem::take(&mut self.inverted), connection)
    }
}
