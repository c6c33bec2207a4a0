//! What every store promises, and what is peculiar to this one.

use std::fs;

use pkgindex::Revision;
use pkgindex::store::{Commit, SharedDiskOptions, SharedDiskStore, Store, StoreError};

use crate::{change, commit, model, open, open_with, options, settle, tree, unmended};

#[test]
fn what_is_committed_is_loaded() {
    let folder = crate::folder();
    let mut store = open(folder.path());
    assert_eq!(store.load().unwrap().revision, Revision(0));
    let lines = [
        "INDEX|a|\n",
        "INDEX|b|a\n",
        "INDEX|c|a,b\nINDEX|a|c\n",
        "REMOVE|b|\nINDEX|c|a\n",
    ];
    let changes: Vec<_> = (1..)
        .zip(lines)
        .map(|(revision, lines)| change(revision, lines))
        .collect();
    assert_eq!(store.commit(Revision(0), &changes[..3]).unwrap(), Commit::Done);
    assert_eq!(store.commit(Revision(3), &changes[3..]).unwrap(), Commit::Done);
    for applied in [false, true] {
        let loaded = open(folder.path()).load().unwrap();
        assert_eq!((loaded.revision, loaded.lines), (Revision(4), model(lines)));
        if !applied {
            settle(&mut store, folder.path(), 4);
        }
    }
    for after in 0..=4 {
        let behind: Vec<_> = changes
            .iter()
            .filter(|change| change.revision.0 > after)
            .cloned()
            .collect();
        let mut found = store.changes(Revision(after)).unwrap();
        if let Some(last) = found.last() {
            found.extend(store.changes(last.revision).unwrap());
        }
        assert_eq!(found, behind, "behind {after}");
    }
    assert!(unmended(&mut store, false).is_empty());
}

#[test]
fn only_a_commit_on_the_newest_revision_is_kept() {
    let folder = crate::folder();
    let (mut ours, mut theirs) = (open(folder.path()), open(folder.path()));
    let three = [
        change(1, "INDEX|a|\n"),
        change(2, "INDEX|b|\n"),
        change(3, "INDEX|c|\n"),
    ];
    assert_eq!(ours.commit(Revision(0), &three).unwrap(), Commit::Done);
    for base in [0, 1, 2, 4, 9] {
        assert_eq!(
            commit(&mut theirs, base, "INDEX|x|\n"),
            Commit::Conflict,
            "on {base}"
        );
        assert_eq!(
            theirs.commit(Revision(base), &[]).unwrap(),
            Commit::Conflict,
            "on {base}"
        );
    }
    assert_eq!(theirs.commit(Revision(3), &[]).unwrap(), Commit::Done);
    assert_eq!(commit(&mut theirs, 3, "INDEX|d|\n"), Commit::Done);
    assert_eq!(ours.commit(Revision(3), &[]).unwrap(), Commit::Conflict);
    assert_eq!(ours.changes(Revision(3)).unwrap(), [change(4, "INDEX|d|\n")]);
}

#[test]
fn a_commit_that_is_tried_again_is_found() {
    let folder = crate::folder();
    let stores = [(); 3].map(|()| open(folder.path()));
    let [mut ours, mut again, mut theirs] = stores;
    assert_eq!(commit(&mut ours, 0, "INDEX|a|\n"), Commit::Done);
    // As it is when the answer of the file system got lost: the name is taken, by the very same commit.
    assert_eq!(commit(&mut again, 0, "INDEX|a|\n"), Commit::Done);
    let same = pkgindex::Change {
        origin: 8,
        ..change(1, "INDEX|a|\n")
    };
    assert_eq!(theirs.commit(Revision(0), &[same]).unwrap(), Commit::Conflict);
}

#[test]
fn commits_that_are_no_longer_kept_are_neither_missed_nor_made_again() {
    let folder = crate::folder();
    let mut asleep = open(folder.path());
    let few = SharedDiskOptions {
        keep_changes: 2,
        ..options()
    };
    let mut store = open_with(folder.path(), few);
    let lines: Vec<_> = (0..10).map(|number| format!("INDEX|p{number}|\n")).collect();
    for (base, lines) in (0..).zip(&lines) {
        assert_eq!(commit(&mut store, base, lines), Commit::Done);
    }
    settle(&mut store, folder.path(), 10);
    let first = folder.path().join("index/changes").join(format!("{:020}", 1));
    crate::wait_for(|| {
        store.tend(&crate::NoPackages).unwrap();
        !first.exists()
    });
    assert_eq!(store.changes(Revision(8)).unwrap().len(), 2);
    assert!(matches!(
        asleep.changes(Revision(0)),
        Err(StoreError::TooOld(Revision(0)))
    ));
    // The name that this one takes was somebody's, and is free again.
    assert_eq!(commit(&mut asleep, 0, "INDEX|lost|\n"), Commit::Conflict);
    assert_eq!(asleep.commit(Revision(0), &[]).unwrap(), Commit::Conflict);
    assert!(!first.exists());
    let loaded = asleep.load().unwrap();
    assert_eq!((loaded.revision, loaded.lines), (Revision(10), model(&lines)));
    assert_eq!(commit(&mut asleep, 10, "INDEX|found|\n"), Commit::Done);
}

#[test]
fn every_name_has_a_place() {
    let folder = crate::folder();
    let (long, longer) = ("A".repeat(254), "A".repeat(255));
    let names = [
        "..",
        ".",
        "/",
        "../../../etc/passwd",
        "a",
        "A",
        "gtk+",
        "libsigc++",
        "python@3.12",
        "@scope/name",
        "a:b",
        "-",
        ".draft",
        "state",
        &long,
        &longer,
    ];
    let mut lines: Vec<_> = names.iter().map(|name| format!("INDEX|{name}|\n")).collect();
    lines.extend(
        names
            .iter()
            .map(|name| format!("INDEX|{name}|{}\n", names.join(","))),
    );
    let mut store = open(folder.path());
    for (base, lines) in (0..).zip(&lines) {
        commit(&mut store, base, lines);
    }
    settle(&mut store, folder.path(), lines.len() as u64);
    assert_eq!(unmended(&mut store, false), [""; 0]);
    let inside = ["index"];
    let beside: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(beside, inside);
    fs::remove_dir_all(folder.path().join("index/changes")).unwrap();
    fs::create_dir(folder.path().join("index/changes")).unwrap();
    assert_eq!(open(folder.path()).load().unwrap().lines, model(&lines));
}

#[test]
fn a_removed_package_leaves_nothing() {
    let folder = crate::folder();
    let mut store = open(folder.path());
    commit(&mut store, 0, "INDEX|a|\nINDEX|b|a\nINDEX|c|a,b,c\n");
    settle(&mut store, folder.path(), 1);
    commit(&mut store, 1, "REMOVE|a|\nREMOVE|b|\nREMOVE|c|\n");
    settle(&mut store, folder.path(), 2);
    for part in ["packages", "dependents"] {
        for shard in fs::read_dir(tree(folder.path()).join(part)).unwrap() {
            assert_eq!(fs::read_dir(shard.unwrap().path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn another_folder_is_refused() {
    let folder = crate::folder();
    fs::create_dir(folder.path().join("index")).unwrap();
    let opened = SharedDiskStore::open(folder.path(), options());
    assert!(matches!(opened, Err(StoreError::Damaged(_))));
    fs::write(
        folder.path().join("index/format"),
        "haul pkgindex shared-disk 2\n",
    )
    .unwrap();
    let opened = SharedDiskStore::open(folder.path(), options());
    assert!(matches!(opened, Err(StoreError::Unsuited(_))));
}

#[test]
fn there_is_one_keeper_and_another_when_it_goes() {
    let folder = crate::folder();
    let (mut first, mut second) = (open(folder.path()), open(folder.path()));
    commit(&mut first, 0, "INDEX|a|\n");
    settle(&mut first, folder.path(), 1);
    second.tend(&crate::NoPackages).unwrap();
    assert!(first.is_keeper() && !second.is_keeper());
    drop(first);
    commit(&mut second, 1, "INDEX|b|a\n");
    let quick = SharedDiskOptions {
        lease: std::time::Duration::from_millis(100),
        ..options()
    };
    let mut third = open_with(folder.path(), quick);
    settle(&mut third, folder.path(), 2);
    assert!(third.is_keeper() && !second.is_keeper());
}
