//! Reading a log while it is written.

use std::time::Duration;

use runlog::{Follow, Log, LogLimits, Logs, Stream, Writer};
use tokio::time::timeout;

use crate::desk::{Desk, at, texts};

const SCANTY: LogLimits = LogLimits {
    max_lines: 1_000_000,
    max_bytes: 1 << 30,
    max_line_bytes: 16 << 10,
    memory_bytes: 10_000,
};

fn begin(logs: &Logs, limits: LogLimits) -> Writer {
    logs.begin("run", limits, &[]).unwrap()
}

fn write(writer: &Writer, lines: std::ops::Range<u64>) {
    for number in lines {
        let line = format!("line {number}\n");
        writer.write(Stream::Stdout, line.as_bytes(), at(number)).unwrap();
    }
}

/// Reads to the end and checks that it is every line after `after` up to `last`.
async fn check_rest(mut follow: Follow, after: u64, last: u64) {
    let mut next = after + 1;
    while let Some(lines) = follow.next().await.unwrap() {
        assert!(!lines.is_empty());
        for line in lines {
            assert_eq!(line.number, next);
            assert_eq!(line.text, format!("line {next}"));
            next += 1;
        }
    }
    assert_eq!(next, last.max(after) + 1);
}

#[tokio::test]
async fn a_follower_gets_lines_as_they_come_and_then_the_end() {
    let desk = Desk::new();
    let writer = begin(&desk.logs, LogLimits::default());
    let log = desk.logs.get("run").unwrap().unwrap();
    let mut follow = log.follow(0);
    assert!(log.is_live());
    let early = timeout(Duration::from_millis(20), follow.next()).await;
    assert!(early.is_err(), "nothing was written yet");
    writer.write(Stream::Stdout, b"one\ntwo\nthr", at(0)).unwrap();
    assert_eq!(texts(&follow.next().await.unwrap().unwrap()), ["one", "two"]);
    writer.write(Stream::Stdout, b"ee\n", at(1)).unwrap();
    assert_eq!(texts(&follow.next().await.unwrap().unwrap()), ["three"]);
    writer.write(Stream::Stderr, b"unended", at(2)).unwrap();
    writer.finish(at(3)).unwrap();
    assert_eq!(texts(&follow.next().await.unwrap().unwrap()), ["unended"]);
    assert_eq!(follow.next().await.unwrap(), None);
    assert_eq!(follow.next().await.unwrap(), None);
    assert!(!log.is_live());
}

#[tokio::test]
async fn a_slow_follower_misses_nothing_and_stops_nobody() {
    let desk = Desk::new();
    let writer = begin(&desk.logs, SCANTY);
    let mut slow = writer.log().follow(0);
    write(&writer, 1..10);
    assert_eq!(slow.next().await.unwrap().unwrap().len(), 9);
    write(&writer, 10..50_001);
    // Removed from the folder, but not from who reads it.
    writer.finish(at(0)).unwrap();
    desk.logs.remove("run").unwrap();
    check_rest(slow, 9, 50_000).await;
}

#[tokio::test]
async fn many_readers_at_many_places_read_the_same() {
    let desk = Desk::new();
    let writer = begin(&desk.logs, SCANTY);
    let follow = |after: u64| tokio::spawn(check_rest(writer.log().follow(after), after, 20_000));
    let mut readers: Vec<_> = [0, 1, 7_000, 19_999, 20_000].map(follow).into();
    for start in (1..20_001).step_by(1_000) {
        write(&writer, start..start + 1_000);
        readers.push(follow(start / 2));
        tokio::task::yield_now().await;
    }
    writer.finish(at(0)).unwrap();
    let over = desk.logs.get("run").unwrap().unwrap();
    for after in [0, 1, 12_345, 19_999, 20_000, 30_000] {
        readers.push(tokio::spawn(check_rest(over.follow(after), after, 20_000)));
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn waiting_can_be_given_up_without_losing_a_line() {
    let desk = Desk::new();
    let writer = begin(&desk.logs, SCANTY);
    let mut follow = writer.log().follow(0);
    let mut read = 0;
    for round in 0..200 {
        write(&writer, round * 50 + 1..round * 50 + 51);
        let patience = Duration::from_micros(round * 7 % 300);
        if let Ok(lines) = timeout(patience, follow.next()).await {
            let lines = lines.unwrap().unwrap();
            assert_eq!(lines[0].number, read + 1);
            read += lines.len() as u64;
        }
    }
    writer.finish(at(0)).unwrap();
    check_rest(follow, read, 10_000).await;
}

#[tokio::test]
async fn a_writer_that_is_dropped_ends_the_log() {
    let desk = Desk::new();
    let writer = begin(&desk.logs, LogLimits::default());
    write(&writer, 1..4);
    let follow = writer.log().follow(0);
    drop(writer);
    check_rest(follow, 0, 3).await;
    let left = desk.logs.get("run").unwrap().unwrap();
    assert!(!left.is_live());
    check_rest(left.follow(1), 1, 3).await;
}

#[test]
fn the_last_lines_can_be_asked_for_at_any_time() {
    let desk = Desk::new();
    let writer = begin(&desk.logs, SCANTY);
    let check = |log: &Log, lines: usize, expected: std::ops::RangeInclusive<u64>| {
        let tail = log.tail(lines).unwrap();
        let numbers: Vec<u64> = tail.iter().map(|line| line.number).collect();
        assert_eq!(numbers, expected.collect::<Vec<_>>());
    };
    assert!(writer.log().tail(5).unwrap().is_empty());
    write(&writer, 1..30_001);
    let live = writer.log();
    assert!(live.tail(0).unwrap().is_empty());
    check(&live, 5, 29_996..=30_000);
    check(&live, 20_000, 10_001..=30_000);
    writer.finish(at(0)).unwrap();
    let over = desk.logs.get("run").unwrap().unwrap();
    assert_eq!(over.lines(), 30_000);
    check(&over, 1, 30_000..=30_000);
    check(&over, 20_000, 10_001..=30_000);
    check(&over, usize::MAX, 1..=30_000);
}
