use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crawldb::ItemErrorKind;
use model::{PageUrl, Timestamp};
use rustc_hash::FxHashMap;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::fetch::{FetchError, Fetcher, Reply, Request};
use crate::options::{Clock, CrawlerOptions};
use crate::robots::Robots;

/// A robots.txt is believed this long (RFC 9309 section 2.4).
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Redirects of a robots.txt that are followed (RFC 9309 section 2.3.1.2).
const MAX_REDIRECTS: usize = 5;
/// Bytes of a robots.txt that are taken from the network; how many of them count is the parser's business.
const MAX_BYTES: u64 = 5 << 20;
/// A name that does not exist now and in ten seconds does not exist.
const DNS_PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Arc<Robots>, FetchError>;

/// The rules of the sites of one crawl, each asked for once a day at most.
#[derive(Debug)]
pub(crate) struct RobotsCache {
    product: String,
    patience: Duration,
    clock: Clock,
    sites: Mutex<FxHashMap<String, Site>>,
}

#[derive(Clone, Debug)]
struct Site {
    asked_at: Timestamp,
    answer: Arc<OnceCell<Answer>>,
}

impl RobotsCache {
    pub(crate) fn new(options: &CrawlerOptions) -> Self {
        Self {
            product: options.product.clone(),
            patience: options.robots_patience,
            clock: options.clock.clone(),
            sites: Mutex::default(),
        }
    }

    /// The rules for the site of `url`. Waits, with growing pauses, for a site that does not answer; the error is
    /// what it said last, and means that nothing of the site may be fetched.
    pub(crate) async fn rules(&self, fetcher: &Fetcher, url: &PageUrl) -> Answer {
        let site = self.site(&url.as_url()[..url::Position::AfterPort]);
        site.answer.get_or_init(|| self.ask(fetcher, url)).await.clone()
    }

    fn site(&self, origin: &str) -> Site {
        let now = self.clock.now();
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = sites.get(origin)
            && now.since(site.asked_at) < MAX_AGE
        {
            return site.clone();
        }
        let site = Site {
            asked_at: now,
            answer: Arc::default(),
        };
        sites.insert(origin.to_owned(), site.clone());
        site
    }

    async fn ask(&self, fetcher: &Fetcher, url: &PageUrl) -> Answer {
        let begun = Instant::now();
        let mut pause = Duration::from_secs(1).min(self.patience);
        loop {
            let error = match self.fetch(fetcher, url).await {
                Ok(robots) => return Ok(Arc::new(robots)),
                Err(error) => error,
            };
            let patience = match error.kind {
                ItemErrorKind::Dns => self.patience.min(DNS_PATIENCE),
                _ => self.patience,
            };
            if !error.retryable || begun.elapsed() + pause > patience {
                return Err(as_reason(&error, url));
            }
            tracing::debug!(%url, error = error.message, "robots.txt could not be read, waiting");
            tokio::time::sleep(error.retry_after.unwrap_or(pause).clamp(pause, patience)).await;
            pause *= 2;
        }
    }

    async fn fetch(&self, fetcher: &Fetcher, url: &PageUrl) -> Result<Robots, FetchError> {
        let invalid =
            |error: model::InvalidUrl| FetchError::permanent(ItemErrorKind::Redirect, error.to_string());
        let mut url = url.join("/robots.txt").map_err(invalid)?;
        for _ in 0..=MAX_REDIRECTS {
            let now = self.clock.now();
            let unwanted = |_: Option<&str>, _: &[u8], _: &PageUrl| None;
            let request = Request {
                url: &url,
                etag: None,
                last_modified: None,
                max_bytes: MAX_BYTES,
                unwanted,
                now,
            };
            match fetcher.fetch(&request).await {
                Ok(Reply::Page(mut body)) => {
                    return Ok(Robots::parse(&body.decode(MAX_BYTES)?, &self.product));
                }
                Ok(Reply::Redirect(target)) => url = url.join(&target).map_err(invalid)?,
                // "Unavailable" means that there are no rules (RFC 9309 section 2.3.1.3).
                Ok(_) => return Ok(Robots::allow_all()),
                Err(error) if error.kind == ItemErrorKind::Client => return Ok(Robots::allow_all()),
                Err(error) => return Err(error),
            }
        }
        Ok(Robots::allow_all())
    }
}

/// The host was waited for already: its items need no further attempts.
fn as_reason(error: &FetchError, url: &PageUrl) -> FetchError {
    let origin = &url.as_url()[..url::Position::AfterPort];
    let message = format!(
        "robots.txt of {origin} could not be read, so nothing of it may be fetched: {}",
        error.message
    );
    FetchError::permanent(error.kind, message)
}
