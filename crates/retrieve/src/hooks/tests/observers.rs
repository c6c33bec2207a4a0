use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::{Notes, control, end, finish_file, meta, run};
use crate::hooks::*;
use crate::outcome::Outcome;
use crate::stats::Stats;

struct Noting(Notes);

impl Observer for Noting {
    fn name(&self) -> &str {
        "noting"
    }

    fn on_event(&mut self, _at: Duration, event: &Event) {
        let line = serde_json::to_value(event).unwrap();
        self.0.add(line["event"].as_str().unwrap());
    }

    fn finish(&mut self) -> Result<(), String> {
        self.0.add("finished");
        Err("disk full".to_owned())
    }
}

/// Handles an event only when it is let.
struct Held(Receiver<()>);

impl Observer for Held {
    fn name(&self) -> &str {
        "held"
    }

    fn on_event(&mut self, _at: Duration, _event: &Event) {
        // A closed channel lets all through.
        let _ = self.0.recv();
    }
}

fn held(capacity: usize) -> (Registry, Sender<()>) {
    let (let_go, wait) = mpsc::channel();
    (run(Hooks::default().observe(capacity, Held(wait))), let_go)
}

#[test]
fn an_observer_sees_the_run_in_order_and_the_end_waits_for_it() {
    let notes = Notes::default();
    let registry = run(Hooks::default().observe(100, Noting(notes.clone())));
    registry.run_start(&RunStart::default(), &control());
    registry.list_page(&[]);
    registry.file_start(&meta(0, "x")).unwrap();
    registry.tick(&Stats::default(), &control());
    finish_file(&registry, &meta(0, "x"), None);
    let report = end(&registry);
    let expected = [
        "run_start",
        "list_page",
        "file_start",
        "tick",
        "file_end",
        "run_end",
        "finished",
    ];
    assert_eq!(notes.take(), expected);
    assert_eq!((report.hooks[0].calls, report.hooks[0].dropped), (7, 0));
    let failure = report.hooks[0].failure.as_deref();
    assert_eq!(failure, Some("hook noting could not finish: disk full"));
}

#[test]
fn a_run_without_hooks_has_nothing_to_tell_of_them() {
    let registry = run(Hooks::default());
    registry.tick(&Stats::default(), &control());
    assert!(matches!(
        finish_file(&registry, &meta(0, "x"), None),
        Outcome::Done(_)
    ));
    assert_eq!(end(&registry).hooks, []);
}

#[test]
fn what_a_slow_observer_has_no_room_for_is_dropped_and_counted() {
    let (registry, let_go) = held(2);
    let started = Instant::now();
    for _ in 0..100 {
        registry.tick(&Stats::default(), &control());
    }
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "the run must not wait for ticks"
    );
    let dropped = registry.events_dropped();
    assert!((97..=98).contains(&dropped), "{dropped}");
    drop(let_go);
    let report = end(&registry);
    assert_eq!(
        (report.hooks[0].dropped, report.stats.events_dropped),
        (dropped, dropped)
    );
    assert_eq!(report.hooks[0].calls, 100 - dropped + 2);
}

#[test]
fn the_end_of_a_file_waits_for_room() {
    let (registry, let_go) = held(1);
    registry.tick(&Stats::default(), &control());
    std::thread::scope(|scope| {
        let files = scope.spawn(|| {
            for index in 0..5 {
                finish_file(&registry, &meta(index, "x"), None);
            }
        });
        while !files.is_finished() {
            let_go.send(()).unwrap();
            std::thread::yield_now();
        }
    });
    drop(let_go);
    assert_eq!(end(&registry).stats.events_dropped, 0);
}

#[test]
fn an_observer_that_never_comes_back_costs_a_bounded_time() {
    let (registry, let_go) = held(1);
    let started = Instant::now();
    for index in 0..50 {
        finish_file(&registry, &meta(index, "x"), None);
    }
    let files = started.elapsed();
    assert!(files < Hooks::MAX_WAIT * 2, "{files:?}");
    let report = end(&registry);
    let all = started.elapsed();
    assert!(all < Hooks::MAX_WAIT * 2 + Hooks::MAX_DRAIN * 2, "{all:?}");
    let failure = report.hooks[0].failure.as_deref();
    assert_eq!(failure, Some("was still busy 5 s after the run"));
    assert!(report.stats.events_dropped >= 48, "{:?}", report.hooks);
    drop(let_go);
}

#[test]
fn the_panic_of_an_observer_is_noted_and_what_it_misses_counted() {
    struct Panicking;
    impl Observer for Panicking {
        fn name(&self) -> &str {
            "panicking"
        }
        fn on_event(&mut self, _at: Duration, _event: &Event) {
            panic!("cannot look");
        }
    }
    let notes = Notes::default();
    let registry = run(Hooks::default()
        .observe(10, Panicking)
        .observe(10, Noting(notes.clone())));
    for _ in 0..3 {
        registry.tick(&Stats::default(), &control());
    }
    let report = end(&registry);
    let failure = report.hooks[0].failure.as_deref();
    assert_eq!(failure, Some("hook panicking panicked: cannot look"));
    assert_eq!(report.hooks[0].dropped, 4);
    assert_eq!(notes.take().len(), 5);
}
