//! Cuts what a client sends into lines, whole runs of them at a time.

use std::mem;

/// The incomplete line at the end of what a client has sent so far.
///
/// Takes memory only while there is one, and never more than twice the limit.
#[derive(Debug)]
pub(super) struct Framer {
    rest: Vec<u8>,
    /// Whether the line is already too long. Nothing of it is kept then.
    is_skipping: bool,
    limit: usize,
}

/// What a piece of a stream completes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Completed {
    /// Whether the first line that ended was longer than the limit; it is not in `lines`.
    pub(super) is_first_too_long: bool,
    /// All other lines that ended, each with its newline.
    pub(super) lines: Vec<u8>,
}

impl Framer {
    /// For lines of up to `limit` bytes, newlines not counted.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            rest: Vec::new(),
            is_skipping: false,
            limit,
        }
    }

    /// Takes the next piece, which must not be longer than the limit: so only a line that began before it can be too long.
    pub(super) fn push(&mut self, piece: &[u8]) -> Completed {
        debug_assert!(piece.len() <= self.limit);
        let Some(last) = memchr::memrchr(b'\n', piece) else {
            self.keep(piece);
            return Completed::default();
        };
        let (complete, tail) = piece.split_at(last + 1);
        let completed = self.complete(complete);
        self.keep(tail);
        completed
    }

    /// `piece` ends with a newline.
    fn complete(&mut self, piece: &[u8]) -> Completed {
        let mut lines = mem::take(&mut self.rest);
        let was_skipping = mem::take(&mut self.is_skipping);
        if !was_skipping && lines.is_empty() {
            lines.extend_from_slice(piece);
            return Completed {
                is_first_too_long: false,
                lines,
            };
        }
        let first = memchr::memchr(b'\n', piece).unwrap_or(piece.len());
        let is_first_too_long = was_skipping || lines.len() + first > self.limit;
        let mut others = piece;
        if is_first_too_long {
            lines = Vec::new();
            others = piece.get(first + 1..).unwrap_or_default();
        }
        lines.extend_from_slice(others);
        Completed {
            is_first_too_long,
            lines,
        }
    }

    /// Keeps the beginning of a line, or gives it up when it is too long.
    fn keep(&mut self, tail: &[u8]) {
        if self.is_skipping || tail.is_empty() {
            return;
        }
        if self.rest.len() + tail.len() > self.limit {
            self.is_skipping = true;
            self.rest = Vec::new();
            return;
        }
        self.rest.extend_from_slice(tail);
    }
}
