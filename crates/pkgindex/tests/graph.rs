//! The index against the model: commands, batches, cycles, reasons, snapshots, changes; and graphs of a million packages.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod graph {
    mod against_model;
    mod bytes;
    mod large;
}

use std::collections::{BTreeMap, BTreeSet};

use pkgindex::store::MemoryStore;
use pkgindex::{Cycles, Index, Options, Snapshot};

/// An index of its own that keeps every change in memory.
fn opened(cycles: Cycles) -> Index {
    let options = Options {
        cycles,
        feed_bytes: 256 << 20,
        ..Options::default()
    };
    Index::open(Box::new(MemoryStore::new()), options).unwrap()
}

/// Nothing here waits for a store, so every future is ready when it is first looked at.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("an index that keeps nothing made somebody wait"),
    }
}

type Edges = BTreeMap<String, BTreeSet<String>>;

/// What a snapshot shows, read forward; panics when backward it shows something else.
fn edges_of(snapshot: &Snapshot) -> Edges {
    let mut forward = Edges::new();
    let mut backward = Edges::new();
    for package in snapshot.packages() {
        let name = snapshot.name(package).to_owned();
        assert_eq!(snapshot.find(&name), Some(package));
        let names = |ids: &[pkgindex::PackageId]| -> Vec<String> {
            ids.iter().map(|&id| snapshot.name(id).to_owned()).collect()
        };
        let dependencies = names(snapshot.dependencies(package));
        assert!(
            dependencies.is_sorted_by(|one, next| one < next),
            "{dependencies:?}"
        );
        backward.entry(name.clone()).or_default();
        for dependency in &dependencies {
            backward
                .entry(dependency.clone())
                .or_default()
                .insert(name.clone());
        }
        forward.insert(name, dependencies.into_iter().collect());
    }
    for package in snapshot.packages() {
        let dependents: Vec<_> = snapshot
            .dependents(package)
            .iter()
            .map(|&id| snapshot.name(id))
            .collect();
        assert!(
            backward[snapshot.name(package)].iter().eq(dependents),
            "of {}",
            snapshot.name(package)
        );
    }
    forward
}
