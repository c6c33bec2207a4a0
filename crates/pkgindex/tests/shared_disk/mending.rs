//! What a check finds and mends.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use pkgindex::store::{SharedDiskOptions, SharedDiskStore, Store, StoreError};
use tempfile::TempDir;

use crate::{NoPackages, commit, open, open_with, options, settle, tree};

/// A folder with three packages in the tree, and all commits.
fn three_packages() -> (TempDir, Bytes) {
    let folder = crate::folder();
    let mut store = open(folder.path());
    for (base, lines) in (0..).zip(["INDEX|a|\n", "INDEX|b|a\n", "INDEX|c|a,b\n"]) {
        commit(&mut store, base, lines);
    }
    settle(&mut store, folder.path(), 3);
    let lines = store.load().unwrap().lines;
    (folder, lines)
}

/// The path that ends in `end`, below one of the 256 folders of `part`.
fn find(folder: &Path, part: &str, end: &str) -> PathBuf {
    let shards = fs::read_dir(tree(folder).join(part)).unwrap();
    let paths = shards.map(|shard| shard.unwrap().path().join(end));
    paths.into_iter().find(|path| path.exists()).unwrap()
}

fn commit_path(folder: &Path, first: u64) -> PathBuf {
    folder.join("index/changes").join(format!("{first:020}"))
}

/// Breaks something; a check finds `count` things, a repair mends all, and nothing is lost.
fn check(break_it: impl Fn(&Path), count: usize) {
    let (folder, lines) = three_packages();
    break_it(folder.path());
    let mut store = SharedDiskStore::open(folder.path(), options()).unwrap();
    let found = store.check(false).unwrap();
    assert_eq!(found.len(), count, "{found:?}");
    assert!(found.iter().all(|finding| !finding.mended));
    let mended = store.check(true).unwrap();
    assert_eq!(mended.len(), count, "{mended:?}");
    assert!(mended.iter().all(|finding| finding.mended), "{mended:?}");
    assert_eq!(store.check(false).unwrap(), []);
    assert_eq!(store.load().unwrap().lines, lines);
}

#[test]
fn nothing_is_found_where_nothing_is_broken() {
    check(|_| {}, 0);
}

#[test]
fn entries_are_made_and_removed() {
    check(
        |folder| fs::remove_file(find(folder, "dependents", "a/b")).unwrap(),
        1,
    );
    check(
        |folder| fs::write(find(folder, "dependents", "a").join("x"), "").unwrap(),
        1,
    );
    check(
        |folder| fs::create_dir(find(folder, "dependents", "a").with_file_name("z")).unwrap(),
        1,
    );
}

#[test]
fn a_torn_package_is_written_again() {
    let tear = |folder: &Path| {
        let path = find(folder, "packages", "c");
        let text = fs::read(&path).unwrap();
        fs::write(path, &text[..text.len() - 3]).unwrap();
    };
    let (folder, _) = three_packages();
    tear(folder.path());
    let loaded = SharedDiskStore::open(folder.path(), options()).unwrap().load();
    assert!(matches!(loaded, Err(StoreError::Damaged(_))));
    // Its two entries are superfluous as long as nobody knows what it said.
    check(tear, 3);
}

#[test]
fn a_commit_that_the_tree_has_is_not_needed() {
    check(|folder| fs::write(commit_path(folder, 2), "torn").unwrap(), 1);
    check(|folder| fs::remove_file(commit_path(folder, 2)).unwrap(), 1);
    check(|folder| fs::remove_file(commit_path(folder, 3)).unwrap(), 1);
}

#[test]
fn leftovers_are_removed() {
    let leave = |folder: &Path| {
        fs::write(folder.join("index/changes/.0123"), "").unwrap();
        fs::write(tree(folder).join(".draft"), "").unwrap();
        fs::create_dir(folder.join("index/tree.0")).unwrap();
        fs::create_dir(folder.join(".index-0123")).unwrap();
    };
    check(leave, 4);
}

#[test]
fn a_lost_commit_is_told_and_not_made_up() {
    let (folder, _) = three_packages();
    let mut store = open(folder.path());
    commit(&mut store, 3, "INDEX|d|\n");
    commit(&mut store, 4, "INDEX|e|\n");
    fs::write(commit_path(folder.path(), 4), "torn").unwrap();
    let findings = store.check(true).unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(!findings[0].mended);
    assert!(commit_path(folder.path(), 4).exists() && commit_path(folder.path(), 5).exists());
}

#[test]
fn a_folder_in_use_is_not_checked() {
    let folder = crate::folder();
    let quick = SharedDiskOptions {
        lease: Duration::from_secs(1),
        ..options()
    };
    let mut store = open_with(folder.path(), quick.clone());
    commit(&mut store, 0, "INDEX|a|\n");
    settle(&mut store, folder.path(), 1);
    let mut other = open_with(folder.path(), quick);
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| other.check(true));
        while !checking.is_finished() {
            store.tend(&NoPackages).unwrap();
        }
        assert!(matches!(checking.join().unwrap(), Err(StoreError::InUse(_))));
    });
}
