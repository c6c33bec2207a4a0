use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archive::{Archive, Artifact, checksum_of};
use dataset::CollectLimits;
use model::{Checksum, OwnerName, RunId, ScraperId};
use registry::{Asked, Cause, Limits, Origin, Phase, Registry, RegistryError, Run, Version};
use runlog::Log;
use runtimes::Runtimes;
use sandbox::Lack;
use tempfile::TempPath;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::control::{Active, Halt};
use crate::execution::{Workshop, now};
use crate::job::on_thread;
use crate::options::RunnerOptions;
use crate::upload;
use crate::worker::{self, Worker};

/// The first of the user ids that jobs get where the runner is root: far from those of people and of system services.
pub const FIRST_UID: u32 = 610_000;

/// What a runner works with.
#[derive(Clone)]
pub struct RunnerDeps {
    /// What people said, and what becomes of runs.
    pub registry: Registry,
    /// Where data and logs are kept.
    pub archive: Archive,
}

/// Why a runner did not do what it was asked.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// The registry says no.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] archive::ArchiveError),
    /// There is no data (yet).
    #[error("{0} has no data yet; run it first")]
    NoData(ScraperId),
    /// There is no such version of the data (any more).
    #[error("{scraper} has no version {version} of its data; see which there are")]
    NoVersion {
        /// Whose.
        scraper: ScraperId,
        /// Which.
        version: u64,
    },
    /// What was sent cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Something of this machine failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] runlog::LogError),
}

/// A version of a scraper's data as a file of this machine, which stays there for a day.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// The file; never written to.
    pub path: PathBuf,
    /// Which version.
    pub version: Version,
}

/// What is kept of a run for its owner, beside its log and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// What it said and heard, where it was recorded.
    Cassette,
    /// Its `data.sqlite`, where that could not be taken in.
    Rejected,
}

impl Leftover {
    fn artifact(self, run: RunId) -> Artifact {
        match self {
            Self::Cassette => Artifact::Cassette(run),
            Self::Rejected => Artifact::Rejected(run),
        }
    }
}

/// Runs scrapers, and knows what became of them. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    worker: Arc<Worker>,
}

impl Runner {
    /// A runner that does not work yet.
    ///
    /// # Errors
    ///
    /// When its folder cannot be used.
    pub fn new(deps: RunnerDeps, options: RunnerOptions) -> Result<Self, RunnerError> {
        let shop = Workshop::open(deps.registry, deps.archive, options)?;
        let worker = Worker {
            name: worker::name(),
            shop: Arc::new(shop),
            active: Active::default(),
            wake: Notify::new(),
            over: Notify::new(),
        };
        Ok(Self {
            worker: Arc::new(worker),
        })
    }

    /// Works until it is told to stop: schedules, admits, runs, forgets. At the end its runs are stopped and wait again.
    ///
    /// # Errors
    ///
    /// When another worker has its folder, or the folder cannot be written.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), RunnerError> {
        let house = tokio::spawn(Arc::clone(self.shop()).keep_house());
        let worked = self.worker.run(stop).await;
        house.abort();
        worked.map_err(|source| RunnerError::Io {
            what: "scrapers cannot be run".to_owned(),
            source,
        })
    }

    /// Adds its figures.
    pub fn register_metrics(&self, registry: &mut prometheus_client::registry::Registry) {
        self.shop().metrics.register(registry);
    }

    /// What people said, and what became of runs.
    pub fn registry(&self) -> &Registry {
        &self.shop().registry
    }

    /// What this machine has installed.
    pub fn runtimes(&self) -> &Runtimes {
        self.shop().runtimes()
    }

    /// What this machine's sandbox lacks.
    pub fn lacks(&self) -> Vec<Lack> {
        self.shop().sandbox().lacks().to_vec()
    }

    fn shop(&self) -> &Arc<Workshop> {
        &self.worker.shop
    }

    /// Asks for a run, and looks at the queue at once.
    pub async fn ask(&self, scraper: &ScraperId, cause: Cause) -> Result<Asked, RunnerError> {
        let asked = self.registry().ask(scraper, cause, now()).await?;
        self.worker.wake.notify_one();
        Ok(asked)
    }

    /// Stops a run: at once where it goes on here, else when its worker asks the next time.
    pub async fn stop_run(&self, run: RunId, by: &str) -> Result<Run, RunnerError> {
        let before = self.registry().run(run).await?;
        let stopped = self.registry().stop_run(run, by, now()).await?;
        self.worker.active.halt(run, Halt::Person(by.to_owned()));
        if before.phase != Phase::Finished && stopped.phase == Phase::Finished {
            self.worker.note_end(&stopped).await;
        }
        Ok(stopped)
    }

    /// The run, when it is over.
    pub async fn ended(&self, run: RunId) -> Result<Run, RunnerError> {
        loop {
            let over = self.worker.over.notified();
            let known = self.registry().run(run).await?;
            if known.phase == Phase::Finished {
                return Ok(known);
            }
            // Runs of other workers end without a word to this process.
            let _ = tokio::time::timeout(Duration::from_secs(1), over).await;
        }
    }

    /// Takes a tar archive of a scraper ([`MAX_UPLOAD_BYTES`](crate::MAX_UPLOAD_BYTES) at most) and returns its checksum, for
    /// [`registry::Origin::Upload`] and [`Cause::Upload`].
    ///
    /// # Errors
    ///
    /// `Invalid` when it is no archive, names places outside, or is too large.
    pub async fn upload(&self, scraper: &ScraperId, tar: &Path) -> Result<Checksum, RunnerError> {
        let checksum = check_code(tar).await?;
        let scraper = self.registry().canonical(scraper).await?;
        self.keep_code(&scraper, &Artifact::Upload(checksum), tar).await?;
        Ok(checksum)
    }

    /// Takes another tar archive for a scraper that is there, and removes what was sent for it before; the rest of it stays as it is.
    ///
    /// # Errors
    ///
    /// As [`Runner::upload`]; `NotFound`.
    pub async fn change_code(&self, scraper: &ScraperId, tar: &Path) -> Result<Checksum, RunnerError> {
        let id = self.registry().scraper(scraper).await?.id;
        let checksum = self.upload(&id, tar).await?;
        let origin = Origin::Upload { checksum };
        let before = self.registry().set_origin(&id, origin, now()).await?;
        // Once more: it may have been there, as code of long ago, and removed since.
        self.keep_code(&id, &Artifact::Upload(checksum), tar).await?;
        if let Some(before) = before {
            self.shop().drop_code(&id, &before).await;
        }
        Ok(checksum)
    }

    async fn keep_code(&self, of: &ScraperId, artifact: &Artifact, tar: &Path) -> Result<(), RunnerError> {
        Ok(self.shop().archive.put_artifact(of, artifact, tar).await?)
    }

    /// Runs code that was sent along once, for `POST /run`. Its data is not kept. Follow its log.
    ///
    /// # Errors
    ///
    /// As [`Runner::upload`].
    pub async fn run_upload(&self, by: &OwnerName, tar: &Path) -> Result<Run, RunnerError> {
        let checksum = check_code(tar).await?;
        let (home, artifact) = (upload::home(by)?, Artifact::Sent(checksum));
        self.keep_code(&home, &artifact, tar).await?;
        let run = self
            .registry()
            .ask_upload(by, checksum, Limits::default(), now())
            .await?;
        // Once more: another run of the same code may have ended, and removed it, since.
        self.keep_code(&home, &artifact, tar).await?;
        self.worker.wake.notify_one();
        Ok(run)
    }

    /// The log of a run: from this machine, or brought from the archive. None before it has begun, while a worker of another machine writes it, and when it is
    /// kept no more. While another process of this machine writes it, it is what that one has written by now.
    pub async fn log(&self, run: RunId) -> Result<Option<Log>, RunnerError> {
        let (shop, name) = (self.shop(), run.to_string());
        if let Some(log) = shop.logs.get(&name)? {
            return Ok(Some(log));
        }
        let known = self.registry().run(run).await?;
        if known.phase != Phase::Finished {
            return Ok(None);
        }
        let incoming = self.incoming()?;
        match shop
            .archive
            .fetch_artifact(&known.scraper, &Artifact::Log(run), &incoming)
            .await
        {
            Ok(()) => {
                shop.logs.adopt(&name, &incoming)?;
                Ok(shop.logs.get(&name)?)
            }
            Err(archive::ArchiveError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Data of a scraper as a file: the newest version, or one of the kept ones.
    pub async fn data(&self, scraper: &ScraperId, version: Option<u64>) -> Result<DataFile, RunnerError> {
        let scraper = &self.registry().scraper(scraper).await?.id;
        let versions = self.registry().versions(scraper).await?;
        let chosen = match version {
            None => versions
                .into_iter()
                .next()
                .ok_or_else(|| RunnerError::NoData(scraper.clone()))?,
            Some(number) => {
                let missing = || RunnerError::NoVersion {
                    scraper: scraper.clone(),
                    version: number,
                };
                versions
                    .into_iter()
                    .find(|version| version.number == number)
                    .ok_or_else(missing)?
            }
        };
        Ok(DataFile {
            path: self.shop().data_file(scraper, &chosen).await?,
            version: chosen,
        })
    }

    /// Puts a file of data in force that no run left: `from`, with the journals that lie beside it, is checked like what a run leaves, and only read.
    pub async fn import_data(&self, scraper: &ScraperId, from: &Path) -> Result<Version, RunnerError> {
        let scraper = self.registry().scraper(scraper).await?.id;
        let folder =
            tempfile::tempdir_in(self.shop().places.incoming()).map_err(|source| RunnerError::Io {
                what: "a work folder cannot be made".to_owned(),
                source,
            })?;
        let (given, work) = (from.to_owned(), folder.path().to_owned());
        let max_bytes = self.shop().options.max_data_bytes;
        let taken = on_thread("import", move || take_in(&given, &work, max_bytes)).await?;
        let checksum: Checksum = taken
            .checksum
            .parse()
            .map_err(|error| RunnerError::Invalid(format!("the data has no checksum: {error}")))?;
        let (shop, clean) = (self.shop(), folder.path().join("clean.sqlite"));
        let artifact = Artifact::Dataset(checksum);
        shop.archive.put_artifact(&scraper, &artifact, &clean).await?;
        let shelf = shop.shelf.lock().await;
        let added = self
            .registry()
            .add_version(&scraper, checksum, taken.bytes, now());
        let put = added.await?;
        shop.keep_data(&scraper, checksum, &clean).await;
        drop(shelf);
        shop.drop_versions(&scraper, &put.dropped).await;
        Ok(put.version)
    }

    /// Puts an older version in force again, as a new version.
    ///
    /// # Errors
    ///
    /// `NoVersion` where it is no longer kept.
    pub async fn restore(&self, scraper: &ScraperId, version: u64) -> Result<Version, RunnerError> {
        let scraper = self.registry().scraper(scraper).await?.id;
        let old = self.data(&scraper, Some(version)).await?;
        let shop = self.shop();
        let shelf = shop.shelf.lock().await;
        let put = match self.registry().restore_version(&scraper, version, now()).await {
            Err(RegistryError::NotFound { what: "version", .. }) => {
                return Err(RunnerError::NoVersion { scraper, version });
            }
            put => put?,
        };
        shop.keep_data(&scraper, put.version.checksum, &old.path).await;
        drop(shelf);
        shop.drop_versions(&scraper, &put.dropped).await;
        Ok(put.version)
    }

    /// Removes a scraper with everything that is kept of it.
    pub async fn remove_scraper(&self, scraper: &ScraperId) -> Result<(), RunnerError> {
        let known = self.registry().scraper(scraper).await?;
        let (runs, versions) = self.registry().remove_scraper(&known.id).await?;
        let shop = self.shop();
        for run in runs {
            shop.remove_what_run_left(&known.id, run).await;
        }
        for version in versions {
            shop.remove(&known.id, &Artifact::Dataset(version.checksum)).await;
        }
        if let Origin::Upload { checksum } = known.origin {
            shop.remove(&known.id, &Artifact::Upload(checksum)).await;
        }
        Ok(())
    }

    /// Which of these are kept of a run.
    pub async fn leftovers(&self, run: &Run) -> Result<Vec<Leftover>, RunnerError> {
        let mut kept = Vec::new();
        for leftover in [Leftover::Cassette, Leftover::Rejected] {
            let artifact = leftover.artifact(run.id);
            if self.shop().archive.has_artifact(&run.scraper, &artifact).await? {
                kept.push(leftover);
            }
        }
        Ok(kept)
    }

    /// What is kept of a run as a file that goes when it is dropped; none where there is none.
    pub async fn leftover(&self, run: RunId, leftover: Leftover) -> Result<Option<TempPath>, RunnerError> {
        let known = self.registry().run(run).await?;
        let incoming = self.incoming()?;
        match self
            .shop()
            .archive
            .fetch_artifact(&known.scraper, &leftover.artifact(run), &incoming)
            .await
        {
            Ok(()) => Ok(Some(incoming)),
            Err(archive::ArchiveError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// An empty file for what is about to come, on the disk of the runner. It goes when it is dropped, and soon after a crash.
    pub fn incoming(&self) -> Result<TempPath, RunnerError> {
        let made = tempfile::Builder::new()
            .prefix("incoming-")
            .tempfile_in(self.shop().places.incoming());
        let file = made.map_err(|source| RunnerError::Io {
            what: "a file cannot be made".to_owned(),
            source,
        })?;
        Ok(file.into_temp_path())
    }
}

async fn check_code(tar: &Path) -> Result<Checksum, RunnerError> {
    let file = tar.to_owned();
    let checked = on_thread("upload", move || {
        upload::check(&file)?;
        checksum_of(&file)
    });
    checked
        .await
        .map_err(|error| RunnerError::Invalid(format!("this is no tar archive of a scraper: {error}")))
}

fn take_in(from: &Path, work: &Path, max_bytes: u64) -> Result<dataset::Collected, RunnerError> {
    let failed = |source| RunnerError::Io {
        what: format!("{} cannot be read", from.display()),
        source,
    };
    let scratch = work.join("scratch");
    std::fs::create_dir_all(&scratch).map_err(failed)?;
    std::fs::copy(from, work.join("data.sqlite")).map_err(failed)?;
    for ending in ["-wal", "-journal"] {
        let mut journal = from.as_os_str().to_owned();
        journal.push(ending);
        if Path::new(&journal).is_file() {
            std::fs::copy(&journal, work.join(format!("data.sqlite{ending}"))).map_err(failed)?;
        }
    }
    let limits = CollectLimits {
        max_bytes,
        timeout_ms: 600_000,
    };
    dataset::collect(work, &scratch, &work.join("clean.sqlite"), limits)
        .map_err(|rejected| RunnerError::Invalid(crate::job::with_causes(&rejected)))
}
