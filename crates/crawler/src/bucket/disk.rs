//! The files of a folder of this machine.
//!
//! Left out are hidden files (their name, or that of a folder above them, begins with a dot), folders that are links, and
//! links that lead out of the folder. Whether a file changed is told by its time and its size.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crawldb::ItemErrorKind;
use retrieve::{Entry, Location};
use tokio::sync::mpsc;
use walkdir::{DirEntry, WalkDir};

use crate::fetch::{FetchError, Probed};

/// Files that are found ahead of those who take them.
const AHEAD: usize = 1_000;

/// A folder with files. Cheap to clone.
#[derive(Clone)]
pub(super) struct Disk {
    folder: Location,
}

/// What a walk meets.
pub(super) enum Step {
    File(Entry),
    /// A folder or file could not be read: what it holds is not known.
    Unreadable(String),
}

/// What came of reading a file.
pub(super) enum Read {
    File {
        bytes: Vec<u8>,
        etag: String,
    },
    /// It has this tag still.
    Unchanged,
    /// It has more bytes than are wanted.
    TooLarge(u64),
    Gone,
}

impl Disk {
    /// The files below `folder`, a location whose key ends in `/`.
    pub(super) fn new(folder: &Location) -> Self {
        Self {
            folder: folder.clone(),
        }
    }

    fn root(&self) -> io::Result<PathBuf> {
        fs::canonicalize(self.folder.key())
    }

    /// Walks over all files on a thread of its own, for as long as somebody takes them.
    ///
    /// # Errors
    ///
    /// Where the folder itself is not there or cannot be read.
    pub(super) async fn walk(&self) -> io::Result<mpsc::Receiver<Step>> {
        let disk = self.clone();
        let root = blocking(move || disk.root().and_then(|root| fs::read_dir(&root).map(|_| root))).await?;
        let (steps, taken) = mpsc::channel(AHEAD);
        let disk = self.clone();
        tokio::task::spawn_blocking(move || {
            let entries = WalkDir::new(&root).into_iter();
            for entry in entries
                .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name().as_encoded_bytes()))
            {
                let step = entry.map_or_else(
                    |error| Some(Step::Unreadable(error.to_string())),
                    |entry| disk.meet(&root, &entry),
                );
                if step.is_some_and(|step| steps.blocking_send(step).is_err()) {
                    return;
                }
            }
        });
        Ok(taken)
    }

    /// None for what is no file of the folder, and for what has gone meanwhile.
    fn meet(&self, root: &Path, entry: &DirEntry) -> Option<Step> {
        let kind = entry.file_type();
        if kind.is_dir() {
            return None;
        }
        if kind.is_symlink() && !leads_within(root, entry.path()) {
            return None;
        }
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Step::Unreadable(format!("{}: {error}", entry.path().display()))),
        };
        let name = entry.path().strip_prefix(root).ok()?.to_str()?;
        metadata.is_file().then(|| {
            let location = self.folder.with_key(format!("{}{name}", self.folder.key()));
            Step::File(Entry {
                size: Some(metadata.len()),
                etag: Some(tag(&metadata)),
                last_modified: metadata.modified().ok(),
                ..Entry::new(location)
            })
        })
    }

    /// Reads the file of this key, unless it has this tag or more bytes than `max_bytes`.
    pub(super) async fn read(
        &self,
        key: String,
        tag: Option<String>,
        max_bytes: u64,
    ) -> Result<Read, FetchError> {
        let disk = self.clone();
        let read = blocking(move || disk.read_now(&key, tag.as_deref(), max_bytes)).await;
        read.map_err(|error| {
            FetchError::passing(
                ItemErrorKind::Transfer,
                format!("the file could not be read: {error}"),
            )
        })
    }

    fn read_now(&self, key: &str, known: Option<&str>, max_bytes: u64) -> io::Result<Read> {
        let Some(path) = self.find(key)? else {
            return Ok(Read::Gone);
        };
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let etag = tag(&metadata);
        if known == Some(etag.as_str()) {
            return Ok(Read::Unchanged);
        }
        if metadata.len() > max_bytes {
            return Ok(Read::TooLarge(metadata.len()));
        }
        let mut bytes = Vec::new();
        (&mut file)
            .take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if tag(&file.metadata()?) != etag {
            return Err(io::Error::other("somebody writes to it"));
        }
        Ok(Read::File { bytes, etag })
    }

    /// Whether there is a file with this key.
    pub(super) async fn probe(&self, key: String) -> Result<Probed, FetchError> {
        let disk = self.clone();
        match blocking(move || disk.find(&key)).await {
            Ok(Some(_)) => Ok(Probed::There),
            Ok(None) => Ok(Probed::Gone("there is no such file".to_owned())),
            Err(error) => Err(FetchError::passing(ItemErrorKind::Transfer, error.to_string())),
        }
    }

    /// Where the file of this key really is; none where the folder has no such file. A folder that is not there, such as
    /// a disk that is not mounted, is an error: it says nothing of its files.
    fn find(&self, key: &str) -> io::Result<Option<PathBuf>> {
        let root = self.root()?;
        let name = key.strip_prefix(self.folder.key()).unwrap_or_default();
        if name.split('/').any(|part| is_hidden(part.as_bytes())) {
            return Ok(None);
        }
        match fs::canonicalize(root.join(name)) {
            Ok(path) => Ok((path.starts_with(&root) && path.is_file()).then_some(path)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn leads_within(root: &Path, link: &Path) -> bool {
    fs::canonicalize(link).is_ok_and(|target| target.starts_with(root))
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

/// Time and size, as an entity tag.
fn tag(metadata: &Metadata) -> String {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    let nanos = modified
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    format!("\"{nanos:x}-{:x}\"", metadata.len())
}

/// A panic, or a runtime that goes down, is an error like any other.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
