//! The lines that `docs/events.md` shows are the lines that are written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::entry::{Algorithm, Declared, Entry};
use crate::error::{Error, ErrorKind};
use crate::hooks::*;
use crate::outcome::{Done, Outcome, Report};
use crate::stats::Stats;

const DOCUMENT: &str = include_str!("../../../docs/events.md");

/// Where a log can be looked at while it is written.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stats() -> Stats {
    Stats {
        elapsed_ms: 1000,
        bytes: 62_914_560,
        expected_bytes: 104_857_600,
        bytes_per_second: 62_914_560,
        entries: 2,
        listing_done: true,
        files_open: 1,
        files_done: 1,
        requests: 9,
        connections_opened: 8,
        connections: 4,
        connections_allowed: 8,
        window_bytes: 33_554_432,
        ..Stats::default()
    }
}

fn outcomes() -> [Outcome; 5] {
    let done = Done {
        bytes: 52_428_800,
        resumed_bytes: 0,
        checksum: Some(Declared {
            algorithm: Algorithm::Crc64Nvme,
            value: 12_345,
        }),
        verified: true,
        path: Some("out/a.bin".into()),
    };
    let failed = Error::new(ErrorKind::Denied, "the server refuses these credentials");
    [
        Outcome::Done(done),
        Outcome::Cached,
        Outcome::Skipped,
        Outcome::Failed(failed),
        Outcome::Cancelled,
    ]
}

/// One event of each kind, and the end of a file in each way.
fn all_events() -> Vec<Event> {
    let mut meta = super::meta(0, "a.bin");
    meta.size = Some(52_428_800);
    let start = RunStart {
        started_unix_ms: 1_793_523_600_000,
        sources: vec!["s3://bucket/data/".to_owned()],
        memory_bytes: 67_108_864,
        max_connections: 256,
    };
    let chunk = ChunkTiming {
        meta: &meta,
        range: 0..8_388_608,
        first_byte: Duration::from_micros(31_250),
        total: Duration::from_micros(140_000),
        attempts: 1,
    };
    let error = Error::new(ErrorKind::Stalled, "no byte came for 20 s");
    let attempt = Attempt {
        meta: &meta,
        range: 8_388_608..16_777_216,
        number: 1,
        error: &error,
    };
    let report = Report {
        stats: stats(),
        elapsed: Duration::from_millis(1000),
        ..Report::default()
    };
    let entry = Entry::new(meta.location.clone());
    let mut events = vec![
        Event::run_start(&start),
        Event::list_page(&[entry.clone(), entry]),
        Event::file_start(&meta),
        Event::chunk(&chunk),
        Event::attempt_failed(&attempt),
        Event::tick(&stats()),
    ];
    events.extend(outcomes().iter().map(|outcome| Event::file_end(&meta, outcome)));
    events.push(Event::run_end(&report));
    events
}

fn logged(events: &[Event]) -> String {
    let shown = Shown::default();
    let mut log = EventLog::new(shown.clone());
    for event in events {
        log.on_event(Duration::from_micros(12_345), event);
    }
    log.finish().unwrap();
    shown.text()
}

#[test]
fn every_line_is_in_the_document_as_it_is_written() {
    let logged = logged(&all_events());
    assert_eq!(logged.lines().count(), 12);
    let missing: Vec<_> = logged
        .lines()
        .filter(|line| !DOCUMENT.lines().any(|documented| documented == *line))
        .collect();
    assert!(missing.is_empty(), "docs/events.md lacks\n{}", missing.join("\n"));
}

#[test]
fn the_document_names_each_field_of_the_figures_and_the_version() {
    let fields = serde_json::to_value(Stats::default()).unwrap();
    for field in fields.as_object().unwrap().keys() {
        assert!(DOCUMENT.contains(&format!("| `{field}` |")), "{field}");
    }
    assert!(DOCUMENT.contains(&format!("Version {}", Event::VERSION)));
}

#[test]
fn a_path_that_is_not_utf8_does_not_end_the_log() {
    use std::os::unix::ffi::OsStrExt;
    let done = Done {
        path: Some(std::ffi::OsStr::from_bytes(b"out/\xff").into()),
        ..Done::default()
    };
    let end = Event::file_end(&super::meta(0, "x"), &Outcome::Done(done));
    assert!(logged(&[end]).contains("out/\u{fffd}"));
}

#[test]
fn lines_reach_the_file_within_a_second_of_events() {
    let shown = Shown::default();
    let mut log = EventLog::new(shown.clone());
    let event = Event::list_page(&[]);
    log.on_event(Duration::from_millis(10), &event);
    assert_eq!(shown.text(), "");
    log.on_event(Duration::from_millis(1010), &event);
    assert_eq!(shown.text().lines().count(), 2);
}

#[test]
fn a_log_that_cannot_be_written_says_so_at_the_end() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut log = EventLog::new(Full);
    log.on_event(Duration::from_secs(2), &Event::list_page(&[]));
    let failure = log.finish().unwrap_err();
    assert!(
        failure.starts_with("the log of events is not whole:"),
        "{failure}"
    );
}
