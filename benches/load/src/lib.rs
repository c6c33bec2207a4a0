//! A load client for servers that keep packages: an index that speaks lines, and Redis.
//!
//! The comparison is to be one of servers, so everything but the bytes is the same for both: names, order, connections, pipelining,
//! system calls, clocks. All requests are written into memory before the measurement, and beside them the answer that each must
//! get. What is left to do while the clock runs is to send a slice, to compare what comes with another slice, and to note the time.
//! One thread does it, because the servers need the other cores.
//!
//! It is a closed loop: a connection sends its next requests when all answers to the last ones are there. A request's latency is the
//! time from sending the ones it was sent with to reading its own answer.
#![forbid(unsafe_code)]

mod connection;
mod drive;
mod packages;
mod process;
mod protocol;
mod script;
mod workload;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use drive::{Measured, Until, drive};
use process::cpu_time;
pub use protocol::Protocol;
pub use workload::Ask;
use workload::Workload;

/// Connections that fill the server: several, so that it can put many writes into one wait for the disk.
const FILLING_CONNECTIONS: usize = 16;
/// Requests that each of them sends at once.
const FILLING_PIPELINE: usize = 256;

/// Whom to ask, what and how.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the server speaks.
    pub protocol: Protocol,
    /// Where it listens.
    pub address: SocketAddr,
    /// What is asked.
    pub ask: Ask,
    /// Connections that ask at the same time; at least one.
    pub connections: usize,
    /// Requests that a connection sends at once before it waits for all of their answers; at least one.
    pub pipeline: usize,
    /// How long to ask.
    pub duration: Duration,
    /// Packages that are asked for or written; not fewer than connections.
    pub packages: usize,
    /// The server's process, to count its processor time.
    pub server_pid: Option<u32>,
}

/// How fast the answers came, every one of them the right one.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests that were answered.
    pub requests: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Requests answered in a second.
    pub per_second: f64,
    /// Half of the requests took no longer, in microseconds.
    pub p50_us: f64,
    /// 99 % of the requests took no longer, in microseconds.
    pub p99_us: f64,
    /// 99.9 % of the requests took no longer, in microseconds.
    pub p999_us: f64,
    /// The longest, in microseconds.
    pub max_us: f64,
    /// Processor time of the server for a million requests, in seconds, where its process is known.
    pub server_cpu_s: Option<f64>,
    /// Processor time of this client for a million requests, in seconds.
    pub client_cpu_s: f64,
}

/// Fills the server with the packages, then asks for as long as `load` says.
///
/// # Errors
///
/// When `load` is outside its limits, or the server cannot be reached, closes a connection, says nothing for half a minute, or answers anything but
/// what is right.
pub fn run(load: &Load) -> Result<Report> {
    ensure!(
        load.pipeline > 0 && load.connections > 0 && load.packages >= load.connections,
        "ask for at least one request on one connection, and as many packages as connections"
    );
    let workload = Workload::new(load.protocol, load.ask, load.packages);
    for scripts in [workload.dependencies(), workload.filling(FILLING_CONNECTIONS)] {
        drive(load.address, &scripts, FILLING_PIPELINE, Until::Once)
            .context("while the server was filled")?;
    }
    let scripts = workload.asking(load.connections);
    let server_before = load.server_pid.map(cpu_time).transpose()?;
    let client_before = cpu_time(std::process::id())?;
    let measured = drive(
        load.address,
        &scripts,
        load.pipeline,
        Until::Elapsed(load.duration),
    )?;
    let client = cpu_time(std::process::id())?.saturating_sub(client_before);
    let server = load.server_pid.map(cpu_time).transpose()?;
    let server = server
        .zip(server_before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok(report(&measured, server, client))
}

fn report(measured: &Measured, server: Option<Duration>, client: Duration) -> Report {
    let requests = measured.latencies_ns.len();
    let per_million = |cpu: Duration| cpu.as_secs_f64() / requests as f64 * 1e6;
    let quantile_us = |quantile| measured.latencies_ns.value_at_quantile(quantile) as f64 / 1e3;
    Report {
        requests,
        seconds: measured.elapsed.as_secs_f64(),
        per_second: requests as f64 / measured.elapsed.as_secs_f64(),
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
        p999_us: quantile_us(0.999),
        max_us: measured.latencies_ns.max() as f64 / 1e3,
        server_cpu_s: server.map(per_million),
        client_cpu_s: per_million(client),
    }
}
