//! Data goes to stdout, talk goes to stderr.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::config;

/// How a command answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON document (or line per record) instead of text.
    pub(crate) json: bool,
}

impl Output {
    /// Writes one JSON document in a line.
    pub(crate) fn json<T: Serialize>(self, value: &T) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Writes a line of data.
    pub(crate) fn line(self, text: &str) -> anyhow::Result<()> {
        match writeln!(io::stdout().lock(), "{text}") {
            // Whoever reads has read enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

/// Many lines of data, written some at a time.
pub(crate) struct Lines(BufWriter<Stdout>);

impl Lines {
    pub(crate) fn to_stdout() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    /// Writes a line of data. False when whoever reads has read enough.
    pub(crate) fn write(&mut self, text: &str) -> anyhow::Result<bool> {
        self.is_read(|out| writeln!(out, "{text}"))
    }

    /// Writes what still waits. False when whoever reads has read enough.
    pub(crate) fn flush(&mut self) -> anyhow::Result<bool> {
        self.is_read(Write::flush)
    }

    fn is_read(
        &mut self,
        write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>,
    ) -> anyhow::Result<bool> {
        match write(&mut self.0) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => Ok(written.map(|()| true)?),
        }
    }
}

/// Says something to the person at the terminal.
pub(crate) fn say(text: &str) {
    // There is nobody left to tell where stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Sends the log to stderr: warnings, and with `-v` what happens, with `-vv` everything.
pub(crate) fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env(config::LOG_FILTER).unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// `1536` as `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
