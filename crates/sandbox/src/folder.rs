//! The folders that a job may write to: how much is in them, whose they are. What is in them is hostile: it may change while it is looked at,
//! be deeper than a path can be long, and link anywhere.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid as User;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, RawMode, ResolveFlags, Stat, Uid, chmodat, chownat, fchown,
    fstat, open, openat, openat2, renameat, statat,
};
use rustix::io::Errno;

use crate::job::Job;

/// How deep folders may be: programs that remove a tree hold a file open for each level.
const MAX_DEPTH: usize = 100;
/// How long the path of a folder may be: the kernel takes 4,096 bytes, a name has up to 255.
const MAX_PATH: usize = 3_800;
/// What `st_blocks` counts in.
const BLOCK_BYTES: u64 = 512;
/// What the owner of a folder needs to see what is in it, and to remove it.
const USABLE: RawMode = 0o700;

/// Set-user-id and set-group-id.
const ARMED: RawMode = 0o6000;

/// How much a job has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// On the disk, not as long as files say they are.
    pub(crate) bytes: u64,
    /// Files, folders, links.
    pub(crate) files: u64,
    /// How long the longest file says it is.
    pub(crate) longest: u64,
    /// Whether there is more that could not be looked at: folders that are too deep, or closed again as soon as they are opened.
    pub(crate) is_hidden: bool,
    /// Files that have several names, or none, and were counted.
    counted: HashSet<(u64, u64)>,
}

impl Size {
    fn add(&mut self, stat: &Stat) {
        self.files += 1;
        if stat.st_nlink == 1 || is_folder(stat) || self.counted.insert((stat.st_dev, stat.st_ino)) {
            self.add_bytes(stat.st_blocks as u64, stat.st_size as u64);
        }
    }

    fn add_bytes(&mut self, blocks: u64, length: u64) {
        self.bytes = self.bytes.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
        self.longest = self.longest.max(length);
    }
}

/// A folder where a job may write.
pub(crate) struct Folder {
    opened: OwnedFd,
    /// Whose it was before the job, when that was changed.
    former: Option<(Uid, Gid)>,
}

impl Folder {
    /// Opens a folder. With a user id it becomes that user's, with all that is in it, until it is dropped.
    pub(crate) fn lend(path: &Path, to: Option<u32>) -> io::Result<Self> {
        let opened = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let stat = fstat(&opened)?;
        let former = to.map(|_| (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid)));
        let folder = Self { opened, former };
        if let Some(uid) = to {
            folder.chown(Uid::from_raw(uid), Gid::from_raw(uid))?;
        }
        Ok(folder)
    }

    /// Makes everything the former owner's again and lets him use every folder. Folders that are too deep to be removed come to the top, as
    /// `too-deep-N`.
    fn give_back(&self) -> io::Result<()> {
        self.raise_deep()?;
        self.disarm()?;
        self.former
            .map_or(Ok(()), |(user, group)| self.chown(user, group))
    }

    fn chown(&self, user: Uid, group: Gid) -> io::Result<()> {
        fchown(&self.opened, Some(user), Some(group))?;
        let mut result = Ok(());
        self.walk(Path::new("."), |parent, name, _| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            if let Err(error) = chownat(parent, name, Some(user), Some(group), flags) {
                result = Err(error.into());
            }
            ControlFlow::Continue(())
        })?;
        result
    }

    /// Takes the right to run as its owner from every file: the owner is no longer the job.
    fn disarm(&self) -> io::Result<()> {
        let mut result = Ok(());
        self.walk(Path::new("."), |parent, name, stat| {
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & ARMED != 0 {
                let mode = Mode::from_raw_mode(stat.st_mode & 0o7777 & !ARMED);
                if let Err(error) = chmodat(parent, name, mode, AtFlags::empty()) {
                    result = Err(error.into());
                }
            }
            ControlFlow::Continue(())
        })?;
        result
    }

    fn raise_deep(&self) -> io::Result<()> {
        let mut raised = 0;
        let mut pending = vec![PathBuf::from(".")];
        while let Some(start) = pending.pop() {
            for deep in self.walk(&start, |_, _, _| ControlFlow::Continue(()))?.too_deep {
                let top = self.free_name(&mut raised);
                renameat(&self.opened, &deep, &self.opened, &top)?;
                pending.push(top);
            }
        }
        Ok(())
    }

    fn free_name(&self, raised: &mut u64) -> PathBuf {
        loop {
            *raised += 1;
            let name = PathBuf::from(format!("too-deep-{raised}"));
            if statat(&self.opened, &name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
                return name;
            }
        }
    }

    /// Adds what is in it. Stops soon after so many files.
    pub(crate) fn measure(&self, size: &mut Size, most_files: u64) -> io::Result<()> {
        let unvisited = self.walk(Path::new("."), |_, _, stat| {
            size.add(stat);
            if size.files > most_files {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        size.is_hidden |= unvisited.was_closed || !unvisited.too_deep.is_empty();
        Ok(())
    }

    /// Adds those of these files without a name that are on its device.
    pub(crate) fn measure_nameless(&self, size: &mut Size, files: &[Metadata]) {
        let Ok(device) = fstat(&self.opened).map(|stat| stat.st_dev) else {
            return;
        };
        for file in files.iter().filter(|file| file.dev() == device) {
            if size.counted.insert((file.dev(), file.ino())) {
                size.add_bytes(file.blocks(), file.len());
            }
        }
    }

    /// Visits all that is in a folder. What has gone when its turn comes is passed over, and so is what belongs to others and is closed: the
    /// job cannot enter that either.
    fn walk(
        &self,
        start: &Path,
        mut visit: impl FnMut(&OwnedFd, &OsStr, &Stat) -> ControlFlow<()>,
    ) -> io::Result<Unvisited> {
        let mut pending = vec![start.to_owned()];
        let mut unvisited = Unvisited::default();
        while let Some(path) = pending.pop() {
            let opened = match self.enter(&path) {
                Ok(Some(opened)) => opened,
                Ok(None) => continue,
                Err(Errno::ACCESS) => {
                    unvisited.was_closed = true;
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            for entry in Dir::read_from(&opened)?.flatten() {
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                let stat = match statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => stat,
                    Err(errno) => {
                        unvisited.was_closed |= errno == Errno::ACCESS;
                        continue;
                    }
                };
                if visit(&opened, name, &stat).is_break() {
                    return Ok(unvisited);
                }
                if is_folder(&stat) {
                    let below = path.join(name);
                    let is_too_deep = is_too_deep(&below);
                    let list = if is_too_deep {
                        &mut unvisited.too_deep
                    } else {
                        &mut pending
                    };
                    list.push(below);
                }
            }
        }
        Ok(unvisited)
    }

    /// Opens a folder below, never through a link. One that the job closed is opened to its owner; root needs that not.
    fn enter(&self, path: &Path) -> Result<Option<OwnedFd>, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = match openat2(&self.opened, path, flags | OFlags::PATH, Mode::empty(), resolve) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
            result => result?,
        };
        let stat = fstat(&held)?;
        let me = User::effective();
        if stat.st_mode & USABLE != USABLE && stat.st_uid == me.as_raw() && !me.is_root() {
            let itself = format!("/proc/self/fd/{}", held.as_raw_fd());
            // If this fails, so does what comes next.
            let _ = fs::set_permissions(itself, Permissions::from_mode(stat.st_mode & 0o7777 | USABLE));
        }
        match openat(&held, ".", flags, Mode::empty()) {
            Err(Errno::ACCESS) if stat.st_uid != me.as_raw() => Ok(None),
            result => result.map(Some),
        }
    }
}

/// The folders where a job may write.
pub(crate) fn lend_folders(job: &Job, uid: Option<u32>) -> io::Result<Vec<Folder>> {
    let mounts = job
        .mounts
        .iter()
        .filter(|mount| mount.writable)
        .map(|mount| mount.from.as_path());
    let folders = [job.folder.as_path()]
        .into_iter()
        .chain(mounts.filter(|from| from.is_dir()));
    folders.map(|folder| Folder::lend(folder, uid)).collect()
}

/// What a walk did not see.
#[derive(Default)]
struct Unvisited {
    too_deep: Vec<PathBuf>,
    /// Somebody closes folders while we open them.
    was_closed: bool,
}

/// Gives it back. By then no process of the job is left.
impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = self.give_back() {
            tracing::warn!(%error, "a folder of a job cannot be given back");
        }
    }
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_too_deep(path: &Path) -> bool {
    path.components().count() > MAX_DEPTH || path.as_os_str().len() > MAX_PATH
}
