//! Several indexes on one shared store, step by step: a seed decides who does what next, and what becomes of each call of the store.
//!
//! Every index's committer stops at a gate before each call of its store. The test holds all gates and all clients, so a schedule is a
//! sequence of steps (a client asks, a committer passes its gate with some fate, a client goes away) and the seed repeats it.
//! `PKGINDEX_SCHEDULES` says how many schedules are tried, `PKGINDEX_SCHEDULE` names one to try alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pkgindex::testkit::histories::{Operation, Recorder, linearize, replay};
use pkgindex::testkit::model::Model;
use pkgindex::testkit::random::Random;
use pkgindex::testkit::unreliable::{Call, Fate, Kept};
use pkgindex::{Cycles, Index, Options, Reply, Unavailable};

const PACKAGES: [&str; 3] = ["a", "b", "c"];
const CLIENTS: usize = 3;
const LINES_EACH: usize = 4;
const A_LONG_TIME: Duration = Duration::from_secs(3600);

/// A committer that does not come to its gate by then never will.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Gate {
    state: Mutex<AtGate>,
    moved: Condvar,
}

#[derive(Default)]
struct AtGate {
    waiting: Option<Call>,
    fate: Option<Fate>,
    /// How often the committer had nothing to do since it last passed.
    idle_turns: usize,
    is_open: bool,
}

impl Gate {
    /// The committer's side.
    fn pass(&self, call: Call) -> Fate {
        let mut state = self.state.lock().unwrap();
        if state.is_open {
            return Fate::Works;
        }
        if call == Call::Tend {
            state.idle_turns += 1;
            self.moved.notify_all();
            return Fate::Works;
        }
        state.waiting = Some(call);
        self.moved.notify_all();
        let mut state = self
            .moved
            .wait_while(state, |state| state.fate.is_none() && !state.is_open)
            .unwrap();
        state.waiting = None;
        state.fate.take().unwrap_or(Fate::Works)
    }

    fn let_pass(&self, fate: Fate) {
        let mut state = self.state.lock().unwrap();
        state.fate = Some(fate);
        state.waiting = None;
        state.idle_turns = 0;
        self.moved.notify_all();
    }

    fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.moved.notify_all();
    }

    fn waiting(&self) -> Option<Call> {
        self.state.lock().unwrap().waiting
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&AtGate) -> bool) {
        let state = self.state.lock().unwrap();
        let waited = self
            .moved
            .wait_timeout_while(state, PATIENCE, |state| !is_so(state))
            .unwrap();
        assert!(!waited.1.timed_out(), "the committer never came: {what}");
    }
}

type Asked = Pin<Box<dyn Future<Output = Result<Vec<Reply>, Unavailable>>>>;

struct Client {
    lines: Vec<String>,
    /// What it waits for: which index, since when.
    asked: Option<(usize, u64, Asked)>,
}

#[derive(Clone, Copy)]
enum Step {
    Ask(usize),
    Pass(usize),
    GoAway(usize),
}

struct Schedule {
    random: Random,
    cycles: Cycles,
    does_poll: bool,
    kept: Kept,
    gates: Vec<Arc<Gate>>,
    indexes: Vec<Index>,
    clients: Vec<Client>,
    recorder: Recorder,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let cycles = *random
            .pick(&[Cycles::Literal, Cycles::Reject, Cycles::Report])
            .unwrap();
        let does_poll = random.chance(50);
        let options = Options {
            cycles,
            poll_interval: if does_poll { Duration::ZERO } else { A_LONG_TIME },
            commit_timeout: if random.chance(50) {
                Duration::ZERO
            } else {
                A_LONG_TIME
            },
            pending_bytes: if random.chance(20) { 1 } else { 1 << 20 },
            ..Options::default()
        };
        let kept = Kept::new();
        let gates: Vec<_> = (0..2 + random.below(2))
            .map(|_| Arc::new(Gate::default()))
            .collect();
        let open = |gate: &Arc<Gate>| {
            let gate = Arc::clone(gate);
            let mut is_loaded = false;
            let store = kept.store(move |call| match call {
                Call::Load if !std::mem::replace(&mut is_loaded, true) => Fate::Works,
                call => gate.pass(call),
            });
            Index::open(Box::new(store), options.clone()).unwrap()
        };
        let indexes = gates.iter().map(open).collect();
        let mut lines = || (0..LINES_EACH).map(|_| random.line(&PACKAGES)).collect();
        let clients = (0..CLIENTS).map(|_| Client {
            lines: lines(),
            asked: None,
        });
        Self {
            clients: clients.collect(),
            random,
            cycles,
            does_poll,
            kept,
            gates,
            indexes,
            recorder: Recorder::new(),
        }
    }

    fn run(mut self) -> Result<(), String> {
        while let Some(step) = self.next_step() {
            match step {
                Step::Ask(client) => self.ask(client),
                Step::Pass(index) => self.pass(index),
                Step::GoAway(client) => self.go_away(client),
            }
        }
        self.judge()
    }

    fn next_step(&mut self) -> Option<Step> {
        let clients = 0..self.clients.len();
        let has_asked = |client: &usize| self.clients[*client].asked.is_some();
        let may_ask = |client: &usize| !has_asked(client) && !self.clients[*client].lines.is_empty();
        let mut steps: Vec<_> = clients.clone().filter(may_ask).map(Step::Ask).collect();
        let waiting: Vec<_> = clients.filter(has_asked).collect();
        if steps.is_empty() && waiting.is_empty() {
            return None;
        }
        let at_gate = (0..self.gates.len()).filter(|&index| self.gates[index].waiting().is_some());
        steps.extend(at_gate.map(Step::Pass));
        if self.random.chance(3) {
            steps.extend(waiting.into_iter().map(Step::GoAway));
        }
        self.random.pick(&steps).copied()
    }

    fn ask(&mut self, client: usize) {
        let index = self.random.below(self.indexes.len());
        let handle = self.indexes[index].clone();
        let line = format!("{}\n", self.clients[client].lines.last().unwrap());
        let asked = Box::pin(async move { handle.replies(line.as_bytes()).await });
        self.clients[client].asked = Some((index, self.recorder.now(), asked));
        self.look(client);
        self.wait_for_asked(index);
    }

    /// Looks whether a client has its answer.
    fn look(&mut self, client: usize) {
        let Some((_, invoked, asked)) = &mut self.clients[client].asked else {
            return;
        };
        let invoked = *invoked;
        let Poll::Ready(replies) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return;
        };
        let told = replies
            .ok()
            .map(|replies| (replies[0].answer, Some(replies[0].revision)));
        self.clients[client].asked = None;
        let line = self.clients[client].lines.pop().unwrap();
        self.recorder.record(client, line, invoked, told);
    }

    fn go_away(&mut self, client: usize) {
        if let Some((_, invoked, _)) = self.clients[client].asked.take() {
            let line = self.clients[client].lines.pop().unwrap();
            self.recorder.record(client, line, invoked, None);
        }
    }

    fn pass(&mut self, index: usize) {
        let gate = Arc::clone(&self.gates[index]);
        let fate = self.fate(gate.waiting());
        gate.let_pass(fate);
        let does_poll = self.does_poll;
        gate.wait_until("after a step", |state| {
            state.waiting.is_some() || (!does_poll && state.idle_turns > 0)
        });
        for client in 0..self.clients.len() {
            if self.is_asked(client, index) {
                self.look(client);
            }
        }
        self.wait_for_asked(index);
    }

    fn is_asked(&self, client: usize, index: usize) -> bool {
        let asked = self.clients[client].asked.as_ref();
        asked.is_some_and(|(at, ..)| *at == index)
    }

    /// Whoever waits for an answer waits for a round, so the committer must come.
    fn wait_for_asked(&self, index: usize) {
        if (0..self.clients.len()).any(|client| self.is_asked(client, index)) {
            self.gates[index].wait_until("somebody has asked", |state| state.waiting.is_some());
        }
    }

    fn fate(&mut self, call: Option<Call>) -> Fate {
        let fates: &[Fate] = match call {
            Some(Call::Commit(_)) => &[Fate::Fails, Fate::FailsAfter, Fate::FailsBefore, Fate::Forgets],
            Some(Call::Changes) => &[Fate::Fails, Fate::FailsBefore, Fate::StopsEarly],
            _ => &[Fate::Fails],
        };
        match self.random.chance(30) {
            true => *self.random.pick(fates).unwrap(),
            false => Fate::Works,
        }
    }

    fn judge(self) -> Result<(), String> {
        for gate in &self.gates {
            gate.open();
        }
        // What is on its way comes to its end before the store is looked at.
        self.indexes.iter().for_each(|index| drop(shown(index)));
        self.kept.settle();
        let changes = self.kept.changes();
        let history = self.recorder.into_history();
        let told = |what: String| format!("{what}\nthe whole history:\n{}", listed(&history));
        linearize(&Model::new(), &history, self.cycles).map_err(|bad| told(bad.to_string()))?;
        replay(&changes, &history, self.cycles).map_err(|bad| told(bad.to_string()))?;
        let mut model = Model::new();
        for change in &changes {
            model.answer(change.lines.strip_suffix(b"\n").unwrap(), self.cycles);
        }
        for index in &self.indexes {
            let found = shown(index);
            if found != model {
                return Err(told(format!("an index shows {found:?}, the store has {model:?}")));
            }
        }
        Ok(())
    }
}

fn listed(history: &[Operation]) -> String {
    history
        .iter()
        .map(|operation| format!("  {operation}\n"))
        .collect()
}

/// What an index shows, read as a model.
fn shown(index: &Index) -> Model {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // The last round may have failed before the gates were opened, and whoever joins it is told so; the next one works.
    let snapshot = loop {
        if let Ok(snapshot) = runtime.block_on(index.snapshot()) {
            break snapshot;
        }
    };
    let mut lines = String::new();
    for package in snapshot.packages() {
        let names: Vec<_> = snapshot
            .dependencies(package)
            .iter()
            .map(|&name| snapshot.name(name))
            .collect();
        lines += &format!("INDEX|{}|{}\n", snapshot.name(package), names.join(","));
    }
    let mut model = Model::new();
    assert!(
        model.batch(lines.as_bytes(), Cycles::Literal),
        "no good state: {lines}"
    );
    model
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

#[test]
fn whatever_the_store_does_and_whoever_is_faster_the_answers_have_an_order() {
    let seeds = match number("PKGINDEX_SCHEDULE") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PKGINDEX_SCHEDULES").unwrap_or(2000),
    };
    for seed in seeds {
        if let Err(bad) = Schedule::new(seed).run() {
            panic!("PKGINDEX_SCHEDULE={seed}: {bad}");
        }
    }
}
