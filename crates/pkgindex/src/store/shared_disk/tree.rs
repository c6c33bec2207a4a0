//! The packages as files: a forward file for each, and an empty file for each edge in the other direction.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::change::Revision;
use crate::command::{Command, Verb, write_line};
use crate::store::StoreError;
use crate::store::shared_disk::{disk, names, sealed};

const FORWARD: &str = "haul-package";
const STATE: &str = "haul-tree";

/// How often the folder is listed before it is said to have no tree. One that is renamed meanwhile may be missed.
const LISTINGS: usize = 100;

/// The tree of one keeper. Every path begins with the keeper's epoch, so a keeper whose tree was taken over writes nowhere any more:
/// nothing here makes the tree's own folder.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) epoch: u64,
}

/// How far a tree is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// All changes up to here are in the tree, and the disk has it.
    pub(super) applied: Revision,
    /// Commits up to here count no more: they are removed, or somebody who slept since then has made them anew.
    pub(super) floor: Revision,
}

/// What a forward file says.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) revision: Revision,
    pub(super) epoch: u64,
    /// The INDEX line.
    pub(super) line: Bytes,
}

impl Forward {
    pub(super) fn command(&self) -> Option<Command<'_>> {
        let command = Command::parse(self.line.strip_suffix(b"\n")?).ok()?;
        (command.verb == Verb::Index).then_some(command)
    }

    fn dependencies(&self) -> BTreeSet<String> {
        let command = self.command();
        command
            .iter()
            .flat_map(Command::dependencies)
            .map(str::to_owned)
            .collect()
    }
}

impl Tree {
    pub(super) fn at(index: &Path, epoch: u64) -> Self {
        let root = index.join(format!("tree.{epoch}"));
        Self { root, epoch }
    }

    /// The tree as it is called now.
    pub(super) fn newest(index: &Path) -> Result<Self, StoreError> {
        for _ in 0..LISTINGS {
            let paths = disk::list(index)?;
            let epochs = paths.iter().filter_map(|path| epoch_of(path));
            if let Some(epoch) = epochs.max() {
                return Ok(Self::at(index, epoch));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(StoreError::Damaged(format!(
            "{} has no tree of packages; take the folder from a backup",
            index.display()
        )))
    }

    /// Makes the folders of an empty tree.
    pub(super) fn make(&self) -> Result<(), StoreError> {
        for folder in [self.packages(), self.dependents()] {
            fs::create_dir_all(&folder).map_err(disk::failed("cannot make", &folder))?;
        }
        self.publish(State::default())
    }

    pub(super) fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    pub(super) fn dependents(&self) -> PathBuf {
        self.root.join("dependents")
    }

    /// How far the tree is, or `None` when it is not there under this name.
    pub(super) fn state(&self) -> Result<Option<State>, StoreError> {
        let path = self.root.join("state");
        let Some(text) = disk::read(&path)? else {
            return Ok(None);
        };
        let state = sealed::unseal(STATE, &text).and_then(|body| parse_state(&body));
        match state {
            Some(state) => Ok(Some(state)),
            None => Err(damaged(&path)),
        }
    }

    pub(super) fn publish(&self, state: State) -> Result<(), StoreError> {
        let body = format!("applied {}\nfloor {}\n", state.applied, state.floor);
        let path = self.root.join("state");
        disk::write_synced(&self.draft(), &sealed::seal(STATE, body.as_bytes()))?;
        fs::rename(self.draft(), &path).map_err(disk::failed("cannot make", &path))?;
        disk::sync_folder(&self.root)
    }

    /// What a package depends on as far as the tree knows; nothing when it is not there, or its file was torn by a crash.
    pub(super) fn dependencies(&self, package: &str) -> Result<BTreeSet<String>, StoreError> {
        let text = disk::read(&self.forward_path(package))?;
        let forward = text.as_ref().and_then(parse_forward);
        Ok(forward.map(|forward| forward.dependencies()).unwrap_or_default())
    }

    pub(super) fn write_forward(
        &self,
        package: &str,
        dependencies: &str,
        revision: Revision,
    ) -> Result<(), StoreError> {
        let mut body = format!("{revision} {}\n", self.epoch).into_bytes();
        write_line(&mut body, Verb::Index, package, std::iter::once(dependencies));
        let path = self.draft();
        // Not synced: the whole file system is, before the tree is said to have the change.
        fs::write(&path, sealed::seal(FORWARD, &body)).map_err(disk::failed("cannot write", &path))?;
        let path = self.forward_path(package);
        let rename = || fs::rename(self.draft(), &path);
        make_folder_for(&path, rename).map_err(disk::failed("cannot make", &path))
    }

    pub(super) fn delete_forward(&self, package: &str) -> Result<(), StoreError> {
        disk::remove(&self.forward_path(package))
    }

    /// Notes that `dependent` depends on `dependency`.
    pub(super) fn enter(&self, dependency: &str, dependent: &str) -> Result<(), StoreError> {
        let path = self.entry_path(dependency, dependent);
        let create = || File::create(&path).map(|_| ());
        make_folder_for(&path, create).map_err(disk::failed("cannot make", &path))
    }

    /// Forgets that `dependent` depends on `dependency`.
    pub(super) fn leave(&self, dependency: &str, dependent: &str) -> Result<(), StoreError> {
        let path = self.entry_path(dependency, dependent);
        disk::remove(&path)?;
        if let Some(folder) = path.parent() {
            // It stays while others depend on it, or was not there at all.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// Waits until the disk has everything. One call for all files: a file each costs a flush of the disk, and what was renamed needs
    /// its folder synced too. It tells errors of files that are closed already.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        disk::sync_all(&self.root)
    }

    pub(super) fn forward_path(&self, package: &str) -> PathBuf {
        names::place(&self.packages(), package)
    }

    pub(super) fn entry_path(&self, dependency: &str, dependent: &str) -> PathBuf {
        names::place(&self.dependents(), dependency).join(names::file_name(dependent))
    }

    /// A tree has one writer, so one name is enough for what is not whole yet.
    pub(super) fn draft(&self) -> PathBuf {
        self.root.join(".draft")
    }
}

/// Tries again with the folder of `path`, and the one above, when they are not there; not with those above, which are there unless
/// somebody has taken the tree over. So `path` stands at least three folders below the index.
fn make_folder_for(path: &Path, attempt: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let error = match attempt() {
        Err(error) if disk::is_gone(&error) => error,
        result => return result,
    };
    let Some(folder) = path.parent() else {
        return Err(error);
    };
    if let Err(error) = make_folder(folder) {
        let Some(above) = folder.parent().filter(|_| disk::is_gone(&error)) else {
            return Err(error);
        };
        make_folder(above)?;
        make_folder(folder)?;
    }
    attempt()
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// The epoch in the name of a tree.
pub(super) fn epoch_of(path: &Path) -> Option<u64> {
    disk::last_name(path).strip_prefix("tree.")?.parse().ok()
}

/// Reads a forward file; `None` when it is not as it was written.
pub(super) fn parse_forward(text: &Bytes) -> Option<Forward> {
    let body = sealed::unseal(FORWARD, text)?;
    let (head, line) = sealed::split_line(&body)?;
    let (revision, epoch) = head.split_once(' ')?;
    let forward = Forward {
        revision: Revision(revision.parse().ok()?),
        epoch: epoch.parse().ok()?,
        line,
    };
    forward.command().is_some().then_some(forward)
}

fn parse_state(body: &[u8]) -> Option<State> {
    let mut lines = str::from_utf8(body).ok()?.lines();
    let mut number = |name| lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    Some(State {
        applied: Revision(number("applied")?),
        floor: Revision(number("floor")?),
    })
}

fn damaged(path: &Path) -> StoreError {
    StoreError::Damaged(format!(
        "{} is damaged; take the folder from a backup",
        path.display()
    ))
}
