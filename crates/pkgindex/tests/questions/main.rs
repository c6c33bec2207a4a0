//! Questions about the graph.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod debian;
mod large;
mod naive;

use std::sync::Arc;

use pkgindex::store::MemoryStore;
use pkgindex::{Index, Options, Snapshot};

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

/// What an index shows after one batch.
fn snapshot(lines: &str) -> Arc<Snapshot> {
    let index = Index::open(Box::new(MemoryStore::new()), Options::default()).unwrap();
    wait(async {
        index.batch(lines.as_bytes()).await.unwrap();
        index.snapshot().await.unwrap()
    })
}

/// The INDEX lines of `package: dependency dependency; package: ...`.
fn lines(graph: &str) -> String {
    let packages = graph
        .split(';')
        .map(str::trim)
        .filter(|package| !package.is_empty());
    let line = |package: &str| {
        let (name, dependencies) = package.split_once(':').unwrap_or((package, ""));
        let dependencies: Vec<_> = dependencies.split_whitespace().collect();
        format!("INDEX|{name}|{}\n", dependencies.join(","))
    };
    packages.map(line).collect()
}
