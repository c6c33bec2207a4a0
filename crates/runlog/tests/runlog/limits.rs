//! What is kept of a program that writes too much.

use runlog::{LogLimits, Stream, Summary};

use crate::desk::{Desk, all, at, texts, written};

const SMALL: LogLimits = LogLimits {
    max_lines: 3,
    max_bytes: 1_000,
    max_line_bytes: 10,
    memory_bytes: 1_000,
};

const CUT: &str = " [cut here: the line is longer]";
const FULL: &str =
    "the log is full, nothing more of the output is kept; its limits are 3 lines and 1000 bytes";

#[test]
fn lines_beyond_the_limit_are_counted() {
    let (lines, summary) = written(&[b"1\n2\n3\n4\n5\n", b"6\n7", b"8\n9"], SMALL, &[]);
    assert_eq!(texts(&lines), ["1", "2", "3", FULL]);
    assert_eq!(lines[3].stream, Stream::InternalErr);
    assert_eq!((summary.lines, summary.dropped_lines), (4, 5));
}

#[test]
fn bytes_beyond_the_limit_are_not_kept() {
    let limits = LogLimits {
        max_lines: 100,
        max_bytes: 70,
        max_line_bytes: 50,
        ..SMALL
    };
    let piece = [[b'x'; 40], [b'y'; 40]].join(&b'\n');
    let (lines, summary) = written(&[&piece, b"\nsmall\n"], limits, &[]);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].text, "x".repeat(40));
    assert_eq!(
        summary.dropped_lines, 2,
        "what is small does not slip in behind what is large"
    );
}

#[test]
fn what_haul_says_is_kept_when_the_log_is_full() {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", SMALL, &[]).unwrap();
    writer.write(Stream::Stdout, b"1\n2\n3\n4\n", at(0)).unwrap();
    writer.say(Stream::InternalErr, "killed", at(1)).unwrap();
    assert_eq!(texts(&all(&writer.log())), ["1", "2", "3", FULL, "killed"]);
}

#[test]
fn even_haul_does_not_speak_without_end() {
    let desk = Desk::new();
    let limits = LogLimits::default();
    let writer = desk.logs.begin("run", limits, &[]).unwrap();
    for _ in 0..1_500 {
        writer.say(Stream::InternalOut, "again", at(0)).unwrap();
    }
    writer.write(Stream::Stdout, b"still there\n", at(0)).unwrap();
    let summary = writer.finish(at(0)).unwrap();
    assert_eq!((summary.lines, summary.dropped_lines), (1_001, 0));
}

#[test]
fn a_long_line_is_cut_at_a_whole_character() {
    let check = |line: &str, expected: &str| {
        let (lines, _) = written(&[line.as_bytes(), b"\nnext\n"], SMALL, &[]);
        assert_eq!(texts(&lines), [expected, "next"]);
    };
    check("0123456789", "0123456789");
    check("0123456789a", &format!("0123456789{CUT}"));
    check("012345678é", &format!("012345678{CUT}"));
    check("01234567é", "01234567é");
    check("0123456日本", &format!("0123456日{CUT}"));
    // Bytes that are shown as three each.
    let (lines, _) = written(&[&[0; 8]], SMALL, &[]);
    assert_eq!(texts(&lines), [format!("{}{CUT}", "\u{2400}".repeat(3))]);
}

#[test]
fn an_endless_line_is_shown_at_once_and_its_rest_forgotten() {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..16 {
        writer.write(Stream::Stdout, &piece, at(0)).unwrap();
        assert_eq!(writer.log().lines(), 1);
    }
    writer.write(Stream::Stdout, b"\nnext\n", at(0)).unwrap();
    let lines = all(&writer.log());
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].text.len(), (16 << 10) + CUT.len());
    let summary = writer.finish(at(0)).unwrap();
    assert!(summary.bytes < 20 << 10, "{summary:?}");
}

#[test]
fn a_million_lines_cost_no_more_than_the_limit() {
    let piece = b"a line of the usual length, say, fifty bytes or so\n".repeat(1_000);
    let pieces = vec![piece.as_slice(); 1_000];
    let (lines, summary) = written(&pieces, LogLimits::default(), &[]);
    assert_eq!(lines.len(), 10_001);
    assert!(summary.bytes < 1 << 20);
    assert_eq!(summary.dropped_lines, 990_000);
}

#[test]
fn limits_of_zero_keep_what_haul_says() {
    let nothing = LogLimits {
        max_lines: 0,
        max_bytes: 0,
        max_line_bytes: 0,
        memory_bytes: 0,
    };
    let (lines, summary) = written(&[b"1\n2\n"], nothing, &[]);
    assert_eq!(lines.len(), 1);
    let expected = Summary {
        lines: 1,
        dropped_lines: 2,
        ..summary
    };
    assert_eq!(summary, expected);
}
