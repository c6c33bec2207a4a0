use model::{Host, Timestamp};

/// What the packer is doing with one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// The host.
    pub host: Host,
    /// Records that are in no published pack.
    pub waiting: u64,
    /// What it does with them.
    pub stage: Stage,
    /// When it last published a pack of this host, since it was started.
    pub published_at: Option<Timestamp>,
    /// Pages of that pack.
    pub pages: u64,
}

impl HostStatus {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            waiting: 0,
            stage: Stage::Waiting,
            published_at: None,
            pages: 0,
        }
    }
}

/// Where a host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Everything that came is published.
    Published,
    /// Records wait for the end of the crawl, the idle time or a free worker.
    Waiting,
    /// A pack is being built.
    Building,
    /// The last build failed, says why, and will be tried again.
    Failed(String),
}
