//! The loop that sends and reads, and the clock.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::connection::Connection;
use crate::script::Script;

/// A server that says nothing for so long has lost a request.
const PATIENCE: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};
/// What is read at once; larger than most answers to one pipeline, so that one call reads them all.
const READ_BYTES: usize = 64 << 10;
/// Decimal digits of a latency that are kept.
const DIGITS: u8 = 3;

/// When to stop.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// Every request of every script was asked once.
    Once,
    /// No more is sent after this time; what was sent is waited for.
    Elapsed(Duration),
}

/// What came back.
pub(crate) struct Measured {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// One for each answer.
    pub(crate) latencies_ns: Histogram<u64>,
}

/// Asks `address` each script on a connection of its own, `pipeline` requests at a time.
pub(crate) fn drive(
    address: SocketAddr,
    scripts: &[Script],
    pipeline: usize,
    until: Until,
) -> Result<Measured> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let connections = scripts.iter().enumerate().map(|(at, script)| {
        let stream = connect(address, &epoll, at)?;
        Ok(Connection::new(stream, script, pipeline))
    });
    let connections = connections.collect::<Result<_>>()?;
    let mut drive = Drive {
        epoll,
        connections,
        buffer: vec![0; READ_BYTES],
        latencies_ns: Histogram::new(DIGITS)?,
        until,
    };
    let started = Instant::now();
    drive.run(started)?;
    Ok(Measured {
        elapsed: started.elapsed(),
        latencies_ns: drive.latencies_ns,
    })
}

fn connect(address: SocketAddr, epoll: &OwnedFd, at: usize) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    // Edges, so that what is waited for never has to be changed: that would be a call more for each request.
    let edges = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    epoll::add(epoll, &stream, epoll::EventData::new_u64(at as u64), edges)?;
    Ok(stream)
}

struct Drive<'s> {
    epoll: OwnedFd,
    connections: Vec<Connection<'s>>,
    buffer: Vec<u8>,
    latencies_ns: Histogram<u64>,
    until: Until,
}

impl Drive<'_> {
    fn run(&mut self, started: Instant) -> Result<()> {
        for connection in &mut self.connections {
            connection.next(Instant::now())?;
        }
        let mut busy = self.connections.len();
        let mut events = Vec::with_capacity(busy);
        while busy > 0 {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&PATIENCE)) {
                Ok(0) => bail!("the server leaves {busy} connections without an answer"),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                busy -= usize::from(self.attend(event.data.u64() as usize, started)?);
            }
        }
        Ok(())
    }

    /// Sends and reads what can be on a connection; true when it has just done the last of its work.
    fn attend(&mut self, at: usize, started: Instant) -> Result<bool> {
        let connection = self.connections.get_mut(at);
        let Some(connection) = connection.filter(|connection| connection.is_busy()) else {
            return Ok(false);
        };
        connection.send()?;
        loop {
            let length = connection.read(&mut self.buffer)?;
            let now = Instant::now();
            let answered = connection.take_answered();
            if answered > 0 {
                let latency = now.duration_since(connection.sent()).as_nanos();
                self.latencies_ns.record_n(latency as u64, answered as u64)?;
            }
            if !connection.is_busy() {
                let is_over = self.until.is_over(connection, now.duration_since(started));
                if !is_over {
                    connection.next(now)?;
                }
                return Ok(is_over);
            }
            if length < self.buffer.len() {
                return Ok(false);
            }
        }
    }
}

impl Until {
    fn is_over(self, connection: &Connection<'_>, elapsed: Duration) -> bool {
        match self {
            Self::Once => connection.is_at_end(),
            Self::Elapsed(duration) => elapsed >= duration,
        }
    }
}
