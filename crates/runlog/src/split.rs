use memchr::{memchr, memchr_iter, memchr2};

/// Finds lines in what a program writes, whatever the pieces it arrives in.
///
/// A line ends with a line feed. A carriage return goes back to the line's start, as on a terminal: what follows replaces what was there, so
/// of a progress bar only the last state stays. A line that reaches the limit is given at once, and its rest is passed over.
pub(crate) struct Splitter {
    /// Bytes of a line at most.
    limit: usize,
    held: Vec<u8>,
    state: State,
}

/// Of the line that is not yet over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// What came of it is held.
    Open,
    /// What came of it is held until something follows the carriage return.
    Returned,
    /// It was given already, cut.
    Cut,
    /// It is passed over and counts when it is over.
    Lost,
}

/// A line as it was written.
pub(crate) struct Raw<'a> {
    pub(crate) bytes: &'a [u8],
    /// There was more of it.
    pub(crate) is_cut: bool,
}

impl Splitter {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::new(),
            state: State::Open,
        }
    }

    /// Gives every line that ends in `piece`.
    pub(crate) fn feed(&mut self, mut piece: &[u8], mut line: impl FnMut(Raw<'_>)) {
        while !piece.is_empty() {
            let end = match self.state {
                State::Cut => memchr(b'\n', piece),
                _ => memchr2(b'\n', b'\r', piece),
            };
            let (part, rest) = piece.split_at(end.unwrap_or(piece.len()));
            self.take(part, rest.first().copied(), &mut line);
            piece = rest.get(1..).unwrap_or_default();
        }
    }

    /// A part of a line and what ends it.
    fn take(&mut self, part: &[u8], end: Option<u8>, line: &mut impl FnMut(Raw<'_>)) {
        if self.state == State::Cut {
            if end.is_some() {
                self.state = State::Open;
            }
            return;
        }
        if self.state == State::Returned && !part.is_empty() {
            self.held.clear();
            self.state = State::Open;
        }
        if self.held.len() + part.len() > self.limit {
            return self.cut(part, end, line);
        }
        if end == Some(b'\n') && self.held.is_empty() {
            line(Raw::whole(part));
            self.state = State::Open;
            return;
        }
        self.held.extend_from_slice(part);
        match end {
            Some(b'\n') => {
                self.give(line);
                self.state = State::Open;
            }
            Some(_) => self.state = State::Returned,
            None => {}
        }
    }

    fn cut(&mut self, part: &[u8], end: Option<u8>, line: &mut impl FnMut(Raw<'_>)) {
        let room = self.limit - self.held.len();
        self.held.extend_from_slice(&part[..room]);
        line(Raw {
            bytes: &self.held,
            is_cut: true,
        });
        self.held.clear();
        self.state = if end == Some(b'\n') {
            State::Open
        } else {
            State::Cut
        };
    }

    fn give(&mut self, line: &mut impl FnMut(Raw<'_>)) {
        line(Raw::whole(&self.held));
        self.held.clear();
    }

    /// Passes over `piece`; returns how many lines ended in it that were not given.
    pub(crate) fn skip(&mut self, piece: &[u8]) -> u64 {
        let Some(last) = piece.last() else {
            return 0;
        };
        let ends = memchr_iter(b'\n', piece).count() as u64;
        let was_given = ends > 0 && self.state == State::Cut;
        if ends > 0 {
            self.held.clear();
            self.state = State::Open;
        }
        let begun = *last != b'\n' && !(self.held.is_empty() && only_returns(piece));
        if begun && self.state != State::Cut {
            self.held.clear();
            self.state = State::Lost;
        }
        ends - u64::from(was_given)
    }

    /// Gives what was never ended; returns how many such lines were passed over.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(Raw<'_>)) -> u64 {
        if !self.held.is_empty() {
            self.give(&mut line);
        }
        u64::from(std::mem::replace(&mut self.state, State::Open) == State::Lost)
    }
}

/// Whether nothing but carriage returns follows the last line feed.
fn only_returns(piece: &[u8]) -> bool {
    let after = piece.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    after.iter().all(|byte| *byte == b'\r')
}

impl<'a> Raw<'a> {
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, is_cut: false }
    }
}
