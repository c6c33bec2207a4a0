//! A client that sends bytes and takes answers apart.

use origin::Origin;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What came on a connection until it ended.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The connection ended with an error instead of in good order.
    pub(crate) error: Option<ErrorKind>,
}

impl Reply {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Sends a request line with fields (each ended by CRLF) and reads until the connection ends.
pub(crate) fn send(origin: &Origin, request_line: &str, fields: &str) -> Reply {
    let text = format!("{request_line} HTTP/1.1\r\nHost: origin\r\n{fields}Connection: close\r\n\r\n");
    let (bytes, error) = exchange(origin, text.as_bytes());
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(bytes.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Reply {
        status,
        head,
        body: bytes[end..].to_vec(),
        error,
    }
}

/// `GET` with an optional range.
pub(crate) fn get(origin: &Origin, path: &str, range: Option<&str>) -> Reply {
    let fields = range
        .map(|range| format!("Range: bytes={range}\r\n"))
        .unwrap_or_default();
    send(origin, &format!("GET {path}"), &fields)
}

/// Sends bytes and reads until the connection ends.
pub(crate) fn exchange(origin: &Origin, bytes: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    stream.write_all(bytes).unwrap();
    let mut received = Vec::new();
    let error = stream.read_to_end(&mut received).err().map(|error| error.kind());
    (received, error)
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come to hold");
        std::thread::yield_now();
    }
}
