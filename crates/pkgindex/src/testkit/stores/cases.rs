//! What a store keeps, asked of the store itself.

use std::fmt::Write;

use super::{Backend, Broken, Case, Needs, Packages, apply, changes_of, ensure, packages, same};
use crate::change::{Change, Revision};
use crate::store::{Commit, Store, StoreError};

pub(super) const ALL: &[(&str, Needs, Case)] = &[
    ("a new one is empty", Needs::Kept, new_is_empty),
    (
        "what is committed is there after opening again",
        Needs::Kept,
        is_there_again,
    ),
    ("several changes in one commit", Needs::Kept, several_changes),
    (
        "changes behind a revision, in order, by origin",
        Needs::Kept,
        changes_in_order,
    ),
    (
        "one package in several changes of one commit",
        Needs::Kept,
        one_package_often,
    ),
    (
        "INDEX replaces the dependencies",
        Needs::Kept,
        dependencies_are_replaced,
    ),
    ("a change that is applied already", Needs::Kept, applied_twice),
    ("cycles and self-edges come and go", Needs::Kept, cycles),
    ("odd names", Needs::Kept, odd_names),
    ("a batch of 5,000 comes and goes", Needs::Kept, large_batch),
    (
        "an empty commit asks for the newest revision",
        Needs::Kept,
        empty_commit,
    ),
    ("two servers, one base, one wins", Needs::Shared, one_of_two_wins),
    (
        "of a commit in conflict nothing is kept",
        Needs::Shared,
        all_or_nothing,
    ),
    (
        "a commit whose answer was lost is found by its origin",
        Needs::Shared,
        found_by_origin,
    ),
    (
        "two servers take turns at full speed",
        Needs::Shared,
        two_at_full_speed,
    ),
    (
        "who misses pruned changes is told to load",
        Needs::Forgetful,
        pruned_changes,
    ),
];

/// A store at an address of its own, opened and loaded.
fn opened(backend: &Backend) -> Result<(String, Box<dyn Store>), Broken> {
    let address = (backend.fresh)()?;
    let mut store = backend.open(&address)?;
    store.load()?;
    Ok((address, store))
}

fn commit(store: &mut dyn Store, base: u64, texts: &[&str]) -> Result<(), Broken> {
    let commit = store.commit(Revision(base), &changes_of(base, 7, texts))?;
    same("a commit", commit, Commit::Done)
}

/// Commits `commits` one after the other, and looks at what is there then and after opening again.
fn check(backend: &Backend, commits: &[&[&str]]) -> Result<(), Broken> {
    let (address, mut store) = opened(backend)?;
    let mut base = 0;
    let mut expected = Packages::new();
    for texts in commits {
        commit(&mut *store, base, texts)?;
        base += texts.len() as u64;
        for text in *texts {
            apply(&mut expected, text.as_bytes());
        }
    }
    drop(store);
    let mut store = backend.open(&address)?;
    same("what is kept", packages(&mut *store)?, (Revision(base), expected))?;
    drop(store);
    backend.must_be_whole(&address)
}

fn new_is_empty(backend: &Backend) -> Result<(), Broken> {
    let (_, mut store) = opened(backend)?;
    same("changes", store.changes(Revision(0))?, vec![])?;
    same("an empty commit", store.commit(Revision(0), &[])?, Commit::Done)?;
    check(backend, &[])
}

fn is_there_again(backend: &Backend) -> Result<(), Broken> {
    check(
        backend,
        &[
            &["INDEX|a|\n"],
            &["INDEX|b|a\n"],
            &["INDEX|c|a,b\n"],
            &["REMOVE|c|\n"],
        ],
    )
}

fn several_changes(backend: &Backend) -> Result<(), Broken> {
    check(
        backend,
        &[
            &["INDEX|a|\n", "INDEX|b|a\nINDEX|c|b\n", "INDEX|d|c,a\n"],
            &["REMOVE|d|\n", "REMOVE|c|\nREMOVE|b|\n", "INDEX|e|a\n"],
        ],
    )
}

fn changes_in_order(backend: &Backend) -> Result<(), Broken> {
    let (_, mut store) = opened(backend)?;
    let mut all: Vec<Change> = Vec::new();
    for origin in [0, 1, u64::MAX, 1 << 63, 5] {
        let base = all.len() as u64;
        let texts = ["INDEX|a|\n", "REMOVE|a|\n", "INDEX|b|\nINDEX|c|b\n"];
        let texts = &texts[..1 + all.len() % 3];
        let changes = changes_of(base, origin, texts);
        same("a commit", store.commit(Revision(base), &changes)?, Commit::Done)?;
        all.extend(changes);
    }
    for after in 0..=all.len() {
        let found = changes_behind(&mut *store, after as u64)?;
        same("changes", &found[..], &all[after..])?;
    }
    Ok(())
}

/// All of them, though each call may stop early.
fn changes_behind(store: &mut dyn Store, after: u64) -> Result<Vec<Change>, Broken> {
    let mut all: Vec<Change> = Vec::new();
    loop {
        let after = all.last().map_or(Revision(after), |change| change.revision);
        let more = store.changes(after)?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

fn one_package_often(backend: &Backend) -> Result<(), Broken> {
    check(
        backend,
        &[
            &[
                "INDEX|a|\n",
                "INDEX|b|a\n",
                "REMOVE|b|\n",
                "INDEX|b|\n",
                "INDEX|a|b\n",
            ],
            &[
                "INDEX|a|\n",
                "REMOVE|a|\n",
                "REMOVE|b|\n",
                "INDEX|c|\n",
                "REMOVE|c|\n",
            ],
        ],
    )
}

fn dependencies_are_replaced(backend: &Backend) -> Result<(), Broken> {
    check(
        backend,
        &[
            &["INDEX|a|\nINDEX|b|\nINDEX|c|\nINDEX|p|a,b\n"],
            &["INDEX|p|b,c\n"],
            &["INDEX|p|\n", "REMOVE|a|\n"],
            &["INDEX|p|c,b\n"],
        ],
    )
}

fn applied_twice(backend: &Backend) -> Result<(), Broken> {
    check(
        backend,
        &[
            &["INDEX|a|\nINDEX|b|a,a\n"],
            &["INDEX|b|a\n", "INDEX|a|\n"],
            &["REMOVE|b|\n"],
            &["REMOVE|b|\n", "REMOVE|never|\n"],
        ],
    )
}

fn cycles(backend: &Backend) -> Result<(), Broken> {
    let cycle = "INDEX|libc6|libgcc-s1\nINDEX|libgcc-s1|libc6,gcc-base\nINDEX|gcc-base|\n";
    check(
        backend,
        &[&[cycle], &["INDEX|self|\n"], &["INDEX|self|self,libc6\n"]],
    )?;
    check(
        backend,
        &[
            &[cycle, "INDEX|self|self\n"],
            &["REMOVE|self|\n"],
            &["REMOVE|libc6|\nREMOVE|libgcc-s1|\n"],
            &["REMOVE|gcc-base|\n"],
        ],
    )
}

fn odd_names(backend: &Backend) -> Result<(), Broken> {
    let long = "x".repeat(255);
    let longer_dots = ".".repeat(255);
    let names = [
        "gtk+",
        "GTK+",
        "libsigc++",
        "python@3.12",
        "@scope/name",
        "/",
        "//",
        ".",
        "..",
        "../..",
        "a/../b",
        "a:b",
        ":",
        "-",
        "--",
        "_",
        "con",
        "NUL",
        "a",
        "A",
        "0",
        "a.b",
        "a/b",
        "state",
        "changes",
        "%2e",
        &long,
        &longer_dots,
    ];
    let names: Vec<_> = names.into_iter().filter(|name| !name.contains('%')).collect();
    let mut batch = String::new();
    for (at, name) in names.iter().enumerate() {
        let _ = writeln!(batch, "INDEX|{name}|{}", names[..at].join(","));
    }
    let (some, rest) = names.split_at(names.len() / 2);
    let removal =
        |names: &[&str]| -> String { names.iter().map(|name| format!("REMOVE|{name}|\n")).collect() };
    check(backend, &[&[&batch], &[&removal(rest)]])?;
    check(backend, &[&[&batch], &[&removal(rest)], &[&removal(some)]])
}

fn large_batch(backend: &Backend) -> Result<(), Broken> {
    let mut batch = String::new();
    let mut removal = String::new();
    for package in 0..5000_u32 {
        let dependencies: Vec<_> = (1..=4)
            .map(|step| format!("p{}", package * step % 5000))
            .collect();
        let _ = writeln!(batch, "INDEX|p{package}|{}", dependencies.join(","));
        let _ = writeln!(removal, "REMOVE|p{package}|");
    }
    check(backend, &[&[&batch]])?;
    check(backend, &[&[&batch], &[&batch], &[&removal]])
}

fn empty_commit(backend: &Backend) -> Result<(), Broken> {
    let (_, mut store) = opened(backend)?;
    commit(&mut *store, 0, &["INDEX|a|\n", "INDEX|b|\n"])?;
    same("at the newest", store.commit(Revision(2), &[])?, Commit::Done)?;
    if backend.shared {
        same("behind", store.commit(Revision(1), &[])?, Commit::Conflict)?;
    }
    Ok(())
}

fn one_of_two_wins(backend: &Backend) -> Result<(), Broken> {
    let (address, mut first) = opened(backend)?;
    let mut second = backend.open(&address)?;
    second.load()?;
    commit(&mut *first, 0, &["INDEX|a|\n"])?;
    let theirs = changes_of(0, 8, &["INDEX|b|\n"]);
    same(
        "the second",
        second.commit(Revision(0), &theirs)?,
        Commit::Conflict,
    )?;
    same(
        "what it learns",
        second.changes(Revision(0))?,
        changes_of(0, 7, &["INDEX|a|\n"]),
    )?;
    let again = changes_of(1, 8, &["INDEX|b|a\n"]);
    same("then", second.commit(Revision(1), &again)?, Commit::Done)?;
    same("the first learns", first.changes(Revision(1))?, again)
}

fn all_or_nothing(backend: &Backend) -> Result<(), Broken> {
    let (address, mut first) = opened(backend)?;
    let mut second = backend.open(&address)?;
    second.load()?;
    commit(&mut *first, 0, &["INDEX|a|\n"])?;
    let theirs = changes_of(0, 8, &["INDEX|x|\n", "INDEX|y|x\n", "REMOVE|a|\n"]);
    same("stale", second.commit(Revision(0), &theirs)?, Commit::Conflict)?;
    let expected = Packages::from([("a".to_owned(), [].into())]);
    same("kept", packages(&mut *first)?, (Revision(1), expected))
}

fn found_by_origin(backend: &Backend) -> Result<(), Broken> {
    let (_, mut store) = opened(backend)?;
    let ours = changes_of(0, 7, &["INDEX|a|\n", "INDEX|b|a\n"]);
    same("a commit", store.commit(Revision(0), &ours)?, Commit::Done)?;
    same("again", store.commit(Revision(0), &ours)?, Commit::Conflict)?;
    same("found", store.changes(Revision(0))?, ours)
}

fn two_at_full_speed(backend: &Backend) -> Result<(), Broken> {
    const EACH: u64 = 50;
    let address = (backend.fresh)()?;
    let run = |origin: u64| -> Result<(), Broken> {
        let mut store = backend.open(&address)?;
        let mut base = store.load()?.revision;
        for number in 0..EACH {
            let text = format!("INDEX|s{origin}-{number}|\n");
            while store.commit(base, &changes_of(base.0, origin, &[&text]))? == Commit::Conflict {
                let others = store.changes(base)?;
                base = others.last().map_or(base, |change| change.revision);
            }
            base = base.next();
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = [1, 2].map(|origin| scope.spawn(move || run(origin)));
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Broken("a server panicked".to_owned())))
        })
    })?;
    let mut store = backend.open(&address)?;
    let (revision, packages) = packages(&mut *store)?;
    same(
        "revision and packages",
        (revision, packages.len() as u64),
        (Revision(2 * EACH), 2 * EACH),
    )
}

fn pruned_changes(backend: &Backend) -> Result<(), Broken> {
    const CHANGES: u64 = 400;
    let Some(open) = backend.open_forgetful else {
        return Err(Broken("this store cannot be told to forget".to_owned()));
    };
    let address = (backend.fresh)()?;
    let mut store = open(&address)?;
    store.load()?;
    for base in 0..CHANGES {
        commit(&mut *store, base, &[&format!("INDEX|p{base}|\n")])?;
        while store.tend(&Nobody)? {}
    }
    let old = store.changes(Revision(1));
    ensure(matches!(old, Err(StoreError::TooOld(Revision(1)))), || {
        format!("changes behind 1: {old:?}")
    })?;
    same("the newest", store.changes(Revision(CHANGES - 1))?.len(), 1)?;
    same("packages", packages(&mut *store)?.1.len() as u64, CHANGES)?;
    drop(store);
    backend.must_be_whole(&address)
}

/// For a store that is asked to clear up without an index on top of it.
struct Nobody;

impl crate::store::Packages for Nobody {
    fn piece(&self, _: usize, _: &mut Vec<u8>) -> Option<usize> {
        None
    }

    fn applied(&self) -> Revision {
        Revision(0)
    }

    fn rollbacks(&self) -> u64 {
        0
    }
}
