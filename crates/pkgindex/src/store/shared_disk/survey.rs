//! Looks whether the files agree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::change::{Change, Revision};
use crate::store::StoreError;
use crate::store::shared_disk::disk;
use crate::store::shared_disk::history::History;
use crate::store::shared_disk::keeper::{Words, learn};
use crate::store::shared_disk::scan::{Scan, scan};
use crate::store::shared_disk::tree::{State, Tree, epoch_of};

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// A package's file or a commit is not as it was written.
    Torn(PathBuf),
    /// There are no commits between these two revisions.
    Gap(Revision, Revision),
    /// A package's file does not say what its place does, or says what cannot be.
    Odd(PathBuf),
    /// The first depends on the second, which is not there.
    Dangling(String, String),
    /// The entry that says that the second depends on the first.
    Missing(String, String),
    /// An entry of no edge.
    Superfluous(PathBuf),
    /// What somebody left who was killed.
    Leftover(PathBuf),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn(path) => write!(f, "{} is not as it was written", path.display()),
            Self::Gap(from, to) => write!(f, "the commits from revision {from} to {to} are missing"),
            Self::Odd(path) => write!(
                f,
                "{} says what does not fit its place or its tree",
                path.display()
            ),
            Self::Dangling(package, dependency) => {
                write!(f, "{package} depends on {dependency}, which is not there")
            }
            Self::Missing(dependency, dependent) => {
                write!(
                    f,
                    "the entry is missing by which {dependency} is known to be needed by {dependent}"
                )
            }
            Self::Superfluous(path) => write!(f, "{} is an entry of no dependency", path.display()),
            Self::Leftover(path) => write!(f, "{} was left by a server that was killed", path.display()),
        }
    }
}

/// What was found.
pub(super) struct Survey {
    pub(super) wrongs: Vec<Wrong>,
    /// All commits behind this revision are whole and without a gap.
    pub(super) whole_after: Revision,
}

/// Looks at everything. The tree may be behind: what commits behind `applied` speak of may be as they say or as it was.
pub(super) fn survey(index: &Path, history: &History) -> Result<Survey, StoreError> {
    let tree = Tree::newest(index)?;
    let (Some(state), Some(scan)) = (tree.state()?, scan(&tree)?) else {
        return Err(StoreError::InUse(format!(
            "{} is taken over by a server; stop all of them",
            index.display()
        )));
    };
    let mut wrongs = leftovers(index, history, &tree, state)?;
    let commits = Commits::read(history, state, &mut wrongs)?;
    let packages = packages(&tree, scan, &commits, &mut wrongs);
    dangling(&packages, &commits.pending, &mut wrongs);
    entries(&tree, &packages, &commits.pending, &mut wrongs)?;
    Ok(Survey {
        wrongs,
        whole_after: commits.whole_after,
    })
}

/// What the commits say.
struct Commits {
    /// The words behind `applied`.
    pending: Words,
    whole_after: Revision,
    tip: Revision,
}

impl Commits {
    fn read(history: &History, state: State, wrongs: &mut Vec<Wrong>) -> Result<Self, StoreError> {
        let mut commits = Self {
            pending: Words::new(),
            whole_after: state.floor,
            tip: state.floor,
        };
        let firsts = history.firsts()?;
        let counting = &firsts[firsts.partition_point(|&first| first <= state.floor)..];
        for (at, &first) in counting.iter().enumerate() {
            commits.reach(first, wrongs);
            match history.read(first) {
                Ok(changes) => commits.take(&changes.unwrap_or_default(), state.applied)?,
                Err(StoreError::Damaged(_)) => {
                    wrongs.push(Wrong::Torn(history.path(first)));
                    let next = counting.get(at + 1).copied();
                    // The last may have any number of changes, of which the tree has what it has.
                    commits.tip = next.map_or(state.applied.max(first), |next| Revision(next.0 - 1));
                    commits.whole_after = commits.tip;
                }
                Err(error) => return Err(error),
            }
        }
        commits.reach(state.applied.next(), wrongs);
        Ok(commits)
    }

    /// Notes a gap when the next commit begins with `first`.
    fn reach(&mut self, first: Revision, wrongs: &mut Vec<Wrong>) {
        let (expected, last) = (self.tip.next(), Revision(first.0 - 1));
        if first > expected {
            wrongs.push(Wrong::Gap(expected, last));
            self.whole_after = last;
            self.tip = last;
        }
    }

    fn take(&mut self, changes: &[Change], applied: Revision) -> Result<(), StoreError> {
        for change in changes {
            self.tip = change.revision;
            if change.revision > applied {
                learn(&mut self.pending, change).map_err(|malformed| {
                    StoreError::Damaged(format!("revision {}: {malformed}", change.revision))
                })?;
            }
        }
        Ok(())
    }
}

/// Files of which nobody knows any more.
fn leftovers(index: &Path, history: &History, tree: &Tree, state: State) -> Result<Vec<Wrong>, StoreError> {
    let mut paths = disk::list_all(history.folder())?;
    paths.retain(|path| disk::is_hidden(path));
    paths.extend(
        disk::list_all(&tree.root)?
            .into_iter()
            .filter(|path| disk::is_hidden(path)),
    );
    let beside = index
        .parent()
        .map(disk::list_all)
        .transpose()?
        .unwrap_or_default();
    paths.extend(
        beside
            .into_iter()
            .filter(|path| disk::last_name(path).starts_with(".index-")),
    );
    let trees = disk::list(index)?;
    paths.extend(
        trees
            .into_iter()
            .filter(|path| epoch_of(path).is_some_and(|epoch| epoch != tree.epoch)),
    );
    let firsts = history.firsts()?;
    paths.extend(
        firsts
            .iter()
            .filter(|&&first| first <= state.floor)
            .map(|&first| history.path(first)),
    );
    // What an NFS client keeps of a file that is removed while it is open goes by itself.
    paths.retain(|path| !disk::last_name(path).starts_with(".nfs"));
    Ok(paths.into_iter().map(Wrong::Leftover).collect())
}

/// What each package depends on, as the tree has it.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

fn packages(tree: &Tree, scan: Scan, commits: &Commits, wrongs: &mut Vec<Wrong>) -> Dependencies {
    let mut packages = Dependencies::new();
    for (path, forward) in &scan.whole {
        let Some(command) = forward.command() else {
            continue;
        };
        let fits = *path == tree.forward_path(command.package)
            && forward.epoch <= tree.epoch
            && forward.revision <= commits.tip;
        match fits {
            true => {
                packages.insert(command.package.to_owned(), owned(command.dependencies()));
            }
            false => wrongs.push(Wrong::Odd(path.clone())),
        }
    }
    // A crash of the machine may have torn what is to be written again.
    let rewritten: HashSet<_> = commits
        .pending
        .keys()
        .map(|package| tree.forward_path(package))
        .collect();
    let torn = scan.torn.into_iter().filter(|path| !rewritten.contains(path));
    wrongs.extend(torn.map(Wrong::Torn));
    packages
}

fn owned<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    names.map(str::to_owned).collect()
}

/// Dependencies that are not there when all commits are in the tree.
fn dangling(packages: &Dependencies, pending: &Words, wrongs: &mut Vec<Wrong>) {
    let exists = |name: &str| match pending.get(name) {
        Some(word) => word.dependencies.is_some(),
        None => packages.contains_key(name),
    };
    let untouched = packages
        .iter()
        .filter(|(package, _)| !pending.contains_key(*package));
    let untouched = untouched.flat_map(|(package, names)| names.iter().map(move |name| (package, &**name)));
    let touched = pending
        .iter()
        .flat_map(|(package, word)| word.names().map(move |name| (package, name)));
    for (package, name) in untouched.chain(touched) {
        if !exists(name) {
            wrongs.push(Wrong::Dangling(package.clone(), name.to_owned()));
        }
    }
}

/// Compares the entries with the edges.
fn entries(
    tree: &Tree,
    packages: &Dependencies,
    pending: &Words,
    wrongs: &mut Vec<Wrong>,
) -> Result<(), StoreError> {
    let mut missing = HashMap::new();
    let mut allowed = HashSet::new();
    for (package, names) in packages {
        for name in names {
            let path = tree.entry_path(name, package);
            match pending.contains_key(package) {
                true => drop(allowed.insert(path)),
                false => drop(missing.insert(path, (name, package))),
            }
        }
    }
    for (package, word) in pending {
        allowed.extend(word.names().map(|name| tree.entry_path(name, package)));
    }
    for path in all_entries(tree)? {
        if missing.remove(&path).is_none() && !allowed.contains(&path) {
            wrongs.push(Wrong::Superfluous(path));
        }
    }
    let missing = missing.into_values();
    wrongs.extend(missing.map(|(name, package)| Wrong::Missing(name.clone(), package.clone())));
    Ok(())
}

/// All entries, and folders that have none.
fn all_entries(tree: &Tree) -> Result<Vec<PathBuf>, StoreError> {
    let mut all = Vec::new();
    for shard in disk::list(&tree.dependents())? {
        for folder in disk::list(&shard)? {
            let entries = disk::list(&folder)?;
            match entries.is_empty() {
                true => all.push(folder),
                false => all.extend(entries),
            }
        }
    }
    Ok(all)
}
