use std::mem;

use crate::query::Direction;
use crate::query::work::{Exhausted, Work};
use crate::snapshot::{PackageId, Snapshot};

/// The edge by which a package was reached first.
pub(super) struct Edge {
    pub(super) from: PackageId,
    pub(super) to: PackageId,
    /// How far `to` is from the nearest start.
    pub(super) depth: u32,
}

/// What to do behind an edge.
pub(super) enum Next {
    /// Go on from there.
    Enter,
    /// Go on elsewhere.
    Pass,
    /// End the walk.
    Stop,
}

/// Shows every package that can be reached from `starts` by at least one edge, each once, the nearest first and equally near ones in an
/// order that depends on names alone.
pub(super) fn walk(
    snapshot: &Snapshot,
    direction: Direction,
    starts: &[PackageId],
    work: &mut Work,
    mut visit: impl FnMut(&Edge) -> Next,
) -> Result<(), Exhausted> {
    let mut is_found = vec![false; snapshot.len()];
    let mut frontier = starts.to_vec();
    let mut depth = 0;
    while !frontier.is_empty() {
        depth += 1;
        let mut beyond = Vec::new();
        for from in frontier {
            for &to in direction.of(snapshot, from) {
                work.spend(1)?;
                if mem::replace(&mut is_found[to.0 as usize], true) {
                    continue;
                }
                match visit(&Edge { from, to, depth }) {
                    Next::Enter => beyond.push(to),
                    Next::Pass => {}
                    Next::Stop => return Ok(()),
                }
            }
        }
        frontier = beyond;
    }
    Ok(())
}

/// A shortest path along dependencies, both ends included, through packages for which `may_enter` holds.
pub(super) fn path(
    snapshot: &Snapshot,
    from: PackageId,
    to: PackageId,
    work: &mut Work,
    may_enter: impl Fn(PackageId) -> bool,
) -> Result<Option<Vec<PackageId>>, Exhausted> {
    let mut came_from = vec![PackageId(0); snapshot.len()];
    let mut is_reached = false;
    walk(snapshot, Direction::Dependencies, &[from], work, |edge| {
        came_from[edge.to.0 as usize] = edge.from;
        is_reached = edge.to == to;
        match (is_reached, may_enter(edge.to)) {
            (true, _) => Next::Stop,
            (false, true) => Next::Enter,
            (false, false) => Next::Pass,
        }
    })?;
    Ok(is_reached.then(|| way_back(&came_from, from, to)))
}

fn way_back(came_from: &[PackageId], from: PackageId, to: PackageId) -> Vec<PackageId> {
    let mut path = vec![to];
    let mut at = came_from[to.0 as usize];
    while at != from {
        path.push(at);
        at = came_from[at.0 as usize];
    }
    path.push(from);
    path.reverse();
    path
}
