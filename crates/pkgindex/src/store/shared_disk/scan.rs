//! Reads all forward files of a tree.

use std::path::{Path, PathBuf};
use std::thread;

use crate::store::StoreError;
use crate::store::shared_disk::disk;
use crate::store::shared_disk::tree::{Forward, Tree, parse_forward};

/// How many files are read at once. Over a network each is a question and an answer.
const READERS: usize = 8;

/// What stands in the forward files.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) whole: Vec<(PathBuf, Forward)>,
    /// Files that are not as they were written.
    pub(super) torn: Vec<PathBuf>,
}

/// Reads every forward file, while the keeper may write them; `None` when the tree was renamed meanwhile.
pub(super) fn scan(tree: &Tree) -> Result<Option<Scan>, StoreError> {
    let shards = disk::list(&tree.packages())?;
    let mut all = Scan::default();
    thread::scope(|scope| {
        let readers: Vec<_> = shards
            .chunks(shards.len().div_ceil(READERS).max(1))
            .map(|shards| scope.spawn(|| read(shards)))
            .collect();
        for reader in readers {
            let part = reader
                .join()
                .unwrap_or_else(|_| Err(StoreError::Lost("a reader of the tree panicked".to_owned())))?;
            all.whole.extend(part.whole);
            all.torn.extend(part.torn);
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(tree.state()?.map(|_| all))
}

fn read(shards: &[PathBuf]) -> Result<Scan, StoreError> {
    let mut scan = Scan::default();
    for shard in shards {
        for path in disk::list(shard)? {
            scan.read(&path)?;
        }
    }
    Ok(scan)
}

impl Scan {
    fn read(&mut self, path: &Path) -> Result<(), StoreError> {
        // A package that was removed since the folder was listed is removed by a change that is read later.
        let Some(text) = disk::read(path)? else {
            return Ok(());
        };
        match parse_forward(&text) {
            Some(forward) => self.whole.push((path.to_owned(), forward)),
            None => self.torn.push(path.to_owned()),
        }
        Ok(())
    }
}
