//! One suite for all stores.
//!
//! A store is one [`Backend`]; [`Backend::cases`] names what it must pass, each as a test of its own; [`crash`] kills processes that write
//! to it. The cases call the store itself where they ask what it keeps, and an [`Index`](crate::Index) on top of it where they ask
//! whether answers are right: a [`Journal`] judges every answer by the state at the revision that it carries.

mod cases;
mod clients;
pub mod crash;
mod journal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use thiserror::Error;

use crate::change::{Change, Revision};
use crate::command::{Verb, commands};
use crate::index::{BatchError, FeedError, Unavailable};
use crate::store::{Finding, Store, StoreError};

pub use clients::{Clients, load_of, with_faults};
pub use journal::{Entry, Journal};

/// Opens a store at an address.
pub type Open = fn(address: &str) -> Result<Box<dyn Store>, StoreError>;

/// Makes the address of a place where nothing is kept yet.
pub type Fresh = Box<dyn Fn() -> Result<String, Broken> + Send + Sync>;

/// One test.
pub type Case = fn(&Backend) -> Result<(), Broken>;

/// Indexed packages with their dependencies, the plain way.
pub type Packages = BTreeMap<String, BTreeSet<String>>;

/// A kind of store, with what differs honestly between kinds.
pub struct Backend {
    /// Begins the names of its tests.
    pub name: &'static str,
    /// Whether anything is there after it was closed.
    pub keeps: bool,
    /// Whether it can be open more than once.
    pub shared: bool,
    /// Opens it.
    pub open: Open,
    /// Opens it so that it keeps fewer than two hundred old changes, when there is such an option.
    pub open_forgetful: Option<Open>,
    /// Where it has nothing. Called once for each case; a server is started when it is called first.
    pub fresh: Fresh,
}

/// What a store did wrong.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Broken(pub String);

macro_rules! broken_from {
    ($($error:ty),*) => { $(impl From<$error> for Broken {
        fn from(error: $error) -> Self {
            Self(error.to_string())
        }
    })* };
}
broken_from!(StoreError, Unavailable, BatchError, FeedError, std::io::Error);

/// What a case needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Kept,
    Shared,
    Forgetful,
}

impl Backend {
    /// The cases that apply, by name.
    pub fn cases(&self) -> impl Iterator<Item = (&'static str, Case)> {
        let applies = |needs| match needs {
            Needs::Nothing => true,
            Needs::Kept => self.keeps,
            Needs::Shared => self.keeps && self.shared,
            Needs::Forgetful => self.open_forgetful.is_some(),
        };
        let all = cases::ALL.iter().chain(clients::ALL);
        all.filter(move |(_, needs, _)| applies(*needs))
            .map(|&(name, _, case)| (name, case))
    }

    /// Opens the store at `address`. One that has somebody else's lease is waited for, up to a minute.
    pub fn open(&self, address: &str) -> Result<Box<dyn Store>, Broken> {
        let began = std::time::Instant::now();
        loop {
            match (self.open)(address) {
                Err(StoreError::InUse(_)) if began.elapsed().as_secs() < 60 => {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Looks whether the store at `address`, which nobody has open, is whole. What a killed server left behind may have to be cleared away
    /// first, but nothing may be wrong with what is kept.
    pub fn must_be_whole(&self, address: &str) -> Result<(), Broken> {
        let mut store = self.open(address)?;
        store.load()?;
        let mut lasting = store.check(true)?;
        lasting.retain(|finding| !finding.mended);
        same("what cannot be mended", lasting, Vec::<Finding>::new())?;
        same(
            "what `check` finds after a repair",
            store.check(false)?,
            Vec::<Finding>::new(),
        )
    }
}

/// What is kept, with its revision.
fn packages(store: &mut dyn Store) -> Result<(Revision, Packages), Broken> {
    let loaded = store.load()?;
    let mut packages = Packages::new();
    for command in commands(&loaded.lines) {
        let command = command.map_err(|malformed| Broken(malformed.to_string()))?;
        ensure(command.verb == Verb::Index, || format!("{command:?} was loaded"))?;
        let before = packages.insert(
            command.package.to_owned(),
            command.dependencies().map(str::to_owned).collect(),
        );
        ensure(before.is_none(), || {
            format!("{} was loaded twice", command.package)
        })?;
    }
    Ok((loaded.revision, packages))
}

/// Applies a change the plain way.
fn apply(packages: &mut Packages, lines: &[u8]) {
    for command in commands(lines).flatten() {
        match command.verb {
            Verb::Index => {
                let dependencies = command.dependencies().map(str::to_owned).collect();
                packages.insert(command.package.to_owned(), dependencies);
            }
            Verb::Remove => {
                packages.remove(command.package);
            }
            Verb::Query => {}
        }
    }
}

/// One change for each text, behind `base`.
fn changes_of(base: u64, origin: u64, texts: &[&str]) -> Vec<Change> {
    let numbered = (base + 1..).zip(texts);
    let change = |(revision, text): (u64, &&str)| Change {
        revision: Revision(revision),
        origin,
        lines: (*text).to_owned().into(),
    };
    numbered.map(change).collect()
}

fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    match is_so {
        true => Ok(()),
        false => Err(Broken(otherwise())),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "cases read better with values than with a reference to each"
)]
fn same<T: PartialEq + Debug>(what: &str, is: T, should: T) -> Result<(), Broken> {
    ensure(is == should, || format!("{what}: {is:?}, should be {should:?}"))
}

/// A small generator of numbers (splitmix64), so that a run can be repeated from its seed.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A command about `package`: INDEX more often than REMOVE, with up to three dependencies.
    pub(crate) fn command(&mut self, package: &str, dependency: impl Fn(&mut Self) -> String) -> String {
        match self.below(10) {
            0..=4 => {
                let dependencies: Vec<_> = (0..self.below(4)).map(|_| dependency(self)).collect();
                format!("INDEX|{package}|{}\n", dependencies.join(","))
            }
            5..=7 => format!("REMOVE|{package}|\n"),
            _ => format!("QUERY|{package}|\n"),
        }
    }
}
