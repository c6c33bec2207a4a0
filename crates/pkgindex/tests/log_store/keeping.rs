//! What is kept comes back.

use bytes::Bytes;
use pkgindex::store::{Commit, Durability, LogOptions, LogStore, Packages, Store, StoreError};
use pkgindex::{Acknowledge, Change, Index, Options, Revision};

use crate::world::{World, commit, names, open, scratch, small, state_of};

const ALL: [Durability; 3] = [
    Durability::Always,
    Durability::Interval(std::time::Duration::from_secs(3600)),
    Durability::None,
];

#[test]
fn changes_come_back_after_a_restart() {
    for durability in ALL {
        let folder = scratch();
        let mut world = World::new(3);
        for _ in 0..4 {
            let (mut store, loaded) = open(folder.path(), small(durability));
            assert_eq!(loaded.revision, world.revision());
            assert_eq!(&state_of(&loaded), world.history.last().unwrap());
            for _ in 0..10 {
                commit(&mut store, world.any_change());
            }
        }
    }
}

#[test]
fn one_commit_keeps_many_changes() {
    let folder = scratch();
    let mut world = World::new(4);
    let changes: Vec<Change> = (0..100).map(|_| world.any_change()).collect();
    let (mut store, _) = open(folder.path(), LogOptions::default());
    assert_eq!(store.commit(Revision(0), &changes).unwrap(), Commit::Done);
    assert_eq!(store.changes(Revision(0)).unwrap(), changes);
    assert_eq!(store.changes(Revision(97)).unwrap(), changes[97..]);
    assert_eq!(store.changes(Revision(100)).unwrap(), []);
    drop(store);
    let (_, loaded) = open(folder.path(), LogOptions::default());
    assert_eq!(&state_of(&loaded), world.history.last().unwrap());
}

#[test]
fn another_base_is_a_conflict_and_a_gap_is_refused() {
    let folder = scratch();
    let (mut store, _) = open(folder.path(), LogOptions::default());
    let change = |revision| Change {
        revision: Revision(revision),
        origin: 1,
        lines: Bytes::from_static(b"INDEX|a|\n"),
    };
    assert_eq!(store.commit(Revision(1), &[]).unwrap(), Commit::Conflict);
    assert_eq!(store.commit(Revision(0), &[]).unwrap(), Commit::Done);
    let gap = store.commit(Revision(0), &[change(1), change(3)]).unwrap_err();
    assert!(matches!(gap, StoreError::Unsuited(_)), "{gap}");
    assert_eq!(store.commit(Revision(0), &[change(1)]).unwrap(), Commit::Done);
}

#[test]
fn a_folder_has_one_owner() {
    let folder = scratch();
    let first = LogStore::open(folder.path(), LogOptions::default()).unwrap();
    let Err(StoreError::InUse(message)) = LogStore::open(folder.path(), LogOptions::default()) else {
        panic!("two have the folder");
    };
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    drop(first);
    LogStore::open(folder.path(), LogOptions::default()).unwrap();
}

#[test]
fn a_folder_is_made_with_all_that_it_stands_in() {
    let parent = scratch();
    let folder = parent.path().join("some/where/deep");
    open(&folder, LogOptions::default());
    assert_eq!(names(&folder, ".log").len(), 1);
}

#[test]
fn room_is_kept_ready_under_always_only() {
    for durability in ALL {
        let folder = scratch();
        let options = LogOptions {
            durability,
            prepared_bytes: 600 << 10,
            ..LogOptions::default()
        };
        let mut world = World::new(5);
        let (mut store, _) = open(folder.path(), options);
        while store.tend(&world).unwrap() {}
        commit(&mut store, world.any_change());
        let length = folder
            .path()
            .join(&names(folder.path(), ".log")[0])
            .metadata()
            .unwrap()
            .len();
        assert_eq!(length >= 600 << 10, durability == Durability::Always, "{length}");
        drop(store);
        let (mut store, loaded) = open(folder.path(), options);
        assert_eq!(&state_of(&loaded), world.history.last().unwrap());
        assert_eq!(store.check(false).unwrap(), []);
    }
}

#[tokio::test]
async fn an_index_finds_what_it_acknowledged() {
    let folder = scratch();
    let options = || Options {
        acknowledge: Acknowledge::Committed,
        ..Options::default()
    };
    for round in 0..3 {
        let store = LogStore::open(folder.path(), small(Durability::Always)).unwrap();
        let index = Index::open(Box::new(store), options()).unwrap();
        assert_eq!(index.sizes().packages, round * 200);
        for number in 0..200 {
            let mut answers = Vec::new();
            let line = format!("INDEX|package-{round}-{number}|\n");
            index.lines(line.as_bytes(), &mut answers).await.unwrap();
            assert_eq!(answers, b"OK\n");
        }
    }
}

/// Commits and tends as an index does.
#[test]
fn a_day_of_fresh_names_does_not_make_the_folder_grow() {
    let folder = scratch();
    let options = LogOptions {
        segment_bytes: 10_000,
        snapshot_after_bytes: 40_000,
        ..small(Durability::None)
    };
    let mut world = World::new(6);
    let (mut store, _) = open(folder.path(), options);
    let mut most = 0;
    for day in 0..5_000 {
        commit(&mut store, world.change(&format!("INDEX|fresh-{day}|\n")));
        commit(&mut store, world.change(&format!("REMOVE|fresh-{day}|\n")));
        store.tend(&world).unwrap();
        most = most.max(bytes_in(folder.path()));
    }
    assert!(most < 80_000, "{most} bytes");
    assert!(world.applied() == Revision(10_000));
}

fn bytes_in(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}
