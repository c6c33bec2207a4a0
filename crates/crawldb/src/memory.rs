use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};

use crate::port::{DocumentStore, DueQuery, Scan, Store, StoreError, Written};
use crate::records::{
    Configuration, Counts, Crawl, Document, IndexName, Intent, Item, ItemState, Revision, Scope, Source,
};

/// Everything in ordered maps, gone with the process: for tests and trials. Queries look at every item.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    records: Mutex<Records>,
}

#[derive(Clone, Debug, Default)]
struct Records {
    sources: BTreeMap<SourceId, Source>,
    crawls: BTreeMap<CrawlId, Crawl>,
    items: BTreeMap<(SourceId, ItemId), Item>,
    configurations: BTreeMap<(SourceId, u64), Configuration>,
    intents: BTreeMap<(SourceId, String), Intent>,
    in_force: IndexName,
    documents: BTreeMap<(IndexName, PageUrl), Document>,
}

impl MemoryStore {
    /// Every change below is one assignment, so the maps are whole even after a panic elsewhere.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything as it is now.
    pub(crate) fn snapshot(&self) -> Self {
        let records = Mutex::new(self.records().clone());
        Self { records }
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

/// Removes what is stored if it has the revision that is carried.
fn remove(stored: Option<Revision>, carried: Revision, remove: impl FnOnce()) -> Written {
    match stored.unwrap_or(Revision::NEW) {
        stored if stored == carried && stored != Revision::NEW => {
            remove();
            Written::Done(stored)
        }
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
        && scan
            .missed_by
            .is_none_or(|start| item.seen_crawl_at < start && item.last_updated.is_none_or(|at| at < start))
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
        records.configurations.retain(|(source, _), _| source != id);
        records.intents.retain(|(source, _), _| source != id);
        Ok(())
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        let key = (configuration.source.clone(), configuration.number);
        self.records()
            .configurations
            .entry(key)
            .or_insert_with(|| configuration.clone());
        Ok(())
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        let records = self.records();
        let all = records.configurations.values();
        Ok(all
            .filter(|configuration| configuration.source == *source)
            .cloned()
            .collect())
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

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        let mut records = self.records();
        let mut delete = |item: &Item| {
            let key = (item.source.clone(), item.id.clone());
            let stored = records.items.get(&key).map(|stored| stored.revision);
            remove(stored, item.revision, || _ = records.items.remove(&key))
        };
        Ok(items.iter().map(&mut delete).collect())
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        let key = (intent.source.clone(), intent.id.clone());
        self.records().intents.insert(key, intent.clone());
        Ok(())
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        self.records().intents.remove(&(source.clone(), id.to_owned()));
        Ok(())
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        let records = self.records();
        let of_source = records.intents.values().filter(|intent| intent.source == *source);
        let mut intents: Vec<Intent> = of_source.cloned().collect();
        intents.sort_by_key(|intent| intent.at);
        intents.truncate(1_000);
        Ok(intents)
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

#[async_trait]
impl DocumentStore for MemoryStore {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        Ok(self.records().in_force.clone())
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        let mut records = self.records();
        let swaps = records.in_force == *current;
        if swaps {
            records.in_force = next.clone();
        }
        Ok(swaps)
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        let mut records = self.records();
        if records.in_force == *index {
            return Err(StoreError {
                place: "memory".into(),
                reason: format!("the index {index} is in force; put another one in force first"),
                retryable: false,
                source: None,
            });
        }
        records.documents.retain(|(of, _), _| of != index);
        Ok(())
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        let records = self.records();
        let get = |url: &PageUrl| records.documents.get(&(index.clone(), url.clone())).cloned();
        Ok(urls.iter().map(get).collect())
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let mut records = self.records();
        let mut put = |document: &Document| {
            let key = (index.clone(), document.url.clone());
            let stored = records.documents.get(&key).map(|stored| stored.revision);
            let written = judge(stored, document.revision);
            if let Written::Done(revision) = written {
                let document = document.clone();
                records.documents.insert(key, Document { revision, ..document });
            }
            written
        };
        Ok(documents.iter().map(&mut put).collect())
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let mut records = self.records();
        let mut delete = |document: &Document| {
            let key = (index.clone(), document.url.clone());
            let stored = records.documents.get(&key).map(|stored| stored.revision);
            remove(stored, document.revision, || _ = records.documents.remove(&key))
        };
        Ok(documents.iter().map(&mut delete).collect())
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let records = self.records();
        let of_index = records.documents.iter().filter(|((of, _), _)| of == index);
        let behind = of_index.filter(|((_, url), _)| after.is_none_or(|after| url > after));
        Ok(behind.take(limit).map(|(_, document)| document.clone()).collect())
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        let records = self.records();
        let of_index = records.documents.iter().filter(|((of, _), _)| of == index);
        Ok(of_index.filter(|(_, document)| document.is_alive()).count() as u64)
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
