//! Each thing that is done to the folder may fail.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pkgindex::Revision;
use pkgindex::store::{Commit, Durability, LogOptions, LogStore, OnStep, Step, Store, StoreError};

use crate::world::{World, assert_goes_on, commit, names, scratch, small};

/// Lets the step with this number fail, a write in its middle. Returns whether it came so far.
fn failing(number: usize) -> (OnStep, Arc<AtomicUsize>) {
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let on_step = move |step: Step| {
        if counted.fetch_add(1, Ordering::Relaxed) != number {
            return Ok(());
        }
        if let Step::Write { file, offset, bytes } = step {
            let file = File::options().write(true).open(file).unwrap();
            file.write_all_at(&bytes[..bytes.len() / 2], offset).unwrap();
        }
        Err(io::Error::from(ErrorKind::StorageFull))
    };
    (Arc::new(on_step), steps)
}

/// One change, as an index commits it. Returns whether the store still goes on.
fn attempt(store: &mut LogStore, world: &mut World) -> bool {
    let base = world.revision();
    let change = world.any_change();
    match store.commit(base, &[change]) {
        Ok(done) => assert_eq!(done, Commit::Done),
        Err(StoreError::Lost(_)) => return false,
        Err(error) => {
            assert!(matches!(error, StoreError::Io { .. }), "{error}");
            assert_eq!(store.changes(base).unwrap(), []);
            world.take_back(base);
        }
    }
    !matches!(store.tend(world), Err(StoreError::Lost(_)))
}

/// Returns whether the failure came.
fn work_with_failure(number: usize, options: LogOptions) -> bool {
    let folder = scratch();
    let mut world = World::new(number as u64);
    let (on_step, steps) = failing(number);
    let mut store = LogStore::open_observed(folder.path(), options, on_step).unwrap();
    if store.load().is_err() {
        store.load().unwrap();
    }
    let mut confirmed = Revision(0);
    for _ in 0..60 {
        let goes_on = attempt(&mut store, &mut world);
        if !goes_on {
            break;
        }
        confirmed = world.revision();
    }
    drop(store);
    let found = assert_goes_on(folder.path(), options, &world.history);
    assert!(found >= confirmed, "step {number}: {found} of {confirmed}");
    steps.load(Ordering::Relaxed) > number
}

#[test]
fn any_failure_leaves_what_was_confirmed() {
    for durability in [Durability::Always, Durability::None] {
        let failures = (0..).take_while(|&number| work_with_failure(number, small(durability)));
        assert!(failures.count() > 50);
    }
}

/// Refuses what makes files longer as long as the disk is full, after filling the rest of the page.
fn full_disk(is_full: &Arc<AtomicBool>) -> OnStep {
    let is_full = Arc::clone(is_full);
    Arc::new(move |step| {
        let grows = match step {
            Step::Write { file, offset, bytes } => {
                offset + bytes.len() as u64 > file.metadata().unwrap().len()
            }
            Step::Create(_) => true,
            _ => false,
        };
        match grows && is_full.load(Ordering::Relaxed) {
            true => Err(ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    })
}

#[test]
fn a_full_disk_refuses_changes_until_there_is_room() {
    let folder = scratch();
    let is_full = Arc::new(AtomicBool::new(false));
    let mut world = World::new(2);
    let mut store =
        LogStore::open_observed(folder.path(), small(Durability::Always), full_disk(&is_full)).unwrap();
    store.load().unwrap();
    for _ in 0..30 {
        assert!(attempt(&mut store, &mut world));
    }
    is_full.store(true, Ordering::Relaxed);
    let before = world.revision();
    let error = store.commit(before, &[world.any_change()]).unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    world.take_back(before);
    for _ in 0..20 {
        assert!(attempt(&mut store, &mut world));
    }
    assert_eq!(world.revision(), before);
    is_full.store(false, Ordering::Relaxed);
    for _ in 0..30 {
        assert!(attempt(&mut store, &mut world));
    }
    assert_eq!(world.revision(), Revision(before.0 + 30));
    drop(store);
    assert_goes_on(folder.path(), small(Durability::Always), &world.history);
}

#[test]
fn a_record_that_could_not_be_written_leaves_nothing_behind_the_next() {
    let folder = scratch();
    let mut world = World::new(2);
    // Steps of the start: names, a file, its header, its sync, its name, names.
    let (on_step, _) = failing(6);
    let mut store = LogStore::open_observed(folder.path(), small(Durability::Always), on_step).unwrap();
    store.load().unwrap();
    let long: String = (0..50)
        .map(|number| format!("INDEX|package-{number}|\n"))
        .collect();
    let error = store.commit(Revision(0), &[world.change(&long)]).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    world.take_back(Revision(0));
    assert_eq!(store.check(false).unwrap().len(), 1, "half of it is there");
    commit(&mut store, world.change("INDEX|short|\n"));
    assert_eq!(store.check(false).unwrap(), []);
}

#[test]
fn prepared_room_lasts_when_the_disk_is_full() {
    let folder = scratch();
    let is_full = Arc::new(AtomicBool::new(false));
    let mut world = World::new(8);
    let mut store =
        LogStore::open_observed(folder.path(), LogOptions::default(), full_disk(&is_full)).unwrap();
    store.load().unwrap();
    while store.tend(&world).unwrap() {}
    is_full.store(true, Ordering::Relaxed);
    for _ in 0..20 {
        commit(&mut store, world.any_change());
    }
    assert!(matches!(store.tend(&world), Err(StoreError::Io { .. })));
    assert!(!store.tend(&world).unwrap(), "housekeeping rests after a failure");
}

#[test]
fn a_torn_end_on_a_full_disk_is_cut_off_without_being_saved() {
    let folder = scratch();
    let mut world = World::new(8);
    let mut store = LogStore::open(folder.path(), small(Durability::Always)).unwrap();
    store.load().unwrap();
    commit(&mut store, world.any_change());
    drop(store);
    let segment = folder.path().join(&names(folder.path(), ".log")[0]);
    let end = segment.metadata().unwrap().len();
    File::options()
        .write(true)
        .open(&segment)
        .unwrap()
        .write_all_at(b"torn", end)
        .unwrap();
    let is_full = Arc::new(AtomicBool::new(true));
    let on_step = full_disk(&is_full);
    let mut store = LogStore::open_observed(folder.path(), small(Durability::Always), on_step).unwrap();
    assert_eq!(store.load().unwrap().revision, Revision(1));
    assert_eq!(names(folder.path(), ".torn"), [""; 0]);
}

#[test]
fn after_a_failed_sync_nothing_is_promised() {
    let folder = scratch();
    let is_broken = Arc::new(AtomicBool::new(false));
    let mut world = World::new(2);
    let mut store = sync_failing(folder.path(), &is_broken);
    store.load().unwrap();
    commit(&mut store, world.any_change());
    is_broken.store(true, Ordering::Relaxed);
    let lost = store.commit(Revision(1), &[world.any_change()]);
    assert!(matches!(lost, Err(StoreError::Lost(_))), "{lost:?}");
    is_broken.store(false, Ordering::Relaxed);
    assert!(matches!(store.commit(Revision(1), &[]), Err(StoreError::Lost(_))));
    assert!(matches!(store.changes(Revision(1)), Err(StoreError::Lost(_))));
    assert!(matches!(store.tend(&world), Err(StoreError::Lost(_))));
}

/// The real thing: a file system that ends.
#[test]
#[ignore = "needs a file system of a few megabytes; name a folder on it in HAUL_SMALL_FOLDER"]
fn a_small_disk_refuses_changes_until_there_is_room() {
    let parent = std::env::var_os("HAUL_SMALL_FOLDER").expect("HAUL_SMALL_FOLDER names a folder");
    let folder = tempfile::tempdir_in(&parent).unwrap();
    let ballast = Path::new(&parent).join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let options = LogOptions {
        snapshot_after_bytes: u64::MAX,
        ..LogOptions::default()
    };
    let (mut store, _) = crate::world::open(folder.path(), options);
    let mut world = World::new(3);
    let lines: String = (0..1000)
        .map(|number| format!("INDEX|package-{number}|\n"))
        .collect();
    let error = loop {
        let base = world.revision();
        if let Err(error) = store.commit(base, &[world.change(&lines)]) {
            assert_eq!(store.changes(base).unwrap(), []);
            world.take_back(base);
            break error;
        }
    };
    assert!(error.to_string().contains("the disk is full"), "{error}");
    std::fs::remove_file(ballast).unwrap();
    commit(&mut store, world.change("INDEX|there-is-room|\n"));
    drop(store);
    assert_goes_on(folder.path(), options, &world.history);
}

fn sync_failing(folder: &Path, is_broken: &Arc<AtomicBool>) -> LogStore {
    let is_broken = Arc::clone(is_broken);
    let on_step = move |step: Step| match step {
        Step::Sync(_) if is_broken.load(Ordering::Relaxed) => Err(io::Error::other("the disk is broken")),
        _ => Ok(()),
    };
    LogStore::open_observed(folder, LogOptions::default(), Arc::new(on_step)).unwrap()
}
