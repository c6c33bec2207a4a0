//! The store in a folder that several servers share.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod crash;
mod measure;
mod mending;
mod processes;
mod servers;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pkgindex::store::{Commit, Packages, SharedDiskOptions, SharedDiskStore, Store};
use pkgindex::{Change, Latest, Revision};
use tempfile::TempDir;

/// Longer than any test, so that nobody loses the tree by being slow.
const LONG: Duration = Duration::from_secs(3600);

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// This store does not ask the index for its packages.
struct NoPackages;

impl Packages for NoPackages {
    fn piece(&self, _: usize, _: &mut Vec<u8>) -> Option<usize> {
        None
    }

    fn applied(&self) -> Revision {
        Revision(0)
    }

    fn rollbacks(&self) -> u64 {
        0
    }
}

/// In memory where there is such a place: the flushes of a disk would be most of a test's time, and no process sees a difference.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

fn options() -> SharedDiskOptions {
    SharedDiskOptions {
        lease: LONG,
        ..SharedDiskOptions::default()
    }
}

fn open(folder: &Path) -> SharedDiskStore {
    open_with(folder, options())
}

fn open_with(folder: &Path, options: SharedDiskOptions) -> SharedDiskStore {
    let mut store = SharedDiskStore::open(folder, options).unwrap();
    store.load().unwrap();
    store
}

fn change(revision: u64, lines: &str) -> Change {
    Change {
        revision: Revision(revision),
        origin: 7,
        lines: Bytes::copy_from_slice(lines.as_bytes()),
    }
}

/// Commits one change on `base`.
fn commit(store: &mut SharedDiskStore, base: u64, lines: &str) -> Commit {
    store.commit(Revision(base), &[change(base + 1, lines)]).unwrap()
}

/// The packages after `lines`.
fn model(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Bytes {
    let mut latest = Latest::new();
    for lines in lines {
        latest.apply(lines.as_ref().as_bytes()).unwrap();
    }
    latest.into_lines()
}

/// The folder of the tree, as it is called now.
fn tree(folder: &Path) -> PathBuf {
    let is_tree = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("tree.");
    let paths = fs::read_dir(folder.join("index")).unwrap();
    paths.map(|entry| entry.unwrap().path()).find(is_tree).unwrap()
}

/// How far the tree is.
fn applied(folder: &Path) -> Option<u64> {
    let state = fs::read_to_string(tree(folder).join("state")).ok()?;
    let applied = state.lines().find_map(|line| line.strip_prefix("applied "));
    applied?.parse().ok()
}

/// Lets a keeper work until the tree has `revision`.
fn settle(store: &mut SharedDiskStore, folder: &Path, revision: u64) {
    wait_for(|| {
        store.tend(&NoPackages).unwrap();
        applied(folder) == Some(revision)
    });
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a check finds that it does not mend.
fn unmended(store: &mut SharedDiskStore, repair: bool) -> Vec<String> {
    let findings = store.check(repair).unwrap().into_iter();
    findings
        .filter(|finding| !finding.mended)
        .map(|finding| finding.what)
        .collect()
}
