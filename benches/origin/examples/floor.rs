//! What a client reaches that does nothing but read: `floor ADDRESS PATH CONNECTIONS REQUESTS`.
//!
//! Every connection has a thread, asks for the path again and again (`REQUESTS` in all) and throws the answer away.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

/// How much is read at once.
const BUFFER_BYTES: usize = 256 << 10;

#[expect(clippy::print_stdout, reason = "the result of the program")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, connections, requests] = &arguments[..] else {
        anyhow::bail!("usage: floor ADDRESS PATH CONNECTIONS REQUESTS");
    };
    let (connections, requests): (usize, usize) = (connections.parse()?, requests.parse()?);
    ensure!(connections > 0, "at least one connection is needed");
    let begin = Instant::now();
    let bytes = thread::scope(|scope| {
        let fetch = || fetch(address, path, requests / connections);
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(fetch)).collect();
        let bytes = threads
            .into_iter()
            .map(|thread| thread.join().expect("the threads return their errors"));
        bytes.sum::<Result<u64>>()
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let (rate, throughput) = (requests as f64 / seconds, bytes as f64 / seconds / 1e9);
    println!("{rate:.0} requests/s, {throughput:.2} GB/s, {seconds:.2} s");
    Ok(())
}

/// Asks `requests` times on one connection and counts the bytes of the bodies.
fn fetch(address: &str, path: &str, requests: usize) -> Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    for _ in 0..requests {
        stream.write_all(request.as_bytes())?;
        bytes += read_answer(&mut stream, &mut buffer)?;
    }
    Ok(bytes)
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<u64> {
    let mut filled = 0;
    let head = loop {
        let count = stream.read(&mut buffer[filled..])?;
        ensure!(count > 0, "the connection ended within a head");
        filled += count;
        if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let length = content_length(&buffer[..head]).context("an answer without a length")?;
    let mut left = length - (filled - head) as u64;
    while left > 0 {
        let most = left.min(buffer.len() as u64) as usize;
        let count = stream.read(&mut buffer[..most])?;
        ensure!(count > 0, "the connection ended within a body");
        left -= count as u64;
    }
    Ok(length)
}

fn content_length(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lengths = head
        .lines()
        .filter_map(|line| line.strip_prefix("Content-Length: "));
    lengths.next()?.parse().ok()
}
