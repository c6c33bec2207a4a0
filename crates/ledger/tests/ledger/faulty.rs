//! Documents and a log of which one call fails: before it did anything, or after it took effect. Or something else
//! happens first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crawldb::testkit::Moment;
use crawldb::{Document, DocumentStore, IndexName, StoreError, Written};
use futures::future::BoxFuture;
use model::{PageUrl, Timestamp};
use updates::{
    Consumer, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription, Topic, UpdateLog,
    Watermarks,
};

/// Which call fails, counted from 1.
pub(crate) struct Fault {
    pub(crate) fails_at: u64,
    pub(crate) moment: Moment,
    pub(crate) calls: AtomicU64,
}

impl Fault {
    pub(crate) fn at(fails_at: u64, moment: Moment) -> Self {
        Self {
            fails_at,
            moment,
            calls: AtomicU64::new(0),
        }
    }

    async fn pass<T, E>(
        &self,
        fault: impl Fn() -> E + Send,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let fails = self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at;
        if fails && self.moment == Moment::Before {
            return Err(fault());
        }
        let answer = call.await;
        if fails { Err(fault()) } else { answer }
    }
}

/// What happens once while somebody waits for an answer.
pub(crate) struct Meanwhile(Mutex<Option<BoxFuture<'static, ()>>>);

impl Meanwhile {
    pub(crate) fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn this(event: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::pin(event))))
    }

    async fn happen(&self) {
        let event = self.0.lock().unwrap().take();
        if let Some(event) = event {
            event.await;
        }
    }
}

pub(crate) struct FaultyDocuments {
    pub(crate) inner: Arc<dyn DocumentStore>,
    pub(crate) fault: Fault,
    /// Before the index is switched.
    pub(crate) meanwhile: Meanwhile,
}

impl FaultyDocuments {
    async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fault = || StoreError {
            place: "faulty documents".into(),
            reason: "told to fail here".into(),
            retryable: true,
            source: None,
        };
        self.fault.pass(fault, call).await
    }
}

#[async_trait]
impl DocumentStore for FaultyDocuments {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.pass(self.inner.index_in_force()).await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        self.meanwhile.happen().await;
        self.pass(self.inner.swap_index(current, next)).await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.pass(self.inner.drop_index(index)).await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        self.pass(self.inner.get_documents(index, urls)).await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.pass(self.inner.put_documents(index, documents)).await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        self.pass(self.inner.delete_documents(index, documents)).await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.pass(self.inner.scan_documents(index, after, limit)).await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.pass(self.inner.count_documents(index)).await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.pass(self.inner.refresh_documents()).await
    }
}

pub(crate) struct FaultyLog {
    pub(crate) inner: UpdateLog,
    pub(crate) fault: Fault,
    /// Before the first append to `applied`.
    pub(crate) meanwhile: Meanwhile,
}

fn log_fault() -> LogError {
    LogError::Store {
        place: "a faulty log".into(),
        reason: "told to fail here".into(),
        source: None,
    }
}

impl FaultyLog {
    async fn pass<T>(&self, call: impl Future<Output = Result<T, LogError>> + Send) -> Result<T, LogError> {
        self.fault.pass(log_fault, call).await
    }
}

#[async_trait]
impl LogStore for FaultyLog {
    async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        self.pass(self.inner.ensure_topic(topic)).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.pass(self.inner.topics()).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.pass(self.inner.delete_topic(name)).await
    }

    async fn append(&self, topic: &str, records: &[NewRecord]) -> Result<Vec<Position>, LogError> {
        if topic.ends_with(".applied") {
            self.meanwhile.happen().await;
        }
        self.pass(self.inner.append_records(topic, records)).await
    }

    async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        self.pass(self.inner.read(partition, from, max)).await
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        self.pass(self.inner.watermarks(topic)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        self.pass(self.inner.committed(group, topic)).await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        self.pass(self.inner.members(group)).await
    }

    /// The ledger joins no group.
    async fn consumer(&self, _: &str, _: &Subscription) -> Result<Box<dyn Consumer>, LogError> {
        Err(log_fault())
    }

    async fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        self.pass(self.inner.clean_up(now)).await
    }
}
