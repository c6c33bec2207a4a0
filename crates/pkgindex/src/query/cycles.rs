use crate::graph::{Place, components};
use crate::query::order::up_to;
use crate::query::work::{Exhausted, Work};
use crate::query::{Cycles, Knot, Orphans, Page, Paged, QueryError, Questions, walk};
use crate::snapshot::PackageId;

impl Questions<'_> {
    /// All packages that need themselves, directly or not, in knots that are as large as they can be.
    pub fn cycles(&self, page: &Page) -> Result<Cycles, QueryError> {
        let mut work = self.work();
        work.spend(self.snapshot.edges())?;
        let all = self.components_with_cycles();
        let knots = self.knots(&all, page, &mut work)?;
        Ok(Cycles {
            revision: self.snapshot.revision().0,
            packages: all.iter().map(Vec::len).sum(),
            knots,
        })
    }

    /// All packages on which nothing depends, not counting themselves. Packages that only need each other are none of them; those are
    /// found by [`Questions::cycles`].
    pub fn orphans(&self, page: &Page) -> Orphans {
        let is_orphan = |&package: &PackageId| {
            self.snapshot
                .dependents(package)
                .iter()
                .all(|&other| other == package)
        };
        let orphans: Vec<_> = self.snapshot.packages().filter(is_orphan).collect();
        Orphans {
            revision: self.snapshot.revision().0,
            packages: self.by_name(&orphans, page, |&package| package, |&package| self.name(package)),
        }
    }

    /// Each by name, and by the first name.
    fn components_with_cycles(&self) -> Vec<Vec<PackageId>> {
        let dependencies = |place: Place| self.snapshot.dependencies(PackageId(place));
        let dependency = |place: Place, at: usize| Some(dependencies(place).get(at)?.0);
        let mut found = Vec::new();
        components(self.snapshot.len(), dependency, |places| {
            let needs_itself = |&place: &Place| dependencies(place).binary_search(&PackageId(place)).is_ok();
            if places.len() > 1 || places.iter().any(needs_itself) {
                let mut members: Vec<_> = places.iter().map(|&place| PackageId(place)).collect();
                members.sort_unstable();
                found.push(members);
            }
        });
        found.sort_unstable();
        found
    }

    fn knots(&self, all: &[Vec<PackageId>], page: &Page, work: &mut Work) -> Result<Paged<Knot>, Exhausted> {
        let first = page.after.as_deref().map_or(0, |after| {
            all.partition_point(|members| self.snapshot.name(members[0]) <= after)
        });
        let shown = up_to(page.limit, &all[first..], Vec::len);
        let last = shown.last().filter(|_| first + shown.len() < all.len());
        Ok(Paged {
            total: all.len(),
            next: last.map(|members| self.name(members[0])),
            items: shown
                .iter()
                .map(|members| self.knot(members, work))
                .collect::<Result<_, _>>()?,
        })
    }

    fn knot(&self, members: &[PackageId], work: &mut Work) -> Result<Knot, Exhausted> {
        let is_member = |package: PackageId| members.binary_search(&package).is_ok();
        let example = walk::path(self.snapshot, members[0], members[0], work, is_member)?;
        Ok(Knot {
            packages: self.names(members),
            example: self.names(&example.unwrap_or_default()),
        })
    }
}
