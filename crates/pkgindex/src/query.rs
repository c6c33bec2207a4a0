//! Questions about all packages of one revision: what needs what, why, in which order, and where it goes in circles.
//!
//! [`Questions`] asks a [`Snapshot`], which holds no lock, so a question may take its time without making anybody wait. Each question
//! has a budget of work, and each list comes in pages, in a stable order. Answers are plain data: they are the JSON of the second port
//! and what the command line prints. No question recurses, so a chain of a million packages is no deeper than one of two.
//!
//! ```
//! # use pkgindex::{Index, Options, query::{Page, Questions}, store::MemoryStore};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let index = Index::open(Box::new(MemoryStore::new()), Options::default())?;
//! index.batch(b"INDEX|libc6|\nINDEX|zlib1g|libc6\nINDEX|git|libc6,zlib1g\n").await?;
//! let snapshot = index.snapshot().await?;
//! let order = Questions::new(&snapshot).install_order(&["git"], &Page::default())?;
//! let first = &order.steps.items[0];
//! assert_eq!((first.level, &*first.packages[0]), (0, "libc6"));
//! # Ok(())
//! # }
//! ```

mod cycles;
mod order;
mod walk;
mod work;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::snapshot::{PackageId, Snapshot};

use walk::{Next, walk};
use work::Work;

/// The work that a question may do when nothing else is said: edges looked at, enough for any index of a few million.
pub const DEFAULT_MAX_EDGES: usize = 20_000_000;

/// Which way along the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what a package needs.
    Dependencies,
    /// To what needs a package.
    Dependents,
}

impl Direction {
    fn of(self, snapshot: &Snapshot, package: PackageId) -> &[PackageId] {
        match self {
            Self::Dependencies => snapshot.dependencies(package),
            Self::Dependents => snapshot.dependents(package),
        }
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Only what comes behind this name: the `next` of the page before.
    pub after: Option<String>,
    /// The most packages to list. Zero lists none and only counts.
    pub limit: usize,
}

impl Default for Page {
    /// The first hundred.
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paged<T> {
    /// How many there are on all pages.
    pub total: usize,
    /// Those of this page.
    pub items: Vec<T>,
    /// [`Page::after`] of the next page; nothing when this is the last, or the limit was zero.
    pub next: Option<String>,
}

/// A package with its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The revision that was asked.
    pub revision: u64,
    /// Its name.
    pub package: String,
    /// What it needs directly, by name; itself among them when it depends on itself.
    pub dependencies: Paged<String>,
    /// What needs it directly, by name.
    pub dependents: Paged<String>,
}

/// What a package needs, or what needs it, directly or through others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The revision that was asked.
    pub revision: u64,
    /// Where it begins.
    pub package: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Whether everything was found. Where not, the budget ended: the packages are the nearest ones and `total` counts those.
    pub complete: bool,
    /// The packages by name. The one where it begins is among them only when it is on a cycle.
    pub found: Paged<Found>,
}

/// A package that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its name.
    pub package: String,
    /// How many edges away it is on the shortest way; one for a direct neighbour.
    pub depth: u32,
}

/// Why one package needs another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The revision that was asked.
    pub revision: u64,
    /// The packages of a shortest path, each a dependency of the one before, both ends included; nothing when the one does not need
    /// the other. Of several shortest paths it is always the same one.
    pub path: Option<Vec<String>>,
}

/// An order in which packages can be installed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The revision that was asked.
    pub revision: u64,
    /// How many packages there are in all steps.
    pub packages: usize,
    /// How many levels there are.
    pub levels: usize,
    /// By level, then by the first name. A page ends with the step that reaches its limit of packages.
    pub steps: Paged<Step>,
}

/// What goes together: one package, or the packages of a cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// It comes after some step of the level before, and needs none of its own level; counted from zero.
    pub level: usize,
    /// By name.
    pub packages: Vec<String>,
}

/// Packages that need each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycles {
    /// The revision that was asked.
    pub revision: u64,
    /// How many packages are on a cycle.
    pub packages: usize,
    /// By the first name. A page ends with the knot that reaches its limit of packages.
    pub knots: Paged<Knot>,
}

/// Packages of which each needs each other, directly or not: a strongly connected component, with more than one package or one that
/// depends on itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knot {
    /// All of them, by name.
    pub packages: Vec<String>,
    /// A shortest cycle through the first one: each needs the next, and the last is the first again.
    pub example: Vec<String>,
}

/// Packages that no other package needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    /// The revision that was asked.
    pub revision: u64,
    /// By name.
    pub packages: Paged<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// Nothing has that name.
    #[error("{name} is not indexed")]
    NotIndexed {
        /// What was asked for.
        name: String,
    },
    /// The budget ended before an answer was found.
    #[error("the answer needs a look at more than {max_edges} edges; ask for less, or allow more")]
    TooMuchWork {
        /// The budget.
        max_edges: usize,
    },
    /// [`Page::after`] is not in the list, whose order is not one by name; it was another revision's.
    #[error("no page of this revision ends with {after}; begin again at the first page")]
    NoSuchPage {
        /// What was given.
        after: String,
    },
}

/// Asks a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'s> {
    snapshot: &'s Snapshot,
    max_edges: usize,
}

impl<'s> Questions<'s> {
    /// With a budget of [`DEFAULT_MAX_EDGES`] for each question.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self::with_budget(snapshot, DEFAULT_MAX_EDGES)
    }

    /// With a budget of `max_edges` edges to look at for each question.
    pub fn with_budget(snapshot: &'s Snapshot, max_edges: usize) -> Self {
        Self { snapshot, max_edges }
    }

    /// The package called `name`, with the first `limit` of its neighbours on both sides and how many there are.
    /// [`Questions::neighbours`] has the others, and [`Questions::reach`] those further away; with a limit of zero it counts them.
    pub fn package(&self, name: &str, limit: usize) -> Result<Package, QueryError> {
        let first = Page { after: None, limit };
        Ok(Package {
            revision: self.snapshot.revision().0,
            package: name.to_owned(),
            dependencies: self.neighbours(name, Direction::Dependencies, &first)?,
            dependents: self.neighbours(name, Direction::Dependents, &first)?,
        })
    }

    /// The direct dependencies or dependents of `name`.
    pub fn neighbours(
        &self,
        name: &str,
        direction: Direction,
        page: &Page,
    ) -> Result<Paged<String>, QueryError> {
        let all = direction.of(self.snapshot, self.find(name)?);
        Ok(self.by_name(all, page, |&package| package, |&package| self.name(package)))
    }

    /// The dependencies or dependents of `name`, and theirs, up to `max_depth` edges away; all of them without it. Each page is a
    /// new search.
    pub fn reach(
        &self,
        name: &str,
        direction: Direction,
        max_depth: Option<NonZeroU32>,
        page: &Page,
    ) -> Result<Reach, QueryError> {
        let start = self.find(name)?;
        let mut found = Vec::new();
        let walked = walk(self.snapshot, direction, &[start], &mut self.work(), |edge| {
            found.push((edge.to, edge.depth));
            match max_depth {
                Some(max) if edge.depth >= max.get() => Next::Pass,
                _ => Next::Enter,
            }
        });
        found.sort_unstable();
        let show = |&(package, depth): &(PackageId, u32)| Found {
            package: self.name(package),
            depth,
        };
        Ok(Reach {
            revision: self.snapshot.revision().0,
            package: name.to_owned(),
            direction,
            complete: walked.is_ok(),
            found: self.by_name(&found, page, |&(package, _)| package, show),
        })
    }

    /// Why `from` needs `to`. With the same name twice: why it needs itself.
    pub fn why_depends(&self, from: &str, to: &str) -> Result<Why, QueryError> {
        let (from, to) = (self.find(from)?, self.find(to)?);
        let path = walk::path(self.snapshot, from, to, &mut self.work(), |_| true)?;
        Ok(Why {
            revision: self.snapshot.revision().0,
            path: path.map(|path| self.names(&path)),
        })
    }

    /// Everything that `names` need, themselves included, such that what a step needs stands in levels before it.
    pub fn install_order(&self, names: &[impl AsRef<str>], page: &Page) -> Result<Order, QueryError> {
        self.order(names, Direction::Dependencies, page)
    }

    /// Everything that needs `names`, themselves included, such that what needs a step stands in levels before it.
    pub fn removal_order(&self, names: &[impl AsRef<str>], page: &Page) -> Result<Order, QueryError> {
        self.order(names, Direction::Dependents, page)
    }

    fn find(&self, name: &str) -> Result<PackageId, QueryError> {
        self.snapshot.find(name).ok_or_else(|| QueryError::NotIndexed {
            name: name.to_owned(),
        })
    }

    fn work(&self) -> Work {
        Work::new(self.max_edges)
    }

    fn name(&self, package: PackageId) -> String {
        self.snapshot.name(package).to_owned()
    }

    fn names(&self, packages: &[PackageId]) -> Vec<String> {
        packages.iter().map(|&package| self.name(package)).collect()
    }

    /// A page of `all`, which is in the order of `package`.
    fn by_name<T, S>(
        &self,
        all: &[T],
        page: &Page,
        package: impl Fn(&T) -> PackageId,
        show: impl Fn(&T) -> S,
    ) -> Paged<S> {
        let first = page.after.as_deref().map_or(0, |after| {
            all.partition_point(|item| self.snapshot.name(package(item)) <= after)
        });
        let end = all.len().min(first.saturating_add(page.limit));
        let shown = &all[first..end];
        let last = shown.last().filter(|_| end < all.len());
        Paged {
            total: all.len(),
            items: shown.iter().map(show).collect(),
            next: last.map(|item| self.name(package(item))),
        }
    }
}
