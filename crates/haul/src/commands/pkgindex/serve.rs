use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pkgindex::{
    Acknowledge, Http, HttpOptions, Index, Measure, Options, Sample, Samples, Server, ServerCounts,
    ServerOptions,
};
use serde_json::json;

use crate::assembly::{PackageStoreOptions, open_package_index};
use crate::cli::pkgindex::{Cycles, Durability, HttpAddress, Serve};
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::shutdown;

/// The port of the three commands, as the challenge has it.
const PORT: u16 = 8080;
/// The port of questions.
const HTTP_PORT: u16 = 8081;

/// Serves an index until Ctrl-C: commands over TCP, questions over HTTP.
pub(crate) async fn run(output: Output, serve: &Serve) -> Result<Exit> {
    let stop = shutdown::listen()?;
    let server = Server::bind(&addresses(&serve.addresses, PORT), server_options(serve))?;
    let http = Http::bind(&http_addresses(&serve.http), HttpOptions::default()).await?;
    let index = open(serve)?;
    say(output, &server, &http, &index)?;
    let counts = server.counts();
    let samples: Samples = Arc::new(move || samples(&counts));
    let stopped = stop.clone();
    let questions = tokio::spawn(http.run(index.clone(), samples, async move { stopped.cancelled().await }));
    server.run(index, stop.cancelled()).await?;
    questions.await?;
    Ok(Exit::Done)
}

fn open(serve: &Serve) -> Result<Index> {
    let store = PackageStoreOptions {
        durability: match serve.durability {
            Durability::Always => pkgindex::store::Durability::Always,
            Durability::Interval => pkgindex::store::Durability::Interval(Duration::from_secs(1)),
            Durability::None => pkgindex::store::Durability::None,
        },
        accept_volatile: serve.accept_volatile,
    };
    let options = Options {
        cycles: match serve.cycles {
            Cycles::Literal => pkgindex::Cycles::Literal,
            Cycles::Reject => pkgindex::Cycles::Reject,
            Cycles::Report => pkgindex::Cycles::Report,
        },
        acknowledge: match serve.durability {
            Durability::Always => Acknowledge::Committed,
            Durability::Interval | Durability::None => Acknowledge::Applied,
        },
        staleness: Duration::from_millis(serve.staleness_ms),
        ..Options::default()
    };
    open_package_index(&serve.store, &store, options)
}

fn server_options(serve: &Serve) -> ServerOptions {
    let defaults = ServerOptions::default();
    let connections = serve
        .max_connections
        .and_then(|connections| usize::try_from(connections).ok());
    ServerOptions {
        max_connections: connections.unwrap_or(defaults.max_connections),
        max_line_bytes: usize::try_from(serve.max_line).unwrap_or(usize::MAX),
        idle_timeout: serve.idle_timeout,
        workers: serve.threads.unwrap_or(defaults.workers),
        ..defaults
    }
}

/// What was asked for, or this machine's own addresses as far as it has them.
fn addresses(asked: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let own = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    // A machine may have no IPv6; any port shows that.
    let exists = |address: &SocketAddr| TcpListener::bind((address.ip(), 0)).is_ok();
    own.into_iter().filter(exists).collect()
}

fn http_addresses(asked: &[HttpAddress]) -> Vec<SocketAddr> {
    if asked.contains(&HttpAddress::Nowhere) {
        return Vec::new();
    }
    let asked: Vec<_> = asked
        .iter()
        .filter_map(|address| match address {
            HttpAddress::At(address) => Some(*address),
            HttpAddress::Nowhere => None,
        })
        .collect();
    addresses(&asked, HTTP_PORT)
}

fn say(output: Output, server: &Server, http: &Http, index: &Index) -> Result<()> {
    let sizes = index.sizes();
    let listed = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (commands, questions) = (listed(server.addresses()), listed(http.addresses()));
    output::say(&format!(
        "{} packages at revision {}, kept by {}; commands at {} (Ctrl-C stops)",
        sizes.packages,
        sizes.revision,
        index.store_name(),
        commands.join(" and ")
    ));
    for address in &questions {
        output::say(&format!("questions, metrics and health at http://{address}/"));
    }
    if output.json {
        output.json(&json!({ "listening": commands, "http": questions }))?;
    }
    Ok(())
}

fn samples(counts: &ServerCounts) -> Vec<Sample> {
    let count = |name, help, value| Sample {
        name,
        help,
        value,
        measure: Measure::Count,
    };
    vec![
        Sample {
            name: "connections",
            help: "Open connections of the three commands",
            value: counts.connections(),
            measure: Measure::Level,
        },
        count(
            "connections_accepted",
            "Connections that were accepted",
            counts.connections_total(),
        ),
        count(
            "accept_waits",
            "Times that a client waited because too many were there",
            counts.accept_waits(),
        ),
        count(
            "accept_failures",
            "Times that the system had no room for a connection",
            counts.accept_failures(),
        ),
        count(
            "lines_too_long",
            "Lines that were longer than the limit",
            counts.lines_too_long(),
        ),
        count("received_bytes", "Bytes of commands", counts.bytes_in()),
        count("sent_bytes", "Bytes of answers", counts.bytes_out()),
        count(
            "idle_timeouts",
            "Connections closed because nothing came",
            counts.idle_timeouts(),
        ),
        count(
            "write_timeouts",
            "Connections closed because answers were not taken",
            counts.write_timeouts(),
        ),
        count(
            "connections_unavailable",
            "Connections closed because the store did not answer",
            counts.unavailable(),
        ),
    ]
}
