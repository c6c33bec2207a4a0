//! Mends what a [survey](super::survey) finds.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::store::shared_disk::history::History;
use crate::store::shared_disk::keeper::Keeper;
use crate::store::shared_disk::survey::{Survey, Wrong, survey};
use crate::store::shared_disk::{SharedDiskStore, disk};
use crate::store::{Finding, StoreError};

/// Looks at everything, and mends what can be mended with `repair`.
pub(super) fn check(store: &mut SharedDiskStore, repair: bool) -> Result<Vec<Finding>, StoreError> {
    if !repair {
        if store.keeper.is_none() {
            store.election.wait_until_vacant()?;
        }
        let found = survey(&store.index, &store.history)?;
        return Ok(findings(&found.wrongs, |_| false));
    }
    let mut keeper = take_over(store)?;
    let wrongs = mend(&mut keeper, &store.index, &store.history);
    store.keeper = Some(keeper);
    let mut wrongs = wrongs?;
    let left: HashSet<_> = survey(&store.index, &store.history)?.wrongs.into_iter().collect();
    let known: HashSet<_> = wrongs.iter().cloned().collect();
    wrongs.extend(left.difference(&known).cloned());
    Ok(findings(&wrongs, |wrong| !left.contains(wrong)))
}

fn findings(wrongs: &[Wrong], is_mended: impl Fn(&Wrong) -> bool) -> Vec<Finding> {
    let finding = |wrong: &Wrong| Finding {
        what: wrong.to_string(),
        mended: is_mended(wrong),
    };
    wrongs.iter().map(finding).collect()
}

/// Writes again what the commits tell, then makes the entries agree with the packages' files. Returns everything that was wrong.
fn mend(keeper: &mut Keeper, index: &Path, history: &History) -> Result<Vec<Wrong>, StoreError> {
    let Survey {
        mut wrongs,
        whole_after,
    } = survey(index, history)?;
    // Commits that are lost before they are in the tree cannot be made up; nothing is done over them.
    if whole_after <= keeper.applied() {
        keeper.replay(history, whole_after)?;
    }
    let known: HashSet<_> = wrongs.iter().cloned().collect();
    for wrong in survey(index, history)?.wrongs {
        keeper.renew_when_due()?;
        mend_one(keeper, &wrong)?;
        if !known.contains(&wrong) {
            wrongs.push(wrong);
        }
    }
    keeper.tree.sync()?;
    Ok(wrongs)
}

/// Becomes the keeper, which nobody else may be.
fn take_over(store: &mut SharedDiskStore) -> Result<Keeper, StoreError> {
    loop {
        if let Some(keeper) = store.keeper.take() {
            return Ok(keeper);
        }
        store.election.wait_until_vacant()?;
        store.stand()?;
    }
}

fn mend_one(keeper: &Keeper, wrong: &Wrong) -> Result<(), StoreError> {
    match wrong {
        Wrong::Missing(dependency, dependent) => keeper.tree.enter(dependency, dependent),
        Wrong::Superfluous(path) => {
            remove(path)?;
            if let Some(folder) = path.parent() {
                // It stays while it has other entries.
                let _ = fs::remove_dir(folder);
            }
            Ok(())
        }
        Wrong::Leftover(path) => remove(path),
        Wrong::Torn(_) | Wrong::Gap(..) | Wrong::Odd(_) | Wrong::Dangling(..) => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return disk::unless_gone(fs::remove_dir_all(path)).map_err(disk::failed("cannot remove", path));
    }
    disk::remove(path)
}
