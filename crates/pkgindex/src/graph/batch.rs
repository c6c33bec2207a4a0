//! Several commands at once: all of them or none, judged by the state after them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::command::{Command, Verb};
use crate::graph::{Cycles, Graph, Place, WayBack, components};

/// The most names that a [`Refusal`] lists; it counts the others.
pub(crate) const MAX_LISTED: usize = 20;

/// The most refusals that a batch lists.
const MAX_REFUSALS: usize = 100;

/// Why a command is answered FAIL, or a batch is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which package could not be indexed or removed.
    pub package: String,
    /// Why.
    pub reason: Reason,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Dependencies that are not indexed: the first twenty by name, and how many there are.
    Missing(Vec<String>, usize),
    /// Packages that depend on it: the first twenty that were found, and how many there are.
    Dependents(Vec<String>, usize),
    /// It would depend on itself, directly or not.
    Cycle,
    /// It stands in more than one line of the batch.
    Twice,
    /// It is not indexed, which was the question.
    NotIndexed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, reason } = self;
        match reason {
            Reason::Missing(names, count) => {
                write!(
                    f,
                    "{package} depends on what is not indexed: {}",
                    Listed(names, *count)
                )
            }
            Reason::Dependents(names, count) => {
                write!(f, "{package} is a dependency of {}", Listed(names, *count))
            }
            Reason::Cycle => write!(f, "{package} would depend on itself"),
            Reason::Twice => write!(f, "{package} stands in the batch more than once"),
            Reason::NotIndexed => write!(f, "{package} is not indexed"),
        }
    }
}

struct Listed<'a>(&'a [String], usize);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))?;
        match self.1 - self.0.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Graph {
    /// Why `command` would be answered FAIL now; `None` when it would not.
    pub(crate) fn explain(&self, command: &Command, cycles: Cycles) -> Option<Refusal> {
        let place = self.find(command.package);
        let reason = match command.verb {
            Verb::Query => place.is_none().then_some(Reason::NotIndexed),
            Verb::Index => self
                .missing(command, |name| self.find(name).is_some())
                .or_else(|| self.cycle(place?, command, cycles)),
            Verb::Remove => self.all_blockers(place?),
        }?;
        Some(refusal(command, reason))
    }

    fn cycle(&self, place: Place, command: &Command, cycles: Cycles) -> Option<Reason> {
        let mut wanted = Vec::new();
        self.resolve(command, &mut wanted);
        let rejected = cycles == Cycles::Reject
            && !self.dependencies(place).eq(wanted.iter().copied())
            && self.would_close_cycle(place, &wanted);
        rejected.then_some(Reason::Cycle)
    }

    /// Does all INDEX and REMOVE commands as one change, or nothing. The dependencies of a package may come with it in the same batch, in
    /// any order, and in circles. What leads back is appended to `undo`. Returns whether the state is another one now.
    pub(crate) fn apply(
        &mut self,
        commands: &[Command],
        cycles: Cycles,
        undo: WayBack,
    ) -> Result<bool, Vec<Refusal>> {
        self.judge(commands)?;
        let mut back = Vec::new();
        if undo.is_some() || cycles == Cycles::Reject {
            for command in commands {
                self.write_undo(command.package, &mut back);
            }
        }
        let changed = self.put(commands);
        if cycles == Cycles::Reject {
            let refusals = self.on_cycles(commands);
            if !refusals.is_empty() {
                self.take_back(&back);
                return Err(refusals);
            }
        }
        if let Some(undo) = undo.filter(|_| changed) {
            undo.extend_from_slice(&back);
        }
        Ok(changed)
    }

    /// Goes back to what was before; `undo` is what [`Graph::apply`] or [`Graph::execute`] appended.
    pub(crate) fn take_back(&mut self, undo: &[u8]) {
        let commands: Vec<_> = crate::command::commands(undo).flatten().collect();
        self.put(&commands);
    }

    /// Whether every edge would have both its ends after `commands`.
    fn judge(&self, commands: &[Command]) -> Result<(), Vec<Refusal>> {
        let mut last_word = HashMap::with_capacity(commands.len());
        let mut refusals = Vec::new();
        for command in commands {
            if last_word.insert(command.package, command).is_some() {
                refusals.push(refusal(command, Reason::Twice));
            }
        }
        let verb_of = |name: &str| last_word.get(name).map(|command| command.verb);
        let will_be = |name: &str| match verb_of(name) {
            Some(Verb::Index) => true,
            Some(Verb::Remove) => false,
            Some(Verb::Query) | None => self.find(name).is_some(),
        };
        for command in commands {
            let reason = match command.verb {
                Verb::Index => self.missing(command, will_be),
                // A dependent that the batch indexes anew is judged by its new list.
                Verb::Remove => self
                    .find(command.package)
                    .and_then(|place| self.blockers(place, |name| verb_of(name).is_some())),
                Verb::Query => None,
            };
            refusals.extend(reason.map(|reason| refusal(command, reason)));
            if refusals.len() >= MAX_REFUSALS {
                break;
            }
        }
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(refusals)
        }
    }

    fn missing(&self, command: &Command, is_there: impl Fn(&str) -> bool) -> Option<Reason> {
        let mut missing: Vec<_> = command.dependencies().filter(|name| !is_there(name)).collect();
        missing.sort_unstable();
        missing.dedup();
        let listed = missing.iter().take(MAX_LISTED).map(ToString::to_string).collect();
        (!missing.is_empty()).then_some(Reason::Missing(listed, missing.len()))
    }

    /// Counted by the length of the list, so that a refusal costs no more than what it lists however many dependents there are.
    fn all_blockers(&self, place: Place) -> Option<Reason> {
        let depends_on_itself = self.dependencies(place).any(|dependency| dependency == place);
        let count = self.dependents(place).len() - usize::from(depends_on_itself);
        let others = self.dependents(place).filter(|&dependent| dependent != place);
        let names = others.filter_map(|dependent| self.name(dependent));
        let mut listed: Vec<_> = names.take(MAX_LISTED).map(ToString::to_string).collect();
        listed.sort_unstable();
        (count > 0).then_some(Reason::Dependents(listed, count))
    }

    fn blockers(&self, place: Place, is_excused: impl Fn(&str) -> bool) -> Option<Reason> {
        let blockers = || {
            let others = self.dependents(place).filter(|&dependent| dependent != place);
            others
                .filter_map(|dependent| self.name(dependent))
                .filter(|name| !is_excused(name))
        };
        let count = blockers().count();
        let mut listed: Vec<_> = blockers().take(MAX_LISTED).map(ToString::to_string).collect();
        listed.sort_unstable();
        (count > 0).then_some(Reason::Dependents(listed, count))
    }

    /// Puts commands into force without a look at whether they may be. No package stands in two of them.
    fn put(&mut self, commands: &[Command]) -> bool {
        let before = self.packages();
        let indexed = self.settle(commands.iter().filter(|command| command.verb == Verb::Index));
        let mut changed = self.packages() != before;
        let mut wanted = Vec::new();
        for (command, place) in indexed {
            wanted.clear();
            self.resolve(command, &mut wanted);
            if !self.dependencies(place).eq(wanted.iter().copied()) {
                self.set_dependencies(place, &wanted);
                changed = true;
            }
        }
        let removed = commands.iter().filter(|command| command.verb == Verb::Remove);
        let removed: Vec<_> = removed.filter_map(|command| self.find(command.package)).collect();
        for &place in &removed {
            self.set_dependencies(place, &[]);
        }
        for &place in &removed {
            self.delete(place);
        }
        changed || !removed.is_empty()
    }

    /// Finds a place for each package; who is new gets one, with memory for all of them at once.
    fn settle<'c>(
        &mut self,
        commands: impl Iterator<Item = &'c Command<'c>>,
    ) -> Vec<(&'c Command<'c>, Place)> {
        let found: Vec<_> = commands
            .map(|command| (command, self.find(command.package)))
            .collect();
        self.reserve(found.iter().filter(|(_, place)| place.is_none()).count());
        let settled = found.into_iter().map(|(command, place)| {
            let place = place.unwrap_or_else(|| self.insert(command.package));
            (command, place)
        });
        settled.collect()
    }

    /// Which of the indexed packages stand on a cycle now.
    fn on_cycles(&self, commands: &[Command]) -> Vec<Refusal> {
        let indexed = commands.iter().filter(|command| command.verb == Verb::Index);
        let places: HashSet<_> = indexed.filter_map(|command| self.find(command.package)).collect();
        let nodes = &self.nodes;
        let dependency =
            |place: Place, at: usize| nodes[place as usize].dependencies.get(at).map(|end| end.package);
        let mut refusals = Vec::new();
        components(self.places(), dependency, |members| {
            let is_cycle =
                members.len() > 1 || self.dependencies(members[0]).any(|place| place == members[0]);
            let ours = members.iter().filter(|place| is_cycle && places.contains(place));
            for name in ours.filter_map(|&place| self.name(place)) {
                if refusals.len() < MAX_REFUSALS {
                    refusals.push(Refusal {
                        package: name.to_string(),
                        reason: Reason::Cycle,
                    });
                }
            }
        });
        refusals
    }
}

fn refusal(command: &Command, reason: Reason) -> Refusal {
    Refusal {
        package: command.package.to_owned(),
        reason,
    }
}
