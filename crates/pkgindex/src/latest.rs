use std::collections::HashMap;

use bytes::Bytes;

use crate::command::{Malformed, Verb, commands, write_line};

/// The newest word on every package: changes go in, in order, and the packages that are indexed after them come out.
///
/// It does not look at dependencies, so it takes changes on top of a snapshot that already has some of them.
#[derive(Debug, Default)]
pub struct Latest(HashMap<Box<str>, Box<str>>);

impl Latest {
    /// No package.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes INDEX and REMOVE lines; QUERY lines mean nothing here.
    pub fn apply(&mut self, lines: &[u8]) -> Result<(), Malformed> {
        for command in commands(lines) {
            let command = command?;
            match command.verb {
                Verb::Index => self
                    .0
                    .insert(command.package.into(), command.dependency_list().into()),
                Verb::Remove => self.0.remove(command.package),
                Verb::Query => None,
            };
        }
        Ok(())
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each package with its dependencies, which stand with commas between them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(package, dependencies)| (&**package, &**dependencies))
    }

    /// An INDEX line for every package, by name.
    pub fn into_lines(self) -> Bytes {
        let mut packages: Vec<_> = self.0.into_iter().collect();
        packages.sort_unstable();
        let mut lines = Vec::new();
        for (package, dependencies) in packages {
            write_line(&mut lines, Verb::Index, &package, std::iter::once(&*dependencies));
        }
        lines.into()
    }
}
