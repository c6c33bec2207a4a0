use std::fs::{self, Permissions};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use archive::Archive;
use model::{OwnerName, RunId, ScraperId, Timestamp};
use registry::{
    Asked, Capacity, Cause, Keyring, NewScraper, Origin, Outcome, Phase, Registry, Run, ScraperSettings,
};
use runner::{Runner, RunnerDeps, RunnerOptions};
use sandbox::{Ability, Container};
use tempfile::TempDir;
use tests::wait;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A runner at work, in folders of its own.
pub(crate) struct Place {
    folder: TempDir,
    runtime: Runtime,
    pub(crate) runner: Runner,
    stop: CancellationToken,
    work: Option<JoinHandle<Result<(), runner::RunnerError>>>,
}

impl Place {
    pub(crate) fn new() -> Result<Self> {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut RunnerOptions)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = format!("file://{}", folder.path().join("archive").display());
        let deps = RunnerDeps {
            registry: Registry::memory(Keyring::random())?,
            archive: Archive::open(&address, [("", "")])?,
        };
        let mut options = options(folder.path())?;
        change(&mut options);
        let mut place = Self {
            folder,
            runtime: Runtime::new()?,
            runner: Runner::new(deps, options)?,
            stop: CancellationToken::new(),
            work: None,
        };
        place.start();
        Ok(place)
    }

    fn start(&mut self) {
        self.stop = CancellationToken::new();
        let (runner, stop) = (self.runner.clone(), self.stop.clone());
        self.work = Some(self.runtime.spawn(async move { runner.run(stop).await }));
    }

    /// Stops the worker in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stop.cancel();
        let work = self.work.take().context("it works")?;
        Ok(self.runtime.block_on(work)??)
    }

    /// Another worker takes over from one that was stopped.
    pub(crate) fn go_on(&mut self) {
        self.start();
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.runner.registry()
    }

    /// A folder of this place, for a test's own files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder with these files; one called `scraper` can be executed.
    pub(crate) fn folder(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
        let folder = self.path(name);
        fs::create_dir_all(&folder)?;
        for (name, text) in files {
            let file = folder.join(name);
            fs::write(&file, text)?;
            fs::set_permissions(file, Permissions::from_mode(0o755))?;
        }
        Ok(folder)
    }

    /// A scraper in a folder, with these files.
    pub(crate) fn scraper(&self, id: &str, files: &[(&str, &str)]) -> Result<ScraperId> {
        let folder = self.folder(&id.replace('/', "-"), files)?;
        let path = folder.display().to_string();
        self.add(id, Origin::Folder { path }, ScraperSettings::default())
    }

    /// A scraper that is this shell script.
    pub(crate) fn script(&self, id: &str, script: &str) -> Result<ScraperId> {
        self.scraper(id, &[("scraper", &format!("#!/bin/sh\n{script}\n"))])
    }

    pub(crate) fn add(&self, id: &str, origin: Origin, settings: ScraperSettings) -> Result<ScraperId> {
        let id: ScraperId = id.parse()?;
        let new = NewScraper { id, origin, settings };
        Ok(self.wait(self.registry().add_scraper(new, now()))?.id)
    }

    pub(crate) fn ask(&self, scraper: &ScraperId) -> Result<RunId> {
        let by = OwnerName::new("somebody")?;
        let (Asked::Queued(run) | Asked::Already(run)) =
            self.wait(self.runner.ask(scraper, Cause::Person { by }))?;
        Ok(run)
    }

    /// The run, when it is over.
    pub(crate) fn over(&self, run: RunId) -> Result<Run> {
        let ended = self.wait(async { tokio::time::timeout(LIMIT, self.runner.ended(run)).await });
        ended
            .with_context(|| format!("run {run} does not end: {:?}", self.log(run)))?
            .map_err(Into::into)
    }

    pub(crate) fn run(&self, scraper: &ScraperId) -> Result<Run> {
        self.over(self.ask(scraper)?)
    }

    /// Runs it, which must end like this.
    pub(crate) fn run_to(&self, scraper: &ScraperId, outcome: Outcome) -> Result<Run> {
        let run = self.run(scraper)?;
        let ended = run.ending.as_ref().map(|ending| ending.outcome);
        ensure!(
            ended == Some(outcome),
            "{:#?}\n{:#?}",
            run.ending,
            self.log(run.id)?
        );
        Ok(run)
    }

    pub(crate) fn succeed(&self, scraper: &ScraperId) -> Result<Run> {
        self.run_to(scraper, Outcome::Succeeded)
    }

    pub(crate) fn until_phase(&self, run: RunId, phase: Phase) -> Result<()> {
        wait::until("a phase", LIMIT, || {
            let known = self.wait(self.registry().run(run))?;
            Ok((known.phase >= phase).then_some(()))
        })
    }

    /// The lines of a log by now.
    pub(crate) fn log(&self, run: RunId) -> Result<Vec<String>> {
        let Some(log) = self.wait(self.runner.log(run))? else {
            return Ok(Vec::new());
        };
        let mut lines: Vec<String> = Vec::new();
        loop {
            let more = log.read(lines.len() as u64)?;
            if more.is_empty() {
                return Ok(lines);
            }
            lines.extend(more.into_iter().map(|line| line.text));
        }
    }

    pub(crate) fn until_said(&self, run: RunId, text: &str) -> Result<()> {
        wait::until("a line of the log", LIMIT, || {
            let lines = self.log(run)?;
            Ok(lines.iter().any(|line| line.contains(text)).then_some(()))
        })
    }

    /// What stock sqlite3 answers about the newest data.
    pub(crate) fn rows(&self, scraper: &ScraperId, query: &str) -> Result<String> {
        let data = self.wait(self.runner.data(scraper, None))?;
        answer(&data.path, query)
    }

    /// Files of the archive whose path has this word in it.
    pub(crate) fn archived(&self, word: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut waiting = vec![self.path("archive")];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                match path.is_dir() {
                    true => waiting.push(path),
                    false => found.push(path.display().to_string()),
                }
            }
        }
        found.retain(|path| path.contains(word));
        Ok(found)
    }
}

fn options(folder: &Path) -> Result<RunnerOptions> {
    Ok(RunnerOptions {
        folder: folder.join("run"),
        builds: folder.join("builds"),
        container: Container::Bubblewrap,
        contain: vec![std::env::current_exe()?.into(), "contain".into()],
        capacity: Capacity {
            memory_mib: 4_096,
            slots: 2,
        },
        policy: egress::Policy::default(),
        replay: None,
        accept_lacks: vec![Ability::Memory, Ability::Processes, Ability::Cpu],
        interval: Duration::from_millis(100),
        grace: Duration::from_millis(500),
        max_data_bytes: 64 << 20,
        compare_time: LIMIT,
        keep_days: 90,
    })
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

pub(crate) fn answer(database: &Path, query: &str) -> Result<String> {
    let output = std::process::Command::new("sqlite3")
        .arg(database)
        .arg(query)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
