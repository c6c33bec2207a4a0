//! Where a crawl begins: start URLs, and what the sitemaps of its hosts list; or what a bucket lists.

use std::collections::VecDeque;
use std::sync::Arc;

use crawldb::{ItemErrorKind, Scope};
use model::{PageUrl, Timestamp};
use rustc_hash::FxHashSet;
use tokio::task::JoinHandle;

use crate::bounds::authority;
use crate::bucket;
use crate::fetch::{Reply, Request, inflate};
use crate::incremental::known_until;
use crate::patience::with_causes;
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
    run.source.settings.site.sitemaps.then(sitemaps)
}

/// Tells the crawl database the start URLs.
async fn start_urls(shared: &Arc<Shared>, run: &Arc<Run>) {
    let starts = run.source.settings.site.start.iter();
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
    open: VecDeque<Named>,
    /// What changed before is known, where the crawl is incremental.
    known_until: Option<Timestamp>,
    known: FxHashSet<PageUrl>,
}

/// A sitemap to be read.
#[derive(Clone)]
struct Named {
    url: PageUrl,
    nesting: u32,
    /// The start host whose pages it lists.
    host: Scope,
    /// Nobody named it: it may not be there.
    is_guess: bool,
}

impl Walk {
    fn new(shared: Arc<Shared>, run: Arc<Run>) -> Self {
        Self {
            shared,
            run,
            open: VecDeque::new(),
            known_until: None,
            known: FxHashSet::default(),
        }
    }

    async fn run(mut self) {
        match known_until(&self.shared, &self.run).await {
            Ok(known_until) => self.known_until = known_until,
            Err(error) => return self.run.give_up(with_causes(&error)),
        }
        let mut hosts = FxHashSet::default();
        for start in self.run.source.settings.site.start.clone() {
            if hosts.insert(authority(&start).to_owned()) {
                self.begin_at(&start).await;
            }
        }
        while let Some(named) = self.open.pop_front() {
            match self.read(&named).await {
                Ok(Some(sitemap)) => self.take(&named, sitemap).await,
                Ok(None) => {}
                Err(reason) => self.miss(&named, &format!("could not be read: {reason}")),
            }
        }
    }

    /// What a sitemap would have listed may be there: it is a loss of hints, not of the crawl.
    fn miss(&self, named: &Named, reason: &str) {
        let url = &named.url;
        self.run
            .incomplete(&named.host, format!("the sitemap {url} {reason}"));
        if authority(url) != named.host {
            self.run
                .incomplete(authority(url), format!("the sitemap {url} {reason}"));
        }
    }

    /// The sitemaps that robots.txt names; where it names none, the usual place.
    async fn begin_at(&mut self, start: &PageUrl) {
        let host = authority(start).to_owned();
        let rules = match self.run.robots.rules(&self.run.fetcher, start).await {
            Ok(rules) => rules,
            Err(error) => return self.run.incomplete(&host, error.message),
        };
        let sitemap = |url, is_guess| Named {
            url,
            nesting: 0,
            host: host.clone(),
            is_guess,
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
        let named = named.into_iter().map(|url| sitemap(url, false));
        let all: Vec<Named> = named.chain(usual.map(|url| sitemap(url, true))).collect();
        all.into_iter().for_each(|sitemap| self.add(sitemap));
    }

    fn add(&mut self, named: Named) {
        if self.known.contains(&named.url) {
            return;
        }
        if named.nesting > MAX_NESTING {
            return self.miss(&named, "is nested too deep");
        }
        let most = self.shared.options.max_sitemaps;
        if self.known.len() >= most {
            return self.run.cut(format!("there are more than {most} sitemaps"));
        }
        self.known.insert(named.url.clone());
        self.open.push_back(named);
    }

    /// None where there is no such sitemap and nobody said so. The error says what went wrong.
    async fn read(&self, named: &Named) -> Result<Option<Sitemap>, String> {
        let Some(bytes) = self.fetch(named).await? else {
            return Ok(None);
        };
        let sitemap = tokio::task::spawn_blocking(move || Sitemap::parse(&bytes)).await;
        let sitemap = sitemap.map_err(|_| "reading it failed unexpectedly".to_owned())?;
        if let Some(cut) = sitemap.cut {
            self.miss(named, &format!("was not read to its end: {cut}"));
        }
        Ok(Some(sitemap))
    }

    async fn fetch(&self, named: &Named) -> Result<Option<Vec<u8>>, String> {
        let mut url = named.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let permit = self.shared.connections.acquire().await;
            let _permit = permit.map_err(|_| "the crawler is stopping")?;
            let request = Request {
                url: &url,
                etag: None,
                last_modified: None,
                max_bytes: MAX_SITEMAP_BYTES,
                unwanted: |_, _, _| None,
                now: self.shared.options.clock.now(),
            };
            match self.run.fetcher.fetch(&request).await {
                Ok(Reply::Page(body)) if body.is_gzip => {
                    let inflated = inflate(&body.bytes, MAX_SITEMAP_BYTES);
                    return inflated.map(Some).map_err(|error| error.message);
                }
                Ok(Reply::Page(body)) => return Ok(Some(body.bytes)),
                Ok(Reply::Redirect(target)) => url = url.join(&target).map_err(|error| error.to_string())?,
                Ok(Reply::Gone(_)) if named.is_guess => return Ok(None),
                Ok(Reply::Gone(status)) => return Err(format!("HTTP {status}")),
                Ok(Reply::Unwanted(_) | Reply::NotModified { .. }) => {
                    return Err("it was answered without a body".to_owned());
                }
                Err(error) if named.is_guess && error.kind == ItemErrorKind::Client => return Ok(None),
                Err(error) => return Err(error.message),
            }
        }
        Err(format!("more than {MAX_REDIRECTS} redirects"))
    }

    /// What changed last comes first: it is what a limit on pages should not cut off.
    async fn take(&mut self, named: &Named, mut sitemap: Sitemap) {
        let url = &named.url;
        let newest_first = |entry: &Entry| std::cmp::Reverse(entry.changed_at.unwrap_or_default());
        if let Some(known_until) = self.known_until {
            let is_newer = |entry: &Entry| entry.changed_at.is_some_and(|at| at >= known_until);
            sitemap.pages.retain(is_newer);
            // A list that does not say when it changed may hold what did.
            sitemap
                .sitemaps
                .retain(|entry| entry.changed_at.is_none() || is_newer(entry));
        }
        sitemap.pages.sort_by_key(newest_first);
        sitemap.sitemaps.sort_by_key(newest_first);
        for entry in &sitemap.sitemaps {
            if let Ok(listed) = url.join(&entry.location) {
                self.add(Named {
                    url: listed,
                    nesting: named.nesting + 1,
                    is_guess: false,
                    ..named.clone()
                });
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
