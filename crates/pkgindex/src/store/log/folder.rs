//! The folder of a log: names of its files, its lock, and everything that is done to it, step by step.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::change::Revision;
use crate::store::StoreError;

/// One thing that is about to be done to a file of the log.
#[derive(Clone, Copy, Debug)]
pub enum Step<'s> {
    /// An empty file is made, in place of one that was there.
    Create(&'s Path),
    /// Bytes are written.
    Write {
        /// Where.
        file: &'s Path,
        /// From which byte on.
        offset: u64,
        /// What.
        bytes: &'s [u8],
    },
    /// The file gets this length, in bytes.
    Truncate(&'s Path, u64),
    /// What was written to the file is brought to the disk.
    Sync(&'s Path),
    /// The first gets the name of the second.
    Rename(&'s Path, &'s Path),
    /// The file goes.
    Remove(&'s Path),
    /// What files there are is brought to the disk.
    SyncFolder(&'s Path),
}

/// Is told of each step before it is taken. When it fails, the step is not taken and has failed: so tests fail and crash at every step.
pub type OnStep = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

/// How many digits a revision has in a name, so that an order by name is an order by revision.
const DIGITS: usize = 20;

/// No log comes so far; a name that says so is somebody else's.
const MAX_REVISION: u64 = u64::MAX >> 1;

/// What a name in the folder says of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds changes from this revision on.
    Segment(Revision),
    /// Shows this revision.
    Snapshot(Revision),
    /// The end of the segment that begins with this revision, saved before it was cut off.
    Torn(Revision),
    /// Was not finished.
    Partial,
    /// Not of the log.
    Foreign,
}

impl Kind {
    fn of(name: &str) -> Self {
        let revision = |digits: &str| {
            let is_ours = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits
                .parse()
                .ok()
                .filter(|&number| is_ours && number <= MAX_REVISION);
            number.map(Revision)
        };
        let known = match name.rsplit_once('.') {
            Some((_, "partial")) => Some(Self::Partial),
            Some((digits, "log")) => revision(digits).map(Self::Segment),
            Some((digits, "snapshot")) => revision(digits).map(Self::Snapshot),
            Some((place, "torn")) => place
                .split_once('-')
                .and_then(|(digits, _)| revision(digits))
                .map(Self::Torn),
            _ => None,
        };
        known.unwrap_or(Self::Foreign)
    }
}

/// The folder, which is ours as long as this lives.
pub(super) struct Folder {
    path: PathBuf,
    on_step: Option<OnStep>,
    _lock: File,
}

/// A file that is written.
pub(super) struct Output {
    file: File,
    path: PathBuf,
}

impl Output {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Folder {
    /// Makes the folder when it is not there, and takes its lock.
    pub(super) fn open(path: &Path, on_step: Option<OnStep>) -> Result<Self, StoreError> {
        make(path).map_err(failed("make", path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                on_step,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(format!(
                "the index in {} is in use by another server; stop that one, or give this one another folder",
                path.display()
            ))),
            Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    pub(super) fn segment(&self, first: Revision) -> PathBuf {
        self.path.join(format!("{first:0DIGITS$}.log"))
    }

    pub(super) fn snapshot(&self, revision: Revision) -> PathBuf {
        self.path.join(format!("{revision:0DIGITS$}.snapshot"))
    }

    pub(super) fn torn(&self, first: Revision, offset: u64) -> PathBuf {
        self.path.join(format!("{first:0DIGITS$}-{offset}.torn"))
    }

    /// Everything in the folder, by name.
    pub(super) fn list(&self) -> Result<Vec<(Kind, PathBuf)>, StoreError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed("list", &self.path))? {
            let entry = entry.map_err(failed("list", &self.path))?;
            let kind = entry.file_name().to_str().map_or(Kind::Foreign, Kind::of);
            files.push((kind, entry.path()));
        }
        files.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        Ok(files)
    }

    /// Begins a file under a name that says that it is not finished; see [`Folder::finish`].
    pub(super) fn begin(&self, path: &Path) -> Result<Output, StoreError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let path = PathBuf::from(partial);
        let create = || {
            self.announce(Step::Create(&path))?;
            File::create(&path)
        };
        let file = create().map_err(failed("make", &path))?;
        Ok(Output { file, path })
    }

    /// Brings the file to the disk and gives it its name. It is found after a crash only when the folder was synced too.
    pub(super) fn finish(&self, output: &mut Output, path: PathBuf) -> Result<(), StoreError> {
        self.sync(output)?;
        let rename = || {
            self.announce(Step::Rename(&output.path, &path))?;
            fs::rename(&output.path, &path)
        };
        rename().map_err(failed("rename", &output.path))?;
        output.path = path;
        Ok(())
    }

    /// Opens a file to go on writing it.
    pub(super) fn reopen(&self, path: PathBuf) -> Result<Output, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        Ok(Output { file, path })
    }

    pub(super) fn write(&self, output: &Output, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let write = || {
            let file = &output.path;
            self.announce(Step::Write { file, offset, bytes })?;
            output.file.write_all_at(bytes, offset)
        };
        write().map_err(failed("write", &output.path))
    }

    pub(super) fn truncate(&self, output: &Output, length: u64) -> Result<(), StoreError> {
        let truncate = || {
            self.announce(Step::Truncate(&output.path, length))?;
            output.file.set_len(length)
        };
        truncate().map_err(failed("shorten", &output.path))
    }

    /// Brings what was written to the disk. When that fails, nobody knows what is there.
    pub(super) fn sync(&self, output: &Output) -> Result<(), StoreError> {
        let sync = || {
            self.announce(Step::Sync(&output.path))?;
            output.file.sync_data()
        };
        sync().map_err(failed("sync", &output.path))
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let remove = || {
            self.announce(Step::Remove(path))?;
            fs::remove_file(path)
        };
        remove().map_err(failed("remove", path))
    }

    /// Brings names of files to the disk.
    pub(super) fn sync_names(&self) -> Result<(), StoreError> {
        let sync = || {
            self.announce(Step::SyncFolder(&self.path))?;
            File::open(&self.path)?.sync_all()
        };
        sync().map_err(failed("sync", &self.path))
    }

    fn announce(&self, step: Step) -> io::Result<()> {
        self.on_step.as_ref().map_or(Ok(()), |on_step| on_step(step))
    }
}

/// Makes a folder with all that it stands in, for good.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    make(parent)?;
    fs::create_dir(path)?;
    File::open(parent)?.sync_all()
}

/// For `map_err`: what was tried with which file, and what to do when the disk is full.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                " (the disk is full: changes are refused until there is room, reads go on)"
            }
            _ => "",
        };
        StoreError::Io {
            what: format!("cannot {what} {}{hint}", path.display()),
            source,
        }
    }
}
