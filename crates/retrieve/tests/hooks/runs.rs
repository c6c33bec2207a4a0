//! The rows run, list, file start, plan and file end.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use origin::{Delay, Shaping, content};
use retrieve::hooks::{
    ChunkTiming, FileStart, FunctionalHook, ListPage, Plan, RunStart, Select, StatefulHook,
};
use retrieve::{Control, Done, Entry, ErrorKind, FileMeta, Hooks, Outcome, Report, Stats};

use crate::*;

/// Slow at first, and fast when some ticks have come.
#[derive(Default)]
struct Throttle {
    ticks: u32,
}

impl StatefulHook for Throttle {
    fn name(&self) -> &str {
        "throttle"
    }

    fn on_run_start(&mut self, start: &RunStart, control: &Control) {
        assert_eq!(start.sources, ["s3://b/"]);
        control.limit_bandwidth(Some(100_000));
        control.fix_connections(Some(2));
        control.set_window(Some(1 << 20));
    }

    fn on_tick(&mut self, stats: &Stats, control: &Control) {
        self.ticks += 1;
        assert!(stats.connections_allowed <= 2);
        if self.ticks == 4 {
            // 100 kB/s for 0.4 s, and what may come at once.
            assert!(stats.bytes < 1 << 20, "{stats:?}");
            control.limit_bandwidth(None);
        }
    }

    fn on_run_end(&mut self, report: &Report) -> Result<(), String> {
        assert_eq!(report.stats.files_done, 8);
        Err("it wanted more".into())
    }
}

#[test]
fn a_run_is_steered_from_its_start_and_its_ticks() {
    let names: Vec<String> = (0..8).map(|number| format!("{number}")).collect();
    let objects: Vec<_> = names.iter().map(|name| (name.as_str(), 1 << 20)).collect();
    let origin = origin_with(&objects);
    let started = Instant::now();
    let (files, report) = read(&origin, "s3://b/", Hooks::default().stateful(Throttle::default()));
    assert!(files.iter().all(|(_, bytes)| bytes.is_ok()));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "the limit was not lifted"
    );
    // Requests that list come in addition.
    assert!(origin.stats().requests_peak <= 3, "{:?}", origin.stats());
    assert_eq!(report.hooks[0].failure.as_deref(), Some("it wanted more"));
    assert!(!report.is_complete());
}

/// Sorts entries by what their names begin with.
#[derive(Default)]
struct Choose {
    listed: Arc<Mutex<Vec<String>>>,
}

impl StatefulHook for Choose {
    fn name(&self) -> &str {
        "choose"
    }

    fn on_list_page(&mut self, page: &ListPage<'_>) {
        let names = page.entries.iter().map(|entry| entry.name.clone());
        self.listed.lock().unwrap().extend(names);
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        match entry.name.as_bytes()[0] {
            b's' => return Select::Skip,
            b'n' => entry.name = format!("named/{}", entry.name),
            b'p' => entry.range = Some(10..20),
            b'u' => entry.priority = 1,
            _ => {}
        }
        Select::Keep
    }
}

#[test]
fn a_listing_is_seen_and_its_entries_are_chosen() {
    let origin = origin_with(&[("keep", 100), ("name", 100), ("part", 100), ("skip", 100)]);
    let folder = tempfile::tempdir().unwrap();
    let hook = Choose::default();
    let listed = Arc::clone(&hook.listed);
    let report = save(&origin, "s3://b/", folder.path(), Hooks::default().stateful(hook));
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(*listed.lock().unwrap(), ["keep", "name", "part", "skip"]);
    assert_eq!(saved(folder.path()), ["keep", "named", "part"]);
    check_saved(folder.path(), "keep", 0, 100);
    check_saved(folder.path(), "named/name", 1, 100);
    assert!(fs::read(folder.path().join("part")).unwrap() == content(2, 10..20));
    assert_eq!(report.stats.files_skipped, 1);
}

#[test]
fn what_is_urgent_comes_before_what_was_listed_before_it() {
    let names: Vec<String> = (0..500)
        .map(|number| format!("a{number:03}"))
        .chain(["urgent".into()])
        .collect();
    let objects: Vec<_> = names.iter().map(|name| (name.as_str(), CHUNK)).collect();
    let origin = origin_with(&objects);
    let first_byte = Delay::Constant(Duration::from_millis(5));
    origin.set_shaping(
        "b",
        Shaping {
            first_byte,
            ..Shaping::default()
        },
    );
    /// Few at a time, so that others wait.
    struct Few;
    impl StatefulHook for Few {
        fn name(&self) -> &str {
            "few"
        }
        fn on_run_start(&mut self, _start: &RunStart, control: &Control) {
            control.fix_connections(Some(1));
            control.set_window(Some(4 * CHUNK));
        }
    }
    let hooks = Hooks::default().stateful(Few).stateful(Choose::default());
    let (files, _) = read(&origin, "s3://b/", hooks);
    let place = files.iter().position(|(name, _)| name == "urgent");
    assert!(
        place.is_some_and(|place| place < 400),
        "it came as number {place:?}"
    );
}

/// Decides when a file may begin, by its name.
struct AtStart;

impl StatefulHook for AtStart {
    fn name(&self) -> &str {
        "at start"
    }

    fn on_file_start(&mut self, meta: &FileMeta) -> FileStart {
        assert_eq!(meta.size, Some(3 * CHUNK));
        match meta.name.as_str() {
            "cached" => FileStart::UseCache,
            "part" => FileStart::Range(CHUNK + 1..CHUNK + 5),
            "skip" => FileStart::Skip,
            _ => FileStart::Fetch,
        }
    }
}

#[test]
fn a_file_is_fetched_skipped_taken_from_a_cache_or_cut() {
    let size = 3 * CHUNK;
    let origin = origin_with(&[("cached", size), ("fetch", size), ("part", size), ("skip", size)]);
    let folder = tempfile::tempdir().unwrap();
    let report = save(
        &origin,
        "s3://b/",
        folder.path(),
        Hooks::default().stateful(AtStart),
    );
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(saved(folder.path()), ["fetch", "part"]);
    check_saved(folder.path(), "fetch", 1, size);
    assert!(fs::read(folder.path().join("part")).unwrap() == content(2, CHUNK + 1..CHUNK + 5));
    let stats = &report.stats;
    assert_eq!(
        (stats.files_done, stats.files_cached, stats.files_skipped),
        (2, 1, 1)
    );
}

struct CutAt(Plan);

impl StatefulHook for CutAt {
    fn name(&self) -> &str {
        "cut"
    }

    fn plan_chunks(&mut self, meta: &FileMeta, default: &Plan) -> Option<Plan> {
        assert_eq!(*default, Plan::Every(CHUNK));
        (meta.name == "one").then(|| self.0.clone())
    }
}

/// Keeps the ranges that came.
#[derive(Default)]
struct Ranges(Mutex<Vec<Range<u64>>>);

impl FunctionalHook for Ranges {
    fn name(&self) -> &str {
        "ranges"
    }

    fn on_chunk(&self, chunk: &ChunkTiming<'_>) -> Result<(), String> {
        assert!(chunk.attempts == 1 && chunk.first_byte <= chunk.total);
        self.0.lock().unwrap().push(chunk.range.clone());
        Ok(())
    }
}

#[test]
fn a_file_is_cut_as_a_hook_says() {
    let size = 5 * CHUNK;
    let origin = origin_with(&[("one", size)]);
    let every = Plan::Every(2 * CHUNK);
    let cuts = Plan::Cuts(vec![CHUNK + 7, 3 * CHUNK]);
    for (plan, starts) in [(every, [2 * CHUNK, 4 * CHUNK]), (cuts, [CHUNK + 7, 3 * CHUNK])] {
        let ranges = Arc::new(Ranges::default());
        let hooks = Hooks::default()
            .stateful(CutAt(plan))
            .functional(Arc::clone(&ranges));
        let folder = tempfile::tempdir().unwrap();
        let report = save(&origin, "s3://b/one", folder.path(), hooks);
        assert!(report.is_complete(), "{report:?}");
        check_saved(folder.path(), "one", 0, size);
        let ranges = ranges.0.lock().unwrap();
        let begins_at = |start: &u64| ranges.iter().any(|range| range.start == *start);
        assert!(starts.iter().all(begins_at), "{ranges:?}");
        assert_eq!(
            ranges.iter().map(|range| range.end - range.start).sum::<u64>(),
            size
        );
    }
}

/// Refuses a file at one of the two ends.
struct Refuse {
    at: &'static str,
}

impl Refuse {
    fn answer(&self, at: &str, meta: &FileMeta) -> Result<(), String> {
        match self.at == at && meta.name == "bad" {
            true => Err("it smells".into()),
            false => Ok(()),
        }
    }
}

impl StatefulHook for Refuse {
    fn name(&self) -> &str {
        "nose"
    }

    fn verify(&mut self, meta: &FileMeta, done: &Done, path: Option<&Path>) -> Result<(), String> {
        assert_eq!(done.bytes, meta.size.unwrap());
        assert_eq!(path.unwrap().metadata().unwrap().len(), done.bytes);
        self.answer("verify", meta)
    }

    fn commit(&mut self, meta: &FileMeta, temporary: &Path, path: &Path) -> Result<(), String> {
        assert!(temporary.exists() && !path.exists());
        self.answer("commit", meta)
    }
}

impl FunctionalHook for Refuse {
    fn name(&self) -> &str {
        "nose"
    }

    fn verify(&self, meta: &FileMeta, _done: &Done, path: Option<&Path>) -> Result<(), String> {
        assert!(path.unwrap().exists());
        self.answer("parallel verify", meta)
    }
}

#[test]
fn a_refused_file_never_gets_its_name() {
    for size in [1, 3 * CHUNK] {
        let origin = origin_with(&[("bad", size), ("good", size)]);
        for at in ["verify", "commit", "parallel verify"] {
            let folder = tempfile::tempdir().unwrap();
            let endings = Endings::default();
            let hooks = Hooks::default()
                .stateful(Refuse { at })
                .functional(Refuse { at })
                .stateful(endings.clone());
            let report = save(&origin, "s3://b/", folder.path(), hooks);
            check_failed(&report, "bad", ErrorKind::Hook);
            assert!(
                report.failed[0]
                    .1
                    .to_string()
                    .contains("nose refuses it: it smells"),
                "{report:?}"
            );
            assert_eq!(saved(folder.path()), ["good"], "{at}");
            check_saved(folder.path(), "good", 1, size);
            let endings = endings.0.lock().unwrap();
            let bad: Vec<_> = endings.iter().filter(|(name, _)| name == "bad").collect();
            assert!(matches!(bad[..], [(_, Outcome::Failed(_))]), "{bad:?}");
        }
    }
}
