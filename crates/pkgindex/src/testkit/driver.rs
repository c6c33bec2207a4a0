//! Compares any server of the protocol with the [`Model`], over TCP.
//!
//! It needs an index that is empty at first, and for itself. It tries cases that are written by hand, sequences that a seed makes up,
//! and clients at the same time; no server that answers too little keeps it for longer than its patience.

mod cases;
mod concurrent;
mod conversation;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::Cycles;
use crate::testkit::model::Model;
use crate::testkit::random::Random;

use cases::{Case, Ending, Segments};
use conversation::Conversation;

/// What is compared, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the server was told to treat cycles.
    pub cycles: Cycles,
    /// The longest line that the server takes, in bytes.
    pub max_line_bytes: usize,
    /// What sequences are made up.
    pub seed: u64,
    /// How many sequences are made up, and how often clients compete.
    pub rounds: usize,
    /// How long the server may be silent while an answer is due.
    pub patience: Duration,
    /// With how many findings to stop.
    pub max_findings: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cycles: Cycles::Literal,
            max_line_bytes: 1 << 20,
            seed: 1,
            rounds: 20,
            patience: Duration::from_secs(5),
            max_findings: 10,
        }
    }
}

/// One thing in which the server is not as the protocol says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub case: String,
    /// What was sent, what came and what was expected.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.what)
    }
}

/// Drives the server at `address` and returns what is wrong with it: nothing, when all is well.
pub fn drive(address: SocketAddr, options: &Options) -> Vec<Finding> {
    let mut driver = Driver {
        address,
        options,
        model: Model::new(),
        findings: Vec::new(),
    };
    driver.run();
    driver.findings
}

struct Driver<'o> {
    address: SocketAddr,
    options: &'o Options,
    /// What the server must hold.
    model: Model,
    findings: Vec<Finding>,
}

impl Driver<'_> {
    fn run(&mut self) {
        let mut random = Random::new(self.options.seed);
        for case in cases::directed(self.options.max_line_bytes) {
            self.play(&case, &mut random);
        }
        for round in 0..self.options.rounds {
            self.play(&cases::made_up(round, &mut random), &mut random);
            self.compete(round, &mut random);
        }
    }

    fn is_enough(&self) -> bool {
        self.findings.len() >= self.options.max_findings
    }

    /// Talks as the case says, one connection after the other.
    fn play(&mut self, case: &Case, random: &mut Random) {
        for talk in &case.talks {
            if self.is_enough() {
                return;
            }
            let Options {
                cycles,
                max_line_bytes,
                ..
            } = *self.options;
            let expected = self.model.stream(&talk.bytes, cycles, max_line_bytes);
            let conversation = Conversation::open(self.address, self.options.patience);
            let talked = conversation.and_then(|mut conversation| {
                conversation.exchange(&talk.bytes, &expected, talk.segments, random)?;
                match talk.ending {
                    Ending::EndOfStream => conversation.finish(),
                    Ending::Gone => Ok(()),
                }
            });
            if let Err(what) = talked {
                let case = case.name.clone();
                return self.findings.push(Finding { case, what });
            }
        }
    }

    fn compete(&mut self, round: usize, random: &mut Random) {
        for competition in [concurrent::either_or, concurrent::share] {
            if self.is_enough() {
                return;
            }
            let found = competition(self.address, self.options, round, random);
            self.findings.extend(found.err());
        }
    }
}
