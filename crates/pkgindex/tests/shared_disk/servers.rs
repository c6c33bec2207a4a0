//! Several indexes on one folder.

use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use pkgindex::store::{SharedDiskOptions, SharedDiskStore, Store};
use pkgindex::{Answer, Change, Index, Options, Revision};
use tokio::runtime::Runtime;

use crate::{applied, open, options, unmended, wait_for};

const SERVERS: usize = 3;
const WRITES: usize = 25;

/// A server with a lease that a test can wait for.
pub(crate) fn start(folder: &Path) -> Index {
    let quick = SharedDiskOptions {
        lease: Duration::from_secs(1),
        ..options()
    };
    let store = SharedDiskStore::open(folder, quick).unwrap();
    let patient = Options {
        commit_timeout: Duration::from_secs(60),
        ..Options::default()
    };
    Index::open(Box::new(store), patient).unwrap()
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Sends one line and returns what is said to it.
pub(crate) fn say(runtime: &Runtime, index: &Index, line: &str) -> Answer {
    runtime.block_on(index.replies(line.as_bytes())).unwrap()[0].answer
}

/// Adds packages that depend on one that all servers change, removes every other, and contradicts the others.
fn write(server: usize, index: &Index) {
    let runtime = runtime();
    let ok = |line: String| assert_eq!(say(&runtime, index, &line), Answer::Ok, "{line}");
    ok("INDEX|base|\n".to_owned());
    for number in 0..WRITES {
        ok(format!("INDEX|p{server}-{number}|base\n"));
        say(&runtime, index, "REMOVE|contested|\n");
        say(&runtime, index, &format!("INDEX|contested|p{server}-{number}\n"));
        if number % 2 == 1 {
            ok("INDEX|contested|base\n".to_owned());
            say(&runtime, index, &format!("REMOVE|p{server}-{number}|\n"));
        }
    }
}

fn all_changes(index: &Index) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    loop {
        let after = all.last().map_or(Revision(0), |change| change.revision);
        let more = index.changes(after).unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn lines(changes: &[Change]) -> Bytes {
    crate::model(
        changes
            .iter()
            .map(|change| str::from_utf8(&change.lines).unwrap().to_owned()),
    )
}

#[test]
fn servers_that_write_at_the_same_time_agree() {
    let folder = crate::folder();
    let indexes: Vec<_> = (0..SERVERS).map(|_| start(folder.path())).collect();
    thread::scope(|scope| {
        for (server, index) in indexes.iter().enumerate() {
            scope.spawn(move || write(server, index));
        }
    });
    let newest = indexes.iter().map(|index| index.sizes().committed).max().unwrap();
    wait_for(|| indexes.iter().all(|index| index.sizes().committed == newest));
    let told: Vec<_> = indexes.iter().map(all_changes).collect();
    let revisions: Vec<_> = told[0].iter().map(|change| change.revision.0).collect();
    assert!(revisions.iter().copied().eq(1..=newest.0), "{revisions:?}");
    assert!(told.iter().all(|changes| *changes == told[0]));
    for index in &indexes {
        let runtime = runtime();
        for (server, number) in
            (0..SERVERS).flat_map(|server| (0..WRITES).step_by(2).map(move |n| (server, n)))
        {
            assert_eq!(
                say(&runtime, index, &format!("QUERY|p{server}-{number}|\n")),
                Answer::Ok
            );
        }
    }
    wait_for(|| applied(folder.path()) == Some(newest.0));
    drop(indexes);
    let mut store = open(folder.path());
    assert_eq!(store.load().unwrap().lines, lines(&told[0]));
    assert_eq!(unmended(&mut store, false), [""; 0]);
}

#[test]
fn a_server_loads_what_another_is_writing() {
    let folder = crate::folder();
    let index = start(folder.path());
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(0, &index));
        while !writer.is_finished() {
            // Opening judges what was loaded: a dependency that is not there would be an error.
            let other = start(folder.path());
            assert!(other.sizes().committed <= index.sizes().committed.next());
        }
    });
}
