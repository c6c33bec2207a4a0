//! Reading the files of a log, which all have the same form: a header, then frames.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, checksum};

use crate::change::Revision;
use crate::store::StoreError;
use crate::store::log::folder::failed;
use crate::store::record::{self, Frame, HEAD_BYTES, Head};

/// Magic, version, checksum of the rest, revision.
pub(super) const HEADER_BYTES: u64 = 24;

/// The magic of segments.
pub(super) const SEGMENT: [u8; 8] = *b"pkgi-log";
/// The magic of snapshots.
pub(super) const SNAPSHOT: [u8; 8] = *b"pkgisnap";

const VERSION: u32 = 1;

/// What a file begins with.
pub(super) fn header(magic: [u8; 8], revision: Revision) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&magic);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[16..].copy_from_slice(&revision.0.to_le_bytes());
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &header);
    header[12..16].copy_from_slice(&sum.to_le_bytes()[..4]);
    header
}

/// The frames of one file, in order.
pub(super) struct Frames {
    file: BufReader<File>,
    path: PathBuf,
    offset: u64,
    end: u64,
}

impl Frames {
    /// Opens a file and looks at its header.
    pub(super) fn open(path: &Path, magic: [u8; 8], revision: Revision) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(failed("open", path))?;
        let end = file.metadata().map_err(failed("look at", path))?.len();
        let mut frames = Self {
            file: BufReader::with_capacity(1 << 16, file),
            path: path.to_owned(),
            offset: 0,
            end,
        };
        if frames.array()? != Some(header(magic, revision)) {
            return Err(frames.damaged("does not begin as a file of this name and version must"));
        }
        Ok(frames)
    }

    /// The next frame; `None` where no whole frame stands, be it the end or not.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, StoreError> {
        let start = self.offset;
        let frame = self.try_next()?;
        if frame.is_none() {
            self.seek(start)?;
        }
        Ok(frame)
    }

    fn try_next(&mut self) -> Result<Option<Frame>, StoreError> {
        let Some(head) = self.array::<HEAD_BYTES>()?.map(Head::parse) else {
            return Ok(None);
        };
        let Some(length) = head.body_bytes().filter(|&length| length as u64 <= self.left()) else {
            return Ok(None);
        };
        let mut body = vec![0; length];
        self.read_exact(&mut body)?;
        Ok(head.matches(&body).then(|| record::decode(body.into())).flatten())
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// How long the file is.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Everything from here on, without the zeros at the end.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>, StoreError> {
        let written = self.last_written()?;
        let mut rest = vec![0; usize::try_from(written - self.offset).unwrap_or(usize::MAX)];
        let start = self.offset;
        self.read_exact(&mut rest)?;
        self.seek(start)?;
        Ok(rest)
    }

    /// Behind the last byte that is not zero.
    fn last_written(&mut self) -> Result<u64, StoreError> {
        let start = self.offset;
        let mut written = start;
        let mut piece = vec![0; 1 << 16];
        while self.left() > 0 {
            let length = piece
                .len()
                .min(usize::try_from(self.left()).unwrap_or(usize::MAX));
            let begins = self.offset;
            self.read_exact(&mut piece[..length])?;
            if let Some(last) = piece[..length].iter().rposition(|&byte| byte != 0) {
                written = begins + last as u64 + 1;
            }
        }
        self.seek(start)?;
        Ok(written)
    }

    pub(super) fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged(format!(
            "{} {what}, at byte {}; run `haul pkgindex check` to see all that is damaged, then bring the folder back from a copy",
            self.path.display(),
            self.offset
        ))
    }

    fn left(&self) -> u64 {
        self.end - self.offset
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, StoreError> {
        if self.left() < N as u64 {
            return Ok(None);
        }
        let mut array = [0; N];
        self.read_exact(&mut array)?;
        Ok(Some(array))
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.file.read_exact(bytes).map_err(failed("read", &self.path))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        let sought: io::Result<u64> = self.file.seek(SeekFrom::Start(offset));
        sought.map_err(failed("read", &self.path))?;
        self.offset = offset;
        Ok(())
    }
}
