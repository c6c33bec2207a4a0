//! What the command line asks for and `retrieve` leaves to hooks.

use std::ops::Range;

use anyhow::Result;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use retrieve::hooks::{RunStart, Select, StatefulHook};
use retrieve::{Control, Entry, ErrorKind, FileMeta, Outcome};

use crate::cli::Choice;
use crate::exit::Usage;

/// Which names are wanted: those that fit one of the first patterns, or all where there are none, and none of the second.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    pub(crate) fn new(choice: &Choice) -> Result<Self> {
        let include = (!choice.include.is_empty()).then(|| globs(&choice.include));
        Ok(Self {
            include: include.transpose()?,
            exclude: globs(&choice.exclude)?,
        })
    }

    /// Whether an object of this name, relative to the destination, is wanted.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let is_included = self.include.as_ref().is_none_or(|include| include.is_match(name));
        is_included && !self.exclude.is_match(name)
    }
}

impl StatefulHook for Selection {
    fn name(&self) -> &str {
        "include, exclude"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        match self.takes(&entry.name) {
            true => Select::Keep,
            false => Select::Skip,
        }
    }
}

/// A pattern without `/` is about the last part of a name, one that ends in `/` about all below that folder.
fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let whole = match pattern.strip_suffix('/') {
            Some(folder) => format!("{folder}/**"),
            None if pattern.contains('/') => pattern.clone(),
            None => format!("**/{pattern}"),
        };
        let glob = GlobBuilder::new(&whole).literal_separator(true).build();
        set.add(glob.map_err(|error| Usage(format!("{pattern:?} is no pattern: {}", error.kind())))?);
    }
    Ok(set.build().map_err(|error| Usage(error.to_string()))?)
}

/// Wants only these bytes of every object.
pub(crate) struct OnlyBytes(pub(crate) Range<u64>);

impl StatefulHook for OnlyBytes {
    fn name(&self) -> &str {
        "range"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        entry.range = Some(self.0.clone());
        Select::Keep
    }
}

/// Ends the run at the first file for which there is no room: the others would fail in the same way.
#[derive(Default)]
pub(crate) struct StopWhenFull(Option<Control>);

impl StatefulHook for StopWhenFull {
    fn name(&self) -> &str {
        "disk full"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn on_run_start(&mut self, _start: &RunStart, control: &Control) {
        self.0 = Some(control.clone());
    }

    fn on_file_end(&mut self, _meta: &FileMeta, outcome: &Outcome) {
        if let (Some(control), Outcome::Failed(error)) = (&self.0, outcome)
            && error.kind() == ErrorKind::DiskFull
        {
            control.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(include: &[&str], exclude: &[&str], taken: &[&str], left: &[&str]) {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let choice = Choice {
            include: owned(include),
            exclude: owned(exclude),
        };
        let selection = Selection::new(&choice).unwrap();
        for name in taken {
            assert!(selection.takes(name), "{name} by {choice:?}");
        }
        for name in left {
            assert!(!selection.takes(name), "{name} by {choice:?}");
        }
    }

    #[test]
    fn patterns_choose() {
        check(&[], &[], &["a", "a/b"], &[]);
        check(&["*.jpg"], &[], &["a.jpg", "x/y/a.jpg"], &["a.png", "jpg"]);
        check(&["raw/*.jpg"], &[], &["raw/a.jpg"], &["raw/x/a.jpg", "a.jpg"]);
        check(&["raw/**"], &["*.tmp"], &["raw/x/a.jpg"], &["raw/a.tmp", "b"]);
        check(&[], &["raw/"], &["a", "rawer/b"], &["raw/a", "raw/x/y"]);
        check(&["{a,b}[0-9]"], &[], &["a1", "x/b2"], &["c3"]);
    }

    #[test]
    fn a_broken_pattern_is_said() {
        let choice = Choice {
            include: vec!["a[".into()],
            ..Choice::default()
        };
        let error = Selection::new(&choice).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("a["), "{error}");
    }
}
