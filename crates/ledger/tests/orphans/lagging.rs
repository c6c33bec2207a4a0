//! A store whose queries see only what was written before the last refresh, and that refuses to read or write too much at
//! once.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use crawldb::{
    Configuration, Counts, Crawl, DueQuery, Intent, Item, Scan, Scope, Source, Store, StoreError, Written,
};
use model::{CrawlId, ItemId, SourceId, Timestamp};

/// What one call may ask for.
const MAX_ITEMS: usize = 1_000;

pub(crate) struct LaggingStore {
    inner: Arc<dyn Store>,
    visible: Mutex<Vec<Item>>,
}

impl LaggingStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            visible: Mutex::default(),
        }
    }

    fn visible(&self, is_wanted: impl Fn(&Item) -> bool) -> Vec<Item> {
        let visible = self.visible.lock().unwrap_or_else(PoisonError::into_inner);
        visible.iter().filter(|item| is_wanted(item)).cloned().collect()
    }
}

fn is_listed(item: &Item, scan: &Scan<'_>) -> bool {
    let is_missed = |start| item.seen_crawl_at < start && item.last_updated.is_none_or(|at| at < start);
    item.source == *scan.source
        && (scan.states.is_empty() || scan.states.contains(&item.state))
        && scan.crawl.is_none_or(|crawl| item.crawl == *crawl)
        && scan
            .updated_since
            .is_none_or(|since| item.last_updated >= Some(since))
        && scan.missed_by.is_none_or(is_missed)
        && scan
            .lease_expired_at
            .is_none_or(|at| item.lease.as_ref().is_some_and(|lease| lease.until <= at))
        && scan.after.is_none_or(|after| item.id > *after)
}

#[async_trait]
impl Store for LaggingStore {
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        assert!(scan.limit <= MAX_ITEMS, "a page of {} items", scan.limit);
        let mut items = self.visible(|item| is_listed(item, scan));
        items.sort_by(|a, b| a.id.cmp(&b.id));
        items.truncate(scan.limit);
        Ok(items)
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        let is_counted =
            |item: &Item| item.source == *source && crawl.is_none_or(|crawl| item.crawl == *crawl);
        for item in self.visible(is_counted) {
            let (all, new) = counts.by_state.entry(item.state).or_default();
            *all += 1;
            *new += u64::from(item.is_new());
        }
        Ok(counts)
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        let mut items = Vec::new();
        for source in self.inner.list_sources().await? {
            items.extend(self.inner.scan(&Scan::all(&source.id, usize::MAX)).await?);
        }
        *self.visible.lock().unwrap_or_else(PoisonError::into_inner) = items;
        Ok(())
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        assert!(ids.len() <= MAX_ITEMS, "{} items are read at once", ids.len());
        self.inner.get_items(source, ids).await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        assert!(
            items.len() <= MAX_ITEMS,
            "{} items are written at once",
            items.len()
        );
        self.inner.put_items(items).await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.inner.delete_items(items).await
    }

    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.inner.get_source(id).await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.inner.list_sources().await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        self.inner.put_source(source).await
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        self.inner.put_configuration(configuration).await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        self.inner.list_configurations(source).await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.inner.delete_source(id).await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.inner.get_crawl(id).await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        self.inner.list_crawls(source, limit).await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        self.inner.put_crawl(crawl).await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        self.inner.put_intent(intent).await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        self.inner.delete_intent(source, id).await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        self.inner.list_intents(source).await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        self.inner.due(query).await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due(source, crawl, scope).await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        self.inner.scopes(source, crawl).await
    }
}
