//! What the source itself tells.

use std::time::Duration;

use crawldb::transition::{LiveTerms, LiveWrite, live};
use crawldb::{Finished, Source};
use model::{CrawlId, ItemId, Rank, Timestamp, Version};
use updates::{Entry, LiveChange, LiveUpdate, Position, Receipt, Record, topics};

use crate::metrics::Origin;
use crate::write::MAX_ITEMS;
use crate::{Ledger, LedgerError, announce};

/// Updates that one call submits at most.
pub const MAX_UPDATES: usize = 1_000;
/// How far the clock of a source may be ahead of the log's; an update from later counts as one from then.
pub const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);
/// Crawls whose start a [`LiveClock`] knows at most. What lies before the marks of all of them is older than all.
const MAX_STARTS: usize = 100;
/// Bits of an offset that order updates of one millisecond: those of a version's sequence.
const SEQUENCE_BITS: u32 = 18;

/// A live update that was read from the log and looked into.
pub type LiveRead = LiveWrite;

/// Where the versions of live updates come from.
///
/// What a source with a trusted clock tells together with the change itself is as old as it says. Everything else is
/// as old as the log says, but the log takes an update either before or behind the mark that a crawl noted when it
/// started: what lies behind it is newer than the crawl, whatever the clocks say, so its version is at least the
/// crawl's start.
///
/// A record has one version, whenever it is asked for: crawls that start later note marks behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveClock {
    /// Starts of crawls of the source, each with the end of the live topic per partition at that time.
    starts: Vec<(Timestamp, Vec<u64>)>,
    trusts_source: bool,
}

impl LiveClock {
    /// The version of the update in `record`.
    pub fn version(&self, record: &Record, update: &LiveUpdate) -> Version {
        let at = self
            .told_at(record, update)
            .unwrap_or_else(|| record.appended_at.max(self.known_after(&record.position)));
        // Two updates of one millisecond keep the order of the log.
        let sequence = (record.position.offset & ((1 << SEQUENCE_BITS) - 1)) as u32;
        Version::new(at, Rank::Live, sequence)
    }

    /// The time that the source gives, where it counts. What is fetched is newer than the call to fetch it.
    fn told_at(&self, record: &Record, update: &LiveUpdate) -> Option<Timestamp> {
        let counts = self.trusts_source && update.change != LiveChange::Fetch;
        let latest = record.appended_at.after(MAX_AHEAD);
        update.at.filter(|_| counts).map(|at| at.min(latest))
    }

    /// The start of the newest crawl whose mark the record lies behind; a millisecond later for each round of the
    /// sequence since the mark, so that the order of the log holds however many updates share it.
    fn known_after(&self, position: &Position) -> Timestamp {
        let partition = position.partition.number as usize;
        let behind = |(start, marks): &(Timestamp, Vec<u64>)| {
            let mark = marks.get(partition).filter(|mark| **mark <= position.offset)?;
            let rounds = (position.offset >> SEQUENCE_BITS) - (mark >> SEQUENCE_BITS);
            Some(start.after(Duration::from_millis(rounds)))
        };
        self.starts.iter().filter_map(behind).max().unwrap_or_default()
    }
}

impl Ledger {
    /// Asks the log to take updates of a source, in their order, and says where each lies. That they belong to the
    /// source is for the caller to check.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Refused`] where there are more than [`MAX_UPDATES`] or the source takes none,
    /// [`LedgerError::Deleting`] where it is being deleted.
    pub async fn submit(
        &self,
        source: &Source,
        updates: &[LiveUpdate],
    ) -> Result<Vec<Position>, LedgerError> {
        if source.deleting_since.is_some() {
            return Err(LedgerError::Deleting(source.id.clone()));
        }
        if !source.settings.live.enabled {
            let refused = format!("source {} takes no live updates; switch them on first", source.id);
            return Err(LedgerError::Refused(refused));
        }
        if updates.len() > MAX_UPDATES {
            let count = updates.len();
            let refused = format!("{count} updates are too many for one call; send at most {MAX_UPDATES}");
            return Err(LedgerError::Refused(refused));
        }
        let entries: Vec<Entry<LiveUpdate>> = updates.iter().map(announce::told).collect();
        self.append(&topics::live(&source.id), &entries).await
    }

    /// The versions of updates that are in the log by now. Ask for it after the records were polled, not before.
    pub async fn live_clock(&self, source: &Source) -> Result<LiveClock, LedgerError> {
        let crawls = self.crawldb.crawls(Some(&source.id), MAX_STARTS).await?;
        let starts = crawls
            .into_iter()
            .map(|crawl| (crawl.started_at, crawl.marks.live_start));
        Ok(LiveClock {
            starts: starts.filter(|(_, marks)| !marks.is_empty()).collect(),
            trusts_source: source.settings.live.trust_clock,
        })
    }

    /// Writes what the source told, and says so by receipts. Answers in the order of the updates; what is older than
    /// what is stored is stale.
    ///
    /// Tell with [`Outcome::Applied`](crawldb::Outcome::Applied) what was found equal to what was known, by checksum or
    /// because the source said so: another writer may have stored something else since, and then it is a change.
    ///
    /// An item whose fetch failed belongs to no crawl, unless one of it runs: [`stranded`](Self::stranded) asks for it
    /// again when it is due. It may be called again with the same updates after an error.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Deleting`] where the source is being deleted: the updates are spent.
    pub async fn apply_live(
        &self,
        source: &Source,
        reads: &[LiveRead],
        now: Timestamp,
        jitter: f64,
    ) -> Result<Vec<Finished>, LedgerError> {
        let running = self.crawldb.running(source).await?;
        let terms = LiveTerms {
            source: &source.id,
            configuration: source.configuration,
            running: &running,
            retry: &source.settings.retry,
            now,
            jitter,
        };
        let mut all = Vec::with_capacity(reads.len());
        for batch in reads.chunks(MAX_ITEMS) {
            all.extend(self.apply_batch(batch, &terms).await?);
        }
        Ok(all)
    }

    async fn apply_batch(
        &self,
        batch: &[LiveRead],
        terms: &LiveTerms<'_>,
    ) -> Result<Vec<Finished>, LedgerError> {
        let ids: Vec<ItemId> = batch.iter().map(|read| read.id.clone()).collect();
        let change = self
            .crawldb
            .change_items(terms.source, &ids, |at, stored| live(stored, &batch[at], terms));
        let change = async { Ok(change.await?) };
        let finished = self
            .write(Origin::Live, terms.source, ids.clone(), terms.now, change)
            .await?;
        self.acknowledge(batch, &finished, terms).await?;
        Ok(finished)
    }

    async fn acknowledge(
        &self,
        batch: &[LiveRead],
        finished: &[Finished],
        terms: &LiveTerms<'_>,
    ) -> Result<(), LedgerError> {
        let crawl = CrawlId::live(terms.source);
        let mut receipts: Vec<Entry<Receipt>> = Vec::with_capacity(batch.len());
        for (read, finished) in batch.iter().zip(finished) {
            receipts.extend(announce::receipt(&crawl, finished, &read.scope));
            if !matches!(finished, Finished::Stale(_)) {
                self.metrics.live_applied(terms.now.since(read.version.at()));
            }
        }
        self.append(&topics::receipts(terms.source), &receipts).await?;
        Ok(())
    }
}
