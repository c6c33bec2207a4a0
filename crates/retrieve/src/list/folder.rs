use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::list::pages::Listed;

/// Folders within one another; a path of Linux has at most 4,096 bytes.
const MAX_DEPTH: usize = 2048;

/// The files below a folder, in the byte order of their relative paths, with `/` between the parts.
///
/// A link to a file is that file; a link to a folder is left out, so there are no circles, and so is a link that leads
/// nowhere, and whatever is neither file nor folder. Memory is what the names of one folder take, for each level.
#[derive(Debug)]
pub(crate) struct Folder {
    /// For each open folder what is left of it, in reverse order.
    open: Vec<Vec<Found>>,
    root: PathBuf,
}

/// Something in a folder.
#[derive(Debug)]
struct Found {
    /// Relative to the root; ends in `/` for a folder, which is what puts `a.txt` before `a/b`.
    key: String,
    metadata: Option<Metadata>,
}

impl Folder {
    /// Begins to list what is below `root`.
    ///
    /// # Errors
    ///
    /// Where `root` cannot be read, or a name in it is not UTF-8.
    pub(crate) fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let first = read_folder(&root, "")?;
        Ok(Self {
            open: vec![first],
            root,
        })
    }

    fn descend(&mut self, key: &str) -> Result<(), Error> {
        if self.open.len() == MAX_DEPTH {
            let message = format!("{key:?} is too deep: list a folder within it");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let within = read_folder(&self.root.join(key), key)?;
        self.open.push(within);
        Ok(())
    }
}

impl Iterator for Folder {
    type Item = Result<Listed, Error>;

    /// The next file; what comes after an error is what the folder that it is about does not hold.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(found) = self.open.last_mut()?.pop() else {
                self.open.pop();
                continue;
            };
            let Some(metadata) = found.metadata else {
                match self.descend(&found.key) {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            };
            return Some(Ok(listed(found.key, &metadata)));
        }
    }
}

fn listed(key: String, metadata: &Metadata) -> Listed {
    Listed {
        key,
        size: metadata.len(),
        etag: None,
        last_modified: metadata.modified().ok(),
    }
}

/// What a folder holds, in reverse order; `key` is its own.
fn read_folder(path: &Path, key: &str) -> Result<Vec<Found>, Error> {
    let unreadable = |error| refused(path, error);
    let mut all = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        all.extend(found(&entry.map_err(unreadable)?, key)?);
    }
    all.sort_unstable_by(|a, b| b.key.cmp(&a.key));
    Ok(all)
}

/// None for what is not listed, and for what has gone meanwhile.
fn found(entry: &DirEntry, folder: &str) -> Result<Option<Found>, Error> {
    let path = entry.path();
    let kind = entry.file_type().map_err(|error| refused(&path, error))?;
    let name = entry.file_name();
    if kind.is_dir() {
        let key = format!("{folder}{}/", utf8(&path, name.to_str())?);
        return Ok(Some(Found { key, metadata: None }));
    }
    let metadata = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(&path, error)),
        _ => return Ok(None),
    };
    let key = format!("{folder}{}", utf8(&path, name.to_str())?);
    let metadata = Some(metadata);
    Ok(Some(Found { key, metadata }))
}

fn utf8<'a>(path: &Path, name: Option<&'a str>) -> Result<&'a str, Error> {
    let message = || format!("{} is not UTF-8: rename it", path.display());
    name.ok_or_else(|| Error::new(ErrorKind::Invalid, message()))
}

fn refused(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Permission,
        _ => ErrorKind::Disk,
    };
    Error::new(kind, format!("cannot list {}", path.display())).caused_by(error)
}
