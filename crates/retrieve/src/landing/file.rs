use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::journal::{Boot, Journal, Record};
use super::names::JOURNAL;
use super::temporary::{Found, Temporary};
use crate::checksum::{Crc, Ranges};
use crate::entry::{Algorithm, FileMeta};
use crate::error::{Error, ErrorKind};

/// How much is read at once when the ranges of another boot are checked.
const READ: usize = 256 << 10;

/// Files of so many bytes get their room on the disk when they are begun.
const RESERVE: u64 = 1 << 20;

/// Which bytes a partial file is about, so that a later run knows whether it wants the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// None where another run could not tell: the length is not known or nothing says which version it is.
    fingerprint: Option<[u8; 32]>,
    wanted: Option<u64>,
    algorithm: Option<Algorithm>,
}

impl Identity {
    /// `algorithm` is that of the checksums that [`Landing::written`] will get; none if they are not computed.
    ///
    /// The version is told by a strong entity tag, and then the query of a web address, which may hold a signature, does
    /// not count. Without one, by the time of the last change and the length together: an object that is overwritten
    /// by one of the same length within the resolution of that time is not noticed, as it is not noticed within a run.
    pub(crate) fn of(meta: &FileMeta, algorithm: Option<Algorithm>) -> Self {
        let wanted = meta.wanted();
        Self {
            fingerprint: wanted.and_then(|_| fingerprint(meta, algorithm)),
            wanted,
            algorithm,
        }
    }
}

fn fingerprint(meta: &FileMeta, algorithm: Option<Algorithm>) -> Option<[u8; 32]> {
    let strong = meta
        .etag
        .as_deref()
        .filter(|etag| etag.len() > 2 && etag.starts_with('"'));
    let version = match strong {
        Some(etag) => etag.to_owned(),
        None => format!("{:?} {}", meta.last_modified?, meta.location.key()),
    };
    let text = format!(
        "{}\n{version}\n{:?}\n{:?}\n{algorithm:?}",
        meta.location, meta.size, meta.range
    );
    Some(Sha256::digest(text).into())
}

/// A file that is being written, by any number of threads. Dropped without a commit it is [kept](Landing::keep).
#[derive(Debug)]
pub(crate) struct Landing {
    file: Temporary,
    journal: Option<Journal>,
    wanted: Option<u64>,
    ended: AtomicBool,
    writing: Mutex<()>,
}

/// A file that can be written now, and what an earlier run left of it.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) landing: Landing,
    /// What is there already, sorted; offsets in the file written, as in [`Landing::write_at`].
    pub(crate) have: Vec<Range<u64>>,
    /// The same with its checksums.
    pub(crate) crcs: Ranges,
}

impl Landing {
    pub(super) fn begin(
        file: Temporary,
        found: Found,
        identity: &Identity,
        boot: &Boot,
    ) -> Result<Begun, Error> {
        let journal = identity
            .fingerprint
            .map(|identity| Journal::beside(&file, identity, boot));
        let landing = Self {
            file,
            journal,
            wanted: identity.wanted,
            ended: AtomicBool::new(false),
            writing: Mutex::new(()),
        };
        let crcs = match found {
            Found::Remains => landing.left(identity.algorithm)?,
            Found::Nothing => Ranges::new(identity.algorithm),
        };
        let have: Vec<_> = crcs.iter().collect();
        if have.is_empty() {
            landing.begin_anew()?;
        }
        if let Some(wanted) = identity.wanted.filter(|wanted| *wanted >= RESERVE) {
            landing.file.reserve(wanted)?;
        }
        Ok(Begun { landing, have, crcs })
    }

    /// What an earlier run left and this one can use.
    fn left(&self, algorithm: Option<Algorithm>) -> Result<Ranges, Error> {
        let mut ranges = Ranges::new(algorithm);
        let (Some(journal), Some(wanted)) = (&self.journal, self.wanted) else {
            return Ok(ranges);
        };
        let found = journal.read()?;
        let len = self.file.len()?;
        let claimed = found.records.iter().map(|record| record.range.end).max();
        if len > wanted || claimed > Some(len) {
            return Ok(ranges);
        }
        for record in found.records {
            if found.same_boot || self.is_intact(&record, algorithm)? {
                ranges.insert(record.range, record.crc);
            }
        }
        Ok(ranges)
    }

    /// Whether the bytes on the disk have the checksum that the journal says.
    fn is_intact(&self, record: &Record, algorithm: Option<Algorithm>) -> Result<bool, Error> {
        let Some(algorithm) = algorithm else {
            return Ok(false);
        };
        Ok(self.checksum(algorithm, record.range.clone())? == Some(record.crc))
    }

    /// Reads what has been written; none where the file ends before the range.
    pub(crate) fn checksum(&self, algorithm: Algorithm, range: Range<u64>) -> Result<Option<u64>, Error> {
        let mut crc = Crc::new(algorithm);
        let mut buffer = vec![0; READ];
        while crc.len() < range.end - range.start {
            let at = range.start + crc.len();
            let len = usize::try_from(range.end - at).map_or(READ, |left| left.min(READ));
            let read = self.file.read_at(at, buffer.get_mut(..len).unwrap_or_default())?;
            if read == 0 {
                return Ok(None);
            }
            crc.update(buffer.get(..read).unwrap_or_default());
        }
        Ok(Some(crc.value()))
    }

    /// The journal goes first: one that outlived its file must never be read beside a new one.
    fn begin_anew(&self) -> Result<(), Error> {
        self.remove_journal()?;
        self.file.clear()
    }

    fn remove_journal(&self) -> Result<(), Error> {
        match &self.journal {
            Some(journal) => journal.remove(),
            None => self.file.remove_beside(JOURNAL),
        }
    }

    fn close_journal(&self) -> Result<(), Error> {
        self.journal.as_ref().map_or(Ok(()), Journal::close)
    }

    /// Writes `bytes` at `offset` of the file, which is not that of the object if a range of it is wanted.
    /// Whoever commits sees to it that nobody writes any more.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        // The kernel lets one writer at a time into a file, and those who wait for it burn their core.
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.write_at(offset, bytes)
    }

    /// Notes that all bytes of `range` have been written and had this checksum. Costs one small write; a few MiB at a
    /// time are right.
    pub(crate) fn written(&self, range: Range<u64>, crc: u64) -> Result<(), Error> {
        match &self.journal {
            Some(journal) if !range.is_empty() => journal.append(&Record { range, crc }),
            _ => Ok(()),
        }
    }

    /// Gives the file its time and its name; to be called once, when all has been written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disk`] if the file has not the wanted length, and the kinds of the disk.
    pub(crate) fn commit(&self, modified: Option<SystemTime>) -> Result<PathBuf, Error> {
        self.check_length()?;
        let path = self.file.commit(modified)?;
        self.ended.store(true, Ordering::Relaxed);
        // Of no use, and of no harm, without its file.
        let _ = self.close_journal();
        Ok(path)
    }

    fn check_length(&self) -> Result<(), Error> {
        let len = self.file.len()?;
        match self.wanted {
            Some(wanted) if wanted != len => {
                let path = self.file.partial_path().display();
                let message = format!("{path} has {len} bytes in place of {wanted}: run again");
                Err(Error::new(ErrorKind::Disk, message))
            }
            _ => Ok(()),
        }
    }

    /// Ends without a commit: what the next run can use stays; if it can use nothing, nothing stays.
    pub(crate) fn keep(&self) {
        if self.journal.as_ref().is_some_and(Journal::has_records) {
            self.ended.store(true, Ordering::Relaxed);
            return;
        }
        self.discard();
    }

    /// Ends without a commit and leaves nothing. What cannot be removed is cleared by the next run.
    pub(crate) fn discard(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            let _ = self.close_journal();
            let _ = self.file.remove();
        }
    }

    /// Where the bytes are now.
    pub(crate) fn temporary(&self) -> &Path {
        self.file.partial_path()
    }

    /// Where they will be.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::Relaxed) {
            self.keep();
        }
    }
}
