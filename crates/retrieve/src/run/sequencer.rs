use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Run;
use super::file::File;
use crate::control::Control;
use crate::entry::FileMeta;
use crate::error::{Error, ErrorKind};
use crate::hooks::Ordered;
use crate::landing::Stream;
use crate::options::Order;
use crate::outcome::{Outcome, Report};
use crate::stats::Stats;

/// What ordered hooks get at once.
const PUSH_BYTES: usize = 64 << 10;

/// The files of a run, one after the other. An iterator for threads ([`Iterator`]) and for tasks ([`Files::next_file`]).
///
/// A file that fails before its first byte comes as an error; others fail while they are read. Files that a hook skipped
/// or had already do not come at all. Dropping this cancels the run.
pub struct Files {
    run: Arc<Run>,
}

/// The bytes of one file, in order. An iterator for threads ([`Iterator`]) and for tasks ([`FileReader::next_piece`]).
///
/// The last piece is followed by the end only when the whole file was checked; a file that turns out to be damaged ends
/// with an error, so what was made of its bytes must not be used before.
pub struct FileReader {
    run: Arc<Run>,
    file: Arc<File>,
    ordered: Option<Ordered>,
    /// Bytes that the ordered hooks have not seen.
    unpushed: Bytes,
    /// What they made of them, where it is saved.
    stream: Option<Stream>,
    has_ended: bool,
}

impl Files {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run }
    }

    /// The next file; none when there are no more. The run's own failure, such as a listing that broke off, is in
    /// [`Files::report`].
    ///
    /// # Errors
    ///
    /// A file that could not be begun, with what is known of it.
    pub async fn next_file(&mut self) -> Option<Result<FileReader, (FileMeta, Error)>> {
        std::future::poll_fn(|cx| self.poll_file(cx)).await
    }

    fn poll_file(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FileReader, (FileMeta, Error)>>> {
        loop {
            let mut progress = self.run.progress();
            let Some(at) = self.ready(&progress.unread) else {
                let is_end = progress.listing_done && progress.unread.is_empty() || progress.report.is_some();
                if is_end {
                    return Poll::Ready(None);
                }
                progress.wake_later(cx.waker());
                let front = progress.unread.front().cloned();
                drop(progress);
                // The budget may be full of files behind it, and it has not even begun.
                if let Some(front) = front {
                    self.run.queue().set_awaited(&front, true);
                    self.run.dispatch();
                }
                return Poll::Pending;
            };
            let file = progress.unread.remove(at);
            drop(progress);
            self.run.room.notify_one();
            let Some(file) = file else { continue };
            self.run.queue().set_awaited(&file, false);
            let state = file.state();
            let (meta, outcome) = (Arc::clone(&state.meta), state.outcome.clone());
            drop(state);
            match outcome {
                Some(Outcome::Cached | Outcome::Skipped) => {}
                Some(Outcome::Failed(error)) => {
                    return Poll::Ready(Some(Err((FileMeta::clone(&meta), error))));
                }
                Some(Outcome::Cancelled) => return Poll::Ready(None),
                _ => {
                    return Poll::Ready(Some(Ok(FileReader::new(Arc::clone(&self.run), file))));
                }
            }
        }
    }

    /// Which of the files that were not handed out can be.
    fn ready(&self, unread: &std::collections::VecDeque<Arc<File>>) -> Option<usize> {
        let is_ready = |file: &Arc<File>| {
            let state = file.state();
            let can_begin = match self.run.options().order {
                Order::Request => state.started,
                Order::Completion => {
                    state.started && (state.is_complete() || !state.is_whole && !state.ready.is_empty())
                }
            };
            state.has_ended() || can_begin
        };
        match self.run.options().order {
            Order::Request => unread.front().filter(|file| is_ready(file)).map(|_| 0),
            Order::Completion => unread.iter().position(is_ready),
        }
    }

    /// Steers the run.
    pub fn control(&self) -> Control {
        self.run.control.clone()
    }

    /// The figures of this moment.
    pub fn stats(&self) -> Stats {
        self.run.stats()
    }

    /// Waits for the end of the run and says what became of it. Files that were not taken are cancelled.
    pub async fn report(self) -> Arc<Report> {
        let is_drained = {
            let progress = self.run.progress();
            progress.listing_done && progress.unread.is_empty()
        };
        if !is_drained {
            self.run.control.cancel();
        }
        self.run.finished().await
    }
}

impl Iterator for Files {
    type Item = Result<FileReader, (FileMeta, Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        futures::executor::block_on(self.next_file())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.run.is_complete() {
            self.run.control.cancel();
        }
    }
}

impl FileReader {
    pub(super) fn new(run: Arc<Run>, file: Arc<File>) -> Self {
        let ordered = file.state().ordered.take();
        Self {
            run,
            file,
            ordered,
            unpushed: Bytes::new(),
            stream: None,
            has_ended: false,
        }
    }

    /// What is known of the file.
    pub fn meta(&self) -> FileMeta {
        FileMeta::clone(&self.file.meta())
    }

    /// The next bytes; none at the end. A piece is at most 1 MiB, except where a hook makes larger ones.
    ///
    /// # Errors
    ///
    /// Why the rest cannot be had; nothing follows.
    pub async fn next_piece(&mut self) -> Option<Result<Bytes, Error>> {
        while !self.has_ended {
            if let Some(replaced) = self.push_some() {
                match replaced {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(error) => return Some(Err(self.fail(error))),
                }
            }
            let piece = std::future::poll_fn(|cx| self.poll_piece(cx)).await;
            let bytes = match (piece, &self.ordered) {
                (Ok(Some(bytes)), Some(_)) => {
                    self.unpushed = bytes;
                    continue;
                }
                (Ok(Some(bytes)), None) => Ok(bytes),
                (Ok(None), _) => return self.finish(),
                (Err(error), _) => Err(error),
            };
            return match bytes {
                Ok(bytes) => Some(Ok(bytes)),
                Err(error) => Some(Err(self.fail(error))),
            };
        }
        None
    }

    /// Lets the hooks see the next bytes: few at a time, because they may make many of them.
    fn push_some(&mut self) -> Option<Result<Bytes, Error>> {
        let ordered = self.ordered.as_mut().filter(|_| !self.unpushed.is_empty())?;
        let length = self.unpushed.len().min(PUSH_BYTES);
        let replaced = ordered.push(self.unpushed.split_to(length));
        Some(replaced.and_then(|bytes| self.save(&bytes).map(|()| bytes)))
    }

    fn fail(&mut self, error: Error) -> Error {
        self.has_ended = true;
        self.run.end(&self.file, &Outcome::Failed(error.clone()));
        error
    }

    /// The file's own bytes have come to their end; what the hooks still have follows.
    fn finish(&mut self) -> Option<Result<Bytes, Error>> {
        self.has_ended = true;
        let mut ordered = self.ordered.take()?;
        let rest = ordered.finish().and_then(|rest| {
            self.save(&rest)?;
            self.conclude()?;
            Ok(rest)
        });
        match rest {
            Ok(rest) => (!rest.is_empty()).then_some(Ok(rest)),
            Err(error) => Some(Err(self.fail(error))),
        }
    }

    /// Writes what has replaced the file's bytes, where the run saves.
    fn save(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (Some(folder), Some(place)) = (&self.run.folder, self.run.place(&self.file)) else {
            return Ok(());
        };
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(folder.stream(&place)?),
        };
        stream.append(bytes)
    }

    /// A file whose bytes were replaced ends when all of them were read.
    fn conclude(&mut self) -> Result<(), Error> {
        // The tasks that save share their threads with all others; a reader's thread is its own.
        match self.run.is_read {
            true => self.commit(),
            false => tokio::task::block_in_place(|| self.commit()),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        let meta = self.file.meta();
        let mut done = self.run.checked(&self.file)?;
        match self.stream.take() {
            Some(stream) => {
                self.run
                    .approve(&meta, &done, Some((stream.temporary(), stream.path())))?;
                done.path = Some(stream.commit(meta.last_modified)?);
            }
            None => self.run.approve(&meta, &done, None)?,
        }
        self.run.end(&self.file, &Outcome::Done(done));
        Ok(())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let mut state = self.file.state();
        let position = state.position;
        if let Some((bytes, cost)) = state.ready.remove(&position) {
            state.position += bytes.len() as u64;
            drop(state);
            let mut queue = self.run.queue();
            queue.release(&self.file, cost);
            queue.set_awaited(&self.file, false);
            drop(queue);
            self.run.dispatch();
            return Poll::Ready(Ok(Some(bytes)));
        }
        match &state.outcome {
            Some(Outcome::Failed(error)) => return Poll::Ready(Err(error.clone())),
            Some(Outcome::Cancelled) => {
                return Poll::Ready(Err(Error::new(ErrorKind::Cancelled, "cancelled")));
            }
            Some(_) => return Poll::Ready(Ok(None)),
            None if state.is_left_to_reader && position >= state.meta.range.end => {
                return Poll::Ready(Ok(None));
            }
            None => {}
        }
        state.reader = Some(cx.waker().clone());
        drop(state);
        self.run.queue().set_awaited(&self.file, true);
        self.run.dispatch();
        Poll::Pending
    }

    /// All bytes that are left, in one piece of memory, at most `max_bytes` of them.
    ///
    /// # Errors
    ///
    /// As [`FileReader::next_piece`]; [`ErrorKind::Invalid`] where there are more.
    pub async fn read_to_end(&mut self, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let expected = self.file.meta().wanted().unwrap_or(0).min(max_bytes);
        let mut all = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        while let Some(piece) = self.next_piece().await {
            let piece = piece?;
            if (all.len() + piece.len()) as u64 > max_bytes {
                let location = &self.file.entry.location;
                let text = format!("{location}: it is larger than {max_bytes} bytes");
                return Err(self.fail(Error::new(ErrorKind::Invalid, text)));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl Iterator for FileReader {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        futures::executor::block_on(self.next_piece())
    }
}

impl Drop for FileReader {
    /// A file that nobody reads on is not fetched on.
    fn drop(&mut self) {
        let has_ended = self.file.state().has_ended();
        if self.run.is_read && !has_ended {
            self.run.end(&self.file, &Outcome::Cancelled);
        }
        self.run.forget_unread(&self.file);
        self.run.dispatch();
    }
}
