//! What lies on the disk, and what a killed process leaves there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use runlog::{LogError, LogLimits, Logs, Stream};
use tempfile::TempDir;

use crate::desk::{Desk, all, at, texts};

/// A log with three lines, and its bytes while it was written and when it was over.
fn three_lines(desk: &Desk) -> (Vec<u8>, Vec<u8>) {
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    writer.write(Stream::Stdout, b"one\n", at(1)).unwrap();
    writer.write(Stream::Stderr, b"two\n", at(2)).unwrap();
    writer.say(Stream::InternalErr, "three", at(3)).unwrap();
    let plain = fs::read(desk.folder.path().join("run.log")).unwrap();
    writer.finish(at(4)).unwrap();
    assert!(!desk.folder.path().join("run.log").exists());
    (plain, fs::read(desk.folder.path().join("run.log.zst")).unwrap())
}

#[test]
fn a_log_is_text_that_zstd_can_show() {
    let (plain, packed) = three_lines(&Desk::new());
    let text = "haul-log 1\n1700000000001 o one\n1700000000002 e two\n1700000000003 E three\n";
    assert_eq!(String::from_utf8(plain).unwrap(), text);
    let shown = zstd::decode_all(packed.as_slice()).unwrap();
    assert_eq!(String::from_utf8(shown).unwrap(), text);
}

#[test]
fn files_of_format_1_can_be_read() {
    for file in ["v1.log", "v1.log.zst"] {
        let fixture = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/logs")).join(file);
        let desk = Desk::new();
        fs::copy(&fixture, desk.folder.path().join(file)).unwrap();
        let log = desk.logs.get("v1").unwrap().unwrap();
        let lines = all(&log);
        assert_eq!(texts(&lines), ["installing", "row 1", "warning: café", "killed"]);
        let streams: Vec<String> = lines.iter().map(|line| format!("{:?}", line.stream)).collect();
        assert_eq!(streams, ["InternalOut", "Stdout", "Stderr", "InternalErr"]);
        assert_eq!(lines[3].at_ms, 1_700_000_002_500);
    }
}

#[test]
fn a_log_that_was_torn_anywhere_is_read_and_gone_on_with() {
    let (plain, _) = three_lines(&Desk::new());
    for len in 0..=plain.len() {
        let desk = Desk::new();
        let path = desk.folder.path().join("run.log");
        fs::write(&path, &plain[..len]).unwrap();
        let whole = plain[..len]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_sub(1);
        let before = all(&desk.logs.get("run").unwrap().unwrap());
        assert_eq!(texts(&before), &["one", "two", "three"][..whole]);
        let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
        writer.write(Stream::Stdout, b"more\n", at(9)).unwrap();
        writer.finish(at(9)).unwrap();
        let after = all(&desk.logs.get("run").unwrap().unwrap());
        assert_eq!(after[..whole], before);
        assert_eq!(texts(&after[whole..]), ["more"]);
    }
}

#[test]
fn a_tail_of_zeros_is_no_line() {
    let desk = Desk::new();
    let (mut plain, _) = three_lines(&Desk::new());
    plain.extend([0; 5_000]);
    fs::write(desk.folder.path().join("run.log"), &plain).unwrap();
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    writer.write(Stream::Stdout, b"more\n", at(9)).unwrap();
    assert_eq!(texts(&all(&writer.log())), ["one", "two", "three", "more"]);
}

#[test]
fn a_process_killed_while_it_compressed_leaves_the_log_whole() {
    let (plain, packed) = three_lines(&Desk::new());
    let states: [&[(&str, &[u8])]; 4] = [
        &[("run.log", &plain), ("run.draft", &packed[..20])],
        &[("run.log", &plain), ("run.draft", &packed)],
        &[("run.log", &plain), ("run.log.zst", &packed)],
        &[("run.log.zst", &packed), ("run.draft", &plain[..30])],
    ];
    for state in states {
        let desk = Desk::new();
        for (name, bytes) in state {
            fs::write(desk.folder.path().join(name), bytes).unwrap();
        }
        assert_eq!(desk.logs.names().unwrap(), ["run"]);
        let log = desk.logs.get("run").unwrap().unwrap();
        assert_eq!(texts(&all(&log)), ["one", "two", "three"]);
        let file = desk.logs.file("run").unwrap().unwrap();
        assert_eq!(fs::read(file).unwrap(), packed);
        let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
        writer.write(Stream::Stdout, b"four", at(9)).unwrap();
        writer.finish(at(9)).unwrap();
        let log = desk.logs.get("run").unwrap().unwrap();
        assert_eq!(texts(&all(&log)), ["one", "two", "three", "four"]);
    }
}

#[test]
fn a_log_that_is_over_can_be_gone_on_with_within_its_limits() {
    let desk = Desk::new();
    let limits = LogLimits {
        max_lines: 5,
        ..LogLimits::default()
    };
    for _ in 0..2 {
        let writer = desk.logs.begin("run", limits, &[]).unwrap();
        writer.write(Stream::Stdout, b"1\n2\n3\n", at(0)).unwrap();
        writer.finish(at(0)).unwrap();
    }
    let lines = all(&desk.restart().get("run").unwrap().unwrap());
    assert_eq!(texts(&lines)[..5], ["1", "2", "3", "1", "2"]);
    assert_eq!(lines.len(), 6);
}

#[test]
fn an_empty_log_is_a_log() {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    writer.finish(at(0)).unwrap();
    let log = desk.logs.get("run").unwrap().unwrap();
    assert_eq!((log.lines(), all(&log).len()), (0, 0));
    desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
}

#[test]
fn a_log_moves_to_another_machine_and_goes() {
    let (here, there) = (Desk::new(), Desk::new());
    three_lines(&here);
    let file = here.logs.file("run").unwrap().unwrap();
    there.logs.adopt("run-2", &file).unwrap();
    let log = there.logs.get("run-2").unwrap().unwrap();
    assert_eq!(texts(&all(&log)), ["one", "two", "three"]);
    assert_eq!(there.logs.names().unwrap(), ["run-2"]);
    there.logs.remove("run-2").unwrap();
    there.logs.remove("run-2").unwrap();
    assert!(there.logs.names().unwrap().is_empty());
    assert!(there.logs.get("run-2").unwrap().is_none());
    assert!(there.logs.file("run-2").unwrap().is_none());
}

#[test]
fn what_is_being_written_is_left_alone() {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    let again = desk.logs.begin("run", LogLimits::default(), &[]).err();
    assert!(matches!(again, Some(LogError::Live(_))));
    assert!(matches!(desk.logs.remove("run"), Err(LogError::Live(_))));
    assert!(matches!(desk.logs.file("run"), Err(LogError::Live(_))));
    assert!(matches!(
        desk.logs.adopt("run", Path::new("/")),
        Err(LogError::Live(_))
    ));
    drop(writer);
    desk.logs.remove("run").unwrap();
}

#[test]
fn names_cannot_leave_the_folder() {
    let desk = Desk::new();
    for name in ["", "..", "a/b", "a.b", "é", &"x".repeat(101)] {
        let begun = desk.logs.begin(name, LogLimits::default(), &[]).err();
        assert!(matches!(begun, Some(LogError::Name(_))), "{name:?}");
        assert!(matches!(desk.logs.get(name), Err(LogError::Name(_))), "{name:?}");
    }
}

#[test]
fn what_is_no_log_is_refused() {
    let desk = Desk::new();
    let path = desk.folder.path().join("other");
    fs::write(&path, b"something else that is long enough").unwrap();
    assert!(matches!(
        desk.logs.adopt("run", &path),
        Err(LogError::Damaged { .. })
    ));
    assert!(desk.logs.get("run").unwrap().is_none());
    fs::write(desk.folder.path().join("run.log"), b"haul-log 2\nwhatever\n").unwrap();
    assert!(matches!(desk.logs.get("run"), Err(LogError::Damaged { .. })));
}

#[test]
fn no_damage_panics() {
    let (_, packed) = three_lines(&Desk::new());
    for at in 0..packed.len() {
        for change in [1, 0x80, 0xff] {
            let desk = Desk::new();
            let mut bytes = packed.clone();
            bytes[at] ^= change;
            fs::write(desk.folder.path().join("run.log.zst"), &bytes).unwrap();
            if let Ok(Some(log)) = desk.logs.get("run") {
                let _ = log.read(0);
                let _ = log.tail(2);
                let _ = log.tail(usize::MAX);
            }
        }
        let desk = Desk::new();
        fs::write(desk.folder.path().join("run.log.zst"), &packed[..at]).unwrap();
        assert!(desk.logs.get("run").is_err(), "torn at {at}");
    }
}

/// What it writes is killed at some moment.
#[test]
#[ignore = "it is the process that another test kills"]
fn victim() {
    let folder = PathBuf::from(std::env::var_os("RUNLOG_FOLDER").unwrap());
    let logs = Logs::open(&folder).unwrap();
    let limits = LogLimits {
        max_lines: u64::MAX,
        max_bytes: u64::MAX,
        ..LogLimits::default()
    };
    println!("begun");
    for run in 0.. {
        let writer = logs.begin(&format!("run-{}", run % 2), limits, &[]).unwrap();
        for _ in 0..200 {
            let next = writer.log().lines() + 1;
            let lines = format!("line {next}\nline {}\n", next + 1);
            writer.write(Stream::Stdout, lines.as_bytes(), at(0)).unwrap();
        }
        writer.finish(at(0)).unwrap();
    }
}

#[test]
fn killed_processes_leave_whole_logs() {
    let folder = TempDir::new().unwrap();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::victim", "--ignored", "--nocapture"])
            .env("RUNLOG_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("begun")));
        // Not waiting for anything: any moment will do.
        std::thread::sleep(Duration::from_millis(round * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        for name in logs.names().unwrap() {
            for line in all(&logs.get(&name).unwrap().unwrap()) {
                assert_eq!(
                    line.text,
                    format!("line {}", line.number),
                    "{name}, round {round}"
                );
            }
        }
    }
}
