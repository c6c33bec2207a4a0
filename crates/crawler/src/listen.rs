//! Reads the requests of all crawls from the log and wakes the hosts that they are about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::SourceId;
use rustc_hash::FxHashSet;
use tokio_util::sync::CancellationToken;
use updates::{Batch, Group, LogError, Subscription};

use crate::run::{Run, Shared};

/// The consumer group of all crawlers.
const GROUP: &str = "crawler";
const SUFFIX: &str = ".crawl";
const MAX_RECORDS: usize = 5_000;
const WAIT: Duration = Duration::from_secs(1);
/// Between two tries to read a log that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// The crawls that run in this process, by source.
pub(crate) type Runs = Mutex<HashMap<SourceId, Arc<Run>>>;

/// Listens until the crawler stops. A log that fails is asked again: lanes look for work by themselves meanwhile.
pub(crate) async fn listen(shared: Arc<Shared>, runs: Arc<Runs>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let listening = follow(&shared, &runs);
        if let Some(Err(error)) = stop.run_until_cancelled(listening).await {
            tracing::warn!(%error, "requests could not be read from the log, trying again");
            stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }
}

async fn follow(shared: &Arc<Shared>, runs: &Runs) -> Result<(), LogError> {
    let subscription = Subscription::Suffixes(vec![SUFFIX.to_owned()]);
    let mut group: Group = shared.deps.log.group(GROUP, subscription).await?;
    loop {
        let batch = group.poll(MAX_RECORDS, WAIT).await?;
        wake(shared, runs, &batch);
        if !batch.next.is_empty() {
            group.commit_batch(&batch).await?;
        }
    }
}

/// The records are hints: which items are due, the crawl database knows.
fn wake(shared: &Arc<Shared>, runs: &Runs, batch: &Batch) {
    let place = |record: &'_ updates::Record| (record.position.partition.topic.clone(), record.scope.clone());
    let places: FxHashSet<(String, String)> = batch.records.iter().map(place).collect();
    for (topic, scope) in places {
        let source = topic
            .strip_suffix(SUFFIX)
            .and_then(|source| SourceId::new(source).ok());
        let runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = source.and_then(|source| runs.get(&source)) {
            run.wake(shared, &scope);
        }
    }
}
