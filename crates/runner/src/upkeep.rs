//! What is kept for a while, and no longer.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archive::Artifact;
use model::{RunId, ScraperId, Timestamp};
use registry::{Cause, Origin, Phase, RegistryError, Run, RunFilter, Version};

use crate::execution::{Workshop, now};
use crate::upload;

/// How often old things are looked for; the first time soon after the start.
const EVERY: Duration = Duration::from_secs(3600);

/// Sets of built dependencies that are kept.
const KEPT_BUILDS: usize = 50;

impl Workshop {
    /// Forgets what is too old, now and then, for ever.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            if let Err(error) = self.forget().await {
                tracing::warn!(%error, "old runs could not be forgotten; it is tried again");
            }
            let shop = Arc::clone(&self);
            let swept = tokio::task::spawn_blocking(move || shop.sweep()).await;
            if let Err(error) = swept.map_err(io::Error::other).flatten() {
                tracing::warn!(%error, "old files could not be removed; it is tried again");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn sweep(&self) -> io::Result<()> {
        self.places.sweep_data(SystemTime::now())?;
        self.places.sweep_builds()?;
        self.builds.set_aside(&self.places.old_builds(KEPT_BUILDS)?)?;
        self.places.sweep_builds()
    }

    async fn forget(&self) -> Result<(), RegistryError> {
        let age = u64::from(self.options.keep_days) * 24 * 3_600_000;
        let before = Timestamp::from_millis(now().as_millis().saturating_sub(age));
        loop {
            let forgotten = self.registry.forget_runs(before).await?;
            if forgotten.is_empty() {
                return Ok(());
            }
            for (scraper, run) in forgotten {
                self.remove_what_run_left(&scraper, run).await;
            }
        }
    }

    pub(crate) async fn remove_what_run_left(&self, scraper: &ScraperId, run: RunId) {
        if let Err(error) = self.logs.remove(&run.to_string()) {
            tracing::warn!(%error, %run, "an old log could not be removed");
        }
        for artifact in [
            Artifact::Log(run),
            Artifact::Cassette(run),
            Artifact::Rejected(run),
        ] {
            self.remove(scraper, &artifact).await;
        }
    }

    /// Removes versions of data from the archive, unless the same bytes have come back.
    pub(crate) async fn drop_versions(&self, scraper: &ScraperId, dropped: &[Version]) {
        if dropped.is_empty() {
            return;
        }
        let _shelf = self.shelf.lock().await;
        let kept = match self.registry.versions(scraper).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, %scraper, "old data could not be removed");
                return;
            }
        };
        for version in dropped {
            if !kept.iter().any(|kept| kept.checksum == version.checksum) {
                self.remove(scraper, &Artifact::Dataset(version.checksum)).await;
            }
        }
    }

    /// Removes code that was sent to be run once, unless another run of it waits.
    pub(crate) async fn drop_sent(&self, run: &Run) {
        let Cause::Upload { by, checksum } = &run.cause else {
            return;
        };
        let needed = self.registry.is_upload_needed(by, checksum).await;
        if let (Ok(false), Ok(home)) = (needed, upload::home(by)) {
            self.remove(&home, &Artifact::Sent(*checksum)).await;
        }
    }

    /// Removes code that was sent and that is not the scraper's any more, unless a run of it goes on.
    pub(crate) async fn drop_code(&self, scraper: &ScraperId, code: &Origin) {
        let Origin::Upload { checksum } = code else { return };
        let filter = RunFilter {
            scraper: Some(scraper.clone()),
            unfinished: Some(true),
            ..RunFilter::default()
        };
        let (Ok(known), Ok(runs)) = (
            self.registry.scraper(scraper).await,
            self.registry.runs(filter).await,
        ) else {
            return;
        };
        if known.origin != *code && runs.iter().all(|run| run.phase == Phase::Queued) {
            self.remove(scraper, &Artifact::Upload(*checksum)).await;
        }
    }

    pub(crate) async fn remove(&self, scraper: &ScraperId, artifact: &Artifact) {
        if let Err(error) = self.archive.delete_artifact(scraper, artifact).await {
            tracing::warn!(%error, %scraper, ?artifact, "something old could not be removed from the archive");
        }
    }
}
