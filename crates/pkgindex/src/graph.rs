//! The packages in memory, with their edges in both directions.

mod batch;
mod components;

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::command::{Answer, Command, Verb, write_line};

pub use batch::{Reason, Refusal};
pub(crate) use components::components;

/// What an INDEX does that closes a cycle, or makes a package depend on itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cycles {
    /// OK, as the challenge says: every dependency is indexed.
    #[default]
    Literal,
    /// FAIL.
    Reject,
    /// OK, and counted.
    Report,
}

/// Where the lines go that lead back; `None` where nobody will go back.
pub(crate) type WayBack<'u> = Option<&'u mut Vec<u8>>;

/// Where a package stands in a [`Graph`]; another package may stand there after it is removed.
pub(crate) type Place = u32;

/// One end of an edge. The other end is found at once, so an edge goes in constant time however many a package has.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The package at the other end.
    package: Place,
    /// Where the other end's list has this edge.
    twin: u32,
}

/// Most packages have a few edges only; these stand in the node itself, in the room that a list on the heap would need for its head.
type Ends = SmallVec<[End; 2]>;

/// A package: nobody who is not indexed has one, because only indexed packages are depended on.
///
/// Commands touch nodes in no order, so each is one line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Node {
    /// `None` where a package was.
    name: Option<Arc<str>>,
    /// By place.
    dependencies: Ends,
    /// In no order.
    dependents: Ends,
}

/// A name and who has it. The name stands here too, so that a look-up does not go through the node to compare it.
#[derive(Debug)]
struct Named {
    name: Arc<str>,
    place: Place,
}

/// Indexed packages and what they depend on. Every operation costs as much as its command is long, except the search for cycles.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Keyed, so that nobody can choose names that collide.
    hasher: RandomState,
    by_name: HashTable<Named>,
    nodes: Vec<Node>,
    vacant: Vec<Place>,
    edges: usize,
    /// How many INDEX commands closed a cycle, under [`Cycles::Report`].
    reported_cycles: u64,
    /// Places of the dependencies of the command at hand; kept for its memory.
    scratch: Vec<Place>,
}

/// What a command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// Whether the state is another one now.
    pub(crate) changed: bool,
}

impl Outcome {
    const FAIL: Self = Self::unchanged(Answer::Fail);

    const fn unchanged(answer: Answer) -> Self {
        Self {
            answer,
            changed: false,
        }
    }

    const CHANGED: Self = Self {
        answer: Answer::Ok,
        changed: true,
    };
}

impl Graph {
    /// How many packages are indexed.
    pub(crate) fn packages(&self) -> usize {
        self.by_name.len()
    }

    /// How many edges there are.
    pub(crate) fn edges(&self) -> usize {
        self.edges
    }

    pub(crate) fn reported_cycles(&self) -> u64 {
        self.reported_cycles
    }

    /// How many places there are; some may be vacant.
    pub(crate) fn places(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Place> {
        let found = self
            .by_name
            .find(self.hasher.hash_one(name), |named| &*named.name == name);
        found.map(|named| named.place)
    }

    /// The names of all packages, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.iter().map(|named| &*named.name)
    }

    /// The name of the package at `place`, or `None` when none is there.
    pub(crate) fn name(&self, place: Place) -> Option<&Arc<str>> {
        self.nodes.get(place as usize)?.name.as_ref()
    }

    /// By place.
    pub(crate) fn dependencies(&self, place: Place) -> impl ExactSizeIterator<Item = Place> {
        self.nodes[place as usize]
            .dependencies
            .iter()
            .map(|end| end.package)
    }

    /// In no order.
    pub(crate) fn dependents(&self, place: Place) -> impl ExactSizeIterator<Item = Place> {
        self.nodes[place as usize]
            .dependents
            .iter()
            .map(|end| end.package)
    }

    /// Appends the INDEX line of the package at `place`; nothing when none is there.
    pub(crate) fn write_line(&self, place: Place, lines: &mut Vec<u8>) {
        if let Some(name) = self.name(place) {
            let dependencies = self
                .dependencies(place)
                .filter_map(|dependency| self.name(dependency));
            write_line(lines, Verb::Index, name, dependencies.map(|name| &**name));
        }
    }

    /// Appends the line that leads back to what is known of `package` now.
    pub(crate) fn write_undo(&self, package: &str, lines: &mut Vec<u8>) {
        match self.find(package) {
            Some(place) => self.write_line(place, lines),
            None => write_line(lines, Verb::Remove, package, std::iter::empty()),
        }
    }

    /// Executes one command. What leads back is appended to `undo` when the state changes.
    pub(crate) fn execute(&mut self, command: &Command, cycles: Cycles, undo: WayBack) -> Outcome {
        match command.verb {
            Verb::Query => self.query(command.package),
            Verb::Index => self.index(command, cycles, undo),
            Verb::Remove => self.remove(command.package, undo),
        }
    }

    pub(crate) fn query(&self, package: &str) -> Outcome {
        Outcome::unchanged(match self.find(package) {
            Some(_) => Answer::Ok,
            None => Answer::Fail,
        })
    }

    fn index(&mut self, command: &Command, cycles: Cycles, undo: WayBack) -> Outcome {
        let mut wanted = mem::take(&mut self.scratch);
        let outcome = match self.resolve(command, &mut wanted) {
            true => self.index_resolved(command.package, &wanted, cycles, undo),
            false => Outcome::FAIL,
        };
        wanted.clear();
        wanted.shrink_to(1024);
        self.scratch = wanted;
        outcome
    }

    /// The places of all dependencies, each once, in order; `false` when one is not indexed.
    fn resolve(&self, command: &Command, wanted: &mut Vec<Place>) -> bool {
        for name in command.dependencies() {
            match self.find(name) {
                Some(place) => wanted.push(place),
                None => return false,
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        true
    }

    fn index_resolved(&mut self, package: &str, wanted: &[Place], cycles: Cycles, undo: WayBack) -> Outcome {
        let Some(place) = self.find(package) else {
            if let Some(undo) = undo {
                write_line(undo, Verb::Remove, package, std::iter::empty());
            }
            let place = self.insert(package);
            self.set_dependencies(place, wanted);
            return Outcome::CHANGED;
        };
        if self.dependencies(place).eq(wanted.iter().copied()) {
            return Outcome::unchanged(Answer::Ok);
        }
        if cycles != Cycles::Literal && self.would_close_cycle(place, wanted) {
            if cycles == Cycles::Reject {
                return Outcome::FAIL;
            }
            self.reported_cycles += 1;
        }
        if let Some(undo) = undo {
            self.write_line(place, undo);
        }
        self.set_dependencies(place, wanted);
        Outcome::CHANGED
    }

    fn remove(&mut self, package: &str, undo: WayBack) -> Outcome {
        let Some(place) = self.find(package) else {
            return Outcome::unchanged(Answer::Ok);
        };
        if self.has_other_dependents(place) {
            return Outcome::FAIL;
        }
        if let Some(undo) = undo {
            self.write_line(place, undo);
        }
        self.set_dependencies(place, &[]);
        self.delete(place);
        Outcome::CHANGED
    }

    /// Whether a package other than itself depends on it.
    fn has_other_dependents(&self, place: Place) -> bool {
        // At most one edge is its own, so two are enough to look at.
        self.dependents(place).take(2).any(|dependent| dependent != place)
    }

    /// Whether `place` with the dependencies `wanted` would be on a cycle: whether a dependency needs it already. Looks forward from the
    /// dependencies and backward from the package in turns, so that the smaller side decides how long it takes.
    fn would_close_cycle(&self, place: Place, wanted: &[Place]) -> bool {
        if wanted.contains(&place) {
            return true;
        }
        let mut forward = Search::from(wanted);
        let mut backward = Search::from(&[place]);
        loop {
            let Some(next) = forward.next() else { return false };
            if next == place {
                return true;
            }
            forward.add(self.dependencies(next));
            let Some(next) = backward.next() else { return false };
            if wanted.binary_search(&next).is_ok() {
                return true;
            }
            backward.add(self.dependents(next));
        }
    }

    /// Makes room for `packages` more.
    fn reserve(&mut self, packages: usize) {
        self.nodes.reserve(packages.saturating_sub(self.vacant.len()));
        let hasher = &self.hasher;
        self.by_name
            .reserve(packages, |named| hasher.hash_one(&*named.name));
    }

    /// Makes a package without edges; the name must not be there.
    fn insert(&mut self, name: &str) -> Place {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            Place::try_from(self.nodes.len() - 1).expect("memory ends before four thousand million packages")
        });
        let name: Arc<str> = name.into();
        self.nodes[place as usize].name = Some(Arc::clone(&name));
        let hasher = &self.hasher;
        let hash = hasher.hash_one(&*name);
        self.by_name
            .insert_unique(hash, Named { name, place }, |named| hasher.hash_one(&*named.name));
        place
    }

    /// Forgets a package, which has no edges any more.
    fn delete(&mut self, place: Place) {
        let node = mem::take(&mut self.nodes[place as usize]);
        debug_assert!(node.dependencies.is_empty() && node.dependents.is_empty());
        let Some(name) = node.name else { return };
        if let Ok(entry) = self
            .by_name
            .find_entry(self.hasher.hash_one(&*name), |named| named.place == place)
        {
            entry.remove();
        }
        self.vacant.push(place);
    }

    /// Replaces the dependencies of a package by `wanted`, which is in order and has nothing twice.
    fn set_dependencies(&mut self, place: Place, wanted: &[Place]) {
        let mut list = mem::take(&mut self.nodes[place as usize].dependencies);
        self.edges = self.edges - list.len() + wanted.len();
        for end in list.drain(..) {
            self.forget_dependent(end);
        }
        list.shrink_to_fit();
        list.reserve_exact(wanted.len());
        for (at, &dependency) in wanted.iter().enumerate() {
            let dependents = &mut self.nodes[dependency as usize].dependents;
            list.push(End {
                package: dependency,
                twin: index_of(dependents.len()),
            });
            dependents.push(End {
                package: place,
                twin: index_of(at),
            });
        }
        self.nodes[place as usize].dependencies = list;
    }

    /// Takes the other end of `end` out of its list. The last one of that list moves to its place, and its twin learns of it.
    fn forget_dependent(&mut self, end: End) {
        let dependents = &mut self.nodes[end.package as usize].dependents;
        dependents.swap_remove(end.twin as usize);
        if dependents.len() < dependents.capacity() / 4 {
            dependents.shrink_to_fit();
        }
        if let Some(&moved) = dependents.get(end.twin as usize) {
            self.nodes[moved.package as usize].dependencies[moved.twin as usize].twin = end.twin;
        }
    }
}

fn index_of(length: usize) -> u32 {
    u32::try_from(length).expect("there are fewer packages than that, and each is in a list at most once")
}

/// Packages that are found and were not looked at yet, each once.
struct Search {
    open: Vec<Place>,
    found: std::collections::HashSet<Place>,
}

impl Search {
    fn from(start: &[Place]) -> Self {
        Self {
            open: start.to_vec(),
            found: start.iter().copied().collect(),
        }
    }

    fn next(&mut self) -> Option<Place> {
        self.open.pop()
    }

    fn add(&mut self, places: impl Iterator<Item = Place>) {
        for place in places {
            if self.found.insert(place) {
                self.open.push(place);
            }
        }
    }
}
