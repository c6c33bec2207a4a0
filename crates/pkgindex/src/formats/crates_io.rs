//! The index of crates.io: one file per crate, one line of JSON per version (<https://doc.rust-lang.org/cargo/reference/registry-index.html>).
//!
//! Of each crate the newest version counts that was not yanked; one without a pre-release tag is newer than all with one. An edge is a
//! normal or build dependency of it on any platform: what somebody needs who builds it. Development dependencies are no edges, as
//! nobody who uses the crate builds them, and optional ones neither, as the crate builds without them. A renamed dependency
//! counts under its real name. What comes from another registry is nowhere in this one.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use semver::Version;
use serde::Deserialize;

use crate::formats::entries::{ByName, NameId, Names, lines};
use crate::formats::input::Lines;
use crate::formats::{Fault, FormatError, Read};

/// Reads a stream of lines of the index, of any crates in any order.
pub fn read_crates(input: impl BufRead) -> Result<Read, FormatError> {
    let mut crates = Crates::default();
    crates.take_all(input)?;
    Ok(crates.into_read())
}

/// Reads every file below `folder`, which is a copy of the index, except `config.json` and what begins with a dot. Symbolic links are
/// not followed.
pub fn read_crates_folder(folder: &Path) -> Result<Read, FormatError> {
    let mut crates = Crates::default();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        crates.take_folder(&folder, &mut open)?;
    }
    Ok(crates.into_read())
}

fn in_file(file: &Path) -> impl Fn(FormatError) -> FormatError {
    |source| FormatError::File {
        file: file.to_owned(),
        source: Box::new(source),
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> FormatError {
    |source| in_file(path)(FormatError::Io { line: 0, source })
}

/// A line of the index, as far as it matters.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    name: Cow<'l, str>,
    #[serde(borrow)]
    vers: Cow<'l, str>,
    #[serde(borrow)]
    deps: Vec<Dependency<'l>>,
    #[serde(default)]
    yanked: bool,
}

#[derive(Deserialize)]
struct Dependency<'l> {
    #[serde(borrow)]
    name: Cow<'l, str>,
    /// The real name, when `name` is another.
    #[serde(borrow, default)]
    package: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'l, str>>,
    #[serde(default)]
    optional: bool,
    /// Set when the dependency is from another registry.
    #[serde(borrow, default)]
    registry: Option<Cow<'l, str>>,
}

impl Dependency<'_> {
    fn is_edge(&self) -> bool {
        !self.optional && self.kind.as_deref() != Some("dev")
    }

    fn real_name(&self) -> &str {
        self.package.as_deref().unwrap_or(&self.name)
    }
}

/// The newest version that was seen of a crate.
struct Newest {
    version: Version,
    needs: Box<[Need]>,
}

#[derive(Clone, Copy)]
struct Need {
    name: NameId,
    is_foreign: bool,
}

#[derive(Default)]
struct Crates {
    names: Names,
    newest: ByName<Newest>,
}

impl Crates {
    /// Takes the files of a folder and puts its folders behind `open`.
    fn take_folder(&mut self, folder: &Path, open: &mut Vec<PathBuf>) -> Result<(), FormatError> {
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let entry = entry.map_err(unreadable(folder))?;
            let (path, name) = (entry.path(), entry.file_name());
            if name.as_encoded_bytes().starts_with(b".") || name == "config.json" {
                continue;
            }
            let kind = entry.file_type().map_err(unreadable(&path))?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let file = File::open(&path).map_err(unreadable(&path))?;
                self.take_all(BufReader::new(file)).map_err(in_file(&path))?;
            }
        }
        Ok(())
    }

    fn take_all(&mut self, input: impl BufRead) -> Result<(), FormatError> {
        let mut lines = Lines::new(input)?;
        loop {
            let number = lines.number() + 1;
            let Some(line) = lines.next()? else { return Ok(()) };
            if !line.trim_ascii().is_empty() {
                self.take(line).map_err(Fault::at(number))?;
            }
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line: Line = serde_json::from_slice(line)?;
        if line.yanked {
            return Ok(());
        }
        let version = Version::parse(&line.vers)?;
        let name = self.names.intern(&line.name)?;
        let is_older = |known: &Newest| age(&version) <= age(&known.version);
        if self.newest.get(name).is_some_and(is_older) {
            return Ok(());
        }
        let needs = self.needs(&line.deps)?;
        self.newest.replace(name, Newest { version, needs });
        Ok(())
    }

    fn needs(&mut self, dependencies: &[Dependency]) -> Result<Box<[Need]>, Fault> {
        self.names.keep(dependencies.len() * size_of::<Need>())?;
        let edges = dependencies.iter().filter(|dependency| dependency.is_edge());
        edges
            .map(|dependency| {
                Ok(Need {
                    name: self.names.intern(dependency.real_name())?,
                    is_foreign: dependency.registry.is_some(),
                })
            })
            .collect()
    }

    fn into_read(self) -> Read {
        let Self { names, newest } = self;
        lines(&names, newest.names(), |package, needed, unresolved| {
            let needs = newest.get(package).map_or(&[][..], |newest| &newest.needs);
            for need in needs {
                if !need.is_foreign && newest.get(need.name).is_some() {
                    needed.push(need.name);
                } else {
                    unresolved.add(names.name(need.name));
                }
            }
        })
    }
}

/// Greater for what cargo would rather take.
fn age(version: &Version) -> (bool, &Version) {
    (version.pre.is_empty(), version)
}
