//! What the tests with the real binary wrote about themselves: one line `ran NAME` or `ignored NAME` each.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The names of the tests that ran, and of those that were ignored.
pub(super) struct Report {
    pub(super) ran: BTreeSet<String>,
    pub(super) ignored: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Required {
    required: Vec<String>,
}

impl Report {
    pub(super) fn parse(text: &str) -> Self {
        let named = |word: &str| {
            text.lines()
                .filter_map(|line| line.strip_prefix(word))
                .map(str::to_owned)
                .collect()
        };
        Self {
            ran: named("ran "),
            ignored: named("ignored "),
        }
    }

    /// The tests that `required` (TOML, a list of that name) wants and that did not run.
    pub(super) fn missing(&self, required: &str) -> Result<Vec<String>> {
        let Required { required } = toml::from_str(required).context("xtask/required-tests.toml")?;
        Ok(required
            .into_iter()
            .filter(|name| !self.ran.contains(name))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(report: &str) -> Vec<String> {
        Report::parse(report)
            .missing("required = [\"a: one\", \"b: two\"]")
            .expect("valid TOML")
    }

    #[test]
    fn a_required_test_must_have_run() {
        assert!(missing("ran b: two\nran a: one\nran c: three\n").is_empty());
        assert_eq!(missing("ran a: one\n"), ["b: two"]);
    }

    #[test]
    fn an_ignored_test_has_not_run() {
        assert_eq!(missing("ran a: one\nignored b: two\n"), ["b: two"]);
    }
}
