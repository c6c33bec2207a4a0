use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::error::LogError;
use crate::line::Stream;
use crate::log::{Extent, Log};
use crate::logs::Logs;
use crate::mask::Mask;
use crate::page::Page;
use crate::plain::Plain;
use crate::record::MAX_LINE_BYTES;
use crate::split::Splitter;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Lines of the program; after them one line says that there were more. Haul's own lines are always kept (1,000 of them).
    pub max_lines: u64,
    /// Bytes of text of the program.
    pub max_bytes: u64,
    /// Bytes of one line, 1 MiB at most; the rest is cut, with a mark.
    pub max_line_bytes: usize,
    /// Bytes of lines kept in memory for live readers; older ones they read from the file.
    pub memory_bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_lines: 10_000,
            max_bytes: 10 << 20,
            max_line_bytes: 16 << 10,
            memory_bytes: 1 << 20,
        }
    }
}

impl LogLimits {
    pub(crate) fn line_bytes(&self) -> usize {
        self.max_line_bytes.min(MAX_LINE_BYTES)
    }
}

/// What a log came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that were kept, also before this process went on with the log.
    pub lines: u64,
    /// Bytes of the log before it was compressed.
    pub bytes: u64,
    /// Lines of the program that were not kept.
    pub dropped_lines: u64,
}

/// Writes a log. Several threads may share it; each stream must come from one of them.
///
/// One that is dropped instead of finished leaves a log that is over and not compressed.
pub struct Writer {
    logs: Logs,
    name: String,
    plain: Arc<Plain>,
    extent: watch::Sender<Extent>,
    pen: Mutex<Pen>,
}

struct Pen {
    page: Page,
    /// What the program writes, by stream.
    streams: [(Stream, Splitter); 4],
    at_ms: u64,
}

impl Writer {
    pub(crate) fn new(logs: Logs, name: &str, plain: Arc<Plain>, limits: LogLimits, mask: Mask) -> Self {
        let end = plain.end();
        let extent = Extent {
            lines: end.line - 1,
            is_over: false,
        };
        let page = Page::new(mask, &limits, extent.lines, end.offset);
        let streams = [
            Stream::Stdout,
            Stream::Stderr,
            Stream::InternalOut,
            Stream::InternalErr,
        ];
        let pen = Pen {
            streams: streams.map(|stream| (stream, Splitter::new(page.needed_bytes()))),
            page,
            at_ms: plain.last_at_ms(),
        };
        Self {
            logs,
            name: name.to_owned(),
            plain,
            extent: watch::Sender::new(extent),
            pen: Mutex::new(pen),
        }
    }

    /// The log, to be read.
    pub fn log(&self) -> Log {
        Log::live(Arc::clone(&self.plain), self.extent.subscribe())
    }

    /// Takes a piece of what the program wrote; it may end in the middle of a line. What it costs is one write to the file, without a sync.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. The lines of this piece are lost then; later ones are tried again.
    pub fn write(&self, stream: Stream, piece: &[u8], at: SystemTime) -> Result<(), LogError> {
        let mut pen = self.pen();
        pen.turn_to(at);
        pen.write(stream, piece);
        self.commit(&mut pen)
    }

    /// Says something of Haul's own; each line of `text` is one.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn say(&self, stream: Stream, text: &str, at: SystemTime) -> Result<(), LogError> {
        let mut pen = self.pen();
        pen.turn_to(at);
        pen.say(stream, text);
        self.commit(&mut pen)
    }

    /// Nothing more comes: unfinished lines are ended, followers see the end, the file is compressed.
    ///
    /// # Errors
    ///
    /// When a file cannot be written. The log can be read all the same, and [`Logs::file`] tries again to compress it.
    pub fn finish(self, at: SystemTime) -> Result<Summary, LogError> {
        let mut pen = self.pen();
        pen.turn_to(at);
        pen.finish();
        let written = self.commit(&mut pen);
        self.end();
        self.logs.pack(&self.name, &self.plain)?;
        written?;
        let end = self.plain.end();
        Ok(Summary {
            lines: end.line - 1,
            bytes: end.offset,
            dropped_lines: pen.page.dropped_lines,
        })
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is on the page and tells the followers, once.
    fn commit(&self, pen: &mut Pen) -> Result<(), LogError> {
        let (records, lines) = pen.page.take();
        if lines == 0 {
            return Ok(());
        }
        if let Err(error) = self.plain.append(records, pen.at_ms) {
            pen.page.dropped_lines += lines;
            return Err(error);
        }
        self.extent.send_modify(|extent| extent.lines += lines);
        Ok(())
    }

    fn end(&self) {
        self.extent.send_modify(|extent| extent.is_over = true);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
        self.logs.close(&self.name);
    }
}

impl Pen {
    /// Clocks go back; logs do not.
    fn turn_to(&mut self, at: SystemTime) {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.at_ms = self.at_ms.max(at_ms);
    }

    fn write(&mut self, stream: Stream, piece: &[u8]) {
        let (page, at_ms) = (&mut self.page, self.at_ms);
        for (_, splitter) in self.streams.iter_mut().filter(|(own, _)| *own == stream) {
            if page.is_full() {
                page.dropped_lines += splitter.skip(piece);
            } else {
                splitter.feed(piece, |raw| page.add(stream, &raw, at_ms));
            }
        }
    }

    fn say(&mut self, stream: Stream, text: &str) {
        let (page, at_ms) = (&mut self.page, self.at_ms);
        let mut splitter = Splitter::new(page.needed_bytes());
        splitter.feed(text.as_bytes(), |raw| page.add_own(stream, &raw, at_ms));
        splitter.finish(|raw| page.add_own(stream, &raw, at_ms));
    }

    fn finish(&mut self) {
        for (stream, splitter) in &mut self.streams {
            let (page, at_ms) = (&mut self.page, self.at_ms);
            let lost = splitter.finish(|raw| page.add(*stream, &raw, at_ms));
            self.page.dropped_lines += lost;
        }
    }
}
