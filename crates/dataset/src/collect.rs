use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::deadline::Clock;
use crate::value::message;
use crate::{journal, open, schema};

const NAME: &str = "data.sqlite";
const JOURNAL: &str = "data.sqlite-journal";
const WAL: &str = "data.sqlite-wal";
const SHM: &str = "data.sqlite-shm";
/// Memory for pages while a copy is checked.
const CACHE_BYTES: u64 = 16 << 20;

/// What is hashed at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How large a database may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectLimits {
    /// Bytes of the file and its journal together.
    pub max_bytes: u64,
    /// How long checking may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A database that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// SHA-256 of the clean copy, 64 hexadecimal digits.
    pub checksum: String,
    /// Its size.
    pub bytes: u64,
    /// Tables in it, not counting virtual ones and those of SQLite itself.
    pub tables: u64,
    /// Rows in all of them.
    pub rows: u64,
}

/// Why a database was not taken in. Each says what to do.
#[derive(Debug, Error)]
pub enum Rejected {
    /// There is no `data.sqlite`.
    #[error("the scraper left no data.sqlite; save something, or create the file where it was started")]
    Missing,
    /// It is a link, a folder, a FIFO, ...
    #[error("data.sqlite is {0}, not a file; write the data into a file of that name")]
    NotAFile(&'static str),
    /// The scraper took away the permission to read it.
    #[error("data.sqlite cannot be read: its permissions say so; leave them as they are made")]
    Unreadable,
    /// It is larger than it may be.
    #[error(
        "data.sqlite has {bytes} bytes with its journal; the limit is {limit}; keep less, or ask for more"
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// SQLite finds it damaged, or it is no database.
    #[error("data.sqlite is damaged: {0}")]
    Damaged(String),
    /// Checking it took too long.
    #[error("data.sqlite could not be checked within {0} ms; keep less in it")]
    TimedOut(u64),
    /// The disk or something else of ours failed.
    #[error("data.sqlite could not be taken in: {what}")]
    Failed {
        /// What was done.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// Takes in `work/data.sqlite` with its journal: copies both into `scratch` (opened without following links, as regular files only), recovers there, runs
/// `quick_check`, and puts one clean file without journal, in rollback mode, at `to`. The files in `work` are only read; `scratch` is made where it is
/// missing, and nothing is left in it. Rows keep their rowids and pages their places.
///
/// # Errors
///
/// [`Rejected`]; then nothing is at `to`.
pub fn collect(work: &Path, scratch: &Path, to: &Path, limits: CollectLimits) -> Result<Collected, Rejected> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let work =
        rustix::fs::openat(CWD, work, flags, Mode::empty()).map_err(failed("opening the work folder"))?;
    fs::create_dir_all(scratch).map_err(failed("making the scratch folder"))?;
    let scratch = Scratch::new(scratch)?;
    copy(&work, &scratch, limits.max_bytes)?;
    let collected = recover(&scratch, limits)?;
    scratch.publish(to)?;
    Ok(collected)
}

fn failed<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Rejected {
    move |error| Rejected::Failed {
        what: what.into(),
        source: error.into(),
    }
}

/// Where the copy lies until it is clean.
struct Scratch<'a>(&'a Path);

impl<'a> Scratch<'a> {
    fn new(folder: &'a Path) -> Result<Self, Rejected> {
        let scratch = Self(folder);
        scratch.clear().map_err(failed("clearing the scratch folder"))?;
        Ok(scratch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn clear(&self) -> io::Result<()> {
        for name in [NAME, JOURNAL, WAL, SHM] {
            match fs::remove_file(self.path(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves the copy; across disks, by way of a name that nobody looks for.
    fn publish(&self, to: &Path) -> Result<(), Rejected> {
        let from = self.path(NAME);
        let moved = match fs::rename(&from, to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let near = to.with_extension("arriving");
                fs::copy(&from, &near).and_then(|_| fs::rename(&near, to))
            }
            moved => moved,
        };
        moved.map_err(failed("moving the clean copy into its place"))
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed before the folder is used again.
        let _ = self.clear();
    }
}

fn copy(work: &OwnedFd, scratch: &Scratch<'_>, limit: u64) -> Result<(), Rejected> {
    let file = regular(work, NAME)?;
    let mut left = limit;
    take(file, &scratch.path(NAME), &mut left, limit)?;
    for name in [WAL, JOURNAL] {
        // What SQLite cannot have written is no journal.
        if let Ok(file) = regular(work, name) {
            take(file, &scratch.path(name), &mut left, limit)?;
        }
    }
    settle_journal(work, &scratch.path(JOURNAL))
}

/// Opens a file that is nothing else, and does not wait for anybody while it looks.
fn regular(folder: &OwnedFd, name: &str) -> Result<File, Rejected> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Err(Rejected::Missing),
        Err(error) => return Err(refused(folder, name, error)),
    };
    let stat = rustix::fs::fstat(&opened).map_err(failed("looking at data.sqlite"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(File::from(opened)),
        other => Err(Rejected::NotAFile(kind(other))),
    }
}

/// Links, sockets and devices without a driver cannot even be opened.
fn refused(folder: &OwnedFd, name: &str, error: Errno) -> Rejected {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
            Rejected::NotAFile(kind(FileType::from_raw_mode(stat.st_mode)))
        }
        _ if error == Errno::ACCESS => Rejected::Unreadable,
        _ => failed("opening data.sqlite")(error),
    }
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Directory => "a folder",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        _ => "a device",
    }
}

/// Copies a file that may still grow, as far as `left` goes.
fn take(from: File, to: &Path, left: &mut u64, limit: u64) -> Result<(), Rejected> {
    let size = from.metadata().map_err(failed("looking at data.sqlite"))?.len();
    let too_large = |size: u64| Rejected::TooLarge {
        bytes: (limit - *left).saturating_add(size),
        limit,
    };
    if size > *left {
        return Err(too_large(size));
    }
    let mut copy = File::create_new(to).map_err(failed("making the scratch copy"))?;
    let mut rest = from.take(left.saturating_add(1));
    let copied = io::copy(&mut rest, &mut copy).map_err(failed("copying data.sqlite"))?;
    if copied > *left {
        return Err(too_large(copied));
    }
    *left -= copied;
    Ok(())
}

/// Lets a journal stand alone: one that is part of a transaction over several files counts as long as that transaction's own journal is in the work folder,
/// and SQLite never comes to see where that is said to be.
fn settle_journal(work: &OwnedFd, path: &Path) -> Result<(), Rejected> {
    let opened = File::options().read(true).write(true).open(path);
    let mut journal = match opened {
        Ok(journal) => journal,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("opening the journal")(error)),
    };
    let reading = failed("reading the journal");
    let Some(superior) = journal::superior(&mut journal).map_err(reading)? else {
        return Ok(());
    };
    let superior = OsStr::from_bytes(&superior);
    if rustix::fs::statat(work, superior, AtFlags::SYMLINK_NOFOLLOW).is_err() {
        return fs::remove_file(path).map_err(failed("removing a journal that is done"));
    }
    let bury = journal
        .seek(SeekFrom::End(0))
        .and_then(|_| journal.write_all(&[0; 16]));
    bury.map_err(failed("writing the journal"))
}

fn recover(scratch: &Scratch<'_>, limits: CollectLimits) -> Result<Collected, Rejected> {
    let path = scratch.path(NAME);
    let said = |error: rusqlite::Error| judged(&error, limits);
    let mut connection = open::for_recovery(&path, CACHE_BYTES).map_err(said)?;
    let clock = Clock::watch(&mut connection).map_err(said)?;
    let mut time = clock.allow(Duration::from_millis(limits.timeout_ms));
    time.run(|| settle(&connection)).map_err(said)?;
    // Before anything is done that takes memory for every page: a journal can make a small file very large.
    let bytes = fs::metadata(&path).map_err(failed("looking at the copy"))?.len();
    if bytes > limits.max_bytes {
        let limit = limits.max_bytes;
        return Err(Rejected::TooLarge { bytes, limit });
    }
    let (tables, rows) = time.run(|| check(&connection)).map_err(said)??;
    connection.close().map_err(|(_, error)| said(error))?;
    Ok(Collected {
        checksum: checksum(&path).map_err(failed("reading the copy"))?,
        bytes,
        tables,
        rows,
    })
}

fn judged(error: &rusqlite::Error, limits: CollectLimits) -> Rejected {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Rejected::TimedOut(limits.timeout_ms),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => Rejected::Failed {
            what: message(error),
            source: io::Error::other(message(error)),
        },
        _ => Rejected::Damaged(message(error)),
    }
}

/// Rolls back or takes over what the journals hold, and leaves the file without any.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    connection.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))
}

/// Counts tables and rows of a sound database. Conditions of the schema are not looked at: they are the scraper's, and may take long.
fn check(connection: &Connection) -> rusqlite::Result<Result<(u64, u64), Rejected>> {
    connection.execute_batch("PRAGMA ignore_check_constraints=ON")?;
    let tables = schema::tables(connection)?;
    let found: String = match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)) {
        Err(error) if is_for_each(&error) => quick_check_each(connection, &tables)?,
        found => found?,
    };
    if found != "ok" {
        return Ok(Err(Rejected::Damaged(found)));
    }
    let mut rows = 0;
    for table in &tables {
        rows += table.count(connection)?;
    }
    Ok(Ok((tables.len() as u64, rows)))
}

/// Whether tables must be checked one by one: there is a virtual table of a library that only the scraper has (its data is in ordinary tables), or so many
/// that checking them all is too long a program.
fn is_for_each(error: &rusqlite::Error) -> bool {
    message(error).starts_with("no such module") || error.sqlite_error_code() == Some(ErrorCode::OutOfMemory)
}

fn quick_check_each(connection: &Connection, tables: &[schema::Shape]) -> rusqlite::Result<String> {
    for table in tables {
        let sql = format!("PRAGMA quick_check({})", open::quoted(&table.name));
        let found: String = connection.query_row(&sql, [], |row| row.get(0))?;
        if found != "ok" {
            return Ok(found);
        }
    }
    Ok("ok".into())
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            length => hasher.update(&piece[..length]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
