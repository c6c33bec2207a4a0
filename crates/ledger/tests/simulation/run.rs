//! One run: everybody lives, works and dies in an order that follows from the seed; then it gets quiet, and everything
//! must be right.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use futures::FutureExt;

use crate::actors::Role;
use crate::bug::Bug;
use crate::checks;
use crate::dice::Dice;
use crate::stage::Stage;
use crate::world::{Chaos, Finding};

/// Steps after which a run must have come to rest, for each of its parts.
const MAX_STEPS: u64 = 30_000;
/// Steps that the bad times last at most.
const MAX_CHAOS_STEPS: u64 = 800;
/// How often it is looked whether everything is done.
const LOOK_EVERY: u64 = 32;

/// What one run came to.
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) steps: u64,
    pub(crate) trace: Vec<String>,
}

/// Runs one seed; with a trace where `traced`.
pub(crate) fn run(seed: u64, bug: Option<Bug>, traced: bool) -> Report {
    let stage = Stage::build(seed, bug, traced).now_or_never();
    let stage = stage.expect("nobody else is there yet, so nothing waits");
    let mut play = Play::new(Arc::clone(&stage));
    play.act();
    let (findings, trace) = stage.world.take();
    Report {
        findings,
        steps: stage.world.steps(),
        trace,
    }
}

struct Play {
    stage: Arc<Stage>,
    actors: Vec<Actor>,
    /// Those who sleep while others took their place.
    sleepers: Vec<Actor>,
}

struct Actor {
    role: Role,
    slot: usize,
    life: u32,
    name: String,
    skew: i64,
    wakes_at: u64,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Actor {
    fn born(stage: &Arc<Stage>, role: Role, slot: usize, life: u32) -> Self {
        let name = format!("{role:?}-{slot}-{life}").replace(['(', ')'], "");
        let (skew, wait) = stage
            .world
            .roll(|dice| (dice.below(8_000) as i64 - 4_000, dice.below(2_000)));
        Self {
            role,
            slot,
            life,
            skew,
            wakes_at: stage.world.now() + wait,
            future: Box::pin(role.live(Arc::clone(stage), name.clone())),
            name,
        }
    }
}

fn bad_times(dice: &mut Dice) -> Chaos {
    Chaos {
        fails: dice.below(20),
        dies: dice.below(8),
        sleeps: dice.below(5),
        vanish: dice.below(300),
        refreshes: 100,
    }
}

const QUIET: Chaos = Chaos {
    fails: 0,
    dies: 0,
    sleeps: 0,
    vanish: 0,
    refreshes: 100,
};

impl Play {
    fn new(stage: Arc<Stage>) -> Self {
        let actors = Role::ALL.iter().enumerate();
        let actors = actors
            .map(|(slot, role)| Actor::born(&stage, *role, slot, 0))
            .collect();
        Self {
            stage,
            actors,
            sleepers: Vec::new(),
        }
    }

    fn act(&mut self) {
        let bad = self.stage.world.roll(bad_times);
        self.stage.world.set_chaos(bad);
        self.until(MAX_CHAOS_STEPS, |stage| !stage.has_crawls());
        if self.stage.world.has_findings() {
            return;
        }
        self.stage.world.set_chaos(QUIET);
        self.stage.calm_down();
        self.sleepers.clear();
        if !self.rests(|_| true) {
            return;
        }
        checks::told_sources_are_level(&self.stage);
        for round in 0.. {
            if round > 0 && (checks::is_settled(&self.stage) || round > 6) {
                break;
            }
            self.stage.allow_crawls(1);
            if !self.rests(checks::is_decided) {
                return;
            }
        }
        checks::all(&self.stage);
    }

    /// Goes on until everything is done; false where that does not come, or where something is wrong already.
    fn rests(&mut self, also: impl Fn(&Stage) -> bool) -> bool {
        let rests = self.until(MAX_STEPS, |stage| {
            !stage.has_crawls() && also(stage) && checks::is_at_rest(stage)
        });
        if !rests {
            let what = checks::unrest(&self.stage);
            self.stage
                .world
                .find("I11", format!("there is no rest after {MAX_STEPS} steps: {what}"));
        }
        rests && !self.stage.world.has_findings()
    }

    fn until(&mut self, max_steps: u64, is_done: impl Fn(&Stage) -> bool) -> bool {
        for step in 0..max_steps {
            self.step();
            if step % LOOK_EVERY == 0 && (self.stage.world.has_findings() || is_done(&self.stage)) {
                return true;
            }
        }
        false
    }

    fn step(&mut self) {
        let at = self.next();
        let chaos = self.stage.world.chaos();
        let role = self.actor(at).role;
        let (dies, sleeps, refreshes) = self.stage.world.roll(|dice| {
            (
                dice.chance(chaos.dies),
                dice.chance(chaos.sleeps),
                dice.chance(chaos.refreshes),
            )
        });
        if refreshes {
            let _ = self.stage.store.show().now_or_never();
        }
        if role.is_mortal() && dies {
            return self.die(at, "dies");
        }
        if role.may_sleep() && sleeps && at < self.actors.len() {
            return self.fall_asleep(at);
        }
        self.wake(at);
    }

    fn actor(&mut self, at: usize) -> &mut Actor {
        let living = self.actors.len();
        if at < living {
            &mut self.actors[at]
        } else {
            &mut self.sleepers[at - living]
        }
    }

    /// Somebody who is awake; time passes until somebody is.
    fn next(&mut self) -> usize {
        let world = &self.stage.world;
        let everybody = || self.actors.iter().chain(&self.sleepers);
        let earliest = everybody().map(|actor| actor.wakes_at).min().unwrap_or_default();
        world.advance(earliest);
        let now = world.now();
        let awake = everybody().filter(|actor| actor.wakes_at <= now).count();
        let chosen = world.roll(|dice| dice.index(awake));
        let mut awake = everybody().enumerate().filter(|(_, actor)| actor.wakes_at <= now);
        awake.nth(chosen).map_or(0, |(at, _)| at)
    }

    fn wake(&mut self, at: usize) {
        let stage = Arc::clone(&self.stage);
        let actor = self.actor(at);
        stage.world.enter(&actor.name, actor.skew);
        let ended = actor
            .future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        if ended {
            return self.die(at, "is no more");
        }
        let sleep = stage.world.wanted_sleep().unwrap_or_default();
        self.actor(at).wakes_at = stage.world.now() + sleep;
    }

    /// What it did not do yet is never done. Another life follows, unless one did already.
    fn die(&mut self, at: usize, how: &str) {
        let living = self.actors.len();
        let name = self.actor(at).name.clone();
        self.stage.world.note(|| format!("{name} {how}"));
        if at >= living {
            self.sleepers.swap_remove(at - living);
            return;
        }
        let Actor { role, slot, life, .. } = self.actors[at];
        if role == Role::Change && self.stage.is_quiet() {
            self.actors.swap_remove(at);
            return;
        }
        self.actors[at] = Actor::born(&self.stage, role, slot, life + 1);
    }

    fn fall_asleep(&mut self, at: usize) {
        let Actor { role, slot, life, .. } = self.actors[at];
        let next = Actor::born(&self.stage, role, slot, life + 1);
        let mut sleeper = std::mem::replace(&mut self.actors[at], next);
        sleeper.wakes_at = self.stage.world.now() + self.stage.world.roll(|dice| dice.between(3_000, 60_000));
        self.stage
            .world
            .note(|| format!("{} sleeps until {}", sleeper.name, sleeper.wakes_at));
        self.sleepers.push(sleeper);
    }
}
