use super::{Notes, control, end, run};
use crate::hooks::{Estimate, Hooks, Progress, ProgressUpdate};
use crate::stats::Stats;

/// An estimate that has seen these bytes come in each 100 ms.
fn seen(steps: impl IntoIterator<Item = u64>) -> (Estimate, Stats) {
    let mut estimate = Estimate::default();
    let mut stats = Stats::default();
    estimate.observe(&stats);
    for bytes in steps {
        stats.elapsed_ms += 100;
        stats.bytes += bytes;
        estimate.observe(&stats);
    }
    (estimate, stats)
}

fn rate(steps: impl IntoIterator<Item = u64>) -> Option<f64> {
    seen(steps).0.bytes_per_second()
}

#[test]
fn nothing_is_said_in_the_first_second() {
    assert_eq!(rate([]), None);
    assert_eq!(rate([100; 9]), None);
    assert!(rate([100; 10]).is_some());
}

#[test]
fn a_steady_rate_is_that_rate_from_the_beginning() {
    for steps in [10, 11, 50, 1000] {
        let rate = rate(vec![100; steps]).unwrap();
        assert!((rate - 1000.0).abs() < 1e-6, "{rate} after {steps}");
    }
}

#[test]
fn a_new_rate_takes_over_within_seconds() {
    let slower = |seconds: usize| {
        let steps = std::iter::repeat_n(1000, 600).chain(std::iter::repeat_n(100, seconds * 10));
        rate(steps).unwrap()
    };
    assert!(slower(1) > 8000.0 && slower(1) < 9000.0);
    assert!((slower(5) - (1000.0 + 9000.0 / std::f64::consts::E)).abs() < 1.0);
    assert!(slower(30) < 1030.0);
}

#[test]
fn uneven_arrivals_are_smoothed() {
    let steps = (0..600).map(|step| if step % 10 == 0 { 1000 } else { 0 });
    let rate = rate(steps).unwrap();
    assert!((850.0..1150.0).contains(&rate), "{rate}");
}

#[test]
fn the_time_that_is_left_is_known_when_the_listing_has_ended_and_something_moves() {
    let (estimate, mut stats) = seen([100; 20]);
    stats.expected_bytes = 12_000;
    stats.resumed_bytes = 4_000;
    assert_eq!(estimate.remaining(&stats), None);
    stats.listing_done = true;
    let remaining = estimate.remaining(&stats).unwrap();
    assert!((remaining.as_secs_f64() - 6.0).abs() < 1e-3, "{remaining:?}");

    let (standing, mut stats) = seen([0; 20]);
    stats.listing_done = true;
    stats.expected_bytes = 1;
    assert_eq!(standing.remaining(&stats), None);
}

#[test]
fn figures_of_the_same_moment_and_smaller_ones_do_no_harm() {
    let (mut estimate, stats) = seen([100; 20]);
    estimate.observe(&stats);
    estimate.observe(&Stats::default());
    assert!((estimate.bytes_per_second().unwrap() - 1000.0).abs() < 1e-6);
}

#[test]
fn progress_tells_each_tick_and_the_end() {
    let notes = Notes::default();
    let told = notes.clone();
    let show =
        move |update: &ProgressUpdate<'_>| told.add(format!("{} {}", update.stats.bytes, update.is_last));
    let registry = run(Hooks::default().stateful(Progress::new(show)));
    registry.tick(
        &Stats {
            bytes: 5,
            ..Stats::default()
        },
        &control(),
    );
    end(&registry);
    assert_eq!(notes.take(), ["5 false", "0 true"]);
}
