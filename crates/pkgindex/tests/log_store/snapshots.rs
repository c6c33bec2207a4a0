//! Snapshots, written while the index changes.

use pkgindex::Revision;
use pkgindex::store::{Durability, LogOptions, LogStore, Store, StoreError};

use crate::world::{World, commit, names, open, scratch, small, state_of};

const EAGER: LogOptions = LogOptions {
    durability: Durability::None,
    segment_bytes: 1 << 20,
    prepared_bytes: 0,
    snapshot_after_bytes: 0,
    retry_pause: std::time::Duration::ZERO,
};

/// A store with 30 packages, in whose folder a snapshot is about to begin.
fn begun(folder: &std::path::Path) -> (LogStore, World) {
    let mut world = World::new(9);
    let (mut store, _) = open(folder, EAGER);
    let lines: String = (0..30).map(|number| format!("INDEX|q{number}|\n")).collect();
    commit(&mut store, world.change(&lines));
    assert!(store.tend(&world).unwrap(), "a snapshot begins");
    (store, world)
}

fn assert_kept(folder: &std::path::Path, world: &World) {
    let (_, loaded) = open(folder, EAGER);
    assert_eq!(loaded.revision, world.revision());
    assert_eq!(&state_of(&loaded), world.history.last().unwrap());
}

#[test]
fn a_snapshot_takes_the_place_of_the_log_before_it() {
    let folder = scratch();
    let (mut store, world) = begun(folder.path());
    while store.tend(&world).unwrap() {}
    assert_eq!(names(folder.path(), ".snapshot").len(), 1);
    assert_eq!(names(folder.path(), ".log"), ["00000000000000000002.log"]);
    assert!(matches!(
        store.changes(Revision(0)),
        Err(StoreError::TooOld(Revision(0)))
    ));
    drop(store);
    assert_kept(folder.path(), &world);
}

#[test]
fn what_changes_between_its_pieces_is_right_too() {
    for seed in 0..20 {
        let folder = scratch();
        let mut world = World::new(seed);
        let (mut store, _) = open(folder.path(), small(Durability::None));
        for _ in 0..200 {
            commit(&mut store, world.any_change());
            store.tend(&world).unwrap();
        }
        assert!(!names(folder.path(), ".snapshot").is_empty());
        assert_eq!(store.check(false).unwrap(), []);
        drop(store);
        assert_kept(folder.path(), &world);
    }
}

#[test]
fn it_waits_until_what_it_shows_is_committed() {
    let folder = scratch();
    let (mut store, mut world) = begun(folder.path());
    let early = world.change("REMOVE|q0|\n");
    while store.tend(&world).unwrap() {}
    assert_eq!(names(folder.path(), ".snapshot"), [""; 0]);
    commit(&mut store, early);
    store.tend(&world).unwrap();
    assert_eq!(names(folder.path(), ".snapshot").len(), 1);
    drop(store);
    assert_kept(folder.path(), &world);
}

#[test]
fn it_is_void_when_something_that_it_shows_is_taken_back() {
    let folder = scratch();
    let (mut store, mut world) = begun(folder.path());
    world.change("INDEX|never|\n");
    while store.tend(&world).unwrap() {}
    world.take_back(Revision(1));
    commit(&mut store, world.change("INDEX|other|\n"));
    store.tend(&world).unwrap();
    assert_eq!(names(folder.path(), ".snapshot"), [""; 0]);
    assert_eq!(names(folder.path(), ".partial"), [""; 0]);
    while store.tend(&world).unwrap() {}
    store.tend(&world).unwrap();
    assert_eq!(names(folder.path(), ".snapshot").len(), 1, "the next is written");
    drop(store);
    assert_kept(folder.path(), &world);
}

#[test]
fn a_snapshot_without_the_changes_that_it_needs_is_damage() {
    let folder = scratch();
    let (mut store, mut world) = begun(folder.path());
    commit(&mut store, world.change("REMOVE|q1|\n"));
    while store.tend(&world).unwrap() {}
    drop(store);
    let segment = folder.path().join("00000000000000000002.log");
    let length = segment.metadata().unwrap().len();
    std::fs::File::options()
        .write(true)
        .open(&segment)
        .unwrap()
        .set_len(length - 1)
        .unwrap();
    assert!(matches!(
        crate::world::load_error(folder.path()),
        StoreError::Damaged(_)
    ));
}
