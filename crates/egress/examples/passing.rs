//! What the proxy costs: bytes a second, connections a second and memory a connection, each beside the same without it.
//!
//! `cargo run --release -p egress --example passing [MEBIBYTES [CONNECTIONS]]`

#![expect(clippy::print_stdout, reason = "it is a report")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_trait::async_trait;
use egress::{Outside, Policy, Proxy, Sockets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1024 * 1024;

/// All connections go to one server.
struct Only(SocketAddr);

#[async_trait]
impl Outside for Only {
    fn target(&self, _: &TcpStream) -> io::Result<SocketAddr> {
        Ok(self.0)
    }

    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(Vec::new())
    }

    fn own(&self) -> Vec<IpAddr> {
        Vec::new()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mebibytes = arguments.next().transpose()?.unwrap_or(2048);
    let connections = arguments.next().transpose()?.unwrap_or(1000);
    let server = serve(mebibytes * MIB).await?;
    let (proxy, through) = start(server, connections)?;
    for (way, address) in [("directly", server), ("through the proxy", through)] {
        println!("{way}: {:.2} GB/s", throughput(address, mebibytes * MIB).await?);
        println!(
            "{way}: {:.0} connections/s, one after the other",
            rate(address, connections).await?
        );
        println!(
            "{way}: {:.1} KiB of this process a silent connection",
            memory(address, connections).await?
        );
    }
    proxy.stop().await;
    Ok(())
}

/// A server that sends so many bytes to whoever says "b", and one to whoever says anything else.
async fn serve(bytes: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, bytes));
        }
    });
    Ok(address)
}

async fn answer(mut stream: TcpStream, bytes: usize) -> io::Result<()> {
    if stream.read_u8().await? != b'b' {
        return stream.write_all(b"!").await;
    }
    let block = vec![7; MIB];
    for _ in 0..bytes / MIB {
        stream.write_all(&block).await?;
    }
    Ok(())
}

fn start(server: SocketAddr, connections: usize) -> Result<(Proxy, SocketAddr)> {
    let sockets = Sockets {
        connections: std::net::TcpListener::bind("127.0.0.1:0")?,
        names: UdpSocket::bind("127.0.0.1:0")?,
        names_tcp: std::net::TcpListener::bind("127.0.0.1:0")?,
    };
    let address = sockets.connections.local_addr()?;
    let policy = Policy {
        allow_private: true,
        max_connections: connections + 1,
        max_connections_per_site: usize::MAX,
        gap: Duration::ZERO,
        ..Policy::default()
    };
    let proxy = Proxy::start_with(
        Only(server),
        sockets,
        policy,
        Arc::default(),
        None,
        Arc::new(|_: &str| {}),
    )?;
    Ok((proxy, address))
}

/// Gigabytes a second.
async fn throughput(address: SocketAddr, bytes: usize) -> Result<f64> {
    let mut stream = TcpStream::connect(address).await?;
    let start = Instant::now();
    stream.write_all(b"b").await?;
    let mut buffer = vec![0; MIB];
    let mut heard = 0;
    while heard < bytes {
        heard += stream.read(&mut buffer).await?;
    }
    Ok(bytes as f64 / 1e9 / start.elapsed().as_secs_f64())
}

async fn rate(address: SocketAddr, connections: usize) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"?").await?;
        stream.read_u8().await?;
    }
    Ok(connections as f64 / start.elapsed().as_secs_f64())
}

/// Kibibytes that every connection adds, with the client's and the server's share.
async fn memory(address: SocketAddr, connections: usize) -> Result<f64> {
    let before = resident()?;
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"?").await?;
        stream.read_u8().await?;
        streams.push(stream);
    }
    Ok((resident()? - before) / connections as f64)
}

/// Kibibytes in memory.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}
