//! Small random graphs, where every answer can be found the slow way: all distances by Floyd and Warshall.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use pkgindex::Snapshot;
use pkgindex::query::{Direction, Order, Page, Paged, Questions};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

const FAR: u32 = 1000;

/// Packages `0..count` called `a`, `b` and so on, and what needs what.
#[derive(Clone, Debug)]
struct Naive {
    count: usize,
    edges: BTreeSet<(usize, usize)>,
    /// By how many edges, at least one, `distances[from][to]`; [`FAR`] when there is no way.
    distances: Vec<Vec<u32>>,
}

fn name(package: usize) -> String {
    char::from(b'a' + u8::try_from(package).unwrap()).to_string()
}

fn number(name: &str) -> usize {
    usize::from(name.as_bytes()[0] - b'a')
}

impl Naive {
    fn new(count: usize, edges: BTreeSet<(usize, usize)>) -> Self {
        let mut distances = vec![vec![FAR; count]; count];
        for &(from, to) in &edges {
            distances[from][to] = 1;
        }
        for via in 0..count {
            for from in 0..count {
                for to in 0..count {
                    let through = distances[from][via] + distances[via][to];
                    distances[from][to] = distances[from][to].min(through);
                }
            }
        }
        Self {
            count,
            edges,
            distances,
        }
    }

    fn snapshot(&self) -> std::sync::Arc<Snapshot> {
        let needs = |package| self.edges.iter().filter(move |edge| edge.0 == package);
        let line = |package| {
            let names: Vec<_> = needs(package).map(|edge| name(edge.1)).collect();
            format!("INDEX|{}|{}\n", name(package), names.join(","))
        };
        crate::snapshot(&(0..self.count).map(line).collect::<String>())
    }

    fn distance(&self, direction: Direction, from: usize, to: usize) -> u32 {
        match direction {
            Direction::Dependencies => self.distances[from][to],
            Direction::Dependents => self.distances[to][from],
        }
    }

    /// What needs each other with `package`, itself included.
    fn knot(&self, package: usize) -> BTreeSet<usize> {
        let needs = |from: usize, to: usize| self.distances[from][to] < FAR;
        let others = (0..self.count).filter(|&other| needs(package, other) && needs(other, package));
        others.chain([package]).collect()
    }
}

prop_compose! {
    fn graph(sizes: RangeInclusive<usize>)(count in sizes)
        (edges in btree_set((0..count, 0..count), 0..=count * 2), count in Just(count)) -> Naive {
        Naive::new(count, edges)
    }
}

fn either() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Dependencies), Just(Direction::Dependents)]
}

/// All pages, one after the other.
fn pages<T>(limit: usize, mut ask: impl FnMut(&Page) -> Paged<T>) -> Vec<T> {
    let mut all = Vec::new();
    let mut page = Page { after: None, limit };
    loop {
        let answer = ask(&page);
        all.extend(answer.items);
        page.after = answer.next;
        if page.after.is_none() {
            assert_eq!(all.len(), answer.total);
            return all;
        }
    }
}

proptest! {
    #[test]
    fn reach_is_the_transitive_closure(graph in graph(1..=9), direction in either(), max in 0..5_u32, limit in 1..4_usize) {
        let snapshot = graph.snapshot();
        let ask = Questions::new(&snapshot);
        for start in 0..graph.count {
            let max_depth = NonZeroU32::new(max);
            let found = pages(limit, |page| ask.reach(&name(start), direction, max_depth, page).unwrap().found);
            let found: Vec<_> = found.into_iter().map(|found| (number(&found.package), found.depth)).collect();
            let furthest = max_depth.map_or(FAR - 1, NonZeroU32::get);
            let depths = (0..graph.count).map(|other| (other, graph.distance(direction, start, other)));
            let expected: Vec<_> = depths.filter(|&(_, depth)| depth <= furthest).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn budget_cuts_off_the_furthest(graph in graph(1..=9), direction in either(), budget in 0..12_usize) {
        let snapshot = graph.snapshot();
        let reach = Questions::with_budget(&snapshot, budget).reach("a", direction, None, &Page::default()).unwrap();
        let found: BTreeSet<_> = reach.found.items.iter().map(|found| number(&found.package)).collect();
        let furthest = reach.found.items.iter().map(|found| found.depth).max().unwrap_or(0);
        for found in &reach.found.items {
            prop_assert_eq!(found.depth, graph.distance(direction, 0, number(&found.package)));
        }
        for missed in (0..graph.count).filter(|package| !found.contains(package)) {
            let distance = graph.distance(direction, 0, missed);
            prop_assert!(distance >= furthest);
            prop_assert!(distance == FAR || !reach.complete);
        }
    }

    #[test]
    fn why_is_as_short_as_can_be(graph in graph(1..=9)) {
        let snapshot = graph.snapshot();
        for (from, to) in (0..graph.count).flat_map(|from| (0..graph.count).map(move |to| (from, to))) {
            let path = Questions::new(&snapshot).why_depends(&name(from), &name(to)).unwrap().path;
            let distance = graph.distances[from][to];
            prop_assert_eq!(path.is_some(), distance < FAR);
            if let Some(path) = path {
                prop_assert_eq!((number(&path[0]), path.len()), (from, distance as usize + 1));
                prop_assert_eq!(path.last(), Some(&name(to)));
                prop_assert!(is_path(&graph, &path));
            }
        }
    }

    #[test]
    fn orders_have_everything_in_the_lowest_level(
        graph in graph(1..=9),
        direction in either(),
        wanted in vec(0..9_usize, 0..3),
        limit in 1..4_usize,
    ) {
        let wanted: Vec<_> = wanted.into_iter().map(|package| package % graph.count).collect();
        let names: Vec<_> = wanted.iter().map(|&package| name(package)).collect();
        let snapshot = graph.snapshot();
        let ask = |page: &Page| -> Order {
            match direction {
                Direction::Dependencies => Questions::new(&snapshot).install_order(&names, page).unwrap(),
                Direction::Dependents => Questions::new(&snapshot).removal_order(&names, page).unwrap(),
            }
        };
        let is_needed = |other: &usize| {
            wanted.iter().any(|wanted| wanted == other || graph.distance(direction, *wanted, *other) < FAR)
        };
        let needed: BTreeSet<_> = (0..graph.count).filter(is_needed).collect();
        let steps = pages(limit, |page| ask(page).steps);
        let mut level_of = vec![None; graph.count];
        for step in &steps {
            let members: BTreeSet<_> = step.packages.iter().map(|package| number(package)).collect();
            let first = *members.first().unwrap();
            prop_assert_eq!(&members, &graph.knot(first));
            let behind = (0..graph.count)
                .filter(|&other| graph.distance(direction, first, other) < FAR && !members.contains(&other));
            let level = behind.map(|other| level_of[other].expect("it comes earlier") + 1).max().unwrap_or(0);
            prop_assert_eq!(step.level, level);
            for member in members {
                prop_assert_eq!(level_of[member].replace(level), None);
            }
        }
        let ordered: BTreeSet<_> = (0..graph.count).filter(|&package| level_of[package].is_some()).collect();
        prop_assert_eq!(&ordered, &needed);
        let whole = ask(&Page::default());
        prop_assert_eq!((whole.packages, whole.levels), (needed.len(), steps.last().map_or(0, |step| step.level + 1)));
    }

    #[test]
    fn cycles_are_where_packages_need_each_other(graph in graph(1..=9), limit in 1..4_usize) {
        let snapshot = graph.snapshot();
        let knots = pages(limit, |page| Questions::new(&snapshot).cycles(page).unwrap().knots);
        let on_cycles = (0..graph.count).filter(|&package| graph.distances[package][package] < FAR);
        let expected: BTreeSet<_> = on_cycles.map(|package| graph.knot(package)).collect();
        let members = |packages: &[String]| packages.iter().map(|package| number(package)).collect();
        let found: Vec<BTreeSet<_>> = knots.iter().map(|knot| members(&knot.packages)).collect();
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        for knot in knots {
            let first = number(&knot.packages[0]);
            prop_assert_eq!(knot.example.len(), graph.distances[first][first] as usize + 1);
            prop_assert_eq!((knot.example.first(), knot.example.last()), (knot.packages.first(), knot.packages.first()));
            prop_assert!(is_path(&graph, &knot.example));
        }
    }

    #[test]
    fn orphans_have_no_edge_to_them(graph in graph(1..=9), limit in 1..4_usize) {
        let snapshot = graph.snapshot();
        let orphans = pages(limit, |page| Questions::new(&snapshot).orphans(page).packages);
        let is_orphan = |package: &usize| !graph.edges.iter().any(|(from, to)| to == package && from != package);
        let expected: Vec<_> = (0..graph.count).filter(is_orphan).map(name).collect();
        prop_assert_eq!(orphans, expected);
    }
}

fn is_path(graph: &Naive, names: &[String]) -> bool {
    names
        .windows(2)
        .all(|pair| graph.edges.contains(&(number(&pair[0]), number(&pair[1]))))
}
