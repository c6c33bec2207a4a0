use std::collections::BTreeSet;

use super::{Broken, Packages, apply, ensure, same};
use crate::change::{Change, Revision};
use crate::command::{Answer, Command, Verb};
use crate::index::Reply;

/// What clients asked and were told.
#[derive(Debug, Default)]
pub struct Journal(pub Vec<Entry>);

/// One command of one client.
#[derive(Clone, Debug)]
pub struct Entry {
    /// With its newline.
    pub line: String,
    /// The newest revision that anybody had been told of when it was asked.
    pub known: Revision,
    /// What was answered; `None` when the index could not say whether it happened.
    pub reply: Option<Reply>,
}

impl Journal {
    /// How many commands were not answered.
    pub fn unanswered(&self) -> usize {
        self.0.iter().filter(|entry| entry.reply.is_none()).count()
    }

    /// Judges every answer by the state at its revision, which `changes`, all there ever were, tell. So each answer is right at one moment
    /// between question and answer, which is linearizability. No two clients may write the same package: then a change that no
    /// answered command has made is one that was not answered, or one that was made twice. Returns the packages in the end.
    pub fn judge(&self, changes: &[Change]) -> Result<Packages, Broken> {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|entry| entry.reply.as_ref().map(|reply| reply.revision));
        let mut answered = entries
            .into_iter()
            .filter_map(|entry| Some((entry, entry.reply.as_ref()?)))
            .peekable();
        let mut packages = Packages::new();
        let mut made = BTreeSet::new();
        for (revision, change) in std::iter::once(None).chain(changes.iter().map(Some)).enumerate() {
            let revision = Revision(revision as u64);
            if let Some(change) = change {
                same("the revision of a change", change.revision, revision)?;
                apply(&mut packages, &change.lines);
                must_be_closed(&packages, revision)?;
            }
            while let Some((entry, reply)) = answered.next_if(|(_, reply)| reply.revision == revision) {
                judge(entry, reply, &packages)?;
                if change.is_some_and(|change| *change.lines == *entry.line.as_bytes()) {
                    made.insert(revision);
                }
            }
        }
        ensure(answered.peek().is_none(), || {
            format!("{:?} has a revision that was never committed", answered.peek())
        })?;
        let unanswered = self.unanswered();
        ensure(changes.len() <= made.len() + unanswered, || {
            format!(
                "{} changes, but {} commands made one and {unanswered} were not answered",
                changes.len(),
                made.len()
            )
        })?;
        Ok(packages)
    }
}

fn must_be_closed(packages: &Packages, revision: Revision) -> Result<(), Broken> {
    let missing = packages
        .values()
        .flatten()
        .find(|name| !packages.contains_key(*name));
    ensure(missing.is_none(), || {
        format!("{missing:?} is depended on at revision {revision}, but not indexed")
    })
}

fn judge(entry: &Entry, reply: &Reply, packages: &Packages) -> Result<(), Broken> {
    let command = Command::parse(entry.line.trim_end().as_bytes());
    let command = command.map_err(|malformed| Broken(format!("{:?}: {malformed}", entry.line)))?;
    let kept = packages.get(command.package);
    let should = match command.verb {
        Verb::Query => kept.is_some(),
        Verb::Index => kept.is_some_and(|kept| {
            kept.iter()
                .map(String::as_str)
                .eq(command.dependencies().collect::<BTreeSet<_>>())
        }),
        Verb::Remove => kept.is_none(),
    };
    let is_right = match reply.answer {
        Answer::Ok => should,
        Answer::Fail => may_fail(&command, packages),
        Answer::Error => false,
    };
    ensure(is_right && reply.revision >= entry.known, || {
        format!("{entry:?} is wrong; then there were {packages:?}")
    })
}

fn may_fail(command: &Command, packages: &Packages) -> bool {
    let is_indexed = packages.contains_key(command.package);
    match command.verb {
        Verb::Query => !is_indexed,
        Verb::Index => command.dependencies().any(|name| !packages.contains_key(name)),
        Verb::Remove => {
            let depends = |(name, list): (&String, &BTreeSet<String>)| {
                name != command.package && list.contains(command.package)
            };
            is_indexed && packages.iter().any(depends)
        }
    }
}
