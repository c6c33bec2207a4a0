//! Decoders into which bytes are pushed, with a bound on what comes out.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::decompress::Format;

/// The largest output of one step of Zstandard.
const STEP_BYTES: usize = 128 << 10;

/// One compressed stream.
pub(super) trait Inflate: Send {
    /// What comes out for `bytes`; none where it would be more than `room` bytes.
    ///
    /// # Errors
    ///
    /// Ends a sentence that begins with the data: "is damaged: ...".
    fn push(&mut self, bytes: &[u8], room: usize) -> Result<Option<Vec<u8>>, String>;

    /// What is left, which is little, after the last byte.
    ///
    /// # Errors
    ///
    /// As [`Inflate::push`]; also where the stream is cut short.
    fn finish(&mut self) -> Result<Vec<u8>, String>;
}

pub(super) fn new_inflate(format: Format) -> Box<dyn Inflate> {
    match format {
        Format::Gzip => Box::new(Gzip::new()),
        Format::Zstd => Box::new(Zstd::default()),
    }
}

struct Gzip {
    decoder: MultiGzDecoder<Bounded>,
    started: bool,
}

impl Gzip {
    fn new() -> Self {
        let decoder = MultiGzDecoder::new(Bounded::default());
        Self {
            decoder,
            started: false,
        }
    }
}

impl Inflate for Gzip {
    fn push(&mut self, bytes: &[u8], room: usize) -> Result<Option<Vec<u8>>, String> {
        self.started = true;
        self.decoder.get_mut().room = room;
        // The decoder hands on what a write has produced with the next one or with a flush.
        let result = self.decoder.write_all(bytes).and_then(|()| self.decoder.flush());
        let out = self.decoder.get_mut();
        match result {
            _ if out.overflowed => Ok(None),
            Ok(()) => Ok(Some(std::mem::take(&mut out.bytes))),
            Err(error) => Err(format!("is damaged: {error}")),
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        if !self.started {
            return Err("is empty".to_owned());
        }
        self.decoder.get_mut().room = STEP_BYTES;
        let result = self.decoder.try_finish();
        result.map_err(|error| format!("is cut short or damaged: {error}"))?;
        Ok(std::mem::take(&mut self.decoder.get_mut().bytes))
    }
}

/// A buffer that refuses what it has no room for.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    room: usize,
    overflowed: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            self.overflowed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Zstd {
    /// None before the first byte.
    decoder: Option<Decoder<'static>>,
    /// Whether the last frame has ended.
    is_whole: bool,
}

impl Inflate for Zstd {
    fn push(&mut self, bytes: &[u8], room: usize) -> Result<Option<Vec<u8>>, String> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new().map_err(|error| format!("cannot be read: {error}"))?),
        };
        let mut input = InBuffer::around(bytes);
        let mut out = Vec::new();
        let mut step = vec![0; STEP_BYTES];
        loop {
            let mut output = OutBuffer::around(step.as_mut_slice());
            let remaining = decoder.run(&mut input, &mut output);
            let remaining = remaining.map_err(|error| format!("is damaged: {error}"))?;
            self.is_whole = remaining == 0;
            let written = output.as_slice();
            if out.len() + written.len() > room {
                return Ok(None);
            }
            out.extend_from_slice(written);
            let may_hold_more = written.len() == STEP_BYTES && !self.is_whole;
            if input.pos() == bytes.len() && !may_hold_more {
                return Ok(Some(out));
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, String> {
        match (&self.decoder, self.is_whole) {
            (None, _) => Err("is empty".to_owned()),
            (Some(_), false) => Err("is cut short".to_owned()),
            (Some(_), true) => Ok(Vec::new()),
        }
    }
}
