//! `load`: the client on a command line. It writes one line of JSON, a [`load::Report`].

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use load::{Ask, Load, Protocol, run};

/// Loads a server with packages, asks it for some seconds, and says how fast it answered.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// What the server speaks.
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Where it listens: 127.0.0.1:8080.
    #[arg(long)]
    address: SocketAddr,
    /// Reads (QUERY, GET) or writes (INDEX, SET).
    #[arg(long, value_enum)]
    ask: Ask,
    /// Connections that ask at the same time.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Requests that a connection sends at once before it waits for all of their answers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pipeline: u16,
    /// How long to ask, in seconds.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Packages that are asked for or written.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    packages: u32,
    /// The server's process, to count its processor time.
    #[arg(long)]
    server_pid: Option<u32>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let report = run(&Load {
        protocol: args.protocol,
        address: args.address,
        ask: args.ask,
        connections: args.connections.into(),
        pipeline: args.pipeline.into(),
        duration: Duration::from_secs_f64(args.seconds),
        packages: args.packages as usize,
        server_pid: args.server_pid,
    })?;
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &report)?;
    Ok(writeln!(output)?)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.01 to 3600".to_owned()),
    }
}
