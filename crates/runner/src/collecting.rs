//! The data that a run left is taken in.

use std::fs;
use std::path::PathBuf;

use archive::Artifact;
use dataset::{CollectLimits, Collected, CompareOptions, Compared, Rejected};
use model::Checksum;
use registry::{Cause, Ending, Outcome, RowChanges};

use crate::execution::{Break, Execution, Left};
use crate::job::{on_thread, with_causes};

/// How long looking at a database may take.
const CHECK_TIME_MS: u64 = 600_000;

/// What was found in the work folder.
struct Found {
    collected: Collected,
    file: PathBuf,
    changes: Compared,
    by_rowid: dataset::RowCounts,
}

impl Execution {
    /// Looks at `data.sqlite`, counts what changed, and puts it into the archive.
    pub(crate) async fn collect(&self, ending: Ending) -> Result<Left, Break> {
        let keep = ending.outcome == Outcome::Succeeded || self.lease.scraper.settings.keep_after_failure;
        if !keep {
            return Ok(Left { ending, data: None });
        }
        match self.look().await? {
            Ok(found) => self.take_in(ending, found).await,
            Err(rejected) => self.reject(ending, &rejected).await,
        }
    }

    async fn look(&self) -> Result<Result<Found, Rejected>, Break> {
        let before = match &self.lease.version {
            Some(version) => Some(
                self.shop
                    .data_file(self.scraper(), version)
                    .await
                    .map_err(|error| Break::ours("the last data cannot be read", &error))?,
            ),
            None => None,
        };
        let (work, scratch, file) = (
            self.app(),
            self.folder.join("scratch"),
            self.folder.join("data.sqlite"),
        );
        fs::create_dir_all(&scratch).map_err(|error| Break::ours("a folder for checking", &error))?;
        let limits = CollectLimits {
            max_bytes: self.shop.options.max_data_bytes,
            timeout_ms: CHECK_TIME_MS,
        };
        let options = CompareOptions {
            ignore_columns: self.lease.scraper.settings.ignore_columns.clone(),
            ..CompareOptions::default()
        };
        let looked = on_thread("collect", move || {
            let collected = dataset::collect(&work, &scratch, &file, limits)?;
            let damaged = |error: dataset::QueryError| Rejected::Damaged(error.to_string());
            let changes = dataset::compare(before.as_deref(), &file, &options).map_err(damaged)?;
            let by_rowid = dataset::rowid_counts(before.as_deref(), &file).map_err(damaged)?;
            Ok(Found {
                collected,
                file,
                changes,
                by_rowid,
            })
        });
        Ok(looked.await)
    }

    async fn take_in(&self, mut ending: Ending, found: Found) -> Result<Left, Break> {
        if found.collected.tables == 0 {
            return self.reject(ending, &Rejected::Missing).await;
        }
        ending.changes = found
            .changes
            .iter()
            .map(|(table, difference)| (table.clone(), rows(difference.rows)))
            .collect();
        ending.rowid_changes = rows(found.by_rowid);
        ending.message = format!("{}: {}", ending.message, summary(&ending));
        let checksum: Checksum = found
            .collected
            .checksum
            .parse()
            .map_err(|error| Break::ours("the data has no checksum", &error))?;
        if let Some(version) = self
            .lease
            .version
            .as_ref()
            .filter(|version| version.checksum == checksum)
        {
            ending.version = Some(version.number);
            return Ok(Left { ending, data: None });
        }
        if matches!(self.lease.run.cause, Cause::Upload { .. }) {
            return Ok(Left { ending, data: None });
        }
        let artifact = Artifact::Dataset(checksum);
        let kept = self
            .shop
            .archive
            .put_artifact(self.scraper(), &artifact, &found.file)
            .await;
        kept.map_err(|error| Break::ours("the data cannot be archived", &error))?;
        Ok(Left {
            ending,
            data: Some((checksum, found.collected.bytes)),
        })
    }

    /// No data was taken in. The last version stays; what cannot be read is kept for its owner to look at.
    async fn reject(&self, mut ending: Ending, rejected: &Rejected) -> Result<Left, Break> {
        let succeeded = ending.outcome == Outcome::Succeeded;
        match rejected {
            Rejected::Failed { .. } => return Err(Break::ours("the data could not be taken in", rejected)),
            Rejected::Missing if succeeded => {
                ending.outcome = Outcome::NoData;
                ending.message = "it ended well but left no table in data.sqlite in its folder, which is where its data belongs".to_owned();
            }
            Rejected::Missing => {}
            rejected => {
                if succeeded {
                    ending.outcome = Outcome::Failed;
                }
                ending.message = format!(
                    "{}; {}; the last version of the data stays",
                    ending.message,
                    with_causes(rejected)
                );
                self.quarantine(rejected).await;
            }
        }
        Ok(Left { ending, data: None })
    }

    async fn quarantine(&self, rejected: &Rejected) {
        if !matches!(rejected, Rejected::Damaged(_)) {
            return;
        }
        let artifact = Artifact::Rejected(self.lease.run.id);
        let file = self.app().join("data.sqlite");
        if let Err(error) = self
            .shop
            .archive
            .put_artifact(self.scraper(), &artifact, &file)
            .await
        {
            self.complain(&format!("the damaged data could not be kept: {error}"));
        }
    }
}

fn rows(counts: dataset::RowCounts) -> RowChanges {
    RowChanges {
        added: counts.added,
        removed: counts.removed,
        changed: counts.changed,
        unchanged: counts.unchanged,
    }
}

/// All tables together, in a few words.
fn summary(ending: &Ending) -> String {
    let mut sum = RowChanges::default();
    for rows in ending.changes.values() {
        sum.added += rows.added;
        sum.removed += rows.removed;
        sum.changed += rows.changed;
        sum.unchanged += rows.unchanged;
    }
    format!(
        "{} rows added, {} removed, {} changed, {} unchanged",
        sum.added, sum.removed, sum.changed, sum.unchanged
    )
}
