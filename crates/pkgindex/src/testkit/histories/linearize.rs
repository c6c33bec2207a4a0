use std::collections::HashSet;
use std::fmt;

use crate::testkit::histories::Operation;
use crate::testkit::model::{Model, Request};
use crate::{Answer, Cycles};

/// The most operations of one history.
pub const MAX_OPERATIONS: usize = 128;

/// A part of a history that no order of its operations explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLinearizable {
    /// Few operations that already contradict each other, by the time of asking.
    pub operations: Vec<Operation>,
    /// The longest order that explains its answers.
    pub longest: Vec<Operation>,
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no order of these operations explains their answers:")?;
        for operation in &self.operations {
            writeln!(f, "  {operation}")?;
        }
        writeln!(f, "the longest that explains its part:")?;
        for operation in &self.longest {
            writeln!(f, "  {operation}")?;
        }
        Ok(())
    }
}

/// Looks for an order of the operations that explains every answer and in which none that had returned before another was asked stands
/// behind it. One with an unknown outcome may stand anywhere after it was asked, or nowhere.
///
/// J. Wing and C. Gong, "Testing and verifying concurrent objects" (1993), with the memory of G. Lowe, "Testing for
/// linearizability" (2017): the same operations with the same state in the end are looked at once.
///
/// # Panics
/// When the history has more than [`MAX_OPERATIONS`].
pub fn linearize(initial: &Model, history: &[Operation], cycles: Cycles) -> Result<(), NotLinearizable> {
    assert!(
        history.len() <= MAX_OPERATIONS,
        "at most {MAX_OPERATIONS} operations can be ordered"
    );
    match search(initial, history, cycles, usize::MAX) {
        None => Ok(()),
        Some(_) => Err(smallest(initial, history, cycles)),
    }
}

/// How many states are looked at to see whether a smaller part of a history is a contradiction, too.
const STATES_OF_A_PART: usize = 20_000;

/// The longest order that was found, when none has all operations. With more than `max_states` to look at, none is reported.
fn search(initial: &Model, history: &[Operation], cycles: Cycles, max_states: usize) -> Option<Vec<usize>> {
    let mut search = Search {
        history,
        cycles,
        max_states,
        seen: HashSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    let is_explained = search.extend(0, initial);
    (!is_explained).then_some(search.longest)
}

struct Search<'h> {
    history: &'h [Operation],
    cycles: Cycles,
    max_states: usize,
    seen: HashSet<(u128, Model)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl Search<'_> {
    /// Whether the operations that are not in the set `done` can follow on `state`.
    fn extend(&mut self, done: u128, state: &Model) -> bool {
        let open = |at: &usize| done & (1 << at) == 0;
        let waiting: Vec<_> = (0..self.history.len()).filter(open).collect();
        if waiting.iter().all(|&at| self.history[at].outcome.is_none()) {
            return true;
        }
        if self.seen.len() >= self.max_states {
            return true;
        }
        if !self.seen.insert((done, state.clone())) {
            return false;
        }
        let first_return = waiting.iter().map(|&at| self.history[at].returned()).min();
        for at in waiting {
            let operation = &self.history[at];
            if Some(operation.invoked) > first_return {
                continue;
            }
            let Some(after) = explained(operation, state, self.cycles) else {
                continue;
            };
            self.order.push(at);
            if self.order.len() > self.longest.len() {
                self.longest.clone_from(&self.order);
            }
            if self.extend(done | (1 << at), &after) {
                return true;
            }
            self.order.pop();
        }
        false
    }
}

/// The state after it, when its answer is the right one.
fn explained(operation: &Operation, state: &Model, cycles: Cycles) -> Option<Model> {
    let mut after = state.clone();
    let right = after.answer(operation.line.as_bytes(), cycles);
    let is_right = operation.outcome.is_none_or(|told| told.answer == right);
    is_right.then_some(after)
}

/// A part of the history that is still not linearizable and from which nothing more can go: the shortest beginning, without
/// operations that cannot have changed anything.
fn smallest(initial: &Model, history: &[Operation], cycles: Cycles) -> NotLinearizable {
    let is_bad = |part: &[Operation]| search(initial, part, cycles, STATES_OF_A_PART).is_some();
    let mut moments: Vec<_> = history
        .iter()
        .filter_map(|operation| operation.outcome.map(|told| told.returned))
        .collect();
    moments.sort_unstable();
    let mut part = moments
        .into_iter()
        .map(|moment| until(history, moment))
        .find(|part| is_bad(part))
        .unwrap_or_else(|| history.to_vec());
    for at in (0..part.len()).rev() {
        let gone = part.remove(at);
        if !(is_removable(&gone) && is_bad(&part)) {
            part.insert(at, gone);
        }
    }
    let longest = search(initial, &part, cycles, usize::MAX).unwrap_or_default();
    NotLinearizable {
        longest: longest.iter().map(|&at| part[at].clone()).collect(),
        operations: part,
    }
}

/// The history as it was known at `moment`.
fn until(history: &[Operation], moment: u64) -> Vec<Operation> {
    let begun = history.iter().filter(|operation| operation.invoked < moment);
    begun
        .cloned()
        .map(|mut operation| {
            operation.outcome = operation.outcome.filter(|told| told.returned <= moment);
            operation
        })
        .collect()
}

/// Whether a history stays linearizable without it, if it is: it changed nothing, or may never have happened.
fn is_removable(operation: &Operation) -> bool {
    let is_query = || Request::parse(operation.line.as_bytes()).is_none_or(|request| request.verb == "QUERY");
    match operation.outcome {
        None => false,
        Some(told) => told.answer != Answer::Ok || is_query(),
    }
}
