//! The index made again from what was applied.

mod run;

use std::collections::BTreeMap;

use crawldb::{Crawl, CrawldbError, IndexName};
use model::{CrawlId, SourceId, Timestamp};
use updates::{Partition, Watermarks, topics};

use self::run::Run;
use crate::{Ledger, LedgerError};

/// Where a replay begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// Where the crawl started.
    Start(CrawlId),
    /// Where the crawl ended.
    End(CrawlId),
    /// At the first record of this time or later.
    Time(Timestamp),
    /// At these offsets, per partition.
    Offsets(Vec<u64>),
    /// With the oldest record that the log has.
    Beginning,
}

/// What to replay, and into what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The source.
    pub source: SourceId,
    /// Where to begin.
    pub from: ReplayFrom,
    /// Into which index; the one in force where none is named.
    pub into: Option<IndexName>,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Records that were read.
    pub read: u64,
    /// Of these, left out because a newer one of the same item was read with them.
    pub superseded: u64,
    /// References that were written.
    pub written: u64,
    /// References that the index had.
    pub same: u64,
    /// References that were older than what the index has.
    pub stale: u64,
    /// References that the sweep at the end removed: their items are gone and the log did not say so.
    pub swept: u64,
    /// References that the sweep at the end added: their items are there and the log did not say so.
    pub added: u64,
}

/// Hears of every batch of a replay.
pub type Progress<'a> = &'a (dyn Fn(&Replayed) + Send + Sync);

impl Ledger {
    /// Replays what was applied, newest per item, in original versions, until it is level with the log: at most one
    /// batch behind. Then it sweeps, because compaction may have taken a tombstone before it was read: references and
    /// items' records are made to agree. It may be killed and repeated: what the index has is skipped.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Refused`] where the place to begin is not one of this source's log.
    pub async fn replay(&self, replay: &Replay, progress: Progress<'_>) -> Result<Replayed, LedgerError> {
        let index = match &replay.into {
            Some(index) => index.clone(),
            None => self.crawldb.documents().index_in_force().await?,
        };
        let from = self.offsets(&replay.source, &replay.from).await?;
        let mut run = Run::new(self, &index, progress);
        let ended = run.replay(&replay.source, from).await;
        self.metrics.replayed(&run.done);
        ended.map(|()| run.done)
    }

    /// Makes the index `next` from the logs of all sources, those included that were removed, and puts it in force.
    ///
    /// What is written meanwhile is caught up with after the switch: whoever wrote to the old index and does not see
    /// the switch told the log before it. May be killed and repeated, with `next` in force already, too.
    pub async fn rebuild(&self, next: &IndexName, progress: Progress<'_>) -> Result<Replayed, LedgerError> {
        let mut run = Run::new(self, next, progress);
        let ended = self.rebuild_with(next, &mut run).await;
        self.metrics.replayed(&run.done);
        ended.map(|()| run.done)
    }

    async fn rebuild_with(&self, next: &IndexName, run: &mut Run<'_>) -> Result<(), LedgerError> {
        let current = self.crawldb.documents().index_in_force().await?;
        let mut reached = BTreeMap::new();
        for source in self.replayable().await? {
            let begin = self.offsets(&source, &ReplayFrom::Beginning).await?;
            let end = run.follow(&source, begin).await?;
            reached.insert(source, end);
        }
        run.sweep_documents(None).await?;
        for source in self.crawldb.sources().await? {
            run.sweep_items(&source.id).await?;
        }
        if current != *next {
            self.switch_index(&current, next).await?;
        }
        for source in self.replayable().await? {
            let begin = match reached.remove(&source) {
                Some(end) => end,
                None => self.offsets(&source, &ReplayFrom::Beginning).await?,
            };
            run.follow(&source, begin).await?;
        }
        Ok(())
    }

    /// The sources whose log can be replayed, by name: removed ones, too.
    pub async fn replayable(&self) -> Result<Vec<SourceId>, LedgerError> {
        let topics = self.log.topics().await?;
        let source = |name: &str| SourceId::new(name.strip_suffix(".applied")?).ok();
        Ok(topics.iter().filter_map(|topic| source(&topic.name)).collect())
    }

    /// Puts the index `next` in force instead of `current`: everybody searches and writes it from now on.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Refused`] where `current` is not in force.
    pub async fn switch_index(&self, current: &IndexName, next: &IndexName) -> Result<(), LedgerError> {
        if self.crawldb.documents().swap_index(current, next).await? {
            return Ok(());
        }
        let refused = format!("index {current} is not in force; somebody switched meanwhile");
        Err(LedgerError::Refused(refused))
    }

    /// Removes an index that is not in force; nothing where there is none.
    pub async fn drop_index(&self, index: &IndexName) -> Result<(), LedgerError> {
        if self.crawldb.documents().index_in_force().await? == *index {
            let refused = format!("index {index} is in force; put another one in force first");
            return Err(LedgerError::Refused(refused));
        }
        Ok(self.crawldb.documents().drop_index(index).await?)
    }

    /// Where to begin, per partition.
    async fn offsets(&self, source: &SourceId, from: &ReplayFrom) -> Result<Vec<u64>, LedgerError> {
        let marks = self.log.watermarks(&topics::applied(source)).await?;
        let offsets = match from {
            ReplayFrom::Start(id) => self.crawl_of(source, id).await?.marks.applied_start,
            ReplayFrom::End(id) => self.crawl_of(source, id).await?.marks.applied_end,
            ReplayFrom::Time(at) => self.since(source, &marks, *at).await?,
            ReplayFrom::Offsets(offsets) => offsets.clone(),
            ReplayFrom::Beginning => vec![0; marks.len()],
        };
        if offsets.len() == marks.len() {
            return Ok(offsets);
        }
        let (found, wanted) = (offsets.len(), marks.len());
        Err(LedgerError::Refused(format!(
            "{found} offsets are known of where to begin, but the log of source {source} has {wanted} partitions; \
             replay from the beginning or from a time"
        )))
    }

    async fn crawl_of(&self, source: &SourceId, id: &CrawlId) -> Result<Crawl, LedgerError> {
        if id.source() != *source {
            return Err(LedgerError::Refused(format!(
                "crawl {id} is not one of source {source}"
            )));
        }
        let crawl = self.crawldb.crawl(id).await?;
        Ok(crawl.ok_or_else(|| CrawldbError::NoCrawl(id.clone()))?)
    }

    async fn since(
        &self,
        source: &SourceId,
        marks: &[Watermarks],
        at: Timestamp,
    ) -> Result<Vec<u64>, LedgerError> {
        let mut offsets = Vec::with_capacity(marks.len());
        for (number, marks) in (0..).zip(marks) {
            let topic = topics::applied(source);
            offsets.push(self.first_since(&Partition { topic, number }, *marks, at).await?);
        }
        Ok(offsets)
    }

    /// The offset of the first record that the log took at `at` or later, by bisection.
    async fn first_since(
        &self,
        partition: &Partition,
        marks: Watermarks,
        at: Timestamp,
    ) -> Result<u64, LedgerError> {
        let Watermarks { mut low, mut high } = marks;
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.log.read(partition, middle, 1).await?;
            match found.first() {
                Some(record) if record.position.offset < high && record.appended_at < at => {
                    low = record.position.offset + 1;
                }
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
