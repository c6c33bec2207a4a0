use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::command::{Answer, Command, Malformed, Verb};

/// What an index has done since it was opened. Commands that were decided again because another server was faster count again.
#[derive(Debug, Default)]
pub struct Counts {
    answers: [[AtomicU64; 3]; 4],
    rounds: AtomicU64,
    changes: AtomicU64,
    conflicts: AtomicU64,
    failures: AtomicU64,
    commit_nanoseconds: AtomicU64,
}

const VERBS: [&str; 4] = ["INDEX", "REMOVE", "QUERY", "malformed"];
const ANSWERS: [Answer; 3] = [Answer::Ok, Answer::Fail, Answer::Error];

impl Counts {
    /// How often each verb, or `malformed`, got each answer.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        VERBS.iter().zip(&self.answers).flat_map(|(verb, answers)| {
            let counted = ANSWERS.iter().zip(answers);
            counted.map(|(answer, count)| (*verb, answer.as_str(), count.load(Ordering::Relaxed)))
        })
    }

    /// Rounds that the store has confirmed.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Changes that the store has committed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// How often another server was faster.
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// How often the store did not take changes.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Time spent in rounds that were confirmed.
    pub fn commit_time(&self) -> Duration {
        Duration::from_nanos(self.commit_nanoseconds.load(Ordering::Relaxed))
    }

    /// Adds what one call has counted.
    pub(crate) fn add(&self, tally: &Tally) {
        let counted = tally.answers.as_flattened().iter();
        for (count, &more) in self.answers.as_flattened().iter().zip(counted) {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn round(&self, changes: usize, took: Duration) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes as u64, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.commit_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers of one call, which are added together, because threads that count one by one slow each other down.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answers: [[u64; 3]; 4],
}

impl Tally {
    pub(crate) fn count(&mut self, command: &Result<Command, Malformed>, answer: Answer) {
        let verb = match command.as_ref().map(|command| command.verb) {
            Ok(Verb::Index) => 0,
            Ok(Verb::Remove) => 1,
            Ok(Verb::Query) => 2,
            Err(_) => 3,
        };
        let answer = match answer {
            Answer::Ok => 0,
            Answer::Fail => 1,
            Answer::Error => 2,
        };
        self.answers[verb][answer] += 1;
    }
}
