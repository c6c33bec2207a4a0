use std::sync::Arc;
use std::sync::atomic::Ordering;

use retrieve::{Entry, Source};

use super::disk::{Disk, Step};
use super::{Bucket, BucketAccess, Store};
use crate::bounds::authority;
use crate::incremental;
use crate::patience::with_causes;
use crate::run::{Found, Run, Shared};

/// Objects that are told to the crawl database at once.
const CHUNK: usize = 1_000;

/// Why a listing broke off.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error(transparent)]
    Bucket(#[from] retrieve::Error),
    #[error(transparent)]
    Folder(#[from] std::io::Error),
    #[error(transparent)]
    Crawldb(#[from] crawldb::CrawldbError),
}

/// Tells the crawl database every object of the crawl's bucket; an incremental crawl only those that changed. Ends early
/// when the crawl stops; a listing that breaks off ends the crawl.
pub(crate) async fn list(shared: Arc<Shared>, run: Arc<Run>, bucket: Arc<Bucket>) {
    let stop = run.stop.clone();
    let walk = Walk {
        shared: &shared,
        run: &run,
        bucket: &bucket,
        found: Vec::with_capacity(CHUNK),
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
    found: Vec<(Found, Entry)>,
    /// Objects whose keys cannot be written as URLs.
    unnamed: u64,
}

impl Walk<'_> {
    async fn run(mut self) -> Result<(), ListError> {
        match &self.bucket.store {
            Store::Remote(access) => self.list_bucket(access).await?,
            Store::Disk(disk) => self.list_folder(disk).await?,
        }
        self.tell().await?;
        if self.unnamed > 0 {
            let (bucket, objects) = (self.bucket.address(), self.unnamed);
            tracing::warn!(%bucket, objects, "objects are left out: their keys are too long for a URL or have a part that is . or ..");
        }
        Ok(())
    }

    async fn list_bucket(&mut self, access: &BucketAccess) -> Result<(), ListError> {
        let everything = Source::Prefix(self.bucket.address().folder().clone());
        let mut entries = access.retriever.list(access.request(everything));
        while let Some(entry) = entries.next_entry().await {
            if self.meet(entry?).await? {
                break;
            }
        }
        Ok(())
    }

    /// What a folder that cannot be read holds is not known, so nothing of the source is taken for gone.
    async fn list_folder(&mut self, disk: &Disk) -> Result<(), ListError> {
        let mut steps = disk.walk().await?;
        while let Some(step) = steps.recv().await {
            let is_enough = match step {
                Step::File(entry) => self.meet(entry).await?,
                Step::Unreadable(reason) => {
                    self.run
                        .incomplete(authority(self.bucket.address().base()), reason);
                    false
                }
            };
            if is_enough {
                break;
            }
        }
        Ok(())
    }

    /// Whether that is enough.
    async fn meet(&mut self, entry: Entry) -> Result<bool, ListError> {
        let Some(url) = self.bucket.address().url(entry.location.key()) else {
            self.unnamed += 1;
            return Ok(false);
        };
        if self.run.bounds.allow(&url) {
            self.found
                .push((Found::new(&self.run.prints, url, None, 0), entry));
        }
        if self.found.len() < CHUNK {
            return Ok(false);
        }
        self.tell().await?;
        let is_enough = self.run.items.load(Ordering::Acquire) >= self.run.source.settings.site.max_pages;
        if is_enough {
            self.run
                .cut("the listing was not read to its end: max_pages was reached");
        }
        Ok(is_enough)
    }

    async fn tell(&mut self) -> Result<(), ListError> {
        let found = std::mem::take(&mut self.found);
        let found = incremental::changed(self.shared, self.run, found).await?;
        let mut sighted = Vec::with_capacity(found.len());
        for (found, entry) in found {
            self.bucket.listed().add(&found.sighting.url, &entry);
            sighted.push(found);
        }
        self.shared.sight(self.run, sighted).await;
        Ok(())
    }
}
