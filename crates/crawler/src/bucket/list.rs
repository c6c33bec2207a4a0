use std::sync::Arc;
use std::sync::atomic::Ordering;

use retrieve::Source;

use super::Bucket;
use crate::patience::with_causes;
use crate::run::{Found, Run, Shared};

/// Objects that are told to the crawl database at once.
const CHUNK: usize = 1_000;

/// Tells the crawl database every object of the crawl's bucket, in the order of their keys. Ends early when the crawl
/// stops; a listing that breaks off ends the crawl.
pub(crate) async fn list(shared: Arc<Shared>, run: Arc<Run>, bucket: Arc<Bucket>) {
    let stop = run.stop.clone();
    let walk = Walk {
        shared: &shared,
        run: &run,
        bucket: &bucket,
        unnamed: 0,
    };
    if let Some(Err(error)) = stop.run_until_cancelled(walk.run()).await {
        run.give_up(format!(
            "{} could not be listed: {}",
            bucket.address(),
            with_causes(&error)
        ));
    }
}

struct Walk<'a> {
    shared: &'a Arc<Shared>,
    run: &'a Arc<Run>,
    bucket: &'a Bucket,
    /// Objects whose keys cannot be written as URLs.
    unnamed: u64,
}

impl Walk<'_> {
    async fn run(mut self) -> Result<(), retrieve::Error> {
        let everything = Source::Prefix(self.bucket.address().folder().clone());
        let request = self.bucket.request(everything);
        let mut entries = self.bucket.access.retriever.list(request);
        let mut found = Vec::with_capacity(CHUNK);
        while let Some(entry) = entries.next_entry().await {
            found.extend(self.meet(&entry?));
            if found.len() == CHUNK {
                self.shared.sight(self.run, std::mem::take(&mut found)).await;
                if self.is_enough() {
                    break;
                }
            }
        }
        self.shared.sight(self.run, found).await;
        if self.unnamed > 0 {
            let (bucket, objects) = (self.bucket.address(), self.unnamed);
            tracing::warn!(%bucket, objects, "objects are left out: their keys are too long for a URL or have a part that is . or ..");
        }
        Ok(())
    }

    fn meet(&mut self, entry: &retrieve::Entry) -> Option<Found> {
        let Some(url) = self.bucket.address().url(entry.location.key()) else {
            self.unnamed += 1;
            return None;
        };
        if !self.run.bounds.allow(&url) {
            return None;
        }
        self.bucket.listed().add(&url, entry);
        Some(Found::new(&self.run.prints, url, None, 0))
    }

    fn is_enough(&self) -> bool {
        self.run.items.load(Ordering::Acquire) >= self.run.source.site.max_pages
    }
}
