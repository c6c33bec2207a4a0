//! Workers and schedulers, and what goes wrong with them.

use std::collections::BTreeMap;

use model::{RunId, Timestamp};

use crate::dice::Dice;
use crate::plan::START;

/// Clocks differ from the true time by so much at most.
const SKEW_MS: u64 = 3_000;

/// One life of a process.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) is_alive: bool,
    /// Does nothing until then.
    pub(crate) sleeps_until_ms: u64,
    skew_ms: u64,
    /// The runs that it believes are its own, with epoch and what comes next.
    pub(crate) work: BTreeMap<RunId, Work>,
}

pub(crate) struct Work {
    pub(crate) epoch: u64,
    /// Which step comes next.
    pub(crate) step: usize,
    pub(crate) program_ms: u64,
    pub(crate) fate: Fate,
    pub(crate) is_stopped: bool,
}

/// What becomes of a run if nobody stops it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Succeeds,
    Fails,
    /// Its code cannot be fetched, for reasons of ours.
    GivenBack,
    /// Its worker dies at this step.
    Kills(usize),
    /// Its worker sleeps at this step, for longer than its lease.
    Sleeps(usize),
}

impl Fate {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        match dice.range(0, 1_000) {
            0..4 => Self::Kills(dice.range(0, 7) as usize),
            4..8 => Self::Sleeps(dice.range(0, 6) as usize),
            8..20 => Self::GivenBack,
            20..80 => Self::Fails,
            _ => Self::Succeeds,
        }
    }
}

impl Process {
    pub(crate) fn new(kind: &str, number: usize, life: u64, dice: &mut Dice) -> Self {
        Self {
            name: format!("{kind}-{number}-{life}"),
            is_alive: true,
            sleeps_until_ms: 0,
            skew_ms: dice.range(0, 2 * SKEW_MS),
            work: BTreeMap::new(),
        }
    }

    /// What its clock says.
    pub(crate) fn clock(&self, at_ms: u64) -> Timestamp {
        Timestamp::from_millis(START.as_millis() + at_ms + self.skew_ms - SKEW_MS)
    }

    pub(crate) fn acts(&self, at_ms: u64) -> bool {
        self.is_alive && at_ms >= self.sleeps_until_ms
    }
}
