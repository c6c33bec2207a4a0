use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use model::{CrawlId, ItemId, SourceId, Timestamp};

use crate::port::{DueQuery, Scan, Store, StoreError, Written};
use crate::records::{Counts, Crawl, Item, ItemState, Revision, Scope, Source};

/// Everything in ordered maps, gone with the process: for tests and trials. Queries look at every item.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    sources: BTreeMap<SourceId, Source>,
    crawls: BTreeMap<CrawlId, Crawl>,
    items: BTreeMap<(SourceId, ItemId), Item>,
}

impl MemoryStore {
    /// Every change below is one assignment, so the maps are whole even after a panic elsewhere.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn items_of(&self, source: &SourceId) -> impl Iterator<Item = &Item> {
        self.items.values().filter(move |item| item.source == *source)
    }

    fn waiting<'a>(
        &'a self,
        source: &'a SourceId,
        crawl: &'a CrawlId,
        scope: Option<&'a Scope>,
    ) -> impl Iterator<Item = &'a Item> {
        self.items_of(source).filter(move |item| {
            matches!(item.state, ItemState::Pending | ItemState::Failure)
                && item.crawl == *crawl
                && scope.is_none_or(|scope| item.scope == *scope)
        })
    }
}

/// The revision after a write that carries `carried`, or the conflict with what is stored.
fn judge(stored: Option<Revision>, carried: Revision) -> Written {
    match stored.unwrap_or(Revision::NEW) {
        stored if stored == carried => Written::Done(Revision(stored.0 + 1)),
        stored => Written::Conflict(stored),
    }
}

fn matches_scan(item: &Item, scan: &Scan<'_>) -> bool {
    let expired = |at: Timestamp| item.lease.as_ref().is_some_and(|lease| lease.until <= at);
    (scan.states.is_empty() || scan.states.contains(&item.state))
        && scan.crawl.is_none_or(|crawl| item.crawl == *crawl)
        && scan
            .updated_since
            .is_none_or(|since| item.last_updated.is_some_and(|at| at >= since))
        && scan.lease_expired_at.is_none_or(expired)
        && scan.after.is_none_or(|after| item.id > *after)
}

#[async_trait]
impl Store for MemoryStore {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        Ok(self.records().sources.get(id).cloned())
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        Ok(self.records().sources.values().cloned().collect())
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        let mut records = self.records();
        let written = judge(
            records.sources.get(&source.id).map(|stored| stored.revision),
            source.revision,
        );
        if let Written::Done(revision) = written {
            records.sources.insert(
                source.id.clone(),
                Source {
                    revision,
                    ..source.clone()
                },
            );
        }
        Ok(written)
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        let mut records = self.records();
        records.sources.remove(id);
        records.crawls.retain(|crawl, _| crawl.source() != *id);
        records.items.retain(|(source, _), _| source != id);
        Ok(())
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        Ok(self.records().crawls.get(id).cloned())
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        let records = self.records();
        let wanted = |crawl: &&Crawl| source.is_none_or(|source| crawl.id.source() == *source);
        let mut crawls: Vec<Crawl> = records.crawls.values().filter(wanted).cloned().collect();
        crawls.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
        crawls.truncate(limit);
        Ok(crawls)
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        let mut records = self.records();
        let written = judge(
            records.crawls.get(&crawl.id).map(|stored| stored.revision),
            crawl.revision,
        );
        if let Written::Done(revision) = written {
            records.crawls.insert(
                crawl.id.clone(),
                Crawl {
                    revision,
                    ..crawl.clone()
                },
            );
        }
        Ok(written)
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        let records = self.records();
        Ok(ids
            .iter()
            .map(|id| records.items.get(&(source.clone(), id.clone())).cloned())
            .collect())
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        let mut records = self.records();
        let mut put = |item: &Item| {
            let key = (item.source.clone(), item.id.clone());
            let written = judge(
                records.items.get(&key).map(|stored| stored.revision),
                item.revision,
            );
            if let Written::Done(revision) = written {
                records.items.insert(
                    key,
                    Item {
                        revision,
                        ..item.clone()
                    },
                );
            }
            written
        };
        Ok(items.iter().map(&mut put).collect())
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        let records = self.records();
        let waiting = records.waiting(query.source, query.crawl, query.scope);
        let mut due: Vec<&Item> = waiting.filter(|item| item.next_attempt_at <= query.now).collect();
        due.sort_by_key(|item| item.next_attempt_at);
        Ok(due.into_iter().take(query.limit).cloned().collect())
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self
            .records()
            .waiting(source, crawl, scope)
            .map(|item| item.next_attempt_at)
            .min())
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        let records = self.records();
        let found = records
            .items_of(scan.source)
            .filter(|item| matches_scan(item, scan));
        Ok(found.take(scan.limit).cloned().collect())
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        let records = self.records();
        let mut counts = Counts::default();
        for item in records
            .items_of(source)
            .filter(|item| crawl.is_none_or(|crawl| item.crawl == *crawl))
        {
            let (all, new) = counts.by_state.entry(item.state).or_default();
            *all += 1;
            *new += u64::from(item.is_new());
        }
        Ok(counts)
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        let records = self.records();
        let mut scopes = BTreeMap::<&Scope, (u64, u64)>::new();
        for item in records.items_of(source).filter(|item| item.crawl == *crawl) {
            let (all, open) = scopes.entry(&item.scope).or_default();
            *all += 1;
            *open += u64::from(item.state.is_open());
        }
        Ok(scopes
            .into_iter()
            .map(|(scope, (all, open))| (scope.clone(), all, open))
            .collect())
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
