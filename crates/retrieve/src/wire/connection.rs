use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Method;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::body::{Chunked, Framing};
use super::head::{Head, MAX_HEAD_BYTES};

/// Bytes read at once while a head is awaited; what follows the head is copied out of here.
const READ_BYTES: usize = 8 << 10;

/// A connection that carries one request at a time.
pub(crate) struct Connection {
    transport: Transport,
    /// Bytes that were read and not yet taken.
    ahead: Vec<u8>,
    taken: usize,
    framing: Framing,
    keep_alive: bool,
    /// Whether it has carried a request before: then the server may have closed it by now.
    pub(crate) reused: bool,
}

pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            ahead: Vec::new(),
            taken: 0,
            framing: Framing::Length(0),
            keep_alive: true,
            reused: false,
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8], method: &Method) -> io::Result<Head> {
        self.keep_alive = false;
        match &mut self.transport {
            Transport::Plain(stream) => stream.write_all(request).await?,
            Transport::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await?;
            }
        }
        loop {
            let head = self.read_head().await?;
            if head.status.is_informational() {
                continue;
            }
            self.framing = head.framing(method).map_err(invalid)?;
            self.keep_alive = head.keeps_alive() && self.framing != Framing::UntilClose;
            return Ok(head);
        }
    }

    async fn read_head(&mut self) -> io::Result<Head> {
        loop {
            let waiting = self.ahead.get(self.taken..).unwrap_or_default();
            if let Some((head, length)) = Head::parse(waiting).map_err(invalid)? {
                self.taken += length;
                return Ok(head);
            }
            if waiting.len() > MAX_HEAD_BYTES {
                return Err(invalid("the head of the answer is too long".into()));
            }
            if self.read_ahead().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn read_ahead(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_ahead(cx)).await
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.ahead.drain(..self.taken);
        self.taken = 0;
        let filled = self.ahead.len();
        self.ahead.resize(filled + READ_BYTES, 0);
        let Some(room) = self.ahead.get_mut(filled..) else {
            return Poll::Ready(Ok(0));
        };
        let read = self.transport.poll_read(cx, room);
        let now = match &read {
            Poll::Ready(Ok(read)) => *read,
            _ => 0,
        };
        self.ahead.truncate(filled + now);
        read
    }

    /// Reads bytes of the body into `room`; 0 is its end.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` where the connection ends before the body.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if room.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let wanted = match &mut self.framing {
            Framing::Length(remaining) => *remaining,
            Framing::UntilClose => u64::MAX,
            Framing::Chunked(_) => ready!(self.poll_chunk(cx))?,
        };
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let most = usize::try_from(wanted).unwrap_or(usize::MAX).min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        let read = match self.take_ahead(room) {
            0 => ready!(self.transport.poll_read(cx, room))?,
            taken => taken,
        };
        Poll::Ready(self.account(read))
    }

    /// The bytes that remain of the current chunk; 0 after the last.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        loop {
            let Framing::Chunked(state) = &mut self.framing else {
                return Poll::Ready(Ok(0));
            };
            let waiting = self.ahead.get(self.taken..).unwrap_or_default();
            self.taken += state.skip(waiting).map_err(invalid)?;
            match state {
                Chunked::Data(remaining @ 1..) => return Poll::Ready(Ok(*remaining)),
                Chunked::Done => return Poll::Ready(Ok(0)),
                _ => {}
            }
            if ready!(self.poll_ahead(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn take_ahead(&mut self, room: &mut [u8]) -> usize {
        let waiting = self.ahead.get(self.taken..).unwrap_or_default();
        let length = waiting.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..length), waiting.get(..length)) {
            to.copy_from_slice(from);
        }
        self.taken += length;
        length
    }

    fn account(&mut self, read: usize) -> io::Result<usize> {
        match &mut self.framing {
            Framing::UntilClose if read == 0 => self.framing = Framing::Length(0),
            Framing::UntilClose => {}
            _ if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Framing::Length(remaining) | Framing::Chunked(Chunked::Data(remaining)) => {
                *remaining = remaining.saturating_sub(read as u64);
            }
            Framing::Chunked(_) => {}
        }
        Ok(read)
    }

    /// Reads some bytes of the body; none at its end.
    pub(crate) async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_body(cx, room)).await
    }

    /// Reads what is left of the body, up to `max` bytes.
    pub(crate) async fn rest(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let filled = bytes.len();
            bytes.resize(filled + READ_BYTES, 0);
            let room = bytes.get_mut(filled..).unwrap_or_default();
            let read = self.read(room).await?;
            bytes.truncate(filled + read);
            if read == 0 {
                return Ok(bytes);
            }
            if bytes.len() > max {
                return Err(invalid(format!("the answer is longer than {max} bytes")));
            }
        }
    }

    /// Goes over the end of a body whose data is complete.
    ///
    /// # Errors
    ///
    /// Where more follows.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        if self.framing.is_done() {
            return Ok(());
        }
        let mut one = [0];
        match self.read(&mut one).await? {
            0 => Ok(()),
            _ => Err(invalid("the answer is longer than it should be".into())),
        }
    }

    /// Bytes that have come and that nobody has read; as far as the kernel tells.
    pub(crate) fn unread(&self) -> u64 {
        let ahead = (self.ahead.len() - self.taken) as u64;
        let socket = match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0,
        };
        ahead + rustix::io::ioctl_fionread(socket).unwrap_or(0)
    }

    /// Whether another request may be sent.
    pub(crate) fn is_reusable(&self) -> bool {
        self.keep_alive && self.framing.is_done() && self.taken == self.ahead.len()
    }
}

impl Transport {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(room);
        let read = match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut buffer),
        };
        ready!(read)?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
