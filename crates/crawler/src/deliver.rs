//! What comes of working on an item, on its way to the applier.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crawldb::{Disposition, Item, Outcome};
use model::{ArchiveKey, Checksum, CrawlId, PageUrl};
use tokio::sync::oneshot;

use crate::run::{Found, Run, Shared};

/// A message to the applier.
pub(crate) enum Delivery {
    /// An item was worked on.
    Handled(Arc<Run>, Box<Handled>),
    /// Pages were found without an item that names them; the answer comes when they are in the crawl database.
    Sighted(Arc<Run>, Vec<Found>, oneshot::Sender<()>),
    /// Nothing more will come of this crawl; the answer comes when everything sent before is applied.
    Close(CrawlId, oneshot::Sender<()>),
}

/// A claimed item and what came of it.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) item: Item,
    pub(crate) verdict: Verdict,
    /// Where it links to, as far as the crawl goes.
    pub(crate) links: Vec<Found>,
}

/// What came of an item, before anything is written.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A page with text.
    Page(Box<Page>),
    /// It redirects.
    Redirect(PageUrl),
    /// Nothing that needs the archive.
    Plain(Box<Outcome>),
}

/// A page with text.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) checksum: Checksum,
    pub(crate) content: Vec<u8>,
    /// Where the archive has the content already.
    pub(crate) archived: Option<ArchiveKey>,
    /// The extract as the archive keeps it.
    pub(crate) extract: Vec<u8>,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// The page that it names as its own address, if that is another one of this crawl.
    pub(crate) canonical: Option<PageUrl>,
    pub(crate) noindex: bool,
}

impl Handled {
    pub(crate) fn plain(item: Item, outcome: Outcome) -> Self {
        Self {
            item,
            verdict: Verdict::Plain(Box::new(outcome)),
            links: Vec::new(),
        }
    }

    /// Bytes that it keeps in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.verdict.weight()
    }
}

impl Verdict {
    /// Bytes that it keeps in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Page(page) => page.content.len() + page.extract.len(),
            _ => 0,
        }
    }
}

/// An item without content that is not searched.
pub(crate) fn settled(disposition: Disposition) -> Outcome {
    let (checksum, content, extract, etag, last_modified) = (None, None, None, None, None);
    Outcome::Applied {
        checksum,
        disposition,
        content,
        extract,
        etag,
        last_modified,
    }
}

impl Shared {
    /// Hands an item over; an applier that is gone ends the crawl.
    pub(crate) async fn deliver(&self, run: &Arc<Run>, handled: Handled) {
        let delivery = Delivery::Handled(Arc::clone(run), Box::new(handled));
        self.working.fetch_sub(1, Ordering::AcqRel);
        if self.applier.send(delivery).await.is_err() {
            run.give_up("the applier has ended".to_owned());
            run.busy.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Waits until the crawl database has the pages.
    pub(crate) async fn sight(&self, run: &Arc<Run>, found: Vec<Found>) {
        let (done, applied) = oneshot::channel();
        if self
            .applier
            .send(Delivery::Sighted(Arc::clone(run), found, done))
            .await
            .is_ok()
        {
            applied.await.ok();
        }
    }

    /// Waits until everything that the crawl delivered is applied.
    pub(crate) async fn close(&self, crawl: &CrawlId) {
        let (done, applied) = oneshot::channel();
        if self
            .applier
            .send(Delivery::Close(crawl.clone(), done))
            .await
            .is_ok()
        {
            applied.await.ok();
        }
    }
}
