//! Data goes to stdout, talk goes to stderr.

use std::io::{self, Write};

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
        .with_target(false)
        .init();
}

/// `1536` as `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
