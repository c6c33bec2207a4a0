//! What sources tell of themselves: reads their live topics, looks into every update, and has it written.
//!
//! ```text
//!  <source>.live ──> newest per item ──> refused? ──> fetch, or read the payload ──> archive ──> ledger ──> offsets move
//! ```
//!
//! The offsets move when everything before them is written, so whoever dies leaves its updates to the next one. That one
//! finds those that were written by their version, and neither fetches nor writes them again.
//!
//! A source whose host is slow must not keep the others waiting: after [`BATCH_TIME`] no further update of a batch is
//! begun, and the rest is read again with the next one.

mod digest;
mod metrics;
mod place;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ledger::{LIVE_GROUP, LedgerError};
use model::{SourceId, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use updates::{Batch, Group, LogError, Partition, Position, Record, Subscription, topics};

pub(crate) use self::metrics::LiveMetrics;
use self::place::Places;
use self::work::WorkError;
use crate::crawler::Crawler;

const SUFFIX: &str = ".live";
/// Records of one batch at most.
const MAX_RECORDS: usize = 500;
const WAIT: Duration = Duration::from_secs(1);
/// After so long no further update of a batch is begun.
const BATCH_TIME: Duration = Duration::from_secs(10);
/// How often the log hears that a member which works on a batch is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// Between two tries after something failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until the crawler stops, and ends with the batch that it is at.
pub(crate) async fn listen(crawler: Crawler, stop: CancellationToken) {
    let mut listener = Listener {
        places: Places::default(),
        crawler,
        stop,
    };
    while !listener.stop.is_cancelled() {
        if let Err(error) = listener.follow().await {
            tracing::warn!(%error, "live updates could not be read from the log, trying again");
            listener.pause().await;
        }
    }
}

struct Listener {
    crawler: Crawler,
    places: Places,
    stop: CancellationToken,
}

/// Where records lie that were not done with.
type Left = Vec<Position>;

impl Listener {
    async fn follow(&mut self) -> Result<(), LogError> {
        let log = self.crawler.shared().deps.ledger.log().clone();
        let subscription = match &self.crawler.shared().options.sources {
            Some(sources) => Subscription::Topics(sources.iter().map(topics::live).collect()),
            None => Subscription::Suffixes(vec![SUFFIX.to_owned()]),
        };
        let mut group = log.group(LIVE_GROUP, subscription).await?;
        let stop = self.stop.clone();
        while let Some(batch) = stop.run_until_cancelled(group.poll(MAX_RECORDS, WAIT)).await {
            let batch = batch?;
            if batch.next.is_empty() {
                continue;
            }
            let (left, has_failed) = self.work_alive(&mut group, &batch).await?;
            commit(&mut group, &batch, &left).await?;
            if has_failed {
                self.pause().await;
            }
        }
        Ok(())
    }

    /// Works on the batch, and stays a member of the group meanwhile.
    async fn work_alive(&mut self, group: &mut Group, batch: &Batch) -> Result<(Left, bool), LogError> {
        let mut beats = tokio::time::interval(SIGN_OF_LIFE);
        let work = self.work(batch);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = beats.tick() => group.keep_alive().await?,
            }
        }
    }

    /// Works on all sources of the batch at once. A source that fails keeps its records; the others go on.
    async fn work(&mut self, batch: &Batch) -> (Left, bool) {
        let shared = Arc::clone(self.crawler.shared());
        shared.deps.ledger.metrics().superseded(batch.superseded);
        shared
            .metrics
            .live
            .read(batch.superseded, oldest(batch), shared.options.clock.now());
        let deadline = Instant::now() + BATCH_TIME;
        let mut works = Vec::new();
        let (mut left, mut has_failed) = (Left::new(), false);
        for (source, records) in by_source(batch) {
            let place = match self.places.of(&self.crawler, &source).await {
                Ok(Some(place)) => place,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%source, %error, "live updates wait: their source could not be looked up");
                    left.extend(positions(&records));
                    has_failed = true;
                    continue;
                }
            };
            let (shared, stop) = (Arc::clone(&shared), self.stop.clone());
            works.push(async move {
                let worked = work::work(&shared, &place, &records, deadline, &stop).await;
                worked
                    .or_else(|error| match error {
                        // Its owner removes it: nothing more is written for it.
                        WorkError::Ledger(LedgerError::Deleting(_)) => Ok(Left::new()),
                        error => Err(error),
                    })
                    .map_err(|error| {
                        tracing::warn!(%source, %error, "live updates could not be written, trying again");
                        positions(&records)
                    })
            });
        }
        for worked in futures::future::join_all(works).await {
            has_failed |= worked.is_err();
            left.extend(worked.unwrap_or_else(|left| left));
        }
        (left, has_failed)
    }

    async fn pause(&self) {
        self.stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}

/// What is done with is done with for the whole group; what is not is read again.
async fn commit(group: &mut Group, batch: &Batch, left: &[Position]) -> Result<(), LogError> {
    let mut first_left: BTreeMap<&Partition, u64> = BTreeMap::new();
    for position in left {
        let first = first_left.entry(&position.partition).or_insert(position.offset);
        *first = position.offset.min(*first);
    }
    for (partition, next) in &batch.next {
        let first = first_left.get(partition);
        let moved = match group.commit(partition, *first.unwrap_or(next)).await {
            Ok(()) => match first {
                Some(first) => group.seek(partition, *first).await,
                None => Ok(()),
            },
            failed => failed,
        };
        match moved {
            Err(LogError::NotAssigned(_)) => {
                tracing::debug!(
                    ?partition,
                    "the partition moved to another member, which reads it again"
                );
            }
            moved => moved?,
        }
    }
    Ok(())
}

fn by_source(batch: &Batch) -> HashMap<SourceId, Vec<&Record>> {
    let mut sources: HashMap<SourceId, Vec<&Record>> = HashMap::new();
    for record in &batch.records {
        let topic = &record.position.partition.topic;
        let source = topic
            .strip_suffix(SUFFIX)
            .and_then(|name| SourceId::new(name).ok());
        if let Some(source) = source {
            sources.entry(source).or_default().push(record);
        }
    }
    sources
}

fn positions(records: &[&Record]) -> Left {
    records.iter().map(|record| record.position.clone()).collect()
}

fn oldest(batch: &Batch) -> Option<Timestamp> {
    batch.records.iter().map(|record| record.appended_at).min()
}
