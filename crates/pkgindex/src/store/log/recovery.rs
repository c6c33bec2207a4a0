//! Opening a log after whatever has happened to it.

use std::sync::Arc;

use crate::latest::Latest;
use crate::store::log::contents::{Files, Last};
use crate::store::log::folder::Folder;
use crate::store::log::segments::Segments;
use crate::store::{Loaded, StoreError};

/// A log that is ready to be written.
pub(super) struct Recovered {
    pub(super) loaded: Loaded,
    pub(super) segments: Segments,
    pub(super) snapshot_bytes: u64,
}

pub(super) fn recover(folder: &Arc<Folder>) -> Result<Recovered, StoreError> {
    // What a crash has left may be seen, but not on the disk yet. All that follows rests on it.
    folder.sync_names()?;
    let files = Files::of(folder)?;
    if let Err(error) = remove_leftovers(folder, &files) {
        tracing::warn!(%error, "files that nobody needs any more cannot be removed; they only take room");
    }
    if files.are_none() {
        return Ok(Recovered {
            loaded: Loaded::default(),
            segments: Segments::create(folder)?,
            snapshot_bytes: 0,
        });
    }
    let mut latest = Latest::new();
    let contents = files.read(folder, &mut latest, &mut Err)?;
    if !contents.last.torn.is_empty() {
        cut_torn(folder, &contents.last)?;
    }
    let segments = Segments::reopen(folder, &contents)?;
    Ok(Recovered {
        loaded: Loaded {
            revision: contents.revision,
            lines: latest.into_lines(),
        },
        segments,
        snapshot_bytes: contents.snapshot_bytes,
    })
}

/// Removes what stands behind the last whole frame, for good, before anything is written there: else what is whole in it could
/// come back behind new frames. It is saved beside.
pub(super) fn cut_torn(folder: &Folder, last: &Last) -> Result<(), StoreError> {
    let segment = folder.segment(last.first);
    tracing::warn!(
        bytes = last.torn.len(),
        offset = last.position,
        segment = %segment.display(),
        "the log ends with a record that is not whole, as after a crash; it is saved in a file beside and cut off"
    );
    // No room to save it is no reason not to start: cutting it off makes room.
    if let Err(error) = save_torn(folder, last) {
        tracing::warn!(%error, "the record that is cut off is not saved");
    }
    let output = folder.reopen(segment)?;
    folder.truncate(&output, last.position)?;
    folder.sync(&output)
}

fn save_torn(folder: &Folder, last: &Last) -> Result<(), StoreError> {
    let path = folder.torn(last.first, last.position);
    let mut output = folder.begin(&path)?;
    folder.write(&output, 0, &last.torn)?;
    folder.finish(&mut output, path)?;
    folder.sync_names()
}

/// Removes files that nobody needs any more.
pub(super) fn remove_leftovers(folder: &Folder, files: &Files) -> Result<(), StoreError> {
    if files.leftovers.is_empty() {
        return Ok(());
    }
    for path in &files.leftovers {
        folder.remove(path)?;
    }
    folder.sync_names()
}
