//! What a client says first, and which host it names there.

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::net::TcpStream;

/// What is read at most before it is decided what a client speaks.
const OPENING_BYTES_MAX: usize = 16 * 1024;
/// What is read at once.
const READ_BYTES: usize = 4 * 1024;

/// What a client speaks, by its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// TLS, with the server name that it asks for.
    Tls(Option<String>),
    /// HTTP, with the host of the first request.
    Http(Option<String>),
    /// Something else.
    Other,
    /// Nothing: it waits for the server, or has closed.
    Silent,
}

impl Speech {
    /// The host that is named.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Tls(host) | Self::Http(host) => host.as_deref(),
            Self::Other | Self::Silent => None,
        }
    }
}

/// The first bytes of a client, read and not yet passed on.
#[derive(Default)]
pub(crate) struct Opening {
    bytes: Vec<u8>,
}

impl Opening {
    /// Reads until it is clear what the client speaks, for no longer than `patience`. May be called again.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(crate) async fn read(&mut self, client: &TcpStream, patience: Duration) -> io::Result<Speech> {
        match tokio::time::timeout(patience, self.read_all(client)).await {
            Ok(speech) => speech,
            Err(_) => Ok(self.as_it_is()),
        }
    }

    async fn read_all(&mut self, client: &TcpStream) -> io::Result<Speech> {
        loop {
            if let Some(speech) = speech(&self.bytes) {
                return Ok(speech);
            }
            client.readable().await?;
            self.bytes.reserve(READ_BYTES);
            match client.try_read_buf(&mut self.bytes) {
                Ok(0) => return Ok(self.as_it_is()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn as_it_is(&self) -> Speech {
        if self.bytes.is_empty() {
            Speech::Silent
        } else {
            Speech::Other
        }
    }

    /// What was read.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What these first bytes are; nothing when that needs more of them.
fn speech(bytes: &[u8]) -> Option<Speech> {
    let is_full = bytes.len() >= OPENING_BYTES_MAX;
    match bytes.first()? {
        // A record of the handshake protocol (RFC 8446, section 5.1).
        0x16 => tls(bytes).or(is_full.then_some(Speech::Other)),
        b'A'..=b'Z' => http(bytes, is_full),
        _ => Some(Speech::Other),
    }
}

fn tls(mut bytes: &[u8]) -> Option<Speech> {
    let mut acceptor = Acceptor::default();
    while !bytes.is_empty() {
        let taken = acceptor.read_tls(&mut bytes);
        if !matches!(taken, Ok(1..)) {
            return Some(Speech::Other);
        }
        match acceptor.accept() {
            Ok(Some(hello)) => {
                let name = hello.client_hello().server_name().map(str::to_ascii_lowercase);
                return Some(Speech::Tls(name));
            }
            Ok(None) => {}
            Err(_) => return Some(Speech::Other),
        }
    }
    None
}

/// The head of a request is scanned rather than parsed, because what a parser refuses a server may still accept.
fn http(bytes: &[u8], is_full: bool) -> Option<Speech> {
    let method = bytes
        .iter()
        .take(20)
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-');
    match bytes.get(method.count()) {
        Some(b' ') => {}
        Some(_) => return Some(Speech::Other),
        None => return None,
    }
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let request = complete(lines.next()?);
    if let Some(host) = request.and_then(absolute_host) {
        return Some(Speech::Http(Some(host)));
    }
    for line in lines.map_while(complete) {
        if line.is_empty() {
            return Some(Speech::Http(None));
        }
        if let Some(host) = host_of_header(line) {
            return Some(Speech::Http(Some(host)));
        }
    }
    is_full.then_some(Speech::Http(None))
}

/// A line without its end, when it has one.
fn complete(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The host of `GET http://host/path HTTP/1.1`, which counts more than the header (RFC 9112, section 3.2.2).
fn absolute_host(request: &[u8]) -> Option<String> {
    let target = request.split(|byte| *byte == b' ').nth(1)?;
    let target = std::str::from_utf8(target).ok()?;
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    host(rest.split(['/', '?', '#']).next()?)
}

fn host_of_header(line: &[u8]) -> Option<String> {
    let (name, value) = line.split_at_checked(5)?;
    if !name.eq_ignore_ascii_case(b"host:") {
        return None;
    }
    host(std::str::from_utf8(value).ok()?.trim())
}

/// The host of `user@host:port`, if it looks like one.
pub(crate) fn host(authority: &str) -> Option<String> {
    let authority = authority.rsplit('@').next()?;
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => authority.split(':').next()?,
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (!host.is_empty() && host.len() < 254 && host.bytes().all(is_host)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &str, expected: Option<&Speech>) {
        assert_eq!(speech(bytes.as_bytes()).as_ref(), expected, "{bytes:?}");
    }

    fn check_http(bytes: &str, host: Option<&str>) {
        check(bytes, Some(&Speech::Http(host.map(str::to_owned))));
    }

    #[test]
    fn the_host_of_a_request_is_read_as_a_server_would() {
        check_http(
            "GET / HTTP/1.1\r\nHost: Example.GOV:8080\r\n",
            Some("example.gov"),
        );
        check_http("GET / HTTP/1.1\nA: b\nhOsT:example.gov.\n", Some("example.gov"));
        check_http(
            "M-SEARCH * HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n",
            Some("2001:db8::1"),
        );
        check_http(
            "GET http://a@denied.example:80/x HTTP/1.1\r\nHost: b\r\n",
            Some("denied.example"),
        );
        check_http("GET / HTTP/1.0\r\n\r\nHost: body.example\r\n", None);
        check_http("GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", None);
    }

    #[test]
    fn what_is_not_complete_waits_and_what_is_something_else_does_not() {
        check("", None);
        check("GE", None);
        check("GET / HTTP/1.1\r\nHost: exam", None);
        check("PING\r\n", Some(&Speech::Other));
        check("SSH-2.0-OpenSSH\r\n", Some(&Speech::Other));
        check("\0", Some(&Speech::Other));
        check("\u{16}", None);
        check("\u{16}\u{3}\u{1}\0\u{5}junk!", Some(&Speech::Other));
    }

    #[test]
    fn an_opening_that_never_ends_is_decided_at_the_limit() {
        let endless = format!("GET /{} HTTP/1.1", "a".repeat(OPENING_BYTES_MAX));
        check_http(&endless, None);
        let headers = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(OPENING_BYTES_MAX));
        check_http(&headers, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decided_by_the_limit(mut bytes: Vec<u8>, first in 0_u8..255) {
            bytes.insert(0, first);
            let _ = speech(&bytes);
            bytes.resize(OPENING_BYTES_MAX, b' ');
            prop_assert!(speech(&bytes).is_some());
        }
    }
}
