//! The server of the measurements: `benches/origin`, a process of its own, so that its work is not counted as a client's.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running origin; it ends when this is dropped.
pub(super) struct Origin {
    process: Child,
    url: String,
}

impl Origin {
    /// Starts `program` with the given options on a port that the system chooses.
    pub(super) fn start(program: &Path, options: &[&str]) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = process.stdout.take().context("the origin has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let _ = process.kill();
            bail!("the origin said {line:?}");
        };
        Ok(Self {
            url: url.to_owned(),
            process,
        })
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
