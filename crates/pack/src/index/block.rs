use crate::schema::COLUMNS;

/// Rows of a block at most: [`inversion`](super::inversion) counts them in 20 bits.
pub(crate) const MAX_ROWS: usize = 1 << 20;

/// A row of the index: its id and its fields in the order of the columns.
pub(crate) struct Row<'a> {
    pub(crate) id: i64,
    pub(crate) fields: [&'a str; COLUMNS],
}

/// Consecutive rows.
#[derive(Default)]
pub(crate) struct Block {
    /// Position in the order of blocks.
    pub(crate) number: usize,
    text: String,
    /// Bytes of all fields, shared text counted as often as it is shared: what inverting takes memory for.
    weight: usize,
    rows: Vec<Span>,
}

/// Where the fields of a row are in the text of its block. Equal neighbours, such as the titles of the passages of a page,
/// share their text.
#[derive(Clone, Copy)]
struct Span {
    id: i64,
    fields: [(u32, u32); COLUMNS],
}

impl Block {
    pub(crate) fn push(&mut self, row: &Row<'_>) {
        let mut span = Span {
            id: row.id,
            fields: [(0, 0); COLUMNS],
        };
        for (column, field) in row.fields.into_iter().enumerate() {
            span.fields[column] = self.place(column, field);
            self.weight += field.len();
        }
        self.rows.push(span);
    }

    fn place(&mut self, column: usize, field: &str) -> (u32, u32) {
        if let Some(before) = self.rows.last().map(|row| row.fields[column])
            && self.slice(before) == field
        {
            return before;
        }
        let start = self.text.len();
        self.text.push_str(field);
        // A block is full long before 4 GiB.
        (start as u32, self.text.len() as u32)
    }

    fn slice(&self, (start, end): (u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    /// Whether its fields have `limit` bytes, or it has as many rows as can be.
    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.weight >= limit || self.rows.len() >= MAX_ROWS
    }

    /// Bytes of text.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|row| Row {
            id: row.id,
            fields: row.fields.map(|span| self.slice(span)),
        })
    }
}
