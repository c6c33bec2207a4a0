use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use super::Run;
use super::file::File;
use super::span::{Span, Stop};
use crate::answer::{Failure, Remedy};
use crate::buffers::{Buffer, PIECE_BYTES, WHOLE_BYTES, cost_of};
use crate::checksum::{Crc, Ranges};
use crate::entry::{Algorithm, FileMeta};
use crate::error::{Error, ErrorKind};
use crate::landing::Landing;
use crate::wire::Connection;

/// After so many bytes the journal is told; what comes again after a crash is less than this for each connection.
const RECORD_BYTES: u64 = 8 << 20;
/// A reader that waits gets pieces that are not full from this size on; less when nothing comes for a moment.
const EARLY_BYTES: usize = 64 << 10;

/// Something that bytes of an object come from.
pub(super) trait Body {
    /// Reads bytes of the object from `position` on; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, position: u64, room: &mut [u8]) -> Poll<io::Result<usize>>;
}

impl Body for Connection {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        _position: u64,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_body(cx, room)
    }
}

/// What a read brought.
enum Read {
    Bytes(usize),
    /// What has come should be sent on.
    Nudge,
    /// All bytes of the span are there.
    Complete,
    /// The body ended first.
    Short,
    Stopped,
}

/// How a span's bytes ended.
pub(super) enum Received {
    /// All of them came.
    All,
    /// The body of an object of unknown size came to its end.
    End,
    Stopped,
}

/// Takes the bytes of one span: checks, writes, delivers and counts them.
pub(super) struct Receiver<'a> {
    run: &'a Arc<Run>,
    span: &'a Span,
    file: &'a Arc<File>,
    meta: Arc<FileMeta>,
    landing: Option<Arc<Landing>>,
    is_streamed: bool,
    algorithm: Option<Algorithm>,
    crc: Option<Crc>,
    /// Bytes from here on are not yet recorded.
    recorded: u64,
    /// Where the buffer's first byte lies.
    base: u64,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(run: &'a Arc<Run>, span: &'a Span) -> Self {
        let file = &span.job.file;
        let base = span.state().position;
        let state = file.state();
        let meta = Arc::clone(&state.meta);
        let algorithm = state.crcs.as_ref().and_then(Ranges::algorithm);
        Self {
            run,
            span,
            file,
            landing: state.landing.clone(),
            is_streamed: file.is_streamed(),
            crc: algorithm.map(Crc::new),
            algorithm,
            meta,
            recorded: base,
            base,
        }
    }

    /// Receives piece by piece. Whatever ends it, the bytes that came are used.
    pub(super) async fn parts(mut self, body: &mut impl Body) -> Result<Received, Failure> {
        let mut buffer = self.run.engine.buffers.take(PIECE_BYTES);
        let mut filled = 0;
        loop {
            if filled == 0 {
                self.share().await;
            }
            let room = buffer.as_mut().get_mut(filled..).unwrap_or_default();
            let read = self.read(body, room, filled).await;
            if let Ok(Read::Bytes(length)) = &read {
                filled += length;
                self.run.pace(self.span, *length).await;
                if filled < PIECE_BYTES && !(filled >= EARLY_BYTES && self.reader_waits()) {
                    continue;
                }
            }
            self.span.is_busy();
            if filled > 0 {
                buffer = self.flush(buffer, filled)?;
                filled = 0;
                // A body that never has to be waited for must not keep a thread to itself.
                tokio::task::coop::consume_budget().await;
            }
            match read {
                Ok(Read::Bytes(_) | Read::Nudge) => self.record_some().await?,
                Ok(Read::Complete) => return self.record().await.map(|()| Received::All),
                Ok(Read::Short) => return self.short().await,
                Ok(Read::Stopped) => return self.record().await.map(|()| Received::Stopped),
                Err(error) => {
                    self.record().await?;
                    return Err(Failure::of_io(&self.meta.location, error));
                }
            }
            self.span.await_bytes();
        }
    }

    /// An answer without an end that is known waits here until the budget has a share for it.
    async fn share(&self) {
        let is_open = self.is_streamed && self.span.state().is_open;
        if !is_open || self.span.granted() >= PIECE_BYTES as u64 || self.run.queue().extend(self.span) {
            return;
        }
        self.span.is_busy();
        self.run.queue().park(true);
        self.run.dispatch();
        while !self.unpark() {
            self.span.changed().await;
        }
        self.span.await_bytes();
    }

    /// Whether waiting for a share is over.
    fn unpark(&self) -> bool {
        let mut queue = self.run.queue();
        let is_over = self.span.is_stopped() || queue.extend(self.span);
        if is_over {
            queue.park(false);
        }
        is_over
    }

    /// The body ended early; that is an end only where nobody said how long the object is.
    async fn short(&mut self) -> Result<Received, Failure> {
        self.record().await?;
        match self.meta.size {
            None => Ok(Received::End),
            Some(_) => Err(Failure::of_io(
                &self.meta.location,
                io::ErrorKind::UnexpectedEof.into(),
            )),
        }
    }

    /// Receives a whole small file; none where the span was stopped.
    pub(super) async fn whole(self, body: &mut impl Body) -> Result<Option<(Buffer, usize)>, Failure> {
        let range = &self.span.job.range;
        let length = usize::try_from(range.end - range.start)
            .unwrap_or(WHOLE_BYTES)
            .min(WHOLE_BYTES);
        let mut buffer = self.run.engine.buffers.take(length);
        let mut filled = 0;
        loop {
            let room = buffer.as_mut().get_mut(filled..length).unwrap_or_default();
            match self.read(body, room, 0).await {
                Ok(Read::Bytes(read)) => {
                    filled += read;
                    self.run.pace(self.span, read).await;
                }
                Ok(Read::Nudge) => {}
                Ok(Read::Complete) => return Ok(Some((buffer, length))),
                Ok(Read::Stopped) => return Ok(None),
                Ok(Read::Short) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into(), filled)),
                Err(error) => return Err(self.lost(error, filled)),
            }
        }
    }

    /// A part of a small file is of no use.
    fn lost(&self, error: io::Error, filled: usize) -> Failure {
        self.run.counters.wasted.add(filled as u64);
        Failure::of_io(&self.meta.location, error)
    }

    async fn read(&self, body: &mut impl Body, room: &mut [u8], filled: usize) -> io::Result<Read> {
        loop {
            let mut changed = pin!(self.span.changed());
            let read = std::future::poll_fn(|cx| {
                if self.span.is_stopped() {
                    return Poll::Ready(Ok(Some(Read::Stopped)));
                }
                if let Poll::Ready(read) = self.poll_span(cx, body, room) {
                    return Poll::Ready(read.map(Some));
                }
                if filled > 0 && self.span.take_nudge() {
                    return Poll::Ready(Ok(Some(Read::Nudge)));
                }
                changed.as_mut().poll(cx).map(|()| Ok(None))
            });
            if let Some(read) = read.await? {
                return Ok(read);
            }
        }
    }

    /// One read, of bytes that are still this span's; others may take its end away only between two reads.
    fn poll_span(
        &self,
        cx: &mut Context<'_>,
        body: &mut impl Body,
        room: &mut [u8],
    ) -> Poll<io::Result<Read>> {
        let mut state = self.span.state();
        let remaining = state.end.saturating_sub(state.position);
        if remaining == 0 {
            return Poll::Ready(Ok(Read::Complete));
        }
        let most = usize::try_from(remaining).unwrap_or(usize::MAX).min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        body.poll_read(cx, state.position, room).map_ok(|read| {
            state.position += read as u64;
            state.waits_since = Some(Instant::now());
            match read {
                0 => Read::Short,
                read => Read::Bytes(read),
            }
        })
    }

    fn reader_waits(&self) -> bool {
        if !self.is_streamed {
            return false;
        }
        let state = self.file.state();
        state.reader.is_some() && state.position == self.base
    }

    /// Uses the first `filled` bytes of the buffer and gives back one to go on with.
    fn flush(&mut self, buffer: Buffer, filled: usize) -> Result<Buffer, Failure> {
        let bytes = buffer.filled(filled);
        self.run.hooks.bytes(&self.meta, self.base, bytes)?;
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        if let Some(landing) = &self.landing {
            landing.write_at(self.base - self.meta.range.start, bytes)?;
        }
        self.run.counters.bytes.add(filled as u64);
        let offset = self.base;
        self.base += filled as u64;
        if !self.is_streamed {
            return Ok(buffer);
        }
        // A small piece must not keep a large buffer from others.
        if filled < PIECE_BYTES / 4 {
            let piece = Bytes::copy_from_slice(bytes);
            self.deliver(offset, piece);
            return Ok(buffer);
        }
        self.deliver(offset, buffer.freeze(filled));
        Ok(self.run.engine.buffers.take(PIECE_BYTES))
    }

    fn deliver(&self, offset: u64, piece: Bytes) {
        let mut state = self.file.state();
        if state.generation != self.span.job.generation || state.has_ended() {
            return;
        }
        let is_first = offset == state.meta.range.start;
        let cost = piece.len() as u64;
        self.span.spend(cost);
        state.deliver(offset, piece, cost);
        drop(state);
        if is_first {
            self.run.progress().wake();
        }
    }

    async fn record_some(&mut self) -> Result<(), Failure> {
        match self.base - self.recorded >= RECORD_BYTES {
            true => self.record().await,
            false => Ok(()),
        }
    }

    /// Notes what has come since the last time, in the journal and in the file; the last note finishes the file.
    async fn record(&mut self) -> Result<(), Failure> {
        if self.base == self.recorded {
            return Ok(());
        }
        let first = self.meta.range.start;
        let range = self.recorded - first..self.base - first;
        let crc = std::mem::replace(&mut self.crc, self.algorithm.map(Crc::new)).map_or(0, |crc| crc.value());
        if let Some(landing) = &self.landing {
            landing.written(range.clone(), crc)?;
        }
        self.recorded = self.base;
        if self
            .run
            .note_arrival(self.file, self.span.job.generation, range, crc)
        {
            self.run.finish(self.file, None).await;
        }
        Ok(())
    }
}

impl Run {
    /// Bytes have come and are where they belong; true where they were the last.
    fn note_arrival(&self, file: &File, generation: u32, range: std::ops::Range<u64>, crc: u64) -> bool {
        let mut state = file.state();
        let length = range.end - range.start;
        let is_new = state.generation == generation
            && !state.has_ended()
            && state.crcs.as_mut().is_none_or(|crcs| crcs.insert(range, crc));
        if !is_new {
            self.counters.wasted.add(length);
            return false;
        }
        state.arrived += length;
        let is_last = state.is_complete() && !state.finishing;
        state.finishing |= is_last;
        is_last
    }

    /// A whole small file has come: the first to say so is the one that counts.
    pub(super) async fn take_whole(self: &Arc<Self>, span: &Span, buffer: Buffer, length: usize) {
        let file = &span.job.file;
        let Some(meta) = self.claim_whole(span, length) else {
            self.counters.wasted.add(length as u64);
            return;
        };
        self.stop_others(span);
        if let Err(error) = self.check_whole(file, &meta, buffer.filled(length)) {
            return self.end(file, &crate::Outcome::Failed(error));
        }
        self.counters.bytes.add(length as u64);
        // A reader gets no byte that is known to be wrong.
        if let Err(error) = self.checked(file) {
            return self.begin_anew(file, &error);
        }
        let piece = buffer.freeze(length);
        if file.is_streamed() {
            file.state()
                .deliver(meta.range.start, piece.clone(), cost_of(length));
            self.progress().wake();
        }
        self.finish(file, Some(piece)).await;
    }

    fn claim_whole(&self, span: &Span, length: usize) -> Option<Arc<FileMeta>> {
        let mut state = span.job.file.state();
        if state.generation != span.job.generation || state.has_ended() || state.finishing {
            return None;
        }
        state.finishing = true;
        state.arrived = length as u64;
        Some(Arc::clone(&state.meta))
    }

    fn check_whole(&self, file: &File, meta: &FileMeta, bytes: &[u8]) -> Result<(), Error> {
        self.hooks.bytes(meta, meta.range.start, bytes)?;
        let Some(algorithm) = self.algorithm(meta) else {
            return Ok(());
        };
        let mut crcs = Ranges::new(Some(algorithm));
        crcs.insert(0..bytes.len() as u64, crate::checksum::of(algorithm, bytes));
        file.state().crcs = Some(crcs);
        Ok(())
    }

    /// The same work elsewhere is not needed any more.
    fn stop_others(&self, span: &Span) {
        let queue = self.queue();
        for other in queue.spans.values() {
            if Arc::ptr_eq(&other.job.file, &span.job.file) && !std::ptr::eq(Arc::as_ptr(other), span) {
                other.stop(Stop::Unneeded);
            }
        }
    }

    /// The end of an object of unknown size has come.
    pub(super) async fn learn_size(self: &Arc<Self>, span: &Span) -> Result<(), Failure> {
        if self.set_size(span)? {
            self.finish(&span.job.file, None).await;
        }
        Ok(())
    }

    /// True where no byte is missing.
    fn set_size(&self, span: &Span) -> Result<bool, Failure> {
        let size = span.state().position;
        let mut state = span.job.file.state();
        if state.has_ended() || state.generation != span.job.generation {
            return Ok(false);
        }
        let meta = Arc::make_mut(&mut state.meta);
        meta.size = Some(size);
        meta.range.end = meta.range.end.min(size);
        state.next = state.meta.range.end;
        self.expect(&span.job.file, state.wanted().unwrap_or(0));
        if !state.is_complete() {
            let text = format!(
                "{}: the answer ended before all its bytes came",
                state.meta.location
            );
            return Err(Failure::new(ErrorKind::Damaged, Remedy::BeginAnew, text));
        }
        Ok(!std::mem::replace(&mut state.finishing, true))
    }
}
