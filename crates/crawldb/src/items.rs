//! Items: seen, claimed, finished; every write is decided by [`transition`](crate::transition).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::{ItemId, SourceId, Timestamp};

use crate::error::CrawldbError;
use crate::handle::{Crawldb, MAX_SWAPS};
use crate::port::{DueQuery, Scan, Written};
use crate::records::{Crawl, Item, ItemState, RetryPolicy, Scope};
use crate::transition::{self, Attempt, Finished, Seen, Sighting, Terms};

/// Items that one call to the store reads or writes at most.
const MAX_BATCH: usize = 1_000;

impl Crawldb {
    /// Tells the database which items the crawl found; answers in the order of the sightings. New ones, and those
    /// that only older crawls knew, become PENDING for this crawl and due at `now`.
    pub async fn seen(
        &self,
        crawl: &Crawl,
        sightings: &[Sighting],
        now: Timestamp,
    ) -> Result<Vec<Seen>, CrawldbError> {
        self.guard(crawl).await?;
        let mut seen = Vec::with_capacity(sightings.len());
        for batch in sightings.chunks(MAX_BATCH) {
            seen.extend(self.sight_batch(crawl, batch, now).await?);
        }
        Ok(seen)
    }

    async fn sight_batch(
        &self,
        crawl: &Crawl,
        sightings: &[Sighting],
        now: Timestamp,
    ) -> Result<Vec<Seen>, CrawldbError> {
        let mut answers = vec![Seen::Known; sightings.len()];
        let mut open: Vec<usize> = (0..sightings.len()).collect();
        for _ in 0..MAX_SWAPS {
            let mut round = SightRound {
                crawl,
                now,
                known: HashMap::new(),
                changed: Vec::new(),
            };
            let ids = distinct(open.iter().map(|&at| &sightings[at].id));
            round.know(self.store.get_items(&crawl.id.source(), &ids).await?);
            for &at in &open {
                answers[at] = round.sight(&sightings[at]);
            }
            let lost = self.put_items(&round.into_items()).await?;
            if lost.is_empty() {
                return Ok(answers);
            }
            open.retain(|&at| lost.contains(&sightings[at].id));
        }
        Err(CrawldbError::Contention(format!("crawl {}", crawl.id)))
    }

    /// Writes the items and answers which of them another writer was faster with.
    async fn put_items(&self, items: &[Item]) -> Result<HashSet<ItemId>, CrawldbError> {
        if items.is_empty() {
            return Ok(HashSet::new());
        }
        let written = self.store.put_items(items).await?;
        let conflict = |(item, written): (&Item, Written)| {
            matches!(written, Written::Conflict(_)).then(|| item.id.clone())
        };
        let lost: HashSet<ItemId> = items.iter().zip(written).filter_map(conflict).collect();
        self.figures.add_conflicts(lost.len() as u64);
        Ok(lost)
    }

    /// Leases at most `limit` (and at most 1,000) due items to `owner`, longest due first. Items that another owner
    /// claims at the same moment are left to it.
    pub async fn claim(
        &self,
        crawl: &Crawl,
        scope: Option<&Scope>,
        owner: &str,
        lease: Duration,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Item>, CrawldbError> {
        self.guard(crawl).await?;
        let source = crawl.id.source();
        let limit = limit.min(MAX_BATCH);
        let query = DueQuery {
            source: &source,
            crawl: &crawl.id,
            scope,
            now,
            limit,
        };
        let due = self.store.due(&query).await?;
        let claimed: Vec<Item> = due
            .iter()
            .filter_map(|item| transition::claim(item, owner, lease, now))
            .collect();
        self.put_and_keep(claimed).await
    }

    /// The items that were written, with their new revisions.
    async fn put_and_keep(&self, items: Vec<Item>) -> Result<Vec<Item>, CrawldbError> {
        if items.is_empty() {
            return Ok(items);
        }
        let written = self.store.put_items(&items).await?;
        let all = items.len();
        let kept: Vec<Item> = items.into_iter().zip(written).filter_map(with_revision).collect();
        self.figures.add_conflicts((all - kept.len()) as u64);
        Ok(kept)
    }

    /// When the next PENDING or FAILURE item of the crawl, or of one scope of it, is due; none where there is none.
    pub async fn next_due(
        &self,
        crawl: &Crawl,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, CrawldbError> {
        Ok(self.store.next_due(&crawl.id.source(), &crawl.id, scope).await?)
    }

    /// Writes what came of claimed items; answers in the order of the attempts. What is stale is counted and not
    /// applied. `jitter` gives numbers from 0 to 1 and is called once per attempt, before anything is awaited.
    pub fn finish<'a>(
        &'a self,
        crawl: &'a Crawl,
        attempts: Vec<Attempt>,
        now: Timestamp,
        retry: &'a RetryPolicy,
        jitter: &mut dyn FnMut() -> f64,
    ) -> impl Future<Output = Result<Vec<Finished>, CrawldbError>> + Send + use<'a> {
        let judged = |attempt| {
            (
                attempt,
                Terms {
                    crawl,
                    retry,
                    now,
                    jitter: jitter(),
                },
            )
        };
        let attempts: Vec<(Attempt, Terms<'a>)> = attempts.into_iter().map(judged).collect();
        async move {
            self.guard(crawl).await?;
            let mut finished = Vec::with_capacity(attempts.len());
            for batch in attempts.chunks(MAX_BATCH) {
                finished.extend(self.finish_batch(crawl, batch).await?);
            }
            Ok(finished)
        }
    }

    async fn finish_batch(
        &self,
        crawl: &Crawl,
        attempts: &[(Attempt, Terms<'_>)],
    ) -> Result<Vec<Finished>, CrawldbError> {
        let mut answers: Vec<Option<Finished>> = vec![None; attempts.len()];
        for _ in 0..MAX_SWAPS {
            let open: Vec<usize> = (0..attempts.len()).filter(|&at| answers[at].is_none()).collect();
            if open.is_empty() {
                return Ok(answers.into_iter().flatten().collect());
            }
            let ids: Vec<ItemId> = open.iter().map(|&at| attempts[at].0.item.id.clone()).collect();
            let stored = self.store.get_items(&crawl.id.source(), &ids).await?;
            let decide = |(&at, stored): (&usize, Option<Item>)| decide(stored, &attempts[at]);
            let decided: Vec<Finished> = open.iter().zip(stored).map(decide).collect();
            for (at, finished) in open.into_iter().zip(self.put_finished(decided).await?) {
                answers[at] = finished;
            }
        }
        Err(CrawldbError::Contention(format!("crawl {}", crawl.id)))
    }

    /// What was written, or stale; none where another writer was faster.
    async fn put_finished(&self, decided: Vec<Finished>) -> Result<Vec<Option<Finished>>, CrawldbError> {
        let items: Vec<Item> = decided.iter().filter_map(Finished::item).cloned().collect();
        let stale = decided.len() - items.len();
        self.figures.add_stale(stale as u64);
        let written = if items.is_empty() {
            Vec::new()
        } else {
            self.store.put_items(&items).await?
        };
        let mut written = written.into_iter();
        let finish = |finished: Finished| match finished.item() {
            None => Some(finished),
            Some(_) => match written.next() {
                Some(Written::Done(revision)) => Some(finished.with_revision(revision)),
                _ => {
                    self.figures.add_conflicts(1);
                    None
                }
            },
        };
        Ok(decided.into_iter().map(finish).collect())
    }

    /// Makes items of the source whose lease has expired PENDING again, and says how many. Run it now and then.
    pub async fn expire_leases(&self, source: &SourceId, now: Timestamp) -> Result<u64, CrawldbError> {
        self.release_where(source, Some(now), now, |_| true).await
    }

    /// Gives back the leases of every other owner at once, and says how many: after a restart nobody else is there.
    pub async fn release_leases(
        &self,
        source: &SourceId,
        except_owner: &str,
        now: Timestamp,
    ) -> Result<u64, CrawldbError> {
        let foreign = |item: &Item| {
            item.lease
                .as_ref()
                .is_none_or(|lease| lease.owner != except_owner)
        };
        self.release_where(source, None, now, foreign).await
    }

    async fn release_where(
        &self,
        source: &SourceId,
        lease_expired_at: Option<Timestamp>,
        now: Timestamp,
        chosen: impl Fn(&Item) -> bool,
    ) -> Result<u64, CrawldbError> {
        self.store.refresh().await?;
        let mut released = 0;
        let mut after: Option<ItemId> = None;
        loop {
            let scan = Scan {
                states: &[ItemState::InFlight],
                lease_expired_at,
                after: after.as_ref(),
                ..Scan::all(source, MAX_BATCH)
            };
            let page = self.store.scan(&scan).await?;
            let Some(last) = page.last() else {
                return Ok(released);
            };
            after = Some(last.id.clone());
            let free = page
                .iter()
                .filter(|item| chosen(item))
                .filter_map(|item| transition::release(item, now));
            released += self.put_and_keep(free.collect()).await?.len() as u64;
        }
    }

    /// Changes items by compare-and-swap, at most 1,000 at a time; `change` sees each as stored, decides what to store,
    /// and may be asked again. Answers with what was decided, in the order of the ids.
    pub async fn change_items<C: Fn(usize, Option<&Item>) -> Finished + Sync>(
        &self,
        source: &SourceId,
        ids: &[ItemId],
        change: C,
    ) -> Result<Vec<Finished>, CrawldbError> {
        let mut answers: Vec<Option<Finished>> = vec![None; ids.len()];
        for _ in 0..MAX_SWAPS {
            let open: Vec<usize> = (0..ids.len()).filter(|&at| answers[at].is_none()).collect();
            if open.is_empty() {
                return Ok(answers.into_iter().flatten().collect());
            }
            let wanted: Vec<ItemId> = open.iter().map(|&at| ids[at].clone()).collect();
            let stored = self.store.get_items(source, &wanted).await?;
            let decided = open
                .iter()
                .zip(&stored)
                .map(|(&at, stored)| change(at, stored.as_ref()));
            let decided: Vec<Finished> = decided.collect();
            for (at, finished) in open.into_iter().zip(self.put_finished(decided).await?) {
                answers[at] = finished;
            }
        }
        Err(CrawldbError::Contention(format!("source {source}")))
    }

    /// The item, where there is one.
    pub async fn item(&self, source: &SourceId, id: &ItemId) -> Result<Option<Item>, CrawldbError> {
        let mut items = self.store.get_items(source, std::slice::from_ref(id)).await?;
        Ok(items.pop().flatten())
    }

    /// Items in the order of their ids; `scan.after` continues where the last page ended.
    pub async fn items(&self, scan: &Scan<'_>) -> Result<Vec<Item>, CrawldbError> {
        Ok(self.store.scan(scan).await?)
    }
}

/// One try to write a batch of sightings: each item as stored, changed by every sighting of it.
struct SightRound<'a> {
    crawl: &'a Crawl,
    now: Timestamp,
    known: HashMap<ItemId, Item>,
    changed: Vec<ItemId>,
}

impl SightRound<'_> {
    fn know(&mut self, stored: Vec<Option<Item>>) {
        self.known = stored
            .into_iter()
            .flatten()
            .map(|item| (item.id.clone(), item))
            .collect();
    }

    fn sight(&mut self, sighting: &Sighting) -> Seen {
        let (seen, item) = transition::sight(self.known.get(&sighting.id), sighting, self.crawl, self.now);
        if let Some(item) = item {
            self.changed.push(item.id.clone());
            self.known.insert(item.id.clone(), item);
        }
        seen
    }

    /// The changed items, in the order of their first sighting.
    fn into_items(mut self) -> Vec<Item> {
        self.changed
            .iter()
            .filter_map(|id| self.known.remove(id))
            .collect()
    }
}

fn distinct<'a>(ids: impl Iterator<Item = &'a ItemId>) -> Vec<ItemId> {
    let mut met = HashSet::new();
    ids.filter(|id| met.insert(*id)).cloned().collect()
}

fn with_revision((item, written): (Item, Written)) -> Option<Item> {
    match written {
        Written::Done(revision) => Some(Item { revision, ..item }),
        Written::Conflict(_) => None,
    }
}

/// An item that is no longer stored lost its source: nothing is left to write.
fn decide(stored: Option<Item>, (attempt, terms): &(Attempt, Terms<'_>)) -> Finished {
    match stored {
        Some(stored) => transition::finish(&stored, attempt, terms),
        None => Finished::Stale(attempt.item.id.clone()),
    }
}
