//! A client for what servers of this machine show.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The body of `path` at `address` (`host:port`), which must be there.
pub fn get(address: &str, path: &str) -> Result<String> {
    ask(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"),
    )
}

/// The body of `path`, as JSON.
pub fn get_json(address: &str, path: &str) -> Result<Value> {
    Ok(serde_json::from_str(&get(address, path)?)?)
}

/// Sends JSON, which must be taken; the answer, as JSON.
pub fn post(address: &str, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n");
    let answer = ask(address, &format!("{head}Content-Length: {length}\r\n\r\n{body}"))?;
    Ok(serde_json::from_str(&answer)?)
}

/// To HTTP/1.0 everything is sent as it is, up to the end of the connection.
fn ask(address: &str, request: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status.starts_with('2'), "{request}\n{answer}");
    Ok(body.to_owned())
}
