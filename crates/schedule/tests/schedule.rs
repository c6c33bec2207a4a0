//! Schedules as people write them, and when they happen.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;
use std::time::Duration;

use model::Timestamp;
use proptest::prelude::*;
use schedule::{MAX_BYTES, Schedule};

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(u64::try_from(instant.as_millisecond()).unwrap())
}

fn written(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap();
    jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
}

/// What happens from `from` on, one after the other.
#[track_caller]
fn check(schedule: &str, from: &str, times: &[&str]) {
    let parsed = Schedule::parse(schedule).unwrap();
    let next = |last: &Timestamp| parsed.next_after("docs", *last);
    let found: Vec<String> = std::iter::successors(next(&at(from)), next)
        .take(times.len())
        .map(written)
        .collect();
    assert_eq!(found, times, "{schedule}");
}

#[track_caller]
fn check_refused(text: &str, reason: &str) {
    let error = Schedule::parse(text).expect_err(text).to_string();
    assert!(error.contains(reason), "{text}: {error}");
}

#[test]
fn the_text_is_the_shortest_that_means_the_same() {
    for (text, canonical) in [
        ("every 6h", "every 6h"),
        (" every   90m ", "every 90m"),
        ("every 90s", "every 90s"),
        ("every 120m", "every 2h"),
        ("every 14d", "every 2w"),
        ("hourly", "every 1h"),
        ("daily", "every 1d"),
        ("weekly", "every 1w"),
        ("daily UTC", "daily between 00:00 and 24:00"),
        ("weekly Europe/Oslo", "weekly Europe/Oslo"),
        ("weekly on MONDAY", "weekly on monday"),
        ("monthly between 00:00 and 24:00", "monthly"),
        (
            "monthly on 31  between 22:00 and 04:00 Europe/Oslo",
            "monthly on 31 between 22:00 and 04:00 Europe/Oslo",
        ),
        ("cron 0  3 * * *", "cron 0 3 * * *"),
        ("cron 0 3 * * * utc", "cron 0 3 * * *"),
        (
            "cron */5 8-18 * * MON-FRI Europe/Oslo",
            "cron */5 8-18 * * MON-FRI Europe/Oslo",
        ),
    ] {
        let schedule = Schedule::parse(text).unwrap();
        assert_eq!(schedule.to_string(), canonical);
        assert_eq!(Schedule::parse(canonical), Ok(schedule));
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_what_to_write() {
    for (text, reason) in [
        ("", "such as every 6h"),
        ("6h", "such as every 6h"),
        ("every", "such as every 6h"),
        ("every h", "a whole number of s, m, h, d or w"),
        ("every -1h", "a whole number"),
        ("every 1.5h", "a whole number"),
        ("every 10ms", "a whole number"),
        ("every 6é", "a whole number"),
        ("every 0m", "from 1s to 52w"),
        ("every 53w", "from 1s to 52w"),
        ("every 99999999999999999999w", "from 1s to 52w"),
        ("daily at 3", "weekly on monday"),
        ("daily between 1:00 and 05:00", "from 00:00 to 24:00"),
        ("daily between 01:00 and 24:01", "from 00:00 to 24:00"),
        ("daily between 01:00 and 01:00", "begins before it ends"),
        ("daily between 24:00 and 01:00", "begins before it ends"),
        ("daily on monday", "weekly on monday"),
        ("weekly on 1", "such as monday"),
        ("monthly on 0", "from 1 to 31"),
        ("monthly on 32", "from 1 to 31"),
        ("daily between 01:00 and 05:00 Europe/Atlantis", "no time zone"),
        ("cron", "minute, hour, day of month"),
        ("cron @daily", "minute, hour, day of month"),
        ("cron 0 0 3 * * * UTC", "minute, hour, day of month"),
        ("cron 61 3 * * *", "minute, hour, day of month"),
        (
            "cron 0 3 * * * Europe/Atlantis",
            "no time zone \"Europe/Atlantis\"",
        ),
        ("cron 0 3 31 2 *", "no such day"),
    ] {
        check_refused(text, reason);
    }
    check_refused(&" ".repeat(MAX_BYTES + 1), "at most 200 bytes");
}

#[test]
fn cron_goes_by_utc_where_no_zone_is_named() {
    let times = ["2026-01-02T03:00:00Z", "2026-01-03T03:00:00Z"];
    check("cron 0 3 * * *", "2026-01-01T03:00:00Z", &times);
    check(
        "cron 0 3 29 2 *",
        "2026-01-01T00:00:00Z",
        &["2028-02-29T03:00:00Z"],
    );
}

#[test]
fn cron_goes_by_the_clocks_of_its_zone() {
    let times = [
        "2026-03-28T02:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T01:00:00Z",
    ];
    check("cron 0 3 * * * Europe/Oslo", "2026-03-27T12:00:00Z", &times);
}

#[test]
fn a_time_of_day_that_does_not_exist_happens_at_the_first_moment_after_it() {
    let times = [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ];
    check("cron 30 2 * * * Europe/Oslo", "2026-03-27T12:00:00Z", &times);
}

#[test]
fn a_time_of_day_that_exists_twice_happens_once() {
    let times = [
        "2026-10-24T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ];
    check("cron 30 2 * * * Europe/Oslo", "2026-10-23T12:00:00Z", &times);
}

#[test]
fn steps_count_elapsed_time() {
    let spring = [
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T01:30:00Z",
    ];
    check("cron */30 * * * * Europe/Oslo", "2026-03-29T00:00:00Z", &spring);
    let autumn = [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
    ];
    check("cron */30 * * * * Europe/Oslo", "2026-10-25T00:00:00Z", &autumn);
}

#[test]
fn things_with_one_interval_happen_all_over_it() {
    let hourly = Schedule::parse("hourly").unwrap();
    let now = at("2026-01-01T00:00:00Z");
    let minutes: BTreeSet<u64> = (0..1_000)
        .filter_map(|number| hourly.next_after(&format!("source-{number}"), now))
        .map(|next| next.as_millis() / 60_000 % 60)
        .collect();
    assert_eq!(minutes.len(), 60);
}

#[test]
fn a_window_of_one_minute_is_a_time_of_day() {
    let oslo = [
        "2026-03-28T02:30:00Z",
        "2026-03-29T01:30:00Z",
        "2026-03-30T01:30:00Z",
    ];
    check(
        "daily between 03:30 and 03:31 Europe/Oslo",
        "2026-03-28T02:00:00Z",
        &oslo,
    );
    let mondays = ["2026-01-05T09:00:00Z", "2026-01-12T09:00:00Z"];
    check(
        "weekly on monday between 09:00 and 09:01",
        "2026-01-01T00:00:00Z",
        &mondays,
    );
    let last_days = [
        "2026-01-31T00:00:00Z",
        "2026-02-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
    ];
    check(
        "monthly on 31 between 00:00 and 00:01",
        "2026-01-01T00:00:00Z",
        &last_days,
    );
}

#[test]
fn clocks_that_are_moved_leave_a_window_its_turn() {
    let spring = [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:30:00Z",
        "2026-03-30T00:30:00Z",
    ];
    check(
        "daily between 02:30 and 02:31 Europe/Oslo",
        "2026-03-27T12:00:00Z",
        &spring,
    );
    let autumn = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    check(
        "daily between 02:30 and 02:31 Europe/Oslo",
        "2026-10-24T12:00:00Z",
        &autumn,
    );
}

#[test]
fn names_spread_over_a_window_and_its_days() {
    let now = at("2025-12-31T23:59:59.999Z");
    let places = |text: &str| -> BTreeSet<u64> {
        let schedule = Schedule::parse(text).unwrap();
        let next = |number| schedule.next_after(&format!("scraper-{number}"), now);
        (0..2_000)
            .filter_map(next)
            .map(|next| next.since(now).as_secs() / 3_600)
            .collect()
    };
    assert_eq!(
        places("daily between 22:00 and 04:00"),
        BTreeSet::from([0, 1, 2, 3, 22, 23])
    );
    assert_eq!(places("weekly between 00:00 and 01:00").len(), 7);
    assert_eq!(places("monthly between 00:00 and 01:00").len(), 28);
}

#[test]
fn a_run_that_was_missed_is_made_up_once() {
    let schedule = Schedule::parse("every 6h").unwrap();
    let stopped = at("2026-01-01T00:00:00Z");
    let due = schedule.next_after("docs", stopped).unwrap();
    let restarted = at("2026-01-09T00:00:00Z");
    assert!(due < restarted);
    assert!(schedule.next_after("docs", restarted).unwrap() > restarted);
}

/// Added late in the day, it still runs the next morning; a turn that was late by hours leaves the next where it is.
#[test]
fn a_turn_is_never_left_out() {
    let daily = Schedule::parse("daily").unwrap();
    let turn = daily.first_after("docs", at("2026-01-01T00:00:00Z")).unwrap();
    let day = Duration::from_secs(86_400);
    for hours in 0..24 {
        let asked = turn.after(Duration::from_secs(hours * 3_600));
        assert_eq!(
            daily.first_after("docs", asked),
            Some(turn.after(day)),
            "{hours} hours late"
        );
    }
    assert_eq!(
        daily.first_after("docs", turn.before(Duration::from_millis(1))),
        Some(turn)
    );
    let cron = Schedule::parse("cron 0 3 * * *").unwrap();
    assert_eq!(cron.first_after("docs", turn), cron.next_after("docs", turn));
}

proptest! {
    #[test]
    fn intervals_are_kept_whatever_happened_in_between(
        minutes in 1u64..600_000, last in 0u64..4_000_000_000_000, late in 0.0..0.49f64, name in "[a-z]{1,8}",
    ) {
        let interval = minutes.min(524_160) * 60_000;
        let schedule = Schedule::parse(&format!("every {}m", interval / 60_000)).unwrap();
        let next = schedule.next_after(&name, Timestamp::from_millis(last)).unwrap().as_millis();
        prop_assert!(next >= last + interval / 2 && next <= last + 2 * interval);
        // It starts a little late, and the turn after it is not moved by that.
        let begun = Timestamp::from_millis(next + (interval as f64 * late) as u64);
        prop_assert_eq!(schedule.next_after(&name, begun).unwrap().as_millis(), next + interval);
    }

    #[test]
    fn each_window_has_one_turn(
        from in 0u32..1_440, length in 1u32..=1_440, last in 0u64..4_000_000_000_000, name in "[a-z]{1,8}",
        zone in prop::sample::select(vec!["UTC", "Europe/Oslo", "America/St_Johns", "Asia/Kathmandu"]),
        days in prop::sample::select(vec![("daily", 1u64), ("weekly", 7), ("weekly on friday", 7), ("monthly", 31), ("monthly on 30", 31)]),
    ) {
        let to = (from + length - 1) % 1_440 + 1;
        prop_assume!(from != to);
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let text = format!("{} between {} and {} {zone}", days.0, clock(from), clock(to));
        let schedule = Schedule::parse(&text).unwrap();
        prop_assert_eq!(Schedule::parse(&schedule.to_string()), Ok(schedule.clone()));
        let first = schedule.next_after(&name, Timestamp::from_millis(last)).unwrap();
        let second = schedule.next_after(&name, first).unwrap();
        prop_assert!(first.as_millis() > last);
        let hours = second.since(first).as_secs() / 3_600;
        prop_assert!(hours >= days.1.min(28) * 24 - 3 && hours <= days.1 * 24 + 2, "{} hours: {}", hours, text);
    }

    #[test]
    fn any_text_is_refused_or_means_the_same_when_read_again(text in "(every |cron |daily |weekly |monthly )?[0-9a-zA-Z*/,# ?LW@-]{0,30}") {
        if let Ok(schedule) = Schedule::parse(&text) {
            prop_assert_eq!(Schedule::parse(&schedule.to_string()), Ok(schedule));
        }
    }

    #[test]
    fn what_comes_next_is_later(
        minute in 0u8..60, hour in 0u8..24, step in 1u8..12, last in 0u64..4_000_000_000_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Oslo", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    ) {
        for pattern in [format!("{minute} {hour} * * *"), format!("{minute} */{step} * * MON"), format!("*/{step} * * * *")] {
            let schedule = Schedule::parse(&format!("cron {pattern} {zone}")).unwrap();
            let last = Timestamp::from_millis(last);
            let next = schedule.next_after("docs", last).unwrap();
            prop_assert!(next > last, "{}", schedule);
            prop_assert!(next.since(last) <= Duration::from_secs(8 * 24 * 3_600), "{}", schedule);
        }
    }
}
