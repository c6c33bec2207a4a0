//! How the lines of a run that is over lie in a file.
//!
//! The text of the log as Zstandard frames, one a block, and behind them a skippable frame (RFC 8878, 3.1.2) that says where they are, so `zstd -dc` shows
//! the log and the last lines can be read alone. In that frame, little-endian: for each block its compressed bytes, its bytes and its lines (4 each);
//! then the number of blocks (4) and `haul-log` (8). The first block is the line that names the format, alone.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::LogError;
use crate::plain::{Block, Plain};
use crate::record::{BLOCK_BYTES, HEADER, MAX_RECORD_BYTES, OTHER_FORMAT};

const SKIPPABLE: u32 = 0x184D_2A50;
const MAGIC: &[u8; 8] = b"haul-log";
const ENTRY_BYTES: usize = 12;
const FOOTER_BYTES: usize = 12;
/// Zstandard's own default.
const LEVEL: i32 = 3;
/// Blocks of one log at most: with those of ordinary size, 128 GiB of text.
const MAX_BLOCKS: usize = 1 << 20;
/// Bytes of one block at most.
const MAX_BLOCK_BYTES: u64 = BLOCK_BYTES + MAX_RECORD_BYTES as u64;

/// A log that is over and compressed.
pub(crate) struct Packed {
    path: PathBuf,
    file: File,
    frames: Vec<Frame>,
    lines: u64,
}

struct Frame {
    /// Number of its first line.
    first: u64,
    lines: u64,
    offset: u64,
    compressed: usize,
    bytes: usize,
}

/// Writes the lines of `plain` to `path`.
pub(crate) fn pack(plain: &Plain, path: &Path) -> Result<(), LogError> {
    let io = LogError::at(path);
    let mut file = BufWriter::new(File::create(path).map_err(&io)?);
    let mut entries = Vec::new();
    let mut add = |bytes: &[u8], lines: u64| {
        let compressed = zstd::bulk::compress(bytes, LEVEL)?;
        for number in [compressed.len() as u64, bytes.len() as u64, lines] {
            // All of them are below what a block may have.
            entries.extend_from_slice(&(number as u32).to_le_bytes());
        }
        file.write_all(&compressed)
    };
    add(HEADER, 0).map_err(&io)?;
    let mut after = 0;
    while let Some(block) = plain.block(after)? {
        add(&block.records, block.lines).map_err(&io)?;
        after += block.lines;
    }
    file.write_all(&table(&entries)).map_err(&io)?;
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(&io)
}

fn table(entries: &[u8]) -> Vec<u8> {
    let count = (entries.len() / ENTRY_BYTES) as u32;
    let size = (entries.len() + FOOTER_BYTES) as u32;
    [
        &SKIPPABLE.to_le_bytes(),
        &size.to_le_bytes(),
        entries,
        &count.to_le_bytes(),
        MAGIC.as_slice(),
    ]
    .concat()
}

impl Packed {
    /// The log at `path`; none where there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, LogError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::at(path)(error)),
        };
        let damaged = || LogError::damaged(path, "its table of blocks is not whole");
        let entries = read_table(&file)
            .map_err(LogError::at(path))?
            .ok_or_else(damaged)?;
        let (frames, end) = frames(&entries).ok_or_else(damaged)?;
        let size = file.metadata().map_err(LogError::at(path))?.len();
        if end + (8 + entries.len() + FOOTER_BYTES) as u64 != size {
            return Err(damaged());
        }
        let packed = Self {
            path: path.to_owned(),
            lines: frames.iter().map(|frame| frame.lines).sum(),
            file,
            frames,
        };
        packed.check_format()?;
        Ok(Some(packed))
    }

    fn check_format(&self) -> Result<(), LogError> {
        let header = self.frames.first().map(|frame| self.unpack(frame)).transpose()?;
        if header.is_some_and(|block| block.records == HEADER) {
            return Ok(());
        }
        Err(LogError::damaged(&self.path, OTHER_FORMAT))
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The block with the line after number `after`; none where there is no such line.
    pub(crate) fn block(&self, after: u64) -> Result<Option<Block>, LogError> {
        if after >= self.lines {
            return Ok(None);
        }
        let next = self.frames.partition_point(|frame| frame.first <= after + 1);
        let frame = next.checked_sub(1).and_then(|at| self.frames.get(at));
        frame.map(|frame| self.unpack(frame)).transpose()
    }

    fn unpack(&self, frame: &Frame) -> Result<Block, LogError> {
        let mut compressed = vec![0; frame.compressed];
        let read = self.file.read_exact_at(&mut compressed, frame.offset);
        read.map_err(LogError::at(&self.path))?;
        let records = zstd::bulk::decompress(&compressed, frame.bytes).ok();
        let records =
            records.ok_or_else(|| LogError::damaged(&self.path, "a block cannot be decompressed"))?;
        Ok(Block {
            first: frame.first,
            lines: frame.lines,
            records,
        })
    }

    /// Writes the log to `path` as it was before it was compressed.
    pub(crate) fn unpack_to(&self, path: &Path) -> Result<(), LogError> {
        let io = LogError::at(path);
        let mut file = File::create(path).map_err(&io)?;
        for frame in &self.frames {
            file.write_all(&self.unpack(frame)?.records).map_err(&io)?;
        }
        file.sync_all().map_err(&io)
    }
}

/// The entries of the table; none where the file has none.
fn read_table(file: &File) -> std::io::Result<Option<Vec<u8>>> {
    let size = file.metadata()?.len();
    let Some(footer_at) = size.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact_at(&mut footer, footer_at)?;
    let Some(count) = block_count(footer) else {
        return Ok(None);
    };
    let mut entries = vec![0; count * ENTRY_BYTES];
    let Some(at) = footer_at.checked_sub(entries.len() as u64) else {
        return Ok(None);
    };
    file.read_exact_at(&mut entries, at)?;
    Ok(Some(entries))
}

fn block_count(footer: [u8; FOOTER_BYTES]) -> Option<usize> {
    let (count, magic) = footer.split_first_chunk()?;
    let count = u32::from_le_bytes(*count) as usize;
    (magic == MAGIC && count <= MAX_BLOCKS).then_some(count)
}

/// The frames that the entries tell of, and where they end; none where they cannot be.
fn frames(entries: &[u8]) -> Option<(Vec<Frame>, u64)> {
    let (mut first, mut offset) = (1, 0);
    let mut frames = Vec::with_capacity(entries.len() / ENTRY_BYTES);
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let number = |at: usize| entry[at..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let (compressed, bytes, lines) = (number(0)?, number(4)?, number(8)?);
        let is_possible = u64::from(bytes) <= MAX_BLOCK_BYTES && compressed <= 2 * MAX_BLOCK_BYTES as u32;
        if !is_possible {
            return None;
        }
        frames.push(Frame {
            first,
            lines: lines.into(),
            offset,
            compressed: compressed as usize,
            bytes: bytes as usize,
        });
        first += u64::from(lines);
        offset += u64::from(compressed);
    }
    Some((frames, offset))
}
