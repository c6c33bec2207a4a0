use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::command::{Verb, write_line};
use crate::formats::{Fault, MAX_KEPT_BYTES, MAX_UNRESOLVED_LISTED, Read, Report};
use crate::name::parse_name;

/// A name of an input, whether of a package or of what one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NameId(u32);

impl NameId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every name of an input, once.
#[derive(Default)]
pub(super) struct Names {
    by_name: HashMap<Arc<str>, NameId>,
    names: Vec<Arc<str>>,
    bytes: usize,
}

impl Names {
    /// The number of a name, which must be one that packages can have.
    pub(super) fn intern(&mut self, name: &str) -> Result<NameId, Fault> {
        if let Some(&known) = self.by_name.get(name) {
            return Ok(known);
        }
        parse_name(name.as_bytes()).map_err(|source| Fault::Name {
            name: shortened(name),
            source,
        })?;
        let id = NameId(u32::try_from(self.names.len()).map_err(|_| Fault::TooLarge)?);
        self.keep(name.len() + size_of::<(Arc<str>, NameId, Arc<str>)>())?;
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.by_name.insert(name, id);
        Ok(id)
    }

    /// Counts `bytes` that are kept of the input.
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_KEPT_BYTES {
            return Err(Fault::TooLarge);
        }
        Ok(())
    }

    pub(super) fn name(&self, id: NameId) -> &str {
        &self.names[id.index()]
    }
}

/// What a message shows of a name that may be long.
fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

/// Dependencies on what is nowhere.
#[derive(Default)]
pub(super) struct Unresolved<'n> {
    count: usize,
    first: BTreeSet<&'n str>,
}

impl<'n> Unresolved<'n> {
    pub(super) fn add(&mut self, name: &'n str) {
        self.count += 1;
        self.first.insert(name);
        if self.first.len() > MAX_UNRESOLVED_LISTED {
            self.first.pop_last();
        }
    }
}

/// Makes the lines. `needs` gives for a package what it needs, as often as it likes and itself too, which makes no edge.
pub(super) fn lines<'n>(
    names: &'n Names,
    mut packages: Vec<NameId>,
    mut needs: impl FnMut(NameId, &mut Vec<NameId>, &mut Unresolved<'n>),
) -> Read {
    packages.sort_unstable_by_key(|&package| names.name(package));
    let mut lines = Vec::new();
    let (mut needed, mut unresolved, mut edges) = (Vec::new(), Unresolved::default(), 0);
    for &package in &packages {
        needed.clear();
        needs(package, &mut needed, &mut unresolved);
        needed.retain(|&other| other != package);
        needed.sort_unstable_by_key(|&other| names.name(other));
        needed.dedup();
        edges += needed.len();
        let dependencies = needed.iter().map(|&other| names.name(other));
        write_line(&mut lines, Verb::Index, names.name(package), dependencies);
    }
    Read {
        lines: lines.into(),
        report: Report {
            revision: None,
            packages: packages.len(),
            edges,
            unresolved: unresolved.count,
            unresolved_names: unresolved.first.into_iter().map(str::to_owned).collect(),
        },
    }
}

/// What is kept for each package, by the number of its name.
pub(super) struct ByName<T>(Vec<Option<T>>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByName<T> {
    pub(super) fn get(&self, name: NameId) -> Option<&T> {
        self.0.get(name.index())?.as_ref()
    }

    /// Puts `item` there and returns what was there before.
    pub(super) fn replace(&mut self, name: NameId, item: T) -> Option<T> {
        if self.0.len() <= name.index() {
            self.0.resize_with(name.index() + 1, || None);
        }
        self.0[name.index()].replace(item)
    }

    pub(super) fn names(&self) -> Vec<NameId> {
        let numbered = (0..).map(NameId).zip(&self.0);
        numbered
            .filter_map(|(name, item)| item.as_ref().map(|_| name))
            .collect()
    }
}
