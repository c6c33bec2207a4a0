//! The stores as everybody in a run sees them: each call gives way, may fail, and scans see what was refreshed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use crawldb::{
    Configuration, Counts, Crawl, Crawldb, Document, DocumentStore, DueQuery, IndexName, Intent, Item,
    Revision, Scan, Scope, Source, Store, StoreError, Written,
};
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};

use crate::bug::Bug;
use crate::witness::Witness;
use crate::world::{Fate, World};

type Key = (SourceId, ItemId);

/// A store in memory behind a network that loses requests and answers, and that is slow to show what was written.
pub(crate) struct SimStore {
    world: Arc<World>,
    witness: Arc<Witness>,
    records: Arc<dyn Store>,
    documents: Arc<dyn DocumentStore>,
    /// What scans see.
    visible: Arc<dyn Store>,
    lag: Mutex<Lag>,
}

#[derive(Default)]
struct Lag {
    /// Items that were written since the last refresh.
    hidden: BTreeSet<Key>,
    /// The revisions of what is visible.
    revisions: BTreeMap<Key, Revision>,
}

impl SimStore {
    pub(crate) fn new(world: Arc<World>, witness: Arc<Witness>) -> Self {
        let memory = Crawldb::memory();
        Self {
            world,
            witness,
            records: Arc::clone(memory.store()),
            documents: Arc::clone(memory.documents()),
            visible: Arc::clone(Crawldb::memory().store()),
            lag: Mutex::default(),
        }
    }

    /// The stores below: what is written, without delay and faults.
    pub(crate) fn truth(&self) -> Crawldb {
        Crawldb::new(Arc::clone(&self.records), Arc::clone(&self.documents))
    }

    fn lag(&self) -> MutexGuard<'_, Lag> {
        self.lag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass<T>(
        &self,
        name: impl FnOnce() -> String,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fate = self.world.step(name).await;
        if fate == Fate::FailsBefore {
            return Err(fault());
        }
        let answer = call.await;
        if fate == Fate::FailsAfter {
            Err(fault())
        } else {
            answer
        }
    }

    /// Makes everything visible to scans. A record in the visible store has a revision of its own.
    pub(crate) async fn show(&self) -> Result<(), StoreError> {
        let hidden = std::mem::take(&mut self.lag().hidden);
        for (source, id) in hidden {
            let ids = [id];
            let shown = self.visible.get_items(&source, &ids).await?.pop().flatten();
            self.visible.delete_items(shown.as_slice()).await?;
            let Some(item) = self.records.get_items(&source, &ids).await?.pop().flatten() else {
                continue;
            };
            let [id] = ids;
            self.lag().revisions.insert((source, id), item.revision);
            let shown = Item {
                revision: Revision::NEW,
                ..item
            };
            self.visible.put_items(&[shown]).await?;
        }
        Ok(())
    }

    fn as_written(&self, mut items: Vec<Item>) -> Vec<Item> {
        let lag = self.lag();
        for item in &mut items {
            if let Some(revision) = lag.revisions.get(&(item.source.clone(), item.id.clone())) {
                item.revision = *revision;
            }
        }
        items
    }

    async fn write_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        let written = if self.world.has(Bug::IgnoresItemRevisions) {
            let stored = self.stored_revisions(items).await?;
            self.records.put_items(&stored).await?
        } else {
            self.records.put_items(items).await?
        };
        for (item, written) in items.iter().zip(&written) {
            if let Written::Done(_) = written {
                self.lag().hidden.insert((item.source.clone(), item.id.clone()));
                self.witness.item(item);
            }
        }
        self.recount(items).await?;
        Ok(written)
    }

    /// Tells the witness the figures of crawls that are about to end, as they are after a write.
    async fn recount(&self, items: &[Item]) -> Result<(), StoreError> {
        let Some(item) = items.first() else {
            return Ok(());
        };
        for crawl in self.witness.ending(&item.source) {
            let counts = self.records.counts(&item.source, Some(&crawl)).await?;
            self.witness.recounted(&crawl, counts.totals());
        }
        Ok(())
    }

    async fn stored_revisions(&self, items: &[Item]) -> Result<Vec<Item>, StoreError> {
        let mut changed = items.to_vec();
        for item in &mut changed {
            let stored = self
                .records
                .get_items(&item.source, std::slice::from_ref(&item.id))
                .await?;
            item.revision = stored
                .into_iter()
                .flatten()
                .next()
                .map_or(Revision::NEW, |stored| stored.revision);
        }
        Ok(changed)
    }

    async fn write_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let mut documents = documents.to_vec();
        if self.world.has(Bug::IgnoresDocumentRevisions) {
            let urls: Vec<PageUrl> = documents.iter().map(|document| document.url.clone()).collect();
            let stored = self.documents.get_documents(index, &urls).await?;
            for (document, stored) in documents.iter_mut().zip(stored) {
                document.revision = stored.map_or(Revision::NEW, |stored| stored.revision);
            }
        }
        let written = self.documents.put_documents(index, &documents).await?;
        for (document, written) in documents.iter().zip(&written) {
            if let Written::Done(_) = written {
                self.witness.document(index, document);
            }
        }
        Ok(written)
    }

    async fn count(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        let mut counts = self.visible.counts(source, crawl).await?;
        if self.world.has(Bug::MiscountsLiveItems) && crawl.is_none() {
            for (all, _) in counts.by_state.values_mut() {
                *all *= 1_000;
            }
        }
        Ok(counts)
    }
}

fn fault() -> StoreError {
    StoreError {
        place: "the simulation".into(),
        reason: "the network lost it".into(),
        retryable: true,
        source: None,
    }
}

#[async_trait]
impl Store for SimStore {
    async fn get_source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.pass(|| format!("gets source {id}"), self.records.get_source(id))
            .await
    }

    async fn list_sources(&self) -> Result<Vec<Source>, StoreError> {
        self.pass(|| "lists sources".into(), self.records.list_sources())
            .await
    }

    async fn put_source(&self, source: &Source) -> Result<Written, StoreError> {
        let name = || format!("puts source {} epoch {}", source.id, source.lock_epoch);
        self.pass(name, self.records.put_source(source)).await
    }

    async fn put_configuration(&self, configuration: &Configuration) -> Result<(), StoreError> {
        let put = self.records.put_configuration(configuration);
        self.pass(|| "puts configuration".into(), put).await
    }

    async fn list_configurations(&self, source: &SourceId) -> Result<Vec<Configuration>, StoreError> {
        let list = self.records.list_configurations(source);
        self.pass(|| "lists configurations".into(), list).await
    }

    async fn delete_source(&self, id: &SourceId) -> Result<(), StoreError> {
        self.pass(|| format!("deletes source {id}"), self.records.delete_source(id))
            .await
    }

    async fn get_crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, StoreError> {
        self.pass(|| format!("gets crawl {id}"), self.records.get_crawl(id))
            .await
    }

    async fn list_crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, StoreError> {
        let list = self.records.list_crawls(source, limit);
        self.pass(|| "lists crawls".into(), list).await
    }

    async fn put_crawl(&self, crawl: &Crawl) -> Result<Written, StoreError> {
        let put = async {
            let written = self.records.put_crawl(crawl).await?;
            if let Written::Done(_) = written {
                self.witness.crawl(crawl);
            }
            Ok(written)
        };
        let name = || format!("puts crawl {} {:?} epoch {}", crawl.id, crawl.status, crawl.epoch);
        self.pass(name, put).await
    }

    async fn get_items(&self, source: &SourceId, ids: &[ItemId]) -> Result<Vec<Option<Item>>, StoreError> {
        let name = || {
            let sorted: BTreeSet<&ItemId> = ids.iter().collect();
            format!("gets items {sorted:?}")
        };
        self.pass(name, self.records.get_items(source, ids)).await
    }

    async fn put_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        let name = || {
            format!(
                "puts items {}",
                items.iter().map(describe).collect::<Vec<_>>().join(", ")
            )
        };
        self.pass(name, self.write_items(items)).await
    }

    async fn delete_items(&self, items: &[Item]) -> Result<Vec<Written>, StoreError> {
        self.pass(|| "deletes items".into(), self.records.delete_items(items))
            .await
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), StoreError> {
        let put = async {
            if self.world.has(Bug::LosesIntents) {
                return Ok(());
            }
            self.records.put_intent(intent).await
        };
        self.pass(|| format!("puts intent {} {:?}", intent.id, intent.items), put)
            .await
    }

    async fn delete_intent(&self, source: &SourceId, id: &str) -> Result<(), StoreError> {
        let delete = self.records.delete_intent(source, id);
        self.pass(|| format!("deletes intent {id}"), delete).await
    }

    async fn list_intents(&self, source: &SourceId) -> Result<Vec<Intent>, StoreError> {
        self.pass(|| "lists intents".into(), self.records.list_intents(source))
            .await
    }

    async fn due(&self, query: &DueQuery<'_>) -> Result<Vec<Item>, StoreError> {
        let due = async { Ok(self.as_written(self.visible.due(query).await?)) };
        self.pass(|| format!("asks what is due of {}", query.crawl), due)
            .await
    }

    async fn next_due(
        &self,
        source: &SourceId,
        crawl: &CrawlId,
        scope: Option<&Scope>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let next = self.visible.next_due(source, crawl, scope);
        self.pass(|| format!("asks when something of {crawl} is due"), next)
            .await
    }

    async fn scan(&self, scan: &Scan<'_>) -> Result<Vec<Item>, StoreError> {
        let found = async { Ok(self.as_written(self.visible.scan(scan).await?)) };
        self.pass(|| format!("scans items of {}", scan.source), found)
            .await
    }

    async fn counts(&self, source: &SourceId, crawl: Option<&CrawlId>) -> Result<Counts, StoreError> {
        self.pass(|| format!("counts {source} {crawl:?}"), self.count(source, crawl))
            .await
    }

    async fn scopes(&self, source: &SourceId, crawl: &CrawlId) -> Result<Vec<(Scope, u64, u64)>, StoreError> {
        self.pass(
            || format!("counts scopes of {crawl}"),
            self.visible.scopes(source, crawl),
        )
        .await
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        let refresh = async {
            if self.world.has(Bug::NeverRefreshes) {
                return Ok(());
            }
            self.show().await
        };
        self.pass(|| "refreshes".into(), refresh).await
    }
}

#[async_trait]
impl DocumentStore for SimStore {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.pass(|| "asks for the index".into(), self.documents.index_in_force())
            .await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        let swap = self.documents.swap_index(current, next);
        self.pass(|| format!("swaps {current} for {next}"), swap).await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.pass(|| format!("drops {index}"), self.documents.drop_index(index))
            .await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        let get = self.documents.get_documents(index, urls);
        self.pass(|| format!("gets documents {urls:?}"), get).await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let name = || {
            format!(
                "puts documents {}",
                documents.iter().map(outline).collect::<Vec<_>>().join(", ")
            )
        };
        self.pass(name, self.write_documents(index, documents)).await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let delete = self.documents.delete_documents(index, documents);
        self.pass(|| "deletes documents".into(), delete).await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let scan = self.documents.scan_documents(index, after, limit);
        self.pass(|| format!("scans {index}"), scan).await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.pass(
            || format!("counts {index}"),
            self.documents.count_documents(index),
        )
        .await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.pass(
            || "refreshes documents".into(),
            self.documents.refresh_documents(),
        )
        .await
    }
}

fn describe(item: &Item) -> String {
    let Item {
        id,
        state,
        version,
        revision,
        crawl,
        ..
    } = item;
    let content = item.content.as_ref().map_or("nothing", |key| key.as_str());
    format!(
        "{id} {state:?} {version:?} revision {} of {crawl}: {content}",
        revision.0
    )
}

fn outline(document: &Document) -> String {
    let references = document.references.iter().map(|reference| {
        let body = reference
            .body
            .as_ref()
            .map_or("gone", |body| body.extract.as_str());
        format!(
            "{} {:?}/{} {body}",
            reference.source, reference.version, reference.write
        )
    });
    format!("{} [{}]", document.url, references.collect::<Vec<_>>().join("; "))
}
