//! Whose turn it is: properties of the one function that decides.

use std::collections::HashMap;
use std::time::Duration;

use model::{RunId, Timestamp};
use proptest::prelude::*;
use registry::{
    AGED_AFTER, Capacity, HOST_GAP, Held, Queue, RESERVED_AFTER, RUNS_PER_HOST, Reservation, Waiting, choose,
};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn waiting(run: u64, owner: &str, memory_mib: u64) -> Waiting {
    Waiting {
        run: RunId(run),
        owner: owner.to_owned(),
        is_awaited: false,
        queued_at: NOW,
        memory_mib,
        hosts: Vec::new(),
        reservation: Reservation::None,
    }
}

fn held(owner: &str, memory_mib: u64) -> Held {
    Held {
        owner: owner.to_owned(),
        memory_mib,
        hosts: Vec::new(),
    }
}

fn admitted(queue: &Queue, memory_mib: u64, slots: u32) -> Vec<u64> {
    let choice = choose(queue, Capacity { memory_mib, slots }, NOW);
    choice.admitted.into_iter().map(|run| run.0).collect()
}

#[test]
fn people_go_before_automatic_runs() {
    let mut queue = Queue {
        waiting: (1..=6).map(|run| waiting(run, "ann", 1)).collect(),
        ..Queue::default()
    };
    queue.waiting[4].is_awaited = true;
    assert_eq!(admitted(&queue, 100, 3), [5, 1, 2]);
}

#[test]
fn who_has_the_fewest_places_is_next_wherever_they_are() {
    let queue = Queue {
        waiting: vec![
            waiting(1, "ann", 1),
            waiting(2, "ann", 1),
            waiting(3, "bob", 1),
            waiting(4, "cid", 1),
        ],
        here: vec![held("ann", 1)],
        elsewhere: vec![held("cid", 1), held("cid", 1)],
        ..Queue::default()
    };
    // One place each, then ann's second and cid's third.
    assert_eq!(admitted(&queue, 100, 4), [3, 1, 2]);
}

#[test]
fn every_fourth_place_goes_to_who_waits_longest() {
    let mut queue = Queue {
        here: vec![held("hog", 1)],
        ..Queue::default()
    };
    queue.waiting = (1..=8).map(|run| waiting(run, "ann", 1)).collect();
    for run in &mut queue.waiting {
        run.is_awaited = true;
    }
    let mut old = waiting(9, "hog", 1);
    old.queued_at = NOW.before(AGED_AFTER);
    queue.waiting.push(old);
    assert_eq!(admitted(&queue, 100, 9), [1, 2, 3, 9, 4, 5, 6, 7]);
    queue.places = 3;
    assert_eq!(admitted(&queue, 100, 3), [9, 1]);
}

#[test]
fn a_worker_that_holds_more_than_it_has_takes_nothing() {
    let queue = Queue {
        waiting: vec![waiting(1, "ann", 1)],
        here: vec![held("bob", 80), held("bob", 80)],
        ..Queue::default()
    };
    assert_eq!(admitted(&queue, 100, 8), [0u64; 0]);
    assert_eq!(admitted(&queue, 1_000, 1), [0u64; 0]);
}

#[test]
fn one_host_is_not_asked_by_many_nor_by_two_at_once() {
    let of = |run, host: &str| Waiting {
        hosts: vec![host.to_owned()],
        ..waiting(run, "ann", 1)
    };
    let mut queue = Queue {
        waiting: vec![of(1, "a"), of(2, "a"), of(3, "b"), of(4, "c")],
        ..Queue::default()
    };
    assert_eq!(
        admitted(&queue, 100, 9),
        [1, 3, 4],
        "two do not begin in one moment"
    );
    queue.host_starts = HashMap::from([("a".to_owned(), NOW.before(HOST_GAP)), ("c".to_owned(), NOW)]);
    assert_eq!(admitted(&queue, 100, 9), [1, 3]);
    let busy = Held {
        hosts: vec!["b".to_owned()],
        ..held("bob", 1)
    };
    queue.elsewhere = vec![busy; RUNS_PER_HOST as usize];
    assert_eq!(admitted(&queue, 100, 9), [1]);
}

/// A full worker, a large run that waited so long, and a small one: who is chosen, and for whom memory is kept.
fn beside_a_large_one(
    waited: Duration,
    reservation: Reservation,
    small_mib: u64,
) -> (Vec<RunId>, Option<RunId>) {
    let mut large = waiting(1, "ann", 80);
    large.queued_at = NOW.before(waited);
    large.reservation = reservation;
    let queue = Queue {
        waiting: vec![large, waiting(2, "ann", small_mib)],
        here: vec![held("bob", 40)],
        ..Queue::default()
    };
    let capacity = Capacity {
        memory_mib: 100,
        slots: 9,
    };
    let choice = choose(&queue, capacity, NOW);
    (choice.admitted, choice.reserved)
}

#[test]
fn memory_is_kept_for_a_large_run_that_waited_long() {
    let short = RESERVED_AFTER - Duration::from_secs(1);
    let small = vec![RunId(2)];
    assert_eq!(
        beside_a_large_one(short, Reservation::None, 20),
        (small.clone(), None)
    );
    assert_eq!(
        beside_a_large_one(RESERVED_AFTER, Reservation::None, 20),
        (vec![], Some(RunId(1)))
    );
    assert_eq!(
        beside_a_large_one(short, Reservation::Here, 20),
        (vec![], Some(RunId(1)))
    );
    assert_eq!(
        beside_a_large_one(RESERVED_AFTER, Reservation::Elsewhere, 20),
        (small, None)
    );
}

#[test]
fn a_kept_place_is_taken_before_all_others() {
    let mut large = waiting(1, "ann", 80);
    large.reservation = Reservation::Here;
    let mut queue = Queue {
        waiting: vec![waiting(2, "bob", 50), large],
        ..Queue::default()
    };
    queue.waiting[0].is_awaited = true;
    assert_eq!(admitted(&queue, 100, 9), [1]);
}

/// Free memory that nobody can use is no reason to turn the order of turns round.
#[test]
fn memory_is_kept_for_whose_turn_it_is() {
    let mut queue = Queue {
        here: vec![held("hog", 90)],
        ..Queue::default()
    };
    for (run, owner, minutes) in [(1, "hog", 40), (2, "ann", 30), (3, "ann", 35)] {
        let mut old = waiting(run, owner, 50);
        old.queued_at = NOW.before(Duration::from_secs(minutes * 60));
        queue.waiting.push(old);
    }
    let capacity = Capacity {
        memory_mib: 100,
        slots: 9,
    };
    assert_eq!(choose(&queue, capacity, NOW).reserved, Some(RunId(3)));
}

fn arbitrary_waiting() -> impl Strategy<Value = Waiting> {
    let owner = "[a-d]";
    let hosts = prop::collection::vec("[p-r]", 0..2);
    let reservation =
        prop::sample::select(vec![Reservation::None, Reservation::None, Reservation::Elsewhere]);
    (owner, any::<bool>(), 0u64..2_000, 1u64..120, hosts, reservation).prop_map(
        |(owner, is_awaited, waited, memory_mib, hosts, reservation)| Waiting {
            run: RunId(0),
            owner,
            is_awaited,
            queued_at: NOW.before(Duration::from_secs(waited)),
            memory_mib,
            hosts,
            reservation,
        },
    )
}

fn arbitrary_held() -> impl Strategy<Value = Held> {
    ("[a-d]", 1u64..60, prop::collection::vec("[p-r]", 0..2)).prop_map(|(owner, memory_mib, hosts)| Held {
        owner,
        memory_mib,
        hosts,
    })
}

prop_compose! {
    fn arbitrary_queue()(
        mut waiting in prop::collection::vec(arbitrary_waiting(), 0..40),
        here in prop::collection::vec(arbitrary_held(), 0..4),
        elsewhere in prop::collection::vec(arbitrary_held(), 0..8),
        host_starts in prop::collection::hash_map("[p-r]", (0u64..3).prop_map(|back| NOW.before(Duration::from_secs(back))), 0..3),
        places in 0u64..8,
    ) -> Queue {
        for (number, run) in (1..).zip(&mut waiting) {
            run.run = RunId(number);
        }
        Queue { waiting, here, elsewhere, host_starts, places }
    }
}

/// What is known after the choice, counted plainly.
struct After<'a> {
    admitted: Vec<&'a Waiting>,
    left: Vec<&'a Waiting>,
    free_mib: u64,
    free_slots: usize,
    kept_mib: u64,
}

fn after<'a>(queue: &'a Queue, capacity: Capacity) -> After<'a> {
    let choice = choose(queue, capacity, NOW);
    let find = |run: &RunId| queue.waiting.iter().find(|it| it.run == *run).unwrap();
    let admitted: Vec<&Waiting> = choice.admitted.iter().map(find).collect();
    let held: u64 = queue.here.iter().map(|it| it.memory_mib).sum();
    let taken: u64 = admitted.iter().map(|it| it.memory_mib).sum();
    let is_left = |it: &&Waiting| !choice.admitted.contains(&it.run) && Some(it.run) != choice.reserved;
    let left = queue.waiting.iter().filter(is_left).collect();
    if taken > 0 {
        assert!(held + taken <= capacity.memory_mib);
        assert!(queue.here.len() + admitted.len() <= capacity.slots as usize);
    }
    let used_slots = queue.here.len() + admitted.len() + usize::from(choice.reserved.is_some());
    After {
        left,
        free_mib: capacity.memory_mib.saturating_sub(held + taken),
        free_slots: (capacity.slots as usize).saturating_sub(used_slots),
        kept_mib: choice.reserved.map_or(0, |run| find(&run).memory_mib),
        admitted,
    }
}

impl After<'_> {
    fn is_open(&self, queue: &Queue, host: &String) -> bool {
        let begins = self.admitted.iter().filter(|it| it.hosts.contains(host)).count();
        let runs = queue
            .here
            .iter()
            .chain(&queue.elsewhere)
            .filter(|it| it.hosts.contains(host))
            .count();
        let rests = queue
            .host_starts
            .get(host)
            .is_some_and(|start| NOW.since(*start) < HOST_GAP);
        begins == 0 && !rests && runs < RUNS_PER_HOST as usize
    }

    fn fits(&self, queue: &Queue, run: &Waiting) -> bool {
        self.free_slots > 0
            && run.memory_mib <= self.free_mib.saturating_sub(self.kept_mib)
            && run.hosts.iter().all(|host| self.is_open(queue, host))
    }
}

proptest! {
    #[test]
    fn nobody_waits_who_fits(queue in arbitrary_queue(), memory_mib in 0u64..300, slots in 0u32..8) {
        let after = after(&queue, Capacity { memory_mib, slots });
        for run in &after.left {
            prop_assert!(!after.fits(&queue, run), "{:?} fits and waits", run);
        }
    }

    #[test]
    fn an_automatic_run_goes_before_a_persons_only_where_that_does_not_fit_or_it_waited_long(
        queue in arbitrary_queue(), memory_mib in 0u64..300, slots in 0u32..8,
    ) {
        let after = after(&queue, Capacity { memory_mib, slots });
        let is_old = |run: &Waiting| NOW.since(run.queued_at) >= AGED_AFTER;
        for automatic in after.admitted.iter().filter(|run| !run.is_awaited && !is_old(run)) {
            for person in after.left.iter().filter(|run| run.is_awaited && run.hosts.is_empty()) {
                prop_assert!(person.memory_mib > automatic.memory_mib, "{:?} before {:?}", automatic, person);
            }
        }
    }

    /// Whatever others want, each run has its turn: small ones of people come all the time, and more than there is room for.
    #[test]
    fn nobody_starves(memory_mib in 1u64..=100, is_hog in any::<bool>(), minutes in 1u64..6, seed in any::<u64>()) {
        let capacity = Capacity { memory_mib: 100, slots: 6 };
        let victim = RunId(1);
        let mut queue = Queue::default();
        queue.waiting.push(waiting(1, if is_hog { "hog" } else { "ann" }, memory_mib));
        let (mut number, mut chance) = (1, seed);
        let mut ends: Vec<u64> = Vec::new();
        for minute in 0u64.. {
            let now = NOW.after(Duration::from_secs(60 * minute));
            prop_assert!(minute <= 30 + 8 * minutes, "it never begins");
            while let Some(over) = ends.iter().position(|end| *end <= minute) {
                ends.swap_remove(over);
                queue.here.swap_remove(over);
            }
            for _ in 0..8 {
                number += 1;
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let mut other = waiting(number, "hog", 1 + (chance >> 33) % 30);
                other.is_awaited = true;
                other.queued_at = now;
                queue.waiting.push(other);
            }
            let choice = choose(&queue, capacity, now);
            if choice.admitted.contains(&victim) {
                break;
            }
            for run in choice.admitted {
                let index = queue.waiting.iter().position(|it| it.run == run).unwrap();
                let run = queue.waiting.remove(index);
                queue.here.push(held(&run.owner, run.memory_mib));
                queue.places += 1;
                ends.push(minute + minutes);
            }
            for it in &mut queue.waiting {
                it.reservation = if Some(it.run) == choice.reserved { Reservation::Here } else { Reservation::None };
            }
        }
    }
}
