use std::sync::Arc;

use crate::change::Revision;
use crate::graph::{Graph, Place};

/// A package within a [`Snapshot`]. Packages are numbered by name, so an order by number is an order by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub(crate) u32);

/// All packages and edges of one revision, for questions that look at more than one package. It never changes and holds no lock.
#[derive(Debug, Default)]
pub struct Snapshot {
    revision: Revision,
    names: Vec<Arc<str>>,
    dependencies: Lists,
    dependents: Lists,
}

/// For each package a list, one after the other in one vector.
#[derive(Debug, Default)]
struct Lists {
    /// Where the list of package `n` begins; one more at the end.
    starts: Vec<u32>,
    members: Vec<PackageId>,
}

impl Lists {
    fn of(&self, package: PackageId) -> &[PackageId] {
        let at = package.0 as usize;
        &self.members[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// What of a [`Graph`] a snapshot is made of: taken under the index's lock, so it is only copied.
pub(crate) struct Copied {
    revision: Revision,
    names: Vec<(Arc<str>, Place)>,
    places: usize,
    edges: Vec<(Place, Place)>,
}

impl Copied {
    pub(crate) fn new(graph: &Graph, revision: Revision) -> Self {
        let mut names = Vec::with_capacity(graph.packages());
        let mut edges = Vec::with_capacity(graph.edges());
        for place in 0..graph.places() {
            let place = Place::try_from(place).expect("places are counted in 32 bits");
            if let Some(name) = graph.name(place) {
                names.push((Arc::clone(name), place));
                edges.extend(graph.dependencies(place).map(|dependency| (place, dependency)));
            }
        }
        Self {
            revision,
            names,
            places: graph.places(),
            edges,
        }
    }
}

impl From<Copied> for Snapshot {
    fn from(copied: Copied) -> Self {
        let Copied {
            revision,
            mut names,
            places,
            edges,
        } = copied;
        names.sort_unstable();
        let mut number_of = vec![PackageId(0); places];
        for (number, (_, place)) in names.iter().enumerate() {
            number_of[*place as usize] = package_id(number);
        }
        let edges: Vec<_> = edges
            .into_iter()
            .map(|(from, to)| (number_of[from as usize], number_of[to as usize]))
            .collect();
        Self {
            revision,
            dependencies: lists(names.len(), &edges, |&edge| edge),
            dependents: lists(names.len(), &edges, |&(from, to)| (to, from)),
            names: names.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

/// Sorts edges into lists by counting.
fn lists(
    packages: usize,
    edges: &[(PackageId, PackageId)],
    end: impl Fn(&(PackageId, PackageId)) -> (PackageId, PackageId),
) -> Lists {
    let mut starts = vec![0_u32; packages + 1];
    for edge in edges {
        starts[end(edge).0.0 as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut members = vec![PackageId(0); edges.len()];
    for edge in edges {
        let (of, member) = end(edge);
        members[next[of.0 as usize] as usize] = member;
        next[of.0 as usize] += 1;
    }
    for pair in starts.windows(2) {
        members[pair[0] as usize..pair[1] as usize].sort_unstable();
    }
    Lists { starts, members }
}

fn package_id(number: usize) -> PackageId {
    PackageId(u32::try_from(number).expect("packages are counted in 32 bits"))
}

impl Snapshot {
    /// The revision that it shows.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many packages are indexed.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no package is indexed.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many edges there are.
    pub fn edges(&self) -> usize {
        self.dependencies.members.len()
    }

    /// All packages, by name.
    pub fn packages(&self) -> impl ExactSizeIterator<Item = PackageId> + DoubleEndedIterator {
        (0..self.names.len()).map(package_id)
    }

    /// The package with that name, when it is indexed.
    pub fn find(&self, name: &str) -> Option<PackageId> {
        let found = self.names.binary_search_by(|other| (**other).cmp(name));
        found.ok().map(package_id)
    }

    /// Its name.
    pub fn name(&self, package: PackageId) -> &str {
        &self.names[package.0 as usize]
    }

    /// What it depends on, by name; itself among them when it depends on itself.
    pub fn dependencies(&self, package: PackageId) -> &[PackageId] {
        self.dependencies.of(package)
    }

    /// What depends on it, by name.
    pub fn dependents(&self, package: PackageId) -> &[PackageId] {
        self.dependents.of(package)
    }
}
