//! The one server that brings changes into the tree, step by step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use std::vec;

use crate::change::{Change, Revision};
use crate::command::{Malformed, Verb, commands};
use crate::store::StoreError;
use crate::store::shared_disk::disk;
use crate::store::shared_disk::election::Lease;
use crate::store::shared_disk::history::History;
use crate::store::shared_disk::tree::{State, Tree};

/// The time between two batches. A batch ends with waiting for the disk, whose work is the same for one change and for a thousand.
const PAUSE: Duration = Duration::from_millis(250);

/// About how many bytes of changes a batch has; a single commit may have more.
const BATCH_BYTES: usize = 16 << 20;

/// How long [`Keeper::replay`] works before it looks at its lease.
const PIECE: Duration = Duration::from_millis(100);

/// Steps after which the disk is waited for also within a batch, so that no wait gets long.
const STEPS_PER_SYNC: usize = 4096;

/// Keeps the tree.
pub(super) struct Keeper {
    pub(super) lease: Lease,
    pub(super) tree: Tree,
    state: State,
    batch: Option<Batch>,
    /// Whether the tree may have some of the next batch: after a crash nobody knows which of the steps are there.
    is_replay: bool,
    ended: Option<Instant>,
    /// Commits that are in the tree and are kept for nobody.
    removable: Vec<Revision>,
}

/// The newest word on every package that some commits speak of.
struct Batch {
    until: Revision,
    words: vec::IntoIter<(String, Word)>,
    /// For the package at hand.
    steps: VecDeque<Step>,
    steps_since_sync: usize,
    is_synced: bool,
}

/// What a change says of a package.
pub(super) struct Word {
    pub(super) revision: Revision,
    /// With commas; `None` when it is removed.
    pub(super) dependencies: Option<String>,
}

impl Word {
    /// The dependencies.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let list = self.dependencies.as_deref().unwrap_or_default();
        // An empty text has no names; `split` alone would give one empty name.
        list.split(',').filter(|name| !name.is_empty())
    }
}

/// One change of a file.
enum Step {
    Enter {
        dependency: String,
        dependent: String,
    },
    Write {
        package: String,
        dependencies: String,
        revision: Revision,
    },
    Delete {
        package: String,
    },
    Leave {
        dependency: String,
        dependent: String,
    },
}

/// The newest word of changes on every package.
pub(super) type Words = BTreeMap<String, Word>;

/// Takes a change's words in.
pub(super) fn learn(words: &mut Words, change: &Change) -> Result<(), Malformed> {
    for command in commands(&change.lines) {
        let command = command?;
        let is_indexed = command.verb == Verb::Index;
        let word = Word {
            revision: change.revision,
            dependencies: is_indexed.then(|| command.dependency_list().to_owned()),
        };
        words.insert(command.package.to_owned(), word);
    }
    Ok(())
}

impl Keeper {
    /// Begins to keep a tree; `None` when it was taken over meanwhile.
    pub(super) fn new(lease: Lease, tree: Tree) -> Result<Option<Self>, StoreError> {
        let state = tree.state()?;
        Ok(state.map(|state| Self {
            lease,
            tree,
            state,
            batch: None,
            is_replay: true,
            ended: None,
            removable: Vec::new(),
        }))
    }

    /// Works for about as long as `piece`, one step at least, and returns whether there is more to do. After an error it begins again with
    /// what the disk is known to have.
    pub(super) fn work(
        &mut self,
        history: &History,
        keep_changes: usize,
        piece: Duration,
    ) -> Result<bool, StoreError> {
        let began = Instant::now();
        while !self.lease.is_over() {
            let worked = self.step(history, keep_changes);
            if worked.is_err() {
                self.batch = None;
                self.is_replay = true;
                self.ended = Some(Instant::now());
            }
            if !worked? {
                return Ok(false);
            }
            if began.elapsed() >= piece {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes again what all commits behind `after` tell, which must be whole, and forgets those before.
    pub(super) fn replay(&mut self, history: &History, after: Revision) -> Result<(), StoreError> {
        // Published first: on the way the tree shows older words, on top of which a crash must find all newer ones.
        self.publish(history, after, 0)?;
        self.is_replay = true;
        loop {
            self.ended = None;
            self.renew_when_due()?;
            if !self.work(history, usize::MAX, PIECE)? && self.batch.is_none() {
                return Ok(());
            }
        }
    }

    pub(super) fn renew_when_due(&mut self) -> Result<(), StoreError> {
        match self.lease.is_due() {
            true => self.lease.renew(),
            false => Ok(()),
        }
    }

    /// Brings the package at hand to its end, so that whoever comes next finds nothing half done.
    pub(super) fn finish_package(&mut self) -> Result<(), StoreError> {
        let steps = self.batch.take().map(|batch| batch.steps).unwrap_or_default();
        for step in steps {
            if self.lease.is_over() {
                break;
            }
            step.run(&self.tree)?;
        }
        Ok(())
    }

    /// Removes the commits that are kept for nobody.
    pub(super) fn clear_up(&mut self, history: &History) -> Result<(), StoreError> {
        while !self.lease.is_over()
            && let Some(first) = self.removable.pop()
        {
            history.remove(first)?;
        }
        Ok(())
    }

    /// Up to where the tree has all changes.
    pub(super) fn applied(&self) -> Revision {
        self.state.applied
    }

    fn step(&mut self, history: &History, keep_changes: usize) -> Result<bool, StoreError> {
        let Some(batch) = &mut self.batch else {
            return self.begin(history);
        };
        if batch.steps_since_sync >= STEPS_PER_SYNC {
            batch.steps_since_sync = 0;
            self.tree.sync()?;
        } else if let Some(step) = batch.steps.pop_front() {
            batch.steps_since_sync += 1;
            batch.is_synced = false;
            step.run(&self.tree)?;
        } else if let Some((package, word)) = batch.words.next() {
            batch.steps = plan(&self.tree, &package, word, self.is_replay)?;
        } else if !batch.is_synced {
            self.tree.sync()?;
            batch.is_synced = true;
        } else {
            let until = batch.until;
            self.publish(history, until, keep_changes)?;
        }
        Ok(true)
    }

    /// Clears up, or takes the next changes.
    fn begin(&mut self, history: &History) -> Result<bool, StoreError> {
        if let Some(first) = self.removable.pop() {
            history.remove(first)?;
            return Ok(true);
        }
        if self.ended.is_some_and(|ended| ended.elapsed() < PAUSE) {
            return Ok(false);
        }
        self.batch = gather(history, self.state.applied)?;
        Ok(self.batch.is_some())
    }

    /// Says that the batch is in the tree.
    fn publish(&mut self, history: &History, until: Revision, keep_changes: usize) -> Result<(), StoreError> {
        let firsts = history.firsts()?;
        let state = State {
            applied: until,
            floor: floor(&firsts, self.state.floor, until, keep_changes),
        };
        self.tree.publish(state)?;
        self.state = state;
        self.batch = None;
        self.is_replay = false;
        self.ended = Some(Instant::now());
        self.removable = firsts.into_iter().filter(|&first| first <= state.floor).collect();
        Ok(())
    }
}

/// The next commits behind `applied`, as one batch; `None` when there are none.
fn gather(history: &History, applied: Revision) -> Result<Option<Batch>, StoreError> {
    let mut words = Words::new();
    let (mut until, mut bytes) = (applied, 0);
    while bytes < BATCH_BYTES {
        let Some(changes) = history.read(until.next())? else {
            break;
        };
        for change in &changes {
            let damaged =
                |malformed| StoreError::Damaged(format!("revision {}: {malformed}", change.revision));
            learn(&mut words, change).map_err(damaged)?;
            bytes += change.lines.len();
            until = change.revision;
        }
    }
    // What was read may not be on the disk yet; the tree must not know more than a crash leaves.
    if until > applied {
        history.sync()?;
    }
    let words: Vec<_> = words.into_iter().collect();
    Ok((until > applied).then(|| Batch {
        until,
        words: words.into_iter(),
        steps: VecDeque::new(),
        steps_since_sync: 0,
        is_synced: false,
    }))
}

/// The steps that lead to what `word` says. In this order a crash leaves at most entries of dependents that are none: they keep a package
/// from being removed, and a check finds them.
fn plan(tree: &Tree, package: &str, word: Word, is_replay: bool) -> Result<VecDeque<Step>, StoreError> {
    let old = tree.dependencies(package)?;
    let new: BTreeSet<_> = word.names().map(str::to_owned).collect();
    let dependent = || package.to_owned();
    let enter = |dependency: &String| Step::Enter {
        dependency: dependency.clone(),
        dependent: dependent(),
    };
    let leave = |dependency: &String| Step::Leave {
        dependency: dependency.clone(),
        dependent: dependent(),
    };
    let is_wanted = |dependency: &&String| is_replay || !old.contains(*dependency);
    let mut steps: VecDeque<_> = new.iter().filter(is_wanted).map(enter).collect();
    steps.push_back(match word.dependencies {
        Some(dependencies) => Step::Write {
            package: package.to_owned(),
            dependencies,
            revision: word.revision,
        },
        None => Step::Delete {
            package: package.to_owned(),
        },
    });
    steps.extend(old.difference(&new).map(leave));
    Ok(steps)
}

impl Step {
    fn run(self, tree: &Tree) -> Result<(), StoreError> {
        match self {
            Self::Enter {
                dependency,
                dependent,
            } => tree.enter(&dependency, &dependent),
            Self::Write {
                package,
                dependencies,
                revision,
            } => tree.write_forward(&package, &dependencies, revision),
            Self::Delete { package } => tree.delete_forward(&package),
            Self::Leave {
                dependency,
                dependent,
            } => tree.leave(&dependency, &dependent),
        }
    }
}

/// How far commits need not be kept when `keep` of those that are in the tree are.
fn floor(firsts: &[Revision], old: Revision, applied: Revision, keep: usize) -> Revision {
    let begin = firsts.partition_point(|&first| first <= old);
    let end = firsts.partition_point(|&first| first <= applied);
    let kept = &firsts[begin.max(end.saturating_sub(keep)).min(end)..end];
    match kept.first() {
        Some(first) => Revision(first.0 - 1),
        None => applied,
    }
}

/// Whether an error says that the tree was taken over.
pub(super) fn is_fenced(error: &StoreError, tree: &Tree) -> Result<bool, StoreError> {
    Ok(disk::says_gone(error) && tree.state()?.is_none())
}
