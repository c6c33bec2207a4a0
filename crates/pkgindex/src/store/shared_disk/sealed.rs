//! The frame of every file: its kind, length and CRC-32C in the first line, so that a torn file is known as such.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};

/// Text of one file.
pub(super) fn seal(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut sealed = first_line(kind, body).into_bytes();
    sealed.extend_from_slice(body);
    sealed
}

/// What stands behind the first line, or `None` when the file is not as it was written.
pub(super) fn unseal(kind: &str, sealed: &Bytes) -> Option<Bytes> {
    let (_, body) = split_line(sealed)?;
    let is_whole = sealed.starts_with(first_line(kind, &body).as_bytes());
    is_whole.then_some(body)
}

/// The text up to the first newline, and the bytes behind it.
pub(super) fn split_line(bytes: &Bytes) -> Option<(&str, Bytes)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = str::from_utf8(&bytes[..end]).ok()?;
    Some((line, bytes.slice(end + 1..)))
}

fn first_line(kind: &str, body: &[u8]) -> String {
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, body);
    format!("{kind} {} {crc:08x}\n", body.len())
}
