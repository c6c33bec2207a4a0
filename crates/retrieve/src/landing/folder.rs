use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::disk;
use super::file::{Begun, Identity, Landing};
use super::journal::Boot;
use super::names::{Claim, Names, Parents, Place};
use super::stream::Stream;
use super::temporary::{Found, Temporary};
use crate::error::{Error, ErrorKind};

/// So many folders are kept open; when there are more, all are closed and opened again as they are needed.
const OPEN_FOLDERS: usize = 128;

/// The longest path that Linux takes, in bytes.
const MAX_PATH: usize = 4095;

/// Where a run saves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Below this folder, which is made where it is missing.
    Folder(PathBuf),
    /// As this file, whatever its entry is called; for runs of one file. A symbolic link is followed.
    File(PathBuf),
}

/// A destination that is open: the names that the run has used, and its folders. For any number of threads.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    root: Arc<OwnedFd>,
    /// What a file is called that has a destination of its own.
    only: Option<Place>,
    names: Names,
    open: Mutex<HashMap<String, Arc<OwnedFd>>>,
    boot: Boot,
}

impl Folder {
    /// Opens a destination, making the folders that are missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Collision`] if something else than a folder or a file is there, and the kinds of the disk.
    pub(crate) fn open(destination: &Destination) -> Result<Self, Error> {
        match destination {
            Destination::Folder(path) => Self::at(path.clone(), None),
            Destination::File(path) => Self::of_file(path),
        }
    }

    fn of_file(path: &Path) -> Result<Self, Error> {
        let path = followed(path)?;
        let Some(name) = path.file_name() else {
            return Err(not_a_file(&path));
        };
        let place = Place {
            parents: Parents::default(),
            name: name.to_owned(),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self::at(folder.unwrap_or(Path::new(".")).to_owned(), Some(place))
    }

    fn at(path: PathBuf, only: Option<Place>) -> Result<Self, Error> {
        let error = |errno| folder_error(&path, errno);
        std::fs::create_dir_all(&path).map_err(|cause| error(errno(&cause)))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty()).map_err(error)?;
        Ok(Self {
            path,
            root: Arc::new(root),
            only,
            names: Names::default(),
            open: Mutex::default(),
            boot: Boot::current(),
        })
    }

    /// The same as if the machine had been started anew.
    #[cfg(test)]
    pub(super) fn of_boot(self, boot: Boot) -> Self {
        Self { boot, ..self }
    }

    /// Takes a name for this run; see [`Names::claim`]. Does not touch the disk. In a destination that is a file all
    /// names are that file, which can be had once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Escape`], [`ErrorKind::Collision`] and [`ErrorKind::Invalid`], for this entry alone.
    pub(crate) fn claim(&self, name: &str) -> Result<Claim, Error> {
        if let Some(only) = &self.only {
            self.names.claim("only")?;
            return Ok(Claim::File(only.clone()));
        }
        if self.path.as_os_str().len() + name.len() >= MAX_PATH {
            let message =
                format!("the path of {name:?} is longer than {MAX_PATH} bytes: give it another name");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.names.claim(name)
    }

    /// Where a file will be.
    pub(crate) fn path(&self, place: &Place) -> PathBuf {
        self.folder_path(&place.parents).join(&place.name)
    }

    /// Makes a folder.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Collision`] if a file is there, [`ErrorKind::Escape`] for a symbolic link, and the kinds of the disk.
    pub(crate) fn make(&self, folder: &Parents) -> Result<PathBuf, Error> {
        self.opened(&folder.0)?;
        Ok(self.folder_path(folder))
    }

    /// Begins a file that is written at many places, or goes on with what an earlier run left of it if `resume`. After
    /// a restart of the machine that is read once, which takes as long as the disk needs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Collision`] if a folder has the name or another process writes the file, [`ErrorKind::Escape`] for
    /// symbolic links on the way, and the kinds of the disk.
    pub(crate) fn begin(&self, place: &Place, identity: &Identity, resume: bool) -> Result<Begun, Error> {
        self.refuse_folder(place)?;
        let (temporary, found) = self.temporary(place)?;
        let found = if resume { found } else { Found::Nothing };
        Landing::begin(temporary, found, identity, &self.boot)
    }

    /// Begins a file that is written from its beginning to its end.
    ///
    /// # Errors
    ///
    /// As [`Folder::begin`].
    pub(crate) fn stream(&self, place: &Place) -> Result<Stream, Error> {
        let (temporary, found) = self.temporary(place)?;
        Stream::begin(temporary, found)
    }

    fn temporary(&self, place: &Place) -> Result<(Temporary, Found), Error> {
        let folder = self.opened(&place.parents.0)?;
        Temporary::open(folder, &self.folder_path(&place.parents), &place.name)
    }

    /// The rename would say so, too, but only after all bytes have come.
    fn refuse_folder(&self, place: &Place) -> Result<(), Error> {
        let folder = self.opened(&place.parents.0)?;
        let stat = rustix::fs::statat(&folder, &place.name, AtFlags::SYMLINK_NOFOLLOW);
        if stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir()) {
            return Err(disk::error("save", &self.path(place), Errno::ISDIR));
        }
        Ok(())
    }

    fn folder_path(&self, folder: &Parents) -> PathBuf {
        match folder.0.as_str() {
            "" => self.path.clone(),
            below => self.path.join(below),
        }
    }

    /// A folder below the destination, made where it is missing; its path is walked from the last one that is open.
    fn opened(&self, below: &str) -> Result<Arc<OwnedFd>, Error> {
        let (mut at, mut folder) = self.deepest(below);
        while at < below.len() {
            let rest = below.get(at..).unwrap_or_default().trim_start_matches('/');
            let part = rest.split('/').next().unwrap_or_default();
            at = below.len() - rest.len() + part.len();
            let path = below.get(..at).unwrap_or_default();
            folder = Arc::new(enter(&folder, OsStr::new(part), &self.path.join(path))?);
            self.keep_open(path, &folder);
        }
        Ok(folder)
    }

    /// The last folder on the way to `below` that is open, and how many bytes of the path it is.
    fn deepest(&self, below: &str) -> (usize, Arc<OwnedFd>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let slashes = below.rmatch_indices('/').map(|(at, _)| at);
        let ends = std::iter::once(below.len()).chain(slashes);
        let known = ends.filter_map(|end| Some((end, open.get(below.get(..end)?)?.clone())));
        known.into_iter().next().unwrap_or_else(|| (0, self.root.clone()))
    }

    fn keep_open(&self, path: &str, folder: &Arc<OwnedFd>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_FOLDERS {
            open.clear();
        }
        open.insert(path.to_owned(), folder.clone());
    }
}

/// Opens the folder `name` in `folder`, making it where it is missing; a symbolic link is none.
fn enter(folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, name, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) => make(folder, name).and_then(|()| open()),
        opened => opened,
    };
    opened.map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP if is_link(folder, name) => leads_out(path),
        errno => folder_error(path, errno),
    })
}

fn make(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn is_link(folder: &OwnedFd, name: &OsStr) -> bool {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_symlink())
}

/// The file that a destination of one file means: it must be a file, or nothing yet.
fn followed(path: &Path) -> Result<PathBuf, Error> {
    let error = |cause: &std::io::Error| disk::error("look at", path, errno(cause));
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(not_a_file(path)),
        Ok(_) if path.is_symlink() => path.canonicalize().map_err(|cause| error(&cause)),
        Ok(_) => Ok(path.to_owned()),
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(error(&cause)),
        Err(_) if path.is_symlink() => Err(not_a_file(path)),
        Err(_) => Ok(path.to_owned()),
    }
}

fn errno(cause: &std::io::Error) -> Errno {
    Errno::from_io_error(cause).unwrap_or(Errno::IO)
}

fn not_a_file(path: &Path) -> Error {
    let message = format!(
        "{} is not a file that can be replaced: name another destination",
        path.display()
    );
    Error::new(ErrorKind::Collision, message)
}

fn leads_out(path: &Path) -> Error {
    let message = format!(
        "{} is a symbolic link, which is not followed below the destination: replace it by a folder",
        path.display()
    );
    Error::new(ErrorKind::Escape, message)
}

fn folder_error(path: &Path, errno: Errno) -> Error {
    if matches!(errno, Errno::NOTDIR | Errno::EXIST) {
        let message = format!("{} must be a folder and is a file: move it away", path.display());
        return Error::new(ErrorKind::Collision, message);
    }
    disk::error("make the folder", path, errno)
}
