//! What has to be done now and then, whether or not a crawl runs.
//!
//! Every process that leads crawls has a [`Janitor`], which does each [`Chore`] for the sources that it looks after. All of
//! them may do so at once: a chore looks at the records, and what it writes is a compare-and-swap, so who comes second
//! finds nothing left to do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crawldb::{Source, SourceKind, StartError};
use ledger::{INTENT_AGE, LedgerError};
use model::{SourceId, Timestamp};
use schedule::Schedule;
use tokio_util::sync::CancellationToken;
use updates::topics;

use crate::crawler::{CrawlError, Crawler};
use crate::patience::with_causes;

/// For so long a tombstone is kept: a reader of what was applied that is slower needs a replay.
const TOMBSTONE_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// One thing that is done now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chore {
    /// Creates the topics of new sources, so that they can tell something before their first crawl.
    Topics,
    /// Starts crawls whose time has come. A run that was missed is made up once. While a crawl of the source runs or
    /// waits, none is due.
    Schedules,
    /// Starts crawls that waited for another one.
    Waiting,
    /// Frees items whose lease has expired.
    Leases,
    /// Carries out what somebody began and did not end.
    Recovery,
    /// Asks for items again that belong to no crawl.
    Stranded,
    /// Judges orphans once more whose grace is over, or whose deletion was approved.
    Orphans,
    /// Removes old tombstones among the items.
    PurgeItems,
    /// Removes old tombstones among the references of documents.
    PurgeDocuments,
    /// Goes on with removing sources.
    Removal,
}

impl Chore {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Topics,
        Self::Schedules,
        Self::Waiting,
        Self::Leases,
        Self::Recovery,
        Self::Stranded,
        Self::Orphans,
        Self::PurgeItems,
        Self::PurgeDocuments,
        Self::Removal,
    ];

    /// How often it is done.
    pub fn period(self) -> Duration {
        Duration::from_secs(match self {
            Self::Topics | Self::Schedules | Self::Waiting | Self::Stranded => 5,
            Self::Leases | Self::Orphans | Self::Removal => 10,
            Self::Recovery => 30,
            Self::PurgeItems => 3_600,
            Self::PurgeDocuments => 24 * 3_600,
        })
    }
}

/// Does the chores of one process.
#[derive(Debug)]
pub struct Janitor {
    crawler: Crawler,
    /// What went wrong last, so that it is logged once and not every few seconds.
    said: Mutex<HashMap<(Chore, Option<SourceId>), String>>,
}

impl Janitor {
    pub(crate) fn new(crawler: Crawler) -> Self {
        Self {
            crawler,
            said: Mutex::default(),
        }
    }

    /// Does every chore in its time until the crawler stops. A chore that takes long does not keep the others waiting.
    pub(crate) async fn work(self, stop: CancellationToken) {
        let chores = Chore::ALL.map(|chore| self.repeat(chore));
        stop.run_until_cancelled(futures::future::join_all(chores)).await;
    }

    async fn repeat(&self, chore: Chore) {
        loop {
            tokio::time::sleep(chore.period()).await;
            self.run(chore).await;
        }
    }

    /// Does a chore once, for every source that this process looks after, and says how much there was to do. A source
    /// that fails is logged, and does not stop the others.
    pub async fn run(&self, chore: Chore) -> u64 {
        match chore {
            Chore::Waiting => self.heard(chore, None, self.start_waiting().await),
            Chore::Orphans => self.heard(chore, None, self.judge_orphans().await),
            Chore::PurgeDocuments => self.heard(chore, None, self.purge_documents().await),
            _ => self.run_for_each(chore).await,
        }
    }

    async fn run_for_each(&self, chore: Chore) -> u64 {
        let sources = match self.crawler.sources().await {
            Ok(sources) => sources,
            Err(error) => return self.heard(chore, None, Err(error.into())),
        };
        let mut done = 0;
        for source in &sources {
            let result = self.run_for(chore, source).await;
            done += self.heard(chore, Some(&source.id), result);
        }
        done
    }

    async fn run_for(&self, chore: Chore, source: &Source) -> Result<u64, CrawlError> {
        let (ledger, now) = (&self.crawler.shared().deps.ledger, self.now());
        if chore == Chore::Removal {
            return self.remove(source).await;
        }
        if source.deleting_since.is_some() {
            return Ok(0);
        }
        Ok(match chore {
            Chore::Topics => self.make_topics(source).await?,
            Chore::Schedules => self.start_if_due(source).await?,
            Chore::Leases => ledger.expire_leases(&source.id, now).await?,
            Chore::Recovery => ledger.recover(&source.id, INTENT_AGE, now).await?.intents,
            Chore::Stranded => ledger.stranded(source, now).await?,
            Chore::PurgeItems => self.purge_items(source).await?,
            Chore::Waiting | Chore::Orphans | Chore::PurgeDocuments | Chore::Removal => 0,
        })
    }

    fn now(&self) -> Timestamp {
        self.crawler.shared().options.clock.now()
    }

    /// What was done; a failure is logged unless it is the same as the last time.
    fn heard(&self, chore: Chore, source: Option<&SourceId>, result: Result<u64, CrawlError>) -> u64 {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (chore, source.cloned());
        match result {
            Ok(done) => {
                said.remove(&key);
                done
            }
            Err(error) => {
                let error = with_causes(&error);
                if said.get(&key) != Some(&error) {
                    let source = source.map(SourceId::as_str);
                    tracing::warn!(?chore, source, error, "a chore could not be done, trying again");
                    said.insert(key, error);
                }
                0
            }
        }
    }

    async fn make_topics(&self, source: &Source) -> Result<u64, CrawlError> {
        let log = self.crawler.shared().deps.ledger.log();
        // Of the topics of a source this one is made last.
        let last = topics::escalated(&source.id);
        if log.topics().await?.iter().any(|topic| topic.name == last) {
            return Ok(0);
        }
        topics::ensure_source(log, &source.id, self.crawler.shared().options.partitions).await?;
        Ok(1)
    }

    async fn start_if_due(&self, source: &Source) -> Result<u64, CrawlError> {
        let Some(text) = &source.settings.schedule else {
            return Ok(0);
        };
        let schedule = Schedule::parse(text).map_err(|error| CrawlError::Settings {
            source_id: source.id.clone(),
            reason: error.to_string(),
        })?;
        let is_busy = !source.active_crawls.is_empty() || !source.queued.is_empty();
        if is_busy || source.settings.kind == SourceKind::Feed {
            return Ok(0);
        }
        let last = source.last_crawl_start.unwrap_or(source.created_at);
        let due = schedule.next_after(source.id.as_str(), last);
        if due.is_none_or(|due| due > self.now()) {
            return Ok(0);
        }
        match self.crawler.start(&source.id, crawldb::CrawlKind::Full).await {
            Ok(_) => Ok(1),
            Err(CrawlError::Start(StartError::Running(_)) | CrawlError::Elsewhere(_)) => Ok(0),
            Err(error) => Err(error),
        }
    }

    async fn start_waiting(&self) -> Result<u64, CrawlError> {
        Ok(self.crawler.start_waiting().await?.len() as u64)
    }

    async fn judge_orphans(&self) -> Result<u64, CrawlError> {
        let mut judged = 0;
        for crawl in self.crawler.shared().deps.ledger.orphans_due(self.now()).await? {
            if !self.crawler.may_conduct(&crawl.source()) {
                continue;
            }
            let result = self.crawler.judge_again(&crawl).await.map(u64::from);
            judged += self.heard(Chore::Orphans, Some(&crawl.source()), result);
        }
        Ok(judged)
    }

    async fn purge_items(&self, source: &Source) -> Result<u64, CrawlError> {
        let (ledger, mut after, mut removed) = (&self.crawler.shared().deps.ledger, None, 0);
        loop {
            let page = ledger
                .purge_items(&source.id, TOMBSTONE_AGE, self.now(), after.as_ref())
                .await?;
            removed += page.removed;
            after = page.next;
            if after.is_none() {
                return Ok(removed);
            }
        }
    }

    async fn purge_documents(&self) -> Result<u64, CrawlError> {
        let (ledger, mut after, mut removed) = (&self.crawler.shared().deps.ledger, None, 0);
        loop {
            let page = ledger
                .purge_documents(TOMBSTONE_AGE, self.now(), after.as_ref())
                .await?;
            removed += page.removed;
            after = page.next;
            if after.is_none() {
                return Ok(removed);
            }
        }
    }

    /// Goes on where it was left, if its owner wants the source removed.
    async fn remove(&self, source: &Source) -> Result<u64, CrawlError> {
        if source.deleting_since.is_none() {
            return Ok(0);
        }
        let ledger = &self.crawler.shared().deps.ledger;
        match ledger.remove_source(&source.id, self.now(), &|_| ()).await {
            Ok(_) => Ok(1),
            Err(LedgerError::Busy(_)) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
