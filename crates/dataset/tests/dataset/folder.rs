//! A work folder, and what is taken in from it.

use std::fs;
use std::path::{Path, PathBuf};

use dataset::{CollectLimits, Collected, Rejected, collect};
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) const LIMITS: CollectLimits = CollectLimits {
    max_bytes: 64 << 20,
    timeout_ms: 20_000,
};

/// A place with a work folder, a scratch folder, and a place for the clean copy.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self(folder)
    }

    /// One whose database was made by these statements.
    pub(crate) fn with(sql: &str) -> Self {
        let folder = Self::new();
        folder.open().execute_batch(sql).unwrap();
        folder
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    /// A file of the work folder.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.root().join("work").join(name)
    }

    pub(crate) fn to(&self) -> PathBuf {
        self.root().join("clean.sqlite")
    }

    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.work("data.sqlite")).unwrap()
    }

    pub(crate) fn collect(&self) -> Result<Collected, Rejected> {
        self.collect_within(LIMITS)
    }

    pub(crate) fn collect_within(&self, limits: CollectLimits) -> Result<Collected, Rejected> {
        let scratch = self.root().join("scratch");
        let collected = collect(&self.root().join("work"), &scratch, &self.to(), limits);
        let left = fs::read_dir(&scratch).map_or(0, Iterator::count);
        assert_eq!(left, 0, "something is left in the scratch folder");
        assert_eq!(collected.is_ok(), self.to().exists());
        collected
    }

    /// Checks that what is there is not taken in, and that the reason says why.
    #[track_caller]
    pub(crate) fn is_rejected(&self, says: &str) {
        let error = self.collect().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    /// Copies the files of a database somewhere else as they are at this moment, as if its writer were killed now.
    pub(crate) fn killed(&self) -> Self {
        let killed = Self::new();
        for entry in fs::read_dir(self.root().join("work")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), killed.work(entry.file_name().to_str().unwrap())).unwrap();
        }
        killed
    }
}

/// The only value of the only row of an answer of the clean copy.
pub(crate) fn number(path: &Path, sql: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}
