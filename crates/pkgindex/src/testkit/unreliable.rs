//! A shared store in memory that does everything a shared store may do to an index.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{Commit, Finding, Loaded, Store, StoreError};
use crate::{Change, Latest, Revision};

/// What becomes of one call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What should.
    Works,
    /// An error, and nothing was done.
    Fails,
    /// An error, and all was done.
    FailsAfter,
    /// An error, and a commit is done later, if nobody else was faster then.
    FailsBefore,
    /// Of several changes only the first is told.
    StopsEarly,
    /// Changes that others have still to learn are dropped, as a store does that keeps snapshots.
    Forgets,
}

/// Which method of a store is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Store::load`].
    Load,
    /// [`Store::commit`], with how many changes.
    Commit(usize),
    /// [`Store::changes`].
    Changes,
    /// [`Store::tend`].
    Tend,
}

/// Decides what becomes of each call; it may wait before it says so.
pub trait Fates: Send {
    /// What becomes of this one.
    fn decide(&mut self, call: Call) -> Fate;
}

impl<F: FnMut(Call) -> Fate + Send> Fates for F {
    fn decide(&mut self, call: Call) -> Fate {
        self(call)
    }
}

/// What several stores keep together.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Changes>>);

#[derive(Debug, Default)]
struct Changes {
    all: Vec<Change>,
    /// How many of the oldest are not told any more.
    forgotten: usize,
    /// Commits on their way, with what they stand on.
    late: Vec<(Revision, Vec<Change>)>,
}

impl Kept {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All changes from the first on.
    pub fn changes(&self) -> Vec<Change> {
        self.lock().all.clone()
    }

    /// Lets the commits that are on their way arrive.
    pub fn settle(&self) {
        self.lock().arrive();
    }

    /// A store of its own for one more index.
    pub fn store(&self, fates: impl Fates + 'static) -> Unreliable {
        Unreliable {
            kept: self.clone(),
            fates: Box::new(fates),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn newest(&self) -> Revision {
        Revision(self.all.len() as u64)
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Commit {
        if base != self.newest() {
            return Commit::Conflict;
        }
        self.all.extend_from_slice(changes);
        Commit::Done
    }

    fn arrive(&mut self) {
        for (base, changes) in std::mem::take(&mut self.late) {
            self.commit(base, &changes);
        }
    }

    fn behind(&self, after: Revision) -> Result<&[Change], StoreError> {
        let from = usize::try_from(after.0).unwrap_or(usize::MAX);
        if from < self.forgotten {
            return Err(StoreError::TooOld(after));
        }
        Ok(self.all.get(from..).unwrap_or_default())
    }
}

/// One index's door to [`Kept`].
pub struct Unreliable {
    kept: Kept,
    fates: Box<dyn Fates>,
}

impl Store for Unreliable {
    fn name(&self) -> &'static str {
        "unreliable"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let fate = self.fates.decide(Call::Load);
        let kept = self.kept.lock();
        if fate == Fate::Fails {
            return Err(unreachable());
        }
        let mut latest = Latest::new();
        for change in &kept.all {
            let damaged = |malformed| StoreError::Damaged(format!("{malformed}"));
            latest.apply(&change.lines).map_err(damaged)?;
        }
        Ok(Loaded {
            revision: kept.newest(),
            lines: latest.into_lines(),
        })
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        let fate = self.fates.decide(Call::Commit(changes.len()));
        let mut kept = self.kept.lock();
        if fate == Fate::Forgets {
            kept.forgotten = kept.all.len();
        }
        match fate {
            Fate::Works | Fate::StopsEarly | Fate::Forgets => Ok(kept.commit(base, changes)),
            Fate::Fails => Err(unreachable()),
            Fate::FailsAfter => {
                kept.commit(base, changes);
                Err(unreachable())
            }
            Fate::FailsBefore => {
                kept.late.push((base, changes.to_vec()));
                Err(unreachable())
            }
        }
    }

    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let fate = self.fates.decide(Call::Changes);
        let mut kept = self.kept.lock();
        let found = kept.behind(after)?;
        let told = match fate {
            Fate::Works | Fate::Forgets | Fate::FailsBefore => found.to_vec(),
            Fate::StopsEarly => found.iter().take(1).cloned().collect(),
            Fate::Fails | Fate::FailsAfter => return Err(unreachable()),
        };
        // What was on its way arrives when it is least expected: right after the index has looked.
        if fate != Fate::FailsBefore {
            kept.arrive();
        }
        Ok(told)
    }

    fn tend(&mut self, _: &dyn crate::store::Packages) -> Result<bool, StoreError> {
        self.fates.decide(Call::Tend);
        Ok(false)
    }

    fn check(&mut self, _: bool) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }
}

fn unreachable() -> StoreError {
    StoreError::Unreachable("the test says so".to_owned())
}
