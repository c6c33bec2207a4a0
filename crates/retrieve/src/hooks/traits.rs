use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::events::Event;
use crate::control::Control;
use crate::entry::{Entry, FileMeta};
use crate::error::Error;
use crate::outcome::{Done, Outcome, Report};
use crate::stats::Stats;

/// A hook of the serial stages. It is called by one thread at a time, so it may keep state; it holds up its stage, so it
/// should be quick. Long work on one file belongs into [`FunctionalHook::verify`], watching into an [`Observer`].
///
/// Hooks are asked in the order of registration. A panic in a call that decides about a file (`select` to `commit`)
/// fails that file. After a panic in another call the report says so, and the hook is told nothing more; it is still
/// asked about files, because what it would have refused must not slip through.
pub trait StatefulHook: Send {
    /// Its name in the report.
    fn name(&self) -> &str;

    /// Whether every call returns at once, so that none has to be kept off the threads of the network; no unless said.
    fn is_quick(&self) -> bool {
        false
    }

    /// The run begins; what `control` is told holds from the first request on.
    fn on_run_start(&mut self, _start: &RunStart, _control: &Control) {}

    /// Ten times a second, unless the hook is busy with a file; `control` can change limit, concurrency and window.
    fn on_tick(&mut self, _stats: &Stats, _control: &Control) {}

    /// A page of a listing has come, in key order.
    fn on_list_page(&mut self, _page: &ListPage<'_>) {}

    /// Whether `entry` is wanted; its `name`, `range` and `priority` may be changed.
    fn select(&mut self, _entry: &mut Entry) -> Select {
        Select::Keep
    }

    /// A file's first bytes may flow; its size is known where the server says it.
    fn on_file_start(&mut self, _meta: &FileMeta) -> FileStart {
        FileStart::Fetch
    }

    /// Another plan than `default` (or than the hook before made of it); none keeps it.
    fn plan_chunks(&mut self, _meta: &FileMeta, _default: &Plan) -> Option<Plan> {
        None
    }

    /// Something that sees, and may replace, the bytes of this file in their order. A file with one is not resumed and
    /// is saved by one writer, because what is saved has another length than what is fetched.
    fn ordered(&mut self, _meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        None
    }

    /// All bytes are there and their checksum is right; `path` is the temporary file where one is written.
    ///
    /// # Errors
    ///
    /// Says why the file is refused.
    fn verify(&mut self, _meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
        Ok(())
    }

    /// The last word before the temporary file gets its name.
    ///
    /// # Errors
    ///
    /// Says why the file is refused.
    fn commit(&mut self, _meta: &FileMeta, _temporary: &Path, _path: &Path) -> Result<(), String> {
        Ok(())
    }

    /// The file has ended.
    fn on_file_end(&mut self, _meta: &FileMeta, _outcome: &Outcome) {}

    /// The run has ended. `report.hooks` holds the costs up to this call.
    ///
    /// # Errors
    ///
    /// Says what the hook could not finish; it is kept in [`HookTime::failure`].
    fn on_run_end(&mut self, _report: &Report) -> Result<(), String> {
        Ok(())
    }
}

/// A hook of the parallel stages: pure, called by many threads at once.
pub trait FunctionalHook: Send + Sync {
    /// Its name in the report.
    fn name(&self) -> &str;

    /// Whether every call returns at once, so that none has to be kept off the threads of the network; no unless said.
    fn is_quick(&self) -> bool {
        false
    }

    /// A request is about to be signed and sent; headers may be added.
    fn on_request(&self, _request: &mut RequestHead<'_>) {}

    /// An answer's head has come.
    ///
    /// # Errors
    ///
    /// Says why the file must fail.
    fn on_response(&self, _response: &ResponseHead<'_>) -> Result<(), String> {
        Ok(())
    }

    /// An attempt failed; what to do about it.
    fn on_attempt_failed(&self, _attempt: &Attempt<'_>) -> Verdict {
        Verdict::Default
    }

    /// Bytes have come, in no order between ranges.
    ///
    /// # Errors
    ///
    /// Says why the file must fail.
    fn on_bytes(&self, _meta: &FileMeta, _offset: u64, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// A range is there.
    ///
    /// # Errors
    ///
    /// Says why the file must fail.
    fn on_chunk(&self, _chunk: &ChunkTiming<'_>) -> Result<(), String> {
        Ok(())
    }

    /// As [`StatefulHook::verify`], after all of those, but for many files at once: the place for work that takes long.
    ///
    /// # Errors
    ///
    /// Says why the file is refused.
    fn verify(&self, _meta: &FileMeta, _done: &Done, _path: Option<&Path>) -> Result<(), String> {
        Ok(())
    }
}

/// A hook that its owner keeps a handle to, for what it has gathered.
impl<H: FunctionalHook + ?Sized> FunctionalHook for Arc<H> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn is_quick(&self) -> bool {
        (**self).is_quick()
    }

    fn on_request(&self, request: &mut RequestHead<'_>) {
        (**self).on_request(request);
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> Result<(), String> {
        (**self).on_response(response)
    }

    fn on_attempt_failed(&self, attempt: &Attempt<'_>) -> Verdict {
        (**self).on_attempt_failed(attempt)
    }

    fn on_bytes(&self, meta: &FileMeta, offset: u64, bytes: &[u8]) -> Result<(), String> {
        (**self).on_bytes(meta, offset, bytes)
    }

    fn on_chunk(&self, chunk: &ChunkTiming<'_>) -> Result<(), String> {
        (**self).on_chunk(chunk)
    }

    fn verify(&self, meta: &FileMeta, done: &Done, path: Option<&Path>) -> Result<(), String> {
        (**self).verify(meta, done, path)
    }
}

/// Sees the bytes of one file in their order.
pub trait OrderedHook: Send {
    /// The bytes that take the place of `bytes`; may be none yet.
    ///
    /// # Errors
    ///
    /// Says why the file must fail.
    fn on_ordered(&mut self, bytes: Bytes) -> Result<Bytes, String>;

    /// No more come: what is left.
    ///
    /// # Errors
    ///
    /// Says why the file must fail.
    fn finish(&mut self) -> Result<Bytes, String> {
        Ok(Bytes::new())
    }
}

/// Gets events on a thread of its own, over a bounded queue; what does not fit is dropped and counted. For the end of a
/// file the run waits until there is room, in sum up to [`Hooks::MAX_WAIT`](crate::hooks::Hooks::MAX_WAIT) for each
/// observer; for the end of the run up to [`Hooks::MAX_DRAIN`](crate::hooks::Hooks::MAX_DRAIN).
pub trait Observer: Send {
    /// Its name in the report.
    fn name(&self) -> &str;

    /// Something happened, so long after the run began.
    fn on_event(&mut self, at: Duration, event: &Event);

    /// No more events come.
    ///
    /// # Errors
    ///
    /// Says what it could not do; it is kept in [`HookTime::failure`].
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// What is known when a run begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunStart {
    /// When, in milliseconds since 1970 (UTC).
    pub started_unix_ms: u64,
    /// What was asked for, as a person would write it.
    pub sources: Vec<String>,
    /// The byte budget.
    pub memory_bytes: u64,
    /// Requests in flight at most.
    pub max_connections: usize,
}

/// One page of a listing.
#[derive(Clone, Copy, Debug)]
pub struct ListPage<'a> {
    /// Its entries, in key order.
    pub entries: &'a [Entry],
}

/// Whether an entry is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// It is.
    Keep,
    /// It is not; it counts as skipped.
    Skip,
}

/// What to do with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileStart {
    /// Fetch it.
    Fetch,
    /// It is not wanted.
    Skip,
    /// It is there already.
    UseCache,
    /// Fetch only these bytes.
    Range(Range<u64>),
}

/// How a file is cut into requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Ranges of so many bytes.
    Every(u64),
    /// A cut at each of these offsets, which must grow.
    Cuts(Vec<u64>),
}

/// A request about to be sent.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// The file.
    pub meta: &'a FileMeta,
    /// The bytes that are asked for; none for the whole object.
    pub range: Option<Range<u64>>,
    /// Its headers, which are signed after all hooks have seen them.
    pub headers: &'a mut http::HeaderMap,
}

/// The head of an answer.
#[derive(Debug)]
pub struct ResponseHead<'a> {
    /// The file.
    pub meta: &'a FileMeta,
    /// The status.
    pub status: http::StatusCode,
    /// Its headers.
    pub headers: &'a http::HeaderMap,
    /// From the last byte of the request to the head.
    pub first_byte: Duration,
}

/// An attempt that failed.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The file.
    pub meta: &'a FileMeta,
    /// The bytes that were asked for.
    pub range: Range<u64>,
    /// Counts from 1, without a new byte between.
    pub number: u32,
    /// Why.
    pub error: &'a Error,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What the engine would do.
    Default,
    /// Try again with the usual pause.
    Retry,
    /// Try again after this pause.
    After(Duration),
    /// The file fails.
    GiveUp,
}

/// A range that is there.
#[derive(Debug)]
pub struct ChunkTiming<'a> {
    /// The file.
    pub meta: &'a FileMeta,
    /// The bytes of the object.
    pub range: Range<u64>,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// From the request to the last byte.
    pub total: Duration,
    /// Attempts that it took.
    pub attempts: u32,
}

/// What a hook has cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookTime {
    /// The hook.
    pub name: String,
    /// Calls.
    pub calls: u64,
    /// Time in them, in nanoseconds.
    pub nanoseconds: u64,
    /// Events that it did not get because it was slow.
    pub dropped: u64,
    /// What it could not do, or what it said when it panicked in a call that decides about no file.
    pub failure: Option<String>,
}
