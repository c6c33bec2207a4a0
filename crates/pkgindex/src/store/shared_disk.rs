//! One folder for several servers, on a disk of their machine or on NFS.
//!
//! ```text
//! <folder>/index/
//!   format                                               what this is
//!   changes/<first revision>                             one file per commit
//!   keepers/<epoch>                                      who writes the tree; rewritten while it lives
//!   tree.<epoch>/state                                   how far the tree is
//!   tree.<epoch>/packages/<hash>/<package>               its INDEX line
//!   tree.<epoch>/dependents/<hash>/<package>/<dependent> empty
//! ```
//!
//! **Commits** need no leader. A commit on revision `n` is written beside, synced, and linked to the name `n + 1`; a link fails where
//! the name is taken, so of two commits on one revision one is kept. What counts is what then stands under the name, not what the
//! system says of the link.
//!
//! **The tree** is what the folder is loaded from, so that changes need not be kept for ever. One server, the *keeper*, brings the changes
//! into it, in the pauses between its commits, and removes them later. Changes say what is so afterwards, so it does not matter that a
//! reader finds some of them in the tree already, nor that a new keeper begins where the old one is known to have been. Reverse edges are
//! one entry each, because a list per package would be rewritten for every package that comes to depend on it. Nothing is loaded
//! from them: they are for those who look into the folder, and a check makes them out of the packages' files.
//!
//! **The keeper** is whoever makes the file of the next epoch after the last one has been silent for a lease by one's own clock. Then it
//! renames the tree. All paths of the old keeper begin with the old name, so from then on it cannot write: a lock would not do
//! that for files beside it. It also stops of its own accord when its lease has passed.
//!
//! **Names of removed commits** are free again, and a server that has slept might take one. So the tree says up to where commits count
//! no more (its *floor*), before they are removed; whoever commits or reads looks at it afterwards.
//!
//! **On NFS**: mount with `hard,lookupcache=none` (or `actimeo=0`) on all servers. A client otherwise remembers for up to a minute
//! (`acdirmax`) that there was no file, so a read may be that old, and that the tree had its old name, which leaves only the lease to stop an
//! old keeper. Commits are right in any case: a link is decided by the server. A file is read as it was when its last writer
//! closed it (close-to-open), which suffices because every file is written before it gets its name. The export must be `sync`. A link or a
//! rename that fails after it succeeded is looked after. Locks are not used; see `Election`. The clock of a machine that is suspended
//! stands still, and so does its lease.

mod check;
mod disk;
mod election;
mod folder;
mod history;
mod keeper;
mod names;
mod scan;
mod sealed;
mod survey;
mod tree;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::change::{Change, Revision};
use crate::command::commands;
use crate::latest::Latest;
use crate::store::{Commit, Finding, Loaded, Packages, Store, StoreError};

use election::Election;
use history::History;
use keeper::Keeper;
use tree::{State, Tree};

/// About how many bytes of lines [`Store::changes`] returns at once.
const ANSWER_BYTES: usize = 1 << 20;

/// How often something that others rename is looked for again before an error is told.
const ATTEMPTS: usize = 100;

/// How a [`SharedDiskStore`] behaves. All servers on a folder should have the same.
#[derive(Clone, Debug)]
pub struct SharedDiskOptions {
    /// How long a keeper may be silent before another server takes its place. It must be longer than the file system ever makes one wait.
    pub lease: Duration,
    /// How many commits that are in the tree are kept for servers that have not read them. One that is further behind
    /// loads the tree.
    pub keep_changes: usize,
    /// About how long the keeper works on the tree before it looks for commits again. Zero is one step.
    pub piece: Duration,
}

impl Default for SharedDiskOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(5),
            keep_changes: 1024,
            piece: Duration::from_millis(10),
        }
    }
}

/// Keeps an index in a folder that several servers share: each commit is a file of its own, and one of the servers keeps a tree
/// with a file for each package.
///
/// The folder must be on one file system that has hard links. On NFS mount it with `hard,lookupcache=none`; otherwise servers may read
/// what is as old as the mount's `acdirmax`.
pub struct SharedDiskStore {
    index: PathBuf,
    options: SharedDiskOptions,
    history: History,
    election: Election,
    keeper: Option<Keeper>,
    /// By the name that it had last.
    tree: Tree,
    /// The newest revision that is known, with which a commit ends.
    tip: Revision,
}

impl SharedDiskStore {
    /// Opens the index in `folder`, and makes it when there is none.
    ///
    /// # Errors
    /// [`StoreError::Unsuited`] when the file system has no hard links or the folder is of another version of Haul,
    /// [`StoreError::Damaged`] when it holds something else.
    pub fn open(folder: &Path, options: SharedDiskOptions) -> Result<Self, StoreError> {
        let index = folder::open(folder)?;
        let history = History::new(folder::changes(&index));
        history.probe()?;
        Ok(Self {
            election: Election::new(&index, options.lease),
            keeper: None,
            tree: Tree::newest(&index)?,
            tip: Revision(0),
            index,
            options,
            history,
        })
    }

    /// Whether this server is the one that writes the tree.
    pub fn is_keeper(&self) -> bool {
        self.keeper.is_some()
    }

    /// How far the tree is, under whatever name.
    fn state(&mut self) -> Result<State, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(state) = self.tree.state()? {
                return Ok(state);
            }
            self.tree = Tree::newest(&self.index)?;
        }
        Err(self.too_busy())
    }

    fn too_busy(&self) -> StoreError {
        StoreError::Unreachable(format!(
            "{} changes faster than it can be read; give the servers a longer lease",
            self.index.display()
        ))
    }

    /// Everything, or `None` when the keeper was faster with renaming or removing what was to be read.
    fn try_load(&mut self) -> Result<Option<Loaded>, StoreError> {
        // Read before the files: those that are newer converge when the changes behind it are applied on top.
        let applied = self.state()?.applied;
        let Some(scan) = scan::scan(&self.tree)? else {
            return Ok(None);
        };
        let mut latest = Latest::new();
        for (_, forward) in &scan.whole {
            latest
                .apply(&forward.line)
                .map_err(|malformed| damaged(&malformed))?;
        }
        let mut torn: HashSet<_> = scan.torn.iter().map(|path| disk::last_name(path)).collect();
        self.tip = applied;
        loop {
            let changes = match self.changes(self.tip) {
                Err(StoreError::TooOld(_)) => return Ok(None),
                changes => changes?,
            };
            if changes.is_empty() {
                break;
            }
            for change in changes {
                latest
                    .apply(&change.lines)
                    .map_err(|malformed| damaged(&malformed))?;
                for command in commands(&change.lines).flatten() {
                    torn.remove(&*names::file_name(command.package));
                }
            }
        }
        // A crash may tear files of which the changes are still to be brought into the tree; others it cannot.
        if let Some(name) = torn.iter().next() {
            return Err(damaged(&format!("{name} is not as it was written")));
        }
        Ok(Some(Loaded {
            revision: self.tip,
            lines: latest.into_lines(),
        }))
    }

    /// Whether `base` is the end of the newest commit that can be seen.
    fn is_newest(&mut self, base: Revision) -> Result<bool, StoreError> {
        loop {
            match self.changes(self.tip) {
                Ok(changes) if changes.is_empty() => return Ok(base == self.tip),
                Ok(_) => {}
                Err(StoreError::TooOld(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Becomes the keeper when there is none.
    fn stand(&mut self) -> Result<(), StoreError> {
        let Some((lease, tree)) = self.election.run()? else {
            return Ok(());
        };
        tracing::info!(epoch = tree.epoch, "this server keeps the tree now");
        self.tree = tree.clone();
        self.keeper = Keeper::new(lease, tree)?;
        Ok(())
    }

    fn step_down(&mut self) {
        tracing::warn!("this server has not kept the tree in time; whoever is first does from now on");
        self.keeper = None;
    }

    /// A keeper's piece of work; `None` when it is no longer the keeper.
    fn keep(&mut self) -> Result<Option<bool>, StoreError> {
        let Some(keeper) = &mut self.keeper else {
            return Ok(None);
        };
        if keeper.lease.is_over() {
            return Ok(None);
        }
        let worked = keeper
            .renew_when_due()
            .and_then(|()| keeper.work(&self.history, self.options.keep_changes, self.options.piece));
        match worked {
            Err(error) if keeper::is_fenced(&error, &keeper.tree)? => Ok(None),
            worked => worked.map(Some),
        }
    }
}

impl Store for SharedDiskStore {
    fn name(&self) -> &'static str {
        "shared-disk"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(loaded) = self.try_load()? {
                return Ok(loaded);
            }
        }
        Err(self.too_busy())
    }

    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError> {
        // A commit on the middle of another would find its name free, so the base must be known to be an end.
        let is_end = base == self.tip && !changes.is_empty();
        if !is_end && !self.is_newest(base)? {
            return Ok(Commit::Conflict);
        }
        let Some(last) = changes.last() else {
            return Ok(Commit::Done);
        };
        if self.history.append(base, changes)? == Commit::Conflict {
            return Ok(Commit::Conflict);
        }
        // Where the name was free because what had it is removed, nobody counts ours.
        if self.state()?.floor > base {
            self.history.remove(base.next())?;
            return Ok(Commit::Conflict);
        }
        self.tip = last.revision;
        Ok(Commit::Done)
    }

    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        let (mut end, mut bytes) = (after, 0);
        while bytes < ANSWER_BYTES {
            let Some(found) = self.history.read(end.next())? else {
                break;
            };
            for change in found {
                end = change.revision;
                bytes += change.lines.len();
                changes.push(change);
            }
        }
        // Asked last: a commit that counts no more, and one that is missing because it was removed, are told from others by it.
        if self.state()?.floor > after {
            return Err(StoreError::TooOld(after));
        }
        if changes.is_empty() && after < self.tip {
            changes = self.history.rest(after)?;
        }
        if let Some(last) = changes.last() {
            self.history.sync()?;
            self.tip = self.tip.max(last.revision);
        }
        Ok(changes)
    }

    fn tend(&mut self, _: &dyn Packages) -> Result<bool, StoreError> {
        if self.keeper.is_none() {
            if self.election.is_due() {
                self.stand()?;
            }
            return Ok(self.is_keeper());
        }
        let kept = self.keep()?;
        if kept.is_none() {
            self.step_down();
        }
        Ok(kept.unwrap_or_default())
    }

    fn check(&mut self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        check::check(self, repair)
    }
}

impl Drop for SharedDiskStore {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            // Where it fails, others wait for a lease, and a check finds what is half done.
            let _ = keeper
                .finish_package()
                .and_then(|()| keeper.clear_up(&self.history))
                .and_then(|()| keeper.lease.resign());
        }
    }
}

fn damaged(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("the tree of packages is damaged, run `check`: {why}"))
}
