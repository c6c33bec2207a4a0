//! What the answers look like, page by page, and where they end.

use std::num::NonZeroU32;
use std::sync::Arc;

use pkgindex::Snapshot;
use pkgindex::query::{Cycles, Direction, Order, Page, QueryError, Questions, Reach};
use serde_json::json;

use crate::lines;

/// git needs zlib and curl, which need libc; libc and libgcc need each other; vim needs libc, and doc nothing.
fn distribution() -> Arc<Snapshot> {
    crate::snapshot(&lines(
        "git: curl zlib; curl: zlib libc; zlib: libc; libc: libgcc; libgcc: libc; vim: libc; doc",
    ))
}

fn page(after: Option<&str>, limit: usize) -> Page {
    Page {
        after: after.map(str::to_owned),
        limit,
    }
}

#[test]
fn package_has_counts_and_first_neighbours() {
    let snapshot = distribution();
    let package = Questions::new(&snapshot).package("libc", 2).unwrap();
    assert_eq!(
        serde_json::to_value(&package).unwrap(),
        json!({
            "revision": 1,
            "package": "libc",
            "dependencies": {"total": 1, "items": ["libgcc"], "next": null},
            "dependents": {"total": 4, "items": ["curl", "libgcc"], "next": "libgcc"},
        })
    );
}

#[test]
fn neighbours_come_in_pages() {
    let snapshot = distribution();
    let ask = |page| {
        Questions::new(&snapshot)
            .neighbours("libc", Direction::Dependents, &page)
            .unwrap()
    };
    let second = ask(page(Some("libgcc"), 2));
    assert_eq!(second.items, ["vim", "zlib"]);
    assert_eq!((second.total, second.next), (4, None));
    assert_eq!(
        ask(page(Some("m"), 1)).items,
        ["vim"],
        "a page may begin behind a name that is not there"
    );
    let counted = ask(page(None, 0));
    assert_eq!((counted.total, counted.items.len(), counted.next), (4, 0, None));
}

#[test]
fn reach_has_depths_and_a_limit_of_them() {
    let snapshot = distribution();
    let ask =
        |depth| Questions::new(&snapshot).reach("git", Direction::Dependencies, depth, &Page::default());
    let depths = |reach: Reach| -> Vec<_> {
        reach
            .found
            .items
            .into_iter()
            .map(|found| (found.package, found.depth))
            .collect()
    };
    let expected =
        [("curl", 1), ("libc", 2), ("libgcc", 3), ("zlib", 1)].map(|(name, depth)| (name.to_owned(), depth));
    assert_eq!(depths(ask(None).unwrap()), expected);
    let near = ask(NonZeroU32::new(2)).unwrap();
    assert!(near.complete, "a limit of depth is no end of the budget");
    assert_eq!(depths(near), [&expected[..2], &expected[3..]].concat());
}

#[test]
fn why_is_a_shortest_path() {
    let snapshot = distribution();
    let why = |from, to| Questions::new(&snapshot).why_depends(from, to).unwrap().path;
    assert_eq!(why("git", "libgcc").unwrap(), ["git", "curl", "libc", "libgcc"]);
    assert_eq!(why("libc", "libc").unwrap(), ["libc", "libgcc", "libc"]);
    assert_eq!(why("libc", "git"), None);
    assert_eq!(why("git", "git"), None, "no package needs itself without a cycle");
}

#[test]
fn install_order_has_cycles_in_one_step() {
    let snapshot = distribution();
    let order = Questions::new(&snapshot)
        .install_order(&["git", "curl"], &Page::default())
        .unwrap();
    assert_eq!((order.packages, order.levels), (5, 4));
    assert_eq!(
        steps(&order),
        [
            (0, vec!["libc", "libgcc"]),
            (1, vec!["zlib"]),
            (2, vec!["curl"]),
            (3, vec!["git"])
        ]
    );
}

#[test]
fn removal_order_begins_with_what_nothing_needs() {
    let snapshot = distribution();
    let order = Questions::new(&snapshot)
        .removal_order(&["zlib"], &Page::default())
        .unwrap();
    assert_eq!(
        steps(&order),
        [(0, vec!["git"]), (1, vec!["curl"]), (2, vec!["zlib"])]
    );
}

fn steps(order: &Order) -> Vec<(usize, Vec<&str>)> {
    let step = |step: &'_ pkgindex::query::Step| step.level;
    let names = order
        .steps
        .items
        .iter()
        .map(|step| step.packages.iter().map(String::as_str).collect());
    order.steps.items.iter().map(step).zip(names).collect()
}

#[test]
fn order_comes_in_pages() {
    let snapshot = distribution();
    let ask = |page| Questions::new(&snapshot).install_order(&["git"], &page);
    let first = ask(page(None, 1)).unwrap();
    assert_eq!(
        steps(&first),
        [(0, vec!["libc", "libgcc"])],
        "a page may exceed its limit to end with a step"
    );
    assert_eq!(
        (first.steps.total, first.steps.next.as_deref()),
        (4, Some("libc"))
    );
    let second = ask(page(Some("libc"), 2)).unwrap();
    assert_eq!(steps(&second), [(1, vec!["zlib"]), (2, vec!["curl"])]);
    let last = ask(page(Some("curl"), 2)).unwrap();
    assert_eq!(
        (steps(&last), last.steps.next.as_deref()),
        (vec![(3, vec!["git"])], None)
    );
    let stale = ask(page(Some("vim"), 2)).unwrap_err();
    assert_eq!(
        stale,
        QueryError::NoSuchPage {
            after: "vim".to_owned()
        }
    );
}

#[test]
fn order_of_nothing_is_empty() {
    let order = Questions::new(&distribution())
        .install_order(&[] as &[&str], &Page::default())
        .unwrap();
    assert_eq!((order.packages, order.levels, order.steps.total), (0, 0, 0));
}

#[test]
fn cycles_come_in_pages_with_an_example() {
    let snapshot = crate::snapshot(&lines("a: b; b: c; c: b d; d: c; self: self; x: y; y: x; z: a x"));
    let ask = |page| Questions::new(&snapshot).cycles(&page).unwrap();
    let all = ask(Page::default());
    assert_eq!((all.packages, all.knots.total), (6, 3));
    assert_eq!(members(&all), [vec!["b", "c", "d"], vec!["self"], vec!["x", "y"]]);
    assert_eq!(all.knots.items[0].example, ["b", "c", "b"]);
    assert_eq!(all.knots.items[1].example, ["self", "self"]);
    let first = ask(page(None, 1));
    assert_eq!(first.knots.next.as_deref(), Some("b"));
    assert_eq!(members(&ask(page(Some("b"), 3))), [vec!["self"], vec!["x", "y"]]);
    assert_eq!(members(&ask(page(Some("x"), 3))).len(), 0);
}

fn members(cycles: &Cycles) -> Vec<Vec<&str>> {
    let knots = cycles.knots.items.iter();
    knots
        .map(|knot| knot.packages.iter().map(String::as_str).collect())
        .collect()
}

#[test]
fn orphans_are_needed_by_nobody_else() {
    let snapshot = crate::snapshot(&lines("top: low; low; alone; self: self; x: y; y: x"));
    let orphans = Questions::new(&snapshot).orphans(&page(None, 2)).packages;
    assert_eq!(orphans.items, ["alone", "self"]);
    assert_eq!((orphans.total, orphans.next.as_deref()), (3, Some("self")));
}

#[test]
fn unknown_names_are_told() {
    let snapshot = distribution();
    let ask = Questions::new(&snapshot);
    let unknown = Err(QueryError::NotIndexed {
        name: "emacs".to_owned(),
    });
    assert_eq!(ask.package("emacs", 1).map(drop), unknown);
    assert_eq!(
        ask.reach("emacs", Direction::Dependents, None, &Page::default())
            .map(drop),
        unknown
    );
    assert_eq!(ask.why_depends("git", "emacs").map(drop), unknown);
    assert_eq!(
        ask.removal_order(&["git", "emacs"], &Page::default()).map(drop),
        unknown
    );
}

#[test]
fn reach_shows_what_the_budget_allows() {
    let snapshot = crate::snapshot(&lines("a: b; b: c; c: d; d: e; e"));
    let reach = |budget| {
        let ask = Questions::with_budget(&snapshot, budget);
        ask.reach("a", Direction::Dependencies, None, &Page::default())
            .unwrap()
    };
    let cut = reach(2);
    assert_eq!((cut.complete, cut.found.total, cut.found.next), (false, 2, None));
    let whole = reach(4);
    assert_eq!((whole.complete, whole.found.total), (true, 4));
}

#[test]
fn other_questions_need_enough_budget() {
    let snapshot = crate::snapshot(&lines("a: b; b: c; c: d; d: a"));
    let page = Page::default();
    let tight = Questions::with_budget(&snapshot, 3);
    let too_much = Err(QueryError::TooMuchWork { max_edges: 3 });
    assert_eq!(tight.why_depends("a", "a").map(drop), too_much);
    assert_eq!(tight.install_order(&["a"], &page).map(drop), too_much);
    assert_eq!(tight.cycles(&page).map(drop), too_much);
    let enough = Questions::with_budget(&snapshot, 8);
    assert!(enough.why_depends("a", "a").is_ok() && enough.install_order(&["a"], &page).is_ok());
    assert!(enough.cycles(&page).is_ok());
}
