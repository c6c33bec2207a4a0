use proptest::prelude::*;

use super::{control, run};
use crate::error::ErrorKind;
use crate::hooks::{Hooks, RateLimit, RunStart, Schedule};
use crate::stats::Stats;

const HOUR_MS: u64 = 3_600_000;

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap()
}

#[test]
fn rates_are_read_with_their_units() {
    let cases = [
        ("1000", Some(1000)),
        ("10MB/s", Some(10_000_000)),
        ("1.5 GiB/s", Some(1_610_612_736)),
        ("100Mbit", Some(12_500_000)),
        ("500kB", Some(500_000)),
        ("unlimited", None),
        ("off", None),
    ];
    for (text, rate) in cases {
        assert_eq!(schedule(text), Schedule::constant(rate), "{text}");
    }
}

#[test]
fn what_is_no_rate_is_refused() {
    let cases = [
        "",
        "0",
        "0.1B",
        "10 parsecs",
        "MB",
        "-5MB",
        "1e9",
        "08:00 10MB",
        "08:00-25:00 1MB",
        "08:00-24:01 1MB",
        "08-18 1MB",
        "10MB, 08:00-18:00 5MB",
        "08:00-18:00",
    ];
    for text in cases {
        let error = text.parse::<Schedule>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn the_first_period_that_holds_counts_also_around_midnight() {
    let schedule = schedule("08:00-18:00 10MB/s, 22:00-06:00 unlimited; 17:00-24:00 30MB, 20MB");
    let cases = [
        (0, None),
        (5 * 60 + 59, None),
        (6 * 60, Some(20_000_000)),
        (8 * 60, Some(10_000_000)),
        (17 * 60 + 59, Some(10_000_000)),
        (18 * 60, Some(30_000_000)),
        (22 * 60, None),
    ];
    for (minute, rate) in cases {
        assert_eq!(schedule.at(minute), rate, "{minute}");
    }
}

#[test]
fn the_limit_holds_from_the_start_and_changes_with_the_clock() {
    let hook = RateLimit::new(schedule("08:00-18:00 10MB/s, 50MB/s"), 60);
    let (registry, control) = (run(Hooks::default().stateful(hook)), control());
    let start = RunStart {
        started_unix_ms: 24 * HOUR_MS + 16 * HOUR_MS,
        ..RunStart::default()
    };
    registry.run_start(&start, &control);
    assert_eq!(control.bytes_per_second(), Some(10_000_000));
    control.limit_bandwidth(Some(7));
    let tick = |elapsed_ms| {
        let stats = Stats {
            elapsed_ms,
            ..Stats::default()
        };
        registry.tick(&stats, &control);
    };
    tick(HOUR_MS - 1);
    assert_eq!(control.bytes_per_second(), Some(7), "another hand holds");
    tick(HOUR_MS);
    assert_eq!(control.bytes_per_second(), Some(50_000_000));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9:,; .MkGBibits/-]{0,30}", minute in 0..1440u32) {
        if let Ok(schedule) = text.parse::<Schedule>() {
            prop_assert_ne!(schedule.at(minute), Some(0));
        }
    }
}
