//! One connection: it says its script and compares what it hears with it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::script::Script;

/// Of a wrong answer that is shown.
const SHOWN_BYTES: usize = 80;

/// A connection, and where in its script it is.
pub(crate) struct Connection<'s> {
    stream: TcpStream,
    script: &'s Script,
    pipeline: usize,
    /// The requests that are under way, those apart whose answers were already counted.
    batch: Range<usize>,
    /// Bytes of the script's requests that are to be sent.
    unsent: Range<usize>,
    /// Bytes of the script's answers that must come.
    unread: Range<usize>,
    sent: Instant,
}

impl<'s> Connection<'s> {
    pub(crate) fn new(stream: TcpStream, script: &'s Script, pipeline: usize) -> Self {
        Self {
            stream,
            script,
            pipeline,
            batch: 0..0,
            unsent: 0..0,
            unread: 0..0,
            sent: Instant::now(),
        }
    }

    /// Whether the batch that was sent last is also the last of the script.
    pub(crate) fn is_at_end(&self) -> bool {
        self.batch.end == self.script.len()
    }

    /// When the batch was sent.
    pub(crate) fn sent(&self) -> Instant {
        self.sent
    }

    /// Whether answers are to come.
    pub(crate) fn is_busy(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Begins the next requests of the script, or the first ones again.
    pub(crate) fn next(&mut self, now: Instant) -> Result<()> {
        let start = self.batch.end % self.script.len();
        self.batch = start..(start + self.pipeline).min(self.script.len());
        self.unsent = self.script.requests().span(&self.batch);
        self.unread = self.script.answers().span(&self.batch);
        self.sent = now;
        self.send()
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn send(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self
                .stream
                .write(self.script.requests().bytes(self.unsent.clone()))
            {
                Ok(length) => self.unsent.start += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot send to the server"),
            }
        }
        Ok(())
    }

    /// Reads what has come, which must be what the script says, and returns its length.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = match self.stream.read(buffer) {
            Ok(0) => bail!("the server closed a connection that waits for answers"),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error).context("cannot read from the server"),
        };
        let came = buffer.get(..length).unwrap_or_default();
        let right = self.script.answers().bytes(self.unread.clone());
        if !right.starts_with(came) {
            bail!(self.complaint(came, right));
        }
        self.unread.start += length;
        Ok(length)
    }

    /// How many answers are complete that were not counted before.
    pub(crate) fn take_answered(&mut self) -> usize {
        let answered = self.script.answers().ended(&self.batch, self.unread.start);
        self.batch.start += answered;
        answered
    }

    /// Names the first request whose answer is not the right one.
    fn complaint(&self, came: &[u8], right: &[u8]) -> String {
        let pairs = came.iter().zip(right);
        let same = pairs.take_while(|(came, right)| came == right).count();
        let (requests, answers) = (self.script.requests(), self.script.answers());
        let wrong = self.batch.start + answers.ended(&self.batch, self.unread.start + same);
        let wrong = wrong..wrong + 1;
        let answer = answers.span(&wrong);
        let came = came.iter().skip(answer.start.saturating_sub(self.unread.start));
        let came: Vec<u8> = came.take(SHOWN_BYTES).copied().collect();
        format!(
            "to \"{}\" the server answers \"{}\" instead of \"{}\"",
            requests.bytes(requests.span(&wrong)).escape_ascii(),
            came.escape_ascii(),
            answers.bytes(answer).escape_ascii(),
        )
    }
}
