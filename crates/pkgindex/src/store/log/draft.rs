//! A snapshot while it is written, piece by piece, between commits.

use crate::change::{Change, Revision};
use crate::store::log::folder::{Folder, Output};
use crate::store::log::reading::{SNAPSHOT, header};
use crate::store::{Packages, StoreError, record};

/// A snapshot is right together with all changes behind `start`, as soon as the changes until `needed` are kept: its pieces may show
/// what was not committed yet.
pub(super) struct Draft {
    output: Output,
    start: Revision,
    rollbacks: u64,
    length: u64,
    /// What comes next, or what must be kept when nothing does.
    next: Next,
    /// The bytes of changes that it makes superfluous.
    pub(super) replaced_bytes: u64,
}

#[derive(Clone, Copy)]
enum Next {
    Piece(usize),
    Needed(Revision),
}

impl Draft {
    /// Begins a snapshot that changes behind `start` complete. They must stand in segments of their own.
    pub(super) fn begin(
        folder: &Folder,
        start: Revision,
        replaced_bytes: u64,
        packages: &dyn Packages,
    ) -> Result<Self, StoreError> {
        let output = folder.begin(&folder.snapshot(start))?;
        let mut draft = Self {
            output,
            start,
            rollbacks: packages.rollbacks(),
            length: 0,
            next: Next::Piece(0),
            replaced_bytes,
        };
        draft.write(folder, &header(SNAPSHOT, start))?;
        Ok(draft)
    }

    /// Whether a change that it may show was taken back.
    pub(super) fn is_void(&self, packages: &dyn Packages) -> bool {
        self.rollbacks != packages.rollbacks()
    }

    pub(super) fn start(&self) -> Revision {
        self.start
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What must be kept before it may be installed, when all pieces are written.
    pub(super) fn needed(&self) -> Option<Revision> {
        match self.next {
            Next::Piece(_) => None,
            Next::Needed(revision) => Some(revision),
        }
    }

    /// Writes the next piece and brings it to the disk, so that commits never wait for a whole snapshot.
    pub(super) fn advance(&mut self, folder: &Folder, packages: &dyn Packages) -> Result<(), StoreError> {
        let Next::Piece(from) = self.next else {
            return Ok(());
        };
        let mut lines = Vec::new();
        let following = packages.piece(from, &mut lines);
        let piece = Change {
            revision: self.start,
            origin: 0,
            lines: lines.into(),
        };
        let mut frames = Vec::new();
        record::encode(self.start, &[piece], &mut frames)?;
        self.next = following.map_or_else(|| Next::Needed(packages.applied()), Next::Piece);
        if let Next::Needed(revision) = self.next {
            record::encode(revision, &[], &mut frames)?;
        }
        self.write(folder, &frames)?;
        folder.sync(&self.output)
    }

    /// Gives the snapshot its name. It counts from then on, and is found after a crash when the names are synced.
    pub(super) fn publish(&mut self, folder: &Folder) -> Result<(), StoreError> {
        folder.finish(&mut self.output, folder.snapshot(self.start))
    }

    /// Removes what was written, as far as that is possible; else the next start does.
    pub(super) fn discard(self, folder: &Folder) {
        if let Err(error) = folder.remove(self.output.path()) {
            tracing::debug!(%error, "a snapshot that was not finished is still there");
        }
    }

    fn write(&mut self, folder: &Folder, bytes: &[u8]) -> Result<(), StoreError> {
        folder.write(&self.output, self.length, bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}
