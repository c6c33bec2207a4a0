use crate::line::Stream;
use crate::mask::Mask;
use crate::record::prefix;
use crate::split::Raw;
use crate::text::{append, shorten, without_terminal_sequences};
use crate::writer::LogLimits;

/// What stands in the place of a secret.
const MASKED: &[u8] = b"****";
/// Ends a line that was longer.
const CUT: &[u8] = b" [cut here: the line is longer]";
/// Lines of Haul's own at most.
const MAX_OWN_LINES: u64 = 1_000;

/// Makes records of lines, as far as the limits allow.
pub(crate) struct Page {
    mask: Mask,
    max_line_bytes: usize,
    program: Room,
    own: Room,
    is_full: bool,
    records: Vec<u8>,
    lines: u64,
    /// Lines of the program that were not kept.
    pub(crate) dropped_lines: u64,
    full: String,
}

/// How much may still come.
struct Room {
    lines: u64,
    bytes: u64,
}

impl Room {
    /// Whether a line of so many bytes fits, which then takes its place.
    fn take(&mut self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        if self.lines == 0 || self.bytes < bytes {
            return false;
        }
        self.lines -= 1;
        self.bytes -= bytes;
        true
    }
}

impl Page {
    /// A page behind `lines` lines of `bytes` bytes, which count as the program's.
    pub(crate) fn new(mask: Mask, limits: &LogLimits, lines: u64, bytes: u64) -> Self {
        let full = format!(
            "the log is full, nothing more of the output is kept; its limits are {} lines and {} bytes",
            limits.max_lines, limits.max_bytes
        );
        Self {
            mask,
            max_line_bytes: limits.line_bytes(),
            program: Room {
                lines: limits.max_lines.saturating_sub(lines),
                bytes: limits.max_bytes.saturating_sub(bytes),
            },
            own: Room {
                lines: MAX_OWN_LINES,
                bytes: limits.max_bytes,
            },
            is_full: false,
            records: Vec::new(),
            lines: 0,
            dropped_lines: 0,
            full,
        }
    }

    /// Bytes of a line that must be seen to show what may be shown of it.
    pub(crate) fn needed_bytes(&self) -> usize {
        self.max_line_bytes + self.mask.longest()
    }

    /// Whether nothing more of the program is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The records since the last time, and how many.
    pub(crate) fn take(&mut self) -> (Vec<u8>, u64) {
        (std::mem::take(&mut self.records), std::mem::take(&mut self.lines))
    }

    /// A line of the program.
    pub(crate) fn add(&mut self, stream: Stream, raw: &Raw<'_>, at_ms: u64) {
        if self.is_full {
            self.dropped_lines += 1;
            return;
        }
        let (start, bytes) = self.begin(stream, raw, at_ms);
        if self.program.take(bytes) {
            return self.end();
        }
        self.records.truncate(start);
        self.is_full = true;
        self.dropped_lines += 1;
        self.records
            .extend_from_slice(prefix(at_ms, Stream::InternalErr).as_bytes());
        self.records.extend_from_slice(self.full.as_bytes());
        self.end();
    }

    /// A line of Haul's own.
    pub(crate) fn add_own(&mut self, stream: Stream, raw: &Raw<'_>, at_ms: u64) {
        let (start, bytes) = self.begin(stream, raw, at_ms);
        if self.own.take(bytes) {
            self.end();
        } else {
            self.records.truncate(start);
        }
    }

    /// Writes a record but for its end; returns where it begins, and the bytes of its text.
    fn begin(&mut self, stream: Stream, raw: &Raw<'_>, at_ms: u64) -> (usize, usize) {
        let start = self.records.len();
        self.records.extend_from_slice(prefix(at_ms, stream).as_bytes());
        let text_at = self.records.len();
        self.write_text(raw);
        (start, self.records.len() - text_at)
    }

    fn end(&mut self) {
        self.records.push(b'\n');
        self.lines += 1;
    }

    fn write_text(&mut self, raw: &Raw<'_>) {
        let bytes = without_terminal_sequences(raw.bytes);
        // A secret that begins near the end of what is seen of a longer line could not be found.
        let unsure = if raw.is_cut { self.mask.longest() } else { 0 };
        let visible = bytes.len().saturating_sub(unsure).min(self.max_line_bytes);
        let start = self.records.len();
        let mut shown = 0;
        for secret in self.mask.find(&bytes) {
            if secret.start >= visible {
                break;
            }
            append(&mut self.records, &bytes[shown..secret.start]);
            self.records.extend_from_slice(MASKED);
            shown = secret.end;
        }
        if shown < visible {
            append(&mut self.records, &bytes[shown..visible]);
        }
        let is_long = raw.is_cut || bytes.len() > visible;
        if shorten(&mut self.records, start, self.max_line_bytes) || is_long {
            self.records.extend_from_slice(CUT);
        }
    }
}
