//! Every store against the suite of `pkgindex::testkit::stores`; PostgreSQL and Redis where they are installed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod guards;
mod postgres;
mod redis;
mod started;

use std::process::ExitCode;
use std::sync::Arc;

use pkgindex::store::{LogOptions, LogStore, MemoryStore, SharedDiskOptions, SharedDiskStore};
use pkgindex::testkit::stores::{Backend, Broken, Fresh, crash};
use tests::{Bench, Need};

use started::Started;

fn main() -> ExitCode {
    let (postgres, redis) = (Started::new(postgres::start), Started::new(redis::start));
    let backends = [
        (memory(), &[][..]),
        (log(), &[]),
        (shared_disk(), &[]),
        (postgres::backend(&postgres), &[Need::Postgres][..]),
        (redis::backend(&redis), &[Need::Program("redis-server")][..]),
    ];
    if let Some(code) = crash::child(backends.iter().map(|(backend, _)| backend)).or_else(postgres::child) {
        return code;
    }
    let mut bench = Bench::default();
    for (backend, needs) in backends {
        add(&mut bench, backend, needs);
    }
    postgres::add(&mut bench, &postgres);
    redis::add(&mut bench, &redis);
    drop((postgres, redis));
    bench.run()
}

fn memory() -> Backend {
    Backend {
        name: "memory",
        keeps: false,
        shared: false,
        open: |_| Ok(Box::new(MemoryStore::new())),
        open_forgetful: None,
        fresh: Box::new(|| Ok(String::new())),
    }
}

fn log() -> Backend {
    Backend {
        name: "log",
        keeps: true,
        shared: false,
        open: |folder| Ok(Box::new(LogStore::open(folder.as_ref(), LogOptions::default())?)),
        open_forgetful: None,
        fresh: folders(),
    }
}

fn shared_disk() -> Backend {
    Backend {
        name: "shared-disk",
        keeps: true,
        shared: true,
        open: |folder| {
            Ok(Box::new(SharedDiskStore::open(
                folder.as_ref(),
                SharedDiskOptions::default(),
            )?))
        },
        open_forgetful: None,
        fresh: folders(),
    }
}

/// A new folder each time; all go with what is returned.
fn folders() -> Fresh {
    let parent = tempfile::tempdir();
    Box::new(move || {
        let parent = parent
            .as_ref()
            .map_err(|error| Broken(format!("no folder: {error}")))?;
        let folder = tempfile::tempdir_in(parent)?.keep();
        Ok(folder.display().to_string())
    })
}

/// All cases that apply, each as a test of its own.
fn add(bench: &mut Bench, backend: Backend, needs: &[Need]) {
    let backend = Arc::new(backend);
    for (name, case) in backend.cases() {
        let shared = Arc::clone(&backend);
        bench.test(format!("{}: {name}", backend.name), needs, move || {
            Ok(case(&shared)?)
        });
    }
    if backend.keeps {
        let name = format!("{}: killed in the middle of writing", backend.name);
        bench.test(name, needs, move || Ok(crash::kills(&backend)?));
    }
}
