//! The data that a run left is taken in.

use std::path::PathBuf;
use std::time::Duration;

use archive::Artifact;
use dataset::{CollectLimits, Collected, CompareOptions, Compared, QueryError, Rejected};
use model::Checksum;
use registry::{Cause, Ending, Outcome, RowChanges};

use crate::execution::{Break, Execution, Left};
use crate::job::{on_thread, with_causes};

/// How long looking at a database may take, and at that of a run that somebody had stopped.
const CHECK_TIME: Duration = Duration::from_secs(600);
const SHORT_CHECK_TIME: Duration = Duration::from_secs(60);

/// What was found in the work folder.
struct Found {
    collected: Collected,
    file: PathBuf,
    /// By table, and all tables together as morph counts.
    changes: Result<(Compared, dataset::RowCounts), QueryError>,
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
        let (limits, options) = self.patience();
        let looked = on_thread("collect", move || {
            let collected = dataset::collect(&work, &scratch, &file, limits)?;
            let compare = || {
                let changes = dataset::compare(before.as_deref(), &file, &options)?;
                Ok((
                    changes,
                    dataset::rowid_counts(before.as_deref(), &file, options.time)?,
                ))
            };
            Ok(Found {
                changes: compare(),
                collected,
                file,
            })
        });
        Ok(looked.await)
    }

    /// How large the data may be, and how long looking at it may take.
    fn patience(&self) -> (CollectLimits, CompareOptions) {
        let time = match self.control.is_halted() {
            true => SHORT_CHECK_TIME,
            false => CHECK_TIME,
        };
        let limits = CollectLimits {
            max_bytes: self.shop.options.max_data_bytes,
            timeout_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        };
        let options = CompareOptions {
            ignore_columns: self.lease.scraper.settings.ignore_columns.clone(),
            time: time.min(self.shop.options.compare_time),
        };
        (limits, options)
    }

    async fn take_in(&self, mut ending: Ending, found: Found) -> Result<Left, Break> {
        if found.collected.tables == 0 {
            return self.reject(ending, &Rejected::Missing).await;
        }
        self.count(&mut ending, found.changes);
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

    /// Notes which rows changed. Data is kept also where that could not be found out.
    fn count(&self, ending: &mut Ending, changes: Result<(Compared, dataset::RowCounts), QueryError>) {
        let said = match changes {
            Ok((changes, by_rowid)) => {
                ending.changes = changes
                    .into_iter()
                    .map(|(table, difference)| (table, rows(difference.rows)))
                    .collect();
                ending.rowid_changes = rows(by_rowid);
                summary(ending)
            }
            Err(error) => format!("its data is kept, but what changed in it could not be counted: {error}"),
        };
        ending.message = format!("{}: {said}", ending.message);
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
