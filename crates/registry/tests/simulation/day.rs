//! The day itself: what happens next, until nothing does.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use model::{OwnerName, RunId, Timestamp};
use registry::{
    Asked, Cause, Domain, Ended, Ending, Instruction, Keyring, Lease, Outcome, Phase, Registry,
    RegistryError, Run, RunFilter,
};

use crate::dice::Dice;
use crate::fleet::{Fate, Process, Work};
use crate::plan::{DAY, HOUR, Job, OVERLOAD, Plan, START};
use crate::report::Report;
use crate::witness::Witness;

const MINUTE: u64 = 60_000;
const SCHEDULERS: usize = 2;
/// From one look to the next.
const LOOK_MS: u64 = 10_000;
const HEARTBEAT_MS: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Before everything else of its moment, so that what is checked is a state between two steps.
    Minute,
    Person,
    Push,
    Schedule(usize),
    SchedulerDies(usize),
    SchedulerReturns(usize, u64),
    Admit(usize, u64),
    Heartbeat(usize, u64),
    Step(usize, u64, RunId, u64),
    WorkerReturns(usize, u64),
}

pub(crate) struct Day {
    plan: Plan,
    registry: Registry,
    dice: Dice,
    at_ms: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    numbered: u64,
    schedulers: Vec<Process>,
    workers: Vec<Process>,
    lives: Vec<u64>,
    witness: Witness,
    report: Report,
    /// Runs that somebody asked for and that have had no place yet.
    asked: HashMap<RunId, (u64, bool)>,
    is_closing: bool,
}

impl Day {
    pub(crate) async fn begin(plan: Plan) -> Self {
        let registry = Registry::memory(Keyring::random()).unwrap();
        for job in &plan.jobs {
            registry.add_scraper(Plan::new_scraper(job), START).await.unwrap();
        }
        let mut dice = Dice::new(plan.seed ^ 0x5eed);
        let schedulers = (0..SCHEDULERS)
            .map(|number| Process::new("scheduler", number, 0, &mut dice))
            .collect();
        let workers: Vec<Process> = (0..plan.workers)
            .map(|number| Process::new("worker", number, 0, &mut dice))
            .collect();
        let mut day = Self {
            lives: vec![0; workers.len()],
            registry,
            dice,
            at_ms: 10_000,
            events: BinaryHeap::new(),
            numbered: 0,
            schedulers,
            workers,
            witness: Witness::default(),
            report: Report::default(),
            asked: HashMap::new(),
            is_closing: false,
            plan,
        };
        day.set_out();
        day
    }

    fn set_out(&mut self) {
        self.report.workers = self.workers.len();
        for number in 0..SCHEDULERS {
            self.after(LOOK_MS / 2 * number as u64, Event::Schedule(number));
            self.after(HOUR * (1 + number as u64), Event::SchedulerDies(number));
        }
        for number in 0..self.workers.len() {
            self.set_to_work(number);
        }
        self.after(0, Event::Minute);
        self.after(MINUTE, Event::Person);
        self.after(OVERLOAD.start, Event::Push);
    }

    fn set_to_work(&mut self, number: usize) {
        let life = self.lives[number];
        let offset = self.dice.range(0, 2_000);
        self.after(offset, Event::Admit(number, life));
        self.after(offset + HEARTBEAT_MS, Event::Heartbeat(number, life));
    }

    fn after(&mut self, millis: u64, event: Event) {
        self.numbered += 1;
        self.events
            .push(Reverse((self.at_ms + millis, self.numbered, event)));
    }

    /// What no clock of theirs says.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START.as_millis() + self.at_ms)
    }

    pub(crate) async fn pass(&mut self) {
        self.pass_until(DAY).await;
    }

    async fn pass_until(&mut self, end_ms: u64) {
        while let Some(Reverse((at_ms, _, event))) = self.events.pop() {
            if at_ms >= end_ms {
                self.events.push(Reverse((at_ms, 0, event)));
                return;
            }
            self.at_ms = at_ms;
            self.happen(event).await;
        }
    }

    /// Nothing new is asked for, and everything that was comes to an end.
    pub(crate) async fn end(mut self) -> Report {
        self.is_closing = true;
        for job in &self.plan.jobs {
            let why = Some("the day is over".to_owned());
            self.registry
                .pause_scraper(&job.id, why, self.now())
                .await
                .unwrap();
        }
        self.pass_until(DAY + 4 * HOUR).await;
        let unfinished = self.unfinished().await;
        self.report.unfinished_at_end = unfinished.len();
        self.report
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Minute => self.minute().await,
            Event::Person => self.person().await,
            Event::Push => self.push().await,
            Event::Schedule(number) => self.look(number).await,
            Event::SchedulerDies(number) => self.scheduler_dies(number),
            Event::SchedulerReturns(number, life) => {
                self.schedulers[number] = Process::new("scheduler", number, life, &mut self.dice);
            }
            Event::WorkerReturns(number, life) => {
                self.workers[number] = Process::new("worker", number, life, &mut self.dice);
                self.lives[number] = life;
                self.set_to_work(number);
            }
            Event::Admit(number, life) if self.lives[number] == life => self.admit(number).await,
            Event::Heartbeat(number, life) if self.lives[number] == life => self.heartbeat(number).await,
            Event::Step(number, life, run, epoch) if self.lives[number] == life => {
                self.step(number, run, epoch).await;
            }
            Event::Admit(..) | Event::Heartbeat(..) | Event::Step(..) => {}
        }
    }

    async fn unfinished(&self) -> Vec<Run> {
        let filter = RunFilter {
            unfinished: Some(true),
            limit: 10_000,
            ..RunFilter::default()
        };
        self.registry.runs(filter).await.unwrap()
    }

    async fn minute(&mut self) {
        self.witness.check_leases(self.at_ms);
        let unfinished = self.unfinished().await;
        self.witness.check_runs(&unfinished);
        if !self.is_closing {
            let waiting = unfinished.len() - self.witness.held.len();
            self.report.waiting.push(waiting as u64);
        }
        // The first minutes of the overload are those in which it builds up.
        if (OVERLOAD.start + 15 * MINUTE..OVERLOAD.end).contains(&self.at_ms) {
            for held in self.witness.held.values() {
                *self
                    .report
                    .places
                    .entry(held.scraper.owner.to_string())
                    .or_default() += 1;
            }
        }
        self.after(MINUTE, Event::Minute);
    }

    async fn ask(&mut self, cause: Cause) {
        let job = &self.plan.jobs[self.dice.range(0, self.plan.jobs.len() as u64) as usize];
        let is_person = cause.is_awaited();
        match self.registry.ask(&job.id, cause, self.now()).await.unwrap() {
            Asked::Queued(run) => {
                let is_ordinary = job.settings.limits.memory_mib <= 512;
                self.note_asked(run, is_person && is_ordinary);
            }
            Asked::Already(_) => self.report.coalesced += 1,
        }
    }

    fn note_asked(&mut self, run: RunId, is_person: bool) {
        self.report.runs += 1;
        self.asked.insert(run, (self.at_ms, is_person));
    }

    async fn person(&mut self) {
        if self.is_closing {
            return;
        }
        let by = OwnerName::new("somebody").unwrap();
        self.ask(Cause::Person { by }).await;
        if self.dice.is(0.1) {
            self.stop_something().await;
        }
        let pause = self.dice.around(120.0);
        self.after(pause, Event::Person);
    }

    async fn stop_something(&mut self) {
        let unfinished = self.unfinished().await;
        let Some(run) = unfinished.get(self.dice.range(0, 1 + unfinished.len() as u64) as usize) else {
            return;
        };
        let stopped = self
            .registry
            .stop_run(run.id, "somebody", self.now())
            .await
            .unwrap();
        if let Some(ending) = stopped.ending {
            assert_eq!(run.phase, Phase::Queued);
            self.count(ending.outcome);
        }
    }

    /// For an hour, three times as much as there is capacity.
    async fn push(&mut self) {
        if !OVERLOAD.contains(&self.at_ms) {
            return;
        }
        self.ask(Cause::Push).await;
        let pause = (1_000.0 / (3.0 * self.plan.rate)) as u64;
        self.after(pause.max(1), Event::Push);
    }

    async fn look(&mut self, number: usize) {
        self.after(LOOK_MS, Event::Schedule(number));
        let scheduler = &self.schedulers[number];
        if !scheduler.acts(self.at_ms) {
            return;
        }
        let jitter = self.dice.share();
        let done = self
            .registry
            .upkeep(scheduler.clock(self.at_ms), jitter)
            .await
            .unwrap();
        for run in done.queued {
            self.note_asked(run, false);
        }
        for run in done.requeued {
            self.report.requeued += 1;
            assert!(
                self.witness.released(run).is_some(),
                "run {run} was nobody's and is requeued"
            );
        }
        for ended in done.lost {
            self.over(&ended);
        }
    }

    /// One at a time: somebody is always there.
    fn scheduler_dies(&mut self, number: usize) {
        let pause = self.dice.around(3.0 * 3_600.0);
        self.after(pause.max(2 * MINUTE), Event::SchedulerDies(number));
        if self.schedulers.iter().all(|scheduler| scheduler.is_alive) {
            self.schedulers[number].is_alive = false;
            self.report.scheduler_deaths += 1;
            self.after(MINUTE, Event::SchedulerReturns(number, self.numbered));
        }
    }

    async fn admit(&mut self, number: usize) {
        let pause = self.dice.range(8_000, 12_000);
        self.after(pause, Event::Admit(number, self.lives[number]));
        if self.workers[number].acts(self.at_ms) {
            self.pull(number).await;
        }
    }

    async fn pull(&mut self, number: usize) {
        let worker = &self.workers[number];
        let (name, clock) = (worker.name.clone(), worker.clock(self.at_ms));
        let leases = self
            .registry
            .admit(&name, self.plan.capacity, clock)
            .await
            .unwrap();
        for lease in leases {
            self.witness.leased(&name, &lease, self.plan.capacity, self.at_ms);
            if let Some((asked_ms, is_person)) = self.asked.remove(&lease.run.id) {
                let waits = match is_person {
                    true => &mut self.report.person_waits,
                    false => &mut self.report.automatic_waits,
                };
                waits.push((self.at_ms - asked_ms) / 1_000);
            }
            self.take_on(number, &lease);
        }
    }

    fn take_on(&mut self, number: usize, lease: &Lease) {
        let seconds = self
            .plan
            .jobs
            .iter()
            .find(|job| job.id == lease.run.scraper)
            .map_or(60.0, |job| job.seconds);
        let work = Work {
            epoch: lease.epoch,
            step: 0,
            program_ms: self.dice.around(seconds),
            fate: Fate::draw(&mut self.dice),
            is_stopped: false,
        };
        self.workers[number].work.insert(lease.run.id, work);
        self.after(
            1_000,
            Event::Step(number, self.lives[number], lease.run.id, lease.epoch),
        );
    }

    async fn heartbeat(&mut self, number: usize) {
        self.after(HEARTBEAT_MS, Event::Heartbeat(number, self.lives[number]));
        let worker = &self.workers[number];
        if !worker.acts(self.at_ms) {
            return;
        }
        if self.dice.is(0.02) {
            self.report.lost_heartbeats += 1;
            return;
        }
        let runs: Vec<(RunId, u64)> = worker.work.iter().map(|(run, work)| (*run, work.epoch)).collect();
        let said = self
            .registry
            .heartbeat(&worker.name, runs.clone(), worker.clock(self.at_ms))
            .await
            .unwrap();
        let dropped: HashSet<RunId> = said.iter().filter_map(dropped_run).collect();
        for (run, epoch) in runs.into_iter().filter(|(run, _)| !dropped.contains(run)) {
            self.witness.renewed(run, epoch, self.at_ms);
        }
        for instruction in said {
            match instruction {
                Instruction::Drop(run) => drop(self.workers[number].work.remove(&run)),
                Instruction::Stop(run, _) => self.hear_stop(number, run),
            }
        }
    }

    fn hear_stop(&mut self, number: usize, run: RunId) {
        let Some(work) = self.workers[number].work.get_mut(&run) else {
            return;
        };
        if !std::mem::replace(&mut work.is_stopped, true) {
            let epoch = work.epoch;
            self.after(500, Event::Step(number, self.lives[number], run, epoch));
        }
    }

    /// The next step of a run: phases one to four, then its end.
    async fn step(&mut self, number: usize, run: RunId, epoch: u64) {
        if !self.workers[number].acts(self.at_ms) {
            let pause = self.workers[number]
                .sleeps_until_ms
                .saturating_sub(self.at_ms)
                .max(1);
            self.after(pause, Event::Step(number, self.lives[number], run, epoch));
            return;
        }
        let Some(work) = self.workers[number]
            .work
            .get_mut(&run)
            .filter(|work| work.epoch == epoch)
        else {
            return;
        };
        let step = work.step;
        work.step += 1;
        let (fate, is_stopped, program_ms) = (work.fate, work.is_stopped, work.program_ms);
        match fate {
            Fate::Kills(at) if at == step => return self.worker_dies(number),
            Fate::Sleeps(at) if at == step => return self.worker_sleeps(number, run, epoch),
            _ => {}
        }
        if is_stopped {
            return self.finish(number, run, epoch, Outcome::Stopped).await;
        }
        let phases = [Phase::Syncing, Phase::Building, Phase::Running, Phase::Collecting];
        let Some(phase) = phases.get(step) else {
            let outcome = if fate == Fate::Fails {
                Outcome::Failed
            } else {
                Outcome::Succeeded
            };
            return self.finish(number, run, epoch, outcome).await;
        };
        if fate == Fate::GivenBack && *phase == Phase::Building {
            return self.give_back(number, run, epoch).await;
        }
        let clock = self.workers[number].clock(self.at_ms);
        let advanced = self.registry.advance(run, epoch, *phase, clock).await;
        if self.is_still_its(number, run, epoch, advanced).is_some() {
            let pause = if *phase == Phase::Running {
                program_ms
            } else {
                1_000
            };
            self.after(pause, Event::Step(number, self.lives[number], run, epoch));
        }
    }

    /// What the registry says must be what was counted: a call is fenced if and only if the lease is over.
    fn is_still_its<T>(
        &mut self,
        number: usize,
        run: RunId,
        epoch: u64,
        said: Result<T, RegistryError>,
    ) -> Option<T> {
        let holds = self.witness.holds(run, epoch);
        match said {
            Ok(value) => {
                assert!(holds, "run {run} was changed under epoch {epoch}, which is over");
                Some(value)
            }
            Err(RegistryError::Fenced(_)) => {
                assert!(!holds, "run {run} is fenced off from who holds it");
                self.report.fenced += 1;
                self.workers[number].work.remove(&run);
                None
            }
            Err(error) => panic!("run {run}: {error}"),
        }
    }

    async fn finish(&mut self, number: usize, run: RunId, epoch: u64, outcome: Outcome) {
        let mut ending = Ending::new(outcome, "over");
        ending.usage.peak_memory_bytes = self.dice.range(100, 500) << 20;
        ending.domains = self.domains(run);
        let clock = self.workers[number].clock(self.at_ms);
        let said = self
            .registry
            .finish(run, epoch, ending.clone(), None, clock)
            .await;
        let Some(ended) = self.is_still_its(number, run, epoch, said) else {
            return;
        };
        self.over(&ended);
        let again = self
            .registry
            .finish(run, epoch, ending, None, clock)
            .await
            .unwrap();
        assert_eq!(
            again, ended,
            "the end of run {run} is another one the second time"
        );
        if self.workers[number]
            .work
            .remove(&run)
            .is_some_and(|work| work.fate == Fate::Kills(6))
        {
            return self.worker_dies(number);
        }
        self.pull(number).await;
    }

    fn domains(&self, run: RunId) -> Vec<Domain> {
        let scraper = self.witness.held.get(&run).map(|held| &held.scraper);
        let job = self.plan.jobs.iter().find(|job| Some(&job.id) == scraper);
        let domain = |job: &Job| Domain {
            host: job.host.clone(),
            connections: 1,
            refused: 0,
            bytes_in: 1_000,
            bytes_out: 100,
            first_at: self.now(),
            last_at: self.now(),
        };
        job.map(domain).into_iter().collect()
    }

    async fn give_back(&mut self, number: usize, run: RunId, epoch: u64) {
        let clock = self.workers[number].clock(self.at_ms);
        let ending = Ending::new(Outcome::SyncFailed, "the repository does not answer");
        let jitter = self.dice.share();
        let said = self.registry.give_back(run, epoch, ending, clock, jitter).await;
        self.workers[number].work.remove(&run);
        match self.is_still_its(number, run, epoch, said) {
            Some(Some(ended)) => self.over(&ended),
            Some(None) => {
                self.report.requeued += 1;
                self.witness.released(run);
            }
            None => {}
        }
    }

    fn over(&mut self, ended: &Ended) {
        self.witness.ended(ended);
        let ending = ended.run.ending.as_ref().unwrap();
        self.count(ending.outcome);
    }

    fn count(&mut self, outcome: Outcome) {
        *self.report.outcomes.entry(outcome.word()).or_default() += 1;
    }

    /// With everything that it had; another life of it comes later.
    fn worker_dies(&mut self, number: usize) {
        self.report.worker_deaths += 1;
        self.workers[number].is_alive = false;
        let life = self.lives[number] + 1;
        self.lives[number] = u64::MAX - life;
        let pause = self.dice.range(10_000, 90_000);
        self.after(pause, Event::WorkerReturns(number, life));
    }

    /// Longer than a lease; then it goes on as if nothing had happened.
    fn worker_sleeps(&mut self, number: usize, run: RunId, epoch: u64) {
        self.report.zombies += 1;
        let pause = self.dice.range(20_000, 120_000);
        self.workers[number].sleeps_until_ms = self.at_ms + pause;
        self.after(pause, Event::Step(number, self.lives[number], run, epoch));
    }
}

fn dropped_run(instruction: &Instruction) -> Option<RunId> {
    match instruction {
        Instruction::Drop(run) => Some(*run),
        Instruction::Stop(..) => None,
    }
}
