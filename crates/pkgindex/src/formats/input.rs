use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::formats::{Fault, FormatError, MAX_FIELD_BYTES};

/// The first byte of gzip, which no text begins with.
const GZIP: u8 = 0x1f;

/// The lines of an input, one at a time.
pub(super) struct Lines<'i> {
    input: Box<dyn BufRead + 'i>,
    line: Vec<u8>,
    number: u64,
    max_bytes: usize,
}

impl<'i> Lines<'i> {
    pub(super) fn new(mut input: impl BufRead + 'i) -> Result<Self, FormatError> {
        let is_gzip = match input.fill_buf() {
            Ok(start) => start.first() == Some(&GZIP),
            Err(source) => return Err(FormatError::Io { line: 0, source }),
        };
        let input: Box<dyn BufRead + 'i> = if is_gzip {
            Box::new(BufReader::new(MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Ok(Self {
            input,
            line: Vec::new(),
            number: 0,
            max_bytes: MAX_FIELD_BYTES,
        })
    }

    /// Takes lines of up to `max_bytes` from now on, instead of [`MAX_FIELD_BYTES`].
    pub(super) fn allow(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
    }

    /// How many lines were read, and so the number of the last one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line, with its newline; the last one may have none. `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, FormatError> {
        self.line.clear();
        let read = self.read();
        read.map_err(|source| FormatError::Io {
            line: self.number,
            source,
        })?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if self.line.len() > self.max_bytes {
            return Err(Fault::at(self.number)(Fault::TooLong(self.max_bytes)));
        }
        Ok(Some(&self.line))
    }

    fn read(&mut self) -> io::Result<usize> {
        let limit = self.max_bytes as u64 + 1;
        self.input.by_ref().take(limit).read_until(b'\n', &mut self.line)
    }
}

/// The line without its newline.
pub(super) fn without_newline(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}
