//! One run, from its lease to its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use archive::{Archive, Artifact};
use egress::Pace;
use model::{Checksum, RunId, ScraperId, Timestamp};
use registry::{Ended, Ending, Lease, Outcome, Phase, Registry, RegistryError, Secret, SecretName};
use runlog::{LogLimits, Logs, Stream, Summary, Writer};
use runtimes::Runtimes;
use sandbox::{Sandbox, SandboxOptions};
use tokio::sync::Mutex;
use tokio::task::JoinError;

use crate::building::Builds;
use crate::control::{Control, Halt};
use crate::job::{on_thread, with_causes};
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
    /// How fast sites are called, by all runs together.
    pub(crate) pace: Arc<Pace>,
    sandbox: OnceLock<Sandbox>,
    runtimes: OnceLock<Runtimes>,
    pub(crate) builds: Builds,
    /// Held while data is noted and its file looked for once more, and while files are removed that nothing names any more: the same bytes may come back.
    pub(crate) shelf: Mutex<()>,
    pub(crate) metrics: Metrics,
}

/// Why a run does not go on.
#[derive(Debug)]
pub(crate) enum Break {
    /// It is over like this.
    Over(Box<Ending>),
    /// Something went wrong that is not its fault; it is tried again.
    Again(Box<Ending>),
    /// This worker ends; another one begins it anew.
    PutBack,
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

impl Left {
    fn nothing(ending: Ending) -> Self {
        Self { ending, data: None }
    }
}

/// A run on its way.
pub(crate) struct Execution {
    pub(crate) shop: Arc<Workshop>,
    pub(crate) lease: Lease,
    pub(crate) control: Arc<Control>,
    pub(crate) log: Arc<Writer>,
    /// Its work folder.
    pub(crate) folder: PathBuf,
    /// As they were when it began: what it is given is what its log hides.
    pub(crate) secrets: Vec<(SecretName, Secret)>,
    /// The commit, as soon as it is known, where its code comes from git.
    pub(crate) revision: OnceLock<String>,
    /// Likewise.
    pub(crate) language: OnceLock<String>,
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
            pace: Arc::default(),
            sandbox: OnceLock::new(),
            runtimes: OnceLock::new(),
            builds: Builds::default(),
            shelf: Mutex::default(),
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
            Ok(left) => self.finish(&scraper, run, epoch, left).await,
            Err(Break::Over(ending)) => self.finish(&scraper, run, epoch, Left::nothing(*ending)).await,
            Err(Break::Again(ending)) => self.give_back(run, epoch, *ending).await,
            Err(Break::PutBack) => unless_fenced(self.registry.put_back(run, epoch, now()).await),
            Err(Break::Fenced) => Ok(None),
        };
        self.tidy(run, epoch).await;
        noted(run, ended)
    }

    /// Gives back a run whose execution failed in a way that nobody foresaw.
    pub(crate) async fn give_up(&self, run: RunId, epoch: u64, failed: &JoinError) -> Option<Ended> {
        self.tidy(run, epoch).await;
        let ending = Ending::new(Outcome::Lost, format!("this worker failed: {failed}"));
        noted(run, self.give_back(run, epoch, ending).await)
    }

    async fn begin(
        self: &Arc<Self>,
        lease: Lease,
        control: &Arc<Control>,
    ) -> Result<Execution, Box<dyn std::error::Error + Send + Sync>> {
        let folder = self.places.of_run(lease.run.id, lease.epoch);
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
            secrets,
            revision: OnceLock::new(),
            language: OnceLock::new(),
        })
    }

    /// Ends a run. Its data is in the archive afterwards, whoever removed the same bytes while it came in.
    async fn finish(
        &self,
        scraper: &ScraperId,
        run: RunId,
        epoch: u64,
        left: Left,
    ) -> Result<Option<Ended>, RegistryError> {
        let Some((checksum, _)) = left.data else {
            return self.note(run, epoch, &left).await;
        };
        let _shelf = self.shelf.lock().await;
        let ended = self.note(run, epoch, &left).await?;
        if ended.is_some() {
            let file = self.places.of_run(run, epoch).join("data.sqlite");
            self.keep_data(scraper, checksum, &file).await;
        }
        Ok(ended)
    }

    /// Makes sure that data that was noted is in the archive.
    pub(crate) async fn keep_data(&self, scraper: &ScraperId, checksum: Checksum, file: &Path) {
        let artifact = Artifact::Dataset(checksum);
        if let Err(error) = self.archive.put_artifact(scraper, &artifact, file).await {
            tracing::error!(%error, %scraper, %checksum, "data that is in force may be missing in the archive");
        }
    }

    /// Notes the end of a run; tried for as long as its lease lasts, because all its work would be lost.
    async fn note(&self, run: RunId, epoch: u64, left: &Left) -> Result<Option<Ended>, RegistryError> {
        let mut pause = Duration::from_millis(100);
        loop {
            let (ending, data) = (left.ending.clone(), left.data);
            match self.registry.finish(run, epoch, ending, data, now()).await {
                Err(error @ RegistryError::Database(_)) if pause.as_secs() < 20 => {
                    tracing::warn!(%error, %run, "the end of a run could not be noted; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                ended => return unless_fenced(ended.map(Some)),
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
        unless_fenced(self.registry.give_back(run, epoch, ending, now(), jitter()).await)
    }

    async fn tidy(&self, run: RunId, epoch: u64) {
        let folder = self.places.of_run(run, epoch);
        if let Err(error) = on_thread("tidy", move || remove_tree(&folder)).await {
            tracing::warn!(%error, %run, "a work folder could not be removed; it goes at the next start");
        }
    }
}

/// What somebody else has is nothing of ours.
fn unless_fenced(ended: Result<Option<Ended>, RegistryError>) -> Result<Option<Ended>, RegistryError> {
    match ended {
        Err(RegistryError::Fenced(_)) => Ok(None),
        ended => ended,
    }
}

fn noted(run: RunId, ended: Result<Option<Ended>, RegistryError>) -> Option<Ended> {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, %run, "the end of a run could not be noted; its lease will expire");
        None
    })
}

impl Execution {
    /// Every phase. The log of one that is over is finished and archived; one that is tried again goes on in the same log.
    async fn through(self) -> Result<Left, Break> {
        let outcome = self.phases().await;
        self.explain(&outcome);
        let left = match outcome {
            Ok(left) => left,
            Err(Break::Over(ending)) => Left::nothing(*ending),
            Err(again) => return Err(again),
        };
        let (run, scraper) = (self.lease.run.id, self.lease.scraper.id.clone());
        let (revision, language) = (self.revision.into_inner(), self.language.into_inner());
        let summary = finished(run, self.log);
        self.shop.keep_log(&scraper, run).await;
        Ok(Left {
            ending: Ending {
                log_lines: summary.lines,
                log_bytes: summary.bytes,
                revision,
                language,
                ..left.ending
            },
            ..left
        })
    }

    async fn phases(&self) -> Result<Left, Break> {
        self.enter(Phase::Syncing).await?;
        self.sync().await.map_err(|stopped| self.instead(stopped))?;
        self.enter(Phase::Building).await?;
        let built = self.build().await.map_err(|stopped| self.instead(stopped))?;
        self.enter(Phase::Running).await?;
        let ran = self.run(&built).await.map_err(|stopped| self.instead(stopped))?;
        match self.control.why() {
            Some(Halt::Fenced) => return Err(Break::Fenced),
            Some(Halt::Shutdown) if ran.outcome == Outcome::Stopped => return Err(Break::PutBack),
            // Whoever had it stopped gets what it left until then.
            _ => {}
        }
        self.advance(Phase::Collecting).await?;
        tokio::select! {
            left = self.collect(ran) => left,
            // A thread may go on for a while, in a folder that is gone.
            () = self.control.hurried() => Err(self.instead(Break::Fenced)),
        }
    }

    /// What it means that a phase broke off: if somebody wanted the run to stop, that is why.
    fn instead(&self, stopped: Break) -> Break {
        match self.control.why() {
            Some(Halt::Person(by)) => Break::over(Outcome::Stopped, format!("stopped by {by}")),
            Some(Halt::Shutdown) => Break::PutBack,
            Some(Halt::Fenced) => Break::Fenced,
            None => stopped,
        }
    }

    /// Goes on to a phase, unless the run is to stop.
    async fn enter(&self, phase: Phase) -> Result<(), Break> {
        if self.control.is_halted() {
            return Err(self.instead(Break::Fenced));
        }
        self.advance(phase).await
    }

    async fn advance(&self, phase: Phase) -> Result<(), Break> {
        let (run, epoch) = (self.lease.run.id, self.lease.epoch);
        Ok(self.shop.registry.advance(run, epoch, phase, now()).await?)
    }

    /// Says in the log how it ended.
    fn explain(&self, outcome: &Result<Left, Break>) {
        let (stream, text) = match outcome {
            Ok(result) if result.ending.outcome == Outcome::Succeeded => {
                (Stream::InternalOut, result.ending.message.clone())
            }
            Ok(result) => (Stream::InternalErr, result.ending.message.clone()),
            Err(Break::Over(ending)) => (Stream::InternalErr, ending.message.clone()),
            Err(Break::Again(ending)) => (
                Stream::InternalErr,
                format!("{}; it is tried again", ending.message),
            ),
            Err(Break::PutBack) => (
                Stream::InternalErr,
                "this worker was stopped; the run waits again".to_owned(),
            ),
            Err(Break::Fenced) => (Stream::InternalErr, "another worker has this run now".to_owned()),
        };
        self.say(stream, &text);
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

/// Ends a log. That its last lines could not be written does not make the run worse.
fn finished(run: RunId, log: Arc<Writer>) -> Summary {
    let finished = Arc::into_inner(log).map(|log| log.finish(SystemTime::now()));
    match finished {
        Some(Ok(summary)) => summary,
        Some(Err(error)) => {
            tracing::warn!(%error, %run, "a log could not be finished");
            Summary::default()
        }
        None => {
            tracing::warn!(%run, "a log is still written to after the end of its run");
            Summary::default()
        }
    }
}

impl Workshop {
    /// Brings the log of a run that is over into the archive, where it is here. What fails is only told: the run is not worse for it.
    pub(crate) async fn keep_log(&self, scraper: &ScraperId, run: RunId) {
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
