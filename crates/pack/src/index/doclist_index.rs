use crate::index::varint;

/// The index of a doclist that spans several leaves: the first row of each, for seeking.
///
/// It is a b-tree of nodes of about the size of a leaf, usually one. A node holds a flag (0 for the root), the number of
/// the page that its first entry is about, the row that begins there, and for each page after that the difference
/// to its row, or 0 for a page on which no row begins.
#[derive(Default)]
pub(crate) struct DoclistIndex {
    levels: Vec<Level>,
}

/// The node of a level that is being filled.
#[derive(Default)]
struct Level {
    /// Number of the node: nodes of a level count up from the number of the leaf where the doclist begins.
    page: u64,
    bytes: Vec<u8>,
    first: i64,
    before: i64,
}

/// A node to store.
pub(crate) struct Node {
    pub(crate) height: u64,
    pub(crate) page: u64,
    pub(crate) bytes: Vec<u8>,
}

impl DoclistIndex {
    /// Begins the index of the doclist that begins on `page`.
    pub(crate) fn begin(&mut self, page: u64) {
        self.levels.iter_mut().for_each(|level| level.bytes.clear());
        match self.levels.first_mut() {
            Some(lowest) => lowest.page = page,
            None => self.levels.push(Level {
                page,
                ..Level::default()
            }),
        }
    }

    /// Notes that `row` is the first to begin on `page`. Full nodes of more than `limit` bytes go to `nodes`.
    pub(crate) fn push(&mut self, page: u64, row: i64, limit: usize, nodes: &mut Vec<Node>) {
        let mut child = page;
        for height in 0.. {
            let was_full = self.flush_if_full(height, limit, nodes);
            let level = &mut self.levels[height];
            if level.bytes.is_empty() {
                level.begin(child, row, was_full);
            } else {
                varint::push(&mut level.bytes, (row - level.before).cast_unsigned());
            }
            level.before = row;
            if !was_full {
                return;
            }
            child = level.page;
        }
    }

    /// Stores a full node, and makes room for the next one beside it, below a common parent.
    fn flush_if_full(&mut self, height: usize, limit: usize, nodes: &mut Vec<Node>) -> bool {
        if self.levels.len() == height + 1 {
            self.levels.push(Level::default());
        }
        let [.., level, parent] = &mut self.levels[..height + 2] else {
            return false;
        };
        if level.bytes.len() < limit {
            return false;
        }
        if parent.bytes.is_empty() {
            parent.page = level.page;
            parent.begin(level.page, level.first, false);
        }
        level.bytes[0] = 1;
        nodes.push(level.take(height));
        level.page += 1;
        true
    }

    /// Notes that no row begins on the next page.
    pub(crate) fn push_page_without_row(&mut self) {
        if let Some(lowest) = self.levels.first_mut().filter(|lowest| !lowest.bytes.is_empty()) {
            lowest.bytes.push(0);
        }
    }

    /// Whether no row began on a page after the first.
    pub(crate) fn is_empty(&self) -> bool {
        self.levels.first().is_none_or(|lowest| lowest.bytes.is_empty())
    }

    /// Ends the index: hands out the nodes that are still being filled.
    pub(crate) fn finish(&mut self, nodes: &mut Vec<Node>) {
        for (height, level) in self.levels.iter_mut().enumerate() {
            if level.bytes.is_empty() {
                return;
            }
            nodes.push(level.take(height));
        }
    }
}

impl Level {
    fn begin(&mut self, child: u64, row: i64, has_siblings: bool) {
        self.bytes.push(u8::from(has_siblings));
        varint::push(&mut self.bytes, child);
        varint::push(&mut self.bytes, row.cast_unsigned());
        self.first = row;
        self.before = row;
    }

    fn take(&mut self, height: usize) -> Node {
        Node {
            height: height as u64,
            page: self.page,
            bytes: std::mem::take(&mut self.bytes),
        }
    }
}
