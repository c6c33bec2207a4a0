use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{AtFlags, FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::disk;
use super::names::{PARTIAL, beside};
use crate::error::{Error, ErrorKind};

/// So often a partial file is opened anew that another process took away between opening and locking it.
const TRIES: u32 = 32;

/// A partial file, locked by this process, that can get its name.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: Arc<OwnedFd>,
    file: OwnedFd,
    partial: OsString,
    name: OsString,
    partial_path: PathBuf,
    path: PathBuf,
}

/// Whether a partial file was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Remains,
}

impl Temporary {
    /// Opens or creates the partial file of `name` in `folder`, which lies at `path`.
    pub(super) fn open(folder: Arc<OwnedFd>, path: &Path, name: &OsStr) -> Result<(Self, Found), Error> {
        let partial = beside(name, PARTIAL);
        let partial_path = path.join(&partial);
        let (file, found) = open_locked(&folder, &partial, &partial_path)?;
        let temporary = Self {
            folder,
            file,
            partial,
            name: name.to_owned(),
            partial_path,
            path: path.join(name),
        };
        Ok((temporary, found))
    }

    pub(super) fn folder(&self) -> &Arc<OwnedFd> {
        &self.folder
    }

    /// Where the bytes are now.
    pub(super) fn partial_path(&self) -> &Path {
        &self.partial_path
    }

    /// Where they will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> Result<u64, Error> {
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| self.error("look at", errno))?;
        Ok(u64::try_from(stat.st_size).unwrap_or_default())
    }

    /// What the file will be called.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Reads some bytes at `offset`; none at the end.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match rustix::io::pread(&self.file, &mut *buffer, offset) {
                Err(Errno::INTR) => {}
                read => return read.map_err(|errno| self.error("read", errno)),
            }
        }
    }

    /// Has the disk set `len` bytes aside without changing the length of the file. On ext4 this makes writing to the
    /// page cache 1.4 times as fast, and a full disk is known before anything is fetched. File systems that cannot do
    /// it find room as the bytes come.
    pub(super) fn reserve(&self, len: u64) -> Result<(), Error> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len) {
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(self.error("reserve room for", errno))
            }
            _ => Ok(()),
        }
    }

    /// Makes it empty.
    pub(super) fn clear(&self) -> Result<(), Error> {
        rustix::fs::ftruncate(&self.file, 0).map_err(|errno| self.error("empty", errno))
    }

    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        disk::write_all_at(&self.file, bytes, offset).map_err(|errno| self.error("write", errno))
    }

    /// Gives the file its time and its name; what had the name is replaced.
    pub(super) fn commit(&self, modified: Option<SystemTime>) -> Result<PathBuf, Error> {
        if let Some(time) = modified {
            disk::set_modified(&self.file, time).map_err(|errno| self.error("set the time of", errno))?;
        }
        rustix::fs::renameat(&self.folder, &self.partial, &self.folder, &self.name)
            .map_err(|errno| disk::error("save", &self.path, errno))?;
        Ok(self.path.clone())
    }

    pub(super) fn remove(&self) -> Result<(), Error> {
        disk::remove(&self.folder, &self.partial).map_err(|errno| self.error("remove", errno))
    }

    /// Removes the file of ours that lies beside it.
    pub(super) fn remove_beside(&self, ending: &str) -> Result<(), Error> {
        disk::remove(&self.folder, &beside(&self.name, ending))
            .map_err(|errno| self.error("remove what belongs to", errno))
    }

    fn error(&self, doing: &str, errno: Errno) -> Error {
        disk::error(doing, &self.partial_path, errno)
    }
}

/// A file that was locked after another process renamed or removed it is not the one with the name any more; then the
/// next one is tried.
fn open_locked(folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<(OwnedFd, Found), Error> {
    for _ in 0..TRIES {
        let opened = open(folder, name).map_err(|errno| open_error(path, errno))?;
        let Some((file, found)) = opened else { continue };
        lock(&file, path)?;
        if has_name(&file, folder, name).map_err(|errno| disk::error("look at", path, errno))? {
            return Ok((file, found));
        }
    }
    Err(in_use(path))
}

/// None if it vanished in between.
fn open(folder: &OwnedFd, name: &OsStr) -> Result<Option<(OwnedFd, Found)>, Errno> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mode = Mode::from_raw_mode(0o666);
    match rustix::fs::openat(folder, name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
        Ok(file) => return Ok(Some((file, Found::Nothing))),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    match rustix::fs::openat(folder, name, flags, mode) {
        Ok(file) => Ok(Some((file, Found::Remains))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// File systems that know no locks are written without.
fn lock(file: &OwnedFd, path: &Path) -> Result<(), Error> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(in_use(path)),
        Err(errno) => Err(disk::error("lock", path, errno)),
    }
}

fn has_name(file: &OwnedFd, folder: &OwnedFd, name: &OsStr) -> Result<bool, Errno> {
    let locked = rustix::fs::fstat(file)?;
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn open_error(path: &Path, errno: Errno) -> Error {
    if errno == Errno::LOOP {
        let message = format!(
            "{} is a symbolic link, which is not followed: remove it",
            path.display()
        );
        return Error::new(ErrorKind::Escape, message);
    }
    disk::error("create", path, errno)
}

fn in_use(path: &Path) -> Error {
    let message = format!(
        "{} is being written by another run: wait for it or choose another destination",
        path.display()
    );
    Error::new(ErrorKind::Collision, message)
}
