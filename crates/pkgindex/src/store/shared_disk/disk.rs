//! Files that are there whole or not at all, also after a crash.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::store::StoreError;

/// The longest file that is read, in bytes. An index commits less at once.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Whether the system says that a file, or a folder above it, is not there. On NFS one that goes while it is read is stale.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle
    )
}

/// As [`is_gone`], for an error that has been told what was tried.
pub(super) fn says_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if is_gone(source))
}

/// What a file holds, or `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Bytes>, StoreError> {
    let limited = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match limited() {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed("cannot read", path)(error)),
    }
}

/// Writes a file and waits until the disk has it. Its name may be lost in a crash until its folder is synced.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    };
    write().map_err(failed("cannot write", path))
}

/// Waits until the disk has the names in a folder.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("cannot sync", path))
}

/// Waits until the disk has everything that was written to the file system of `path`, whose errors it tells.
pub(super) fn sync_all(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| Ok(rustix::fs::syncfs(folder)?))
        .map_err(failed("cannot sync the file system of", path))
}

/// Removes a file; it may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    unless_gone(fs::remove_file(path)).map_err(failed("cannot remove", path))
}

/// Takes an error that says that nothing is there as success.
pub(super) fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
}

/// The paths in a folder, without those whose names begin with a dot: files on their way, and what NFS keeps of removed files. Nothing
/// when the folder is gone.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    Ok(list_all(path)?
        .into_iter()
        .filter(|path| !is_hidden(path))
        .collect())
}

/// All paths in a folder.
pub(super) fn list_all(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = || fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    match entries() {
        Ok(paths) => Ok(paths),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(failed("cannot list", path)(error)),
    }
}

pub(super) fn is_hidden(path: &Path) -> bool {
    last_name(path).starts_with('.')
}

/// The last part of a path; nothing when it is not UTF-8, which no name that we gave is.
pub(super) fn last_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// For `map_err`.
pub(super) fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io(format!("{what} {}", path.display()))
}

/// A number that no other opened store has, as far as chance goes.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
