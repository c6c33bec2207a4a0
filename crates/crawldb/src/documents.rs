//! Documents follow items: each item's record says what it brings to the document of its URL.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::{ItemId, PageUrl, SourceId, Timestamp, Version};

use crate::error::CrawldbError;
use crate::handle::{Crawldb, MAX_SWAPS};
use crate::port::Written;
use crate::records::{Body, Disposition, Document, IndexName, Item, Reference};

/// Documents that one call to the store reads or writes at most.
const MAX_BATCH: usize = 1_000;

/// What a reference did to its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referred {
    /// It is part of it now, instead of an older one.
    Changed,
    /// The document had it.
    Same,
    /// The document has a newer one of the same item.
    Stale,
}

impl Reference {
    /// What the item, as stored, brings to the document of its URL.
    pub fn of(item: &Item) -> Self {
        let body = match (&item.disposition, &item.checksum, &item.extract) {
            (Some(Disposition::Indexed), Some(checksum), Some(extract)) => Some(Body {
                checksum: *checksum,
                extract: extract.clone(),
            }),
            _ => None,
        };
        Self {
            source: item.source.clone(),
            item: item.id.clone(),
            version: item.version,
            write: item.revision.0,
            last_updated: item.last_updated.unwrap_or_default(),
            body,
        }
    }

    fn key(&self) -> (&SourceId, &ItemId) {
        (&self.source, &self.item)
    }

    /// A total order: of two references of one item, everybody takes the same one.
    fn order(&self) -> (Version, u64, Timestamp, Option<&Body>) {
        (self.version, self.write, self.last_updated, self.body.as_ref())
    }
}

impl Document {
    /// Makes the reference part of the document unless it has a newer one of the same item. In whatever order
    /// references come, and however often, the same document comes out. An item that was never written brings nothing.
    pub fn refer(&mut self, reference: &Reference) -> Referred {
        if reference.version == Version::NONE {
            return Referred::Same;
        }
        let found = self
            .references
            .binary_search_by(|known| known.key().cmp(&reference.key()));
        match found {
            Err(at) => {
                self.references.insert(at, reference.clone());
                Referred::Changed
            }
            Ok(at) if self.references[at] == *reference => Referred::Same,
            Ok(at) if self.references[at].order() >= reference.order() => Referred::Stale,
            Ok(at) => {
                self.references[at] = reference.clone();
                Referred::Changed
            }
        }
    }
}

impl Crawldb {
    /// Makes what these items bring part of the documents of their URLs, in the index in force. May be repeated.
    pub async fn project(&self, items: &[Item]) -> Result<(), CrawldbError> {
        let index = self.documents.index_in_force().await?;
        let references: Vec<(PageUrl, Reference)> = items
            .iter()
            .map(|item| (item.url.clone(), Reference::of(item)))
            .collect();
        self.refer(&index, &references).await?;
        Ok(())
    }

    /// Makes the references part of the documents of an index; answers in their order.
    pub async fn refer(
        &self,
        index: &IndexName,
        references: &[(PageUrl, Reference)],
    ) -> Result<Vec<Referred>, CrawldbError> {
        let mut answers = Vec::with_capacity(references.len());
        for batch in references.chunks(MAX_BATCH) {
            answers.extend(self.refer_batch(index, batch).await?);
        }
        Ok(answers)
    }

    async fn refer_batch(
        &self,
        index: &IndexName,
        references: &[(PageUrl, Reference)],
    ) -> Result<Vec<Referred>, CrawldbError> {
        let mut answers = vec![Referred::Same; references.len()];
        let mut open: Vec<usize> = (0..references.len()).collect();
        for _ in 0..MAX_SWAPS {
            let urls: BTreeSet<&PageUrl> = open.iter().map(|&at| &references[at].0).collect();
            let mut drafts = self.drafts(index, &urls).await?;
            for &at in &open {
                let (url, reference) = &references[at];
                if let Some(draft) = drafts.get_mut(url) {
                    answers[at] = draft.refer(reference);
                }
            }
            let lost = self.put_changed(index, drafts).await?;
            if lost.is_empty() {
                return Ok(answers);
            }
            open.retain(|&at| lost.contains(&references[at].0));
        }
        Err(CrawldbError::Contention(format!("index {index}")))
    }

    async fn drafts(
        &self,
        index: &IndexName,
        urls: &BTreeSet<&PageUrl>,
    ) -> Result<BTreeMap<PageUrl, Draft>, CrawldbError> {
        let urls: Vec<PageUrl> = urls.iter().copied().cloned().collect();
        let stored = self.documents.get_documents(index, &urls).await?;
        let draft = |(url, stored): (PageUrl, Option<Document>)| {
            let document = stored.unwrap_or_else(|| Document::new(url.clone()));
            let is_changed = false;
            (url, Draft { document, is_changed })
        };
        Ok(urls.into_iter().zip(stored).map(draft).collect())
    }

    /// Answers which documents another writer was faster with.
    async fn put_changed(
        &self,
        index: &IndexName,
        drafts: BTreeMap<PageUrl, Draft>,
    ) -> Result<HashSet<PageUrl>, CrawldbError> {
        let changed = drafts.into_values().filter(|draft| draft.is_changed);
        let changed: Vec<Document> = changed.map(|draft| draft.document).collect();
        if changed.is_empty() {
            return Ok(HashSet::new());
        }
        let written = self.documents.put_documents(index, &changed).await?;
        let conflict = |(document, written): (Document, Written)| {
            matches!(written, Written::Conflict(_)).then_some(document.url)
        };
        let lost: HashSet<PageUrl> = changed.into_iter().zip(written).filter_map(conflict).collect();
        self.figures.add_conflicts(lost.len() as u64);
        Ok(lost)
    }
}

/// A document as stored, with what is being made part of it.
struct Draft {
    document: Document,
    is_changed: bool,
}

impl Draft {
    fn refer(&mut self, reference: &Reference) -> Referred {
        let referred = self.document.refer(reference);
        self.is_changed |= referred == Referred::Changed;
        referred
    }
}
