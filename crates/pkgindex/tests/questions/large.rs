//! Shapes that break what recurses or looks twice.

use std::fmt::Write;
use std::num::NonZeroU32;

use pkgindex::query::{Direction, Page, QueryError, Questions};

const MILLION: usize = 1_000_000;

/// Each of a million packages needs the one before it, and all need the hub.
#[test]
fn chain_and_star_of_a_million() {
    let mut lines = String::from("INDEX|hub|\nINDEX|p0000000|hub\n");
    for at in 1..MILLION {
        writeln!(lines, "INDEX|p{at:07}|p{:07},hub", at - 1).unwrap();
    }
    let snapshot = crate::snapshot(&lines);
    let ask = Questions::new(&snapshot);
    let first = Page::default();

    let why = ask.why_depends("p0999999", "p0000000").unwrap();
    assert_eq!(why.path.unwrap().len(), MILLION);
    let reach = ask
        .reach("p0999999", Direction::Dependencies, None, &first)
        .unwrap();
    assert!(reach.complete);
    assert_eq!(
        (reach.found.total, reach.found.items[1].depth),
        (MILLION, 999_999)
    );
    let order = ask.install_order(&["p0999999"], &first).unwrap();
    assert_eq!((order.levels, order.packages), (MILLION + 1, MILLION + 1));
    assert_eq!(order.steps.items[99].packages, ["p0000098"]);
    assert_eq!(ask.cycles(&first).unwrap().knots.total, 0);
    assert_eq!(ask.orphans(&first).packages.items, ["p0999999"]);

    let middle = Page {
        after: Some("p0499999".to_owned()),
        limit: 2,
    };
    let dependents = ask.neighbours("hub", Direction::Dependents, &middle).unwrap();
    assert_eq!((dependents.total, &*dependents.items[0]), (MILLION, "p0500000"));
    assert_eq!(dependents.next.as_deref(), Some("p0500001"));
    let near = ask.reach("hub", Direction::Dependents, NonZeroU32::new(1), &middle);
    assert_eq!(near.unwrap().found.total, MILLION);

    let cut = Questions::with_budget(&snapshot, 1000);
    let some = cut.reach("hub", Direction::Dependents, None, &first).unwrap();
    assert_eq!((some.complete, some.found.total), (false, 1000));
    let too_much = cut.removal_order(&["hub"], &first).map(drop);
    assert_eq!(too_much, Err(QueryError::TooMuchWork { max_edges: 1000 }));
}

/// A cycle of which a hundred thousand packages are the spokes.
#[test]
fn wide_cycle() {
    const SPOKES: usize = 100_000;
    let mut lines = String::from("INDEX|hub|");
    let spokes: Vec<_> = (0..SPOKES).map(|at| format!("p{at:05}")).collect();
    lines.push_str(&spokes.join(","));
    lines.push('\n');
    for spoke in spokes {
        writeln!(lines, "INDEX|{spoke}|hub").unwrap();
    }
    let snapshot = crate::snapshot(&lines);
    let ask = Questions::new(&snapshot);
    let order = ask.removal_order(&["p00007"], &Page::default()).unwrap();
    assert_eq!((order.levels, order.steps.total), (1, 1));
    assert_eq!(order.steps.items[0].packages.len(), SPOKES + 1);
    let cycles = ask.cycles(&Page::default()).unwrap();
    assert_eq!(cycles.packages, SPOKES + 1);
    assert_eq!(cycles.knots.items[0].example, ["hub", "p00000", "hub"]);
}
