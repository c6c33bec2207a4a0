//! Whether the keys agree: dependents with packages, packages with changes.

use std::collections::{BTreeMap, BTreeSet};

use redis::Pipeline;

use super::session::Database;
use crate::change::Change;
use crate::command::commands;
use crate::store::StoreError;
use crate::store::service::{LastWords, bytes_of, damaged, names};

/// How many sets are asked for at a time.
const PIECE: usize = 1000;

/// For each package the packages that depend on it.
type Dependents = BTreeMap<String, BTreeSet<String>>;

/// What the sets of dependents should be, by the dependencies of `lines`.
pub(super) fn wanted_dependents(lines: &[u8]) -> Result<Dependents, StoreError> {
    let mut dependents = Dependents::new();
    for command in commands(lines) {
        let command = command.map_err(damaged)?;
        for name in names(command.dependency_list()) {
            dependents
                .entry(name.to_owned())
                .or_default()
                .insert(command.package.to_owned());
        }
    }
    Ok(dependents)
}

/// What they are.
pub(super) fn kept_dependents(database: &mut Database) -> Result<Dependents, StoreError> {
    let prefix = database.keys.dependents.clone();
    let keys: Vec<_> = keys_of(database, &prefix)?.into_iter().collect();
    let mut dependents = Dependents::new();
    for piece in keys.chunks(PIECE) {
        let mut ask = redis::pipe();
        for key in piece {
            ask.cmd("SMEMBERS").arg(key);
        }
        let sets: Vec<BTreeSet<String>> = database.call_all(0, &ask)?;
        let packages = piece.iter().map(|key| key[prefix.len()..].to_owned());
        dependents.extend(packages.zip(sets));
    }
    Ok(dependents)
}

/// All keys that begin with `prefix`. No character of a prefix means anything in a pattern.
fn keys_of(database: &mut Database, prefix: &str) -> Result<BTreeSet<String>, StoreError> {
    let mut keys = BTreeSet::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("{prefix}*"))
            .arg("COUNT")
            .arg(PIECE);
        let (next, found): (u64, Vec<String>) = database.call(0, &scan)?;
        keys.extend(found);
        if next == 0 {
            return Ok(keys);
        }
        cursor = next;
    }
}

/// Names of the packages whose sets differ.
pub(super) fn differing(wanted: &Dependents, kept: &Dependents) -> BTreeSet<String> {
    let packages = wanted.keys().chain(kept.keys());
    packages
        .filter(|package| wanted.get(*package) != kept.get(*package))
        .cloned()
        .collect()
}

/// Makes the sets of `packages` what they should be, in one transaction.
pub(super) fn mend_dependents(
    database: &mut Database,
    packages: &BTreeSet<String>,
    wanted: &Dependents,
) -> Result<(), StoreError> {
    let mut mend = transaction();
    for package in packages {
        let key = format!("{}{package}", database.keys.dependents);
        mend.cmd("DEL").arg(&key).ignore();
        if let Some(dependents) = wanted.get(package) {
            mend.cmd("SADD").arg(&key).arg(dependents).ignore();
        }
    }
    database.call_all(wanted.len(), &mend)
}

/// Makes the packages what the changes say in the end, in one transaction.
pub(super) fn mend_packages(
    database: &mut Database,
    words: &LastWords<'_>,
    changes: &[Change],
) -> Result<(), StoreError> {
    let mut mend = transaction();
    for (package, dependencies) in words.indexed() {
        let list: Vec<_> = dependencies.into_iter().collect();
        mend.cmd("HSET")
            .arg(&database.keys.packages)
            .arg(package)
            .arg(list.join(","))
            .ignore();
    }
    for package in words.removed() {
        mend.cmd("HDEL")
            .arg(&database.keys.packages)
            .arg(package)
            .ignore();
    }
    database.call_all(bytes_of(changes), &mend)
}

fn transaction() -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline
}
