use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};

use crate::memory::MemoryStore;
use crate::port::{DocumentStore, DueQuery, Scan, Store, StoreError, Written};
use crate::records::{Configuration, Counts, Crawl, Document, IndexName, Intent, Item, Scope, Source};

/// A store in memory that searches what was written before the last refresh, as search engines do: `due`, `next_due`,
/// `scan`, `counts`, `scopes` and their like for documents. What is read by its id is as it was last written.
#[derive(Default)]
pub struct LaggingStore {
    written: MemoryStore,
    searched: Mutex<Arc<MemoryStore>>,
}

impl LaggingStore {
    fn searched(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.searched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn refresh_now(&self) {
        let now = Arc::new(self.written.snapshot());
        *self.searched.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

#[async_trait]
impl Store for LaggingStore {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.written.get_source(id).await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.written.list_sources().await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        self.written.put_source(source).await
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        self.written.put_configuration(configuration).await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        self.written.list_configurations(source).await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.written.delete_items(items).await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        self.written.put_intent(intent).await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        self.written.delete_intent(source, id).await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        self.written.list_intents(source).await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.written.delete_source(id).await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.written.get_crawl(id).await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        self.written.list_crawls(source, limit).await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        self.written.put_crawl(crawl).await
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        self.written.get_items(source, ids).await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.written.put_items(items).await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        self.searched().due(query).await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.searched().next_due(source, crawl, scope).await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        self.searched().scan(scan).await
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        self.searched().counts(source, crawl).await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        self.searched().scopes(source, crawl).await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.refresh_now();
        Ok(())
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.written.check().await
    }
}

#[async_trait]
impl DocumentStore for LaggingStore {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.written.index_in_force().await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        self.written.swap_index(current, next).await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.written.drop_index(index).await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        self.written.get_documents(index, urls).await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.written.put_documents(index, documents).await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.written.delete_documents(index, documents).await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.searched().scan_documents(index, after, limit).await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.searched().count_documents(index).await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.refresh_now();
        Ok(())
    }
}
