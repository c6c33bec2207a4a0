//! Who may write the tree: one server at a time, without synchronised clocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::store::StoreError;
use crate::store::shared_disk::disk;
use crate::store::shared_disk::tree::Tree;

/// What a keeper leaves that goes of its own accord.
const FREE: &[u8] = b"free\n";

/// Watches the newest keeper. Each has a file named by its epoch and rewrites it while it lives.
///
/// Locks of the file system are not used: over NFS they live as long as the *server's* lease, 90 seconds after a client is gone, and
/// one that is lost while its holder sleeps fences nothing.
pub(super) struct Election {
    index: PathBuf,
    lease: Duration,
    holder: u64,
    /// The newest keeper's epoch and file, when it was last another one.
    seen: Option<(u64, Bytes)>,
    since: Instant,
    looked: Option<Instant>,
}

/// The right to write the tree.
pub(super) struct Lease {
    path: PathBuf,
    holder: u64,
    duration: Duration,
    beats: u64,
    renewed: Instant,
}

/// How often in a lease it is renewed, or watched.
const BEATS: u32 = 5;

impl Election {
    pub(super) fn new(index: &Path, lease: Duration) -> Self {
        Self {
            index: index.to_owned(),
            lease,
            holder: disk::random(),
            seen: None,
            since: Instant::now(),
            looked: None,
        }
    }

    /// Whether it is time to look again.
    pub(super) fn is_due(&self) -> bool {
        self.looked
            .is_none_or(|looked| looked.elapsed() >= self.lease / BEATS)
    }

    /// Tries to become the keeper when there is none: when the newest has gone, or has not been heard of for a lease and a quarter.
    pub(super) fn run(&mut self) -> Result<Option<(Lease, Tree)>, StoreError> {
        self.watch()?;
        if !self.is_vacant() {
            return Ok(None);
        }
        let epoch = self.seen.as_ref().map_or(0, |(epoch, _)| *epoch) + 1;
        let Some(lease) = self.claim(epoch)? else {
            return Ok(None);
        };
        let tree = take_over(&self.index, epoch)?;
        if tree.is_some() {
            self.forget_before(epoch)?;
        }
        Ok(tree.map(|tree| (lease, tree)))
    }

    /// Whether the newest keeper's file has changed since the last call; `false` also when there is no keeper.
    fn watch(&mut self) -> Result<bool, StoreError> {
        self.looked = Some(Instant::now());
        let newest = self.newest()?;
        let is_new = newest != self.seen;
        if is_new {
            self.seen = newest;
            self.since = Instant::now();
        }
        Ok(is_new && self.seen.as_ref().is_some_and(|(_, text)| text != FREE))
    }

    /// Waits until there is no keeper.
    pub(super) fn wait_until_vacant(&mut self) -> Result<(), StoreError> {
        self.watch()?;
        while !self.is_vacant() {
            thread::sleep(self.lease / BEATS);
            if self.watch()? {
                return Err(StoreError::InUse(format!(
                    "a server uses {}; stop all that do",
                    self.index.display()
                )));
            }
        }
        Ok(())
    }

    fn is_vacant(&self) -> bool {
        let Some((_, text)) = &self.seen else { return true };
        text == FREE || self.since.elapsed() > self.lease + self.lease / 4
    }

    fn newest(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let epochs = self.epochs()?;
        let Some(epoch) = epochs.into_iter().max() else {
            return Ok(None);
        };
        let text = disk::read(&self.path(epoch))?.unwrap_or_default();
        Ok(Some((epoch, text)))
    }

    fn epochs(&self) -> Result<Vec<u64>, StoreError> {
        let paths = disk::list(&folder(&self.index))?;
        Ok(paths
            .iter()
            .filter_map(|path| disk::last_name(path).parse().ok())
            .collect())
    }

    fn path(&self, epoch: u64) -> PathBuf {
        folder(&self.index).join(epoch.to_string())
    }

    /// Makes the keeper's file, which only one server can.
    fn claim(&self, epoch: u64) -> Result<Option<Lease>, StoreError> {
        let path = self.path(epoch);
        match File::create_new(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(disk::failed("cannot make", &path)(error)),
        }
        let mut lease = Lease {
            path,
            holder: self.holder,
            duration: self.lease,
            beats: 0,
            renewed: Instant::now(),
        };
        lease.renew()?;
        Ok(Some(lease))
    }

    fn forget_before(&self, epoch: u64) -> Result<(), StoreError> {
        for old in self.epochs()?.into_iter().filter(|&old| old < epoch) {
            disk::remove(&self.path(old))?;
        }
        Ok(())
    }
}

/// Where keepers have their files.
pub(super) fn folder(index: &Path) -> PathBuf {
    index.join("keepers")
}

/// Gives the tree the name of a new epoch, which takes it from everybody who knows it by an older one. `None` when somebody with a newer
/// epoch was faster.
fn take_over(index: &Path, epoch: u64) -> Result<Option<Tree>, StoreError> {
    loop {
        let (tree, ours) = (Tree::newest(index)?, Tree::at(index, epoch));
        if tree.epoch >= epoch {
            // Ours already when a rename over NFS succeeded and said that it had failed.
            return Ok((tree.epoch == epoch).then_some(ours));
        }
        match fs::rename(&tree.root, &ours.root) {
            Ok(()) => {
                disk::sync_folder(index)?;
                return Ok(Some(ours));
            }
            // Somebody else has renamed it; each time with a greater epoch, so this ends.
            Err(error) if disk::is_gone(&error) => {}
            Err(error) => return Err(disk::failed("cannot take over", &tree.root)(error)),
        }
    }
}

impl Lease {
    /// Whether somebody else may have become the keeper. It is asked before every change of a file, which stops a keeper that
    /// has slept also where the system still knows the tree's old name, as NFS does.
    pub(super) fn is_over(&self) -> bool {
        self.renewed.elapsed() >= self.duration
    }

    pub(super) fn is_due(&self) -> bool {
        self.renewed.elapsed() >= self.duration / BEATS
    }

    /// Says that this keeper lives. An error of [`io::ErrorKind::NotFound`] says that there is a newer one.
    pub(super) fn renew(&mut self) -> Result<(), StoreError> {
        // The lease counts from before others can see it.
        let began = Instant::now();
        self.beats += 1;
        self.write(format!("{:016x} {}\n", self.holder, self.beats).as_bytes())?;
        self.renewed = began;
        Ok(())
    }

    /// Lets others be the keeper at once.
    pub(super) fn resign(&self) -> Result<(), StoreError> {
        self.write(FREE)
    }

    fn write(&self, text: &[u8]) -> Result<(), StoreError> {
        let write = || {
            let mut file = OpenOptions::new().write(true).truncate(true).open(&self.path)?;
            file.write_all(text)
        };
        write().map_err(disk::failed("cannot write", &self.path))
    }
}
