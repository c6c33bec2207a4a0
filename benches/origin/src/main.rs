//! `origin`: the server on a command line.

mod args;

use anyhow::{Context, Result};
use args::Args;
use clap::Parser;
use origin::Origin;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let origin = Origin::start(args.config()).context("cannot start; is the address taken?")?;
    for (bucket, objects) in args.objects() {
        origin.put_many(&bucket, objects);
    }
    announce(&origin).context("cannot write to standard output")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for SIGINT"),
    }
}

/// One line per address, once everything is there to be asked for.
fn announce(origin: &Origin) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for address in origin.addresses() {
        writeln!(output, "listening on http://{address}")?;
    }
    output.flush()
}
