use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};

use crate::port::{DocumentStore, DueQuery, Scan, Store, StoreError, Written};
use crate::records::{Configuration, Counts, Crawl, Document, IndexName, Intent, Item, Scope, Source};

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it did anything: the request was lost.
    Before,
    /// After it took effect: the answer was lost.
    After,
}

/// Which of all calls fails.
struct Faults {
    fails_at: u64,
    moment: Moment,
    calls: AtomicU64,
}

impl Faults {
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

/// A store of which one call fails.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    /// Fails the `fails_at`-th call, counted from 1, and no other.
    pub fn new(inner: Arc<dyn Store>, fails_at: u64, moment: Moment) -> Self {
        let faults = Arc::new(Faults {
            fails_at,
            moment,
            calls: AtomicU64::new(0),
        });
        Self { inner, faults }
    }

    /// The documents beside this store: calls to both are counted together, and one of all fails.
    pub fn with_documents(&self, inner: Arc<dyn DocumentStore>) -> FaultyDocuments {
        FaultyDocuments {
            inner,
            faults: Arc::clone(&self.faults),
        }
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.faults.calls.load(Ordering::SeqCst)
    }
}

/// Documents beside a [`FaultyStore`].
pub struct FaultyDocuments {
    inner: Arc<dyn DocumentStore>,
    faults: Arc<Faults>,
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
        self.faults.pass(self.inner.get_source(id)).await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.faults.pass(self.inner.list_sources()).await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        self.faults.pass(self.inner.put_source(source)).await
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        self.faults
            .pass(self.inner.put_configuration(configuration))
            .await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        self.faults.pass(self.inner.list_configurations(source)).await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.faults.pass(self.inner.delete_items(items)).await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        self.faults.pass(self.inner.put_intent(intent)).await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        self.faults.pass(self.inner.delete_intent(source, id)).await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        self.faults.pass(self.inner.list_intents(source)).await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.faults.pass(self.inner.delete_source(id)).await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.faults.pass(self.inner.get_crawl(id)).await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        self.faults.pass(self.inner.list_crawls(source, limit)).await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        self.faults.pass(self.inner.put_crawl(crawl)).await
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        self.faults.pass(self.inner.get_items(source, ids)).await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.faults.pass(self.inner.put_items(items)).await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        self.faults.pass(self.inner.due(query)).await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.faults.pass(self.inner.next_due(source, crawl, scope)).await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        self.faults.pass(self.inner.scan(scan)).await
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        self.faults.pass(self.inner.counts(source, crawl)).await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        self.faults.pass(self.inner.scopes(source, crawl)).await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.faults.pass(self.inner.refresh()).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.faults.pass(self.inner.check()).await
    }
}

#[async_trait]
impl DocumentStore for FaultyDocuments {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.faults.pass(self.inner.index_in_force()).await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        self.faults.pass(self.inner.swap_index(current, next)).await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.faults.pass(self.inner.drop_index(index)).await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        self.faults.pass(self.inner.get_documents(index, urls)).await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.faults.pass(self.inner.put_documents(index, documents)).await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.faults
            .pass(self.inner.delete_documents(index, documents))
            .await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.faults
            .pass(self.inner.scan_documents(index, after, limit))
            .await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.faults.pass(self.inner.count_documents(index)).await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.faults.pass(self.inner.refresh_documents()).await
    }
}
