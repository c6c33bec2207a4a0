/// How the end of a body is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes remain.
    Length(u64),
    /// Chunks with their lengths (RFC 9112, section 7.1).
    Chunked(Chunked),
    /// The server closes the connection.
    UntilClose,
}

impl Framing {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::Size {
            value: 0,
            digits: 0,
            extension: false,
        })
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Done))
    }
}

/// Where in a chunked body the next byte is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the line that says how long the chunk is.
    Size { value: u64, digits: u8, extension: bool },
    /// In the chunk; so many bytes remain.
    Data(u64),
    /// Before the line end after a chunk.
    DataEnd,
    /// In the trailer; how many bytes of the current line were seen.
    Trailer { line: usize },
    /// After the last chunk.
    Done,
}

impl Chunked {
    /// Takes bytes that are not data from the start of `bytes`; says how many. Stops before data and at the end.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut taken = 0;
        for byte in bytes {
            match self {
                Self::Data(1..) | Self::Done => break,
                Self::Data(0) => *self = Self::DataEnd,
                _ => {}
            }
            self.take(*byte)?;
            taken += 1;
        }
        Ok(taken)
    }

    fn take(&mut self, byte: u8) -> Result<(), String> {
        match (&mut *self, byte) {
            (
                Self::Size {
                    value, digits: 1.., ..
                },
                b'\n',
            ) => {
                *self = match *value {
                    0 => Self::Trailer { line: 0 },
                    size => Self::Data(size),
                }
            }
            (
                Self::Size {
                    digits: 1..,
                    extension,
                    ..
                },
                b';' | b' ' | b'\t' | b'\r',
            ) => *extension = true,
            (Self::Size { extension: true, .. }, _) => {}
            (Self::Size { value, digits, .. }, byte) => {
                let digit = (byte as char).to_digit(16).filter(|_| *digits < 15);
                let digit = digit.ok_or("the length of a chunk is not a number")?;
                *value = *value * 16 + u64::from(digit);
                *digits += 1;
            }
            (Self::DataEnd, b'\r') => {}
            (Self::DataEnd, b'\n') => {
                *self = Self::Size {
                    value: 0,
                    digits: 0,
                    extension: false,
                }
            }
            (Self::DataEnd, _) => return Err("a chunk is longer than it said".into()),
            (Self::Trailer { .. }, b'\r') => {}
            (Self::Trailer { line: 0 }, b'\n') => *self = Self::Done,
            (Self::Trailer { line }, b'\n') => *line = 0,
            (Self::Trailer { line }, _) if *line < super::head::MAX_HEAD_BYTES => *line += 1,
            (Self::Trailer { .. }, _) => return Err("the trailer is too long".into()),
            (Self::Data(_) | Self::Done, _) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut state = Chunked::Size {
            value: 0,
            digits: 0,
            extension: false,
        };
        let mut data = Vec::new();
        while state != Chunked::Done && !bytes.is_empty() {
            let skipped = state.skip(bytes)?;
            bytes = &bytes[skipped..];
            if let Chunked::Data(remaining) = &mut state {
                let take = bytes.len().min(*remaining as usize);
                data.extend_from_slice(&bytes[..take]);
                bytes = &bytes[take..];
                *remaining -= take as u64;
            }
        }
        Ok(data)
    }

    #[test]
    fn chunks_with_extensions_and_trailer() {
        let body =
            b"4;name=value\r\nWiki\r\n5 \r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\nExpires: now\r\n\r\n";
        assert_eq!(decode(body).unwrap(), b"Wikipedia in\r\n\r\nchunks.");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(decode(b"xyz\r\n").is_err());
        assert!(decode(b"\r\n").is_err());
        assert!(decode(b"1\r\nab\r\n").is_err());
        assert!(decode(b"ffffffffffffffffff\r\n").is_err());
    }
}
