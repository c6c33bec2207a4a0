//! Finds out what a machine can do by running something harmless.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::mkdtemp;

use crate::job::{Ended, Job, JobLimits, Network};
use crate::launch::Failure;
use crate::machine::{Ability, Lack, Machine, start};

/// Runs it with all abilities, then without those that failed, and says which. Gives the machine back when it can contain a job at all.
pub(crate) fn run(mut machine: Machine) -> (Option<Machine>, Vec<Lack>) {
    let mut lacks = Vec::new();
    loop {
        let shared = Arc::new(machine);
        let result = attempt(&shared);
        // The thread of the job has ended, and with it the only other owner.
        machine = Arc::into_inner(shared).expect("a job that was waited for owns nothing");
        let Err(failure) = result else {
            return (Some(machine), lacks);
        };
        let ability = failure.ability.unwrap_or(Ability::Namespaces);
        match ability {
            Ability::Gateway if machine.gateway => machine.gateway = false,
            Ability::Seccomp if machine.seccomp => machine.seccomp = false,
            Ability::Memory if machine.groups.is_ok() => {
                machine.groups = Err(reason(&failure));
                continue;
            }
            _ => {
                lacks.push(Lack {
                    ability,
                    reason: reason(&failure),
                });
                return (None, lacks);
            }
        }
        lacks.push(Lack {
            ability,
            reason: reason(&failure),
        });
    }
}

fn reason(failure: &Failure) -> String {
    let Failure {
        ability,
        what,
        source,
    } = failure;
    let remedy = match ability {
        Some(Ability::Gateway) => "load the kernel modules nf_tables, nft_chain_nat and nft_redir",
        Some(Ability::Seccomp) => "the kernel must be built with CONFIG_SECCOMP_FILTER",
        Some(Ability::Namespaces) => {
            "install bubblewrap 0.8 or newer and allow user namespaces: sysctl user.max_user_namespaces=10000, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0, \
             in a container --security-opt seccomp=unconfined, or run haul outside of one"
        }
        _ => return format!("{what}: {source}"),
    };
    format!("{what}: {source}; {remedy}")
}

fn attempt(machine: &Arc<Machine>) -> Result<(), Failure> {
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
    let mut running = start(Arc::clone(machine), job(&folder.0))?;
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
