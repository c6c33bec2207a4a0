use std::ops::Range;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::journal::Boot;
use super::*;
use crate::checksum;

const PARTIAL: &str = ".file.haul-partial";
const JOURNAL: &str = ".file.haul-journal";

fn content(size: u64) -> Vec<u8> {
    (0..size).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn only(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}

/// Begins `file` in `path` in a run of its own.
fn begin(path: &Path, identity: &Identity) -> Begun {
    let folder = open(path);
    folder.begin(&place(&folder, "file"), identity, true).unwrap()
}

fn fetch(landing: &Landing, content: &[u8], range: Range<u64>) {
    let bytes = &content[range.start as usize..range.end as usize];
    landing.write_at(range.start, bytes).unwrap();
    landing
        .written(range, checksum::of(Algorithm::Crc32C, bytes))
        .unwrap();
}

/// What is on the disk, as if the process had been killed now.
fn killed(path: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in listed(path) {
        std::fs::copy(path.join(&name), copy.path().join(&name)).unwrap();
    }
    copy
}

/// Two ranges of a file of 100 bytes, and no more.
fn begun_and_killed() -> TempDir {
    let (scratch, folder) = destination();
    let begun = folder
        .begin(&place(&folder, "file"), &identity(100), true)
        .unwrap();
    assert!(begun.have.is_empty());
    fetch(&begun.landing, &content(100), 60..80);
    fetch(&begun.landing, &content(100), 10..30);
    begun.landing.write_at(90, b"not noted").unwrap();
    killed(scratch.path())
}

fn finish(path: &Path, mut begun: Begun, content: &[u8]) {
    let mut at = 0;
    let size = content.len() as u64;
    for have in begun.have.iter().cloned().chain(only(size..size)) {
        if at < have.start {
            fetch(&begun.landing, content, at..have.start);
            let bytes = &content[at as usize..have.start as usize];
            assert!(
                begun
                    .crcs
                    .insert(at..have.start, checksum::of(Algorithm::Crc32C, bytes))
            );
        }
        at = have.end;
    }
    assert_eq!(
        begun.crcs.whole(size),
        Some(checksum::of(Algorithm::Crc32C, content))
    );
    let file = begun.landing.commit(None).unwrap();
    assert_eq!(std::fs::read(file).unwrap(), content);
    assert_eq!(listed(path), ["file"]);
}

#[test]
fn a_killed_run_is_resumed() {
    let left = begun_and_killed();
    let begun = begin(left.path(), &identity(100));
    assert_eq!(begun.have, [10..30, 60..80]);
    finish(left.path(), begun, &content(100));
}

#[test]
fn a_journal_cut_anywhere_yields_what_was_noted_before() {
    let left = begun_and_killed();
    let journal = std::fs::read(left.path().join(JOURNAL)).unwrap();
    for len in 0..journal.len() {
        let left = killed(left.path());
        std::fs::write(left.path().join(JOURNAL), &journal[..len]).unwrap();
        let begun = begin(left.path(), &identity(100));
        assert!(
            begun.have.is_empty() || begun.have == only(60..80),
            "{len}: {:?}",
            begun.have
        );
        finish(left.path(), begun, &content(100));
    }
}

#[test]
fn a_journal_with_a_wrong_byte_anywhere_yields_what_was_noted_before() {
    let left = begun_and_killed();
    let journal = std::fs::read(left.path().join(JOURNAL)).unwrap();
    for at in 0..journal.len() {
        let left = killed(left.path());
        let mut damaged = journal.clone();
        damaged[at] ^= 0x40;
        std::fs::write(left.path().join(JOURNAL), damaged).unwrap();
        let begun = begin(left.path(), &identity(100));
        assert!(
            begun.have.is_empty() || begun.have == only(60..80),
            "{at}: {:?}",
            begun.have
        );
        finish(left.path(), begun, &content(100));
    }
}

#[test]
fn records_go_on_after_a_torn_one() {
    let left = begun_and_killed();
    let journal = std::fs::read(left.path().join(JOURNAL)).unwrap();
    std::fs::write(left.path().join(JOURNAL), &journal[..journal.len() - 3]).unwrap();
    let begun = begin(left.path(), &identity(100));
    fetch(&begun.landing, &content(100), 0..5);
    let left = killed(left.path());
    assert_eq!(begin(left.path(), &identity(100)).have, [0..5, 60..80]);
}

/// What is left of 100 bytes for `wanted`.
#[track_caller]
fn check_fits(first: &FileMeta, second: &FileMeta, fits: bool) {
    let (scratch, folder) = destination();
    let identity = |meta| Identity::of(meta, Some(Algorithm::Crc32C));
    let begun = folder
        .begin(&place(&folder, "file"), &identity(first), true)
        .unwrap();
    fetch(&begun.landing, &content(100), 10..30);
    let left = killed(scratch.path());
    let begun = begin(left.path(), &identity(second));
    assert_eq!(begun.have.is_empty(), !fits);
    let empty = left.path().join(PARTIAL).metadata().unwrap().len() == 0;
    assert_eq!(empty, !fits);
}

#[test]
fn only_the_same_version_of_the_same_bytes_is_resumed() {
    let same = meta(100);
    check_fits(&same, &same.clone(), true);
    let with = |change: fn(&mut FileMeta)| {
        let mut meta = meta(100);
        change(&mut meta);
        meta
    };
    let others: [fn(&mut FileMeta); 6] = [
        |meta| meta.etag = Some("\"other\"".to_owned()),
        |meta| meta.etag = Some("W/\"tag\"".to_owned()),
        |meta| meta.etag = None,
        |meta| meta.size = Some(101),
        |meta| meta.range = 0..99,
        |meta| meta.location = Location::parse("s3://bucket/other").unwrap(),
    ];
    for change in others {
        check_fits(&same, &with(change), false);
    }
}

#[test]
fn without_a_strong_tag_time_and_length_tell_the_version() {
    let at = |seconds| {
        let mut meta = meta(100);
        meta.etag = Some("W/\"weak\"".to_owned());
        meta.last_modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        meta
    };
    check_fits(&at(5), &at(5), true);
    check_fits(&at(5), &at(6), false);
    let mut neither = at(5);
    neither.last_modified = None;
    check_fits(&neither, &neither.clone(), false);
    let mut endless = meta(100);
    endless.size = None;
    check_fits(&endless, &endless.clone(), false);
}

#[test]
fn the_query_counts_only_where_the_tag_does_not_tell() {
    let web = |address: &str, etag: Option<&str>| {
        let mut meta = meta(100);
        meta.location = Location::parse(address).unwrap();
        meta.etag = etag.map(str::to_owned);
        meta.last_modified = Some(SystemTime::UNIX_EPOCH);
        meta
    };
    let (one, two) = ("https://host/x?signature=1", "https://host/x?signature=2");
    check_fits(&web(one, Some("\"tag\"")), &web(two, Some("\"tag\"")), true);
    check_fits(&web(one, None), &web(two, None), false);
    check_fits(&web(one, None), &web(one, None), true);
}

#[test]
fn a_range_of_an_object_is_a_file_of_its_own() {
    let (scratch, folder) = destination();
    let mut part = meta(1000);
    part.range = 500..600;
    let identity = Identity::of(&part, Some(Algorithm::Crc32C));
    let begun = folder.begin(&place(&folder, "file"), &identity, true).unwrap();
    fetch(&begun.landing, &content(100), 0..40);
    let left = killed(scratch.path());
    finish(left.path(), begin(left.path(), &identity), &content(100));
}

#[test]
fn a_partial_file_that_is_missing_or_of_a_wrong_length_is_begun_anew() {
    for len in [None, Some(0), Some(79), Some(101)] {
        let left = begun_and_killed();
        let partial = left.path().join(PARTIAL);
        match len {
            None => std::fs::remove_file(&partial).unwrap(),
            Some(len) => std::fs::write(&partial, vec![9; len]).unwrap(),
        }
        let begun = begin(left.path(), &identity(100));
        assert!(begun.have.is_empty());
        assert_eq!(listed(left.path()), [PARTIAL]);
        finish(left.path(), begun, &content(100));
    }
}

#[test]
fn resuming_can_be_declined() {
    let left = begun_and_killed();
    let folder = open(left.path());
    let begun = folder
        .begin(&place(&folder, "file"), &identity(100), false)
        .unwrap();
    assert!(begun.have.is_empty());
    finish(left.path(), begun, &content(100));
}

#[test]
fn after_a_power_cut_only_ranges_with_their_checksum_are_used() {
    let left = begun_and_killed();
    let mut bytes = std::fs::read(left.path().join(PARTIAL)).unwrap();
    bytes[70] = 0;
    std::fs::write(left.path().join(PARTIAL), bytes).unwrap();
    let folder = open(left.path()).of_boot(Boot::named("another"));
    let begun = folder
        .begin(&place(&folder, "file"), &identity(100), true)
        .unwrap();
    assert_eq!(begun.have, only(10..30));
    finish(left.path(), begun, &content(100));
}

#[test]
fn a_file_that_is_not_whole_gets_no_name() {
    let (scratch, folder) = destination();
    let begun = folder
        .begin(&place(&folder, "file"), &identity(100), true)
        .unwrap();
    begun.landing.write_at(0, &[1; 99]).unwrap();
    check_kind(begun.landing.commit(None), ErrorKind::Disk);
    assert!(!scratch.path().join("file").exists());
}

#[test]
fn what_is_kept_is_what_can_be_used() {
    let (scratch, folder) = destination();
    let place = place(&folder, "file");
    let begun = folder.begin(&place, &identity(100), true).unwrap();
    begun.landing.write_at(0, b"not noted").unwrap();
    begun.landing.keep();
    drop(begun);
    assert!(listed(scratch.path()).is_empty());
    let begun = folder.begin(&place, &identity(100), true).unwrap();
    fetch(&begun.landing, &content(100), 0..10);
    drop(begun);
    assert_eq!(listed(scratch.path()), [JOURNAL, PARTIAL]);
    let begun = folder.begin(&place, &identity(100), true).unwrap();
    drop(begun);
    assert_eq!(listed(scratch.path()), [JOURNAL, PARTIAL]);
    let begun = folder.begin(&place, &identity(100), true).unwrap();
    begun.landing.discard();
    assert!(listed(scratch.path()).is_empty());
}

#[test]
fn eight_threads_write_one_file() {
    let (scratch, folder) = destination();
    let content = content(800_000);
    let begun = folder
        .begin(&place(&folder, "file"), &identity(800_000), true)
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (landing, content) = (&begun.landing, &content);
            let pieces = (0..100).map(move |piece| (piece * 8 + thread) * 1000);
            scope.spawn(move || pieces.for_each(|at| fetch(landing, content, at..at + 1000)));
        }
    });
    let left = killed(scratch.path());
    assert_eq!(begin(left.path(), &identity(800_000)).have, only(0..800_000));
    let file = begun.landing.commit(None).unwrap();
    assert!(std::fs::read(file).unwrap() == content);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Runs that fetch some of what is missing, in any order, write rubbish that they do not note, and are killed with
    /// a journal that may be torn; the last one completes the file.
    #[test]
    fn runs_that_are_killed_end_in_the_right_file(
        runs in prop::collection::vec(
            (prop::collection::vec((0..500_u64, 1..80_u64), 0..12), 0..500_u64, 0..60_usize), 1..6),
    ) {
        const SIZE: u64 = 500;
        let content = content(SIZE);
        let mut left = tempfile::tempdir().unwrap();
        for (ranges, rubbish, torn) in runs {
            let mut begun = begin(left.path(), &identity(SIZE));
            for have in &begun.have {
                let bytes = std::fs::read(begun.landing.temporary()).unwrap();
                let have = have.start as usize..have.end as usize;
                prop_assert_eq!(&bytes[have.clone()], &content[have]);
            }
            for (start, len) in ranges {
                let range = start..(start + len).min(SIZE);
                if begun.crcs.insert(range.clone(), 0) {
                    fetch(&begun.landing, &content, range);
                }
            }
            if begun.crcs.insert(rubbish..rubbish + 1, 0) {
                begun.landing.write_at(rubbish, b"!").unwrap();
            }
            left = killed(left.path());
            if let Ok(journal) = std::fs::read(left.path().join(JOURNAL)) {
                let len = journal.len().saturating_sub(torn);
                std::fs::write(left.path().join(JOURNAL), &journal[..len]).unwrap();
            }
        }
        finish(left.path(), begin(left.path(), &identity(SIZE)), &content);
    }
}
