//! Chains of redirects and canonical addresses within one crawl.

use crawldb::{Crawldb, CrawldbError, Disposition, transition};
use model::{ItemId, PageUrl};
use rustc_hash::FxHashMap;

use crate::run::Run;

/// Redirects one after the other at most.
const MAX_HOPS: usize = 10;
/// Redirects that are remembered at most.
const MAX_REMEMBERED: usize = 200_000;

/// Which item leads to which, as far as this crawl knows.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    leads_to: FxHashMap<ItemId, ItemId>,
    /// How many redirects led to the item.
    hops: FxHashMap<ItemId, usize>,
}

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Astray {
    #[error("the redirects go in a circle: {0} leads back here")]
    Circle(PageUrl),
    #[error("more than {MAX_HOPS} redirects one after the other; the last leads to {0}")]
    Chain(PageUrl),
}

impl Redirects {
    /// Notes that `from` leads to `to`, unless that goes astray. Redirects of an earlier life of the crawl are
    /// looked up in the crawl database.
    pub(crate) async fn follow(
        &mut self,
        crawldb: &Crawldb,
        run: &Run,
        from: &ItemId,
        to: (&ItemId, &PageUrl),
    ) -> Result<Result<(), Astray>, CrawldbError> {
        let (to, url) = to;
        let mut at = to.clone();
        for _ in 0..MAX_HOPS {
            if at == *from {
                return Ok(Err(Astray::Circle(url.clone())));
            }
            match self.next(crawldb, run, &at).await? {
                Some(next) => at = next,
                None => break,
            }
        }
        let hops = self.hops.get(from).copied().unwrap_or(0) + 1;
        if hops > MAX_HOPS {
            return Ok(Err(Astray::Chain(url.clone())));
        }
        self.note(from, to, hops);
        Ok(Ok(()))
    }

    fn note(&mut self, from: &ItemId, to: &ItemId, hops: usize) {
        if self.leads_to.len() >= MAX_REMEMBERED {
            self.leads_to.clear();
            self.hops.clear();
        }
        self.leads_to.insert(from.clone(), to.clone());
        let known = self.hops.entry(to.clone()).or_default();
        *known = hops.max(*known);
    }

    async fn next(&self, crawldb: &Crawldb, run: &Run, at: &ItemId) -> Result<Option<ItemId>, CrawldbError> {
        if let Some(next) = self.leads_to.get(at) {
            return Ok(Some(next.clone()));
        }
        let item = crawldb.item(&run.source.id, at).await?;
        // What an older crawl wrote may have changed since.
        let of_this_crawl = item.filter(|item| item.version == transition::version_of(&run.crawl));
        Ok(of_this_crawl.and_then(|item| match item.disposition {
            Some(Disposition::Alias(next)) => Some(next),
            _ => None,
        }))
    }
}
