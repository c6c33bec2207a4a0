//! What is not as it was written is found, and dropped only where a crash explains it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pkgindex::store::{Durability, LogOptions, LogStore, Store, StoreError};
use pkgindex::{Change, Revision};

use crate::world::{World, assert_goes_on, commit, copy, load_error, names, open, scratch, small, state_of};

const LAZY: Durability = Durability::Interval(Duration::from_secs(3600));

/// A folder with one segment of three commits, and where each begins and the last ends.
fn three_commits(durability: Durability) -> (tempfile::TempDir, World, Vec<usize>) {
    let folder = scratch();
    let mut world = World::new(11);
    let (mut store, _) = open(folder.path(), small(durability));
    let mut ends = vec![fs::read(segment(folder.path())).unwrap().len()];
    for lines in ["INDEX|first|\n", "INDEX|second|first\n", "INDEX|third|second\n"] {
        commit(&mut store, world.change(lines));
        ends.push(fs::read(segment(folder.path())).unwrap().len());
    }
    (folder, world, ends)
}

fn segment(folder: &Path) -> PathBuf {
    folder.join(&names(folder, ".log")[0])
}

#[test]
fn an_end_torn_at_any_byte_loses_only_the_last_commit() {
    let (folder, world, ends) = three_commits(Durability::Always);
    let whole = fs::read(segment(folder.path())).unwrap();
    let [.., start, end] = ends[..] else {
        unreachable!()
    };
    for cut in start..end {
        let garbage = |length: usize| (0..length).map(|at| (at * 37 + 11) as u8).collect::<Vec<_>>();
        let ends = [
            Vec::new(),
            vec![0; end - cut + 100],
            garbage(1),
            garbage(end - cut),
            garbage(end - cut + 100),
            [garbage(5), vec![0; 100]].concat(),
        ];
        for rest in ends {
            let copied = scratch();
            let torn = [&whole[..cut], &rest[..]].concat();
            let is_blank = torn[start..].iter().all(|&byte| byte == 0);
            fs::write(copied.path().join("00000000000000000001.log"), torn).unwrap();
            let kept = assert_goes_on(copied.path(), small(Durability::Always), &world.history);
            assert_eq!(kept, Revision(2), "cut at byte {cut}");
            assert_eq!(names(copied.path(), ".torn").is_empty(), is_blank);
        }
    }
}

#[test]
fn a_whole_record_behind_a_torn_one_does_not_come_back() {
    let (folder, mut world, ends) = three_commits(LAZY);
    let path = segment(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[ends[2] - 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (mut store, loaded) = open(folder.path(), small(LAZY));
    assert_eq!(loaded.revision, Revision(1));
    world.take_back(Revision(1));
    // As long as the record that was torn, so that the one behind it would follow.
    commit(&mut store, world.change("INDEX|2econd|first\n"));
    drop(store);
    let (_, loaded) = open(folder.path(), small(LAZY));
    assert_eq!(loaded.revision, Revision(2));
    assert_eq!(&state_of(&loaded), world.history.last().unwrap());
    let saved = fs::read(folder.path().join(&names(folder.path(), ".torn")[0])).unwrap();
    assert_eq!(saved, bytes[ends[1]..]);
}

#[test]
fn any_flipped_bit_before_a_confirmed_record_is_damage() {
    let (folder, _, ends) = three_commits(Durability::Always);
    let whole = fs::read(segment(folder.path())).unwrap();
    for bit in 0..ends[2] * 8 {
        let copied = scratch();
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(copied.path().join("00000000000000000001.log"), bytes).unwrap();
        let error = load_error(copied.path());
        assert!(matches!(error, StoreError::Damaged(_)), "bit {bit}: {error}");
    }
}

/// A folder with a snapshot and several segments behind it.
fn large(folder: &Path) -> World {
    let mut world = World::new(12);
    let (mut store, _) = open(folder, small(Durability::None));
    for _ in 0..130 {
        commit(&mut store, world.any_change());
        store.tend(&world).unwrap();
    }
    assert!(names(folder, ".log").len() > 2 && names(folder, ".snapshot").len() == 1);
    world
}

#[test]
fn any_flipped_bit_in_a_finished_file_is_damage() {
    let folder = scratch();
    large(folder.path());
    let mut finished = names(folder.path(), ".log");
    finished.pop();
    finished.extend(names(folder.path(), ".snapshot"));
    for name in finished {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        for byte in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (byte % 8);
            fs::write(&path, bytes).unwrap();
            let error = load_error(folder.path());
            assert!(matches!(error, StoreError::Damaged(_)), "byte {byte}: {error}");
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_missing_file_is_damage() {
    let folder = scratch();
    large(folder.path());
    let mut needed = names(folder.path(), ".log");
    needed.pop();
    needed.extend(names(folder.path(), ".snapshot"));
    for name in needed {
        let copied = scratch();
        copy(folder.path(), copied.path());
        fs::remove_file(copied.path().join(&name)).unwrap();
        let error = load_error(copied.path());
        assert!(matches!(error, StoreError::Damaged(_)), "{name}: {error}");
        assert!(error.to_string().contains("haul pkgindex check"), "{error}");
    }
}

#[test]
fn a_check_names_each_damaged_file_and_touches_none() {
    let folder = scratch();
    large(folder.path());
    let damaged: Vec<String> = names(folder.path(), ".log").into_iter().take(2).collect();
    for name in &damaged {
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[60] ^= 4;
        fs::write(&path, bytes).unwrap();
    }
    fs::write(folder.path().join("old.partial"), "").unwrap();
    let mut store = LogStore::open(folder.path(), LogOptions::default()).unwrap();
    let findings = store.check(true).unwrap();
    assert_eq!(findings.len(), 2, "{findings:?}");
    for (finding, name) in findings.iter().zip(&damaged) {
        assert!(finding.what.contains(name) && !finding.mended, "{finding:?}");
    }
    assert!(folder.path().join("old.partial").exists());
}

#[test]
fn a_check_finds_a_torn_end_and_leftovers_and_mends_them() {
    let (folder, world, ends) = three_commits(Durability::Always);
    let path = segment(folder.path());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..ends[3] - 1]).unwrap();
    fs::write(folder.path().join("00000000000000000000.log"), "older").unwrap();
    fs::write(folder.path().join("notes"), "of somebody else").unwrap();
    let mut store = LogStore::open(folder.path(), LogOptions::default()).unwrap();
    for repair in [false, true] {
        let findings = store.check(repair).unwrap();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.mended == repair));
    }
    assert_eq!(store.check(false).unwrap(), []);
    drop(store);
    assert!(folder.path().join("notes").exists());
    let kept = assert_goes_on(folder.path(), small(Durability::Always), &world.history);
    assert_eq!(kept, Revision(2));
}

#[test]
fn a_check_finds_a_dependency_that_is_not_there() {
    let folder = scratch();
    let (mut store, _) = open(folder.path(), LogOptions::default());
    let lines = "INDEX|a|b\nINDEX|c|a\n";
    commit(
        &mut store,
        Change {
            revision: Revision(1),
            origin: 0,
            lines: lines.into(),
        },
    );
    let findings = store.check(true).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].what, "a depends on b, which is not indexed");
    assert!(!findings[0].mended);
}

#[test]
fn whatever_stands_in_the_files_gives_a_state_that_was_or_an_error() {
    let (folder, world, _) = three_commits(LAZY);
    let whole = fs::read(segment(folder.path())).unwrap();
    let mut dice = World::new(13);
    for _ in 0..2000 {
        let copied = scratch();
        let mut bytes = whole.clone();
        for _ in 0..=dice.roll(8) {
            let at = usize::try_from(dice.roll(whole.len() as u64)).unwrap();
            bytes[at] = [0, 1, 8, 255, b'\n'][usize::try_from(dice.roll(5)).unwrap()];
        }
        fs::write(copied.path().join("00000000000000000001.log"), bytes).unwrap();
        let mut store = LogStore::open(copied.path(), small(LAZY)).unwrap();
        match store.load() {
            Ok(loaded) => {
                let at = usize::try_from(loaded.revision.0).unwrap();
                assert_eq!(state_of(&loaded), world.history[at]);
            }
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "{error}"),
        }
    }
}

/// Logs that are out there must be readable for ever, so their form may only change together with its version.
#[test]
fn the_form_of_the_files_is_fixed() {
    let folder = scratch();
    let mut world = World::new(14);
    let options = LogOptions {
        snapshot_after_bytes: 0,
        ..small(Durability::Always)
    };
    let (mut store, _) = open(folder.path(), options);
    commit(&mut store, world.change("INDEX|a|\n"));
    let log = fs::read(segment(folder.path())).unwrap();
    assert_eq!(hex(&log), SEGMENT);
    while store.tend(&world).unwrap() {}
    let snapshot = folder.path().join("00000000000000000001.snapshot");
    assert_eq!(hex(&fs::read(snapshot).unwrap()), SNAPSHOT);
}

const SEGMENT: &str = "706b67692d6c6f67010000006cf06553010000000000000025000000e6e8e36d00000000000000000100000000000000070000000000000009000000494e4445587c617c0a";
const SNAPSHOT: &str = "706b6769736e617001000000f1e63091010000000000000025000000c7e8b1b101000000000000000100000000000000000000000000000009000000494e4445587c617c0a080000000b1f3eec0100000000000000";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
