//! A runner that runs nothing.

use std::path::Path;
use std::time::Duration;

use archive::Archive;
use registry::{Capacity, Registry};
use runner::{Runner, RunnerDeps, RunnerOptions};

pub(crate) fn runner(folder: &Path, registry: &Registry, archive: &Archive) -> Runner {
    let deps = RunnerDeps {
        registry: registry.clone(),
        archive: archive.clone(),
    };
    let options = RunnerOptions {
        folder: folder.join("runs"),
        builds: folder.join("builds"),
        container: Default::default(),
        contain: vec!["/bin/false".into()],
        capacity: Capacity {
            memory_mib: 0,
            slots: 0,
        },
        policy: egress::Policy::default(),
        replay: None,
        accept_lacks: Vec::new(),
        interval: Duration::from_secs(1),
        grace: Duration::from_secs(1),
        compare_time: Duration::from_secs(600),
        max_data_bytes: 1 << 30,
        keep_days: 30,
    };
    Runner::new(deps, options).unwrap()
}
