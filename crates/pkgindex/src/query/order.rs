use std::ops::Range;

use crate::graph::{Place, components};
use crate::query::walk::{Next, walk};
use crate::query::work::Exhausted;
use crate::query::{Direction, Order, Page, Paged, QueryError, Questions, Step};
use crate::snapshot::PackageId;

/// Packages that go together, and when.
struct Group {
    level: usize,
    /// Where they stand in [`Groups::members`].
    members: Range<usize>,
}

/// All of them, in one list, as most have one member.
#[derive(Default)]
struct Groups {
    groups: Vec<Group>,
    /// Group after group, and within each by name.
    members: Vec<PackageId>,
}

impl Groups {
    fn push(&mut self, level: usize, members: impl Iterator<Item = PackageId>) {
        let start = self.members.len();
        self.members.extend(members);
        self.members[start..].sort_unstable();
        let members = start..self.members.len();
        self.groups.push(Group { level, members });
    }

    fn members(&self, group: &Group) -> &[PackageId] {
        &self.members[group.members.clone()]
    }

    fn first(&self, group: &Group) -> PackageId {
        self.members[group.members.start]
    }

    /// By level, then by the first name.
    fn in_order(self) -> Self {
        let Self { mut groups, members } = self;
        groups.sort_unstable_by_key(|group| (group.level, members[group.members.start]));
        Self { groups, members }
    }
}

impl Questions<'_> {
    pub(super) fn order(
        &self,
        names: &[impl AsRef<str>],
        direction: Direction,
        page: &Page,
    ) -> Result<Order, QueryError> {
        let starts: Vec<_> = names
            .iter()
            .map(|name| self.find(name.as_ref()))
            .collect::<Result<_, _>>()?;
        let needed = self.closure(&starts, direction)?;
        let groups = self.groups(&needed, direction).in_order();
        Ok(Order {
            revision: self.snapshot.revision().0,
            packages: needed.len(),
            levels: groups.groups.last().map_or(0, |last| last.level + 1),
            steps: self.steps(&groups, page)?,
        })
    }

    /// The packages and everything behind them, by name.
    fn closure(&self, starts: &[PackageId], direction: Direction) -> Result<Vec<PackageId>, Exhausted> {
        let mut needed = starts.to_vec();
        walk(self.snapshot, direction, starts, &mut self.work(), |edge| {
            needed.push(edge.to);
            Next::Enter
        })?;
        needed.sort_unstable();
        needed.dedup();
        Ok(needed)
    }

    /// The components of `needed`, which holds everything behind its packages. A component comes after all that it needs, so its level is
    /// known when it comes.
    fn groups(&self, needed: &[PackageId], direction: Direction) -> Groups {
        let mut place_of: Vec<Place> = vec![0; self.snapshot.len()];
        for (place, package) in (0..).zip(needed) {
            place_of[package.0 as usize] = place;
        }
        let behind = |place: Place| direction.of(self.snapshot, needed[place as usize]);
        let mut level_of: Vec<Option<usize>> = vec![None; needed.len()];
        let mut groups = Groups::default();
        let neighbour =
            |place: Place, at: usize| behind(place).get(at).map(|package| place_of[package.0 as usize]);
        components(needed.len(), neighbour, |places| {
            let neighbours = places.iter().flat_map(|&place| behind(place));
            // Members of the component itself have no level yet.
            let below = neighbours.filter_map(|package| level_of[place_of[package.0 as usize] as usize]);
            let level = below.max().map_or(0, |highest| highest + 1);
            for &place in places {
                level_of[place as usize] = Some(level);
            }
            groups.push(level, places.iter().map(|&place| needed[place as usize]));
        });
        groups
    }

    fn steps(&self, groups: &Groups, page: &Page) -> Result<Paged<Step>, QueryError> {
        let all = &groups.groups;
        let first = match &page.after {
            None => 0,
            Some(after) => {
                let ends_page = |group| self.snapshot.name(groups.first(group)) == after;
                let at = all.iter().position(ends_page);
                at.ok_or_else(|| QueryError::NoSuchPage { after: after.clone() })? + 1
            }
        };
        let shown = up_to(page.limit, &all[first..], |group| group.members.len());
        let last = shown.last().filter(|_| first + shown.len() < all.len());
        let step = |group: &Group| Step {
            level: group.level,
            packages: self.names(groups.members(group)),
        };
        Ok(Paged {
            total: all.len(),
            next: last.map(|group| self.name(groups.first(group))),
            items: shown.iter().map(step).collect(),
        })
    }
}

/// The first of `all`, up to the one with which `size` reaches `limit`.
pub(super) fn up_to<T>(limit: usize, all: &[T], size: impl Fn(&T) -> usize) -> &[T] {
    let mut packages = 0;
    let end = all.iter().take_while(|item| {
        let is_open = packages < limit;
        packages += size(item);
        is_open
    });
    &all[..end.count()]
}
