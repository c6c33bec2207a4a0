//! What a client says first, and which host it names there.

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::net::TcpStream;

/// What is read at most before it is decided what a client speaks.
const OPENING_BYTES_MAX: usize = 16 * 1024;
/// What is read at once.
const READ_BYTES: usize = 4 * 1024;
/// A record of the handshake protocol (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// What a client speaks, by its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// TLS, with the server name that it asks for.
    Tls(Option<String>),
    /// HTTP, with the host of the first request.
    Http(Option<String>),
    /// Something else.
    Other,
    /// The beginning of TLS or HTTP, which does not say (in time, or in 16 KiB) whom it calls.
    Cut,
    /// Nothing: it waits for the server, or has closed.
    Silent,
}

impl Speech {
    /// The host that is named.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Tls(host) | Self::Http(host) => host.as_deref(),
            Self::Other | Self::Cut | Self::Silent => None,
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
            Err(_) if self.bytes.is_empty() => Ok(Speech::Silent),
            Err(_) => Ok(Speech::Cut),
        }
    }

    /// As [`Self::read`], where the client may be silent for as long as it likes before.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(crate) async fn await_and_read(
        &mut self,
        client: &TcpStream,
        patience: Duration,
    ) -> io::Result<Speech> {
        if self.bytes.is_empty() && self.fill(client).await? == 0 {
            return Ok(Speech::Silent);
        }
        self.read(client, patience).await
    }

    /// Waits until the client has given up: it has broken the connection, or closed its side in the middle of TLS, which needs both.
    pub(crate) async fn is_abandoned(&mut self, client: &TcpStream) {
        while self.bytes.len() < OPENING_BYTES_MAX {
            match self.fill(client).await {
                Err(_) => return,
                Ok(0) if self.bytes.first() == Some(&HANDSHAKE) => return,
                Ok(0) => break,
                Ok(_) => {}
            }
        }
        std::future::pending::<()>().await;
    }

    async fn read_all(&mut self, client: &TcpStream) -> io::Result<Speech> {
        loop {
            if let Some(speech) = speech(&self.bytes) {
                return Ok(speech);
            }
            if self.fill(client).await? == 0 {
                let is_silent = self.bytes.is_empty();
                return Ok(if is_silent { Speech::Silent } else { Speech::Other });
            }
        }
    }

    /// Reads some more; 0 at the end.
    async fn fill(&mut self, client: &TcpStream) -> io::Result<usize> {
        loop {
            client.readable().await?;
            self.bytes.reserve(READ_BYTES);
            match client.try_read_buf(&mut self.bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// What was read.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What these first bytes are; nothing when that needs more of them.
fn speech(bytes: &[u8]) -> Option<Speech> {
    let speech = match bytes.first()? {
        &HANDSHAKE => tls(bytes),
        // Servers pass over empty lines before a request (RFC 9112, section 2.2).
        b'A'..=b'Z' | b'\r' | b'\n' => http(bytes.trim_ascii_start()),
        _ => Some(Speech::Other),
    };
    speech.or((bytes.len() >= OPENING_BYTES_MAX).then_some(Speech::Cut))
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
fn http(bytes: &[u8]) -> Option<Speech> {
    let method = bytes
        .iter()
        .take(20)
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-');
    match bytes.get(method.count()) {
        Some(b' ') => {}
        Some(_) => return Some(Speech::Other),
        None => return None,
    }
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').map_while(complete);
    let request = lines.next()?;
    if !names_http(request) {
        return Some(Speech::Other);
    }
    if let Some(host) = absolute_host(request) {
        return Some(Speech::Http(Some(host)));
    }
    for line in lines {
        if line.is_empty() {
            return Some(Speech::Http(None));
        }
        if let Some(host) = host_of_header(line) {
            return Some(Speech::Http(Some(host)));
        }
    }
    None
}

/// Whether a line ends like that of a request: other protocols begin with words in capitals, too.
fn names_http(line: &[u8]) -> bool {
    let words = line.trim_ascii_end().rsplit(u8::is_ascii_whitespace);
    let version = words.take(1).find_map(|word| word.get(..5));
    version.is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
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
        check_http("\r\n\nGET / http/1.1 \r\nHost: a\r\n", Some("a"));
        check_http("GET / HTTP/1.0\r\n\r\nHost: body.example\r\n", None);
        check_http("GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", None);
    }

    #[test]
    fn what_is_not_complete_waits_and_what_is_something_else_does_not() {
        check("", None);
        check("GE", None);
        check("GET / HTTP/1.1\r\nHost: exam", None);
        check("GET / HT", None);
        for other in [
            "PING\r\n",
            "USER a\r\n",
            "NICK x y\r\n",
            "HELO a\r\n",
            "GET /\r\n",
        ] {
            check(other, Some(&Speech::Other));
        }
        check("SSH-2.0-OpenSSH\r\n", Some(&Speech::Other));
        check("\0", Some(&Speech::Other));
        check("\u{16}", None);
        check("\u{16}\u{3}\u{1}\0\u{5}junk!", Some(&Speech::Other));
    }

    #[test]
    fn an_opening_that_never_ends_is_decided_at_the_limit() {
        let endless = format!("GET /{} HTTP/1.1", "a".repeat(OPENING_BYTES_MAX));
        check(&endless, Some(&Speech::Cut));
        let headers = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(OPENING_BYTES_MAX));
        check(&headers, Some(&Speech::Cut));
        check(&"\r\n".repeat(OPENING_BYTES_MAX), Some(&Speech::Cut));
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
