use async_trait::async_trait;
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};

use crate::records::{
    Configuration, Counts, Crawl, Document, IndexName, Intent, Item, ItemState, Revision, Scope, Source,
};

/// What became of one compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Taken; the record now has this revision.
    Done(Revision),
    /// Not taken: the store holds another revision, or none ([`Revision::NEW`]).
    Conflict(Revision),
}

/// Which items may be claimed: PENDING or FAILURE, of this crawl, due at `now`, longest due first.
#[derive(Clone, Debug)]
pub struct DueQuery<'a> {
    /// The source.
    pub source: &'a SourceId,
    /// The crawl.
    pub crawl: &'a CrawlId,
    /// Only this scope.
    pub scope: Option<&'a Scope>,
    /// Only items whose `next_attempt_at` is not later.
    pub now: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// Which items to list, in the order of their ids.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    /// The source.
    pub source: &'a SourceId,
    /// Only items in these states; all where empty.
    pub states: &'a [ItemState],
    /// Only items that this crawl touched last.
    pub crawl: Option<&'a CrawlId>,
    /// Only items last updated at or after this instant.
    pub updated_since: Option<Timestamp>,
    /// Only items that no crawl which started at or after this instant saw, and that were not updated since: what a
    /// crawl that started then missed.
    pub missed_by: Option<Timestamp>,
    /// Only items whose lease expired at or before this instant.
    pub lease_expired_at: Option<Timestamp>,
    /// Only ids greater than this: where the last page ended.
    pub after: Option<&'a ItemId>,
    /// At most so many.
    pub limit: usize,
}

impl<'a> Scan<'a> {
    /// Every item of the source, `limit` at a time.
    pub fn all(source: &'a SourceId, limit: usize) -> Self {
        Self {
            source,
            states: &[],
            crawl: None,
            updated_since: None,
            missed_by: None,
            lease_expired_at: None,
            after: None,
            limit,
        }
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the crawl database at {place}: {reason}")]
pub struct StoreError {
    /// The file or server.
    pub place: String,
    /// What went wrong and what to do.
    pub reason: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What an engine implements. Users call the [`Crawldb`](crate::Crawldb), which knows the states.
///
/// The contract, checked by [`testkit`](crate::testkit) on every engine: `get_*` and `list_*` are real-time (they see
/// every write that was acknowledged); a put is taken only when the record's `revision` is the stored one; `due`,
/// `next_due`, `scan`, `counts` and `scopes` see everything after `refresh`, and may see less before; a put that returned
/// survives the death of the process. Nothing is written together: each record of a batch is judged alone.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The source, where there is one.
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError>;

    /// All sources by id.
    async fn list_sources(&self) -> Result<Vec<Source>, StoreError>;

    /// Writes the source if its revision is the stored one.
    async fn put_source(&self, source: &Source) -> Result<Written, StoreError>;

    /// Keeps a configuration for ever; the first one with this source and number stays.
    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError>;

    /// The configurations of the source by number.
    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError>;

    /// Removes the source, its configurations, its crawls, its intents and its items. Documents stay.
    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError>;

    /// The crawl, where there is one.
    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError>;

    /// The newest crawls, of one source or of all, newest first.
    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError>;

    /// Writes the crawl if its revision is the stored one.
    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError>;

    /// The items with these ids, in their order.
    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError>;

    /// Writes each item if its revision is the stored one; each is judged alone.
    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError>;

    /// Removes each item if its revision is the stored one; [`Written::Done`] carries the revision that went.
    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError>;

    /// Writes an intent; one with this id is replaced.
    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError>;

    /// Removes an intent; nothing where there is none.
    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError>;

    /// At most 1,000 intents of the source, oldest first; sees every intent that was acknowledged.
    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError>;

    /// Items that may be claimed.
    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError>;

    /// When the next item of the crawl (and scope) that is PENDING or FAILURE is due, if there is one.
    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Items in the order of their ids.
    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError>;

    /// How many items of the source, or of one crawl of it, are in which state.
    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError>;

    /// Per scope of a crawl: items in all, and items that are PENDING, IN_FLIGHT or FAILURE.
    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError>;

    /// After this, scans, counts and due see every write that was acknowledged before.
    async fn refresh(&self) -> Result<(), StoreError>;

    /// Reads everything and says what is broken; nothing where all is well, or where the engine looks after itself.
    async fn check(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}

/// What an engine implements to keep documents, in indexes that are told apart by name. One of them is in force: it is
/// the one that is searched, and everybody who writes documents writes there.
///
/// The contract is that of [`Store`]: reads by URL are real-time, a put is taken only when the document's `revision` is
/// the stored one, a scan sees everything after `refresh`.
#[async_trait]
pub trait DocumentStore: Send + Sync + 'static {
    /// The index in force; [`IndexName::default`] in a new store.
    async fn index_in_force(&self) -> Result<IndexName, StoreError>;

    /// Puts `next` in force if `current` is; answers whether it did.
    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError>;

    /// Removes an index with its documents; nothing where there is none. The one in force is an error.
    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError>;

    /// The documents with these URLs, in their order.
    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError>;

    /// Writes each document if its revision is the stored one; each is judged alone. An index comes to be with its
    /// first document.
    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError>;

    /// Removes each document if its revision is the stored one; [`Written::Done`] carries the revision that went.
    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError>;

    /// At most `limit` documents in the order of their URLs, after `after`.
    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError>;

    /// Documents that are alive.
    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError>;

    /// After this, scans and counts see every write that was acknowledged before.
    async fn refresh_documents(&self) -> Result<(), StoreError>;
}
