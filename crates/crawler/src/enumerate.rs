//! Where a crawl begins: start URLs, and what the sitemaps of its hosts list; or what a bucket lists.

use std::collections::VecDeque;
use std::sync::Arc;

use model::PageUrl;
use rustc_hash::FxHashSet;
use tokio::task::JoinHandle;

use crate::bounds::authority;
use crate::bucket;
use crate::fetch::{Reply, Request, inflate};
use crate::run::{Found, Run, Shared};
use crate::sitemap::{Entry, MAX_SITEMAP_BYTES, Sitemap};

/// How deep sitemap indexes may be nested.
const MAX_NESTING: u32 = 3;
/// Pages that are told to the crawl database at once.
const CHUNK: usize = 2_000;
/// Redirects of one sitemap that are followed.
const MAX_REDIRECTS: usize = 5;
/// Pages of a sitemap are as near as those that a start URL links to.
const DEPTH: u32 = 1;

/// Begins; the task, where there is one, goes on until everything is told that is known without fetching pages.
pub(crate) async fn begin(shared: &Arc<Shared>, run: &Arc<Run>) -> Option<JoinHandle<()>> {
    if let Some(bucket) = &run.bucket {
        let listing = bucket::list(Arc::clone(shared), Arc::clone(run), Arc::clone(bucket));
        return Some(run.tasks.spawn(listing));
    }
    start_urls(shared, run).await;
    let sitemaps = || run.tasks.spawn(sitemaps(Arc::clone(shared), Arc::clone(run)));
    run.source.site.sitemaps.then(sitemaps)
}

/// Tells the crawl database the start URLs.
async fn start_urls(shared: &Arc<Shared>, run: &Arc<Run>) {
    let starts = run.source.site.start.iter();
    let found = starts
        .map(|url| Found::new(&run.prints, url.clone(), None, 0))
        .collect();
    shared.sight(run, found).await;
}

/// Reads the sitemaps of all start hosts, each once. Ends early when the crawl stops.
async fn sitemaps(shared: Arc<Shared>, run: Arc<Run>) {
    let stop = run.stop.clone();
    stop.run_until_cancelled(Walk::new(shared, run).run()).await;
}

struct Walk {
    shared: Arc<Shared>,
    run: Arc<Run>,
    open: VecDeque<(PageUrl, u32)>,
    known: FxHashSet<PageUrl>,
}

impl Walk {
    fn new(shared: Arc<Shared>, run: Arc<Run>) -> Self {
        Self {
            shared,
            run,
            open: VecDeque::new(),
            known: FxHashSet::default(),
        }
    }

    async fn run(mut self) {
        let mut hosts = FxHashSet::default();
        for start in self.run.source.site.start.clone() {
            if hosts.insert(authority(&start).to_owned()) {
                self.begin_at(&start).await;
            }
        }
        while let Some((url, nesting)) = self.open.pop_front() {
            if let Some(sitemap) = self.read(&url).await {
                self.take(&url, sitemap, nesting).await;
            }
        }
    }

    /// The sitemaps that robots.txt names; where it names none, the usual place.
    async fn begin_at(&mut self, start: &PageUrl) {
        let Ok(rules) = self.run.robots.rules(&self.run.fetcher, start).await else {
            return;
        };
        let named: Vec<PageUrl> = rules
            .sitemaps()
            .iter()
            .filter_map(|named| start.join(named).ok())
            .collect();
        let usual = start
            .join("/sitemap.xml")
            .ok()
            .filter(|usual| named.is_empty() && rules.allows(usual));
        for url in named.into_iter().chain(usual) {
            self.add(url, 0);
        }
    }

    fn add(&mut self, url: PageUrl, nesting: u32) {
        if nesting <= MAX_NESTING
            && self.known.len() < self.shared.options.max_sitemaps
            && self.known.insert(url.clone())
        {
            self.open.push_back((url, nesting));
        }
    }

    /// A sitemap that cannot be read is a loss of hints, not of the crawl.
    async fn read(&self, url: &PageUrl) -> Option<Sitemap> {
        let bytes = self.fetch(url.clone()).await?;
        let sitemap = tokio::task::spawn_blocking(move || Sitemap::parse(&bytes))
            .await
            .ok()?;
        if let Some(cut) = sitemap.cut {
            tracing::warn!(%url, reason = %cut, "the sitemap was not read to its end");
        }
        Some(sitemap)
    }

    async fn fetch(&self, mut url: PageUrl) -> Option<Vec<u8>> {
        for _ in 0..=MAX_REDIRECTS {
            let _permit = self.shared.connections.acquire().await.ok()?;
            let request = Request {
                url: &url,
                etag: None,
                last_modified: None,
                max_bytes: MAX_SITEMAP_BYTES,
                unwanted: |_, _, _| None,
                now: self.shared.options.clock.now(),
            };
            match self.run.fetcher.fetch(&request).await {
                Ok(Reply::Page(body)) if body.is_gzip => return inflate(&body.bytes, MAX_SITEMAP_BYTES).ok(),
                Ok(Reply::Page(body)) => return Some(body.bytes),
                Ok(Reply::Redirect(target)) => url = url.join(&target).ok()?,
                Ok(_) => return None,
                Err(error) => {
                    tracing::warn!(%url, error = error.message, "the sitemap could not be fetched");
                    return None;
                }
            }
        }
        None
    }

    /// What changed last comes first: it is what a limit on pages should not cut off.
    async fn take(&mut self, url: &PageUrl, mut sitemap: Sitemap, nesting: u32) {
        let newest_first = |entry: &Entry| std::cmp::Reverse(entry.changed_at.unwrap_or_default());
        sitemap.pages.sort_by_key(newest_first);
        sitemap.sitemaps.sort_by_key(newest_first);
        for entry in &sitemap.sitemaps {
            if let Ok(listed) = url.join(&entry.location) {
                self.add(listed, nesting + 1);
            }
        }
        let pages = sitemap
            .pages
            .iter()
            .filter_map(|entry| url.join(&entry.location).ok());
        let admitted = pages.filter(|page| self.run.bounds.admit(page, DEPTH));
        let found = admitted.map(|page| Found::new(&self.run.prints, page, None, DEPTH));
        let found: Vec<Found> = found.collect();
        for chunk in found.chunks(CHUNK) {
            self.shared.sight(&self.run, chunk.to_vec()).await;
        }
    }
}
