//! The pattern that all contents repeat, as a file that the kernel sends from.

use crate::content::{PERIOD, fill_segment};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

/// How much is generated between two writes.
const BLOCK_BYTES: usize = 1 << 20;

static SHARED: OnceLock<Arc<Pattern>> = OnceLock::new();

/// A memory file of one period.
pub(crate) struct Pattern {
    file: File,
}

impl Pattern {
    /// The pattern of this process, made when it is first asked for.
    pub(crate) fn shared() -> io::Result<Arc<Self>> {
        if let Some(pattern) = SHARED.get() {
            return Ok(pattern.clone());
        }
        let pattern = Arc::new(Self::new()?);
        Ok(SHARED.get_or_init(|| pattern).clone())
    }

    fn new() -> io::Result<Self> {
        let mut file = File::from(memfd_create("origin", MemfdFlags::CLOEXEC)?);
        let mut block = vec![0; BLOCK_BYTES];
        for at in (0..PERIOD).step_by(BLOCK_BYTES) {
            let part = &mut block[..(PERIOD - at).min(BLOCK_BYTES as u64) as usize];
            fill_segment(at, part);
            file.write_all(part)?;
        }
        Ok(Self { file })
    }

    /// The file, [`PERIOD`] bytes long.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}
