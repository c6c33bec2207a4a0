//! Reads the requests of all crawls from the log, wakes the hosts that they are about, and learns from the group which
//! hosts are this process's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::CRAWL_GROUP;
use model::{CrawlId, SourceId};
use rustc_hash::FxHashSet;
use tokio_util::sync::CancellationToken;
use updates::{Batch, Group, LogError, Subscription, topics};

use crate::options::CrawlerOptions;
use crate::run::{Run, Shared};

const SUFFIX: &str = ".crawl";
const MAX_RECORDS: usize = 5_000;
/// So late at most is it known that the group has changed.
const WAIT: Duration = Duration::from_millis(250);
/// Between two tries to read a log that fails.
const PAUSE: Duration = Duration::from_secs(1);

/// The crawls that run in this process.
pub(crate) type Runs = Mutex<HashMap<CrawlId, Arc<Run>>>;

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
    let log = shared.deps.ledger.log();
    let mut group: Group = log.group(CRAWL_GROUP, subscription(&shared.options)).await?;
    loop {
        shared.territory.set(group.assignment());
        let batch = group.poll(MAX_RECORDS, WAIT).await?;
        wake(shared, runs, &batch);
        if !batch.next.is_empty() {
            group.commit_batch(&batch).await?;
        }
    }
}

/// Whoever does not look after a source must not own a part of it: nobody would work there.
fn subscription(options: &CrawlerOptions) -> Subscription {
    match &options.sources {
        None => Subscription::Suffixes(vec![SUFFIX.to_owned()]),
        Some(sources) => Subscription::Topics(sources.iter().map(topics::crawl).collect()),
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
        let of_source = runs
            .values()
            .filter(|run| Some(&run.source.id) == source.as_ref());
        of_source.for_each(|run| run.wake(shared, &scope));
    }
}
