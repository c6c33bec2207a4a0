use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::entry::FileMeta;
use crate::hooks::{FileStart, StatefulHook};

/// Leaves files alone that are in the destination already: same size, and the modification time that a finished file
/// gets, which is the object's. Objects of unknown size and parts of objects are always fetched. Files that a hook
/// rewrites, as [`Decompress`](crate::hooks::Decompress) does, have another size and are fetched, too.
#[derive(Debug)]
pub struct CacheCheck {
    destination: PathBuf,
    undated: Undated,
}

/// What to do with objects whose time of change is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undated {
    /// Fetch them each time.
    Fetch,
    /// Take a file of the same size for the object.
    CompareSize,
}

impl CacheCheck {
    /// Looks into the folder `destination`.
    pub fn new(destination: impl Into<PathBuf>, undated: Undated) -> Self {
        Self {
            destination: destination.into(),
            undated,
        }
    }

    fn is_there(&self, meta: &FileMeta) -> Option<bool> {
        let size = meta.size.filter(|_| meta.is_whole())?;
        let name = Path::new(&meta.name);
        let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
        let file = self.destination.join(name).metadata().ok()?;
        let same_time = match meta.last_modified {
            None => self.undated == Undated::CompareSize,
            Some(changed) => unix_seconds(changed) == unix_seconds(file.modified().ok()?),
        };
        Some(is_below && file.is_file() && file.len() == size && same_time)
    }
}

impl StatefulHook for CacheCheck {
    fn name(&self) -> &str {
        "cache check"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn on_file_start(&mut self, meta: &FileMeta) -> FileStart {
        if self.is_there(meta).unwrap_or(false) {
            return FileStart::UseCache;
        }
        FileStart::Fetch
    }
}

/// HTTP and some file systems know no less than seconds. Times before 1970 count as none.
fn unix_seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}
