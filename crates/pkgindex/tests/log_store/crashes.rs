//! The system may end between any two things that are done to the folder, and in the middle of each.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pkgindex::Revision;
use pkgindex::store::{Durability, LogStore, Step, Store};

use crate::world::{State, World, assert_goes_on, commit, scratch, small};

type Contents = BTreeMap<String, Vec<u8>>;

/// How a folder comes to be found so.
struct Crash {
    /// What must be there.
    acknowledged: Revision,
    what: String,
}

/// Knows what is on the disk and what is only in the memory of the system, and notes both before each step.
#[derive(Default)]
struct Disk {
    folder: PathBuf,
    /// What each file held when it was last synced, by its number.
    synced: BTreeMap<u64, Vec<u8>>,
    /// What names there were when the folder was last synced.
    names: BTreeMap<String, u64>,
    acknowledged: Revision,
    /// Folders as they may be found after a crash.
    crashes: BTreeMap<Contents, Crash>,
    is_always: bool,
}

impl Disk {
    fn before(&mut self, step: Step) {
        let current = numbers(&self.folder);
        let seen: Contents = read(&self.folder);
        let on_disk = |number: &u64| self.synced.get(number).cloned().unwrap_or_default();
        let with_synced = |names: &BTreeMap<String, u64>| -> Contents {
            names
                .iter()
                .map(|(name, number)| (name.clone(), on_disk(number)))
                .collect()
        };
        let when = format!("before {step:?}");
        // A crash of the server only: the system still has everything.
        let mut found = vec![(seen.clone(), self.acknowledged, "server")];
        // A crash of the system: names or contents or both as they were synced.
        let promised = if self.is_always {
            self.acknowledged
        } else {
            Revision(0)
        };
        found.push((with_synced(&current), promised, "contents"));
        found.push((with_synced(&self.names), promised, "names and contents"));
        let mut without_new = self.names.clone();
        without_new.retain(|name, _| current.contains_key(name));
        found.push((with_synced(&without_new), promised, "contents and new names"));
        if let Step::Write { file, offset, bytes } = step {
            for part in [1, bytes.len() / 2, bytes.len() - 1] {
                let torn = overwritten(&seen, file, offset, &bytes[..part]);
                found.push((torn, self.acknowledged, "torn"));
            }
        }
        for (files, acknowledged, how) in found {
            let what = format!("{how} {when}");
            let crash = self.crashes.entry(files).or_insert(Crash { acknowledged, what });
            crash.acknowledged = crash.acknowledged.max(acknowledged);
        }
        match step {
            Step::Sync(file) => {
                let number = fs::metadata(file).unwrap().ino();
                self.synced.insert(number, fs::read(file).unwrap());
            }
            Step::SyncFolder(_) => self.names = current,
            _ => {}
        }
    }
}

/// A store that tells `disk` what it does to the folder.
fn open_on(disk: &Arc<Mutex<Disk>>, durability: Durability) -> LogStore {
    let folder = disk.lock().unwrap().folder.clone();
    let witness = Arc::clone(disk);
    let on_step = Arc::new(move |step: Step| -> io::Result<()> {
        witness.lock().unwrap().before(step);
        Ok(())
    });
    LogStore::open_observed(&folder, small(durability), on_step).unwrap()
}

fn overwritten(files: &Contents, file: &Path, offset: u64, bytes: &[u8]) -> Contents {
    let mut files = files.clone();
    let name = file.file_name().unwrap().to_str().unwrap();
    let content = files.entry(name.to_owned()).or_default();
    let start = usize::try_from(offset).unwrap();
    content.resize(content.len().max(start + bytes.len()), 0);
    content[start..start + bytes.len()].copy_from_slice(bytes);
    files
}

fn numbers(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().ino(),
            )
        })
        .collect()
}

fn read(folder: &Path) -> Contents {
    let names = numbers(folder).into_keys();
    names
        .map(|name| {
            let content = fs::read(folder.join(&name)).unwrap();
            (name, content)
        })
        .collect()
}

/// Works long enough for several segments and snapshots, and restarts in between.
fn crashes_of(durability: Durability) -> (BTreeMap<Contents, Crash>, World) {
    let folder = scratch();
    let disk = Arc::new(Mutex::new(Disk {
        folder: folder.path().to_owned(),
        is_always: durability == Durability::Always,
        ..Disk::default()
    }));
    let mut world = World::new(1);
    for _ in 0..2 {
        let mut store = open_on(&disk, durability);
        assert_eq!(store.load().unwrap().revision, world.revision());
        for _ in 0..45 {
            commit(&mut store, world.any_change());
            disk.lock().unwrap().acknowledged = world.revision();
            store.tend(&world).unwrap();
        }
    }
    let crashes = std::mem::take(&mut disk.lock().unwrap().crashes);
    (crashes, world)
}

fn assert_survives(durability: Durability) {
    let (crashes, world) = crashes_of(durability);
    let kinds = |ending: &str| {
        crashes
            .keys()
            .filter(|files| files.keys().any(|name| name.ends_with(ending)))
            .count()
    };
    assert!(kinds(".snapshot") > 0 && kinds(".snapshot.partial") > 0 && kinds(".log.partial") > 0);
    assert_all_go_on(crashes, durability, &world.history);
}

fn assert_all_go_on(crashes: BTreeMap<Contents, Crash>, durability: Durability, history: &[State]) {
    for (files, crash) in crashes {
        let folder = scratch();
        for (name, content) in &files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        println!("{}", crash.what);
        let found = assert_goes_on(folder.path(), small(durability), history);
        assert!(found >= crash.acknowledged, "{}: {found}", crash.what);
    }
}

#[test]
fn no_crash_loses_what_was_confirmed() {
    assert_survives(Durability::Always);
}

#[test]
fn with_an_interval_a_crash_leaves_some_state_that_was() {
    assert_survives(Durability::Interval(Duration::ZERO));
}

#[test]
fn without_durability_a_crash_leaves_some_state_that_was() {
    assert_survives(Durability::None);
}

/// A server crashed before it had synced anything; then the system does, after the next server has shown what it found.
#[test]
fn what_a_restart_shows_is_on_the_disk_first() {
    let folder = scratch();
    let mut world = World::new(2);
    let mut store = LogStore::open(folder.path(), small(Durability::None)).unwrap();
    store.load().unwrap();
    commit(&mut store, world.change("INDEX|root|\n"));
    drop(store);
    let disk = Arc::new(Mutex::new(Disk {
        folder: folder.path().to_owned(),
        is_always: true,
        ..Disk::default()
    }));
    let mut store = open_on(&disk, Durability::Always);
    assert_eq!(store.load().unwrap().revision, Revision(1));
    disk.lock().unwrap().crashes.clear();
    disk.lock().unwrap().acknowledged = Revision(1);
    commit(&mut store, world.change("INDEX|next|root\n"));
    let shown = std::mem::take(&mut disk.lock().unwrap().crashes);
    assert_all_go_on(shown, Durability::Always, &world.history);
}
