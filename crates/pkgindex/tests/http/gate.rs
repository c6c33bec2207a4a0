use std::sync::{Arc, Condvar, Mutex};

use pkgindex::store::{Commit, Finding, Loaded, Store, StoreError};
use pkgindex::{Change, Index, Options, Revision};

/// What a store does when it is asked to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Nothing comes back until it is open.
    Shut,
    /// The store is lost.
    Broken,
}

/// A store that a test holds in its hands. It is shared, so each read is a commit.
#[derive(Clone, Debug)]
pub(crate) struct GatedStore(Arc<(Mutex<Gate>, Condvar)>);

impl GatedStore {
    pub(crate) fn new(gate: Gate) -> Self {
        Self(Arc::new((Mutex::new(gate), Condvar::new())))
    }

    pub(crate) fn set(&self, gate: Gate) {
        *self.0.0.lock().unwrap() = gate;
        self.0.1.notify_all();
    }

    pub(crate) fn index(&self) -> Index {
        Index::open(Box::new(self.clone()), Options::default()).unwrap()
    }
}

impl Store for GatedStore {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: Revision, _: &[Change]) -> Result<Commit, StoreError> {
        let gate = self.0.0.lock().unwrap();
        let gate = self.0.1.wait_while(gate, |gate| *gate == Gate::Shut).unwrap();
        match *gate {
            Gate::Broken => Err(StoreError::Lost("the disk is gone".to_owned())),
            Gate::Open | Gate::Shut => Ok(Commit::Done),
        }
    }

    fn changes(&mut self, _: Revision) -> Result<Vec<Change>, StoreError> {
        Ok(Vec::new())
    }

    fn check(&mut self, _: bool) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }
}
