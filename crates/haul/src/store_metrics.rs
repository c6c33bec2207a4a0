//! How the crawl database answers: every call is timed and counted by how it ended, whichever engine is below.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use crawldb::{
    Configuration, Counts, Crawl, Crawldb, Document, DocumentStore, DueQuery, IndexName, Intent, Item, Scan,
    Scope, Source, Store, StoreError, Written,
};
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What the calls of a store were like. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    requests: Family<Ended, Counter>,
    seconds: Family<Called, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    call: &'static str,
    code: &'static str,
}

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_1, 4.0, 9))),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("haul_store");
        let help = "Calls of the crawl database by how they ended";
        registry.register("requests", help, self.requests.clone());
        let help = "Time of a call of the crawl database";
        registry.register_with_unit("request", help, Unit::Seconds, self.seconds.clone());
    }

    /// The same database, counted here.
    pub(crate) fn observe(&self, crawldb: &Crawldb) -> Crawldb {
        let store = Observed {
            below: Arc::clone(crawldb.store()),
            metrics: self.clone(),
        };
        let documents = Observed {
            below: Arc::clone(crawldb.documents()),
            metrics: self.clone(),
        };
        Crawldb::new(Arc::new(store), Arc::new(documents))
    }

    async fn time<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let answer = work.await;
        let code = match &answer {
            Ok(_) => "ok",
            Err(error) if error.retryable => "unavailable",
            Err(_) => "refused",
        };
        self.requests.get_or_create(&Ended { call, code }).inc();
        let took = begun.elapsed().as_secs_f64();
        self.seconds.get_or_create(&Called { call }).observe(took);
        answer
    }
}

/// An engine whose calls are counted.
struct Observed<S: ?Sized> {
    below: Arc<S>,
    metrics: StoreMetrics,
}

#[async_trait]
impl Store for Observed<dyn Store> {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.metrics.time("get_source", self.below.get_source(id)).await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.metrics.time("list_sources", self.below.list_sources()).await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        self.metrics
            .time("put_source", self.below.put_source(source))
            .await
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        self.metrics
            .time("put_configuration", self.below.put_configuration(configuration))
            .await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        self.metrics
            .time("list_configurations", self.below.list_configurations(source))
            .await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.metrics
            .time("delete_source", self.below.delete_source(id))
            .await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.metrics.time("get_crawl", self.below.get_crawl(id)).await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        self.metrics
            .time("list_crawls", self.below.list_crawls(source, limit))
            .await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        self.metrics.time("put_crawl", self.below.put_crawl(crawl)).await
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        self.metrics
            .time("get_items", self.below.get_items(source, ids))
            .await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.metrics.time("put_items", self.below.put_items(items)).await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.metrics
            .time("delete_items", self.below.delete_items(items))
            .await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        self.metrics
            .time("put_intent", self.below.put_intent(intent))
            .await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        self.metrics
            .time("delete_intent", self.below.delete_intent(source, id))
            .await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        self.metrics
            .time("list_intents", self.below.list_intents(source))
            .await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        self.metrics.time("due", self.below.due(query)).await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.metrics
            .time("next_due", self.below.next_due(source, crawl, scope))
            .await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        self.metrics.time("scan", self.below.scan(scan)).await
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        self.metrics
            .time("counts", self.below.counts(source, crawl))
            .await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        self.metrics
            .time("scopes", self.below.scopes(source, crawl))
            .await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        self.metrics.time("refresh", self.below.refresh()).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.metrics.time("check", self.below.check()).await
    }
}

#[async_trait]
impl DocumentStore for Observed<dyn DocumentStore> {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.metrics
            .time("index_in_force", self.below.index_in_force())
            .await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        self.metrics
            .time("swap_index", self.below.swap_index(current, next))
            .await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.metrics
            .time("drop_index", self.below.drop_index(index))
            .await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        self.metrics
            .time("get_documents", self.below.get_documents(index, urls))
            .await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.metrics
            .time("put_documents", self.below.put_documents(index, documents))
            .await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.metrics
            .time("delete_documents", self.below.delete_documents(index, documents))
            .await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.metrics
            .time("scan_documents", self.below.scan_documents(index, after, limit))
            .await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.metrics
            .time("count_documents", self.below.count_documents(index))
            .await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.metrics
            .time("refresh_documents", self.below.refresh_documents())
            .await
    }
}

#[cfg(test)]
mod tests {
    use crawldb::testkit::{FaultyStore, Moment};
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[tokio::test]
    async fn calls_are_counted_by_how_they_ended() {
        let memory = Crawldb::memory();
        let faulty = FaultyStore::new(Arc::clone(memory.store()), 2, Moment::Before);
        let metrics = StoreMetrics::new();
        let documents = Arc::clone(memory.documents());
        let crawldb = metrics.observe(&Crawldb::new(Arc::new(faulty), documents));

        crawldb.sources().await.unwrap();
        crawldb.sources().await.unwrap_err();

        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "haul_store_requests_total{call=\"list_sources\",code=\"ok\"} 1",
            "haul_store_requests_total{call=\"list_sources\",code=\"unavailable\"} 1",
            "haul_store_request_seconds_count{call=\"list_sources\"} 2",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
        }
    }
}
