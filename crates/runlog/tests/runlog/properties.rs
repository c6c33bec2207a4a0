//! Laws that hold for whatever is written, and however it is read.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use runlog::{Log, LogLimits, Stream};

use crate::desk::{Desk, all, at, texts, written};

const SECRET: &str = "tr0ub4dor&3";

/// What programs write, with all that is awkward.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"a",
        b"some words ",
        b"\x1b[31m",
        b"\x1b",
        b"[",
        b"\xff",
        b"\0",
        "日".as_bytes(),
        b"tr0ub",
        b"4dor&3",
        SECRET.as_bytes(),
        b"dHIwdWI0ZG9yJjM=",
    ];
    vec(select(parts), 0..60).prop_map(|parts| parts.concat())
}

fn limits() -> impl Strategy<Value = LogLimits> {
    (0..30_u64, 0..300_u64, 0..40_usize, 0..500_usize).prop_map(
        |(max_lines, max_bytes, max_line_bytes, memory_bytes)| LogLimits {
            max_lines,
            max_bytes,
            max_line_bytes,
            memory_bytes,
        },
    )
}

fn split<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// How lines are meant, in the plainest words.
fn model(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<&str> = text.split('\n').collect();
    let last = lines.pop().unwrap_or_default();
    let shown = |line: &str| {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r')
            .next()
            .unwrap_or_default()
            .replace('\0', "\u{2400}")
    };
    let mut shown_lines: Vec<String> = lines.into_iter().map(shown).collect();
    shown_lines.extend(Some(shown(last)).filter(|line| !line.is_empty()));
    shown_lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(bytes in output(), cuts in vec(any::<Index>(), 0..20), limits in limits()) {
        let whole = written(&[&bytes], limits, &[SECRET]);
        let pieces = written(&split(&bytes, &cuts), limits, &[SECRET]);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn lines_are_what_the_model_says(bytes in output()) {
        let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0x1b).collect();
        let (lines, _) = written(&[&bytes], LogLimits::default(), &[]);
        prop_assert_eq!(texts(&lines), model(&bytes));
    }

    #[test]
    fn every_line_is_kept_or_counted(bytes in output(), limits in limits()) {
        let lines = LogLimits { max_lines: 1_000, max_bytes: 1 << 20, ..limits };
        let (all, _) = written(&[&bytes], lines, &[]);
        let (kept, summary) = written(&[&bytes], limits, &[]);
        let notice = u64::from(summary.dropped_lines > 0);
        prop_assert_eq!(summary.lines, kept.len() as u64);
        prop_assert_eq!(summary.lines - notice + summary.dropped_lines, all.len() as u64);
        prop_assert!(summary.lines - notice <= limits.max_lines);
    }

    #[test]
    fn no_secret_is_shown(bytes in output(), cuts in vec(any::<Index>(), 0..20), limits in limits()) {
        let (lines, _) = written(&split(&bytes, &cuts), limits, &[SECRET]);
        for line in lines {
            prop_assert!(!line.text.contains(SECRET), "{}", line.text);
            prop_assert!(!line.text.contains("dHIwdWI0ZG9yJjM"), "{}", line.text);
        }
    }

    #[test]
    fn lines_are_no_longer_than_they_may_be(bytes in output(), limits in limits()) {
        let (lines, _) = written(&[&bytes], limits, &[]);
        let mark = " [cut here: the line is longer]";
        for line in lines.iter().filter(|line| line.stream == Stream::Stdout) {
            let text = line.text.strip_suffix(mark).unwrap_or(&line.text);
            prop_assert!(text.len() <= limits.max_line_bytes, "{}", line.text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever reads after any line, from memory, from the file or from the compressed one, gets exactly what follows.
    #[test]
    fn readers_see_exactly_the_suffix(
        writes in vec((1..40_usize, 0..9_000_usize), 1..20),
        memory_bytes in 0..200_000_usize,
        after in vec(any::<Index>(), 1..8),
    ) {
        let desk = Desk::new();
        let limits = LogLimits { memory_bytes, max_bytes: 1 << 30, ..LogLimits::default() };
        let writer = desk.logs.begin("run", limits, &[]).unwrap();
        for (lines, length) in writes {
            let piece = format!("{}\n", "x".repeat(length)).repeat(lines);
            writer.write(Stream::Stdout, piece.as_bytes(), at(0)).unwrap();
        }
        let live = writer.log();
        let everything = all(&live);
        let check = |log: &Log| {
            for place in &after {
                let place = place.index(everything.len() + 1);
                let mut read = Vec::new();
                loop {
                    let more = log.read((place + read.len()) as u64).unwrap();
                    if more.is_empty() { break; }
                    read.extend(more);
                }
                assert_eq!(&read, &everything[place..]);
                assert_eq!(&log.tail(read.len()).unwrap(), &everything[place..]);
            }
        };
        prop_assert!(everything.iter().map(|line| line.number).eq(1..=live.lines()));
        check(&live);
        check(&desk.restart().get("run").unwrap().unwrap());
        writer.finish(at(0)).unwrap();
        check(&live);
        check(&desk.logs.get("run").unwrap().unwrap());
    }
}
