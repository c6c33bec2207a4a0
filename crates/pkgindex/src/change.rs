use std::fmt;

use bytes::Bytes;

/// How many changes an index has seen. An answer that carries revision `n` knows the changes `1..=n` and no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One step of an index from a revision to the next: what a command did, or a batch.
///
/// A change says what is so afterwards, not what was done: `INDEX|p|d` means that `p` is indexed and has exactly the
/// dependencies `d`, `REMOVE|p|` that it is not indexed. So a change can be applied twice, and changes applied in order to a state
/// that already has some of them end in the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision that it leads to.
    pub revision: Revision,
    /// Which opened index made it. An index that does not know whether its commit succeeded finds its change by this.
    pub origin: u64,
    /// INDEX and REMOVE lines, each with its newline; no package stands in two of them.
    pub lines: Bytes,
}
