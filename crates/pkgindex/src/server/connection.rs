//! One client: read, decide, answer, in turns.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::WaitForCancellationFuture;

use crate::command::Answer;
use crate::index::Unavailable;
use crate::server::Service;
use crate::server::framer::{Completed, Framer};

/// How much is read at once, and so is decided under one lock.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    /// What all connections of a thread read into, so that none needs a buffer while it waits.
    static RECEIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// A client's connection.
pub(super) struct Connection<'s> {
    stream: TcpStream,
    framer: Framer,
    service: &'s Service,
}

/// Why a connection ends before its client wants it.
enum End {
    /// The connection is broken.
    Broken,
    /// The client was silent for too long.
    Idle,
    /// The client did not take its answers.
    Slow,
    /// The index does not know what became of the commands.
    Unavailable,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl From<Unavailable> for End {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

type Stopped<'a, 's> = Pin<&'a mut WaitForCancellationFuture<'s>>;

impl<'s> Connection<'s> {
    /// Puts the stream, which must not block, into this thread's reactor.
    pub(super) fn new(stream: std::net::TcpStream, service: &'s Service) -> io::Result<Self> {
        let stream = TcpStream::from_std(stream)?;
        service.counts.opened();
        Ok(Self {
            stream,
            framer: Framer::new(service.options.max_line_bytes),
            service,
        })
    }

    /// Answers until the client has sent its last, the server stops, or something is wrong.
    pub(super) async fn serve(mut self) {
        let counts = &self.service.counts;
        match self.converse().await {
            Ok(()) | Err(End::Broken) => {}
            Err(End::Idle) => counts.idle(),
            Err(End::Slow) => counts.slow(),
            Err(End::Unavailable) => counts.index_unavailable(),
        }
    }

    async fn converse(&mut self) -> Result<(), End> {
        let mut stopped = pin!(self.service.stop.cancelled());
        while let Some(completed) = self.receive(stopped.as_mut()).await? {
            if completed != Completed::default() {
                self.answer(&completed).await?;
            }
        }
        Ok(())
    }

    /// Waits for bytes and returns the lines that they complete, or `None` at the end.
    async fn receive(&mut self, mut stopped: Stopped<'_, 's>) -> Result<Option<Completed>, End> {
        let idle_timeout = self.service.options.idle_timeout;
        let received = poll_fn(|context| self.poll_receive(context, stopped.as_mut()));
        Ok(match idle_timeout {
            None => received.await?,
            Some(limit) => timeout(limit, received).await.map_err(|_| End::Idle)??,
        })
    }

    fn poll_receive(
        &mut self,
        context: &mut Context,
        stopped: Stopped<'_, 's>,
    ) -> Poll<io::Result<Option<Completed>>> {
        RECEIVED.with_borrow_mut(|buffer| {
            let size = buffer.len().min(self.service.options.max_line_bytes);
            let piece = ready!(self.poll_read(context, stopped, &mut buffer[..size]))?;
            self.service.counts.received(piece.len());
            Poll::Ready(Ok((!piece.is_empty()).then(|| self.framer.push(piece))))
        })
    }

    /// The next bytes; none at the end of the stream, or after a stop when nothing is there.
    fn poll_read<'b>(
        &mut self,
        context: &mut Context,
        stopped: Stopped<'_, 's>,
        bytes: &'b mut [u8],
    ) -> Poll<io::Result<&'b [u8]>> {
        let mut buffer = ReadBuf::new(bytes);
        let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
        let count = match read {
            Poll::Ready(read) => read.map(|()| buffer.filled().len())?,
            Poll::Pending => {
                ready!(stopped.poll(context));
                read_at_once(&self.stream, bytes)?
            }
        };
        Poll::Ready(Ok(&bytes[..count]))
    }

    async fn answer(&mut self, completed: &Completed) -> Result<(), End> {
        // No command is shorter than its answer.
        let mut answers = Vec::with_capacity(completed.lines.len());
        if completed.is_first_too_long {
            self.service.counts.line_too_long();
            answers.extend_from_slice(Answer::Error.line());
        }
        if !completed.lines.is_empty() {
            self.service.index.lines(&completed.lines, &mut answers).await?;
        }
        self.send(&answers).await
    }

    async fn send(&mut self, answers: &[u8]) -> Result<(), End> {
        let sent = match self.stream.try_write(answers) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        let rest = &answers[sent..];
        if !rest.is_empty() {
            let limit = self.service.options.write_timeout;
            timeout(limit, self.stream.write_all(rest))
                .await
                .map_err(|_| End::Slow)??;
        }
        self.service.counts.sent(answers.len());
        Ok(())
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.service.counts.closed();
    }
}

/// Reads past the reactor, which may not know yet what has just come. Nothing when nothing is there.
fn read_at_once(stream: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    let socket = SockRef::from(stream);
    match (&*socket).read(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        read => read,
    }
}
