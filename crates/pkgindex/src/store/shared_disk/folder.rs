//! The folder of an index, made at once or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::store::StoreError;
use crate::store::shared_disk::tree::Tree;
use crate::store::shared_disk::{disk, election};

/// What the file `format` says.
const FORMAT: &[u8] = b"haul pkgindex shared-disk 1\n";

/// Finds the index in `folder`, or makes one.
pub(super) fn open(folder: &Path) -> Result<PathBuf, StoreError> {
    let index = folder.join("index");
    if !index.exists() {
        make(folder, &index)?;
    }
    match disk::read(&index.join("format"))? {
        Some(format) if format == FORMAT => Ok(index),
        Some(_) => Err(StoreError::Unsuited(format!(
            "{} was written by another version of Haul; use that one, or dump it there and load it here",
            index.display()
        ))),
        None => Err(StoreError::Damaged(format!(
            "{} is not the folder of an index; give another folder",
            index.display()
        ))),
    }
}

/// Where the commits are.
pub(super) fn changes(index: &Path) -> PathBuf {
    index.join("changes")
}

/// Makes an empty index beside and gives it its name. When several servers begin at once, one of them succeeds and the
/// others take its index.
fn make(folder: &Path, index: &Path) -> Result<(), StoreError> {
    let draft = folder.join(format!(".index-{:016x}", disk::random()));
    for part in [changes(&draft), election::folder(&draft)] {
        fs::create_dir_all(&part).map_err(disk::failed("cannot make", &part))?;
    }
    Tree::at(&draft, 0).make()?;
    disk::write_synced(&draft.join("format"), FORMAT)?;
    disk::sync_all(&draft)?;
    let renamed = fs::rename(&draft, index);
    if renamed.is_err() {
        disk::unless_gone(fs::remove_dir_all(&draft)).map_err(disk::failed("cannot remove", &draft))?;
    }
    if !index.exists() {
        renamed.map_err(disk::failed("cannot make", index))?;
    }
    disk::sync_folder(folder)
}
