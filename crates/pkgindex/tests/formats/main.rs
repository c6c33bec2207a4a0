//! Readers of foreign files, and the dump.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crates_io;
mod debian;
mod dump;

use std::io::{BufRead, BufReader, Write, repeat};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use pkgindex::formats::{FormatError, MAX_FIELD_BYTES, Read, read_crates, read_debian, read_dump};
use pkgindex::store::MemoryStore;
use pkgindex::{Index, Options, Snapshot};
use proptest::prelude::*;

/// What an index shows after one batch.
fn snapshot(lines: &[u8]) -> Arc<Snapshot> {
    let index = Index::open(Box::new(MemoryStore::new()), Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        index.batch(lines).await.unwrap();
        index.snapshot().await.unwrap()
    })
}

fn text(read: &Read) -> &str {
    str::from_utf8(&read.lines).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Reader = fn(&mut dyn BufRead) -> Result<Read, FormatError>;

const READERS: [Reader; 3] = [
    |input| read_dump(input),
    |input| read_debian(input),
    |input| read_crates(input),
];

#[test]
fn line_without_end_is_refused_in_little_memory() {
    for read in READERS {
        let error = read(&mut BufReader::new(repeat(b'a'))).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("line 1: it is longer than {MAX_FIELD_BYTES} bytes")
        );
    }
}

#[test]
fn compressed_line_without_end_is_refused() {
    let bomb = gzip(&vec![b'a'; 2 * MAX_FIELD_BYTES]);
    assert!(bomb.len() < MAX_FIELD_BYTES / 50);
    for read in READERS {
        let error = read(&mut &*bomb).unwrap_err();
        assert!(matches!(error, FormatError::Line { line: 1, .. }), "{error}");
    }
}

#[test]
fn cut_gzip_is_told() {
    let whole = gzip(b"Package: a\n");
    let error = read_debian(&whole[..whole.len() - 4]).unwrap_err();
    assert!(matches!(error, FormatError::Io { .. }), "{error}");
}

#[test]
fn one_gzip_may_follow_another() {
    let files = [gzip(b"Package: a\n\n"), gzip(b"Package: b\n")].concat();
    assert_eq!(text(&read_debian(&*files).unwrap()), "INDEX|a|\nINDEX|b|\n");
}

#[test]
fn nothing_is_no_package() {
    assert_eq!(read_debian(&b""[..]).unwrap().report.packages, 0);
    assert_eq!(read_crates(&b""[..]).unwrap().report.packages, 0);
}

proptest! {
    #[test]
    fn readers_survive_any_bytes(bytes in any::<Vec<u8>>()) {
        for read in READERS {
            let _ = read(&mut &*bytes);
        }
    }

    #[test]
    fn what_is_read_is_a_batch(bytes in "(Package: [a-c]{1,2}\n|(Pre-)?Depends: [a-c]( \\|[, ][a-c])?, [ab]:any\n|Provides: [a-d]\n|\n){0,20}") {
        if let Ok(read) = read_debian(bytes.as_bytes()) {
            let snapshot = snapshot(&read.lines);
            prop_assert_eq!((snapshot.len(), snapshot.edges()), (read.report.packages, read.report.edges));
        }
    }
}
