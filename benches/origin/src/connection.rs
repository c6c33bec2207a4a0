//! One connection: heads in, answers out, until it ends.

use crate::Fault;
use crate::answer::{Answer, Body, answer};
use crate::content::{mix, segments};
use crate::pacing;
use crate::request::{MAX_HEAD_BYTES, Method, Parsed, Request, parse};
use crate::server::Server;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::net::{SendFlags, send, sockopt};
use std::io::{self, Read};
use std::net::TcpStream;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

/// How much one call hands to the kernel, and the size of a chunk. Larger ones cost as much; smaller ones show sooner
/// in the counters.
const BLOCK_BYTES: u64 = 1 << 20;

/// Serves a connection until it ends.
pub(crate) fn serve(server: &Server, stream: &TcpStream) {
    let mut sender = Sender {
        server,
        stream,
        rate: u64::MAX,
    };
    let mut received = Received::new();
    // An error is the end of the connection, which nobody is left to be told of.
    _ = stream
        .set_nodelay(true)
        .and_then(|()| sender.wait(Some(server.accept_delay)));
    while let Ok(ControlFlow::Continue(())) = received.serve_next(&mut sender) {}
}

/// Bytes that came and were not yet answered; requests may come before the answer to the last one.
struct Received {
    bytes: Vec<u8>,
    filled: usize,
}

impl Received {
    fn new() -> Self {
        Self {
            bytes: vec![0; MAX_HEAD_BYTES],
            filled: 0,
        }
    }

    /// Waits for a request and answers it.
    fn serve_next(&mut self, sender: &mut Sender<'_>) -> io::Result<ControlFlow<()>> {
        loop {
            match parse(&self.bytes[..self.filled]) {
                Parsed::Partial => {}
                Parsed::Invalid => return sender.refuse(),
                Parsed::Request(request, length) => {
                    let flow = sender.respond(&request)?;
                    self.bytes.copy_within(length..self.filled, 0);
                    self.filled -= length;
                    return Ok(flow);
                }
            }
            let count = sender.stream.read(&mut self.bytes[self.filled..])?;
            if count == 0 {
                return Ok(ControlFlow::Break(()));
            }
            self.filled += count;
        }
    }
}

/// The sending half.
struct Sender<'a> {
    server: &'a Server,
    stream: &'a TcpStream,
    /// The pacing rate of the socket; all bits set is none.
    rate: u64,
}

/// How an answer tells where its body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    Close,
}

impl Sender<'_> {
    /// Answers a request; the connection may go on or not.
    fn respond(&mut self, request: &Request<'_>) -> io::Result<ControlFlow<()>> {
        let mut answer = answer(self.server, request);
        let counters = &self.server.counters;
        let fault = answer.plan.fault;
        let is_told = !matches!(fault, Some(Fault::Silent | Fault::Garbage));
        counters.answer_begins(answer.kind, is_told.then_some(answer.status), fault);
        let delivered = self.deliver(&mut answer, request);
        counters.answer_ended();
        delivered?;
        let goes_on = request.keeps_alive && framing(fault) != Framing::Close;
        Ok(if goes_on {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    }

    /// Answers bytes that are no request.
    fn refuse(&mut self) -> io::Result<ControlFlow<()>> {
        let answer = Answer::bad_request();
        self.server
            .counters
            .answer_begins(answer.kind, Some(answer.status), None);
        let sent = self.send(head(&answer, Framing::Close).as_bytes(), SendFlags::empty());
        self.server.counters.answer_ended();
        sent.map(|()| ControlFlow::Break(()))
    }

    /// Does what the plan of the answer says. An error ends the connection, whether the client or a fault caused it.
    fn deliver(&mut self, answer: &mut Answer, request: &Request<'_>) -> io::Result<()> {
        self.pace(answer.plan.rate)?;
        self.wait(Some(answer.plan.delay))?;
        if let Some((bucket, object)) = &answer.overwrites {
            bucket.put(&request.key, object.next_version());
        }
        match answer.plan.fault {
            Some(Fault::Silent) => return self.wait(None),
            Some(Fault::Garbage) => return self.end_after(b"garbage instead of a status line\r\n\r\n"),
            _ => {}
        }
        let length = if request.method == Method::Head {
            0
        } else {
            answer.body.length()
        };
        let mut sent = 0;
        let delivered = self.deliver_body(answer, length, &mut sent);
        if let Body::Content { seed, range } = &answer.body {
            let range = range.start..range.start + sent;
            self.server
                .counters
                .range_sent(&request.bucket, &request.key, *seed, range);
        }
        delivered
    }

    /// Sends the head and `length` bytes of the body, or what the fault leaves of them.
    fn deliver_body(&mut self, answer: &mut Answer, length: u64, sent: &mut u64) -> io::Result<()> {
        let fault = answer.plan.fault;
        let breaks = matches!(
            fault,
            Some(Fault::Reset | Fault::Close | Fault::Stall | Fault::Corrupt)
        );
        let first = if breaks {
            answer.plan.fault_position(length)
        } else {
            length
        };
        let framing = framing(fault);
        let flags = if first > 0 {
            SendFlags::MORE
        } else {
            SendFlags::empty()
        };
        self.send(head(answer, framing).as_bytes(), flags)?;
        if framing == Framing::Chunked {
            return self.send_chunked(&answer.body, length, sent);
        }
        self.send_part(&answer.body, 0..first, sent)?;
        match fault {
            Some(Fault::Reset) => return self.reset(),
            Some(Fault::Close) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Fault::Stall) => self.wait(answer.plan.stall)?,
            Some(Fault::Corrupt) => return self.send_part(&corrupted(&answer.body), first..length, sent),
            _ => {}
        }
        self.send_part(&answer.body, first..length, sent)
    }

    /// Sends a part of a body and counts it, also when sending fails half way.
    fn send_part(&self, body: &Body, part: Range<u64>, sent: &mut u64) -> io::Result<()> {
        match body {
            Body::Bytes(bytes) => {
                self.send(&bytes[part.start as usize..part.end as usize], SendFlags::empty())?;
                self.count(part.end - part.start, sent);
                Ok(())
            }
            Body::Content { seed, range } => {
                let positions = range.start + part.start..range.start + part.end;
                segments(*seed, positions).try_for_each(|segment| self.send_segment(segment, sent))
            }
        }
    }

    fn send_segment(&self, segment: Range<u64>, sent: &mut u64) -> io::Result<()> {
        let mut at = segment.start;
        while at < segment.end {
            let count = (segment.end - at).min(BLOCK_BYTES) as usize;
            // `at` moves as far as bytes were taken.
            match sendfile(self.stream, self.server.pattern.file(), Some(&mut at), count) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.count(count as u64, sent),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn send_chunked(&self, body: &Body, length: u64, sent: &mut u64) -> io::Result<()> {
        for start in (0..length).step_by(BLOCK_BYTES as usize) {
            let end = length.min(start + BLOCK_BYTES);
            self.send(format!("{:x}\r\n", end - start).as_bytes(), SendFlags::MORE)?;
            self.send_part(body, start..end, sent)?;
            self.send(b"\r\n", SendFlags::MORE)?;
        }
        self.send(b"0\r\n\r\n", SendFlags::empty())
    }

    fn count(&self, bytes: u64, sent: &mut u64) {
        *sent += bytes;
        self.server.counters.bytes_sent(bytes);
    }

    fn send(&self, bytes: &[u8], flags: SendFlags) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match send(self.stream, rest, flags | SendFlags::NOSIGNAL) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn end_after(&self, bytes: &[u8]) -> io::Result<()> {
        self.send(bytes, SendFlags::empty())?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Makes the close that follows a reset.
    fn reset(&self) -> io::Result<()> {
        sockopt::set_socket_linger(self.stream, Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Waits, without end for `None`. A client that goes away meanwhile is an error.
    fn wait(&self, time: Option<Duration>) -> io::Result<()> {
        if time == Some(Duration::ZERO) {
            return Ok(());
        }
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let mut client = [PollFd::new(self.stream, PollFlags::RDHUP)];
        match poll(&mut client, time.as_ref())? {
            0 => Ok(()),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn pace(&mut self, rate: Option<u64>) -> io::Result<()> {
        let rate = rate.unwrap_or(u64::MAX);
        if rate != self.rate {
            pacing::set_rate(self.stream, rate)?;
            self.rate = rate;
        }
        Ok(())
    }
}

fn framing(fault: Option<Fault>) -> Framing {
    match fault {
        Some(Fault::Chunked) => Framing::Chunked,
        Some(Fault::CloseDelimited) => Framing::Close,
        _ => Framing::Length,
    }
}

fn head(answer: &Answer, framing: Framing) -> String {
    let (status, reason, fields) = (answer.status, reason(answer.status), &answer.fields);
    let framing = match framing {
        Framing::Length if status == 304 => String::new(),
        Framing::Length => format!("Content-Length: {}\r\n", answer.body.length()),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        Framing::Close => "Connection: close\r\n".to_owned(),
    };
    format!("HTTP/1.1 {status} {reason}\r\nServer: origin\r\n{fields}{framing}\r\n")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

/// A body of the same length that differs in (almost) every byte.
fn corrupted(body: &Body) -> Body {
    match body {
        Body::Bytes(bytes) => Body::Bytes(bytes.iter().map(|byte| !byte).collect()),
        Body::Content { seed, range } => Body::Content {
            seed: mix(!seed),
            range: range.clone(),
        },
    }
}
