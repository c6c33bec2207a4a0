//! What is kept for a while, and no longer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archive::Artifact;
use model::{RunId, ScraperId, Timestamp};
use registry::{Cause, RegistryError, Run, RunFilter, Version};

use crate::execution::{Workshop, now};
use crate::job::on_thread;
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
            let places = self.places.clone();
            let swept = on_thread("sweep", move || {
                places.sweep_caches(SystemTime::now(), KEPT_BUILDS)
            })
            .await;
            if let Err(error) = swept {
                tracing::warn!(%error, "old files could not be removed; it is tried again");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn forget(&self) -> Result<(), RegistryError> {
        let age = u64::from(self.options.keep_days) * 24 * 3_600_000;
        let before = Timestamp::from_millis(now().as_millis().saturating_sub(age));
        loop {
            let forgotten = self.registry.forget_runs(before).await?;
            if forgotten.is_empty() {
                return Ok(());
            }
            self.remove_what_runs_left(forgotten).await;
        }
    }

    async fn remove_what_runs_left(&self, runs: Vec<(ScraperId, RunId)>) {
        for (scraper, run) in runs {
            if let Err(error) = self.logs.remove(&run.to_string()) {
                tracing::warn!(%error, %run, "an old log could not be removed");
            }
            for artifact in [
                Artifact::Log(run),
                Artifact::Cassette(run),
                Artifact::Rejected(run),
            ] {
                self.remove(&scraper, &artifact).await;
            }
        }
    }

    /// Removes versions of data from the archive, unless one that is kept has the same bytes.
    pub(crate) async fn drop_versions(&self, scraper: &ScraperId, dropped: &[Version]) {
        if dropped.is_empty() {
            return;
        }
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
    pub(crate) async fn drop_upload(&self, run: &Run) {
        let Cause::Upload { by, checksum } = &run.cause else {
            return;
        };
        let filter = RunFilter {
            owner: Some(by.clone()),
            unfinished: Some(true),
            ..RunFilter::default()
        };
        let (Ok(others), Ok(home)) = (self.registry.runs(filter).await, upload::home(by)) else {
            return;
        };
        let is_same =
            |other: &Run| matches!(&other.cause, Cause::Upload { checksum: same, .. } if same == checksum);
        if !others.iter().any(is_same) {
            self.remove(&home, &Artifact::Upload(*checksum)).await;
        }
    }

    pub(crate) async fn remove(&self, scraper: &ScraperId, artifact: &Artifact) {
        if let Err(error) = self.archive.delete_artifact(scraper, artifact).await {
            tracing::warn!(%error, %scraper, ?artifact, "something old could not be removed from the archive");
        }
    }
}
