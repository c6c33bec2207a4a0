//! How what a program writes becomes lines.

use runlog::{LogLimits, Stream};

use crate::desk::{Desk, all, at, texts, written};

#[track_caller]
fn check(program: &[u8], expected: &[&str]) {
    let (lines, summary) = written(&[program], LogLimits::default(), &[]);
    assert_eq!(texts(&lines), expected);
    assert_eq!(summary.lines, expected.len() as u64);
    assert_eq!(summary.dropped_lines, 0);
    let bytes: Vec<&[u8]> = program.chunks(1).collect();
    let (one_by_one, _) = written(&bytes, LogLimits::default(), &[]);
    assert_eq!(texts(&one_by_one), expected, "byte by byte");
}

#[test]
fn a_line_ends_with_a_line_feed_or_with_the_program() {
    check(b"", &[]);
    check(b"one", &["one"]);
    check(b"one\ntwo\n", &["one", "two"]);
    check(b"\n\n", &["", ""]);
    check(b"one\r\ntwo\r\n", &["one", "two"]);
}

#[test]
fn a_carriage_return_goes_back_to_the_start_of_the_line() {
    check(b"10 %\r20 %\r100 %\ndone\n", &["100 %", "done"]);
    check(b"10 %\r20 %\r", &["20 %"]);
    check(b"a\r\r\n", &["a"]);
    check(b"\rb\n", &["b"]);
}

#[test]
fn whatever_is_not_text_can_be_shown() {
    check(b"caf\xc3\xa9 \xe6\x97\xa5", &["café 日"]);
    check(b"bad \xff\xfe end", &["bad \u{fffd}\u{fffd} end"]);
    check(b"cut \xe6\x97", &["cut \u{fffd}"]);
    check(b"a\tb\0c\x08\x7f", &["a\tb\u{2400}c\u{2408}\u{2421}"]);
    check("next\u{85}line".as_bytes(), &["next\u{fffd}line"]);
}

#[test]
fn what_is_for_terminals_is_left_out() {
    check(b"\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[m", &["red green"]);
    check(b"\x1b]0;a title\x07text", &["text"]);
    check(b"\x1b]8;;http://a.test\x1b\\link\x1b]8;;\x1b\\", &["link"]);
    check(b"\x1b(Bplain\x1b", &["plain"]);
    check(b"\x1b[2K\x1b[1Gprogress", &["progress"]);
    // What never ends hides nothing.
    check(b"\x1b]0;open end\nnext", &["0;open end", "next"]);
}

#[test]
fn streams_do_not_mix_within_a_line() {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    writer.write(Stream::Stdout, b"out ", at(1)).unwrap();
    writer.write(Stream::Stderr, b"err ", at(2)).unwrap();
    writer.say(Stream::InternalOut, "one\ntwo", at(3)).unwrap();
    writer.write(Stream::Stdout, b"put\n", at(4)).unwrap();
    writer.write(Stream::Stderr, b"or\n", at(5)).unwrap();
    writer.finish(at(6)).unwrap();
    let lines = all(&desk.logs.get("run").unwrap().unwrap());
    assert_eq!(texts(&lines), ["one", "two", "out put", "err or"]);
    let streams: Vec<Stream> = lines.iter().map(|line| line.stream).collect();
    let haul = Stream::InternalOut;
    assert_eq!(streams, [haul, haul, Stream::Stdout, Stream::Stderr]);
    let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn time_does_not_go_back_in_a_log() {
    let desk = Desk::new();
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    for ms in [5, 3, 9] {
        writer.write(Stream::Stdout, b"line\n", at(ms)).unwrap();
    }
    drop(writer);
    let writer = desk.logs.begin("run", LogLimits::default(), &[]).unwrap();
    writer.write(Stream::Stdout, b"line\n", at(4)).unwrap();
    let lines = all(&writer.log());
    let since: Vec<u64> = lines.iter().map(|line| line.at_ms - 1_700_000_000_000).collect();
    assert_eq!(since, [5, 5, 9, 9]);
}
