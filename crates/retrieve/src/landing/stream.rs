use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::names::JOURNAL;
use super::temporary::{Found, Temporary};
use crate::error::Error;

/// A file that is written from its beginning to its end and not resumed. Dropped without a commit it leaves nothing.
#[derive(Debug)]
pub(crate) struct Stream {
    file: Temporary,
    len: u64,
    committed: bool,
}

impl Stream {
    pub(super) fn begin(file: Temporary, found: Found) -> Result<Self, Error> {
        if found == Found::Remains {
            // An earlier run may have written it at many places.
            file.remove_beside(JOURNAL)?;
            file.clear()?;
        }
        Ok(Self {
            file,
            len: 0,
            committed: false,
        })
    }

    /// Writes the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_at(self.len, bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its time and its name.
    pub(crate) fn commit(mut self, modified: Option<SystemTime>) -> Result<PathBuf, Error> {
        let path = self.file.commit(modified)?;
        self.committed = true;
        Ok(path)
    }

    /// Where the bytes are now.
    pub(crate) fn temporary(&self) -> &Path {
        self.file.partial_path()
    }

    /// Where they will be.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is there to be told; the next run clears what stays.
            let _ = self.file.remove();
        }
    }
}
