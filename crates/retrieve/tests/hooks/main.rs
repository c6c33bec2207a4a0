//! Every row of the table of hooks, and every hook that comes with the crate, on real runs against an origin.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../bucket/mod.rs"]
mod bucket;
mod builtin;
mod bytes;
mod panics;
mod requests;
mod runs;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bucket::request;
use origin::{Config, Object, Origin, content};
use retrieve::hooks::StatefulHook;
use retrieve::{ErrorKind, FileMeta, Hooks, Options, Outcome, Report, Retriever};

const CHUNK: u64 = 64 << 10;

/// An origin with objects of these names and lengths, whose seeds count from 0.
fn origin_with(objects: &[(&str, u64)]) -> Origin {
    let origin = Origin::start(Config::default()).unwrap();
    for (seed, (key, size)) in (0..).zip(objects) {
        origin.put("b", key, Object::new(seed, *size));
    }
    origin
}

fn retriever() -> Retriever {
    Retriever::new(Options {
        chunk_bytes: Some(CHUNK),
        max_backoff: Duration::from_millis(50),
        ..Options::default()
    })
    .unwrap()
}

fn save(origin: &Origin, address: &str, folder: &Path, hooks: Hooks) -> Arc<Report> {
    retriever()
        .save(request(origin, address), folder, hooks)
        .unwrap()
        .wait()
}

/// A name, and its bytes or why there are none.
type Read = (String, Result<Vec<u8>, ErrorKind>);

fn read(origin: &Origin, address: &str, hooks: Hooks) -> (Vec<Read>, Arc<Report>) {
    let retriever = retriever();
    let mut files = retriever.read(request(origin, address), hooks).unwrap();
    let mut all = Vec::new();
    for file in &mut files {
        all.push(match file {
            Err((meta, error)) => (meta.name, Err(error.kind())),
            Ok(file) => {
                let name = file.meta().name;
                let pieces: Result<Vec<_>, _> = file.collect();
                (
                    name,
                    pieces.map(|pieces| pieces.concat()).map_err(|error| error.kind()),
                )
            }
        });
    }
    let report = futures::executor::block_on(files.report());
    (all, report)
}

/// Names below a folder, without the engine's own.
fn saved(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[track_caller]
fn check_saved(folder: &Path, name: &str, seed: u64, size: u64) {
    assert!(
        fs::read(folder.join(name)).unwrap() == content(seed, 0..size),
        "{name} is wrong"
    );
}

#[track_caller]
fn check_failed(report: &Report, name: &str, kind: ErrorKind) {
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|(meta, error)| (meta.name.as_str(), error.kind()))
        .collect();
    assert_eq!(failed, [(name, kind)]);
}

/// Keeps how files ended.
#[derive(Clone, Default)]
struct Endings(Arc<Mutex<Vec<(String, Outcome)>>>);

impl StatefulHook for Endings {
    fn name(&self) -> &str {
        "endings"
    }

    fn on_file_end(&mut self, meta: &FileMeta, outcome: &Outcome) {
        self.0.lock().unwrap().push((meta.name.clone(), outcome.clone()));
    }
}
