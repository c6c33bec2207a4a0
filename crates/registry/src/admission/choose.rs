//! Whose turn it is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use model::{RunId, Timestamp};

/// Runs at a time, on all workers together, that talk to one host.
pub const RUNS_PER_HOST: u32 = 4;
/// Between the beginnings of two runs that talk to one host.
pub const HOST_GAP: Duration = Duration::from_secs(1);
/// A run that waited so long has every fourth place to itself, whoever else waits.
pub const AGED_AFTER: Duration = Duration::from_secs(10 * 60);
/// A run that waited so long and is too large for what is free has memory kept for it.
pub const RESERVED_AFTER: Duration = Duration::from_secs(15 * 60);
/// One place among so many goes to who waited longest.
const PLACES_PER_AGED: u64 = 4;

/// What a worker has for runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// MiB of memory, all runs together.
    pub memory_mib: u64,
    /// Runs at a time.
    pub slots: u32,
}

/// A run that waits, as far as it matters for whose turn it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The run.
    pub run: RunId,
    /// Whose.
    pub owner: String,
    /// Whether a person waits for it.
    pub is_awaited: bool,
    /// Since when.
    pub queued_at: Timestamp,
    /// What it needs, in MiB.
    pub memory_mib: u64,
    /// The hosts that its last run talked to.
    pub hosts: Vec<String>,
    /// Who keeps memory for it.
    pub reservation: Reservation,
}

/// Who keeps memory for a run that is too large for what is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reservation {
    /// Nobody.
    #[default]
    None,
    /// This worker.
    Here,
    /// Another one.
    Elsewhere,
}

/// A run that has a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Whose.
    pub owner: String,
    /// What is reserved for it, in MiB.
    pub memory_mib: u64,
    /// The hosts that its last run talked to.
    pub hosts: Vec<String>,
}

/// Who waits and who has a place.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Those that wait.
    pub waiting: Vec<Waiting>,
    /// Those that have a place on this worker.
    pub here: Vec<Held>,
    /// Those that have one on another.
    pub elsewhere: Vec<Held>,
    /// When a run that talks to a host got its place last, by host.
    pub host_starts: HashMap<String, Timestamp>,
    /// Places that were given ever.
    pub places: u64,
}

/// Who gets a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These, in their turn.
    pub admitted: Vec<RunId>,
    /// This one does not fit, has waited long, and has memory kept for it from now on.
    pub reserved: Option<RunId>,
}

/// Chooses among those that wait whoever fits, in their turn.
///
/// The turn: people's runs before automatic ones; then whose owner has the fewest places; then who waits longest. One place in four goes to
/// whoever waits longest and longer than [`AGED_AFTER`], so neither lane nor owner can starve another. Whose turn it is and who does not fit is
/// passed over, but not for ever: once it has waited [`RESERVED_AFTER`], the worker keeps memory for it, and others get only what is
/// left beside it. A worker keeps memory for one run at a time, and a run has it kept on one worker.
pub fn choose(queue: &Queue, capacity: Capacity, now: Timestamp) -> Choice {
    let mut room = Room::new(queue, capacity, now);
    let mut choice = Choice::default();
    let mut place = queue.places;
    let mut turns = Turns::new(queue, &room, capacity, now);
    while room.slots > 0 && room.memory_mib > 0 {
        let is_for_aged = (place + 1).is_multiple_of(PLACES_PER_AGED);
        let Some(next) = turns.next(&room, is_for_aged) else {
            break;
        };
        if room.has(next) {
            room.take(next);
            choice.admitted.push(next.run);
            place += 1;
        } else if choice.reserved.is_none() && room.keeps_for(next, now) {
            room.occupy(next.memory_mib);
            choice.reserved = Some(next.run);
        }
    }
    choice
}

/// Whether a run waited so long that memory may be kept for it.
fn is_overdue(waiting: &Waiting, now: Timestamp) -> bool {
    match waiting.reservation {
        Reservation::None => now.since(waiting.queued_at) >= RESERVED_AFTER,
        Reservation::Here => true,
        Reservation::Elsewhere => false,
    }
}

/// What is left on this worker, and who has what.
struct Room<'a> {
    memory_mib: u64,
    slots: u32,
    /// Places of each owner, on all workers.
    places: HashMap<&'a str, u32>,
    /// Runs on each host, on all workers.
    runs: HashMap<&'a str, u32>,
    /// Hosts where no run may begin now.
    resting: HashMap<&'a str, bool>,
}

impl<'a> Room<'a> {
    fn new(queue: &'a Queue, capacity: Capacity, now: Timestamp) -> Self {
        let rests = |start: &Timestamp| now.since(*start) < HOST_GAP && *start <= now.after(HOST_GAP);
        let mut room = Self {
            memory_mib: capacity.memory_mib,
            slots: capacity.slots,
            places: HashMap::new(),
            runs: HashMap::new(),
            resting: HashMap::new(),
        };
        for (host, start) in &queue.host_starts {
            room.resting.insert(host, rests(start));
        }
        for held in queue.elsewhere.iter().chain(&queue.here) {
            room.count(&held.owner, &held.hosts);
        }
        for held in &queue.here {
            room.occupy(held.memory_mib);
        }
        room
    }

    fn count(&mut self, owner: &'a str, hosts: &'a [String]) {
        *self.places.entry(owner).or_default() += 1;
        for host in hosts {
            *self.runs.entry(host).or_default() += 1;
        }
    }

    /// More may be held than there is: a worker that was made smaller keeps its runs.
    fn occupy(&mut self, memory_mib: u64) {
        self.memory_mib = self.memory_mib.saturating_sub(memory_mib);
        self.slots = self.slots.saturating_sub(1);
    }

    fn take(&mut self, waiting: &'a Waiting) {
        self.occupy(waiting.memory_mib);
        self.count(&waiting.owner, &waiting.hosts);
        for host in &waiting.hosts {
            self.resting.insert(host, true);
        }
    }

    fn has(&self, waiting: &Waiting) -> bool {
        self.slots > 0
            && waiting.memory_mib <= self.memory_mib
            && waiting.hosts.iter().all(|host| self.is_open(host))
    }

    /// Memory must be what it waits for, or what was kept for it is kept on.
    fn keeps_for(&self, waiting: &Waiting, now: Timestamp) -> bool {
        let is_kept = waiting.reservation == Reservation::Here;
        is_overdue(waiting, now) && (is_kept || waiting.memory_mib > self.memory_mib)
    }

    fn is_open(&self, host: &str) -> bool {
        let runs = self.runs.get(host).copied().unwrap_or(0);
        runs < RUNS_PER_HOST && !self.resting.get(host).copied().unwrap_or(false)
    }

    fn places_of(&self, owner: &str) -> u32 {
        self.places.get(owner).copied().unwrap_or(0)
    }
}

/// Whose turn it is: smaller is sooner.
type Turn = (Reverse<bool>, u32, Timestamp, RunId);

/// Those that wait, in three orders; each comes up once.
struct Turns<'a> {
    queue: &'a [Waiting],
    /// Who has memory kept for it here comes before all others.
    kept: Option<usize>,
    /// By turn. Places of owners only grow in here, so a turn that is out of date is too early, and is found when it comes up.
    by_turn: BinaryHeap<Reverse<(Turn, usize)>>,
    /// Those that waited long, the longest last.
    aged: Vec<usize>,
    is_gone: Vec<bool>,
}

impl<'a> Turns<'a> {
    /// Leaves out who can neither be admitted now nor have memory kept.
    fn new(queue: &'a Queue, room: &Room<'a>, capacity: Capacity, now: Timestamp) -> Self {
        let waiting = queue.waiting.as_slice();
        let has_turn = |run: &Waiting| {
            run.memory_mib <= room.memory_mib
                || (run.memory_mib <= capacity.memory_mib && is_overdue(run, now))
        };
        let there = || (0..).zip(waiting).filter(|(_, run)| has_turn(run));
        let is_aged = |run: &Waiting| now.since(run.queued_at) >= AGED_AFTER;
        let mut aged: Vec<usize> = there()
            .filter(|(_, run)| is_aged(run))
            .map(|(index, _)| index)
            .collect();
        aged.sort_unstable_by_key(|index| Reverse((waiting[*index].queued_at, waiting[*index].run)));
        Self {
            queue: waiting,
            kept: there()
                .find(|(_, run)| run.reservation == Reservation::Here)
                .map(|(index, _)| index),
            by_turn: there()
                .map(|(index, run)| Reverse((turn(run, room), index)))
                .collect(),
            aged,
            is_gone: vec![false; waiting.len()],
        }
    }

    fn next(&mut self, room: &Room<'a>, is_for_aged: bool) -> Option<&'a Waiting> {
        let kept = self.kept.take();
        let index = kept
            .or_else(|| if is_for_aged { self.next_aged() } else { None })
            .or_else(|| self.next_by_turn(room))?;
        self.is_gone[index] = true;
        Some(&self.queue[index])
    }

    fn next_aged(&mut self) -> Option<usize> {
        std::iter::from_fn(|| self.aged.pop()).find(|index| !self.is_gone[*index])
    }

    fn next_by_turn(&mut self, room: &Room<'a>) -> Option<usize> {
        while let Some(Reverse((known, index))) = self.by_turn.pop() {
            let current = turn(&self.queue[index], room);
            match (self.is_gone[index], current == known) {
                (true, _) => {}
                (false, true) => return Some(index),
                (false, false) => self.by_turn.push(Reverse((current, index))),
            }
        }
        None
    }
}

fn turn(waiting: &Waiting, room: &Room<'_>) -> Turn {
    let places = room.places_of(&waiting.owner);
    (
        Reverse(waiting.is_awaited),
        places,
        waiting.queued_at,
        waiting.run,
    )
}
