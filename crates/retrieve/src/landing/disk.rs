use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind};

/// What a failed system call means for a caller; `path` is what it was about.
pub(super) fn error(doing: &str, path: &Path, errno: Errno) -> Error {
    let (kind, advice) = match errno {
        Errno::NOSPC | Errno::DQUOT => (
            ErrorKind::DiskFull,
            "the disk or the quota is full: make room and run again",
        ),
        Errno::FBIG => (
            ErrorKind::DiskFull,
            "the file would be longer than the file system or ulimit allows",
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorKind::Permission,
            "not permitted: choose a folder that you may write to",
        ),
        Errno::ROFS => (
            ErrorKind::Permission,
            "the file system is read-only: choose another folder",
        ),
        Errno::ISDIR => (
            ErrorKind::Collision,
            "a folder has this name: move it away or choose another destination",
        ),
        Errno::NAMETOOLONG => (
            ErrorKind::Invalid,
            "the path is too long for the file system: choose a shorter one",
        ),
        Errno::MFILE | Errno::NFILE => (ErrorKind::Disk, "too many files are open: raise ulimit -n"),
        _ => (ErrorKind::Disk, "check the disk and run again"),
    };
    let message = format!("cannot {doing} {}: {advice}", path.display());
    Error::new(kind, message).caused_by(io::Error::from(errno))
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_all_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

/// Removes a file; one that is not there is removed.
pub(super) fn remove(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Sets only the time of the last change.
pub(super) fn set_modified(file: &OwnedFd, time: SystemTime) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: timespec(time),
    };
    rustix::fs::futimens(file, &times)
}

fn timespec(time: SystemTime) -> Timespec {
    let parts = |duration: Duration| {
        (
            duration.as_secs().cast_signed(),
            i64::from(duration.subsec_nanos()),
        )
    };
    let (tv_sec, tv_nsec) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => parts(after),
        Err(before) => match parts(before.duration()) {
            (seconds, 0) => (-seconds, 0),
            (seconds, nanoseconds) => (-seconds - 1, 1_000_000_000 - nanoseconds),
        },
    };
    Timespec { tv_sec, tv_nsec }
}
