//! The machine that measures.

use std::fs;

use serde::{Deserialize, Serialize};

/// What a reader must know of a machine to judge its figures. None is what the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor.
    pub cpu: Option<String>,
    /// The operating system.
    pub system: String,
    /// Its release.
    pub kernel: Option<String>,
    /// Main memory.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// This one, as far as `/proc` tells.
    pub fn read() -> Self {
        let line = |path| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let of = |path, name| line(path).as_deref().and_then(|text| field(text, name));
        let kibibytes =
            of("/proc/meminfo", "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse().ok());
        Self {
            name: line("/proc/sys/kernel/hostname"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: of("/proc/cpuinfo", "model name"),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            kernel: line("/proc/sys/kernel/osrelease"),
            memory_bytes: kibibytes.map(|kibibytes: u64| kibibytes * 1024),
        }
    }

    /// In one line.
    pub fn describe(&self) -> String {
        let memory = |bytes: u64| format!("{:.1} GiB of memory", bytes as f64 / f64::from(1 << 30));
        let parts = [
            self.name.clone(),
            Some(format!("{} cores", self.cores)),
            self.cpu.clone(),
            self.memory_bytes.map(memory),
            Some(self.system.clone()),
            self.kernel.as_ref().map(|kernel| format!("kernel {kernel}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let named = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = named.filter(|(key, _)| key.trim() == name);
    values.next().map(|(_, value)| value.trim().to_owned())
}
