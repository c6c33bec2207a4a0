//! A block of text turned into sorted terms and the places where each stands.

use crate::index::block::{Block, MAX_ROWS};
use crate::index::dictionary::{Dictionary, Numbered, Term};
use crate::index::varint;
use crate::schema::COLUMNS;

/// The terms of a block, sorted, each with the rows and positions where it stands, encoded as FTS5 does.
pub(crate) struct InvertedBlock {
    /// Position in the order of blocks, which is that of the ids of their rows.
    pub(crate) number: usize,
    /// Tokens of all rows by column.
    pub(crate) totals: [u64; COLUMNS],
    rows: Vec<(i64, [u32; COLUMNS])>,
    terms: Vec<u8>,
    doclists: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where a term and its doclist end; they begin where those before end.
struct Entry {
    term_end: u32,
    doclist_end: u32,
    first: i64,
    last: i64,
}

/// The rows and positions of one term in one block.
#[derive(Clone, Copy)]
pub(crate) struct Doclist<'a> {
    /// Id of the first row.
    pub(crate) first: i64,
    /// Id of the last row.
    pub(crate) last: i64,
    /// The encoded list, without the id of the first row: positions of the first row; then for each further row the
    /// difference of its id and its positions.
    pub(crate) bytes: &'a [u8],
}

impl InvertedBlock {
    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.terms.len() + self.doclists.len() + size_of_val(&*self.entries) + size_of_val(&*self.rows)
    }

    /// Ids of the rows, and their numbers of tokens by column.
    pub(crate) fn rows(&self) -> &[(i64, [u32; COLUMNS])] {
        &self.rows
    }

    /// The term at `index` and its doclist; none behind the last.
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], Doclist<'_>)> {
        let entry = self.entries.get(index)?;
        let (term_start, doclist_start) = match index.checked_sub(1) {
            Some(before) => (self.entries[before].term_end, self.entries[before].doclist_end),
            None => (0, 0),
        };
        let term = &self.terms[term_start as usize..entry.term_end as usize];
        let bytes = &self.doclists[doclist_start as usize..entry.doclist_end as usize];
        Some((
            term,
            Doclist {
                first: entry.first,
                last: entry.last,
                bytes,
            },
        ))
    }
}

/// Inverts blocks, one after the other, reusing its memory.
pub(crate) struct Inverter {
    dictionary: Dictionary,
    postings: Vec<Posting>,
    sorted: Vec<Posting>,
    ends: Vec<u32>,
}

/// A term at a place, in one word: number of the term (24 bits), of the row in its block (20), of the column (2) and of
/// the token in it (18).
///
/// That is enough: a dictionary has at most 2^20 terms before a block, which adds fewer than it has bytes; a field has at
/// most 64 KiB, hence half as many tokens, and three such fields have at most two extra terms for each token.
#[derive(Clone, Copy)]
struct Posting(u64);

const _: () = assert!(MAX_ROWS <= 1 << 20 && COLUMNS <= 1 << 2);

impl Posting {
    fn new(term: u32, row: usize, column: usize, position: u32) -> Self {
        Self(u64::from(term) << 40 | (row as u64) << 20 | (column as u64) << 18 | u64::from(position))
    }

    fn term(self) -> usize {
        (self.0 >> 40) as usize
    }

    fn row(self) -> usize {
        (self.0 >> 20) as usize & (MAX_ROWS - 1)
    }

    fn column(self) -> u8 {
        (self.0 >> 18) as u8 & 3
    }

    fn position(self) -> u32 {
        self.0 as u32 & 0x3_ffff
    }
}

impl Inverter {
    pub(crate) fn new(dictionary: Dictionary) -> Self {
        Self {
            dictionary,
            postings: Vec::new(),
            sorted: Vec::new(),
            ends: Vec::new(),
        }
    }

    pub(crate) fn dictionary(&mut self) -> &mut Dictionary {
        &mut self.dictionary
    }

    pub(crate) fn invert(&mut self, block: &Block) -> InvertedBlock {
        let mut inverted = InvertedBlock {
            number: block.number,
            totals: [0; COLUMNS],
            rows: Vec::new(),
            terms: Vec::new(),
            doclists: Vec::with_capacity(block.bytes() / 2),
            entries: Vec::new(),
        };
        self.collect(block, &mut inverted);
        self.sort();
        self.encode(&mut inverted);
        inverted
    }

    /// Lists the tokens of all rows.
    fn collect(&mut self, block: &Block, inverted: &mut InvertedBlock) {
        self.postings.clear();
        let mut title = ("", Vec::new());
        for (number, row) in block.rows().enumerate() {
            self.dictionary.counts().begin_row();
            let [row_title, heading, text, terms] = row.fields;
            if title.0 != row_title {
                title = (row_title, self.tokens(row_title));
            }
            let sizes = [
                self.collect_title(number, &title.1),
                self.collect_field(number, 1, heading),
                self.collect_field(number, 2, text),
                self.collect_terms(number, terms),
            ];
            inverted
                .totals
                .iter_mut()
                .zip(sizes)
                .for_each(|(total, size)| *total += u64::from(size));
            inverted.rows.push((row.id, sizes));
        }
    }

    fn tokens(&mut self, text: &str) -> Vec<Numbered> {
        let mut tokens = Vec::new();
        self.dictionary.tokens(text, |token, _| tokens.push(token));
        tokens
    }

    /// Rows of one page share a title, which is tokenized once.
    fn collect_title(&mut self, row: usize, tokens: &[Numbered]) -> u32 {
        let mut position = 0;
        for token in tokens {
            self.postings.push(Posting::new(token.term, row, 0, position));
            self.dictionary.counts().count(*token);
            position += 1;
        }
        position
    }

    fn collect_field(&mut self, row: usize, column: usize, text: &str) -> u32 {
        let mut position = 0;
        let postings = &mut self.postings;
        self.dictionary.tokens(text, |token, counts| {
            postings.push(Posting::new(token.term, row, column, position));
            counts.count(token);
            position += 1;
        });
        position
    }

    /// Extra terms are no words that anybody wrote, and are not counted as such.
    fn collect_terms(&mut self, row: usize, terms: &str) -> u32 {
        let mut position = 0;
        let postings = &mut self.postings;
        self.dictionary.tokens(terms, |token, _| {
            postings.push(Posting::new(token.term, row, 3, position));
            position += 1;
        });
        position
    }

    /// Sorts by term, by counting; the order within a term stays, which is that of row, column and position.
    fn sort(&mut self) {
        self.ends.clear();
        self.ends.resize(self.dictionary.terms().len(), 0);
        for posting in &self.postings {
            self.ends[posting.term()] += 1;
        }
        let mut start = 0;
        for end in &mut self.ends {
            start += std::mem::replace(end, start);
        }
        self.sorted.resize(self.postings.len(), Posting(0));
        for posting in &self.postings {
            let place = &mut self.ends[posting.term()];
            self.sorted[*place as usize] = *posting;
            *place += 1;
        }
    }

    fn encode(&self, inverted: &mut InvertedBlock) {
        for number in self.terms_in_order() {
            let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            let postings = &self.sorted[start as usize..self.ends[number] as usize];
            let (Some(first), Some(last)) = (postings.first(), postings.last()) else {
                continue;
            };
            encode_doclist(postings, &inverted.rows, &mut inverted.doclists);
            inverted
                .terms
                .extend_from_slice(&self.dictionary.terms()[number].bytes);
            inverted.entries.push(Entry {
                term_end: inverted.terms.len() as u32,
                doclist_end: inverted.doclists.len() as u32,
                first: inverted.rows[first.row()].0,
                last: inverted.rows[last.row()].0,
            });
        }
    }

    /// Numbers of the terms that occur, in the order of their bytes.
    fn terms_in_order(&self) -> Vec<usize> {
        let terms = self.dictionary.terms();
        let occurs =
            |number: &usize| number.checked_sub(1).map_or(0, |before| self.ends[before]) < self.ends[*number];
        let mut order: Vec<(u64, usize)> = (0..terms.len())
            .filter(occurs)
            .map(|number| (terms[number].head, number))
            .collect();
        let rest = |number: usize| -> &Term { &terms[number] };
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).bytes.cmp(&rest(b.1).bytes)));
        order.into_iter().map(|(_, number)| number).collect()
    }
}

/// Appends the doclist of the postings of one term.
fn encode_doclist(postings: &[Posting], rows: &[(i64, [u32; COLUMNS])], doclist: &mut Vec<u8>) {
    let mut before: Option<i64> = None;
    for of_row in postings.chunk_by(|a, b| a.row() == b.row()) {
        let id = rows[of_row[0].row()].0;
        if let Some(before) = before.replace(id) {
            varint::push(doclist, (id - before).cast_unsigned());
        }
        encode_poslist(of_row, doclist);
    }
}

/// Appends twice the length of the list (the lowest bit would mark a deleted row) and the list: differences of positions, and where a
/// column begins that is not the first, 1 and its number.
fn encode_poslist(postings: &[Posting], doclist: &mut Vec<u8>) {
    let start = doclist.len();
    doclist.push(0);
    let (mut column, mut before) = (0, 0);
    for posting in postings {
        if posting.column() != column {
            column = posting.column();
            before = 0;
            doclist.extend([1, column]);
        }
        varint::push(doclist, u64::from(posting.position() - before + 2));
        before = posting.position();
    }
    let size = 2 * (doclist.len() - start - 1);
    if size < 0x80 {
        doclist[start] = size as u8;
        return;
    }
    let mut encoded = Vec::with_capacity(varint::MAX_BYTES);
    varint::push(&mut encoded, size as u64);
    doclist.splice(start..=start, encoded);
}
