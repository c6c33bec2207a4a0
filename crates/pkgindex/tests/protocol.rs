//! The three commands as they stand on the wire: bytes in, bytes out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod resident;
mod served;

use std::env;

use pkgindex::{Cycles, ServerOptions};
use proptest::prelude::*;
use resident::memory_kib;
use served::Served;

fn server() -> Served {
    Served::start(ServerOptions::default())
}

/// Sends `lines` to an empty index and expects `answers`, which stand with spaces between them; then the connection must end.
#[track_caller]
fn check(lines: impl AsRef<[u8]>, answers: &str) {
    let server = server();
    let mut client = server.connect();
    client.send(lines);
    assert_eq!(client.end().replace('\n', " ").trim_end(), answers);
}

/// Sends one line, without its newline, which is no command; the connection must stay open.
#[track_caller]
fn check_malformed(line: impl AsRef<[u8]>) {
    let line = line.as_ref();
    check([line, b"\nQUERY|a|\n"].concat(), "ERROR FAIL");
}

#[test]
fn index_needs_every_dependency() {
    check("INDEX|a|\nINDEX|b|a\n", "OK OK");
    check("INDEX|b|a\nQUERY|b|\n", "FAIL FAIL");
    check("INDEX|a|\nINDEX|c|a,b\nQUERY|c|\n", "OK FAIL FAIL");
    check("INDEX|a|a\nQUERY|a|\n", "FAIL FAIL");
}

#[test]
fn index_replaces_the_list() {
    check(
        "INDEX|a|\nINDEX|b|\nINDEX|c|a\nINDEX|c|b\nREMOVE|a|\nREMOVE|b|\n",
        "OK OK OK OK OK FAIL",
    );
    check("INDEX|a|\nINDEX|c|a\nINDEX|c|b\nREMOVE|a|\n", "OK OK FAIL FAIL");
    check("INDEX|a|\nINDEX|c|a\nINDEX|c|\nREMOVE|a|\n", "OK OK OK OK");
}

#[test]
fn every_dependency_blocks_a_removal() {
    let setup = "INDEX|a|\nINDEX|b|\nINDEX|c|\nINDEX|d|a,b,c\n";
    check(
        format!("{setup}REMOVE|a|\nREMOVE|b|\nREMOVE|c|\nREMOVE|d|\n"),
        "OK OK OK OK FAIL FAIL FAIL OK",
    );
}

#[test]
fn removal_is_ok_when_nothing_is_there() {
    check(
        "REMOVE|a|\nINDEX|a|\nREMOVE|a|\nREMOVE|a|\nQUERY|a|\n",
        "OK OK OK OK FAIL",
    );
}

#[test]
fn duplicate_dependencies_are_one_edge() {
    check("INDEX|a|\nINDEX|b|a,a,a\nINDEX|b|\nREMOVE|a|\n", "OK OK OK OK");
}

#[test]
fn cycles_are_taken_by_the_letter_of_the_challenge() {
    assert_eq!(Cycles::default(), Cycles::Literal);
    check(
        "INDEX|a|\nINDEX|b|a\nINDEX|a|b\nREMOVE|a|\nREMOVE|b|\n",
        "OK OK OK FAIL FAIL",
    );
    check("INDEX|a|\nINDEX|a|a\nREMOVE|a|\nQUERY|a|\n", "OK OK OK FAIL");
}

#[test]
fn dependencies_that_mean_nothing_are_only_checked() {
    check("QUERY|a|b,c\nREMOVE|a|b\n", "FAIL OK");
    check("QUERY|a|b,,c\nREMOVE|a|b,\nREMOVE|a|,\n", "ERROR ERROR ERROR");
}

#[test]
fn names_are_case_sensitive_and_may_be_short() {
    check(
        "INDEX|a|\nQUERY|A|\nINDEX|Zlib|\nQUERY|zlib|\n",
        "OK FAIL OK FAIL",
    );
}

#[test]
fn names_with_every_mark() {
    for name in [
        "gtk+",
        "libsigc++",
        "python@3.12",
        "@scope/name",
        "a-b_c.d:e",
        "..",
        "../x",
        "0",
    ] {
        check(format!("INDEX|{name}|\nQUERY|{name}|\n"), "OK OK");
    }
}

#[test]
fn names_have_a_limit() {
    let (longest, too_long) = ("n".repeat(255), "n".repeat(256));
    check(
        format!("INDEX|{longest}|\nINDEX|b|{longest}\nQUERY|{longest}|\n"),
        "OK OK OK",
    );
    check_malformed(format!("INDEX|{too_long}|"));
    check_malformed(format!("INDEX|b|{too_long}"));
}

#[test]
fn lines_that_are_no_commands() {
    let lines = [
        "",
        " ",
        "|",
        "||",
        "|||",
        "INDEX",
        "INDEX|a",
        "INDEX|a|b|",
        "INDEX|a|b|c",
        "INDEX||",
        "INDEX||a",
        "QUERY||",
        "REMOVE||",
        "|a|",
        "index|a|",
        "Query|a|",
        "GET|a|",
        "INDEXES|a|",
        "INDE|a|",
        " INDEX|a|",
        "INDEX |a|",
        "INDEX| a|",
        "INDEX|a |",
        "INDEX|a b|",
        "INDEX|a|,",
        "INDEX|a|,b",
        "INDEX|a|b,",
        "INDEX|a|b,,c",
        "INDEX|a|b, c",
        "INDEX|a|b\tc",
        "INDEX|a\u{7f}|",
        "INDEX|a|\r",
        "QUERY|a|\r",
        "\r",
        "INDEX|a\0|",
        "INDEX|a|\0",
        "INDEX|é|",
        "INDEX|a|é",
        "INDEX|a=b|",
        "INDEX|a;b|",
        "INDEX|a~|",
    ];
    for line in lines {
        check_malformed(line);
    }
}

#[test]
fn invalid_utf8_is_malformed() {
    for name in [
        &b"\xff"[..],
        b"\xc3",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x92",
    ] {
        check_malformed([b"INDEX|", name, b"|"].concat());
        check_malformed([b"INDEX|a|", name].concat());
    }
}

#[test]
fn a_last_line_without_newline_is_not_executed() {
    let server = server();
    let mut client = server.connect();
    assert_eq!(client.ask("INDEX|lib|\nINDEX|libfoo|\n"), "OK\nOK\n");
    client.send("QUERY|lib|\nREMOVE|lib|");
    assert_eq!(client.end(), "OK\n");
    assert_eq!(server.connect().ask("QUERY|lib|\n"), "OK\n");
}

#[test]
fn one_byte_per_segment() {
    let server = server();
    let mut client = server.connect();
    for byte in b"INDEX|a|\nINDEX|b|a\n\nREMOVE|a|\nQUERY|b|\n" {
        client.send([*byte]);
    }
    assert_eq!(client.end(), "OK\nOK\nERROR\nFAIL\nOK\n");
}

#[test]
fn ten_thousand_lines_in_one_go() {
    let mut server = server();
    let lines: String = (0..5_000)
        .map(|number| format!("INDEX|p{number}|\nQUERY|q{number}|\n"))
        .collect();
    let mut client = server.connect();
    assert_eq!(client.ask(&lines), "OK\nFAIL\n".repeat(5_000));
    server.join();
    assert_eq!(server.counts.bytes_in(), lines.len() as u64);
    assert_eq!(server.counts.bytes_out(), 5_000 * 8);
}

#[test]
fn clients_see_each_others_packages() {
    let server = server();
    let (mut one, mut other) = (server.connect(), server.connect());
    assert_eq!(one.ask("INDEX|a|\n"), "OK\n");
    other.send("INDEX|b");
    assert_eq!(one.ask("REMOVE|a|\nINDEX|a|\n"), "OK\nOK\n");
    other.send("|a\n");
    assert_eq!(other.answers(1), "OK\n");
    assert_eq!(one.ask("REMOVE|a|\n"), "FAIL\n");
    assert_eq!(other.ask("REMOVE|b|\nREMOVE|a|\n"), "OK\nOK\n");
}

#[test]
fn a_line_may_be_as_long_as_the_limit() {
    let server = server();
    let limit = ServerOptions::default().max_line_bytes;
    let mut client = server.connect();
    let mut line = "INDEX|a|".to_owned() + &"b,".repeat(limit / 2 - 4);
    line.pop();
    line.push_str("b\n");
    assert_eq!(line.len(), limit + 1);
    assert_eq!(client.ask(&line), "FAIL\n");
    line.insert(line.len() - 1, 'b');
    assert_eq!(client.ask(&line), "ERROR\n");
    assert_eq!(server.counts.lines_too_long(), 1);
    line.truncate(limit - 2);
    line.push_str("\nQUERY|a|\n");
    assert_eq!(client.ask(&line), "ERROR\nFAIL\n");
    assert_eq!(
        server.counts.lines_too_long(),
        1,
        "a trailing comma is not too long"
    );
}

/// `HAUL_LONG_LINE_MIB` says how long; 1024 is a GiB.
#[test]
fn a_very_long_line_takes_no_memory() {
    let mebibytes: usize = env::var("HAUL_LONG_LINE_MIB").map_or(64, |length| length.parse().unwrap());
    let server = server();
    let mut client = server.connect();
    assert_eq!(client.ask("INDEX|a|\n"), "OK\n");
    let before = memory_kib("VmHWM");
    let piece = vec![b'x'; 1 << 20];
    client.send("QUERY|a|\nINDEX|");
    for _ in 0..mebibytes {
        client.send(&piece);
    }
    client.send("\nQUERY|a|\n");
    assert_eq!(client.answers(3), "OK\nERROR\nOK\n");
    let growth = memory_kib("VmHWM") - before;
    assert!(growth < 24 << 10, "the peak has grown by {growth} KiB");
}

/// Lines around a limit of 16 bytes, cut into segments at random.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = prop_oneof![
        3 => Just("QUERY|a|\n".to_owned()),
        1 => Just("INDEX|a|\n".to_owned()),
        4 => (0..40_usize).prop_map(|length| "x".repeat(length) + "\n"),
        1 => (0..40_usize).prop_map(|length| "y".repeat(length)),
    ];
    let stream = prop::collection::vec(line, 0..30).prop_map(|lines| lines.concat().into_bytes());
    (stream, prop::collection::vec(1..50_usize, 1..20)).prop_map(|(stream, cuts)| {
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = behind;
        }
        pieces
    })
}

/// What the answers must be, line by line.
fn expected(stream: &[u8]) -> String {
    let mut is_indexed = false;
    let mut answers = String::new();
    let complete = stream
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| line.ends_with(b"\n"));
    for line in complete {
        is_indexed |= line == b"INDEX|a|\n";
        answers.push_str(match line {
            b"INDEX|a|\n" => "OK\n",
            b"QUERY|a|\n" if is_indexed => "OK\n",
            b"QUERY|a|\n" => "FAIL\n",
            _ => "ERROR\n",
        });
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_do_not_depend_on_the_segments(pieces in pieces()) {
        let server = Served::start(ServerOptions { max_line_bytes: 16, ..ServerOptions::default() });
        let mut client = server.connect();
        for piece in &pieces {
            client.send(piece);
        }
        prop_assert_eq!(client.end(), expected(&pieces.concat()));
        let too_long = pieces.concat().split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.ends_with(b"\n") && line.len() > 17).count();
        prop_assert_eq!(server.counts.lines_too_long(), too_long as u64);
    }
}
