//! Dependencies: installed once per set, in the sandbox.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use registry::Outcome;
use runtimes::Plan;
use sandbox::{Ended, Job, JobLimits, Mount, Network};
use tokio::sync::Mutex as Turn;

use crate::execution::{Break, Built, Execution};
use crate::job::{Done, Output, on_thread};
use crate::places::{open_up, remove_tree, touch};
use crate::syncing::copy_tree;

/// What installed dependencies may take.
const MAX_BUILD_BYTES: u64 = 4 << 30;
const MAX_BUILD_FILES: u64 = 500_000;

/// Which builds go on: runs that need the same one wait for it instead of making it twice.
#[derive(Default)]
pub(crate) struct Builds {
    turns: Mutex<HashMap<String, Arc<Turn<()>>>>,
}

impl Builds {
    fn turn(&self, key: &str) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(key.to_owned()).or_default())
    }
}

impl Execution {
    /// Finds out what the scraper is, and makes sure that its dependencies are there.
    pub(crate) async fn build(&self) -> Result<Built, Break> {
        let (shop, app) = (Arc::clone(&self.shop), self.app());
        let detected = on_thread("detect", move || shop.runtimes().detect(&app)).await;
        let plan = detected.map_err(|error| Break::over(Outcome::BuildFailed, error.to_string()))?;
        self.tell(&plan.recognised);
        for notice in &plan.notices {
            self.tell(notice);
        }
        if plan.build.is_empty() {
            return Ok((plan, None));
        }
        let turn = self.shop.builds.turn(&plan.build_key);
        let _turn = tokio::select! {
            turn = turn.lock() => turn,
            () = self.control.halted() => return Err(Break::Fenced),
        };
        let built = self.shop.places.build(&plan.build_key);
        if built.is_dir() {
            self.tell("Its dependencies are installed already");
            touch(&built, SystemTime::now());
        } else {
            self.install(&plan, &built).await?;
        }
        Ok((plan, Some(built)))
    }

    async fn install(&self, plan: &Plan, to: &Path) -> Result<(), Break> {
        self.tell("Installing dependencies");
        let began = SystemTime::now();
        let (unfinished, code) = (self.folder.join("build"), self.folder.join("code"));
        self.prepare(&unfinished, &code).await?;
        for command in &plan.build {
            let job = self.build_job(plan, command, &unfinished, &code);
            let done = self
                .shop
                .run_job(job, &self.control, &self.log, Output::Logged, None)
                .await;
            succeeded(&done)?;
        }
        let to = to.to_owned();
        let kept = on_thread("keep", move || {
            open_up(&unfinished)?;
            remove_tree(&to)?;
            fs::rename(&unfinished, &to)
        });
        kept.await
            .map_err(|error| Break::ours("the build cannot be kept", &error))?;
        let seconds = began.elapsed().unwrap_or_default().as_secs_f64();
        self.tell(&format!("Dependencies are installed, in {seconds:.1} s"));
        Ok(())
    }

    /// An empty folder for what is installed, and a copy of the code that an installer may write to.
    async fn prepare(&self, build: &Path, code: &Path) -> Result<(), Break> {
        let (build, code, app) = (build.to_owned(), code.to_owned(), self.app());
        let prepared = on_thread("prepare", move || {
            fs::create_dir_all(build)?;
            fs::create_dir_all(&code)?;
            copy_tree(&app, &code)
        });
        prepared
            .await
            .map_err(|error| Break::ours("the build cannot be prepared", &error))
    }

    fn build_job(&self, plan: &Plan, command: &[String], build: &Path, code: &Path) -> Job {
        let mut mounts = self.mounts(plan);
        mounts.push(Mount {
            from: build.to_owned(),
            to: PathBuf::from("/build"),
            writable: true,
        });
        let limits = &self.lease.scraper.settings.limits;
        Job {
            name: format!("build-{}", self.lease.run.id),
            command: command.to_vec(),
            environment: environment(plan),
            folder: code.to_owned(),
            mounts,
            network: Network::Gateway,
            limits: JobLimits {
                disk_bytes: MAX_BUILD_BYTES,
                files: MAX_BUILD_FILES,
                time: Duration::from_secs(limits.build_seconds),
                ..self.limits()
            },
        }
    }

    /// What builds and runs see beside the base.
    pub(crate) fn mounts(&self, plan: &Plan) -> Vec<Mount> {
        let read_only = |from: PathBuf, to: PathBuf| Mount {
            from,
            to,
            writable: false,
        };
        let shims = read_only(self.shop.places.shims(), PathBuf::from("/shims"));
        let needs = plan
            .needs
            .iter()
            .map(|need| read_only(need.clone(), need.clone()));
        std::iter::once(shims).chain(needs).collect()
    }

    /// What a run may use.
    pub(crate) fn limits(&self) -> JobLimits {
        let limits = &self.lease.scraper.settings.limits;
        JobLimits {
            memory_bytes: limits.memory_mib << 20,
            processes: limits.processes,
            cpu_weight: 100,
            disk_bytes: limits.disk_mib << 20,
            files: 100_000,
            tmp_bytes: limits.tmp_mib << 20,
            time: Duration::from_secs(limits.run_seconds),
            grace: self.shop.options.grace,
        }
    }
}

/// The environment of builds, which is that of runs without secrets.
pub(crate) fn environment(plan: &Plan) -> Vec<(String, String)> {
    let usual = [("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("TZ", "UTC")];
    let usual = usual
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    usual.chain(plan.environment.iter().cloned()).collect()
}

fn succeeded(done: &Done) -> Result<(), Break> {
    let failed = |why: &str| {
        let message = format!("the dependencies could not be installed: {why}");
        Err(Break::over(Outcome::BuildFailed, message))
    };
    match &done.ended {
        Ended::Exited(0) => Ok(()),
        Ended::Exited(code) => failed(&format!("the installer ended with {code}; see above")),
        Ended::Signalled(signal) => failed(&format!("the installer was ended by signal {signal}")),
        Ended::OutOfMemory => {
            failed("the installer needed more memory than the scraper may have; raise memory_mib")
        }
        Ended::TimedOut => failed("the installer took too long; raise build_seconds"),
        Ended::DiskFull => failed("they take more room than 4 GiB"),
        Ended::Stopped => Err(Break::Fenced),
        Ended::NotStarted(why) => Err(Break::over(Outcome::BuildFailed, why.clone())),
    }
}
