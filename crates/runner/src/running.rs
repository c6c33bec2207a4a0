//! The program runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use archive::Artifact;
use egress::{Tape, TapeLimits, Trust, Visit};
use model::Timestamp;
use registry::{Domain, Ending, Outcome, Usage};
use runtimes::Plan;
use sandbox::{Ended, Job, Mount, Network};

use crate::building::{Built, environment};
use crate::execution::{Break, Execution};
use crate::job::{Done, Output};

impl Execution {
    /// Runs the program to its end, whatever that is.
    pub(crate) async fn run(&self, built: &Built) -> Result<Ending, Break> {
        let mut job = self.run_job(built);
        let tape = self.tape(&mut job)?;
        let recorded = self.records();
        self.tell("Running");
        let done = self
            .shop
            .run_job(job, &self.control, &self.log, Output::Logged, tape)
            .await?;
        if recorded {
            self.keep_cassette().await;
        }
        let ending = self.ending(&done);
        self.shop.metrics.ran(&ending);
        Ok(ending)
    }

    fn run_job(&self, built: &Built) -> Job {
        let plan = &built.plan;
        let mut variables = environment(plan);
        variables.push(("MORPH_SCRAPER".to_owned(), self.scraper().to_string()));
        for (name, secret) in &self.secrets {
            variables.push((name.as_str().to_owned(), secret.reveal().to_owned()));
        }
        let mut mounts = self.mounts(plan);
        if let Some((build, _)) = &built.dependencies {
            mounts.extend(self.built(plan, build));
        }
        Job {
            name: format!("run-{}", self.lease.run.id),
            command: plan.run.clone(),
            environment: variables,
            folder: self.app(),
            mounts,
            network: Network::Gateway,
            limits: self.limits(),
        }
    }

    /// What was installed: as `/build`, and some of it in the code's folder, where a language looks for it.
    fn built(&self, plan: &Plan, build: &Path) -> Vec<Mount> {
        let read_only = |from: &Path, to: PathBuf| Mount {
            from: from.to_owned(),
            to,
            writable: false,
        };
        let mut mounts = vec![read_only(build, PathBuf::from("/build"))];
        for name in &plan.folders {
            let (from, own) = (build.join(name), self.app().join(name));
            if from.is_dir() && !own.exists() {
                mounts.push(read_only(&from, Path::new("/app").join(name)));
            }
        }
        mounts
    }

    fn records(&self) -> bool {
        self.lease.scraper.settings.record && self.shop.options.replay.is_none()
    }

    fn cassette(&self) -> PathBuf {
        self.folder.join("cassette")
    }

    /// Where the traffic is recorded or played back, the program is made to trust whom it talks to then.
    fn tape(&self, job: &mut Job) -> Result<Option<Tape>, Break> {
        let failed = |error: &dyn std::error::Error| Break::ours("the traffic cannot be recorded", error);
        let tape = match &self.shop.options.replay {
            Some(cassette) => {
                Tape::replay(cassette).map_err(|error| Break::over(Outcome::Failed, error.to_string()))?
            }
            None if self.records() => {
                Tape::record(&self.cassette(), self.tape_limits()).map_err(|error| failed(&error))?
            }
            None => return Ok(None),
        };
        let bundle = self.folder.join("ca.pem");
        std::fs::write(&bundle, tape.trust().bundle_pem).map_err(|error| failed(&error))?;
        job.mounts.push(Mount {
            from: bundle,
            to: PathBuf::from(Trust::SYSTEM_PATH),
            writable: false,
        });
        job.environment.extend(Trust::variables(Trust::SYSTEM_PATH));
        Ok(Some(tape))
    }

    /// A cassette may be as large as what the program writes itself.
    fn tape_limits(&self) -> TapeLimits {
        TapeLimits {
            file_bytes: self.lease.scraper.settings.limits.disk_mib << 20,
            ..TapeLimits::default()
        }
    }

    async fn keep_cassette(&self) {
        let artifact = Artifact::Cassette(self.lease.run.id);
        let kept = self
            .shop
            .archive
            .put_artifact(self.scraper(), &artifact, &self.cassette())
            .await;
        if let Err(error) = kept {
            self.complain(&format!("the recorded traffic could not be kept: {error}"));
        }
    }

    fn ending(&self, done: &Done) -> Ending {
        let (outcome, message) = self.verdict(done);
        let exit_code = match done.ended {
            Ended::Exited(code) => Some(code),
            _ => None,
        };
        Ending {
            exit_code,
            usage: usage(&done.usage),
            domains: done.visits.iter().map(domain).collect(),
            ..Ending::new(outcome, message)
        }
    }

    /// The outcome as far as the program decides it, and a sentence about it.
    fn verdict(&self, done: &Done) -> (Outcome, String) {
        let limits = &self.lease.scraper.settings.limits;
        let seconds = done.usage.wall.as_secs_f64();
        let peak = done.usage.peak_memory_bytes >> 20;
        match &done.ended {
            Ended::Exited(0) => (Outcome::Succeeded, format!("finished in {seconds:.1} s")),
            Ended::Exited(code) => (
                Outcome::Failed,
                format!("failed with exit code {code} after {seconds:.1} s"),
            ),
            Ended::Signalled(signal) => (
                Outcome::Failed,
                format!("ended by signal {signal} after {seconds:.1} s"),
            ),
            Ended::OutOfMemory => (
                Outcome::OutOfMemory,
                format!(
                    "killed because it needed more memory than it may have: it had {peak} MiB of {} MiB; use less, or raise memory_mib",
                    limits.memory_mib
                ),
            ),
            Ended::TimedOut => (
                Outcome::TimedOut,
                format!(
                    "stopped because it ran longer than {} s; make it faster, or raise run_seconds",
                    limits.run_seconds
                ),
            ),
            Ended::DiskFull => (
                Outcome::DiskFull,
                format!(
                    "stopped because it wrote more than {} MiB; write less, or raise disk_mib",
                    limits.disk_mib
                ),
            ),
            Ended::Stopped => (Outcome::Stopped, self.stopped_by()),
            Ended::NotStarted(why) => (Outcome::Failed, why.clone()),
        }
    }

    fn stopped_by(&self) -> String {
        match self.control.why() {
            Some(crate::control::Halt::Person(by)) => format!("stopped by {by}"),
            _ => "stopped".to_owned(),
        }
    }
}

fn usage(used: &sandbox::Usage) -> Usage {
    Usage {
        wall_ms: millis(used.wall),
        cpu_ms: millis(used.cpu),
        peak_memory_bytes: used.peak_memory_bytes,
        disk_bytes: used.disk_bytes,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn domain(visit: &Visit) -> Domain {
    let at = |time: std::time::SystemTime| {
        Timestamp::from_millis(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    };
    Domain {
        host: visit.host.clone(),
        connections: visit.counts.connections,
        refused: visit.counts.refused,
        bytes_in: visit.counts.bytes_in,
        bytes_out: visit.counts.bytes_out,
        first_at: at(visit.first_at),
        last_at: at(visit.last_at),
    }
}
