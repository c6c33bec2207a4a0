use model::{Checksum, Host, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Which pack of a host is the current one, and which were before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The host.
    pub host: Host,
    /// The sources that its pages came from.
    pub sources: Vec<SourceId>,
    /// Grows by one with every change; part of the object's name.
    pub number: u64,
    /// The pack that is searched.
    pub current: PackVersion,
    /// Packs before it that are still kept, newest first.
    pub previous: Vec<PackVersion>,
}

impl Manifest {
    /// Every pack that is kept, newest first.
    pub fn versions(&self) -> impl Iterator<Item = &PackVersion> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// One published pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackVersion {
    /// Of the file; also its name.
    pub checksum: Checksum,
    /// Of what it was made from: equal content needs no new pack.
    pub content: Checksum,
    /// Of the file, in bytes.
    pub size: u64,
    /// Pages in it.
    pub pages: u64,
    /// Passages in it.
    pub passages: u64,
    /// When it was built.
    pub built_at: Timestamp,
}

/// What became of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The new manifest is in force.
    Done,
    /// Somebody else wrote that number first; read again and decide anew.
    Lost,
}
