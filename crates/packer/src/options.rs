use std::path::PathBuf;
use std::time::Duration;

/// How a [`Packer`](crate::Packer) works.
#[derive(Clone, Debug)]
pub struct PackerOptions {
    /// Where packs are built; needs room for `workers` packs. Made where it is missing, and swept at start.
    pub work_dir: PathBuf,
    /// A host that no crawl is passing over is packed when no record came for so long.
    pub idle: Duration,
    /// A host is packed when its oldest unpublished record is this old, whatever else goes on.
    pub max_age: Duration,
    /// After a failed build of a host, the wait before the next.
    pub retry: Duration,
    /// Builds at a time. More than there are cores is right: the system shares the cores among them, so a small host
    /// never waits for a large one to end.
    pub workers: usize,
    /// Published packs of a host that are kept, the current one included; at least 1.
    pub keep_versions: usize,
    /// Written into each pack: who made it.
    pub generator: String,
}

impl PackerOptions {
    /// The defaults, with packs built in `work_dir`.
    pub fn new(work_dir: PathBuf) -> Self {
        Self {
            work_dir,
            idle: Duration::from_secs(30),
            max_age: Duration::from_secs(3_600),
            retry: Duration::from_secs(10),
            workers: 4,
            keep_versions: 3,
            generator: concat!("haul ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
