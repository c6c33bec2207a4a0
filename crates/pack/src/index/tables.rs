use std::sync::mpsc;
use std::thread;

use rusqlite::{CachedStatement, Connection};

use crate::PackError;
use crate::index::inversion::InvertedBlock;
use crate::index::merge::merge;
use crate::index::segment::{SegmentWriter, Stored};
use crate::index::varint;
use crate::schema::COLUMNS;

/// The row of `search_data` that says how many rows and tokens there are.
const TOTALS_ID: i64 = 1;

/// The row of `search_data` that lists the segments.
const STRUCTURE_ID: i64 = 10;

/// The tables in which FTS5 keeps the index `search`, as far as they are written.
pub(crate) struct Tables {
    leaf_bytes: usize,
    /// Number of leaves of each segment; the first segment has number 1.
    segments: Vec<u64>,
    rows: u64,
    tokens: [u64; COLUMNS],
}

impl Tables {
    pub(crate) fn new(leaf_bytes: usize) -> Self {
        Self {
            leaf_bytes,
            segments: Vec::new(),
            rows: 0,
            tokens: [0; COLUMNS],
        }
    }

    /// Merges `blocks` into the next segment and stores it. One thread merges while this one stores.
    pub(crate) fn write_segment(
        &mut self,
        mut blocks: Vec<InvertedBlock>,
        connection: &Connection,
    ) -> Result<(), PackError> {
        blocks.sort_unstable_by_key(|block| block.number);
        let number = self.segments.len() as i64 + 1;
        let mut segment = SegmentWriter::new(number, self.leaf_bytes);
        let leaves = thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(16);
            let blocks = &blocks;
            let merging =
                scope.spawn(move || merge(blocks, &mut segment, |stored| sender.send(stored).is_ok()));
            self.write_sizes(blocks, connection)?;
            store(number, receiver, connection)?;
            Ok::<_, PackError>(
                merging
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            )
        })?;
        if leaves > 0 {
            self.segments.push(leaves);
        }
        Ok(())
    }

    /// Stores how many tokens each row has, which ranking needs.
    fn write_sizes(&mut self, blocks: &[InvertedBlock], connection: &Connection) -> Result<(), PackError> {
        let mut insert = connection.prepare_cached("INSERT INTO search_docsize(id, sz) VALUES(?1, ?2)")?;
        let mut encoded = Vec::new();
        for block in blocks {
            self.rows += block.rows().len() as u64;
            self.tokens
                .iter_mut()
                .zip(block.totals)
                .for_each(|(total, of_block)| *total += of_block);
            for (id, sizes) in block.rows() {
                encoded.clear();
                sizes
                    .iter()
                    .for_each(|size| varint::push(&mut encoded, u64::from(*size)));
                insert.execute((id, encoded.as_slice()))?;
            }
        }
        Ok(())
    }

    /// Stores the totals and the list of segments.
    pub(crate) fn write_totals(&self, connection: &Connection) -> Result<(), PackError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut totals = Vec::new();
        varint::push(&mut totals, self.rows);
        self.tokens
            .iter()
            .for_each(|tokens| varint::push(&mut totals, *tokens));
        let mut replace = connection.prepare("REPLACE INTO search_data(id, block) VALUES(?1, ?2)")?;
        replace.execute((TOTALS_ID, totals))?;
        if self.segments.is_empty() {
            return Ok(());
        }
        let sql = "SELECT block FROM search_data WHERE id = ?1";
        let created: Vec<u8> = connection.query_row(sql, [STRUCTURE_ID], |row| row.get(0))?;
        replace.execute((STRUCTURE_ID, self.structure(&created)))?;
        Ok(())
    }

    /// The list of segments: the version of the settings, which is in the record that FTS5 created, then the number of levels and
    /// segments, the leaves written so far, and our one level with no merge under way and all segments.
    fn structure(&self, created: &[u8]) -> Vec<u8> {
        let count = self.segments.len() as u64;
        let mut structure = created.get(..4).unwrap_or(&[0; 4]).to_vec();
        for value in [1, count, self.segments.iter().sum(), 0, count] {
            varint::push(&mut structure, value);
        }
        for (number, leaves) in (1..).zip(&self.segments) {
            for value in [number, 1, *leaves] {
                varint::push(&mut structure, value);
            }
        }
        structure
    }
}

fn store(
    segment: i64,
    stored: mpsc::Receiver<Vec<Stored>>,
    connection: &Connection,
) -> Result<(), PackError> {
    let mut pages = connection.prepare_cached("INSERT INTO search_data(id, block) VALUES(?1, ?2)")?;
    let mut leaves =
        connection.prepare_cached("INSERT INTO search_idx(segid, term, pgno) VALUES(?1, ?2, ?3)")?;
    for row in stored.into_iter().flatten() {
        store_row(segment, &row, &mut pages, &mut leaves)?;
    }
    Ok(())
}

fn store_row(
    segment: i64,
    row: &Stored,
    pages: &mut CachedStatement<'_>,
    leaves: &mut CachedStatement<'_>,
) -> Result<(), PackError> {
    match row {
        Stored::Page { id, bytes } => pages.execute((id, bytes))?,
        Stored::Leaf { term, leaf } => leaves.execute((segment, term, leaf))?,
    };
    Ok(())
}
