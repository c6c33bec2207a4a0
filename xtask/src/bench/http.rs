//! The one client that asks all servers: HTTP/1.1 over one kept connection, as little work as can be.

use anyhow::{Context, Result, bail};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One connection to a server on the loopback interface.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Speaks HTTP on a connection that is open.
    pub(super) fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// The body of the answer to `GET target`, which must be a success.
    pub(super) fn get(&mut self, target: &str) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.get_into(target, &mut body)?;
        Ok(body)
    }

    /// The same, written to `sink` as it comes.
    pub(super) fn get_into(&mut self, target: &str, sink: &mut dyn Write) -> Result<()> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.answer(target, sink)
    }

    /// The body of the answer to `POST target`, which must be a success.
    pub(super) fn post(&mut self, target: &str, body: &[u8]) -> Result<Vec<u8>> {
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.stream.get_mut().write_all(body)?;
        let mut answer = Vec::new();
        self.answer(target, &mut answer)?;
        Ok(answer)
    }

    fn answer(&mut self, target: &str, sink: &mut dyn Write) -> Result<()> {
        let status = self.line()?;
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<u64>()?);
            }
        }
        if !status.starts_with("HTTP/1.1 2") {
            let mut body = Vec::new();
            self.body(length, &mut body)?;
            bail!("{target}: {status}: {}", String::from_utf8_lossy(&body));
        }
        self.body(length, sink)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the server closed the connection");
        }
        Ok(line.trim_end().to_owned())
    }

    fn body(&mut self, length: Option<u64>, sink: &mut dyn Write) -> Result<()> {
        let Some(length) = length else {
            return self.chunks(sink);
        };
        self.exactly(length, sink)
    }

    fn exactly(&mut self, length: u64, sink: &mut dyn Write) -> Result<()> {
        let copied = io::copy(&mut self.stream.by_ref().take(length), sink)?;
        if copied < length {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    fn chunks(&mut self, sink: &mut dyn Write) -> Result<()> {
        loop {
            let length = u64::from_str_radix(&self.line()?, 16).context("neither a length nor chunks")?;
            self.exactly(length, sink)?;
            self.line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// Text for the query part of a target.
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_not_a_letter_or_digit_is_escaped() {
        assert_eq!(super::escaped("a b\"c&é"), "a%20b%22c%26%C3%A9");
    }
}
