//! What the stores have in common that keep an index in somebody else's database.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::time::Duration;

use crate::change::{Change, Revision};
use crate::command::{Malformed, Verb, commands};
use crate::store::{Finding, StoreError};

/// How many changes are kept by default.
pub(super) const KEPT_CHANGES: u64 = 100_000;

/// About how many bytes of lines one call of `changes` gives. More than what an index commits at once by default, so that it sees
/// all of its own changes or none.
pub(super) const ANSWER_BYTES: usize = 128 << 20;

/// How long a call may take by default that carries little.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most findings that a check lists.
const MAX_FINDINGS: usize = 100;

/// How much longer a call may take that carries so many bytes: a second for each hundred kilobytes.
pub(super) fn time_for(bytes: usize) -> Duration {
    Duration::from_micros(10) * u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// How many bytes of lines `changes` have.
pub(super) fn bytes_of(changes: &[Change]) -> usize {
    changes.iter().map(|change| change.lines.len()).sum()
}

/// Takes `name=value` out of the query of a URL.
pub(super) fn take_option(url: &str, name: &str) -> Result<(String, Option<String>), StoreError> {
    let Some((place, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    if query.contains('@') {
        // Else a part of a password would be taken for an option, and shown.
        return Err(StoreError::Unsuited(
            "the url has a `?` before a `@`; write `?` in a password as %3F".to_owned(),
        ));
    }
    let is_it = |pair: &&str| pair.split_once('=').is_some_and(|(key, _)| key == name);
    let (taken, rest): (Vec<_>, Vec<_>) = query.split('&').partition(is_it);
    let value = taken.last().and_then(|pair| pair.split_once('='));
    let rest = match rest.is_empty() {
        true => place.to_owned(),
        false => format!("{place}?{}", rest.join("&")),
    };
    Ok((rest, value.map(|(_, value)| value.to_owned())))
}

/// An error with all its causes, in one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', "; ")
}

/// For `map_err`: a line that is no command.
pub(super) fn damaged(malformed: Malformed) -> StoreError {
    StoreError::Damaged(format!("what is kept has a line that is no command: {malformed}"))
}

/// Says that the service has forgotten what this process knows.
pub(super) fn set_back(name: &str, newest: u64, known: Revision) -> StoreError {
    StoreError::Lost(format!(
        "{name} is at revision {newest}, but was at {known} before: it was set back or replaced; start again to serve what it has now"
    ))
}

/// Whether `changes` follow `after` one by one.
pub(super) fn without_gap(after: Revision, changes: Vec<Change>) -> Result<Vec<Change>, StoreError> {
    let mut expected = after.next();
    for change in &changes {
        if change.revision != expected {
            return match expected == after.next() {
                true => Err(StoreError::TooOld(after)),
                false => Err(StoreError::Damaged(format!(
                    "change {expected} is missing, though older ones are there; run `check`"
                ))),
            };
        }
        expected = expected.next();
    }
    Ok(changes)
}

/// Whether the newest of the kept changes is not the one that led to `revision`.
pub(super) fn newest_is_missing(kept: &[Change], revision: Revision) -> Option<Finding> {
    let newest = kept.last().map_or(Revision(0), |change| change.revision);
    (newest != revision).then(|| Finding {
        what: format!("the newest change is {newest}, but the revision is {revision}"),
        mended: false,
    })
}

/// The last word of some changes on each package that they name: its dependencies, or `None` when it is removed.
pub(super) struct LastWords<'c>(HashMap<&'c str, Option<&'c str>>);

impl<'c> LastWords<'c> {
    pub(super) fn of(changes: &'c [Change]) -> Result<Self, StoreError> {
        let mut words = HashMap::new();
        for change in changes {
            for command in commands(&change.lines) {
                let command = command.map_err(damaged)?;
                let is_indexed = command.verb == Verb::Index;
                words.insert(command.package, is_indexed.then(|| command.dependency_list()));
            }
        }
        Ok(Self(words))
    }

    /// Every package that is named.
    pub(super) fn packages(&self) -> Vec<&'c str> {
        self.0.keys().copied().collect()
    }

    /// Those that are indexed in the end, with their dependencies.
    pub(super) fn indexed(&self) -> impl Iterator<Item = (&'c str, BTreeSet<&'c str>)> {
        let indexed = self
            .0
            .iter()
            .filter_map(|(&name, word)| word.map(|list| (name, list)));
        indexed.map(|(name, list)| (name, names(list)))
    }

    /// Those that are removed in the end.
    pub(super) fn removed(&self) -> Vec<&'c str> {
        let removed = self.0.iter().filter(|(_, word)| word.is_none());
        removed.map(|(&name, _)| name).collect()
    }

    /// Where `lines`, an INDEX line for each package, say something else; the first hundred places by name.
    pub(super) fn disagreements(&self, lines: &[u8]) -> Result<Vec<String>, StoreError> {
        let mut kept = HashMap::new();
        for command in commands(lines) {
            let command = command.map_err(damaged)?;
            kept.insert(command.package, command.dependency_list());
        }
        let mut found = Vec::new();
        for (&name, word) in &self.0 {
            let (is, should) = (kept.get(name).copied().map(names), word.map(names));
            if is != should {
                found.push(format!(
                    "{name} {}, but the changes say that it {}",
                    described(is.as_ref()),
                    described(should.as_ref())
                ));
            }
        }
        found.sort_unstable();
        found.truncate(MAX_FINDINGS);
        Ok(found)
    }
}

/// The names between the commas, each once.
pub(super) fn names(list: &str) -> BTreeSet<&str> {
    list.split(',').filter(|name| !name.is_empty()).collect()
}

fn described(dependencies: Option<&BTreeSet<&str>>) -> String {
    match dependencies {
        None => "is not indexed".to_owned(),
        Some(names) if names.is_empty() => "depends on nothing".to_owned(),
        Some(names) => format!(
            "depends on {}",
            names.iter().copied().collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_taken_out_of_a_url() {
        let check = |url, rest: &str, value: Option<&str>| {
            assert_eq!(
                take_option(url, "schema").unwrap(),
                (rest.to_owned(), value.map(str::to_owned))
            );
        };
        check("a://b/c", "a://b/c", None);
        check("a://b/c?schema=s", "a://b/c", Some("s"));
        check("a://b/c?x=1&schema=s&y=2", "a://b/c?x=1&y=2", Some("s"));
        check("a://b/c?schematic=1", "a://b/c?schematic=1", None);
        let error = take_option("a://user:hun?ter2@b/c", "schema").unwrap_err();
        assert!(!error.to_string().contains("ter2"), "{error}");
    }

    #[test]
    fn changes_that_do_not_follow_are_too_old_or_damaged() {
        let change = |revision| Change {
            revision: Revision(revision),
            origin: 1,
            lines: "INDEX|a|\n".into(),
        };
        let check = |after, revisions: &[u64]| {
            without_gap(Revision(after), revisions.iter().map(|&r| change(r)).collect())
        };
        assert!(check(4, &[]).is_ok());
        assert!(check(4, &[5, 6]).is_ok());
        assert!(matches!(check(3, &[5, 6]), Err(StoreError::TooOld(Revision(3)))));
        assert!(matches!(check(4, &[5, 7]), Err(StoreError::Damaged(_))));
    }
}
