//! What the tests commit: an index that is small enough to remember every revision of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use pkgindex::store::{Commit, Durability, Loaded, LogOptions, LogStore, Packages, Store, StoreError};
use pkgindex::{Change, Revision, commands};

/// How many places one piece of a snapshot shows.
const PLACES: usize = 3;

/// All INDEX lines of one revision, in order.
pub(crate) type State = BTreeSet<String>;

/// The index as it would be, with all that it was.
pub(crate) struct World {
    /// The line of each package, in the place that it has; places are reused.
    places: Vec<Option<String>>,
    place_of: BTreeMap<String, usize>,
    /// The state of each revision.
    pub(crate) history: Vec<State>,
    pub(crate) rollbacks: u64,
    dice: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            places: Vec::new(),
            place_of: BTreeMap::new(),
            history: vec![State::new()],
            rollbacks: 0,
            dice: seed.wrapping_mul(2).wrapping_add(1),
        }
    }

    /// A world that holds what was loaded, with an unknown past.
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let mut world = Self::new(loaded.revision.0);
        world.history = vec![State::new(); usize::try_from(loaded.revision.0).unwrap()];
        world.history.push(State::new());
        world.apply(&loaded.lines);
        *world.history.last_mut().unwrap() = world.state();
        world
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision(self.history.len() as u64 - 1)
    }

    fn state(&self) -> State {
        self.places.iter().flatten().cloned().collect()
    }

    /// Applies the lines as one change.
    pub(crate) fn change(&mut self, lines: &str) -> Change {
        self.apply(lines.as_bytes());
        self.history.push(self.state());
        Change {
            revision: self.revision(),
            origin: 7,
            lines: Bytes::copy_from_slice(lines.as_bytes()),
        }
    }

    /// A change by chance: packages `p0`..`p19` come and go, and depend on `root`, which stays.
    pub(crate) fn any_change(&mut self) -> Change {
        let number = self.roll(20);
        let line = match self.roll(3) {
            0 => format!("REMOVE|p{number}|\n"),
            1 => format!("INDEX|p{number}|\n"),
            _ => format!("INDEX|p{number}|root\n"),
        };
        match self.revision() {
            Revision(0) => self.change("INDEX|root|\n"),
            _ => self.change(&line),
        }
    }

    /// Takes the changes behind `revision` back.
    pub(crate) fn take_back(&mut self, revision: Revision) {
        self.history.truncate(usize::try_from(revision.0).unwrap() + 1);
        let before = self.history.last().unwrap().clone();
        let names: Vec<String> = self.place_of.keys().cloned().collect();
        for name in names {
            self.apply(format!("REMOVE|{name}|\n").as_bytes());
        }
        self.apply(before.into_iter().collect::<String>().as_bytes());
        self.rollbacks += 1;
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.dice >> 33) % sides
    }

    fn apply(&mut self, lines: &[u8]) {
        for command in commands(lines).map(Result::unwrap) {
            if let Some(place) = self.place_of.remove(command.package) {
                self.places[place] = None;
            }
            if command.verb == pkgindex::Verb::Index {
                let line = format!("INDEX|{}|{}\n", command.package, command.dependency_list());
                let place = self.vacant();
                self.places[place] = Some(line);
                self.place_of.insert(command.package.to_owned(), place);
            }
        }
    }

    fn vacant(&mut self) -> usize {
        self.places.iter().position(Option::is_none).unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }
}

impl Packages for World {
    fn piece(&self, from: usize, lines: &mut Vec<u8>) -> Option<usize> {
        let end = self.places.len().min(from + PLACES);
        for line in self.places[from.min(end)..end].iter().flatten() {
            lines.extend_from_slice(line.as_bytes());
        }
        (end < self.places.len()).then_some(end)
    }

    fn applied(&self) -> Revision {
        self.revision()
    }

    fn rollbacks(&self) -> u64 {
        self.rollbacks
    }
}

/// Small files, no waiting, no room kept ready.
pub(crate) fn small(durability: Durability) -> LogOptions {
    LogOptions {
        durability,
        segment_bytes: 300,
        prepared_bytes: 0,
        snapshot_after_bytes: 1000,
        retry_pause: std::time::Duration::ZERO,
    }
}

pub(crate) fn open(folder: &Path, options: LogOptions) -> (LogStore, Loaded) {
    let mut store = LogStore::open(folder, options).unwrap();
    let loaded = store.load().unwrap();
    (store, loaded)
}

pub(crate) fn load_error(folder: &Path) -> StoreError {
    let mut store = LogStore::open(folder, LogOptions::default()).unwrap();
    store.load().unwrap_err()
}

/// Commits one change, which must succeed.
pub(crate) fn commit(store: &mut LogStore, change: Change) {
    let base = Revision(change.revision.0 - 1);
    assert_eq!(store.commit(base, &[change]).unwrap(), Commit::Done);
}

pub(crate) fn state_of(loaded: &Loaded) -> State {
    let lines = str::from_utf8(&loaded.lines).unwrap();
    lines.split_inclusive('\n').map(str::to_owned).collect()
}

/// The folder must hold what `world` knew at the revision that it is at, and go on from there, twice. Returns the revision.
pub(crate) fn assert_goes_on(folder: &Path, options: LogOptions, history: &[State]) -> Revision {
    let (mut store, loaded) = open(folder, options);
    let at = usize::try_from(loaded.revision.0).unwrap();
    assert_eq!(state_of(&loaded), history[at], "revision {at}");
    let mut world = World::of(&loaded);
    for _ in 0..2 {
        commit(&mut store, world.change("INDEX|afterwards|\n"));
        assert_eq!(store.check(false).unwrap(), []);
        drop(store);
        let loaded;
        (store, loaded) = open(folder, options);
        assert_eq!(loaded.revision, world.revision());
        assert_eq!(&state_of(&loaded), world.history.last().unwrap());
    }
    Revision(at as u64)
}

/// A folder for a test. What the disk does is simulated where it matters, so memory is as good and faster.
pub(crate) fn scratch() -> tempfile::TempDir {
    match Path::new("/dev/shm").is_dir() {
        true => tempfile::tempdir_in("/dev/shm").unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// Copies the files of a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The names in a folder that end so, in order.
pub(crate) fn names(folder: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort_unstable();
    names
}
