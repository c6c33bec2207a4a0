use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use model::{CrawlId, ItemId, SourceId, Timestamp};

use crate::port::{DueQuery, Scan, Store, StoreError, Written};
use crate::records::{Counts, Crawl, Item, Scope, Source};

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it did anything: the request was lost.
    Before,
    /// After it took effect: the answer was lost.
    After,
}

/// A store of which one call fails.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    fails_at: u64,
    moment: Moment,
    calls: AtomicU64,
}

impl FaultyStore {
    /// Fails the `fails_at`-th call, counted from 1, and no other.
    pub fn new(inner: Arc<dyn Store>, fails_at: u64, moment: Moment) -> Self {
        Self {
            inner,
            fails_at,
            moment,
            calls: AtomicU64::new(0),
        }
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fails = self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at;
        if fails && self.moment == Moment::Before {
            return Err(fault());
        }
        let answer = call.await;
        if fails { Err(fault()) } else { answer }
    }
}

fn fault() -> StoreError {
    StoreError {
        place: "a faulty store".into(),
        reason: "it was told to fail here".into(),
        retryable: true,
        source: None,
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.pass(self.inner.get_source(id)).await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.pass(self.inner.list_sources()).await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        self.pass(self.inner.put_source(source)).await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.pass(self.inner.delete_source(id)).await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.pass(self.inner.get_crawl(id)).await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        self.pass(self.inner.list_crawls(source, limit)).await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        self.pass(self.inner.put_crawl(crawl)).await
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        self.pass(self.inner.get_items(source, ids)).await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.pass(self.inner.put_items(items)).await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        self.pass(self.inner.due(query)).await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.pass(self.inner.next_due(source, crawl, scope)).await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        self.pass(self.inner.scan(scan)).await
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        self.pass(self.inner.counts(source, crawl)).await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        self.pass(self.inner.scopes(source, crawl)).await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.pass(self.inner.refresh()).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.pass(self.inner.check()).await
    }
}
