use std::ffi::OsString;
use std::io::Read as _;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::disk;
use super::names::{JOURNAL, beside};
use super::temporary::Temporary;
use crate::error::Error;

/// The beginning of every journal; its number is the version of the format.
const MAGIC: &[u8; 16] = b"haul journal 1\r\n";

/// Magic, boot, identity, CRC-32 of the three.
const HEADER: usize = 16 + 32 + 32 + 4;

/// Start, end, checksum, each in 8 bytes, little-endian, and the CRC-32 of the three.
const RECORD: usize = 8 + 8 + 8 + 4;

/// A longer journal is read up to here; what it says beyond is fetched again. A million ranges.
const MAX_BYTES: u64 = (HEADER + RECORD * 1_000_000) as u64;

/// What tells one boot of one machine from all others; what was written before another one may not be on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boot([u8; 32]);

impl Boot {
    /// The kernel's random name for this boot. Where there is none, no two are the same.
    pub(super) fn current() -> Self {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or(Self([0; 32]), |id| Self::named(&id))
    }

    pub(super) fn named(id: &str) -> Self {
        Self(Sha256::digest(id).into())
    }

    fn is_known(&self) -> bool {
        self.0 != [0; 32]
    }
}

/// A range that has been written and its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) range: Range<u64>,
    pub(super) crc: u64,
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether it was begun in this boot, so that the page cache holds all that was written.
    pub(super) same_boot: bool,
    pub(super) records: Vec<Record>,
}

/// The journal of a partial file; it is made with its first record.
#[derive(Debug)]
pub(super) struct Journal {
    folder: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
    boot: Boot,
    identity: [u8; 32],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<OwnedFd>,
    /// So many bytes of what is there are sound and about this file.
    len: usize,
    /// Whoever still writes is too late: the name may be another file's journal by now.
    is_closed: bool,
}

impl Journal {
    pub(super) fn beside(file: &Temporary, identity: [u8; 32], boot: &Boot) -> Self {
        let name = beside(file.name(), JOURNAL);
        Self {
            folder: file.folder().clone(),
            path: file.path().with_file_name(&name),
            name,
            boot: boot.clone(),
            identity,
            state: Mutex::default(),
        }
    }

    /// What is there of this identity; a torn end is passed over, and later records go in its place.
    pub(super) fn read(&self) -> Result<Found, Error> {
        let bytes = self.bytes().map_err(|errno| self.error("read", errno))?;
        let Some((header, rest)) = bytes.split_at_checked(HEADER) else {
            return Ok(Found::default());
        };
        let Some(boot) = self.boot_of(header) else {
            return Ok(Found::default());
        };
        let records: Vec<_> = rest.chunks(RECORD).map_while(Record::decode).collect();
        self.state().len = HEADER + RECORD * records.len();
        Ok(Found {
            same_boot: self.boot.is_known() && boot == self.boot,
            records,
        })
    }

    fn bytes(&self) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.folder, &self.name, flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))?;
        Ok(bytes)
    }

    /// The boot that a header names, if it is about this file.
    fn boot_of(&self, header: &[u8]) -> Option<Boot> {
        let (magic, rest) = header.split_first_chunk::<16>()?;
        let (boot, _) = rest.split_first_chunk::<32>()?;
        let boot = Boot(*boot);
        let is_ours = magic == MAGIC && header == self.header(&boot);
        is_ours.then_some(boot)
    }

    fn header(&self, boot: &Boot) -> Vec<u8> {
        sealed([MAGIC.as_slice(), &boot.0, &self.identity].concat())
    }

    /// Adds a record, after the last sound one.
    pub(super) fn append(&self, record: &Record) -> Result<(), Error> {
        let mut state = self.state();
        if state.is_closed {
            return Ok(());
        }
        let write = |state: &mut State| {
            let at = state.len as u64;
            let file = match &state.file {
                Some(file) => file,
                None => state.file.insert(self.open(at)?),
            };
            let bytes = match at {
                0 => [self.header(&self.boot), record.encode()].concat(),
                _ => record.encode(),
            };
            disk::write_all_at(file, &bytes, at)?;
            state.len += bytes.len();
            Ok(())
        };
        write(&mut state).map_err(|errno| self.error("write", errno))
    }

    fn open(&self, len: u64) -> Result<OwnedFd, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.folder, &self.name, flags, Mode::from_raw_mode(0o666))?;
        rustix::fs::ftruncate(&file, len)?;
        Ok(file)
    }

    /// Whether a later run finds something.
    pub(super) fn has_records(&self) -> bool {
        self.state().len > HEADER
    }

    /// Removes it; the next record begins a new one.
    pub(super) fn remove(&self) -> Result<(), Error> {
        *self.state() = State::default();
        disk::remove(&self.folder, &self.name).map_err(|errno| self.error("remove", errno))
    }

    /// Removes it and takes no more records.
    pub(super) fn close(&self) -> Result<(), Error> {
        let mut state = self.state();
        *state = State {
            is_closed: true,
            ..State::default()
        };
        disk::remove(&self.folder, &self.name).map_err(|errno| self.error("remove", errno))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, doing: &str, errno: Errno) -> Error {
        disk::error(doing, &self.path, errno)
    }
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let numbers = [self.range.start, self.range.end, self.crc];
        sealed(numbers.map(u64::to_le_bytes).concat())
    }

    /// None for a torn record and for one that makes no sense.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (start, rest) = bytes.split_first_chunk::<8>()?;
        let (end, rest) = rest.split_first_chunk::<8>()?;
        let (crc, _) = rest.split_first_chunk::<8>()?;
        let record = Self {
            range: u64::from_le_bytes(*start)..u64::from_le_bytes(*end),
            crc: u64::from_le_bytes(*crc),
        };
        let is_sound = !record.range.is_empty() && record.encode() == bytes;
        is_sound.then_some(record)
    }
}

/// The bytes and their CRC-32.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &bytes);
    bytes.extend(crc.to_le_bytes().iter().take(4));
    bytes
}
