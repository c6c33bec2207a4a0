//! The writing end of a log: its last segment, into which commits go.

use std::sync::Arc;

use crate::change::{Change, Revision};
use crate::store::StoreError;
use crate::store::log::contents::Contents;
use crate::store::log::folder::{Folder, Output};
use crate::store::log::reading::{HEADER_BYTES, SEGMENT, header};
use crate::store::record;

/// How many zeros are written at a time.
static PIECE: [u8; 256 << 10] = [0; 256 << 10];

/// The largest buffer that is kept from one commit to the next.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

pub(super) struct Segments {
    folder: Arc<Folder>,
    output: Output,
    /// Where the next frame goes.
    position: u64,
    /// How far zeros are written from `position` on.
    prepared: u64,
    /// Whether the rest of a frame that could not be written stands at `position`.
    has_stale: bool,
    revision: Revision,
    /// The newest revision that is surely on the disk.
    settled: Revision,
    older_bytes: u64,
    buffer: Vec<u8>,
    /// Why nothing may be promised any more.
    lost: Option<String>,
}

impl Segments {
    /// Begins a log.
    pub(super) fn create(folder: &Arc<Folder>) -> Result<Self, StoreError> {
        let output = begin(folder, Revision(1))?;
        folder.sync_names()?;
        Ok(Self::new(folder, output, Revision(0), HEADER_BYTES))
    }

    /// Goes on behind what was read. A torn end must be gone.
    pub(super) fn reopen(folder: &Arc<Folder>, contents: &Contents) -> Result<Self, StoreError> {
        let last = &contents.last;
        let output = folder.reopen(folder.segment(last.first))?;
        // What was read will be shown, so it has to be on the disk and not only in the memory of the system.
        folder.sync(&output)?;
        let mut segments = Self::new(folder, output, contents.revision, last.position);
        segments.prepared = last.file_bytes.max(last.position);
        segments.older_bytes = contents.older_bytes;
        Ok(segments)
    }

    fn new(folder: &Arc<Folder>, output: Output, revision: Revision, position: u64) -> Self {
        Self {
            folder: Arc::clone(folder),
            output,
            position,
            prepared: position,
            has_stale: false,
            revision,
            settled: revision,
            older_bytes: 0,
            buffer: Vec::new(),
            lost: None,
        }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// Bytes of changes in segments before the last.
    pub(super) fn older_bytes(&self) -> u64 {
        self.older_bytes
    }

    /// Says that older segments with that many bytes of changes are gone.
    pub(super) fn forget_older(&mut self, bytes: u64) {
        self.older_bytes -= bytes;
    }

    /// Bytes of changes in the last segment.
    pub(super) fn last_bytes(&self) -> u64 {
        self.position - HEADER_BYTES
    }

    /// Fails when nothing may be promised any more.
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        self.lost.clone().map_or(Ok(()), |why| Err(StoreError::Lost(why)))
    }

    /// Writes one frame, all of it or, as far as anybody will read, nothing.
    pub(super) fn append(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let Some(newest) = changes.last() else {
            return Ok(());
        };
        if self.has_stale {
            self.folder.truncate(&self.output, self.position)?;
            self.prepared = self.position;
            self.has_stale = false;
        }
        self.buffer.clear();
        record::encode(self.settled, changes, &mut self.buffer)?;
        if let Err(error) = self.folder.write(&self.output, self.position, &self.buffer) {
            self.has_stale = true;
            return Err(error);
        }
        self.position += self.buffer.len() as u64;
        self.prepared = self.prepared.max(self.position);
        self.revision = newest.revision;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        Ok(())
    }

    /// Brings all changes to the disk.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        if self.settled < self.revision {
            self.sync_output()?;
        }
        Ok(())
    }

    fn sync_output(&mut self) -> Result<(), StoreError> {
        let synced = self.folder.sync(&self.output);
        synced.map_err(|error| self.lose(&error))?;
        self.settled = self.revision;
        Ok(())
    }

    /// After a failed sync the system may say that pages are written that are not, so a second try proves nothing.
    fn lose(&mut self, error: &StoreError) -> StoreError {
        let why = format!(
            "{error}; nobody knows what the disk has: look after the disk, then start the server anew"
        );
        self.lost = Some(why.clone());
        StoreError::Lost(why)
    }

    /// Writes zeros ahead, because overwriting is synced faster than growing: the file's length and places need not be written again.
    /// Returns whether it did something.
    pub(super) fn prepare(&mut self, ahead_bytes: u64) -> Result<bool, StoreError> {
        if self.has_stale || self.prepared - self.position >= ahead_bytes {
            return Ok(false);
        }
        self.folder.write(&self.output, self.prepared, &PIECE)?;
        self.prepared += PIECE.len() as u64;
        self.sync_output()?;
        Ok(true)
    }

    /// Goes on in a new segment, unless nothing stands in this one. The old one is on the disk then, without anything behind its last frame.
    pub(super) fn rotate(&mut self) -> Result<(), StoreError> {
        if self.last_bytes() == 0 {
            return Ok(());
        }
        self.folder.truncate(&self.output, self.position)?;
        self.prepared = self.position;
        self.has_stale = false;
        self.sync_output()?;
        self.output = begin(&self.folder, self.revision.next())?;
        self.older_bytes += self.last_bytes();
        self.position = HEADER_BYTES;
        self.prepared = HEADER_BYTES;
        let named = self.folder.sync_names();
        named.map_err(|error| self.lose(&error))
    }
}

/// Makes an empty segment. It is on the disk when the names are synced.
fn begin(folder: &Folder, first: Revision) -> Result<Output, StoreError> {
    let path = folder.segment(first);
    let mut output = folder.begin(&path)?;
    folder.write(&output, 0, &header(SEGMENT, first))?;
    folder.finish(&mut output, path)?;
    Ok(output)
}
