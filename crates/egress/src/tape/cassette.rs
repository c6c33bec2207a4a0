//! The file. Format 1: Zstandard frames with checksums, so that `zstd -dc` shows it. The first holds `{"cassette":1}` and a line feed, every further one an exchange: a line of JSON
//! (see [`Line`]), the body as it came, a line feed. One that is cut short at the end is as if it were not there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::tape::TapeError;

/// The largest body, of a request or an answer.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest frame, unpacked: a body, and URL and headers beside it.
const FRAME_BYTES_MAX: u64 = BODY_BYTES_MAX as u64 + 4 * 1024 * 1024;
/// Exchanges in a cassette.
const EXCHANGES_MAX: usize = 1_000_000;
/// The format that is written, and the only one that there is.
const FORMAT: u32 = 1;
/// Zstandard's own default.
const LEVEL: i32 = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    cassette: u32,
}

/// What is asked: the same is answered the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) url: String,
    /// SHA-256 of the body, in hexadecimal digits; empty for no body.
    pub(crate) body_sha256: String,
}

impl Asked {
    /// The URL for people, without its query: that may hold a key.
    pub(crate) fn place(&self) -> &str {
        self.url.split_once('?').map_or(&self.url, |(place, _)| place)
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    asked: Asked,
    status: u16,
    /// Names and values, each byte of a value as the character of that number (ISO 8859-1).
    headers: Vec<(String, String)>,
    body_bytes: usize,
}

/// Writes a cassette.
pub(crate) struct Recorder {
    file: Mutex<Written>,
}

struct Written {
    file: File,
    length: u64,
    max_bytes: u64,
    frames: usize,
    is_full: bool,
}

impl Recorder {
    /// A cassette of so many bytes at most.
    pub(crate) fn create(path: &Path, max_bytes: u64) -> Result<Self, TapeError> {
        let file = File::create(path).map_err(|source| failed(path, source))?;
        let mut written = Written {
            file,
            length: 0,
            max_bytes,
            frames: 0,
            is_full: false,
        };
        let header = to_line(&Header { cassette: FORMAT }).map_err(|source| failed(path, source))?;
        written
            .append(&[&header])
            .map_err(|source| failed(path, source))?;
        Ok(Self {
            file: Mutex::new(written),
        })
    }

    /// Adds an exchange, which is in the file afterwards, unless the cassette was full before.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::QuotaExceeded`] once, when it becomes full.
    pub(crate) fn write(&self, asked: Asked, answer: &Response<Bytes>) -> io::Result<()> {
        let latin_1 = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), latin_1(value)));
        let line = Line {
            asked,
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body_bytes: answer.body().len(),
        };
        let line = to_line(&line)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.append(&[&line, answer.body(), b"\n"])
    }
}

impl Written {
    fn append(&mut self, content: &[&[u8]]) -> io::Result<()> {
        if self.is_full {
            return Ok(());
        }
        let written = self.frame(content);
        if let Err(error) = &written {
            self.is_full = error.kind() == io::ErrorKind::QuotaExceeded;
            // Half of a frame would hide all that follow.
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
        }
        self.length += written?;
        self.frames += 1;
        Ok(())
    }

    /// Writes a frame, and returns its length.
    fn frame(&mut self, content: &[&[u8]]) -> io::Result<u64> {
        let room = match self.frames {
            EXCHANGES_MAX.. => 0,
            _ => self.max_bytes.saturating_sub(self.length),
        };
        let bounded = Bounded {
            file: &self.file,
            room,
        };
        let mut encoder = zstd::Encoder::new(bounded, LEVEL)?;
        encoder.include_checksum(true)?;
        for part in content {
            encoder.write_all(part)?;
        }
        Ok(room - encoder.finish()?.room)
    }
}

/// A file that takes so many more bytes.
struct Bounded<'a> {
    file: &'a File,
    room: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let written = self.file.write(bytes)?;
        self.room -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Finds the answers of a cassette. Only their places are kept in memory.
pub(crate) struct Shelf {
    inner: Mutex<Inner>,
}

struct Inner {
    file: BufReader<File>,
    answers: HashMap<Asked, Answers>,
}

#[derive(Default)]
struct Answers {
    places: Vec<u64>,
    given: usize,
}

impl Shelf {
    pub(crate) fn open(path: &Path) -> Result<Self, TapeError> {
        let file = File::open(path).map_err(|source| failed(path, source))?;
        let mut file = BufReader::new(file);
        let damaged = |reason: String| TapeError::Damaged {
            path: path.display().to_string(),
            reason,
        };
        check_header(&mut file).map_err(damaged)?;
        let answers = places(&mut file).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            inner: Mutex::new(Inner { file, answers }),
        })
    }

    /// The next answer to this, the last one again when there is none; nothing for what was never asked.
    pub(crate) fn take(&self, asked: &Asked) -> io::Result<Option<Response<Bytes>>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answers) = inner.answers.get_mut(asked) else {
            return Ok(None);
        };
        let position = answers.given.min(answers.places.len() - 1);
        let Some(place) = answers.places.get(position).copied() else {
            return Ok(None);
        };
        answers.given += 1;
        inner.file.seek(SeekFrom::Start(place))?;
        let frame = read_frame(&mut inner.file)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (line, body) = exchange(frame)?;
        response(&line, body).map(Some)
    }
}

fn check_header(file: &mut BufReader<File>) -> Result<(), String> {
    let frame = read_frame(file)
        .ok()
        .flatten()
        .ok_or("it does not begin like one")?;
    let header: Header = serde_json::from_slice(&frame).map_err(|_| "it does not begin like one")?;
    if header.cassette == FORMAT {
        return Ok(());
    }
    Err(format!(
        "its format is {}, and this version reads {FORMAT}; record it again",
        header.cassette
    ))
}

/// Where the answers are, up to the end or a frame that is cut short.
fn places(file: &mut BufReader<File>) -> io::Result<HashMap<Asked, Answers>> {
    let mut answers: HashMap<Asked, Answers> = HashMap::new();
    for _ in 0..EXCHANGES_MAX {
        let place = file.stream_position()?;
        let frame = match read_frame(file) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(answers),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(answers),
            Err(error) => return Err(error),
        };
        let (line, _) = exchange(frame)?;
        answers.entry(line.asked).or_default().places.push(place);
    }
    Err(io::Error::other(format!(
        "it has more than {EXCHANGES_MAX} exchanges"
    )))
}

/// One frame, unpacked; nothing at the end of the file.
fn read_frame(file: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    if file.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut frame = Vec::new();
    let unpacked = zstd::Decoder::with_buffer(file)?.single_frame();
    unpacked.take(FRAME_BYTES_MAX + 1).read_to_end(&mut frame)?;
    if frame.len() as u64 > FRAME_BYTES_MAX {
        return Err(io::Error::other("an exchange is too large"));
    }
    Ok(Some(frame))
}

/// A frame's line and body.
fn exchange(frame: Vec<u8>) -> io::Result<(Line, Bytes)> {
    let frame = Bytes::from(frame);
    let end = frame
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(frame.len());
    let line: Line = serde_json::from_slice(frame.get(..end).unwrap_or_default())?;
    let body = frame.slice((end + 1).min(frame.len())..);
    if body.len() != line.body_bytes + 1 {
        return Err(io::Error::other("an exchange has another length than it says"));
    }
    let body = body.slice(..line.body_bytes);
    Ok((line, body))
}

fn response(line: &Line, body: Bytes) -> io::Result<Response<Bytes>> {
    let mut headers = HeaderMap::new();
    for (name, value) in &line.headers {
        let value: Vec<u8> = value
            .chars()
            .map(|character| u8::try_from(character).unwrap_or(b'?'))
            .collect();
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        headers.append(name, HeaderValue::from_bytes(&value).map_err(io::Error::other)?);
    }
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(line.status).map_err(io::Error::other)?;
    *response.headers_mut() = headers;
    Ok(response)
}

fn to_line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

fn failed(path: &Path, source: io::Error) -> TapeError {
    TapeError::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Asked {
        Asked {
            method: "GET".to_owned(),
            url: format!("http://a.example{path}"),
            body_sha256: String::new(),
        }
    }

    #[test]
    fn a_damaged_cassette_has_an_answer_as_it_was_or_not_at_all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let recorder = Recorder::create(file.path(), 1 << 20).unwrap();
        for path in ["/1", "/2"] {
            recorder
                .write(asked(path), &Response::new(Bytes::from(path)))
                .unwrap();
        }
        let whole = std::fs::read(file.path()).unwrap();
        for (position, mask) in (0..whole.len()).flat_map(|position| [(position, 1), (position, 0x80)]) {
            let mut damaged = whole.clone();
            damaged[position] ^= mask;
            std::fs::write(file.path(), damaged).unwrap();
            let Ok(shelf) = Shelf::open(file.path()) else {
                continue;
            };
            for path in ["/1", "/2"] {
                let answer = shelf.take(&asked(path)).unwrap();
                assert!(
                    answer.is_none_or(|answer| *answer.body() == path),
                    "{position} ^ {mask}"
                );
            }
        }
    }
}
