//! What the listener knows of the sources that tell of themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crawldb::{
    Crawl, CrawlKind, CrawlStatus, CrawlTotals, Enumeration, Item, LogMarks, OrphanReport, Revision, Source,
    SourceKind,
};
use model::{CrawlId, PageUrl, SourceId, Timestamp};
use tokio::time::Instant;
use updates::LiveUpdate;

use crate::bounds::authority;
use crate::crawler::{CrawlError, Crawler};
use crate::lane::Lane;
use crate::run::{Run, RunParts, Shared, item_id};

/// After so long a source is looked at anew: its robots.txt, and hosts that were given up.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// Hosts of one source whose politeness is remembered; beyond, they are remembered anew.
const MAX_LANES: usize = 10_000;

/// The sources that told something lately.
#[derive(Default)]
pub(super) struct Places(HashMap<SourceId, Arc<Place>>);

/// One source, and how its items are reached.
pub(super) struct Place {
    pub(super) source: Source,
    /// A run without a crawl: it reads pages, and nobody conducts it.
    pub(super) run: Arc<Run>,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    made_at: Instant,
}

impl Places {
    /// The source as it is now; none where there is none. Its records can only be skipped then.
    pub(super) async fn of(
        &mut self,
        crawler: &Crawler,
        id: &SourceId,
    ) -> Result<Option<Arc<Place>>, CrawlError> {
        self.0.retain(|_, place| place.made_at.elapsed() < MAX_AGE);
        let crawldb = crawler.shared().deps.ledger.crawldb();
        let Some(source) = crawldb.source(id).await? else {
            self.0.remove(id);
            return Ok(None);
        };
        if let Some(place) = self.0.get(id).filter(|place| place.is_of(&source)) {
            return Ok(Some(Arc::clone(place)));
        }
        let place = Arc::new(Place::new(crawler, source).await?);
        self.0.insert(id.clone(), Arc::clone(&place));
        Ok(Some(place))
    }
}

impl Place {
    async fn new(crawler: &Crawler, source: Source) -> Result<Self, CrawlError> {
        let shared = crawler.shared();
        let reach = crawler.reach(&source)?;
        let crawl = nobodys_crawl(&source, &shared.deps.service);
        let parts = RunParts {
            owner: shared.owner.clone(),
            conducts: false,
            source: source.clone(),
            crawl,
            reach,
            partitions: 1,
            items: 0,
        };
        let run = Arc::new(Run::new(parts, &shared.options, crawler.stopping().child_token()));
        // Hosts that the start URLs led to have left their items.
        if let Some(start) = source.last_crawl_start {
            let crawl = CrawlId::at(&source.id, start);
            for scope in shared.deps.ledger.crawldb().scopes(&crawl).await? {
                run.bounds.add_host(&scope.scope);
            }
        }
        Ok(Self {
            source,
            run,
            lanes: Mutex::default(),
            made_at: Instant::now(),
        })
    }

    fn is_of(&self, source: &Source) -> bool {
        let of = |source: &Source| {
            (
                source.configuration,
                source.last_crawl_start,
                source.deleting_since,
            )
        };
        of(&self.source) == of(source)
    }

    /// Why nothing of the source is taken, where that is so.
    pub(super) fn closed(&self) -> Option<&'static str> {
        if self.source.deleting_since.is_some() {
            Some("the source is being deleted")
        } else if !self.source.settings.live.enabled {
            Some("the source takes no live updates; switch them on first")
        } else {
            None
        }
    }

    /// Why the update is refused, where it is. An item that the source has is inside it, wherever its host is.
    pub(super) fn refusal(&self, update: &LiveUpdate, stored: Option<&Item>) -> Option<String> {
        let is_feed = self.source.settings.kind == SourceKind::Feed;
        if !is_feed && update.item != item_id(&update.url) {
            return Some(format!("the id of the item must be its URL, {}", update.url));
        }
        if let Some(item) = stored.filter(|item| item.url != update.url) {
            let url = &item.url;
            return Some(format!(
                "the item is at {url}; delete it, and tell of the new page under another id"
            ));
        }
        (!self.admits(&update.url, stored.is_some()))
            .then(|| format!("{} is outside of the source", update.url))
    }

    pub(super) fn admits(&self, url: &PageUrl, is_known: bool) -> bool {
        let (bounds, site) = (&self.run.bounds, &self.source.settings.site);
        match (&self.source.settings.kind, &self.run.bucket) {
            (_, Some(bucket)) => bounds.allow(url) && bucket.address().key(url).is_some(),
            (SourceKind::Feed, None) => {
                bounds.allow(url) && site.start.iter().any(|base| is_below(base, url))
            }
            _ if is_known => bounds.allow(url),
            _ => bounds.admit(url, 0),
        }
    }

    /// What keeps the requests to the host of a page apart.
    pub(super) fn lane(&self, shared: &Shared, url: &PageUrl) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= MAX_LANES {
            lanes.clear();
        }
        let delay = Duration::from_millis(self.source.settings.site.delay_ms);
        let lane = lanes
            .entry(authority(url).to_owned())
            .or_insert_with(|| Arc::new(Lane::alone(shared, delay, self.run.lanes_end.child_token())));
        Arc::clone(lane)
    }
}

/// Whether the page is the base or lies below it, as below a folder.
fn is_below(base: &PageUrl, url: &PageUrl) -> bool {
    match url.as_str().strip_prefix(base.as_str()) {
        Some(rest) => base.as_str().ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?']),
        None => false,
    }
}

/// What live updates belong to. It is never stored.
fn nobodys_crawl(source: &Source, service: &str) -> Crawl {
    Crawl {
        id: CrawlId::live(&source.id),
        revision: Revision::NEW,
        status: CrawlStatus::Processing,
        started_at: Timestamp::default(),
        ended_at: None,
        configuration: source.configuration,
        epoch: 0,
        service: service.to_owned(),
        alive_until: Timestamp::default(),
        totals: CrawlTotals::default(),
        fetched_bytes: 0,
        fetches: 0,
        processing_ms: 0,
        indexed: 0,
        reason: None,
        kind: CrawlKind::Incremental,
        enumeration: Enumeration::default(),
        marks: LogMarks::default(),
        orphans: OrphanReport::default(),
    }
}
