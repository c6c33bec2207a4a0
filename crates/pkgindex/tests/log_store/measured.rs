//! How fast it is. Run with `--release -- --ignored --nocapture measured`; `HAUL_FOLDER` names the folder to measure in.

use std::time::{Duration, Instant};

use bytes::Bytes;
use pkgindex::store::{Durability, LogOptions, LogStore, Packages, Store};
use pkgindex::{Change, Revision};

use crate::world::open;

struct Nothing;

impl Packages for Nothing {
    fn piece(&self, _: usize, _: &mut Vec<u8>) -> Option<usize> {
        None
    }

    fn applied(&self) -> Revision {
        Revision(0)
    }

    fn rollbacks(&self) -> u64 {
        0
    }
}

fn folder() -> tempfile::TempDir {
    match std::env::var_os("HAUL_FOLDER") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

fn changes(base: Revision, count: u64) -> Vec<Change> {
    let change = |at| Change {
        revision: Revision(base.0 + at),
        origin: 1,
        lines: Bytes::from(format!("INDEX|package-{}|base,other\n", base.0 + at)),
    };
    (1..=count).map(change).collect()
}

fn measure(options: LogOptions, count: u64, commits: u32) -> Vec<Duration> {
    let folder = folder();
    let (mut store, _) = open(folder.path(), options);
    while store.tend(&Nothing).unwrap() {}
    let mut base = Revision(0);
    let mut times = Vec::new();
    for _ in 0..commits {
        let changes = changes(base, count);
        let began = Instant::now();
        store.commit(base, &changes).unwrap();
        times.push(began.elapsed());
        base = changes.last().unwrap().revision;
    }
    times.sort_unstable();
    times
}

#[test]
#[ignore = "measures; run it with --release"]
fn measured_commits() {
    for (name, prepared_bytes) in [("growing", 0), ("prepared", 64 << 20)] {
        for (count, commits) in [(1, 2000), (1000, 500)] {
            let options = LogOptions {
                prepared_bytes,
                ..LogOptions::default()
            };
            let times = measure(options, count, commits);
            let [half, most] = [times.len() / 2, times.len() * 99 / 100].map(|at| times[at]);
            let mean = times.iter().sum::<Duration>() / commits;
            println!("{name}, {count} changes: mean {mean:?}, half under {half:?}, 99 of 100 under {most:?}");
        }
    }
}

#[test]
#[ignore = "measures; run it with --release"]
fn measured_load() {
    let folder = folder();
    let mut lines = String::new();
    for number in 0..63_436 {
        lines += &format!("INDEX|a-package-with-a-name-{number}|");
        let dependencies: Vec<_> = (1..=4.min(number))
            .map(|behind| format!("a-package-with-a-name-{}", number - behind))
            .collect();
        lines += &dependencies.join(",");
        lines += "\n";
    }
    println!("{} bytes of lines", lines.len());
    {
        let (mut store, _) = open(
            folder.path(),
            LogOptions {
                durability: Durability::Always,
                ..LogOptions::default()
            },
        );
        let change = Change {
            revision: Revision(1),
            origin: 1,
            lines: lines.into(),
        };
        let began = Instant::now();
        store.commit(Revision(0), &[change]).unwrap();
        println!("committed in {:?}", began.elapsed());
    }
    let before = peak_kib();
    let began = Instant::now();
    let mut store = LogStore::open(folder.path(), LogOptions::default()).unwrap();
    let loaded = store.load().unwrap();
    println!(
        "loaded {} bytes in {:?}, peak {} -> {} KiB",
        loaded.lines.len(),
        began.elapsed(),
        before,
        peak_kib()
    );
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
