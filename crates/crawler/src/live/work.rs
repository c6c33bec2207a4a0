//! From the records of one source to what the ledger writes.

use std::sync::Arc;

use archive::{ArchiveError, Kind};
use crawldb::{Item, Outcome, transition};
use futures::{StreamExt, stream};
use ledger::{LedgerError, LiveRead};
use model::{CrawlId, Timestamp, Version};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use updates::{Entry, LiveUpdate, LogError, Position, Receipt, ReceiptOutcome, Record, topics};

use super::digest::{self, Told};
use super::place::Place;
use crate::bounds::authority;
use crate::patience::Jitter;
use crate::run::{Found, Shared};
use crate::shelf::{label, shelve};

/// Updates of one source that are looked into at a time.
const CONCURRENCY: usize = 8;

/// Why the updates of a source could not be written. They are read again.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl From<crawldb::StoreError> for WorkError {
    fn from(error: crawldb::StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

/// An update that is to be looked into.
pub(super) struct Task {
    pub(super) update: LiveUpdate,
    pub(super) version: Version,
    /// The item as it is stored, or as it would be if a crawl saw it for the first time.
    pub(super) item: Item,
    appended_at: Timestamp,
    position: Position,
}

/// Works on the newest updates of one source, and says which it did not come to.
pub(super) async fn work(
    shared: &Arc<Shared>,
    place: &Arc<Place>,
    records: &[&Record],
    deadline: Instant,
    stop: &CancellationToken,
) -> Result<Vec<Position>, WorkError> {
    let worker = Worker { shared, place, stop };
    let tasks = worker.admit(records).await?;
    let mut left: Vec<Position> = tasks.iter().map(|task| task.position.clone()).collect();
    let end = async {
        stop.run_until_cancelled(tokio::time::sleep_until(deadline)).await;
    };
    let tasks = stream::iter(tasks).take_until(end);
    let reads = tasks
        .map(|task| worker.look_into(task))
        .buffer_unordered(CONCURRENCY);
    tokio::pin!(reads);
    let mut gathered = Gathered::default();
    while let Some(read) = reads.next().await {
        gathered.add(read?);
        if gathered.is_full(shared) {
            worker.write(std::mem::take(&mut gathered), &mut left).await?;
        }
    }
    worker.write(gathered, &mut left).await?;
    Ok(left)
}

struct Worker<'a> {
    shared: &'a Arc<Shared>,
    place: &'a Arc<Place>,
    stop: &'a CancellationToken,
}

/// What was looked into and not yet written.
#[derive(Default)]
struct Gathered {
    /// Nothing where the update was written before.
    read: Vec<(Task, Option<Told>)>,
    bytes: usize,
}

impl Gathered {
    fn add(&mut self, (task, told): (Task, Option<Told>)) {
        self.bytes += told.as_ref().map_or(0, Told::weight);
        self.read.push((task, told));
    }

    fn is_full(&self, shared: &Shared) -> bool {
        self.bytes >= shared.options.batch_bytes || self.read.len() >= shared.options.batch_items
    }
}

impl Worker<'_> {
    /// The updates that the source may tell; the others are answered at once.
    async fn admit(&self, records: &[&Record]) -> Result<Vec<Task>, WorkError> {
        let (ledger, source) = (&self.shared.deps.ledger, &self.place.source);
        let decoded: Vec<(&Record, LiveUpdate)> =
            records.iter().filter_map(|record| self.decode(record)).collect();
        let clock = ledger.live_clock(source).await?;
        let ids: Vec<_> = decoded.iter().map(|(_, update)| update.item.clone()).collect();
        let stored = ledger.crawldb().store().get_items(&source.id, &ids).await?;
        let mut tasks = Vec::with_capacity(decoded.len());
        let mut refused = Vec::new();
        for ((record, update), stored) in decoded.into_iter().zip(stored) {
            let closed = self.place.closed().map(str::to_owned);
            match closed.or_else(|| self.place.refusal(&update, stored.as_ref())) {
                Some(reason) => refused.push(refusal(&self.place.run.crawl.id, record, &update, reason)),
                None => tasks.push(Task {
                    version: clock.version(record, &update),
                    item: stored.unwrap_or_else(|| self.unknown(&update)),
                    appended_at: record.appended_at,
                    position: record.position.clone(),
                    update,
                }),
            }
        }
        self.shared.metrics.live.count("refused", refused.len() as u64);
        ledger
            .log()
            .append(&topics::receipts(&source.id), &refused)
            .await?;
        Ok(tasks)
    }

    /// A record that nobody can read must not keep those behind it waiting. A tombstone says nothing: what is gone is
    /// told by a value.
    fn decode<'a>(&self, record: &'a Record) -> Option<(&'a Record, LiveUpdate)> {
        match record.decode::<LiveUpdate>() {
            Ok(update) => update.map(|update| (record, update)),
            Err(error) => {
                tracing::warn!(%error, "a live update is skipped");
                self.shared.metrics.live.count("unreadable", 1);
                None
            }
        }
    }

    fn unknown(&self, update: &LiveUpdate) -> Item {
        let run = &self.place.run;
        let mut sighting = Found::new(&run.prints, update.url.clone(), None, 0).sighting;
        sighting.id = update.item.clone();
        let (_, item) = transition::sight(None, &sighting, &run.crawl, self.shared.options.clock.now());
        item.expect("what is not stored is seen for the first time")
    }

    /// What was written before costs nothing more: whoever wrote it died before the offsets moved, say.
    async fn look_into(&self, task: Task) -> Result<(Task, Option<Told>), WorkError> {
        if task.item.version >= task.version {
            return Ok((task, None));
        }
        let told = tokio::select! {
            told = digest::read(self.shared, self.place, &task) => told?,
            () = self.grace_is_over() => Told::plain(Outcome::Released),
        };
        Ok((task, Some(told)))
    }

    async fn grace_is_over(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(self.shared.options.stop_grace).await;
    }

    /// Writes what was gathered and takes it from what is left.
    async fn write(&self, gathered: Gathered, left: &mut Vec<Position>) -> Result<(), WorkError> {
        let is_done = |told: &Option<Told>| !told.as_ref().is_some_and(Told::is_given_back);
        let (tasks, told): (Vec<Task>, Vec<Option<Told>>) = gathered
            .read
            .into_iter()
            .filter(|(_, told)| is_done(told))
            .unzip();
        if tasks.is_empty() {
            return Ok(());
        }
        self.ask_for_targets(&told).await?;
        let reads = self.archive(&tasks, told).await?;
        let now = self.shared.options.clock.now();
        let jitter = Jitter(now.as_millis()).next();
        let ledger = &self.shared.deps.ledger;
        let finished = ledger.apply_live(&self.place.source, &reads, now, jitter).await?;
        for (task, finished) in tasks.iter().zip(&finished) {
            self.shared.metrics.live.wrote(finished, task.appended_at, now);
        }
        left.retain(|position| !tasks.iter().any(|task| task.position == *position));
        Ok(())
    }

    /// A page that leads to one which nobody knows would leave the source without its content until the next crawl.
    async fn ask_for_targets(&self, told: &[Option<Told>]) -> Result<(), LedgerError> {
        let wanted: Vec<LiveUpdate> = told.iter().flatten().filter_map(Told::wanted).collect();
        if !wanted.is_empty() {
            self.shared
                .deps
                .ledger
                .submit(&self.place.source, &wanted)
                .await?;
        }
        Ok(())
    }

    /// Stores contents and extracts; what is in the archive already is not stored again.
    async fn archive(&self, tasks: &[Task], told: Vec<Option<Told>>) -> Result<Vec<LiveRead>, ArchiveError> {
        let (mut contents, mut extracts, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for (task, told) in tasks.iter().zip(told) {
            let verdict = told
                .unwrap_or_else(|| Told::plain(Outcome::Released))
                .into_verdict();
            open.push((task.item.clone(), shelve(verdict, &mut contents, &mut extracts)));
        }
        let archive = &self.shared.deps.archive;
        let (contents, extracts) = tokio::try_join!(
            archive.put_bundle(Kind::Content, contents),
            archive.put_bundle(Kind::Extract, extracts),
        )?;
        let attempts = label(open, contents, extracts);
        let read = |(task, attempt): (&Task, crawldb::Attempt)| LiveRead {
            id: task.update.item.clone(),
            url: task.update.url.clone(),
            scope: task.item.scope.clone(),
            version: task.version,
            outcome: restated(attempt.outcome, &task.item),
        };
        Ok(tasks.iter().zip(attempts).map(read).collect())
    }
}

/// "Unchanged" is said of the item that was read. Somebody may have written it since, so the write says what the item
/// is instead.
fn restated(outcome: Outcome, item: &Item) -> Outcome {
    match (outcome, &item.disposition) {
        (Outcome::Unchanged { etag, last_modified }, Some(disposition)) => Outcome::Applied {
            checksum: item.checksum,
            disposition: disposition.clone(),
            content: item.content.clone(),
            extract: item.extract.clone(),
            etag: etag.or_else(|| item.etag.clone()),
            last_modified: last_modified.or_else(|| item.last_modified.clone()),
        },
        (outcome, _) => outcome,
    }
}

fn refusal(crawl: &CrawlId, record: &Record, update: &LiveUpdate, reason: String) -> Entry<Receipt> {
    tracing::debug!(item = %update.item, reason, "a live update is refused");
    let receipt = Receipt {
        item: update.item.clone(),
        crawl: crawl.clone(),
        outcome: ReceiptOutcome::Failure(reason),
    };
    Entry {
        key: record.key.clone(),
        scope: authority(&update.url).to_owned(),
        value: Some(receipt),
    }
}
