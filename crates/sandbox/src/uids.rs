use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::Uid;

/// Where the locks are, one for each user id in use. Under it a job mounts what only root reaches.
pub(crate) const FOLDER: &str = "/run/haul-sandbox";
/// How many user ids jobs share.
const COUNT: u32 = 1000;

/// A user id that no other job of this machine has while this lives, not even one of another worker.
pub(crate) struct LeasedUid {
    number: u32,
    /// The kernel lets go of the lock when the process ends.
    _lock: File,
}

impl LeasedUid {
    /// Takes the first that is free.
    pub(crate) fn take(first: u32) -> io::Result<Self> {
        let made = DirBuilder::new().mode(0o755).create(FOLDER);
        made.or_else(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                Ok(())
            } else {
                Err(error)
            }
        })?;
        for number in first..first.saturating_add(COUNT) {
            let path = Path::new(FOLDER).join(number.to_string());
            // Whoever may read a file may lock it.
            let mut options = OpenOptions::new();
            let lock = options
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(path)?;
            if lock.try_lock().is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(io::Error::other("all user ids for jobs are in use"))
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

/// Whether jobs can have user ids of their own: this process is root, and the ids mean something here (not so in a container without root).
pub(crate) fn can_be_taken(first: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    Uid::effective().is_root() && map.lines().any(|line| has_range(line, first))
}

/// A line is: first id inside, first id outside, how many.
fn has_range(line: &str, first: u32) -> bool {
    let mut numbers = line
        .split_whitespace()
        .filter_map(|word| word.parse::<u64>().ok());
    let (Some(inside), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return false;
    };
    let first = u64::from(first);
    inside <= first && first + u64::from(COUNT) <= inside + count
}
