//! What stores do for safety that need not: the index decides before them.

use anyhow::{Result, ensure};
use pkgindex::store::{Commit, Store, StoreError};
use pkgindex::{Change, Revision};

pub(crate) fn change(base: u64, lines: &str) -> Vec<Change> {
    vec![Change {
        revision: Revision(base + 1),
        origin: 1,
        lines: lines.to_owned().into(),
    }]
}

pub(crate) fn commit(store: &mut dyn Store, base: u64, lines: &str) -> Result<()> {
    let commit = store.commit(Revision(base), &change(base, lines))?;
    ensure!(commit == Commit::Done, "{commit:?}");
    Ok(())
}

/// A commit that would leave an edge without an end is an error and keeps nothing.
pub(crate) fn removal_is_refused(store: &mut dyn Store) -> Result<()> {
    store.load()?;
    commit(store, 0, "INDEX|a|\nINDEX|b|a\n")?;
    for lines in ["REMOVE|a|\n", "INDEX|x|\nREMOVE|a|\n", "INDEX|x|missing\n"] {
        let refused = store.commit(Revision(1), &change(1, lines));
        ensure!(
            matches!(refused, Err(StoreError::Damaged(_))),
            "{lines}: {refused:?}"
        );
    }
    ensure!(store.load()?.revision == Revision(1));
    ensure!(store.changes(Revision(1))?.is_empty());
    ensure!(store.check(false)?.is_empty());
    commit(store, 1, "REMOVE|a|\nINDEX|b|\n")
}

/// `damage` takes the edges and `c` away and makes `gone`: both are to be found, and mended from the changes.
pub(crate) fn damage_is_mended(store: &mut dyn Store, damage: impl FnOnce() -> Result<()>) -> Result<()> {
    store.load()?;
    commit(store, 0, "INDEX|a|\nINDEX|b|a\nINDEX|c|a,b\nINDEX|gone|a\n")?;
    commit(store, 1, "REMOVE|gone|\n")?;
    ensure!(store.check(false)?.is_empty());
    let before = sorted(&store.load()?.lines);
    damage()?;
    let found = store.check(false)?;
    for what in [
        "b depends on nothing",
        "c is not indexed",
        "gone depends on nothing",
    ] {
        ensure!(
            found.iter().any(|finding| finding.what.contains(what)),
            "{what}: {found:?}"
        );
    }
    ensure!(found.iter().all(|finding| !finding.mended), "{found:?}");
    ensure!(store.check(true)?.iter().all(|finding| finding.mended));
    ensure!(store.check(false)?.is_empty());
    ensure!(sorted(&store.load()?.lines) == before);
    Ok(())
}

fn sorted(lines: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = String::from_utf8_lossy(lines)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort_unstable();
    lines
}

/// The store is at an older revision than `known`, which it had confirmed.
pub(crate) fn must_be_lost(store: &mut dyn Store, known: u64) -> Result<()> {
    for changes in [vec![], change(known, "INDEX|x|\n")] {
        let lost = store.commit(Revision(known), &changes);
        ensure!(matches!(lost, Err(StoreError::Lost(_))), "{lost:?}");
    }
    Ok(())
}
