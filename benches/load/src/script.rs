//! What a connection says and must hear, byte for byte, made before the clock runs.

use std::ops::Range;

/// Requests in their order, and beside each the answer that it must get.
#[derive(Default)]
pub(crate) struct Script {
    requests: Pieces,
    answers: Pieces,
}

/// Texts behind one another, so that any run of them is one slice.
#[derive(Default)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    /// Where each piece ends.
    ends: Vec<usize>,
}

impl Script {
    /// Adds a request and its answer.
    pub(crate) fn push(&mut self, request: &str, answer: &str) {
        self.requests.push(request);
        self.answers.push(answer);
    }

    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        self.requests.ends.len()
    }

    pub(crate) fn requests(&self) -> &Pieces {
        &self.requests
    }

    pub(crate) fn answers(&self) -> &Pieces {
        &self.answers
    }
}

impl Pieces {
    fn push(&mut self, piece: &str) {
        self.bytes.extend_from_slice(piece.as_bytes());
        self.ends.push(self.bytes.len());
    }

    /// Where the bytes of these pieces are.
    pub(crate) fn span(&self, pieces: &Range<usize>) -> Range<usize> {
        self.start(pieces.start)..self.start(pieces.end)
    }

    /// The bytes of a span.
    pub(crate) fn bytes(&self, span: Range<usize>) -> &[u8] {
        self.bytes.get(span).unwrap_or_default()
    }

    /// How many of these pieces end at or before byte `at`.
    pub(crate) fn ended(&self, pieces: &Range<usize>, at: usize) -> usize {
        // Nearly always all that were asked for are there.
        if self.start(pieces.end) <= at {
            return pieces.len();
        }
        let ends = self.ends.get(pieces.clone()).unwrap_or_default();
        ends.partition_point(|&end| end <= at)
    }

    fn start(&self, piece: usize) -> usize {
        let before = piece.checked_sub(1).and_then(|before| self.ends.get(before));
        before.copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_pieces_is_one_slice_and_knows_how_many_have_ended() {
        let mut pieces = Pieces::default();
        for piece in ["a\n", "bb\n", "ccc\n"] {
            pieces.push(piece);
        }
        let last_two = 1..3;
        assert_eq!(pieces.bytes(pieces.span(&last_two)), b"bb\nccc\n");
        let ended = |at| pieces.ended(&last_two, at);
        assert_eq!(
            [ended(2), ended(4), ended(5), ended(8), ended(9)],
            [0, 0, 1, 1, 2]
        );
    }
}
