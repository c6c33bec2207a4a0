//! Bodies: small ones at once, large ones as streams between the threads that answer and those that do long work.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::http::problem::Problem;

/// How many pieces of a stream wait to be sent.
const PIECES: usize = 4;

/// A small body, whole.
pub(super) struct Sent(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await;
        bytes.map(Self).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(
                "the body is larger than is allowed here; send less at a time, or use /v1/load",
            ),
            _ => Problem::bad_request("the body did not arrive whole; send it again"),
        })
    }
}

/// A body that arrives, for a thread that may block.
pub(super) struct Incoming {
    body: Body,
    piece: Bytes,
    /// Bytes that may still come.
    left: usize,
    /// How long the next piece may take.
    patience: Duration,
    runtime: Handle,
}

impl Incoming {
    /// Called where the runtime is. More than `limit` bytes are an error of the kind `FileTooLarge`, a piece that takes longer than
    /// `patience` is one of the kind `TimedOut`.
    pub(super) fn new(body: Body, limit: usize, patience: Duration) -> Self {
        Self {
            body,
            piece: Bytes::new(),
            left: limit,
            patience,
            runtime: Handle::current(),
        }
    }

    /// The next piece, or `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let body = &mut self.body;
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let timely = async { tokio::time::timeout(self.patience, frame).await };
        let Some(frame) = self.runtime.block_on(timely)? else {
            return Ok(None);
        };
        let data = frame.map_err(io::Error::other)?.into_data();
        // Trailers are no data.
        Ok(Some(data.unwrap_or_default()))
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.next()? else {
                return Ok(0);
            };
            self.left = self
                .left
                .checked_sub(piece.len())
                .ok_or(io::ErrorKind::FileTooLarge)?;
            self.piece = piece;
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// The writing end of a body, for a thread that may block. Each write is a piece, so put a buffer before it.
pub(super) struct Outgoing {
    /// `None` is the end.
    pieces: mpsc::Sender<Option<Bytes>>,
    patience: Duration,
    runtime: Handle,
}

/// A body that another thread writes. Without [`Outgoing::end`] it is broken off, so that nobody takes a part of it for the whole.
struct Pieces(mpsc::Receiver<Option<Bytes>>);

/// Both ends of a body. Called where the runtime is. Who does not take a piece within `patience` is not waited for.
pub(super) fn pipe(patience: Duration) -> (Outgoing, Body) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let outgoing = Outgoing {
        pieces: sender,
        patience,
        runtime: Handle::current(),
    };
    (outgoing, Body::new(Pieces(receiver)))
}

impl Outgoing {
    /// Everything is written.
    pub(super) fn end(self) -> io::Result<()> {
        self.send(None)
    }

    fn send(&self, piece: Option<Bytes>) -> io::Result<()> {
        let timely = async { self.pieces.send_timeout(piece, self.patience).await };
        self.runtime
            .block_on(timely)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Some(Bytes::copy_from_slice(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|received| match received {
            Some(Some(piece)) => Some(Ok(Frame::data(piece))),
            Some(None) => None,
            None => Some(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }
}
