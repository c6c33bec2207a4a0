//! `Packages` of a Debian archive: paragraphs of fields, one for each package.
//!
//! A dependency of Debian is a clause of alternatives, and an alternative may be a *virtual* package, which exists only in the
//! `Provides` of others. An index has neither, so each clause of `Pre-Depends` and `Depends` becomes one edge, to what an installer
//! without anything installed would choose:
//!
//! 1. the first alternative that exists: a package of the file, or a virtual package that one of the file provides;
//! 2. for a virtual package, the provider with the best `Priority`, and of those the first by name;
//! 3. nothing, when the package itself is one of the providers, as it fulfils its own clause.
//!
//! Versions and architectures are not looked at, as a release is consistent in itself: of a package that is in the file
//! more than once the newest version counts. A clause without an alternative that exists is left out and counted as unresolved, under its
//! first name. `Recommends` and `Suggests` are no edges.

mod version;

use std::collections::HashMap;
use std::io::BufRead;

use crate::formats::entries::{ByName, NameId, Names, Unresolved, lines};
use crate::formats::input::Lines;
use crate::formats::{Fault, FormatError, MAX_FIELD_BYTES, Read};

/// Reads a `Packages` file, or several one after the other.
pub fn read_debian(input: impl BufRead) -> Result<Read, FormatError> {
    let mut lines = Lines::new(input)?;
    let mut archive = Archive::default();
    let mut paragraph = Paragraph::default();
    loop {
        let number = lines.number() + 1;
        let fault = Fault::at(number);
        let Some(line) = lines.next()? else {
            archive.take(&mut paragraph).map_err(&fault)?;
            return Ok(archive.into_read());
        };
        match line.trim_ascii_end() {
            b"" => archive.take(&mut paragraph).map_err(&fault)?,
            line => paragraph.take(line).map_err(&fault)?,
        }
    }
}

/// The fields that matter.
#[derive(Clone, Copy)]
enum Field {
    Package,
    Version,
    Priority,
    PreDepends,
    Depends,
    Provides,
}

impl Field {
    const ALL: [(&'static [u8], Self); 6] = [
        (b"Package", Self::Package),
        (b"Version", Self::Version),
        (b"Priority", Self::Priority),
        (b"Pre-Depends", Self::PreDepends),
        (b"Depends", Self::Depends),
        (b"Provides", Self::Provides),
    ];

    fn named(name: &[u8]) -> Option<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, field)| field)
    }
}

/// The paragraph at hand.
#[derive(Default)]
struct Paragraph {
    values: [String; Field::ALL.len()],
    /// What a line that begins with a space continues.
    open: Option<Field>,
    is_begun: bool,
}

impl Paragraph {
    fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        let is_continued = line.starts_with(b" ") || line.starts_with(b"\t");
        if is_continued && self.is_begun {
            return self.append(line);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Fault::Field)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(Fault::Field);
        }
        self.is_begun = true;
        self.open = Field::named(name);
        if self.open.is_some_and(|field| !self.value(field).is_empty()) {
            return Err(Fault::Repeated);
        }
        self.append(value)
    }

    fn append(&mut self, text: &[u8]) -> Result<(), Fault> {
        let Some(field) = self.open else { return Ok(()) };
        let value = &mut self.values[field as usize];
        value.push_str(str::from_utf8(text).map_err(|_| Fault::Encoding)?);
        if value.len() > MAX_FIELD_BYTES {
            return Err(Fault::TooLong(MAX_FIELD_BYTES));
        }
        Ok(())
    }

    fn value(&self, field: Field) -> &str {
        self.values[field as usize].trim()
    }

    /// Begins a new one.
    fn clear(&mut self) {
        self.values.iter_mut().for_each(String::clear);
        (self.open, self.is_begun) = (None, false);
    }
}

/// How much a package matters, the most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    Required,
    Important,
    Standard,
    Optional,
}

impl Priority {
    fn parse(text: &str) -> Self {
        match text {
            "required" => Self::Required,
            "important" => Self::Important,
            "standard" => Self::Standard,
            _ => Self::Optional,
        }
    }
}

/// A package of the file.
struct Described {
    version: Box<str>,
    priority: Priority,
    /// Clause after clause.
    alternatives: Box<[Alternative]>,
    provides: Box<[NameId]>,
}

#[derive(Clone, Copy)]
struct Alternative {
    name: NameId,
    is_last_of_clause: bool,
}

#[derive(Default)]
struct Archive {
    names: Names,
    packages: ByName<Described>,
}

impl Archive {
    /// Takes a paragraph that ends, and leaves an empty one.
    fn take(&mut self, paragraph: &mut Paragraph) -> Result<(), Fault> {
        if !paragraph.is_begun {
            return Ok(());
        }
        if paragraph.value(Field::Package).is_empty() {
            return Err(Fault::NoPackage);
        }
        let name = self.names.intern(paragraph.value(Field::Package))?;
        let version = paragraph.value(Field::Version);
        let is_older = |known: &Described| version::compare(version, &known.version).is_le();
        if !self.packages.get(name).is_some_and(is_older) {
            let described = self.describe(paragraph)?;
            self.packages.replace(name, described);
        }
        paragraph.clear();
        Ok(())
    }

    fn describe(&mut self, paragraph: &Paragraph) -> Result<Described, Fault> {
        let mut alternatives = Vec::new();
        for field in [Field::PreDepends, Field::Depends] {
            for clause in listed(paragraph.value(field), ',') {
                self.add_clause(clause, &mut alternatives)?;
            }
        }
        let provides = listed(paragraph.value(Field::Provides), ',')
            .map(|provided| self.names.intern(name_of(provided)))
            .collect::<Result<Box<[_]>, _>>()?;
        let version = paragraph.value(Field::Version);
        self.names
            .keep(size_of_val(&*alternatives) + size_of_val(&*provides) + version.len())?;
        Ok(Described {
            version: version.into(),
            priority: Priority::parse(paragraph.value(Field::Priority)),
            alternatives: alternatives.into(),
            provides,
        })
    }

    fn add_clause(&mut self, clause: &str, alternatives: &mut Vec<Alternative>) -> Result<(), Fault> {
        for alternative in listed(clause, '|') {
            alternatives.push(Alternative {
                name: self.names.intern(name_of(alternative))?,
                is_last_of_clause: false,
            });
        }
        if let Some(last) = alternatives.last_mut() {
            last.is_last_of_clause = true;
        }
        Ok(())
    }

    fn into_read(self) -> Read {
        let providers = Providers::new(&self);
        let Self { names, packages } = &self;
        lines(names, packages.names(), |package, needed, unresolved| {
            let Some(described) = packages.get(package) else {
                return;
            };
            let clauses = described
                .alternatives
                .split_inclusive(|one| one.is_last_of_clause);
            for clause in clauses {
                self.resolve(&providers, package, clause, needed, unresolved);
            }
        })
    }

    fn resolve<'n>(
        &'n self,
        providers: &Providers,
        package: NameId,
        clause: &[Alternative],
        needed: &mut Vec<NameId>,
        unresolved: &mut Unresolved<'n>,
    ) {
        let provided_by_itself = |name: NameId| {
            self.packages
                .get(package)
                .is_some_and(|it| it.provides.contains(&name))
        };
        let chosen = clause.iter().find_map(|&Alternative { name, .. }| {
            if self.packages.get(name).is_some() {
                return Some(name);
            }
            let provider = providers.best.get(&name)?;
            Some(if provided_by_itself(name) {
                package
            } else {
                *provider
            })
        });
        match (chosen, clause.first()) {
            (Some(chosen), _) => needed.push(chosen),
            (None, Some(first)) => unresolved.add(self.names.name(first.name)),
            (None, None) => {}
        }
    }
}

/// For each virtual package the one that is chosen for it.
struct Providers {
    best: HashMap<NameId, NameId>,
}

impl Providers {
    fn new(archive: &Archive) -> Self {
        let rank = |provider: NameId| {
            let priority = archive.packages.get(provider).map(|it| it.priority);
            (priority, archive.names.name(provider))
        };
        let mut best: HashMap<NameId, NameId> = HashMap::new();
        for provider in archive.packages.names() {
            let provides = archive.packages.get(provider).map_or(&[][..], |it| &it.provides);
            for &provided in provides {
                let chosen = best.entry(provided).or_insert(provider);
                if rank(provider) < rank(*chosen) {
                    *chosen = provider;
                }
            }
        }
        Self { best }
    }
}

/// The parts of a list that are not empty.
fn listed(list: &str, separator: char) -> impl Iterator<Item = &str> {
    list.split(separator)
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// The name at the beginning of `name:architecture (>= version) [architectures] <profiles>`.
fn name_of(relation: &str) -> &str {
    let end = relation.find(|c: char| c.is_whitespace() || matches!(c, ':' | '(' | '[' | '<'));
    &relation[..end.unwrap_or(relation.len())]
}
