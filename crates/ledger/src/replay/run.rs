//! One replay under way.

use std::collections::BTreeMap;

use crawldb::{Body, Document, IndexName, Item, Reference, Referred, Scan};
use model::{ItemId, PageUrl, SourceId};
use updates::{Applied, Change, Partition, Record, topics};

use super::{Progress, Replayed};
use crate::{Ledger, LedgerError, announce};

/// Records, documents or items of one step at most.
const BATCH: usize = 1_000;

pub(super) struct Run<'a> {
    ledger: &'a Ledger,
    index: &'a IndexName,
    progress: Progress<'a>,
    pub(super) done: Replayed,
}

impl<'a> Run<'a> {
    pub(super) fn new(ledger: &'a Ledger, index: &'a IndexName, progress: Progress<'a>) -> Self {
        Self {
            ledger,
            index,
            progress,
            done: Replayed::default(),
        }
    }

    pub(super) async fn replay(&mut self, source: &SourceId, from: Vec<u64>) -> Result<(), LedgerError> {
        self.follow(source, from).await?;
        self.sweep_documents(Some(source)).await?;
        self.sweep_items(source).await
    }

    /// Reads on from these offsets until at most one batch came meanwhile; answers where it stopped.
    pub(super) async fn follow(
        &mut self,
        source: &SourceId,
        mut offsets: Vec<u64>,
    ) -> Result<Vec<u64>, LedgerError> {
        let topic = topics::applied(source);
        loop {
            let before = self.done.read;
            let marks = self.ledger.log.watermarks(&topic).await?;
            for ((number, marks), offset) in (0..).zip(marks).zip(&mut offsets) {
                let topic = topic.clone();
                self.follow_partition(&Partition { topic, number }, offset, marks.high)
                    .await?;
            }
            if self.done.read - before <= BATCH as u64 {
                return Ok(offsets);
            }
        }
    }

    async fn follow_partition(
        &mut self,
        partition: &Partition,
        offset: &mut u64,
        end: u64,
    ) -> Result<(), LedgerError> {
        while *offset < end {
            let records = self.ledger.log.read(partition, *offset, BATCH).await?;
            *offset = records.last().map_or(end, |last| last.position.offset + 1);
            self.take(&records).await?;
        }
        Ok(())
    }

    async fn take(&mut self, records: &[Record]) -> Result<(), LedgerError> {
        let mut newest: BTreeMap<ItemId, Applied> = BTreeMap::new();
        for applied in records.iter().filter_map(decode) {
            let known = newest.get(&applied.item);
            let is_newer =
                known.is_none_or(|known| (known.version, known.write) < (applied.version, applied.write));
            self.done.superseded += u64::from(known.is_some());
            if is_newer {
                newest.insert(applied.item.clone(), applied);
            }
        }
        let references: Vec<(PageUrl, Reference)> = newest.into_values().filter_map(reference).collect();
        self.done.read += records.len() as u64;
        for referred in self.refer(&references).await? {
            match referred {
                Referred::Changed => self.done.written += 1,
                Referred::Same => self.done.same += 1,
                Referred::Stale => self.done.stale += 1,
            }
        }
        (self.progress)(&self.done);
        Ok(())
    }

    async fn refer(&self, references: &[(PageUrl, Reference)]) -> Result<Vec<Referred>, LedgerError> {
        Ok(self.ledger.crawldb.refer(self.index, references).await?)
    }

    /// How many of the references the index did not have.
    async fn correct(&mut self, references: &[(PageUrl, Reference)]) -> Result<u64, LedgerError> {
        let referred = self.refer(references).await?;
        let changed = referred.iter().filter(|referred| **referred == Referred::Changed);
        Ok(changed.count() as u64)
    }

    /// Removes references, of one source or of all, whose items no longer bring anything.
    pub(super) async fn sweep_documents(&mut self, source: Option<&SourceId>) -> Result<(), LedgerError> {
        let documents = self.ledger.crawldb.documents();
        documents.refresh_documents().await?;
        let mut after: Option<PageUrl> = None;
        loop {
            let page = documents
                .scan_documents(self.index, after.as_ref(), BATCH)
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.url.clone());
            for (source, present) in present_by_source(&page, source) {
                for present in present.chunks(BATCH) {
                    self.sweep_references(&source, present).await?;
                }
            }
            (self.progress)(&self.done);
        }
    }

    async fn sweep_references(
        &mut self,
        source: &SourceId,
        present: &[(PageUrl, Reference)],
    ) -> Result<(), LedgerError> {
        let ids: Vec<ItemId> = present
            .iter()
            .map(|(_, reference)| reference.item.clone())
            .collect();
        let stored = self.ledger.crawldb.store().get_items(source, &ids).await?;
        let gone = |((url, reference), stored): (&(PageUrl, Reference), Option<Item>)| {
            let gone = gone(url, reference, stored.as_ref())?;
            Some((url.clone(), gone))
        };
        let gone: Vec<(PageUrl, Reference)> = present.iter().zip(stored).filter_map(gone).collect();
        self.done.swept += self.correct(&gone).await?;
        Ok(())
    }

    /// Adds what items of the source bring and the index does not have.
    pub(super) async fn sweep_items(&mut self, source: &SourceId) -> Result<(), LedgerError> {
        self.ledger.crawldb.store().refresh().await?;
        let mut after: Option<ItemId> = None;
        loop {
            let scan = Scan {
                after: after.as_ref(),
                ..Scan::all(source, BATCH)
            };
            let page = self.ledger.crawldb.items(&scan).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            let next = last.id.clone();
            let missing = self.missing(&page).await?;
            // The page may lag behind, the records themselves do not.
            let stored = self.ledger.crawldb.store().get_items(source, &missing).await?;
            let references: Vec<(PageUrl, Reference)> =
                stored.iter().flatten().map(announce::reference).collect();
            self.done.added += self.correct(&references).await?;
            (self.progress)(&self.done);
            after = Some(next);
        }
    }

    /// The items that bring something which their documents do not have.
    async fn missing(&self, items: &[Item]) -> Result<Vec<ItemId>, LedgerError> {
        let brought: Vec<(PageUrl, Reference)> = items
            .iter()
            .map(announce::reference)
            .filter(|(_, reference)| reference.body.is_some())
            .collect();
        let urls: Vec<PageUrl> = brought.iter().map(|(url, _)| url.clone()).collect();
        let documents = self.ledger.crawldb.documents();
        let stored = documents.get_documents(self.index, &urls).await?;
        let missing = brought
            .into_iter()
            .zip(stored)
            .filter(|((_, reference), stored)| !stored.as_ref().is_some_and(|stored| has(stored, reference)));
        Ok(missing.map(|((_, reference), _)| reference.item).collect())
    }
}

/// What cannot be read is passed by with a warning: the sweep at the end takes it from the item's record.
fn decode(record: &Record) -> Option<Applied> {
    record.decode().unwrap_or_else(|error| {
        tracing::warn!(%error, "a replay passes a record by");
        None
    })
}

/// What the record brought to which document. The first version of Haul deleted without a URL: web items are their URL.
fn reference(applied: Applied) -> Option<(PageUrl, Reference)> {
    let (url, body) = match applied.change {
        Change::Upsert {
            url,
            checksum,
            extract,
        } => (url, Some(Body { checksum, extract })),
        Change::Delete { url: Some(url) } => (url, None),
        Change::Delete { url: None } => (PageUrl::parse(applied.item.as_str()).ok()?, None),
    };
    let reference = Reference {
        source: applied.source,
        item: applied.item,
        version: applied.version,
        write: applied.write,
        last_updated: applied.at,
        body,
    };
    Some((url, reference))
}

fn present_by_source(
    page: &[Document],
    source: Option<&SourceId>,
) -> BTreeMap<SourceId, Vec<(PageUrl, Reference)>> {
    let mut present: BTreeMap<SourceId, Vec<(PageUrl, Reference)>> = BTreeMap::new();
    for document in page {
        let wanted = |reference: &&Reference| source.is_none_or(|source| *source == reference.source);
        for reference in document.present().filter(wanted) {
            let of_source = present.entry(reference.source.clone()).or_default();
            of_source.push((document.url.clone(), reference.clone()));
        }
    }
    present
}

/// What takes the place of a reference that is present where the item, as stored, brings nothing to this URL.
fn gone(url: &PageUrl, present: &Reference, stored: Option<&Item>) -> Option<Reference> {
    let stored = stored
        .filter(|item| item.url == *url)
        .map(Reference::of)
        .filter(|stored| stored.body.is_some() || order(stored) > order(present));
    match stored {
        Some(stored) if stored.body.is_some() => None,
        Some(stored) => Some(stored),
        // No record says when it went: right after what is there.
        None => Some(Reference {
            write: present.write.saturating_add(1),
            body: None,
            ..present.clone()
        }),
    }
}

fn order(reference: &Reference) -> (model::Version, u64) {
    (reference.version, reference.write)
}

fn has(document: &Document, wanted: &Reference) -> bool {
    document.present().any(|reference| {
        reference.source == wanted.source && reference.item == wanted.item && reference.body == wanted.body
    })
}
