//! One run, from its lease to its end.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use archive::{Archive, Artifact};
use model::{Checksum, RunId, ScraperId, Timestamp};
use registry::{Ended, Ending, Lease, Outcome, Phase, Registry, RegistryError};
use runlog::{LogLimits, Logs, Stream, Writer};
use runtimes::{Plan, Runtimes};
use sandbox::{Sandbox, SandboxOptions};

use crate::building::Builds;
use crate::control::{Control, Halt};
use crate::job::with_causes;
use crate::metrics::Metrics;
use crate::options::RunnerOptions;
use crate::places::{Places, remove_tree};
use crate::runner::{FIRST_UID, RunnerError};

/// Everything that runs are made with.
pub(crate) struct Workshop {
    pub(crate) registry: Registry,
    pub(crate) archive: Archive,
    pub(crate) options: RunnerOptions,
    pub(crate) places: Places,
    pub(crate) logs: Logs,
    sandbox: OnceLock<Sandbox>,
    runtimes: OnceLock<Runtimes>,
    pub(crate) builds: Builds,
    pub(crate) metrics: Metrics,
}

/// Why a run does not go on.
#[derive(Debug)]
pub(crate) enum Break {
    /// It is over like this.
    Over(Box<Ending>),
    /// Something went wrong that is not its fault; it is tried again.
    Again(Box<Ending>),
    /// It is somebody else's.
    Fenced,
}

impl Break {
    pub(crate) fn over(outcome: Outcome, message: impl Into<String>) -> Self {
        Self::Over(Box::new(Ending::new(outcome, message)))
    }

    pub(crate) fn again(outcome: Outcome, message: impl Into<String>) -> Self {
        Self::Again(Box::new(Ending::new(outcome, message)))
    }

    /// Something of ours failed: disk, archive, ....
    pub(crate) fn ours(what: &str, error: &dyn std::error::Error) -> Self {
        Self::again(Outcome::Lost, format!("{what}: {}", with_causes(error)))
    }
}

impl From<RegistryError> for Break {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Fenced(_) => Self::Fenced,
            error => Self::ours("the registry cannot be asked", &error),
        }
    }
}

/// What the program left and how it ended.
pub(crate) struct Left {
    pub(crate) ending: Ending,
    /// The new version's file in the archive: checksum and size.
    pub(crate) data: Option<(Checksum, u64)>,
}

/// A run on its way.
pub(crate) struct Execution {
    pub(crate) shop: Arc<Workshop>,
    pub(crate) lease: Lease,
    pub(crate) control: Arc<Control>,
    pub(crate) log: Arc<Writer>,
    /// Its work folder.
    pub(crate) folder: PathBuf,
}

impl Workshop {
    /// Everything that runs are made with, in the folders that the options name.
    pub(crate) fn open(
        registry: Registry,
        archive: Archive,
        options: RunnerOptions,
    ) -> Result<Self, RunnerError> {
        let places = Places::open(&options.folder, &options.builds).map_err(|source| RunnerError::Io {
            what: format!("the folder {} cannot be used", options.folder.display()),
            source,
        })?;
        Ok(Self {
            logs: Logs::open(&places.logs())?,
            sandbox: OnceLock::new(),
            runtimes: OnceLock::new(),
            builds: Builds::default(),
            metrics: Metrics::new(),
            registry,
            archive,
            options,
            places,
        })
    }

    /// What this machine contains runs with. The first call tries it, which takes a moment, and removes what a killed worker left.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        self.sandbox.get_or_init(|| {
            Sandbox::detect(SandboxOptions {
                container: self.options.container.clone(),
                contain: self.options.contain.clone(),
                first_uid: FIRST_UID,
                accept_lacks: self.options.accept_lacks.clone(),
            })
        })
    }

    /// What this machine runs. The first call asks every interpreter for its version.
    pub(crate) fn runtimes(&self) -> &Runtimes {
        self.runtimes.get_or_init(Runtimes::installed)
    }

    /// Takes a run through its phases and ends it. What changed by its end, unless it waits again or is somebody else's.
    pub(crate) async fn execute(self: &Arc<Self>, lease: Lease, control: Arc<Control>) -> Option<Ended> {
        let (run, epoch) = (lease.run.id, lease.epoch);
        let scraper = lease.scraper.id.clone();
        let outcome = match self.begin(lease, &control).await {
            Ok(execution) => execution.through().await,
            Err(error) => Err(Break::ours("the run could not be prepared", &*error)),
        };
        let ended = match outcome {
            Ok(result) => self.finish(run, epoch, result).await,
            Err(Break::Over(ending)) => {
                let result = Left {
                    ending: *ending,
                    data: None,
                };
                self.finish(run, epoch, result).await
            }
            Err(Break::Again(ending)) => self.give_back(run, epoch, *ending).await,
            Err(Break::Fenced) => Ok(None),
        };
        self.tidy(run);
        match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, %run, %scraper, "the end of a run could not be noted; its lease will expire");
                None
            }
        }
    }

    async fn begin(
        self: &Arc<Self>,
        lease: Lease,
        control: &Arc<Control>,
    ) -> Result<Execution, Box<dyn std::error::Error + Send + Sync>> {
        let folder = self.places.of_run(lease.run.id);
        remove_tree(&folder)?;
        std::fs::create_dir_all(folder.join("app"))?;
        let limits = &lease.scraper.settings.limits;
        let limits = LogLimits {
            max_lines: limits.log_lines,
            max_bytes: limits.log_bytes,
            ..LogLimits::default()
        };
        let secrets = self.registry.secrets(&lease.scraper.id).await?;
        let masked: Vec<&str> = secrets.iter().map(|(_, secret)| secret.reveal()).collect();
        let log = self.logs.begin(&lease.run.id.to_string(), limits, &masked)?;
        Ok(Execution {
            shop: Arc::clone(self),
            lease,
            control: Arc::clone(control),
            log: Arc::new(log),
            folder,
        })
    }

    /// Ends a run; tried for as long as its lease lasts, because all its work would be lost.
    async fn finish(&self, run: RunId, epoch: u64, result: Left) -> Result<Option<Ended>, RegistryError> {
        let mut pause = std::time::Duration::from_millis(100);
        loop {
            let Left { ending, data } = &result;
            match self
                .registry
                .finish(run, epoch, ending.clone(), *data, now())
                .await
            {
                Ok(ended) => return Ok(Some(ended)),
                Err(RegistryError::Fenced(_)) => return Ok(None),
                Err(error @ RegistryError::Database(_)) if pause.as_secs() < 20 => {
                    tracing::warn!(%error, %run, "the end of a run could not be noted; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn give_back(
        &self,
        run: RunId,
        epoch: u64,
        ending: Ending,
    ) -> Result<Option<Ended>, RegistryError> {
        tracing::warn!(%run, why = %ending.message, "a run is tried again");
        match self.registry.give_back(run, epoch, ending, now(), jitter()).await {
            Err(RegistryError::Fenced(_)) => Ok(None),
            given => given,
        }
    }

    fn tidy(&self, run: RunId) {
        if let Err(error) = remove_tree(&self.places.of_run(run)) {
            tracing::warn!(%error, %run, "a work folder could not be removed; it goes at the next start");
        }
    }
}

impl Execution {
    /// Every phase. The log is finished and archived whatever happens.
    async fn through(self) -> Result<Left, Break> {
        let outcome = self.phases().await;
        let outcome = self.explain(outcome);
        let (run, scraper) = (self.lease.run.id, self.lease.scraper.id.clone());
        let Self { shop, log, .. } = self;
        let again = matches!(outcome, Err(Break::Again(_) | Break::Fenced));
        let summary = match Arc::into_inner(log) {
            // A run that is tried again goes on in the same log.
            Some(log) if !again => log
                .finish(SystemTime::now())
                .map_err(|error| Break::ours("the log cannot be finished", &error)),
            _ => Ok(runlog::Summary::default()),
        };
        if !again {
            shop.keep_log(&scraper, run).await;
        }
        let note = |ending: &mut Ending| {
            if let Ok(summary) = &summary {
                ending.log_lines = summary.lines;
                ending.log_bytes = summary.bytes;
            }
        };
        match outcome {
            Ok(mut result) => {
                note(&mut result.ending);
                Ok(result)
            }
            Err(Break::Over(mut ending)) => {
                note(&mut ending);
                Err(Break::Over(ending))
            }
            Err(other) => Err(other),
        }
    }

    async fn phases(&self) -> Result<Left, Break> {
        self.enter(Phase::Syncing).await?;
        let revision = self.sync().await.map_err(|stopped| self.instead(stopped))?;
        self.enter(Phase::Building).await?;
        let (plan, build) = self.build().await.map_err(|stopped| self.instead(stopped))?;
        self.enter(Phase::Running).await?;
        let ran = self
            .run(&plan, build.as_deref())
            .await
            .map_err(|stopped| self.instead(stopped))?;
        if self.control.why() == Some(Halt::Fenced) {
            return Err(Break::Fenced);
        }
        if self.control.why() == Some(Halt::Shutdown) {
            return Err(self.instead(Break::Fenced));
        }
        self.enter(Phase::Collecting).await?;
        let mut result = self.collect(ran).await?;
        result.ending.language = Some(plan.language);
        result.ending.revision = revision;
        Ok(result)
    }

    /// What it means that a phase broke off: if somebody wanted the run to stop, that is why.
    fn instead(&self, stopped: Break) -> Break {
        match self.control.why() {
            Some(Halt::Person(by)) => Break::over(Outcome::Stopped, format!("stopped by {by}")),
            Some(Halt::Shutdown) => Break::again(Outcome::Lost, "this worker was stopped"),
            Some(Halt::Fenced) => Break::Fenced,
            None => stopped,
        }
    }

    async fn enter(&self, phase: Phase) -> Result<(), Break> {
        if self.control.why().is_some() {
            return Err(self.instead(Break::Fenced));
        }
        let (run, epoch) = (self.lease.run.id, self.lease.epoch);
        Ok(self.shop.registry.advance(run, epoch, phase, now()).await?)
    }

    /// Says in the log how it ended.
    fn explain(&self, outcome: Result<Left, Break>) -> Result<Left, Break> {
        let (stream, text) = match &outcome {
            Ok(result) if result.ending.outcome == Outcome::Succeeded => {
                (Stream::InternalOut, result.ending.message.clone())
            }
            Ok(result) => (Stream::InternalErr, result.ending.message.clone()),
            Err(Break::Over(ending)) => (Stream::InternalErr, ending.message.clone()),
            Err(Break::Again(ending)) => (
                Stream::InternalErr,
                format!("{}; it is tried again", ending.message),
            ),
            Err(Break::Fenced) => (Stream::InternalErr, "another worker has this run now".to_owned()),
        };
        self.say(stream, &text);
        outcome
    }

    /// Writes a line of Haul's own into the log.
    pub(crate) fn say(&self, stream: Stream, text: &str) {
        if let Err(error) = self.log.say(stream, text, SystemTime::now()) {
            tracing::warn!(%error, run = %self.lease.run.id, "a line of a run's log is lost");
        }
    }

    pub(crate) fn tell(&self, text: &str) {
        self.say(Stream::InternalOut, text);
    }

    /// The scraper's code, and its data while it runs.
    pub(crate) fn app(&self) -> PathBuf {
        self.folder.join("app")
    }

    pub(crate) fn scraper(&self) -> &ScraperId {
        &self.lease.scraper.id
    }
}

impl Workshop {
    /// Brings a finished log into the archive. What fails is only told: the run is not worse for it.
    async fn keep_log(&self, scraper: &ScraperId, run: RunId) {
        let kept = match self.logs.file(&run.to_string()) {
            Ok(Some(file)) => self
                .archive
                .put_artifact(scraper, &Artifact::Log(run), &file)
                .await
                .err()
                .map(|error| with_causes(&error)),
            Ok(None) => None,
            Err(error) => Some(with_causes(&error)),
        };
        if let Some(error) = kept {
            tracing::warn!(error, %run, "a log could not be archived; it is on this machine only");
        }
    }
}

/// Which plan a run follows and where its dependencies are.
pub(crate) type Built = (Plan, Option<PathBuf>);

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// From 0 to 1, other for every process and moment: retries of many runs must not come together.
pub(crate) fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let drawn = RandomState::new().hash_one(SystemTime::now());
    // 53 bits are what a double holds exactly.
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}
