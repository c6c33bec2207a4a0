use crate::change::{Change, Revision};
use crate::store::{Commit, Finding, Loaded, Store, StoreError};

/// Keeps nothing: the index lives as long as its process.
#[derive(Debug, Default)]
pub struct MemoryStore(());

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_kept(&self) -> bool {
        false
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: Revision, _: &[Change]) -> Result<Commit, StoreError> {
        Ok(Commit::Done)
    }

    fn changes(&mut self, _: Revision) -> Result<Vec<Change>, StoreError> {
        Ok(Vec::new())
    }

    fn check(&mut self, _: bool) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }
}
