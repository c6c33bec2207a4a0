use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::testkit::histories::{Operation, Told};
use crate::testkit::model::{Model, Request};
use crate::{Answer, Change, Cycles, Revision};

/// Why the order of the revisions is not a right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// In a sentence.
    pub what: String,
    /// The operations that it is about.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for operation in &self.operations {
            writeln!(f, "  {operation}")?;
        }
        Ok(())
    }
}

/// Judges a history by its revisions and by the changes that led from each to the next, from the first on, each of one line:
///
/// - every change is what an operation asked for before anybody knew of it, whose answer has that revision or is unknown;
/// - every answer is what the state at its revision says;
/// - what was asked after something had returned rests on a revision that is not smaller.
///
/// It starts with no packages. Operations whose answers have no revision are as those that were told nothing.
pub fn replay(changes: &[Change], history: &[Operation], cycles: Cycles) -> Result<(), Contradiction> {
    were_asked(changes, history)?;
    follow(changes, history, cycles)?;
    in_time(history)
}

fn contradiction(what: String, operations: &[&Operation]) -> Contradiction {
    let operations = operations.iter().copied().cloned().collect();
    Contradiction { what, operations }
}

fn stamp(operation: &Operation) -> Option<(Told, Revision)> {
    let told = operation.outcome?;
    Some((told, told.revision?))
}

/// Whether somebody asked for each change, in time.
fn were_asked(changes: &[Change], history: &[Operation]) -> Result<(), Contradiction> {
    let mut makers = Makers::of(history);
    let known_since = known_since(changes, history);
    for (change, known_since) in changes.iter().zip(known_since) {
        if !makers.take(change, known_since) {
            let lines = String::from_utf8_lossy(&change.lines);
            let what = format!(
                "nobody had asked for the change to revision {} when it was known: {lines:?}",
                change.revision
            );
            let knew = |operation: &&Operation| operation.returned() == known_since;
            return Err(contradiction(what, history.iter().find(knew).as_slice()));
        }
    }
    Ok(())
}

/// For each change when somebody was first told a revision that has it.
fn known_since(changes: &[Change], history: &[Operation]) -> Vec<u64> {
    let mut told: Vec<_> = history.iter().filter_map(stamp).collect();
    told.sort_by_key(|&(_, revision)| revision);
    let mut since = u64::MAX;
    let mut all = Vec::new();
    for change in changes.iter().rev() {
        while let Some((told, _)) = told.pop_if(|&mut (_, revision)| revision >= change.revision) {
            since = since.min(told.returned);
        }
        all.push(since);
    }
    all.reverse();
    all
}

/// Operations that may have made a change.
struct Makers {
    /// When the first asked of those that were told OK at that revision.
    told: HashMap<(Revision, Request), u64>,
    /// When those asked that were told nothing, the first at the end. Each may have made one change.
    unknown: HashMap<Request, Vec<u64>>,
}

impl Makers {
    fn of(history: &[Operation]) -> Self {
        let (mut told, mut unknown) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        let mut latest_first: Vec<_> = history.iter().collect();
        latest_first.sort_by_key(|operation| std::cmp::Reverse(operation.invoked));
        for operation in latest_first {
            let Some(request) = change_of(operation.line.as_bytes()) else {
                continue;
            };
            match stamp(operation) {
                Some((
                    Told {
                        answer: Answer::Ok, ..
                    },
                    revision,
                )) => {
                    told.insert((revision, request), operation.invoked);
                }
                Some(_) => {}
                None => unknown.entry(request).or_default().push(operation.invoked),
            }
        }
        Self { told, unknown }
    }

    /// Whether somebody asked for `change` before `known_since`.
    fn take(&mut self, change: &Change, known_since: u64) -> bool {
        let Some(request) = change_of(line(change)) else {
            return false;
        };
        let is_in_time = |&asked: &u64| asked < known_since;
        let key = (change.revision, request);
        if self.told.get(&key).is_some_and(is_in_time) {
            return true;
        }
        let unknown = self.unknown.get_mut(&key.1);
        unknown.and_then(Vec::pop).as_ref().is_some_and(is_in_time)
    }
}

fn line(change: &Change) -> &[u8] {
    change.lines.strip_suffix(b"\n").unwrap_or(&change.lines)
}

/// What a line may change. What stands behind the second pipe of a REMOVE means nothing.
fn change_of(line: &[u8]) -> Option<Request> {
    let mut request = Request::parse(line)?;
    match request.verb.as_str() {
        "INDEX" => {}
        "REMOVE" => request.dependencies.clear(),
        _ => return None,
    }
    Some(request)
}

/// Goes through all states and looks at every answer at its revision. There an operation that made the change, too, finds everything as it
/// wants it: each of the commands, once done, can be done again and changes nothing.
fn follow(changes: &[Change], history: &[Operation], cycles: Cycles) -> Result<(), Contradiction> {
    let mut at: BTreeMap<Revision, Vec<(&Operation, Answer)>> = BTreeMap::new();
    for operation in history {
        if let Some((told, revision)) = stamp(operation) {
            at.entry(revision).or_default().push((operation, told.answer));
        }
    }
    let mut state = Model::new();
    let mut revision = Revision(0);
    look(&state, at.remove(&revision), cycles)?;
    for change in changes {
        if change.revision != revision.next() {
            let what = format!(
                "a change to revision {} follows revision {revision}",
                change.revision
            );
            return Err(contradiction(what, &[]));
        }
        revision = change.revision;
        let before = state.clone();
        if state.answer(line(change), cycles) != Answer::Ok || state == before {
            let lines = String::from_utf8_lossy(&change.lines);
            let what =
                format!("the change to revision {revision} is none, or is not allowed there: {lines:?}");
            return Err(contradiction(what, &[]));
        }
        look(&state, at.remove(&revision), cycles)?;
    }
    match at.first_key_value() {
        None => Ok(()),
        Some((revision, operations)) => {
            let what = format!("an answer rests on revision {revision}, which was never reached");
            Err(contradiction(what, &[operations[0].0]))
        }
    }
}

fn look(
    state: &Model,
    operations: Option<Vec<(&Operation, Answer)>>,
    cycles: Cycles,
) -> Result<(), Contradiction> {
    for (operation, answer) in operations.unwrap_or_default() {
        let mut after = state.clone();
        let right = after.answer(operation.line.as_bytes(), cycles);
        if right != answer || after != *state {
            let what = format!(
                "the state at its revision says {}, and it was told {}; the state: {:?}",
                right.as_str(),
                answer.as_str(),
                state.packages()
            );
            return Err(contradiction(what, &[operation]));
        }
    }
    Ok(())
}

/// Whether revisions never go back in real time.
fn in_time(history: &[Operation]) -> Result<(), Contradiction> {
    let stamped = |operation| stamp(operation).map(|(told, revision)| (told.returned, revision, operation));
    let mut returned: Vec<(u64, Revision, &Operation)> = history.iter().filter_map(stamped).collect();
    let mut asked = returned.clone();
    asked.sort_by_key(|(_, _, operation)| operation.invoked);
    returned.sort_by_key(|&(moment, ..)| moment);
    let mut earlier = returned.into_iter().peekable();
    let mut newest: Option<(Revision, &Operation)> = None;
    for (_, revision, operation) in asked {
        while let Some((_, known, other)) = earlier.next_if(|&(moment, ..)| moment < operation.invoked) {
            if newest.is_none_or(|(newest, _)| known > newest) {
                newest = Some((known, other));
            }
        }
        if let Some((known, other)) = newest.filter(|&(known, _)| known > revision) {
            let what = format!("an answer rests on revision {revision}, though {known} was known before");
            return Err(contradiction(what, &[other, operation]));
        }
    }
    Ok(())
}
