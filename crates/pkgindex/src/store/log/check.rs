//! Looking whether a log is whole.

use std::collections::HashSet;

use crate::latest::Latest;
use crate::store::log::contents::{Files, Last};
use crate::store::log::folder::Folder;
use crate::store::log::recovery::{cut_torn, remove_leftovers};
use crate::store::{Finding, StoreError};

/// How many missing dependencies are named.
const NAMED: usize = 100;

pub(super) fn check(folder: &Folder, repair: bool) -> Result<Vec<Finding>, StoreError> {
    let files = Files::of(folder)?;
    let mut latest = Latest::new();
    let mut damage = Vec::new();
    let contents = files.read(folder, &mut latest, &mut |error| match error {
        StoreError::Damaged(what) => {
            damage.push(Finding { what, mended: false });
            Ok(())
        }
        error => Err(error),
    })?;
    if !damage.is_empty() {
        // What is left of a damaged log may be needed to save what can be saved, so nothing of it goes.
        return Ok(damage);
    }
    let mut findings = missing_dependencies(&latest);
    if !contents.last.torn.is_empty() {
        findings.push(torn(folder, &contents.last, repair)?);
    }
    if repair {
        remove_leftovers(folder, &files)?;
    }
    findings.extend(files.leftovers.iter().map(|path| Finding {
        what: format!("{} is a file that nobody needs any more", path.display()),
        mended: repair,
    }));
    Ok(findings)
}

fn torn(folder: &Folder, last: &Last, repair: bool) -> Result<Finding, StoreError> {
    if repair {
        cut_torn(folder, last)?;
    }
    Ok(Finding {
        what: format!(
            "{} ends with {} bytes at byte {} that are no whole record, as after a crash",
            folder.segment(last.first).display(),
            last.torn.len(),
            last.position
        ),
        mended: repair,
    })
}

fn missing_dependencies(latest: &Latest) -> Vec<Finding> {
    let packages: HashSet<&str> = latest.iter().map(|(package, _)| package).collect();
    let edges = latest.iter().flat_map(|(package, list)| {
        let names = list.split(',').filter(|name| !name.is_empty());
        names.map(move |dependency| (package, dependency))
    });
    let missing = edges.filter(|(_, dependency)| !packages.contains(dependency));
    let finding = |(package, dependency)| Finding {
        what: format!("{package} depends on {dependency}, which is not indexed"),
        mended: false,
    };
    missing.take(NAMED).map(finding).collect()
}
