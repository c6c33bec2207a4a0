//! A keeper that is killed after any of its steps.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pkgindex::Revision;
use pkgindex::store::{SharedDiskOptions, Store};

use crate::{NoPackages, applied, commit, model, open, open_with, options, settle, unmended};

/// Commits that change lists, close circles and remove; each group is brought into the tree as one batch.
const GROUPS: [&[&str]; 3] = [
    &[
        "INDEX|a|\n",
        "INDEX|b|a\n",
        "INDEX|c|a,b\n",
        "INDEX|C+|a\nINDEX|d|C+,e\nINDEX|e|d\n",
    ],
    &[
        "INDEX|c|b\n",
        "INDEX|a|c,a\n",
        "REMOVE|d|\nREMOVE|e|\n",
        "INDEX|b|\n",
    ],
    &["INDEX|d|a,b,c\n", "INDEX|a|\n", "REMOVE|C+|\n", "INDEX|d|b\n"],
];

/// Runs `look` on a copy of the folder after each step; it gets the revision and the copy of when the tree was last said to be up to date.
fn after_each_step(mut look: impl FnMut(&Path, u64, &Path)) {
    let folder = crate::folder();
    let single_steps = SharedDiskOptions {
        piece: Duration::ZERO,
        ..options()
    };
    let mut store = open_with(folder.path(), single_steps);
    let mut revision = 0;
    for group in GROUPS {
        for lines in group {
            commit(&mut store, revision, lines);
            revision += 1;
        }
        let synced = crate::folder();
        copy(folder.path(), synced.path());
        crate::wait_for(|| {
            if store.tend(&NoPackages).unwrap() {
                let crashed = crate::folder();
                copy(folder.path(), crashed.path());
                free(crashed.path());
                look(crashed.path(), revision, synced.path());
            }
            applied(folder.path()) == Some(revision)
        });
    }
}

/// The copy has everything; the next keeper leaves nothing but entries of no dependency, and a repair makes it clean.
fn assert_recovers(folder: &Path, revision: u64) {
    let all = GROUPS.concat();
    let expected = model(&all[..usize::try_from(revision).unwrap()]);
    let mut store = open(folder);
    let assert_loads = |store: &mut dyn Store| {
        let loaded = store.load().unwrap();
        assert_eq!(
            (loaded.revision, loaded.lines),
            (Revision(revision), expected.clone())
        );
    };
    assert_loads(&mut store);
    settle(&mut store, folder, revision);
    assert_loads(&mut store);
    for left in unmended(&mut store, false) {
        assert!(
            left.ends_with("is an entry of no dependency") || left.ends_with("was killed"),
            "{left}"
        );
    }
    assert_eq!(unmended(&mut store, true), [""; 0]);
    assert_loads(&mut store);
    assert_eq!(store.check(false).unwrap(), []);
}

#[test]
fn after_any_step_nothing_is_lost() {
    let mut steps = 0;
    after_each_step(|crashed, revision, _| {
        steps += 1;
        assert_recovers(crashed, revision);
    });
    assert!(steps > 40, "{steps}");
}

#[test]
fn when_the_machine_stops_packages_that_were_not_synced_may_be_torn() {
    assert_recovers_torn("packages");
}

#[test]
fn when_the_machine_stops_entries_that_were_not_synced_may_be_gone() {
    assert_recovers_torn("dependents");
}

fn assert_recovers_torn(part: &str) {
    let mut torn = 0;
    after_each_step(|crashed, revision, synced| {
        torn += tear(crashed, synced, part);
        assert_recovers(crashed, revision);
    });
    assert!(torn > 40, "{torn}");
}

/// Cuts every file of `part` that came since `synced`, and removes it where it is empty. Nothing when the tree has been synced since.
fn tear(crashed: &Path, synced: &Path, part: &str) -> usize {
    if applied(crashed) != applied(synced) {
        return 0;
    }
    let before = files(&crate::tree(synced).join(part));
    let root = crate::tree(crashed).join(part);
    let mut torn = 0;
    for (name, text) in files(&root) {
        if before.get(&name) == Some(&text) {
            continue;
        }
        torn += 1;
        match text.is_empty() {
            true => fs::remove_file(root.join(name)).unwrap(),
            false => fs::write(root.join(name), &text[..text.len() / 2]).unwrap(),
        }
    }
    torn
}

/// All files below, by path.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(root).unwrap().to_owned();
                    files.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => {
                fs::create_dir(&copied).unwrap();
                copy(&path, &copied);
            }
            false => drop(fs::copy(&path, copied).unwrap()),
        }
    }
}

/// Says that the keeper is gone, which servers find out by waiting.
fn free(folder: &Path) {
    for keeper in fs::read_dir(folder.join("index/keepers")).unwrap() {
        fs::write(keeper.unwrap().path(), "free\n").unwrap();
    }
}
