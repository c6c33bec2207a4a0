//! A segment: sorted terms with their doclists on numbered leaf pages, and what is needed to find them.

use crate::index::doclist_index::{DoclistIndex, Node};
use crate::index::inversion::Doclist;
use crate::index::varint;

/// A leaf begins with the offset of the first row that begins on it before any term, and that of its footer.
const HEADER_BYTES: usize = 4;

/// A doclist gets an index when this many leaves hold nothing else.
const INDEXED_LEAVES: u64 = 4;

/// A row of one of the tables that store segments.
pub(crate) enum Stored {
    /// Of `search_data`: a page.
    Page {
        /// Which segment, kind, level and page.
        id: i64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Of `search_idx`: the leaf to look on for terms from `term` on.
    Leaf {
        /// A term that is greater than all on the leaves before.
        term: Vec<u8>,
        /// Twice the number of the leaf, and 1 more where the doclist that leaves it has an index.
        leaf: i64,
    },
}

/// Lays out a segment. Terms come in the order of their bytes, rows of a term in that of their ids.
pub(crate) struct SegmentWriter {
    number: i64,
    leaf_bytes: usize,
    page: u64,
    body: Vec<u8>,
    /// The offsets of the terms of the page, each as difference to the one before.
    footer: Vec<u8>,
    last_offset: usize,
    has_term: bool,
    /// Whether a row began on the page, before or after a term.
    has_row: bool,
    term: Vec<u8>,
    /// Whether the term has no rows yet.
    is_new: bool,
    row: i64,
    index: DoclistIndex,
    /// Leaves since the one with the last term.
    leaves_without_term: u64,
    /// The leaf with the last term, and a term that leads to it.
    entry: (u64, Vec<u8>),
    stored: Vec<Stored>,
}

impl SegmentWriter {
    /// An empty segment, with leaves of about `leaf_bytes`.
    pub(crate) fn new(number: i64, leaf_bytes: usize) -> Self {
        Self {
            number,
            leaf_bytes,
            page: 1,
            body: vec![0; HEADER_BYTES],
            footer: Vec::new(),
            last_offset: 0,
            has_term: false,
            has_row: false,
            term: Vec::new(),
            is_new: true,
            row: 0,
            index: DoclistIndex::default(),
            leaves_without_term: 0,
            entry: (1, Vec::new()),
            stored: Vec::new(),
        }
    }

    /// Takes what is ready to be stored.
    pub(crate) fn take_stored(&mut self) -> Vec<Stored> {
        std::mem::take(&mut self.stored)
    }

    /// Rows that are ready to be stored.
    pub(crate) fn ready(&self) -> usize {
        self.stored.len()
    }

    /// Begins the next term.
    pub(crate) fn begin_term(&mut self, term: &[u8]) {
        // The first row of a term stands on the same page.
        if !self.has_room(term.len() + 4 + 2 * varint::MAX_BYTES) {
            self.flush_leaf();
        }
        varint::push(&mut self.footer, (self.body.len() - self.last_offset) as u64);
        self.last_offset = self.body.len();
        let mut shared = shared_prefix(&self.term, term);
        if self.has_term {
            varint::push(&mut self.body, shared as u64);
        } else {
            if self.page > 1 {
                self.flush_entry();
                self.entry = (self.page, term[..=shared.min(term.len() - 1)].to_vec());
            }
            shared = 0;
        }
        varint::push(&mut self.body, (term.len() - shared) as u64);
        self.body.extend_from_slice(&term[shared..]);
        term.clone_into(&mut self.term);
        self.has_term = true;
        self.has_row = true;
        self.is_new = true;
        self.index.begin(self.page);
    }

    /// Appends rows to the doclist of the term.
    pub(crate) fn append(&mut self, doclist: Doclist<'_>) {
        let mut row = doclist.first;
        let mut rest = doclist.bytes;
        loop {
            if self.has_room(varint::MAX_BYTES + rest.len()) {
                self.push_row(row);
                self.body.extend_from_slice(rest);
                self.row = doclist.last;
                return;
            }
            let (size, size_bytes) = varint::read(rest);
            let (poslist, after) = rest
                .split_at_checked(size_bytes + size as usize / 2)
                .unwrap_or((rest, &[]));
            self.push_poslist(row, poslist, size_bytes);
            if after.is_empty() {
                return;
            }
            let (delta, delta_bytes) = varint::read(after);
            row += delta.cast_signed();
            rest = &after[delta_bytes..];
        }
    }

    /// Ends the segment, and tells the number of its leaves; none when there was no term.
    pub(crate) fn finish(&mut self) -> u64 {
        self.flush_leaf();
        if self.page > 1 {
            self.flush_entry();
        }
        self.page - 1
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.body.len() + self.footer.len() + bytes <= self.leaf_bytes
    }

    /// Writes the id of a row: the difference to the one before, or as it is where that is on another page.
    fn push_row(&mut self, row: i64) {
        if !self.has_row {
            let offset = (self.body.len() as u16).to_be_bytes();
            self.body[..2].copy_from_slice(&offset);
            let mut nodes = Vec::new();
            self.index.push(self.page, row, self.leaf_bytes, &mut nodes);
            self.store_nodes(nodes);
        }
        let value = if self.is_new || !self.has_row {
            row
        } else {
            row - self.row
        };
        varint::push(&mut self.body, value.cast_unsigned());
        self.has_row = true;
        self.is_new = false;
        self.row = row;
    }

    /// Writes a row with its positions, on several pages if need be. Its id and the size of the list stay together.
    fn push_poslist(&mut self, row: i64, poslist: &[u8], size_bytes: usize) {
        if !self.is_new && !self.has_room(varint::MAX_BYTES + size_bytes) {
            self.flush_leaf();
        }
        self.push_row(row);
        let (size, mut rest) = poslist.split_at(size_bytes);
        self.body.extend_from_slice(size);
        while !rest.is_empty() {
            let room = self
                .leaf_bytes
                .saturating_sub(self.body.len() + self.footer.len());
            let mut count = whole_varints(rest, room);
            if count == 0 && self.body.len() > HEADER_BYTES {
                self.flush_leaf();
                continue;
            }
            if count == 0 {
                // A page that is too small for one number gets one nevertheless.
                count = varint::read(rest).1;
            }
            self.body.extend_from_slice(&rest[..count]);
            rest = &rest[count..];
        }
    }

    fn flush_leaf(&mut self) {
        if self.body.len() == HEADER_BYTES {
            return;
        }
        let size = (self.body.len() as u16).to_be_bytes();
        self.body[2..HEADER_BYTES].copy_from_slice(&size);
        if !self.has_term {
            self.leaves_without_term += 1;
            if !self.has_row {
                self.index.push_page_without_row();
            }
        }
        let mut bytes = Vec::with_capacity(self.body.len() + self.footer.len());
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(&self.footer);
        self.stored.push(Stored::Page {
            id: page_id(self.number, None, self.page),
            bytes,
        });
        self.body.clear();
        self.body.resize(HEADER_BYTES, 0);
        self.footer.clear();
        self.last_offset = 0;
        self.has_term = false;
        self.has_row = false;
        self.page += 1;
    }

    /// Stores the way to the leaf with the last term, and the index of its last doclist if that is worth it.
    fn flush_entry(&mut self) {
        let is_indexed = self.leaves_without_term >= INDEXED_LEAVES && !self.index.is_empty();
        if is_indexed {
            let mut nodes = Vec::new();
            self.index.finish(&mut nodes);
            self.store_nodes(nodes);
        }
        self.leaves_without_term = 0;
        let (leaf, term) = std::mem::take(&mut self.entry);
        self.stored.push(Stored::Leaf {
            term,
            leaf: (leaf << 1).cast_signed() | i64::from(is_indexed),
        });
    }

    fn store_nodes(&mut self, nodes: Vec<Node>) {
        for node in nodes {
            let id = page_id(self.number, Some(node.height), node.page);
            self.stored.push(Stored::Page {
                id,
                bytes: node.bytes,
            });
        }
    }
}

/// The id of a page in `search_data`: segment (16 bits), whether it belongs to an index of a doclist (1), its height there
/// (5), its number (31).
fn page_id(segment: i64, height: Option<u64>, page: u64) -> i64 {
    let kind = height.map_or(0, |height| 1 << 36 | height << 31);
    (segment << 37) + (kind + page).cast_signed()
}

fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How many of the first `room` bytes are complete numbers.
fn whole_varints(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room {
        return bytes.len();
    }
    bytes[..room]
        .iter()
        .rposition(|&byte| byte < 0x80)
        .map_or(0, |last| last + 1)
}
