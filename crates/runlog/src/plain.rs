use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::LogError;
use crate::line::Line;
use crate::record::{BLOCK_BYTES, HEADER, MAX_RECORD_BYTES, OTHER_FORMAT, read_lines, time_of};

/// What a chunk in memory costs beside its bytes.
const CHUNK_BYTES: usize = 64;

/// A log as text: one that is written, or one whose writer was killed.
///
/// The file is appended to and never changed, so whoever has it open reads it to the end, also when it was compressed and removed.
pub(crate) struct Plain {
    path: PathBuf,
    file: File,
    index: Mutex<Index>,
}

/// Where lines are.
struct Index {
    /// Of each block; the last one is not over.
    blocks: Vec<Start>,
    /// Where the next line comes.
    end: Start,
    /// When the last line was read.
    at_ms: u64,
    recent: Recent,
}

/// Where a line begins, in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) line: u64,
    pub(crate) offset: u64,
}

/// The last lines in memory, shared by everybody who reads them.
struct Recent {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    max_bytes: usize,
}

/// Records that were written together.
#[derive(Clone)]
struct Chunk {
    first: u64,
    lines: u64,
    records: Bytes,
}

/// Records of a block.
pub(crate) struct Block {
    pub(crate) first: u64,
    pub(crate) lines: u64,
    pub(crate) records: Vec<u8>,
}

impl Plain {
    /// The log at `path`, new or gone on with, with `memory_bytes` for its last lines.
    pub(crate) fn begin(path: &Path, memory_bytes: usize) -> Result<Self, LogError> {
        let io = LogError::at(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(&io)?;
        let plain = Self::of(path, file, memory_bytes)?;
        let end = plain.index().end;
        // What the killed process was writing.
        plain.file.set_len(end.offset).map_err(&io)?;
        plain.file.write_all_at(HEADER, 0).map_err(&io)?;
        Ok(plain)
    }

    /// The log at `path`, to be read; none where there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, LogError> {
        match File::open(path) {
            Ok(file) => Self::of(path, file, 0).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::at(path)(error)),
        }
    }

    fn of(path: &Path, file: File, memory_bytes: usize) -> Result<Self, LogError> {
        let index = Index::read(path, &file, memory_bytes)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            index: Mutex::new(index),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next line comes.
    pub(crate) fn end(&self) -> Start {
        self.index().end
    }

    /// When the last line was read, in milliseconds since 1970.
    pub(crate) fn last_at_ms(&self) -> u64 {
        self.index().at_ms
    }

    /// Appends whole records, the last of which is of `at_ms`. Where they cannot be written, the log is as it was. Only one thread appends.
    pub(crate) fn append(&self, records: Vec<u8>, at_ms: u64) -> Result<(), LogError> {
        let offset = self.end().offset;
        let written = self.file.write_all_at(&records, offset);
        written.map_err(LogError::at(&self.path))?;
        self.index().extend(records, at_ms);
        Ok(())
    }

    /// Lines after number `after`, where the next one is in memory.
    pub(crate) fn recent(&self, after: u64) -> Option<Vec<Line>> {
        let chunks = self.index().recent.after(after)?;
        let mut lines = Vec::new();
        for chunk in chunks {
            read_lines(&chunk.records, chunk.first, after, &mut lines)?;
        }
        Some(lines)
    }

    /// The block with the line after number `after`; none where there is no such line.
    pub(crate) fn block(&self, after: u64) -> Result<Option<Block>, LogError> {
        let Some((start, end)) = self.index().block(after) else {
            return Ok(None);
        };
        // Less than a block and a record.
        let mut records = vec![0; (end.offset - start.offset) as usize];
        let read = self.file.read_exact_at(&mut records, start.offset);
        read.map_err(LogError::at(&self.path))?;
        Ok(Some(Block {
            first: start.line,
            lines: end.line - start.line,
            records,
        }))
    }
}

impl Index {
    /// What `file` holds, up to what a killed process was writing.
    fn read(path: &Path, file: &File, memory_bytes: usize) -> Result<Self, LogError> {
        let io = LogError::at(path);
        let mut reader = BufReader::with_capacity(BLOCK_BYTES as usize, file);
        reader.rewind().map_err(&io)?;
        let mut header = Vec::new();
        let head = reader.by_ref().take(HEADER.len() as u64).read_to_end(&mut header);
        head.map_err(&io)?;
        if !HEADER.starts_with(&header) {
            return Err(LogError::damaged(path, OTHER_FORMAT));
        }
        let mut index = Self::empty(memory_bytes);
        let mut record = Vec::new();
        loop {
            record.clear();
            let mut next = reader.by_ref().take(MAX_RECORD_BYTES as u64);
            next.read_until(b'\n', &mut record).map_err(&io)?;
            let Some(at_ms) = record.strip_suffix(b"\n").and_then(time_of) else {
                return Ok(index);
            };
            index.count(record.len() as u64);
            index.at_ms = index.at_ms.max(at_ms);
        }
    }

    fn empty(memory_bytes: usize) -> Self {
        let end = Start {
            line: 1,
            offset: HEADER.len() as u64,
        };
        Self {
            blocks: vec![end],
            end,
            at_ms: 0,
            recent: Recent {
                chunks: VecDeque::new(),
                bytes: 0,
                max_bytes: memory_bytes,
            },
        }
    }

    /// One more line.
    fn count(&mut self, bytes: u64) {
        let begun = self.blocks.last().map_or(0, |start| start.offset);
        if self.end.offset - begun >= BLOCK_BYTES {
            self.blocks.push(self.end);
        }
        self.end.line += 1;
        self.end.offset += bytes;
    }

    fn extend(&mut self, records: Vec<u8>, at_ms: u64) {
        let first = self.end.line;
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', &records) {
            self.count((end + 1 - from) as u64);
            from = end + 1;
        }
        self.at_ms = at_ms;
        self.recent.push(Chunk {
            first,
            lines: self.end.line - first,
            records: records.into(),
        });
    }

    /// From where to where the block with the line after number `after` is.
    fn block(&self, after: u64) -> Option<(Start, Start)> {
        if after + 1 >= self.end.line {
            return None;
        }
        let next = self.blocks.partition_point(|start| start.line <= after + 1);
        let start = self.blocks.get(next.checked_sub(1)?)?;
        Some((*start, self.blocks.get(next).copied().unwrap_or(self.end)))
    }
}

impl Recent {
    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.size();
        self.chunks.push_back(chunk);
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.size();
        }
    }

    /// A block's worth of what follows number `after`, where the line after it is here.
    fn after(&self, after: u64) -> Option<Vec<Chunk>> {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.first + chunk.lines <= after + 1);
        let next = self.chunks.get(at)?;
        if next.first > after + 1 {
            return None;
        }
        let mut room = BLOCK_BYTES as usize;
        let fits = |chunk: &&Chunk| {
            let fits = room > 0;
            room = room.saturating_sub(chunk.records.len());
            fits
        };
        Some(self.chunks.range(at..).take_while(fits).cloned().collect())
    }
}

impl Chunk {
    fn size(&self) -> usize {
        self.records.len() + CHUNK_BYTES
    }
}
