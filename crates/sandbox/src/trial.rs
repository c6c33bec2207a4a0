//! Finds out what a machine can do by running something harmless.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::mkdtemp;

use crate::backend::{Backend, Failure};
use crate::job::{Ended, Job, JobLimits, Network};
use crate::sandbox::{Ability, Lack, start};

/// Contains a job with all abilities, then without those that failed, and says which. Gives the backend back when it can contain a job at all.
pub(crate) fn run<B: Backend + 'static>(mut backend: B) -> (Option<B>, Vec<Lack>) {
    let mut lacks = Vec::new();
    loop {
        let shared = Arc::new(backend);
        let result = attempt(shared.clone());
        // The thread of the job has ended, and with it the only other owner.
        backend = Arc::into_inner(shared).expect("a job that was waited for owns nothing");
        let Err(failure) = result else {
            lacks.extend(backend.unlimited());
            return (Some(backend), lacks);
        };
        let ability = failure.ability.unwrap_or(Ability::Namespaces);
        let reason = reason(&failure, backend.remedy(ability));
        let is_given_up = backend.give_up(ability, &reason);
        // Memory that is not limited, and why, is among what is unlimited.
        if !is_given_up || ability != Ability::Memory {
            lacks.push(Lack { ability, reason });
        }
        if !is_given_up {
            return (None, lacks);
        }
    }
}

fn reason(failure: &Failure, remedy: Option<&str>) -> String {
    let Failure { what, source, .. } = failure;
    match remedy {
        Some(remedy) => format!("{what}: {source}; {remedy}"),
        None => format!("{what}: {source}"),
    }
}

fn attempt(backend: Arc<dyn Backend>) -> Result<(), Failure> {
    let failed = |source: io::Error| Failure {
        ability: None,
        what: "trying the sandbox".to_owned(),
        source,
    };
    let unmade = |words: String| Failure {
        ability: Some(Ability::Namespaces),
        ..failed(io::Error::other(words))
    };
    let folder = TrialFolder::make().map_err(failed)?;
    let mut running = start(backend, job(&folder.0))?;
    let mut words = String::new();
    if let Some(stderr) = running.stderr.take() {
        // What cannot be read is only missing in the reason.
        let _ = fs::File::from(stderr).read_to_string(&mut words);
    }
    match running.wait() {
        (Ended::Exited(0), _) => Ok(()),
        (ended, _) => Err(unmade(format!("{} ({ended:?})", words.trim()))),
    }
}

fn job(folder: &Path) -> Job {
    Job {
        name: "trial".to_owned(),
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), "exit 0".to_owned()],
        environment: Vec::new(),
        folder: folder.to_owned(),
        mounts: Vec::new(),
        network: Network::Gateway,
        limits: JobLimits {
            memory_bytes: 64 << 20,
            processes: 16,
            cpu_weight: 100,
            disk_bytes: 1 << 20,
            files: 100,
            tmp_bytes: 1 << 20,
            time: Duration::from_secs(20),
            grace: Duration::ZERO,
        },
    }
}

/// An empty folder that is removed at the end.
struct TrialFolder(PathBuf);

impl TrialFolder {
    fn make() -> io::Result<Self> {
        Ok(Self(mkdtemp(&std::env::temp_dir().join("haul-trial-XXXXXX"))?))
    }
}

impl Drop for TrialFolder {
    fn drop(&mut self) {
        // What stays is an empty folder in /tmp.
        let _ = fs::remove_dir(&self.0);
    }
}
