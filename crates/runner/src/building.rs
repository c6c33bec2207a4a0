//! Dependencies: installed once per set, in the sandbox.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use registry::Outcome;
use runtimes::Plan;
use sandbox::{Ended, Job, JobLimits, Mount, Network};
use tokio::sync::Mutex as Turn;

use crate::execution::{Break, Execution};
use crate::job::{Done, Output, on_thread};
use crate::places::{self, open_up, remove_tree, touch};
use crate::syncing::copy_tree;

/// What installed dependencies may take.
const MAX_BUILD_BYTES: u64 = 4 << 30;
const MAX_BUILD_FILES: u64 = 500_000;

/// Shares of the processors of one run: half of what Haul itself has, which has to answer while they all compute.
const CPU_WEIGHT: u64 = 50;

/// Which builds are used: runs that need the same one wait for it instead of making it twice, and none is removed under them.
#[derive(Default)]
pub(crate) struct Builds {
    turns: Mutex<HashMap<PathBuf, Arc<Turn<()>>>>,
}

/// A scraper that can be started.
pub(crate) struct Built {
    pub(crate) plan: Plan,
    /// Where its dependencies are, if it has any; they stay there as long as this lives.
    pub(crate) dependencies: Option<(PathBuf, Arc<Turn<()>>)>,
}

impl Builds {
    fn turn(&self, build: &Path) -> Arc<Turn<()>> {
        Arc::clone(self.used().entry(build.to_owned()).or_default())
    }

    /// Takes out of use what nobody uses. Whoever wants one of them waits meanwhile, and then builds it anew.
    pub(crate) fn set_aside(&self, builds: &[PathBuf]) -> io::Result<()> {
        let used = self.used();
        let mut unused = builds.iter().filter(|build| !used.contains_key(*build));
        unused.try_for_each(|build| places::set_aside(build))
    }

    fn used(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<Turn<()>>>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns
    }
}

impl Execution {
    /// Finds out what the scraper is, and makes sure that its dependencies are there.
    pub(crate) async fn build(&self) -> Result<Built, Break> {
        let plan = self.detect().await?;
        if plan.build.is_empty() {
            return Ok(Built {
                plan,
                dependencies: None,
            });
        }
        let built = self.shop.places.build(&self.scraper().owner, &plan.build_key);
        let turn = self.shop.builds.turn(&built);
        let building = tokio::select! {
            building = turn.lock() => building,
            () = self.control.halted() => return Err(Break::Fenced),
        };
        if built.is_dir() {
            self.tell("Its dependencies are installed already");
            touch(&built, SystemTime::now());
        } else {
            self.install(&plan, &built).await?;
        }
        drop(building);
        Ok(Built {
            plan,
            dependencies: Some((built, turn)),
        })
    }

    async fn detect(&self) -> Result<Plan, Break> {
        let (shop, app) = (Arc::clone(&self.shop), self.app());
        let detected = on_thread("detect", move || shop.runtimes().detect(&app)).await;
        let plan = detected.map_err(|error| Break::over(Outcome::BuildFailed, error.to_string()))?;
        self.language.get_or_init(|| plan.language.clone());
        self.tell(&plan.recognised);
        for notice in &plan.notices {
            self.tell(notice);
        }
        Ok(plan)
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
                .await?;
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
        let control = Arc::clone(&self.control);
        let prepared = on_thread("prepare", move || {
            fs::create_dir_all(build)?;
            fs::create_dir_all(&code)?;
            copy_tree(&app, &code, &control)
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
            cpu_weight: CPU_WEIGHT,
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

#[cfg(test)]
mod tests {
    use model::OwnerName;

    use super::*;
    use crate::places::Places;

    #[test]
    fn what_is_used_is_not_removed_and_what_is_removed_in_part_is_no_build() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::open(folder.path(), &folder.path().join("builds")).unwrap();
        let (builds, owner) = (Builds::default(), OwnerName::new("ann").unwrap());
        let [used, unused] = ["used", "unused"].map(|key| places.build(&owner, key));
        for build in [&used, &unused] {
            fs::create_dir(build).unwrap();
            fs::write(build.join("module"), "").unwrap();
        }
        let turn = builds.turn(&used);
        drop(builds.turn(&unused));
        builds.set_aside(&places.old_builds(0).unwrap()).unwrap();
        assert!(used.join("module").exists() && !unused.exists());
        // Killed here, the next sweep goes on.
        let left = || fs::read_dir(folder.path().join("builds")).unwrap().count();
        assert_eq!(left(), 2);
        assert_eq!(places.old_builds(0).unwrap(), std::slice::from_ref(&used));
        places.sweep_builds().unwrap();
        assert_eq!(left(), 1);
        drop(turn);
        builds.set_aside(&[used]).unwrap();
        places.sweep_builds().unwrap();
        assert_eq!(left(), 0);
    }
}
