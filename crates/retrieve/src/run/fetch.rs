use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_MATCH, LOCATION, RANGE, USER_AGENT};
use http::{Method, StatusCode};

use super::Run;
use super::accept::modified;
use super::chunker::is_strong;
use super::file::File;
use super::receive::{Received, Receiver};
use super::span::{Job, Shape, Span};
use crate::answer::{Failure, Remedy, is_redirect, refusal};
use crate::buffers::PIECE_BYTES;
use crate::checksum;
use crate::entry::FileMeta;
use crate::error::ErrorKind;
use crate::hooks::{ChunkTiming, RequestHead, ResponseHead};
use crate::location::{Location, Scheme};
use crate::store::Store;
use crate::wire::{Connection, Endpoint, Head};

/// Of an answer that brings no bytes so much is read: it says why.
const REASON_BYTES: usize = 64 << 10;
const REDIRECTS: u32 = 5;
const AGENT: &str = concat!("haul-retrieve/", env!("CARGO_PKG_VERSION"));

/// How an attempt ended.
pub(super) enum Ended {
    /// Nothing is left to do for it.
    Done,
    /// Somebody stopped it.
    Stopped,
    /// The object is elsewhere.
    Redirected,
    Failed(Failure),
}

/// An answer whose body can be read.
pub(super) struct Answer {
    pub(super) connection: Connection,
    pub(super) endpoint: Endpoint,
    pub(super) head: Head,
    pub(super) first_byte: Duration,
}

impl Run {
    /// Fetches what a span is about, as far as it gets.
    pub(super) async fn fetch(self: &Arc<Self>, span: &Arc<Span>) -> Ended {
        let is_local = span.job.file.state().store.scheme() == Scheme::File;
        let ended = match is_local {
            true => self.read_local(span).await,
            false => self.request(span).await,
        };
        ended.unwrap_or_else(Ended::Failed)
    }

    async fn request(self: &Arc<Self>, span: &Arc<Span>) -> Result<Ended, Failure> {
        let file = &span.job.file;
        let answer = tokio::select! {
            answer = self.ask(file, &span.job) => answer?,
            () = span.stopped() => return Ok(Ended::Stopped),
        };
        span.head_came();
        self.queue().head_came(answer.first_byte);
        self.receive(span, answer).await
    }

    /// Sends a request and waits for the head of its answer.
    async fn ask(&self, file: &File, job: &Job) -> Result<Answer, Failure> {
        let (meta, store, target) = file.state().address();
        let range = match job.shape {
            // The whole object is asked for without a range, so that servers say its checksum.
            Shape::Whole if meta.is_whole() => None,
            _ => Some(job.range.clone()),
        };
        let mut headers = self.headers(&meta, range.as_ref(), job.shape);
        self.hooks.request(&mut RequestHead {
            meta: &meta,
            range,
            headers: &mut headers,
        })?;
        let answer = self.exchange(
            &store,
            &target,
            &Method::GET,
            headers,
            &meta.location,
            job.is_hedge,
        );
        let answer = answer.await?;
        self.hooks.response(&ResponseHead {
            meta: &meta,
            status: answer.head.status,
            headers: &answer.head.headers,
            first_byte: answer.first_byte,
        })?;
        Ok(answer)
    }

    pub(super) async fn exchange(
        &self,
        store: &Store,
        target: &str,
        method: &Method,
        headers: HeaderMap,
        location: &Location,
        fresh: bool,
    ) -> Result<Answer, Failure> {
        let prepared = store.prepare(method, target, headers).await?;
        let failed = |error| Failure::of_io(location, error);
        let pool = &self.engine.pool;
        let mut connection = match fresh {
            true => pool.fresh(&prepared.endpoint).await.map_err(failed)?,
            false => pool.get(&prepared.endpoint).await.map_err(failed)?,
        };
        let mut sent = Instant::now();
        let mut head = connection.exchange(&prepared.bytes, method).await;
        if head.is_err() && connection.reused {
            // The server had closed it while it was idle; that says nothing about the request.
            connection = pool.fresh(&prepared.endpoint).await.map_err(failed)?;
            sent = Instant::now();
            head = connection.exchange(&prepared.bytes, method).await;
        }
        Ok(Answer {
            connection,
            endpoint: prepared.endpoint,
            head: head.map_err(failed)?,
            first_byte: sent.elapsed(),
        })
    }

    pub(super) fn headers(&self, meta: &FileMeta, range: Option<&Range<u64>>, shape: Shape) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(range) = range {
            let last = match range.end {
                u64::MAX => String::new(),
                end => (end - 1).to_string(),
            };
            if let Ok(value) = HeaderValue::from_str(&format!("bytes={}-{last}", range.start)) {
                headers.insert(RANGE, value);
            }
        }
        if shape != Shape::Discovery
            && is_strong(meta.etag.as_deref())
            && let Some(etag) = meta.etag.as_deref()
            && let Ok(value) = HeaderValue::from_str(etag)
        {
            headers.insert(IF_MATCH, value);
        }
        if meta.location.scheme() == Scheme::S3 && self.options().verify {
            headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        }
        headers
    }

    async fn receive(self: &Arc<Self>, span: &Arc<Span>, mut answer: Answer) -> Result<Ended, Failure> {
        let file = &span.job.file;
        if !span.job.is_wanted() {
            return Ok(Ended::Stopped);
        }
        match answer.head.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::RANGE_NOT_SATISFIABLE => return self.outside(span, &answer),
            status if is_redirect(status) && answer.head.headers.contains_key(LOCATION) => {
                return self.redirect(file, &answer.head);
            }
            _ => {
                // Why it refuses is told by its first bytes; that they could not be read changes little.
                let body = tokio::select! {
                    body = answer.connection.rest(REASON_BYTES) => body.unwrap_or_default(),
                    () = span.stopped() => Vec::new(),
                };
                let failure = refusal(&file.entry.location, &answer.head, &body);
                self.engine.pool.put(&answer.endpoint, answer.connection);
                return Err(failure);
            }
        }
        let came = match answer.head.status {
            StatusCode::PARTIAL_CONTENT => self.part(span, &answer.head)?,
            _ => self.all(span, &answer.head)?,
        };
        if span.job.is_open
            && answer.head.status == StatusCode::OK
            && !self.pass_over(span, &mut answer).await?
        {
            return Ok(Ended::Stopped);
        }
        if span.job.shape == Shape::Discovery {
            if !self.discover(span, came, &answer.head) {
                return Ok(Ended::Done);
            }
        } else {
            self.learn(file, &answer.head);
        }
        self.read_body(span, answer).await
    }

    /// A server that knows no ranges sends again what is there already. False where the span was stopped.
    async fn pass_over(&self, span: &Span, answer: &mut Answer) -> Result<bool, Failure> {
        let meta = span.job.file.meta();
        if !is_strong(meta.etag.as_deref()) && meta.last_modified.is_none() && span.job.range.start > 0 {
            let text = format!(
                "{}: the answer broke off, and nothing tells whether another is the same",
                meta.location
            );
            return Err(Failure::new(ErrorKind::Damaged, Remedy::BeginAnew, text));
        }
        let mut buffer = self.engine.buffers.take(PIECE_BYTES);
        let mut left = span.job.range.start;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let room = buffer.as_mut().get_mut(..most).unwrap_or_default();
            let read = tokio::select! {
                read = answer.connection.read(room) => read,
                () = span.stopped() => return Ok(false),
            };
            let read = read.map_err(|error| Failure::of_io(&meta.location, error))? as u64;
            if read == 0 {
                return Err(Failure::of_io(
                    &meta.location,
                    std::io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            left -= read;
            self.counters.wasted.add(read);
            span.await_bytes();
        }
        Ok(true)
    }

    async fn read_body(self: &Arc<Self>, span: &Arc<Span>, mut answer: Answer) -> Result<Ended, Failure> {
        if span.job.file.is_streamed() {
            // What was handed out cannot be read again to compute another checksum.
            tokio::select! {
                () = self.checksum_told(&span.job.file) => {}
                () = span.stopped() => return Ok(Ended::Stopped),
            }
            span.await_bytes();
        }
        let receiver = Receiver::new(self, span);
        if span.job.shape == Shape::Whole {
            let Some((buffer, length)) = receiver.whole(&mut answer.connection).await? else {
                return Ok(Ended::Stopped);
            };
            if let Err(failure) = self.put_back(span, &mut answer).await {
                self.counters.wasted.add(length as u64);
                return Err(failure);
            }
            self.time(span, &answer)?;
            self.engine.pool.put(&answer.endpoint, answer.connection);
            self.take_whole(span, buffer, length).await;
            return Ok(Ended::Done);
        }
        match receiver.parts(&mut answer.connection).await? {
            Received::All => {}
            Received::End => self.learn_size(span).await?,
            Received::Stopped => {
                self.counters.wasted.add(answer.connection.unread());
                return Ok(Ended::Stopped);
            }
        }
        self.time(span, &answer)?;
        if span.state().end == span.job.range.end {
            // All that was asked for was read; what follows a chunked body is not worth a failure any more.
            let _ = self.put_back(span, &mut answer).await;
        }
        self.counters.wasted.add(answer.connection.unread());
        self.engine.pool.put(&answer.endpoint, answer.connection);
        Ok(Ended::Done)
    }

    /// Goes over the end of the answer, so that its connection can be used again and a longer body is noticed.
    async fn put_back(&self, span: &Span, answer: &mut Answer) -> Result<(), Failure> {
        let finished = tokio::select! {
            finished = answer.connection.finish() => finished,
            () = span.stopped() => Err(std::io::ErrorKind::TimedOut.into()),
        };
        finished.map_err(|error| Failure::of_io(&span.job.file.entry.location, error))
    }

    fn time(&self, span: &Span, answer: &Answer) -> Result<(), Failure> {
        let meta = span.job.file.meta();
        self.hooks.chunk(&ChunkTiming {
            meta: &meta,
            range: span.job.range.start..span.state().position,
            first_byte: answer.first_byte,
            total: span.started.elapsed(),
            attempts: span.job.failed + 1,
        })?;
        Ok(())
    }

    /// The first answer tells what the file is. False where its body is not to be read.
    fn discover(self: &Arc<Self>, span: &Span, size: Option<u64>, head: &Head) -> bool {
        let file = &span.job.file;
        let before = file.meta();
        let end = size
            .unwrap_or(u64::MAX)
            .min(file.entry.range.as_ref().map_or(u64::MAX, |range| range.end));
        let is_part = head.status == StatusCode::PARTIAL_CONTENT;
        // A server that sends everything sends it on this connection alone.
        let planned = match is_part {
            true => span.job.range.end.min(end),
            false => end,
        };
        span.state().end = planned;
        span.state().is_open = !is_part;
        let meta = FileMeta {
            size,
            range: before.range.start.min(end)..end,
            etag: head.text(ETAG.as_str()).map(ToOwned::to_owned),
            last_modified: modified(head),
            checksum: checksum::declared(&head.headers),
            ..FileMeta::clone(&before)
        };
        let wants = meta.range.clone();
        let goes_on = self.begin(file, meta, Some(planned));
        let came = match goes_on && is_part && file.is_streamed() {
            true => planned.saturating_sub(wants.start),
            false => 0,
        };
        self.queue().settle(file, span.job.cost, came);
        if !goes_on {
            span.skip_rest();
            return false;
        }
        self.ask_checksum(file);
        let state = file.state();
        // A hook wants other bytes, or an earlier run has some: this answer is not needed.
        let is_other = state.meta.range != wants || state.resumed > 0;
        drop(state);
        if is_other {
            let mut state = file.state();
            state.next = state.meta.range.start;
            drop(state);
            span.skip_rest();
            self.queue().settle(file, came, 0);
        }
        self.queue().offer(file);
        self.dispatch();
        !is_other
    }

    /// Later answers may tell what a listing did not.
    fn learn(self: &Arc<Self>, file: &Arc<File>, head: &Head) {
        let declared = checksum::declared(&head.headers);
        file.state().learn(declared);
        self.ask_checksum(file);
    }

    /// Nothing lies in the range: the object is empty, or shorter than it was.
    fn outside(self: &Arc<Self>, span: &Span, answer: &Answer) -> Result<Ended, Failure> {
        let file = &span.job.file;
        let location = &file.entry.location;
        let total = answer.head.content_range().and_then(|range| range.total);
        let begins_at = span.job.range.start;
        // Nothing lies behind the beginning: it is empty, even where the server does not say so.
        let total = total.or((begins_at == 0).then_some(0));
        match (span.job.shape, total) {
            (Shape::Discovery, Some(total))
                if total <= begins_at && (total == 0 || file.entry.range.is_some()) =>
            {
                let meta = FileMeta {
                    size: Some(total),
                    range: total..total,
                    etag: answer.head.text(ETAG.as_str()).map(ToOwned::to_owned),
                    last_modified: modified(&answer.head),
                    ..FileMeta::clone(&file.meta())
                };
                self.begin(file, meta, None);
                span.skip_rest();
                Ok(Ended::Done)
            }
            (Shape::Discovery, _) => {
                let text = format!("{location}: the server does not say how long it is");
                Err(Failure::new(ErrorKind::Server, Remedy::Again, text))
            }
            _ => {
                let text = format!("{location}: it is shorter than it was");
                Err(Failure::new(ErrorKind::Changed, Remedy::BeginAnew, text))
            }
        }
    }

    fn redirect(&self, file: &File, head: &Head) -> Result<Ended, Failure> {
        let location = &file.entry.location;
        let failed = |what: &str| {
            let text = format!("{location}: {what}");
            Failure::new(ErrorKind::Server, Remedy::None, text)
        };
        if location.scheme() != Scheme::Http {
            return Err(refusal(location, head, b""));
        }
        let mut state = file.state();
        state.redirects += 1;
        if state.redirects > REDIRECTS {
            return Err(failed("the server redirects again and again"));
        }
        let from = url::Url::parse(&format!("{}{}", location.bucket(), state.target));
        let to = head.text(LOCATION.as_str()).zip(from.ok());
        let to = to.and_then(|(to, from)| from.join(to).ok());
        let to = to.ok_or_else(|| failed("the server redirects to what is no address"))?;
        if to.scheme() == "http" && location.bucket().starts_with("https:") {
            return Err(failed("the server redirects to an address without TLS"));
        }
        let to = Location::parse(to.as_str())
            .map_err(|_| failed("the server redirects to what cannot be retrieved"))?;
        if to.scheme() != Scheme::Http {
            return Err(failed("the server redirects to what is no web address"));
        }
        state.store = self.stores.of(&to)?;
        state.target = state.store.target(to.key());
        Ok(Ended::Redirected)
    }
}
