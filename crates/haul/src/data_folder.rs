//! The folder that holds everything, and the lock that lets one process write to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Where things lie in the data folder.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder(PathBuf);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataFolderError {
    #[error("the data folder {} cannot be used: {source}; check its permissions or choose another with --data", path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error(
        "the data folder {} is in use by {holder}; stop that one first, use its pages, or choose another folder with --data",
        path.display()
    )]
    Busy { path: PathBuf, holder: String },
    #[error("there is no data folder at {}; crawl something first, or name the folder with --data", path.display())]
    Missing { path: PathBuf },
}

/// Held while this process may write; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl DataFolder {
    /// The folder at `path`, made where it is missing.
    pub(crate) fn create(path: &Path) -> Result<Self, DataFolderError> {
        let unusable = |source| DataFolderError::Unusable {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        Ok(Self(path.to_owned()))
    }

    /// The folder at `path`, which must have been used before.
    pub(crate) fn existing(path: &Path) -> Result<Self, DataFolderError> {
        let folder = Self(path.to_owned());
        if folder.crawldb().exists() || folder.updates().exists() {
            Ok(folder)
        } else {
            Err(DataFolderError::Missing {
                path: path.to_owned(),
            })
        }
    }

    /// Takes the right to write, alone. `purpose` is what others are told.
    pub(crate) fn lock(&self, purpose: &str) -> Result<FolderLock, DataFolderError> {
        self.take("lock", File::try_lock, purpose)
    }

    /// Takes the right to write beside others that took it this way.
    pub(crate) fn share(&self, purpose: &str) -> Result<FolderLock, DataFolderError> {
        self.take("lock", File::try_lock_shared, purpose)
    }

    /// Takes the right to be the only process of a role, beside [`share`](Self::share).
    pub(crate) fn lock_role(&self, role: &str, purpose: &str) -> Result<FolderLock, DataFolderError> {
        self.take(&format!("{role}.lock"), File::try_lock, purpose)
    }

    fn take(
        &self,
        name: &str,
        lock: impl Fn(&File) -> Result<(), TryLockError>,
        purpose: &str,
    ) -> Result<FolderLock, DataFolderError> {
        let unusable = |source| DataFolderError::Unusable {
            path: self.0.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(self.0.join(name)).map_err(unusable)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // What the holder says of itself is a help, not a condition.
                let _ = file.take(200).read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() {
                    "another haul".into()
                } else {
                    holder
                };
                return Err(DataFolderError::Busy {
                    path: self.0.clone(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let described = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{purpose} (process {})", std::process::id()));
        described.map_err(unusable)?;
        Ok(FolderLock(file))
    }

    /// The names of what is published.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.0.join("catalog")
    }

    /// Waits until no other command searches. A running service has packs of its own, so it is not in the way.
    pub(crate) fn lock_searches(&self) -> Result<FolderLock, DataFolderError> {
        let unusable = |source| DataFolderError::Unusable {
            path: self.0.clone(),
            source,
        };
        let file = File::create(self.0.join("search.lock")).map_err(unusable)?;
        file.lock().map_err(unusable)?;
        Ok(FolderLock(file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn crawldb(&self) -> PathBuf {
        self.0.join("crawldb.sqlite")
    }

    pub(crate) fn updates(&self) -> PathBuf {
        self.0.join("updates.sqlite")
    }

    /// Packs that the running service has fetched.
    pub(crate) fn packs(&self) -> PathBuf {
        self.0.join("packs")
    }

    /// Packs that `haul search` has fetched.
    pub(crate) fn searched(&self) -> PathBuf {
        self.0.join("searched")
    }

    /// Packs that are being built.
    pub(crate) fn work(&self) -> PathBuf {
        self.0.join("work")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_lock_learns_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::create(&folder.path().join("new/data")).unwrap();
        let held = data.lock("haul up").unwrap();
        let error = data.lock("haul crawl").unwrap_err().to_string();
        assert!(error.contains("haul up (process"), "{error}");
        assert!(data.share("haul serve").is_err());
        drop(held);
        data.lock("haul crawl").unwrap();
    }

    #[test]
    fn some_share_the_folder_and_each_role_is_one_process_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::create(folder.path()).unwrap();
        let _first = data.share("haul serve").unwrap();
        let _second = data.share("haul source docs").unwrap();
        assert!(data.lock("haul crawl").is_err());
        let _packer = data.lock_role("pack", "haul serve").unwrap();
        assert!(data.lock_role("pack", "haul serve").is_err());
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, "").unwrap();
        let error = DataFolder::create(&path).unwrap_err().to_string();
        assert!(error.contains("data") && error.contains("--data"), "{error}");
        assert!(matches!(
            DataFolder::existing(&path),
            Err(DataFolderError::Missing { .. })
        ));
    }
}
